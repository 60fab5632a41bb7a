//! The operator's collector: OTLP over HTTP, with protobuf (`POST /v1/traces`).

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::Error;
use crate::config::Origin;

/// How long one request may take, from the connection on.
const WITHIN: Duration = Duration::from_secs(5);
/// The most bytes of an answer: what it says of spans that it did not like is not read.
const ANSWER_BYTES: usize = 64 * 1_024;

/// Where spans go.
pub(super) struct Collector {
    origin: Origin,
    tls: Option<TlsConnector>,
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

impl Collector {
    /// The collector at an address. Nothing is asked of it yet: it may come later than this server.
    pub(super) fn at(origin: &Origin) -> Result<Self, Error> {
        let tls = origin.is_https().then(tls).transpose()?;
        Ok(Self { origin: origin.clone(), tls })
    }

    /// Hands over one request's bytes.
    pub(super) async fn post(&self, body: Vec<u8>) -> Result<(), String> {
        match timeout(WITHIN, self.try_post(body.into())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(with_causes(error.as_ref())),
            Err(_) => Err(format!("no answer in {} s", WITHIN.as_secs())),
        }
    }

    async fn try_post(&self, body: Bytes) -> Result<(), Failed> {
        let stream = TcpStream::connect((self.origin.host(), self.origin.port())).await?;
        match &self.tls {
            None => self.ask(stream, body).await,
            Some(tls) => {
                let name = ServerName::try_from(self.origin.host().to_owned())?;
                self.ask(tls.connect(name, stream).await?, body).await
            }
        }
    }

    async fn ask<S>(&self, stream: S, body: Bytes) -> Result<(), Failed>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::post("/v1/traces")
            .header(header::HOST, self.origin.authority())
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .body(Full::new(body))?;
        let answer = async {
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            drop(Limited::new(answer.into_body(), ANSWER_BYTES).collect().await);
            if status.is_success() { Ok(()) } else { Err(Failed::from(format!("it answers {status}"))) }
        };
        let mut answer = pin!(answer);
        let ended = tokio::select! {
            biased;
            answered = &mut answer => return answered,
            ended = connection => ended,
        };
        // The connection may be done, in order or not, as soon as the answer is here.
        match (answer.await, ended) {
            (Err(_), Err(why)) => Err(why.into()),
            (answered, _) => answered,
        }
    }
}

/// An error with what it came of: the library's own texts say little.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// With the authorities that the system trusts.
fn tls() -> Result<TlsConnector, Error> {
    let unusable = |why: &dyn std::fmt::Display| Error::Unusable(why.to_string());
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(Error::Unusable("this system has no list of certificate authorities".to_owned()));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
