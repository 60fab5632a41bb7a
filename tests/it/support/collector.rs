//! An OpenTelemetry collector: takes OTLP over HTTP with protobuf, and shows what it took.

use std::{fmt::Write as _, net::Ipv4Addr, path::Path, sync::Arc};

use futures_util::FutureExt as _;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use parking_lot::Mutex;
use prost::Message as _;
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::{certificate, until};

/// A running collector. Gone when dropped.
pub(crate) struct Collector {
    pub(crate) url: String,
    taken: Arc<Mutex<Vec<Vec<u8>>>>,
    _serving: JoinSet<()>,
}

/// A span, as far as tests look at it. Ids are in hexadecimal.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) node: String,
    attributes: Vec<KeyValue>,
    /// Why it came to nothing; empty where it did not.
    pub(crate) failed: String,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        Self::start_as("http", |stream| async move { Some(stream) }).await
    }

    /// One that is reached by TLS, with a new certificate in `folder`.
    pub(crate) async fn start_tls(folder: &Path) -> Self {
        let chain = vec![certificate(folder)];
        let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
        Self::start_as("https", move |stream| acceptor.accept(stream).map(Result::ok)).await
    }

    async fn start_as<S, F>(scheme: &str, greet: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
        F: Future<Output = Option<S>> + Send,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (url, taken) = (format!("{scheme}://{}", listener.local_addr().unwrap()), Arc::<Mutex<Vec<_>>>::default());
        let (mut serving, all) = (JoinSet::new(), Arc::clone(&taken));
        serving.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Some(mut stream) = greet(stream).await else { continue };
                // One that went away meanwhile has brought nothing.
                if let Some(body) = take(&mut stream).await {
                    all.lock().push(body);
                    drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await);
                    drop(stream.flush().await);
                }
            }
        });
        Self { url, taken, _serving: serving }
    }

    /// Everything that came, as it came.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.taken.lock().concat()
    }

    pub(crate) fn spans(&self) -> Vec<Recorded> {
        let requests = self.taken.lock().clone();
        requests.iter().flat_map(|body| recorded(ExportTraceServiceRequest::decode(body.as_slice()).unwrap())).collect()
    }

    /// The spans of one trace, once there is what `complete` looks for.
    pub(crate) async fn trace(&self, trace: &str, complete: impl Fn(&[Recorded]) -> bool) -> Vec<Recorded> {
        until(format!("trace {trace} at the collector"), || async {
            let spans: Vec<_> = self.spans().into_iter().filter(|span| span.trace == trace).collect();
            complete(&spans).then_some(spans)
        })
        .await
    }

    /// The trace of which a span has this attribute.
    pub(crate) async fn trace_with(&self, key: &str, value: &str) -> String {
        until(format!("a span with {key}={value}"), || async {
            self.spans().into_iter().find(|span| span.attribute(key).as_deref() == Some(value)).map(|span| span.trace)
        })
        .await
    }
}

impl Recorded {
    pub(crate) fn attribute(&self, key: &str) -> Option<String> {
        text_of(&self.attributes, key)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// One request's body.
async fn take(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4);
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
            assert!(text.starts_with("post /v1/traces http/1.1\r\n"), "{text}");
            assert!(text.contains("content-type: application/x-protobuf\r\n"), "{text}");
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())?;
            if bytes.len() == head + length {
                return Some(bytes.split_off(head));
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn recorded(request: ExportTraceServiceRequest) -> impl Iterator<Item = Recorded> {
    request.resource_spans.into_iter().flat_map(|of_resource| {
        let resource = of_resource.resource.unwrap();
        assert_eq!(text_of(&resource.attributes, "service.name").as_deref(), Some("deskbell"));
        let node = text_of(&resource.attributes, "service.instance.id").unwrap();
        let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.map(move |span| Recorded::of(span, node.clone()))
    })
}

impl Recorded {
    fn of(span: Span, node: String) -> Self {
        assert!(span.start_time_unix_nano > 0 && span.end_time_unix_nano >= span.start_time_unix_nano);
        Self {
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            name: span.name,
            node,
            attributes: span.attributes,
            failed: span.status.unwrap().message,
        }
    }
}

fn text_of(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        other => Some(format!("{other:?}")),
    }
}
