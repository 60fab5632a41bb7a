//! The yardstick: the least that a WebSocket server on this stack can do. Same tokio-tungstenite, same rustls, same buffers
//! as the server; it relays frames between pairs of sockets, with no log, no identity, no JSON.
//!
//! The first frame of a socket names its pair; when both are there, each frame of one goes to the other as it is. Or it
//! names the room: then each frame goes to everyone else in it.

use std::{collections::HashMap, io::Write as _, net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context as _, Result};
use deskbell::tasks::Tasks;
use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, TlsStream};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async_with_config,
    tungstenite::{
        Message, Utf8Bytes,
        handshake::server::{ErrorResponse, Request, Response},
        http::HeaderValue,
        protocol::WebSocketConfig,
    },
};

use crate::stream::Stream;

/// What waits for one socket, in frames: as many as the server's outbox has.
const OUTBOX_FRAMES: usize = 256;

/// How to reach a socket.
type Outbox = mpsc::Sender<Utf8Bytes>;

/// The one of a pair that came first, by pair: how to reach it, and where it learns how to reach the other.
type Waiting = HashMap<Utf8Bytes, (Outbox, mpsc::Sender<Outbox>)>;

/// The first frame of who joins the room.
pub(crate) const ROOM: &str = "room";

/// Who is here.
#[derive(Default)]
struct Hall {
    waiting: Mutex<Waiting>,
    room: Mutex<Vec<Outbox>>,
}

/// Where a socket's frames go.
enum Others {
    Partner(Outbox),
    Room(Outbox),
}

impl Others {
    async fn pass(&self, text: Utf8Bytes, hall: &Hall) -> Result<()> {
        match self {
            Self::Partner(partner) => partner.send(text).await?,
            Self::Room(own) => {
                let members = hall.room.lock().clone();
                for member in members.iter().filter(|member| !member.same_channel(own)) {
                    // A member that has gone gets nothing.
                    member.send(text.clone()).await.ok();
                }
            }
        }
        Ok(())
    }
}

/// Serves until the process is ended; says where on the standard output.
pub(crate) async fn serve(listen: SocketAddr, tls: Option<(&Path, &Path)>, tasks: &Tasks) -> Result<()> {
    let acceptor = tls.map(|(certificate, key)| acceptor(certificate, key)).transpose()?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("failed to listen at {listen}"))?;
    writeln!(std::io::stdout(), "listening {}", listener.local_addr()?)?;
    relay_all(listener, acceptor, tasks).await
}

/// Relays between the pairs that connect, until accepting fails.
pub(crate) async fn relay_all(listener: TcpListener, acceptor: Option<TlsAcceptor>, tasks: &Tasks) -> Result<()> {
    let hall = Arc::<Hall>::default();
    loop {
        let (stream, _) = listener.accept().await?;
        let (acceptor, hall) = (acceptor.clone(), Arc::clone(&hall));
        tasks.spawn(async move {
            // A socket that ends is the normal way for a run to end: there is nobody to tell.
            drop(greet(stream, acceptor, &hall).await);
        });
    }
}

fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn greet(stream: TcpStream, acceptor: Option<TlsAcceptor>, hall: &Hall) -> Result<()> {
    stream.set_nodelay(true)?;
    let stream = match acceptor {
        None => Stream::Plain(stream),
        Some(acceptor) => Stream::Tls(Box::new(TlsStream::Server(acceptor.accept(stream).await?))),
    };
    let config =
        WebSocketConfig::default().read_buffer_size(1024).write_buffer_size(4096).max_write_buffer_size(256 << 10);
    let mut socket = accept_hdr_async_with_config(stream, echo_subprotocol, Some(config)).await?;
    let Some(Ok(Message::Text(name))) = socket.next().await else { return Ok(()) };
    relay(socket, name, hall).await
}

/// Answers an upgrade as the protocol wants it.
#[expect(clippy::result_large_err, clippy::unnecessary_wraps, reason = "the shape that tungstenite asks for")]
pub(crate) fn echo_subprotocol(_: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let name = HeaderValue::from_static(deskbell::protocol::SUBPROTOCOL);
    response.headers_mut().insert("Sec-WebSocket-Protocol", name);
    Ok(response)
}

async fn relay(mut socket: WebSocketStream<Stream>, name: Utf8Bytes, hall: &Hall) -> Result<()> {
    let (own, mut inbox) = mpsc::channel(OUTBOX_FRAMES);
    let others = match name.as_str() {
        ROOM => {
            hall.room.lock().push(own.clone());
            Others::Room(own)
        }
        _ => Others::Partner(match_up(name, own, &hall.waiting).await?),
    };
    socket.send(Message::text("ready")).await?;
    loop {
        tokio::select! {
            frame = socket.next() => match frame {
                Some(Ok(Message::Text(text))) => others.pass(text, hall).await?,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                Some(Ok(_)) => {}
            },
            Some(text) = inbox.recv() => {
                socket.feed(Message::Text(text)).await?;
                while let Ok(text) = inbox.try_recv() {
                    socket.feed(Message::Text(text)).await?;
                }
                socket.flush().await?;
            }
        }
    }
}

/// Waits for the other one of the pair.
async fn match_up(pair: Utf8Bytes, own: Outbox, waiting: &Mutex<Waiting>) -> Result<Outbox> {
    let (tell, mut told) = mpsc::channel(1);
    let first = {
        let mut waiting = waiting.lock();
        let first = waiting.remove(&pair);
        if first.is_none() {
            waiting.insert(pair, (own.clone(), tell));
        }
        first
    };
    match first {
        Some((partner, tell)) => {
            tell.send(own).await?;
            Ok(partner)
        }
        None => told.recv().await.context("the waiting list went away"),
    }
}
