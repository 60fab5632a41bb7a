//! TLS in the program: versions, tickets, certificates that change, and what is refused.

use std::{path::Path, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, HandshakeKind, ProtocolVersion,
    pki_types::CertificateDer,
    version::{TLS12, TLS13},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::support::{Client, PASSWORD, Request, Server, Setup, Stream, certificate, tls_client, until};

/// A server with a certificate of its own.
pub(crate) async fn start(more: impl FnOnce(&mut Setup)) -> (Server, CertificateDer<'static>) {
    let mut setup = Setup::new();
    let made = certificate(setup.path());
    let file = |name: &str| setup.path().join(name).display().to_string();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    setup.text("tls.cert_file", &cert).text("tls.key_file", &key);
    more(&mut setup);
    let client = tls_client(&[&made], &[&TLS13, &TLS12]);
    (setup.start_tls(client).await, made)
}

/// A visitor's whole round over connections of `config`; the version that was agreed on.
async fn talk_over(server: &Server, config: &Arc<ClientConfig>) -> Option<ProtocolVersion> {
    let stream = Stream::dial(server.address, Some(config)).await.unwrap();
    let version = stream.tls().get_ref().1.protocol_version();
    let mut visitor = Client::over(stream, server.address, None).await.unwrap();
    let session = server.session(&server.project).await;
    visitor.connect(session["token"].as_str().unwrap(), json!([])).await;
    let chat = visitor.rings("over TLS").await;
    visitor.says(&chat, &"x".repeat(8_000)).await;
    version
}

/// How the handshake of one more connection went. Something is asked over it, so that a ticket has time to arrive.
async fn handshake_kind(server: &Server, config: &Arc<ClientConfig>) -> HandshakeKind {
    let mut stream = Stream::dial(server.address, Some(config)).await.unwrap();
    let kind = stream.tls().get_ref().1.handshake_kind().unwrap();
    Request::get("/v1/openapi.json").over(&mut stream, server.address).await.with_status(200);
    kind
}

#[tokio::test]
async fn both_versions_are_spoken() {
    let (server, made) = start(|_| {}).await;
    for (version, agreed) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let config = tls_client(&[&made], &[version]);
        assert_eq!(talk_over(&server, &config).await, Some(agreed));
    }
}

#[tokio::test]
async fn a_client_that_was_here_comes_back_without_a_full_handshake() {
    let (server, made) = start(|_| {}).await;
    for version in [&TLS12, &TLS13] {
        let config = tls_client(&[&made], &[version]);
        assert_eq!(handshake_kind(&server, &config).await, HandshakeKind::Full);
        assert_eq!(handshake_kind(&server, &config).await, HandshakeKind::Resumed, "{version:?}");
    }
    server.metric("deskbell_tls_handshakes_total{outcome=\"resumed\"}").await;
}

