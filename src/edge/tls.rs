//! TLS in the program: 1.2 and 1.3, certificate files taken up without a restart.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::ring,
    server::{ProducesTickets, StoresServerSessions},
};
use sha2::{Digest as _, Sha256};

use super::turns::Turns;
use crate::{
    config::{BadFile, Certificate, Limits, TlsFiles},
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
}

/// The present certificate, and the tickets that outlive it.
pub struct Tls {
    files: TlsFiles,
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
    /// Reads the certificate.
    pub fn open(files: TlsFiles, limits: &Limits) -> Result<Arc<Self>, Error> {
        let memory = Memory {
            // rustls has none by default: without it, no client resumes.
            tickets: ring::Ticketer::new()?,
            sessions: rustls::server::ServerSessionMemoryCache::new(REMEMBERED),
        };
        let config = ArcSwap::new(read(&files, &memory)?);
        Ok(Arc::new(Self {
            config,
            files,
            memory,
            turns: Turns::new(limits),
            timeout: Duration::from_millis(limits.handshake_timeout_ms),
        }))
    }

    /// Says in the metrics when the present certificate ends.
    fn tell_end(&self) {
        if let Some(end) = self.files.ends_at_s() {
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; exact for 285 million years")]
            metrics::gauge!("deskbell_certificate_expires_seconds").set(end as f64);
        }
    }

    /// What the next handshake uses.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Takes up the files as they are now; what is no good leaves the old certificate in use, and is said.
    fn reload(&self) {
        match read(&self.files, &self.memory) {
            Ok(config) => {
                self.config.store(config);
                self.tell_end();
                metrics::counter!("deskbell_certificate_reloads_total", "outcome" => "taken_up").increment(1);
                tracing::info!(file = %self.files.cert.display(), "certificate taken up");
            }
            Err(error) => {
                metrics::counter!("deskbell_certificate_reloads_total", "outcome" => "refused").increment(1);
                tracing::error!(%error, "failed to take up the certificate; the old one stays in use");
            }
        }
    }

    /// Looks at the files until the program stops, and at once on SIGHUP.
    pub fn watch(self: &Arc<Self>, tasks: &Tasks) {
        let (tls, stop) = (Arc::clone(self), tasks.clone());
        tasks.spawn(async move {
            tls.tell_end();
            let mut seen = fingerprint(&tls.files).await;
            let mut hangups = hangups();
            loop {
                tokio::select! {
                    () = stop.stopped() => break,
                    () = next(&mut hangups) => {
                        seen = fingerprint(&tls.files).await;
                        tls.reload();
                    }
                    () = tokio::time::sleep(LOOK_EVERY) => {
                        let now = fingerprint(&tls.files).await;
                        if now != seen {
                            seen = now;
                            tls.reload();
                        }
                    }
                }
            }
        });
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
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ticketer = Arc::clone(&memory.tickets);
    config.session_storage = Arc::clone(&memory.sessions);
    Ok(Arc::new(config))
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
        let tls = Tls::open(write(folder.path(), "one.example"), &Limits::default()).unwrap();
        let first = tls.config();
        std::fs::write(&tls.files.cert, "half a file").unwrap();
        tls.reload();
        assert!(Arc::ptr_eq(&first, &tls.config()));
        write(folder.path(), "two.example");
        tls.reload();
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
