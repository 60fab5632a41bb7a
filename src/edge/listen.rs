//! Listening: TCP, TLS, HTTP/1.1 with a time limit on every step, and a stop that lets answers finish.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{Peer, acme::CHALLENGE, limits::Gate, problem::Problem, proxied, tls::Tls};
use crate::{
    config::Limits,
    session::line::Lines,
    tasks::Tasks,
    telemetry::{self, Counted, hot},
};

/// How many connections may wait to be accepted: a storm of reconnects comes in the same second.
const BACKLOG: u32 = 4_096;
/// How long accepting pauses after an error such as running out of descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a connection serves requests before it is asked to end: whoever reads an answer slowly or never does not hold
/// it for ever. Sockets have left HTTP by then.
const HTTP_LIFE: Duration = Duration::from_mins(2);
/// How long an answer that is being sent may still take when its connection is to end.
const LAST_ANSWER: Duration = Duration::from_secs(5);

/// Takes the port, so that whether it is free is known before anything is announced.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}

/// What answers a listener's connections.
pub struct Listening {
    /// The routes.
    pub routes: Router,
    /// TLS, or plain HTTP.
    pub tls: Option<Arc<Tls>>,
    /// Where those wait who said `connect`.
    pub greetings: Arc<Lines>,
    /// Counts connections by address; none where nobody is counted.
    pub gate: Option<Arc<Gate>>,
    /// Time and size limits.
    pub limits: Arc<Limits>,
    /// Where connections run.
    pub tasks: Tasks,
    /// Cancelled when no more are accepted.
    pub drain: CancellationToken,
    /// Cancelled when those that are open end.
    pub end: CancellationToken,
}

impl Listening {
    /// Accepts connections until the drain begins.
    pub async fn accept(self, listener: TcpListener) {
        let listening = Arc::new(self);
        loop {
            let accepted = tokio::select! {
                biased;
                () = listening.drain.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => Self::admit(&listening, stream, address),
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Lets a connection in, if there is a place for it; else it is closed before anything is spent on it.
    fn admit(this: &Arc<Self>, stream: TcpStream, address: SocketAddr) {
        let place = this.gate.as_ref().map(|gate| gate.admit_connection(address.ip()));
        if matches!(place, Some(None)) {
            return;
        }
        let connection = Arc::clone(this);
        this.tasks.spawn(async move {
            connection.connected(stream, address).await;
            // Given back when the connection ends or leaves as a socket, which is counted in its own way.
            drop(place);
        });
    }

    async fn connected(&self, mut stream: TcpStream, peer: SocketAddr) {
        let _counted = Counted::by(&hot::CONNECTIONS);
        // Frames are small and each is flushed when it is whole: waiting for more to send only adds delay.
        drop(stream.set_nodelay(true));
        let Some(address) = self.client(&mut stream, peer).await else { return };
        match &self.tls {
            None => self.serve(stream, address).await,
            Some(tls) => {
                let counted = self.gate.as_ref().and_then(|gate| gate.counted(address.ip()));
                if let Some(stream) = handshake(tls, stream, counted, self.greetings.no_crowd()).await {
                    self.serve(stream, address).await;
                }
            }
        }
    }

    /// Where a connection comes from: a balancer that passes bytes through says it first. None if it should have.
    async fn client(&self, stream: &mut TcpStream, peer: SocketAddr) -> Option<SocketAddr> {
        if !self.gate.as_ref().is_some_and(|gate| gate.is_told_by(peer.ip())) {
            return Some(peer);
        }
        match timeout(Duration::from_millis(self.limits.header_timeout_ms), proxied::read(stream)).await {
            Ok(Ok(client)) => Some(client.unwrap_or(peer)),
            Ok(Err(error)) => {
                tracing::debug!(%error, %peer, "a connection of a trusted proxy was closed");
                None
            }
            Err(_) => {
                telemetry::refused("header_timeout_ms");
                None
            }
        }
    }

    async fn answer(&self, mut request: Request, address: SocketAddr) -> Result<Response, Infallible> {
        let most = self.limits.header_fields;
        if request.headers().len() > most {
            telemetry::refused("header_fields");
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            let detail = format!("a request takes at most {most} header fields");
            return Ok(Problem::new(status, "too_large", detail).into_response());
        }
        request.extensions_mut().insert(Peer { address });
        self.routes.clone().oneshot(request).await
    }

    async fn serve<S>(&self, stream: S, address: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(|request: hyper::Request<Incoming>| self.answer(request.map(Body::new), address));
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                // Otherwise a client that leaves would cancel its handler in the middle of what it does.
                .half_close(true)
                .header_read_timeout(Duration::from_millis(self.limits.header_timeout_ms))
                // Twice as many: those in between are told what is wrong.
                .max_headers(self.limits.header_fields * 2)
                .max_buf_size(self.limits.header_bytes)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
        );
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = self.end.cancelled() => None,
            () = tokio::time::sleep(HTTP_LIFE) => None,
        };
        if ended.is_none() {
            connection.as_mut().graceful_shutdown();
        }
        let ended = match ended {
            Some(ended) => Ok(ended),
            None => timeout(LAST_ANSWER, connection).await,
        };
        if let Ok(Err(error)) = ended {
            note(&error, address);
        }
    }
}

/// Counts what limits of HTTP held. Clients that vanish are no news.
fn note(error: &hyper::Error, address: SocketAddr) {
    if error.is_timeout() {
        telemetry::refused("header_timeout_ms");
    } else if error.is_parse_too_large() {
        telemetry::refused("header_bytes");
    }
    tracing::debug!(%error, %address, "connection ended");
}

async fn handshake(
    tls: &Tls,
    stream: TcpStream,
    address: Option<IpAddr>,
    no_crowd: impl Future<Output = ()>,
) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    let (outcome, stream) = match shake_hands(tls, stream, address, no_crowd).await {
        Ok(stream) if stream.get_ref().1.alpn_protocol() == Some(CHALLENGE) => ("challenge", None),
        Ok(stream) => {
            let resumed = stream.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
            (if resumed { "resumed" } else { "full" }, Some(stream))
        }
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            telemetry::refused("handshake_timeout_ms");
            ("timed_out", None)
        }
        Err(_) => ("failed", None),
    };
    metrics::counter!("deskbell_tls_handshakes_total", "outcome" => outcome).increment(1);
    stream
}

async fn shake_hands(
    tls: &Tls,
    stream: TcpStream,
    address: Option<IpAddr>,
    no_crowd: impl Future<Output = ()>,
) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
    // Who has said nothing yet has no turn: else a few silent clients would hold them all.
    timeout(tls.timeout, stream.peek(&mut [0])).await??;
    // The time in line has a limit of its own: the more there are, the less it says of one of them.
    let accept = async {
        // With its turn: so few as have one come at once when the crowd has gone.
        no_crowd.await;
        if stream.ready(Interest::READABLE).await?.is_read_closed() {
            // It has given up: a handshake would be for nobody.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        timeout(tls.timeout, TlsAcceptor::from(tls.config()).accept(stream)).await?
    };
    tls.turns.take(address, accept).await?
}
