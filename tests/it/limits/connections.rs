//! Connections that are no sessions yet: how many there may be, and that nobody takes all the turns.

use std::{net::IpAddr, time::Duration};

use rustls::{ClientConnection, pki_types::ServerName, version::TLS13};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::support::{Request, Server, Setup, Stream, certificate, tls_client, until};

/// Another address of this machine.
const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
/// The first byte of a `ClientHello`.
const HELLO_BEGINS: &[u8] = &[0x16];
/// Sooner than any limit on the time of a handshake or a request's head.
const AT_ONCE: Duration = Duration::from_secs(3);

/// A server that counts addresses and speaks TLS.
async fn start_tls(more: impl FnOnce(&mut Setup)) -> Server {
    let mut setup = Setup::new();
    let made = certificate(setup.path());
    let file = |name: &str| setup.path().join(name).display().to_string();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    setup.text("tls.cert_file", &cert).text("tls.key_file", &key).set("limits.exempt", "[]");
    setup.limit("handshake_timeout_ms", 60_000);
    more(&mut setup);
    setup.start_tls(tls_client(&[&made], &[&TLS13])).await
}

async fn many(server: &Server, count: usize, first: &[u8]) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut stream = Stream::dial_from(ELSEWHERE, server.address).await.unwrap();
        stream.write_all(first).await.unwrap();
        streams.push(stream);
    }
    streams
}

/// Whether a TLS handshake from this machine's usual address is done at once.
async fn shakes_hands(server: &Server) -> bool {
    timeout(AT_ONCE, server.http(Request::get("/v1/openapi.json"))).await.is_ok_and(|answer| answer.status == 200)
}

#[tokio::test]
async fn who_says_nothing_takes_no_turn() {
    let server = start_tls(|setup| _ = setup.limit("handshakes_at_once", 2)).await;
    let _silent = many(&server, 8, b"").await;
    assert!(shakes_hands(&server).await, "the silent hold every turn");
}

#[tokio::test]
async fn one_address_does_not_take_all_turns() {
    let server = start_tls(|setup| _ = setup.limit("handshakes_at_once", 40)).await;
    let _slow = many(&server, 60, HELLO_BEGINS).await;
    server.has_refused("handshakes_per_address").await;
    assert!(shakes_hands(&server).await, "one address holds every turn");
}

/// The first word of a TLS client, whole.
fn client_hello() -> Vec<u8> {
    let server = ServerName::IpAddress(ELSEWHERE.into());
    let mut hello = Vec::new();
    ClientConnection::new(tls_client(&[], &[&TLS13]), server).unwrap().write_tls(&mut hello).unwrap();
    hello
}

/// A handshake costs the server a millisecond, and whoever hung up while it stood in line comes for another one.
#[tokio::test]
async fn who_has_gone_before_its_turn_is_not_answered() {
    let server = start_tls(|setup| _ = setup.limit("handshakes_at_once", 1)).await;
    // One has the turn, and one waits for it.
    let slow = many(&server, 2, HELLO_BEGINS).await;
    let waited = async |count| {
        let metric = "deskbell_refusals_total{limit=\"handshakes_at_once\"}";
        until(format!("{count} wait"), || async { (server.metric(metric).await >= count).then_some(()) }).await;
    };
    waited(1.0).await;
    let mut gone = many(&server, 1, &client_hello()).await.remove(0);
    gone.shutdown().await.unwrap();
    waited(2.0).await;
    drop(slow);
    let mut answer = Vec::new();
    // Reset, because its word was not read.
    drop(timeout(AT_ONCE, gone.read_to_end(&mut answer)).await.unwrap());
    assert!(answer.is_empty(), "{} bytes were said to nobody", answer.len());
    assert!(shakes_hands(&server).await);
}

/// Whether the server has closed a connection on which nothing was said.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    timeout(AT_ONCE, stream.read(&mut byte)).await.is_ok_and(|read| !matches!(read, Ok(1..)))
}

#[tokio::test]
async fn an_address_holds_so_many_connections() {
    let mut setup = Setup::new();
    setup.set("limits.exempt", "[]").limit("connections_per_address", 4).limit("header_timeout_ms", 60_000);
    let server = setup.start().await;
    let mut held = many(&server, 4, b"GET / HTTP/1.1\r\n").await;
    let mut one_more = Stream::dial_from(ELSEWHERE, server.address).await.unwrap();
    assert!(is_closed(&mut one_more).await, "the fifth is kept");
    assert!(!is_closed(&mut held[0]).await, "those before it are not");
    server.has_refused("connections_per_address").await;
    Request::get("/v1/openapi.json").send(server.address).await.with_status(200);
    drop(held);
    until("there is room again", || async {
        let stream = Stream::dial_from(ELSEWHERE, server.address).await.unwrap();
        let asked = Request::get("/v1/openapi.json").try_over(stream, server.address).await;
        asked.is_some_and(|answer| answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_socket_is_no_connection_of_that_kind() {
    let mut setup = Setup::new();
    setup.set("limits.exempt", "[]").limit("connections_per_address", 4).limit("handshake_burst", 1_000);
    let server = setup.start().await;
    let mut sockets = Vec::new();
    for _ in 0..10 {
        sockets.push(server.visitor().await);
    }
    sockets[9].rings("all ten are in").await;
}

#[tokio::test]
async fn a_node_holds_so_many_connections() {
    let mut setup = Setup::new();
    setup.limit("connections_per_node", 4).limit("header_timeout_ms", 60_000);
    let server = setup.start().await;
    let held = many(&server, 4, b"").await;
    until("the fifth is closed", || async {
        let mut one_more = Stream::dial_from(ELSEWHERE, server.address).await.unwrap();
        is_closed(&mut one_more).await.then_some(())
    })
    .await;
    server.has_refused("connections_per_node").await;
    drop(held);
}
