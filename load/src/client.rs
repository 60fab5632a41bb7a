//! The client side: dialling from several source addresses, and one session's questions and answers.

use std::{collections::VecDeque, fmt, io, net::SocketAddr, pin::pin, str::FromStr, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, anyhow, bail};
use deskbell::protocol::{
    SUBPROTOCOL,
    client::{ClientFrame, Command, Connect, Pong},
};
use futures_util::{SinkExt as _, StreamExt as _, future::poll_immediate};
use rustls::{CipherSuite, ClientConfig, RootCertStore, client::Resumption, pki_types::ServerName};
use serde_json::Value;
use tokio::{net::TcpSocket, sync::Semaphore};
use tokio_rustls::{TlsConnector, TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, Utf8Bytes, client::IntoClientRequest as _, protocol::WebSocketConfig},
};

use crate::{
    relay::Dialect,
    scan::{self, Line},
    stream::Stream,
};

/// How many connections of one dialer may be there and have said nothing yet. Each client of a real crowd speaks as soon as it
/// is connected; thousands that wait for one thread of this program would be ended for their silence.
const SILENT: usize = 64;
/// How long any single step of setting up may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A WebSocket to the server or to the baseline.
pub(crate) type Socket = WebSocketStream<Stream>;

/// Where a server listens.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) tls: bool,
    pub(crate) address: SocketAddr,
}

impl Endpoint {
    /// Reads `ws://ADDRESS:PORT` or `wss://ADDRESS:PORT`; a path is ignored, the protocol says which it is.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let (tls, rest) = match url.split_once("://") {
            Some(("ws" | "http", rest)) => (false, rest),
            Some(("wss" | "https", rest)) => (true, rest),
            _ => bail!("{url:?} is no address like ws://127.0.0.1:8080 or wss://127.0.0.1:8443"),
        };
        let authority = rest.split('/').next().unwrap_or_default().replace("localhost", "127.0.0.1");
        let address = authority.parse().with_context(|| format!("{authority:?} is no ADDRESS:PORT"))?;
        Ok(Self { tls, address })
    }
}

/// Buffers of one socket on this side, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buffers {
    pub(crate) read: usize,
    pub(crate) write: usize,
}

impl Buffers {
    /// For sockets that talk.
    pub(crate) const TALKING: Self = Self { read: 4096, write: 4096 };
    /// For sockets that wait: a `ping` has 15 bytes.
    pub(crate) const IDLE: Self = Self { read: 128, write: 0 };
}

/// TLS of a dialer, and who shares tickets with whom.
#[derive(Clone)]
enum Tls {
    Off,
    /// All connections share one store of tickets.
    Shared(Arc<ClientConfig>),
    /// The connections of one index share theirs, as those of one browser do.
    Own(Arc<[TlsConnector]>),
}

/// Over how many source addresses sockets are spread: 127.0.N.1, 127.0.N.2 ... Each has some 28,000 ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sources {
    count: u8,
    network: u8,
}

impl Sources {
    /// So many.
    pub(crate) const fn of(count: u8) -> Self {
        Self { count, network: 1 }
    }

    /// The system chooses.
    pub(crate) const fn one() -> Self {
        Self::of(1)
    }

    /// As many, in another network.
    pub(crate) const fn in_network(self, network: u8) -> Self {
        Self { network, ..self }
    }

    /// Where the `index`th socket comes from, if that is not left to the system.
    fn address(self, index: usize) -> Option<SocketAddr> {
        let last = 1 + u8::try_from(index % usize::from(self.count)).ok()?;
        (self != Self::one()).then(|| SocketAddr::from(([127, 0, self.network, last], 0)))
    }
}

impl fmt::Display for Sources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.count, self.network)
    }
}

impl FromStr for Sources {
    type Err = anyhow::Error;

