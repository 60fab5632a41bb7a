//! `handshake` against TLS servers that give tickets, and that give none.

use std::net::Ipv4Addr;

use deskbell::tasks::Tasks;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{io::AsyncReadExt as _, net::TcpListener};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::{
    client::{Endpoint, Sources},
    spawn::Authority,
};

const SOON: Duration = Duration::from_millis(300);

/// What a server does once hands are shaken.
#[derive(Clone, Copy)]
enum After {
    Waits,
    HangsUp,
}

/// A dialer to a server that gives so many tickets after each handshake.
async fn server(tickets: usize, after: After) -> Dialer {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new().unwrap());
    let made = authority.issue(folder.path()).unwrap();
    let chain = CertificateDer::pem_file_iter(&made.chain).unwrap().collect::<Result<_, _>>().unwrap();
    let provider = rustls::crypto::ring::default_provider().into();
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::from_pem_file(&made.key).unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.ticketer = rustls::crypto::ring::Ticketer::new().unwrap();
    config.send_tls13_tickets = tickets;
    let acceptor = TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = Tasks::new();
    let handshakes = tasks.clone();
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let accepted = acceptor.accept(stream);
            handshakes.spawn(async move {
                // One that was reset before its end is of no interest.
                let Ok(mut stream) = accepted.await else { return };
                if let After::Waits = after {
                    // The client resets the connection when it has seen enough.
                    drop(stream.read(&mut [0]).await);
                }
            });
        }
    });
    Dialer::new(Endpoint { tls: true, address }, Some(&authority.pem), Buffers::IDLE, Sources::one()).unwrap()
}

/// How many hands were shaken, at least twice, and how often by ticket.
async fn shake_twice(dialer: &Dialer) -> (u64, u64) {
    let first = shake(dialer, 0, Instant::now() + SOON).await.unwrap();
    let second = shake(dialer, 0, Instant::now() + SOON).await.unwrap();
    (first.0 + second.0, first.1 + second.1)
}

#[tokio::test]
async fn a_ticket_ends_a_handshake_and_begins_the_next() {
    let dialer = server(1, After::Waits).await;
    let (made, by_ticket) = shake_twice(&dialer.clone().without_tickets()).await;
    assert!(made > 1 && by_ticket == 0, "{by_ticket} of {made} full handshakes by ticket");
    let (made, by_ticket) = shake_twice(&dialer.with_own_tickets(1)).await;
    assert!(made > 1 && by_ticket == made - 1, "all but the first are by ticket: {by_ticket} of {made}");
}

#[tokio::test]
async fn a_server_without_tickets_is_told_of() {
    for after in [After::HangsUp, After::Waits] {
        let dialer = server(0, after).await.without_tickets();
        let error = shake(&dialer, 0, Instant::now() + SOON).await.unwrap_err().to_string();
        assert!(error.contains("wants a server that gives tickets"), "{error}");
    }
}
