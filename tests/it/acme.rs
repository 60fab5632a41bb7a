//! A certificate by ACME, from a real authority: Pebble, which Let's Encrypt tests clients with. It looks at the proof itself.

use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Stdio,
    sync::Arc,
};

use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{Client, Request, Server, Setup, Stream, certificate_for, own_address, tls_client, until};

const NAME: &str = "chat.example.test";
const YEAR_S: u64 = 365 * 86_400;

/// A running authority, and a name server that says that every name is at one address. Killed when dropped.
struct Authority {
    folder: TempDir,
    directory: SocketAddr,
    management: SocketAddr,
    client: Arc<ClientConfig>,
    running: Vec<Child>,
}

/// A port that nobody has now.
fn free(address: IpAddr) -> SocketAddr {
    TcpListener::bind((address, 0)).unwrap().local_addr().unwrap()
}

impl Authority {
    /// One that comes to `server` for its proofs. None where Pebble is not installed.
    fn start(server: SocketAddr) -> Option<Self> {
        Self::start_giving(server, YEAR_S)
    }

    /// One whose certificates hold for so many seconds.
    fn start_giving(server: SocketAddr, valid_s: u64) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let [directory, management, names, unused] = [(); 4].map(|()| free(server.ip()));
        let own = certificate_for(folder.path(), server.ip());
        let file = |name: &str| folder.path().join(name).display().to_string();
        let pebble = json!({"pebble": {"listenAddress": directory, "managementListenAddress": management,
            "certificate": file("cert.pem"), "privateKey": file("key.pem"), "httpPort": unused.port(), "tlsPort": server.port(),
            "certificateValidityPeriod": valid_s}});
        std::fs::write(file("pebble.json"), pebble.to_string()).unwrap();
        let mut resolver = Command::new("pebble-challtestsrv");
        resolver.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""]);
        resolver.args(["-dns01", &names.to_string(), "-management", &unused.to_string()]);
        resolver.args(["-defaultIPv4", &server.ip().to_string()]);
        let mut authority = Command::new("pebble");
        authority.args(["-config", &file("pebble.json"), "-dnsserver", &names.to_string()]);
        // It would wait some seconds before it looks, and refuse some of what it is asked, as a test of clients.
        authority.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "0");
        let mut running = Vec::new();
        for command in [&mut resolver, &mut authority] {
            let child =
                command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
            let Ok(child) = child else {
                let why = "a certificate by ACME was NOT tested: Pebble is not installed (scripts/setup.sh test)";
                assert!(std::env::var_os("CI").is_none(), "{why}");
                eprintln!("{why}");
                return None;
            };
            running.push(child);
        }
        let client = tls_client(&[&own], &[&TLS13, &TLS12]);
        Some(Self { folder, directory, management, client, running })
    }

    /// The certificate that everybody who visits is to trust.
    async fn root(&self) -> CertificateDer<'static> {
        let pem = until("the authority's own certificate", || async {
            let stream = Stream::dial(self.management, Some(&self.client)).await.ok()?;
            Some(Request::get("/roots/0").over(stream, self.management).await.with_status(200).body)
        })
        .await;
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    async fn stop(&mut self) {
        for child in &mut self.running {
            child.kill().await.unwrap();
        }
    }
}

/// A connection to `server` by its name, if it shows a certificate that `trusts` allows.
async fn visit(server: SocketAddr, trusts: &Arc<ClientConfig>) -> Option<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(server).await.ok()?;
    let name = ServerName::try_from(NAME).unwrap();
    TlsConnector::from(Arc::clone(trusts)).connect(name, stream).await.ok()
}