    /// Reads `8`, or `8@3` for those of 127.0.3.0/24.
    fn from_str(text: &str) -> Result<Self> {
        let (count, network) = text.split_once('@').unwrap_or((text, "1"));
        let sources = Self::of(count.parse()?).in_network(network.parse()?);
        if sources.count == 0 || sources.count == u8::MAX {
            bail!("a network has 1 to 254 source addresses");
        }
        Ok(sources)
    }
}

/// Opens sockets to one endpoint, or each to any of several.
#[derive(Clone)]
pub(crate) struct Dialer {
    endpoints: Arc<[Endpoint]>,
    pub(crate) dialect: Dialect,
    tls: Tls,
    buffers: Buffers,
    sources: Sources,
    silent: Arc<Semaphore>,
}

impl Dialer {
    /// `ca` is the certificate (PEM) that a TLS endpoint is checked against.
    pub(crate) fn new(endpoint: Endpoint, ca: Option<&str>, buffers: Buffers, sources: Sources) -> Result<Self> {
        Self::to_any(&[endpoint], ca, buffers, sources)
    }

    /// To all nodes of a cluster: each socket goes to one of them by chance.
    pub(crate) fn to_any(nodes: &[Endpoint], ca: Option<&str>, buffers: Buffers, sources: Sources) -> Result<Self> {
        if nodes.is_empty() || nodes.iter().any(|node| node.tls != nodes[0].tls) {
            bail!("nodes are needed, all of them with TLS or none");
        }
        let tls = match (nodes[0].tls, ca) {
            (false, _) => Tls::Off,
            (true, Some(pem)) => Tls::Shared(Arc::new(client_config(pem)?)),
            (true, None) => bail!("wss:// needs --ca FILE: the certificate to check the server against"),
        };
        let silent = Arc::new(Semaphore::new(SILENT));
        Ok(Self { endpoints: nodes.into(), dialect: Dialect::Plain, tls, buffers, sources, silent })
    }

    /// The same, to a server that speaks so.
    pub(crate) fn in_dialect(self, dialect: Dialect) -> Self {
        Self { dialect, ..self }
    }

    /// The same, where each index up to `count` has tickets of its own. Without TLS nothing changes.
    pub(crate) fn with_own_tickets(mut self, count: usize) -> Self {
        if let Tls::Shared(config) = &self.tls {
            let own = |_| {
                let mut config = ClientConfig::clone(config);
                config.resumption = Resumption::in_memory_sessions(1);
                TlsConnector::from(Arc::new(config))
            };
            self.tls = Tls::Own((0..count).map(own).collect());
        }
        self
    }

    /// The same, with a full handshake each time.
    pub(crate) fn without_tickets(mut self) -> Self {
        if let Tls::Shared(config) = &self.tls {
            let mut config = ClientConfig::clone(config);
            config.resumption = Resumption::disabled();
            self.tls = Tls::Shared(Arc::new(config));
        }
        self
    }

    /// The same, always to this one of the nodes; counted round.
    pub(crate) fn to_node(&self, at: usize) -> Self {
        let only = self.endpoints[at % self.endpoints.len()].clone();
        Self { endpoints: [only].into(), ..self.clone() }
    }

    /// How many nodes there are.
    pub(crate) fn nodes(&self) -> usize {
        self.endpoints.len()
    }

    pub(crate) fn is_tls(&self) -> bool {
        !matches!(self.tls, Tls::Off)
    }

    /// One of the nodes.
    fn choose(&self) -> SocketAddr {
        match &*self.endpoints {
            [only] => only.address,
            many => many[rand::random_range(0..many.len())].address,
        }
    }

    fn connector(&self, index: usize) -> Option<TlsConnector> {
        match &self.tls {
            Tls::Off => None,
            Tls::Shared(config) => Some(TlsConnector::from(Arc::clone(config))),
            Tls::Own(connectors) => Some(connectors[index % connectors.len()].clone()),
        }
    }