/// Waits until so many certificate files were taken up, or refused.
async fn has_reloaded(server: &Server, outcome: &str) {
    let name = format!("deskbell_certificate_reloads_total{{outcome=\"{outcome}\"}}");
    until(format!("a certificate is {outcome}"), || async { (server.metric(&name).await > 0.0).then_some(()) }).await;
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_and_sessions_go_on() {
    let (server, old) = start(|_| {}).await;
    let trusts_old = tls_client(&[&old], &[&TLS13]);
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let new = certificate(server.path());
    let trusts_new = tls_client(&[&new], &[&TLS13]);
    until("the new certificate is shown", || async { Stream::dial(server.address, Some(&trusts_new)).await.ok() })
        .await;
    assert!(Stream::dial(server.address, Some(&trusts_old)).await.is_err(), "the old one is shown no more");
    visitor.says(&chat, "I do not mind").await;
}

#[tokio::test]
async fn a_signal_takes_it_up_at_once_and_a_bad_file_changes_nothing() {
    let (server, old) = start(|_| {}).await;
    let trusts_old = tls_client(&[&old], &[&TLS13]);
    let cert = server.path().join("cert.pem");
    let good = std::fs::read(&cert).unwrap();
    std::fs::write(&cert, &good[..good.len() / 2]).unwrap();
    server.signal("HUP").await;
    has_reloaded(&server, "refused").await;
    Stream::dial(server.address, Some(&trusts_old)).await.unwrap();
    let new = certificate(server.path());
    server.signal("HUP").await;
    let trusts_new = tls_client(&[&new], &[&TLS13]);
    until("the new certificate is shown", || async { Stream::dial(server.address, Some(&trusts_new)).await.ok() })
        .await;
    has_reloaded(&server, "taken_up").await;
}

/// A certificate of a day and a year in the folder: until then, in seconds since 1970.
fn certificate_until(folder: &Path, year: i32) -> f64 {
    let mut parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    parameters.not_after = rcgen::date_time_ymd(year, 3, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    std::fs::write(folder.join("cert.pem"), parameters.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    i32::try_from(parameters.not_after.unix_timestamp()).unwrap().into()
}

#[tokio::test]
async fn the_metrics_say_when_the_certificate_ends() {
    let (server, _) = start(|_| {}).await;
    for year in [2030, 2031] {
        let end = certificate_until(server.path(), year);
        server.signal("HUP").await;
        until(format!("the end in {year} is told"), || async {
            let told = server.metric("deskbell_certificate_expires_seconds").await;
            ((told - end).abs() < 1.0).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn cookies_and_pages_are_for_https_only() {
    let (server, _) = start(|_| {}).await;
    let account = server.hire("Grace").await;
    let login = json!({"email": account.email, "password": PASSWORD});
    let answer = server.http(Request::post("/v1/agents/login", &login)).await.with_status(204);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-deskbell="), "{cookie}");
    for flag in ["Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(flag), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    assert!(answer.header("strict-transport-security").is_some());
}

#[tokio::test]
async fn a_handshake_that_is_not_finished_is_not_waited_for() {
    let (server, _) = start(|setup| _ = setup.limit("handshake_timeout_ms", 300)).await;
    for half in [&b""[..], &[0x16, 0x03, 0x01, 0x02, 0x00], b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(half).await.unwrap();
        let mut answer = Vec::new();
        let ended = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{half:?} is waited for");
        assert!(!answer.starts_with(b"HTTP"), "plain HTTP is not answered on a TLS port");
    }
    server.has_refused("handshake_timeout_ms").await;
}

#[tokio::test]
async fn a_crowd_of_handshakes_waits_its_turn() {
    let (server, made) = start(|setup| _ = setup.limit("handshakes_at_once", 1)).await;
    let config = tls_client(&[&made], &[&TLS13]);
    let dials = (0..20).map(|_| Stream::dial(server.address, Some(&config)));
    let streams = futures_util::future::join_all(dials).await;
    assert!(streams.iter().all(Result::is_ok), "late, and all the same");
}

/// The turns before it together take longer than one handshake may.
#[tokio::test]
async fn a_long_line_is_no_slow_handshake() {
    let (server, made) = start(|setup| {
        setup.limit("handshakes_at_once", 1).limit("handshake_timeout_ms", 1_000);
    })
    .await;
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00]).await.unwrap();
        slow.push(stream);
    }
    Stream::dial(server.address, Some(&tls_client(&[&made], &[&TLS13]))).await.unwrap();
}

#[tokio::test]
async fn plain_http_is_served_to_this_machine_only() {
    let mut setup = Setup::new();
    setup.text("listen", "0.0.0.0:0");
    for command in [["serve"], ["check-config"]] {
        let refused = setup.cli(command).await;
        assert_eq!(refused.code(), Some(64));
        assert!(refused.errors().contains("tls.cert_file"), "{}", refused.errors());
    }
    setup.set("proxies.trusted", "[\"10.0.0.0/8\"]").text("public_url", "https://chat.example.org");
    setup.cli(["check-config"]).await.text();
}
