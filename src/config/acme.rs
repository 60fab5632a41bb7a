//! A certificate that an authority gives, by ACME: for one node that the authority reaches itself.

use std::path::{Path, PathBuf};

use super::{Origin, reader::Reader};

/// Let's Encrypt.
const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// What an authority is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// The names that the certificate is for; at least one.
    pub domains: Vec<String>,
    /// E-mail addresses for the authority's account.
    pub contact: Vec<String>,
    /// Where the authority says what it can do.
    pub directory_url: String,
    /// The folder of the account's key, the certificate and its key.
    pub cache_dir: PathBuf,
    /// Who vouches for the authority's own certificate, in PEM, instead of those whom the system trusts.
    pub ca_file: Option<PathBuf>,
}

impl Acme {
    /// Reads the section; none where it names no domains.
    pub(super) fn read(reader: &mut Reader, data_dir: &Path) -> Option<Self> {
        let domains: Vec<String> = reader.list("tls.acme.domains", "names such as \"chat.example.org\"");
        let contact = reader.list("tls.acme.contact", "e-mail addresses");
        let mut text = |key: &str| reader.text(key).filter(|text| !text.is_empty());
        let acme = Self {
            domains,
            contact,
            directory_url: text("tls.acme.directory_url").unwrap_or_else(|| DIRECTORY.to_owned()),
            cache_dir: text("tls.acme.cache_dir").map_or_else(|| data_dir.join("acme"), PathBuf::from),
            ca_file: text("tls.acme.ca_file").map(PathBuf::from),
        };
        acme.check(reader);
        (!acme.domains.is_empty()).then_some(acme)
    }

    fn check(&self, reader: &mut Reader) {
        for domain in &self.domains {
            if !is_domain(domain) {
                reader.mistake(format!(
                    "tls.acme.domains takes full names such as \"chat.example.org\"; {domain:?} is none that can be proved by \
                     TLS (no addresses, no wildcards)"
                ));
            }
        }
        for address in self.contact.iter().filter(|address| !address.contains('@') || address.contains(':')) {
            reader.mistake(format!("tls.acme.contact takes e-mail addresses; {address:?} is none"));
        }
        if !self.directory_url.starts_with("https://") {
            reader.mistake("tls.acme.directory_url takes an address that begins with https://");
        }
        if let Some(file) = &self.ca_file
            && let Err(error) = std::fs::read(file)
        {
            reader.mistake(format!("tls.acme.ca_file: {} can't be read: {error}", file.display()));
        }
    }

    /// Whether pages at this address are shown with this certificate.
    pub(super) fn covers(&self, url: &Origin) -> bool {
        self.domains.iter().any(|domain| domain == url.host())
    }
}

/// A name of at least two parts, in lower case, whose last part is no number.
fn is_domain(text: &str) -> bool {
    let is_part = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty() && part.bytes().all(plain)
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.contains('.') && text.split('.').all(is_part) && !last.bytes().all(|byte| byte.is_ascii_digit())
}