    /// The `index`th connection, TCP and TLS only.
    pub(crate) async fn dial_stream(&self, index: usize) -> Result<Stream> {
        self.stream_to(self.choose(), index).await
    }

    async fn stream_to(&self, to: SocketAddr, index: usize) -> Result<Stream> {
        let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let socket = socket.map_err(|error| explain(error, to))?;
        let source = self.sources.address(index).filter(|_| to.is_ipv4() && to.ip().is_loopback());
        if let Some(source) = source {
            socket.bind(source).map_err(|error| explain(error, to))?;
        }
        let silent = self.silent.acquire().await?;
        let stream = socket.connect(to).await.map_err(|error| explain(error, to))?;
        stream.set_nodelay(true)?;
        let Some(connector) = self.connector(index) else { return Ok(Stream::Plain(stream)) };
        let mut agreeing = pin!(connector.connect(ServerName::IpAddress(to.ip().into()), stream));
        // After the first look its first word is on the way.
        let agreed = poll_immediate(agreeing.as_mut()).await;
        drop(silent);
        let agreed = match agreed {
            Some(agreed) => agreed,
            None => agreeing.await,
        };
        Ok(Stream::Tls(Box::new(TlsStream::Client(agreed.context("failed to agree on TLS")?))))
    }

    /// The `index`th connection as a WebSocket.
    pub(crate) async fn dial(&self, index: usize) -> Result<Socket> {
        tokio::time::timeout(PATIENCE, self.upgrade(index)).await.context("no WebSocket within 30 s")?
    }

    async fn upgrade(&self, index: usize) -> Result<Socket> {
        let to = self.choose();
        let stream = self.stream_to(to, index).await?;
        let scheme = if self.is_tls() { "wss" } else { "ws" };
        let mut request = format!("{scheme}://{to}{}", self.dialect.path()).into_client_request()?;
        if self.dialect == Dialect::Plain {
            request.headers_mut().insert("Sec-WebSocket-Protocol", SUBPROTOCOL.parse()?);
        }
        let config = WebSocketConfig::default()
            .read_buffer_size(self.buffers.read)
            .write_buffer_size(self.buffers.write)
            .max_write_buffer_size(1024 * 1024);
        let (socket, _) = client_async_with_config(request, stream, Some(config))
            .await
            .map_err(|error| anyhow!("the server refused the WebSocket: {error}"))?;
        Ok(socket)
    }
}

fn client_config(pem: &str) -> Result<ClientConfig> {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};

    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.context("the CA file is no certificate in PEM")?)?;
    }
    let mut provider = rustls::crypto::ring::default_provider();
    // As browsers order them; the library asks for AES-256 with SHA-384 first.
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    let builder = ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// What to do about an error of the operating system, in words.
fn explain(error: io::Error, to: SocketAddr) -> anyhow::Error {
    const OUT_OF_DESCRIPTORS: i32 = 24;
    const OUT_OF_SYSTEM_DESCRIPTORS: i32 = 23;
    const OUT_OF_PORTS: i32 = 99;
    let hint = match error.raw_os_error() {
        Some(OUT_OF_DESCRIPTORS) => {
            "out of file descriptors: raise them (ulimit -n 1048576), or open fewer sessions".into()
        }
        Some(OUT_OF_SYSTEM_DESCRIPTORS) => "the system is out of file descriptors: sysctl fs.file-max".into(),
        Some(OUT_OF_PORTS) => "out of local ports: use more source addresses (--sources 32)".into(),
        _ if error.kind() == io::ErrorKind::ConnectionRefused => format!("nothing listens at {to}"),
        _ => format!("failed to reach {to}"),
    };
    anyhow::Error::new(error).context(hint)
}

/// One session: a socket that has said who it is.
pub(crate) struct Link {
    socket: Socket,
    last_id: u32,
    /// What came while an answer was waited for.
    early: VecDeque<Utf8Bytes>,
}

