//! TLS in the program: 1.2 and 1.3, certificate files taken up without a restart.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::{
    ConfigBuilder, ServerConfig,
    crypto::ring,
    server::{ProducesTickets, StoresServerSessions, WantsServerCert},
};
use sha2::{Digest as _, Sha256};

use super::{
    acme::{CHALLENGE, Orders},
    turns::Turns,
};
use crate::{
    config::{BadFile, Certificate, Config, Limits, TlsFiles},
    tasks::Tasks,
};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How many TLS 1.2 sessions are remembered for clients that take no tickets.
const REMEMBERED: usize = 10_240;

/// Why a certificate can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is no good.
    #[error(transparent)]
    File(#[from] BadFile),
    /// The library takes no part of it.
    #[error("use the certificate: {0}")]
    Certificate(#[from] rustls::Error),
    /// The authority can't be asked.
    #[error("use tls.acme: {0}")]
    Authority(String),
}

/// Where certificates come from.
enum Source {
    /// From files that somebody else renews.
    Files(TlsFiles),
    /// From an authority. The task that asks it is here until it is started.
    Authority(Mutex<Option<Box<Orders>>>),
}

/// The present certificate, and the tickets that outlive it.
pub struct Tls {
    source: Source,
    config: ArcSwap<ServerConfig>,
    memory: Memory,
    /// Whose handshakes run now.
    pub(super) turns: Turns,
    /// How long one may take.
    pub(super) timeout: Duration,
}

/// What makes a returning client cheap: kept over a change of certificates, so that a storm of reconnects still resumes.
#[derive(Clone)]
struct Memory {
    tickets: Arc<dyn ProducesTickets>,
    sessions: Arc<dyn StoresServerSessions>,
}

impl Tls {
    /// What is configured; none without a certificate.
    pub fn of(config: &Config) -> Result<Option<Arc<Self>>, Error> {
        if let Some(files) = &config.tls {
            return Self::open(files.clone(), &config.limits).map(Some);
        }
        let Some(acme) = &config.acme else { return Ok(None) };
        let (orders, resolver) = Orders::new(acme).map_err(Error::Authority)?;
        let memory = Memory::new()?;
        let mut config_of = builder()?.with_cert_resolver(resolver);
        config_of.alpn_protocols.push(CHALLENGE.to_vec());
        let source = Source::Authority(Mutex::new(Some(Box::new(orders))));
        Ok(Some(Self::new(source, memory.complete(config_of), memory, &config.limits)))
    }

    /// Reads the certificate.
    fn open(files: TlsFiles, limits: &Limits) -> Result<Arc<Self>, Error> {
        let memory = Memory::new()?;
        let config = read(&files, &memory)?;
        Ok(Self::new(Source::Files(files), config, memory, limits))
    }

    fn new(source: Source, config: Arc<ServerConfig>, memory: Memory, limits: &Limits) -> Arc<Self> {
        let (config, turns) = (ArcSwap::new(config), Turns::new(limits));
        Arc::new(Self { source, config, memory, turns, timeout: Duration::from_millis(limits.handshake_timeout_ms) })
    }

    /// What the next handshake uses.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Takes up the files as they are now; what is no good leaves the old certificate in use, and is said.
    fn reload(&self, files: &TlsFiles) {
        match read(files, &self.memory) {
            Ok(config) => {
                self.config.store(config);
                tell_end(files.ends_at_s());
                metrics::counter!("deskbell_certificate_reloads_total", "outcome" => "taken_up").increment(1);
                tracing::info!(file = %files.cert.display(), "certificate taken up");
            }
            Err(error) => {
                metrics::counter!("deskbell_certificate_reloads_total", "outcome" => "refused").increment(1);
                tracing::error!(%error, "failed to take up the certificate; the old one stays in use");
            }
        }
    }

    /// Keeps the certificate fresh until the program stops.
    pub fn watch(self: &Arc<Self>, tasks: &Tasks) {
        match &self.source {
            Source::Files(files) => self.watch_files(files.clone(), tasks),
            Source::Authority(orders) => {
                if let Some(orders) = orders.lock().take() {
                    tasks.spawn(orders.run(tasks.clone()));
                }
            }
        }
    }

    /// Looks at the files every now and then, and at once on SIGHUP.
    fn watch_files(self: &Arc<Self>, files: TlsFiles, tasks: &Tasks) {
        let (tls, stop) = (Arc::clone(self), tasks.clone());
        tasks.spawn(async move {
            tell_end(files.ends_at_s());
            let mut seen = fingerprint(&files).await;
            let mut hangups = hangups();
            loop {
                tokio::select! {
                    () = stop.stopped() => break,
                    () = next(&mut hangups) => {
                        seen = fingerprint(&files).await;
                        tls.reload(&files);
                    }
                    () = tokio::time::sleep(LOOK_EVERY) => {
                        let now = fingerprint(&files).await;
                        if now != seen {
                            seen = now;
                            tls.reload(&files);
                        }
                    }
                }
            }
        });
    }
}

impl Memory {
    fn new() -> Result<Self, Error> {
        // rustls has no tickets by default: without them, no client resumes.
        let tickets = ring::Ticketer::new()?;
        Ok(Self { tickets, sessions: rustls::server::ServerSessionMemoryCache::new(REMEMBERED) })
    }

    /// What does not depend on the certificate.
    fn complete(&self, mut config: ServerConfig) -> Arc<ServerConfig> {
        config.alpn_protocols.insert(0, b"http/1.1".to_vec());
        config.ticketer = Arc::clone(&self.tickets);
        config.session_storage = Arc::clone(&self.sessions);
        Arc::new(config)
    }
}

/// Says in the metrics when the present certificate ends, in seconds since 1970.
pub(super) fn tell_end(at_s: Option<i64>) {
    if let Some(end) = at_s {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; exact for 285 million years")]
        metrics::gauge!("deskbell_certificate_expires_seconds").set(end as f64);
    }
}

#[cfg(unix)]
type Hangups = Option<tokio::signal::unix::Signal>;
#[cfg(not(unix))]
type Hangups = Option<std::convert::Infallible>;

fn hangups() -> Hangups {
    #[cfg(unix)]
    return tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok();
    #[cfg(not(unix))]
    return None;
}

async fn next(hangups: &mut Hangups) {
    #[cfg(unix)]
    if let Some(signal) = hangups {
        signal.recv().await;
        return;
    }
    let _ = hangups;
    std::future::pending::<()>().await;
}

/// What the files hold, short. A file's time alone does not tell: tools that swap certificates often keep it.
async fn fingerprint(files: &TlsFiles) -> [Option<[u8; 32]>; 2] {
    let mut prints = [None, None];
    for (print, path) in prints.iter_mut().zip([&files.cert, &files.key]) {
        *print = tokio::fs::read(path).await.ok().map(|bytes| Sha256::digest(bytes).into());
    }
    prints
}

fn read(files: &TlsFiles, memory: &Memory) -> Result<Arc<ServerConfig>, Error> {
    let Certificate { chain, key } = files.read()?;
    Ok(memory.complete(builder()?.with_single_cert(chain, key)?))
}

fn builder() -> Result<ConfigBuilder<ServerConfig, WantsServerCert>, Error> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    Ok(builder.with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn write(folder: &Path, name: &str) -> TlsFiles {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let files = TlsFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
        std::fs::write(&files.cert, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        files
    }

    #[test]
    fn a_bad_new_file_leaves_the_old_one_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let files = write(folder.path(), "one.example");
        let tls = Tls::open(files.clone(), &Limits::default()).unwrap();
        let first = tls.config();
        std::fs::write(&files.cert, "half a file").unwrap();
        tls.reload(&files);
        assert!(Arc::ptr_eq(&first, &tls.config()));
        write(folder.path(), "two.example");
        tls.reload(&files);
        assert!(!Arc::ptr_eq(&first, &tls.config()));
        assert!(tls.config().ticketer.enabled());
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let files = write(folder.path(), "one.example");
        let cert = std::fs::read(&files.cert).unwrap();
        write(folder.path(), "two.example");
        std::fs::write(&files.cert, cert).unwrap();
        assert!(matches!(Tls::open(files, &Limits::default()), Err(Error::File(_))));
    }
}
