//! A certificate by ACME (RFC 8555), proved on this server's own port (TLS-ALPN-01, RFC 8737), and renewed in time.

use std::{io, path::Path, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
    server::ResolvesServerCert,
};
use rustls_acme::{AccountCache, AcmeConfig, AcmeState, CertCache, EventOk};
use sha2::{Digest as _, Sha256};

use crate::{
    config::{Acme, ends_at_s},
    tasks::Tasks,
};

/// What an authority that looks says instead of `http/1.1`: it wants the proof, and nothing more.
pub(super) const CHALLENGE: &[u8] = b"acme-tls/1";

/// What is asked of the authority, and what comes of it.
pub(super) struct Orders {
    state: AcmeState<io::Error>,
}

impl Orders {
    /// Nothing is asked yet. Handshakes get what the returned part has: no certificate until there is one.
    pub(super) fn new(acme: &Acme) -> Result<(Self, Arc<dyn ResolvesServerCert>), String> {
        let contact = acme.contact.iter().map(|address| format!("mailto:{address}"));
        let state = AcmeConfig::new_with_client_config(&acme.domains, Arc::new(client(acme.ca_file.as_deref())?))
            .directory(&acme.directory_url)
            .contact(contact)
            .cache(Shelf { folder: acme.cache_dir.clone() })
            .state();
        let resolver = state.resolver();
        Ok((Self { state }, resolver))
    }

    /// Asks, and asks again in time, until the program stops. After a failure it waits for a second, then twice as long
    /// each time.
    pub(super) async fn run(mut self, tasks: Tasks) {
        loop {
            let event = tokio::select! {
                () = tasks.stopped() => return,
                event = self.state.next() => event,
            };
            match event {
                Some(Ok(EventOk::DeployedNewCert | EventOk::DeployedCachedCert)) => {
                    metrics::counter!("deskbell_certificate_reloads_total", "outcome" => "taken_up").increment(1);
                    tracing::info!("certificate taken up");
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    metrics::counter!("deskbell_certificate_reloads_total", "outcome" => "refused").increment(1);
                    tracing::error!(%error, "failed to get a certificate from the authority; tried again");
                }
                None => return,
            }
        }
    }
}

/// Who is trusted to be the authority.
fn client(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
        Some(file) => {
            let unusable = |error: &dyn std::fmt::Display| format!("tls.acme.ca_file: {}: {error}", file.display());
            let found = CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))?;
            for certificate in found {
                let certificate = certificate.map_err(|error| unusable(&error))?;
                roots.add(certificate).map_err(|error| unusable(&error))?;
            }
        }
    }
    if roots.is_empty() {
        return Err("nobody is trusted to be the authority: name a certificate in tls.acme.ca_file".to_owned());
    }
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(client.with_root_certificates(roots).with_no_client_auth())
}

/// Where account and certificate are kept, so that a restart asks for neither. For this program's user only: keys are in it.
struct Shelf {
    folder: PathBuf,
}

impl Shelf {
    /// Another directory or other names are another file.
    fn path(&self, what: &str, of: &[String], directory_url: &str) -> PathBuf {
        let mut digest = Sha256::new_with_prefix(directory_url);
        for text in of {
            digest.update([0]);
            digest.update(text);
        }
        let digest = digest.finalize();
        let short = digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        self.folder.join(format!("{what}-{short:016x}"))
    }

    async fn load(&self, path: PathBuf) -> io::Result<Option<Vec<u8>>> {
        match tokio::fs::read(path).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whole or not at all.
    async fn store(&self, path: PathBuf, bytes: &[u8]) -> io::Result<()> {
        tokio::fs::create_dir_all(&self.folder).await?;
        let (part, bytes) = (path.with_extension("part"), bytes.to_vec());
        let stored = Tasks::blocking(move || {
            write_private(&part, &bytes)?;
            std::fs::rename(&part, &path)
        });
        stored.await.unwrap_or_else(|| Err(io::Error::other("the program stops")))
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Says in the metrics when a certificate ends.
fn tell_end(pem: &[u8]) {
    let own = CertificateDer::pem_slice_iter(pem).next();
    super::tls::tell_end(own.and_then(Result::ok).and_then(|own| ends_at_s(&own)));
}

#[async_trait]
impl CertCache for Shelf {
    type EC = io::Error;

    async fn load_cert(&self, domains: &[String], directory_url: &str) -> io::Result<Option<Vec<u8>>> {
        let found = self.load(self.path("certificate", domains, directory_url)).await?;
        if let Some(pem) = &found {
            tell_end(pem);
        }
        Ok(found)
    }

    async fn store_cert(&self, domains: &[String], directory_url: &str, pem: &[u8]) -> io::Result<()> {
        tell_end(pem);
        self.store(self.path("certificate", domains, directory_url), pem).await
    }
}

#[async_trait]
impl AccountCache for Shelf {
    type EA = io::Error;

    async fn load_account(&self, contact: &[String], directory_url: &str) -> io::Result<Option<Vec<u8>>> {
        self.load(self.path("account", contact, directory_url)).await
    }

    async fn store_account(&self, contact: &[String], directory_url: &str, account: &[u8]) -> io::Result<()> {
        self.store(self.path("account", contact, directory_url), account).await
    }
}