impl Link {
    /// A session that has yet to connect.
    pub(crate) fn new(socket: Socket) -> Self {
        Self { socket, last_id: 0, early: VecDeque::new() }
    }

    /// Whether its TLS was resumed by ticket; `None` without TLS.
    pub(crate) fn is_resumed(&self) -> Option<bool> {
        crate::handshake::is_resumed(self.socket.get_ref())
    }

    /// Dials and connects.
    pub(crate) async fn connect(dialer: &Dialer, index: usize, token: &str) -> Result<Self> {
        let mut link = Self::new(dialer.dial(index).await?);
        let connect = Connect { token: token.to_owned(), client: None, resume: Vec::new() };
        link.ask(Command::Connect(connect)).await.context("failed to connect a session")?;
        Ok(link)
    }

    /// The number for the next command.
    pub(crate) fn next_id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    /// Sends a command at once.
    pub(crate) async fn tell(&mut self, id: Option<u32>, command: Command) -> Result<()> {
        let text = serde_json::to_string(&ClientFrame { id, command })?;
        self.socket.send(Message::text(text)).await.map_err(|error| anyhow!("failed to send: {error}"))
    }

    /// Sends a command and waits for its answer; a refusal is an error. Frames in between are kept for [`Link::next`].
    pub(crate) async fn ask(&mut self, command: Command) -> Result<Value> {
        let id = self.next_id();
        self.tell(Some(id), command).await?;
        let mut put_back = VecDeque::new();
        let answer = tokio::time::timeout(PATIENCE, self.answer(id, &mut put_back)).await;
        self.early.append(&mut put_back);
        answer.context("no answer within 30 s")?
    }

    async fn answer(&mut self, id: u32, put_back: &mut VecDeque<Utf8Bytes>) -> Result<Value> {
        loop {
            let (frame, mut answer) = (self.receive().await?, None);
            for line in scan::lines(&frame) {
                match scan::line(line) {
                    Line::Ok { id: found, .. } if found == id => answer = Some(serde_json::from_str(line)?),
                    Line::Error { id: Some(found), .. } if found == id => bail!("refused: {line}"),
                    Line::Ping => self.pong().await?,
                    _ => put_back.push_back(line.into()),
                }
            }
            // Only now: what stands behind the answer in the same frame is kept, too.
            if let Some(answer) = answer {
                return Ok(answer);
            }
        }
    }

    /// Answers the server's `ping`.
    pub(crate) async fn pong(&mut self) -> Result<()> {
        self.tell(None, Command::Pong(Pong {})).await
    }

    /// The next frame. May be cancelled and called again; whoever calls it answers a `ping` with [`Link::pong`].
    pub(crate) async fn next(&mut self) -> Result<Utf8Bytes> {
        match self.early.pop_front() {
            Some(frame) => Ok(frame),
            None => self.receive().await,
        }
    }

    async fn receive(&mut self) -> Result<Utf8Bytes> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Close(Some(close)))) => bail!("closed with {}: {}", close.code, close.reason),
                Some(Ok(_)) => {}
                Some(Err(error)) => bail!("the connection broke: {error}"),
                None => bail!("the connection ended without a close frame"),
            }
        }
    }

    /// Ends the socket and keeps the rest.
    pub(crate) async fn hang_up(&mut self) {
        drop(tokio::time::timeout(Duration::from_secs(2), self.socket.close(None)).await);
    }

    /// Gives up as browsers do: it says so, and keeps the connection until the server has said so, too, for 20 s at the most.
    pub(crate) async fn give_up(mut self) {
        let goodbye = async {
            drop(self.socket.close(None).await);
            while let Some(Ok(_)) = self.socket.next().await {}
        };
        drop(tokio::time::timeout(Duration::from_secs(20), goodbye).await);
    }

    /// Says goodbye; errors do not matter any more.
    pub(crate) async fn close(mut self) {
        self.hang_up().await;
    }
}