/// Nobody but the owner reads the keys.
fn is_private(folder: &Path) {
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 2, "the account and the certificate: {files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

/// A server at `address` that asks this authority.
fn asks(authority: &Authority, address: SocketAddr) -> Setup {
    let mut setup = Setup::new();
    setup.text("listen", &address.to_string()).set("tls.acme.domains", format!("[\"{NAME}\"]"));
    setup.set("tls.acme.contact", "[\"ops@example.test\"]");
    setup.text("tls.acme.directory_url", &format!("https://{}/dir", authority.directory));
    setup.text("tls.acme.ca_file", &authority.folder.path().join("cert.pem").display().to_string());
    setup
}

#[tokio::test]
async fn an_authority_gives_a_certificate_that_outlives_a_restart() {
    let address = free(own_address());
    let Some(mut authority) = Authority::start(address) else { return };
    let trusts = tls_client(&[&authority.root().await], &[&TLS13]);
    let mut server = asks(&authority, address).start().await;
    let stream = until("a certificate", || visit(address, &trusts)).await;
    Request::get("/v1/openapi.json").over(stream, address).await.with_status(200);
    let end = ends(&server).await;
    assert!(end > 1_700_000_000.0, "{end}");
    assert!(server.metric("deskbell_certificate_reloads_total{outcome=\"taken_up\"}").await > 0.0);
    assert!(
        server.metric("deskbell_tls_handshakes_total{outcome=\"challenge\"}").await > 0.0,
        "the authority has looked"
    );
    until("it is stored", || async {
        let files = std::fs::read_dir(server.path().join("data/acme")).ok()?.map(Result::unwrap);
        let whole = files.filter(|file| file.path().extension().is_none_or(|end| end != "part"));
        (whole.count() == 2).then_some(())
    })
    .await;
    is_private(&server.path().join("data/acme"));

    authority.stop().await;
    server.kill().await;
    server.start_again().await;
    until("the same certificate without the authority", || visit(address, &trusts)).await;
    assert!((ends(&server).await - end).abs() < 1.0);
}

/// When the present certificate ends, in seconds since 1970; it is told when it is stored.
async fn ends(server: &Server) -> f64 {
    until("its end is told", || async {
        let shown = Request::get("/metrics").send(server.admin).await.body;
        shown.lines().find_map(|line| line.strip_prefix("deskbell_certificate_expires_seconds ")?.parse().ok())
    })
    .await
}

/// The certificate that was shown.
fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

/// Asked for when two thirds of its time are over: after eight of twelve seconds.
#[tokio::test]
async fn a_certificate_is_renewed_while_people_talk() {
    let address = free(own_address());
    let Some(authority) = Authority::start_giving(address, 12) else { return };
    let trusts = tls_client(&[&authority.root().await], &[&TLS13]);
    let server = asks(&authority, address).start().await;
    let stream = until("a certificate", || visit(address, &trusts)).await;
    let first = shown(&stream);
    let end = ends(&server).await;
    let mut visitor = Client::over(Stream::Tls(Box::new(stream)), address, None).await.unwrap();
    let token = server.cli(["token", "--project", &server.project.id, "--kind", "visitor"]).await.text();
    visitor.connect(token.trim(), json!([])).await;
    let chat = visitor.rings("Hello").await;
    let taken_up = "deskbell_certificate_reloads_total{outcome=\"taken_up\"}";
    until("another certificate", || async { (server.metric(taken_up).await > 1.0).then_some(()) }).await;
    until("it is shown to new connections", || async {
        visit(address, &trusts).await.filter(|stream| shown(stream) != first)
    })
    .await;
    visitor.says(&chat, "It is the same connection as before").await;
    until("its end is told", || async { (ends(&server).await > end).then_some(()) }).await;
}

#[tokio::test]
async fn an_authority_that_does_not_answer_is_told_and_the_server_lives() {
    let mut setup = Setup::new();
    setup.set("tls.acme.domains", format!("[\"{NAME}\"]"));
    setup.text("tls.acme.directory_url", &format!("https://{}/dir", free(own_address())));
    let server = setup.start().await;
    let refused = "deskbell_certificate_reloads_total{outcome=\"refused\"}";
    until("the failure is counted", || async { (server.metric(refused).await > 0.0).then_some(()) }).await;
    assert!(server.output().contains("failed to get a certificate from the authority"), "{}", server.output());
    assert!(visit(server.address, &tls_client(&[], &[&TLS13])).await.is_none());
}

#[tokio::test]
async fn it_is_refused_beside_files_and_with_several_nodes() {
    let mut setup = Setup::new();
    setup.set("tls.acme.domains", "[\"*.example.test\", \"chat.example.test\"]").set("tls.acme.contact", "[\"ops\"]");
    setup.text("tls.acme.directory_url", "http://authority.example.test").text("tls.acme.ca_file", "/nowhere/ca.pem");
    setup.text("public_url", "https://desk.example.test");
    let made = certificate_for(setup.path(), own_address());
    assert!(!made.is_empty());
    let file = |name: &str| setup.path().join(name).display().to_string();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    setup.text("tls.cert_file", &cert).text("tls.key_file", &key);
    setup.text("database.url", "postgres://desk@127.0.0.1/desk").text("redis.url", "redis://127.0.0.1");
    let refused = setup.cli(["check-config"]).await;
    assert_eq!(refused.code(), Some(64));
    let parts = [
        "\"*.example.test\" is none that can be proved by TLS",
        "tls.acme.contact takes e-mail addresses; \"ops\" is none",
        "tls.acme.directory_url takes an address that begins with https://",
        "tls.acme.ca_file: /nowhere/ca.pem can't be read",
        "tls.cert_file names one that is there: leave one of them out",
        "tls.acme.domains is for one node",
        "does not name the host of public_url, desk.example.test",
    ];
    let missing: Vec<_> = parts.into_iter().filter(|part| !refused.errors().contains(part)).collect();
    assert!(missing.is_empty(), "{missing:#?} is not in {}", refused.errors());
}
