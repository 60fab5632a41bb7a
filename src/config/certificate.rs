//! The certificate's files: read, checked against each other, and looked at for what will be a mistake one day.

use std::{fmt, io, path::Path};

use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
    sign::CertifiedKey,
};

use super::TlsFiles;

/// From how many days before its end on a certificate is worth a warning: tools renew 30 days before.
const SOON_DAYS: i64 = 21;
const DAY_S: i64 = 24 * 3_600;

/// What the two files hold.
pub struct Certificate {
    /// The chain, the server's own certificate first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub key: PrivateKeyDer<'static>,
}

/// A mistake in the files, with the setting that it is about; fits after "failed to".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use {key}: {why}")]
pub struct BadFile {
    /// The setting.
    pub key: &'static str,
    /// Which file, and what is wrong with it.
    pub why: String,
}

impl BadFile {
    fn new(key: &'static str, path: &Path, why: impl fmt::Display) -> Self {
        Self { key, why: format!("{} {why}", path.display()) }
    }
}

impl TlsFiles {
    /// Reads both files and checks that the key is the certificate's.
    pub fn read(&self) -> Result<Certificate, BadFile> {
        let (chain, key) = (self.read_chain()?, self.read_key()?);
        self.check(&chain, &key)?;
        Ok(Certificate { chain, key })
    }

    /// Every mistake in them.
    pub(super) fn mistakes(&self) -> Vec<BadFile> {
        match (self.read_chain(), self.read_key()) {
            (Ok(chain), Ok(key)) => self.check(&chain, &key).err().into_iter().collect(),
            (chain, key) => chain.err().into_iter().chain(key.err()).collect(),
        }
    }

    fn read_chain(&self) -> Result<Vec<CertificateDer<'static>>, BadFile> {
        let bad = |why: &dyn fmt::Display| BadFile::new("tls.cert_file", &self.cert, why);
        let chain = CertificateDer::pem_file_iter(&self.cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        match chain {
            Ok(chain) if chain.is_empty() => Err(bad(&"holds no certificate in PEM")),
            Ok(chain) => Ok(chain),
            Err(error) => Err(bad(&said(&error))),
        }
    }

    fn read_key(&self) -> Result<PrivateKeyDer<'static>, BadFile> {
        let bad = |why: &dyn fmt::Display| BadFile::new("tls.key_file", &self.key, why);
        let key = match PrivateKeyDer::from_pem_file(&self.key) {
            Ok(key) => key,
            Err(pem::Error::NoItemsFound) => return Err(bad(&"holds no private key in PEM")),
            Err(error) => return Err(bad(&said(&error))),
        };
        match ring::sign::any_supported_type(&key) {
            Ok(_) => Ok(key),
            Err(error) => Err(bad(&format_args!("holds a key that can't be used: {error}"))),
        }
    }

    fn check(&self, chain: &[CertificateDer<'static>], key: &PrivateKeyDer<'static>) -> Result<(), BadFile> {
        match CertifiedKey::from_der(chain.to_vec(), key.clone_key(), &ring::default_provider()) {
            Ok(_) => Ok(()),
            Err(rustls::Error::InconsistentKeys(_)) => {
                let why = format!("is not the key of the certificate in {}", self.cert.display());
                Err(BadFile::new("tls.key_file", &self.key, why))
            }
            Err(error) => {
                let why = format!("holds a certificate that can't be used: {error}");
                Err(BadFile::new("tls.cert_file", &self.cert, why))
            }
        }
    }

    /// When the certificate ends, in seconds since 1970; none where that can't be read.
    pub fn ends_at_s(&self) -> Option<i64> {
        Some(self.end()?.at_s)
    }

    fn end(&self) -> Option<End> {
        self.read_chain().ok()?.first().and_then(|own| End::of(own))
    }

    /// What works today and should be looked at: the end of the certificate, who may read the key. `now_s` is the time in
    /// seconds since 1970.
    pub fn doubts(&self, now_s: i64) -> Vec<String> {
        let mut doubts = Vec::new();
        if let Some(End { date, at_s }) = self.end() {
            let file = self.cert.display();
            match at_s - now_s {
                ..0 => doubts.push(format!("the certificate in {file} expired on {date}: browsers refuse it")),
                left if left < SOON_DAYS * DAY_S => {
                    doubts.push(format!("the certificate in {file} expires on {date}, in {} days", left / DAY_S));
                }
                _ => {}
            }
        }
        if is_open_to_all(&self.key) {
            doubts.push(format!("the key in {} can be read by everybody on this machine", self.key.display()));
        }
        doubts
    }
}

fn said(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            "can't be read: this user may not".to_owned()
        }
        pem::Error::Io(error) => format!("can't be read: {error}"),
        other => format!("is no PEM: {other}"),
    }
}

#[cfg(unix)]
fn is_open_to_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_open_to_all(_path: &Path) -> bool {
    false
}

/// When a certificate (DER) ends, in seconds since 1970; none where that can't be read.
pub fn ends_at_s(certificate: &[u8]) -> Option<i64> {
    Some(End::of(certificate)?.at_s)
}

/// When a certificate ends.
#[derive(Debug, PartialEq, Eq)]
struct End {
    /// As 2026-12-31.
    date: String,
    at_s: i64,
}

impl End {
    /// Reads `notAfter` (RFC 5280, 4.1): a certificate is a sequence whose first part is a sequence of the version (left out
    /// in the oldest), serial number, algorithm, issuer and validity. A whole parser would be a large crate for one field.
    fn of(certificate: &[u8]) -> Option<Self> {
        let mut fields = Element::first(Element::first(certificate)?.content)?.content;
        if Element::first(fields)?.tag == 0xa0 {
            fields = Element::first(fields)?.rest;
        }
        for _ in ["serial number", "algorithm", "issuer"] {
            fields = Element::first(fields)?.rest;
        }
        let not_before = Element::first(Element::first(fields)?.content)?;
        let not_after = Element::first(not_before.rest)?;
        let digits = std::str::from_utf8(not_after.content).ok()?.strip_suffix('Z')?;
        match not_after.tag {
            // UTCTime: two digits of the year, which lies between 1950 and 2049.
            0x17 if digits < "50" => Self::parse(&format!("20{digits}")),
            0x17 => Self::parse(&format!("19{digits}")),
            0x18 => Self::parse(digits),
            _ => None,
        }
    }

    /// From `YYYYMMDDHHMMSS`.
    fn parse(digits: &str) -> Option<Self> {
        let part = |from: usize, to: usize| digits.get(from..to)?.parse::<i64>().ok();
        let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
        let at_s =
            days_since_1970(year, month, day) * DAY_S + part(8, 10)? * 3_600 + part(10, 12)? * 60 + part(12, 14)?;
        Some(Self { date: format!("{year:04}-{month:02}-{day:02}"), at_s })
    }
}

/// Days in the Gregorian calendar, the year beginning in March so that the leap day stands last.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// One element of DER: its tag, what is in it, and what follows.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Element<'a> {
    fn first(der: &'a [u8]) -> Option<Self> {
        let [tag, length, rest @ ..] = der else { return None };
        let (length, rest) = match length {
            0..=0x7f => (usize::from(*length), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        Some(Self { tag: *tag, content, rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_read_in_both_ways_of_writing_it() {
        for (year, month, day) in [(2026, 3, 1), (2049, 12, 31), (2050, 1, 1), (2100, 2, 28)] {
            let mut parameters = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
            parameters.not_after = rcgen::date_time_ymd(year, month, day);
            let made = parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
            let end = End::of(made.der()).unwrap();
            assert_eq!(end.at_s, parameters.not_after.unix_timestamp());
            assert_eq!(end.date, format!("{year}-{month:02}-{day:02}"));
            for length in 0..made.der().len() {
                assert!(length > 300 || End::of(&made.der()[..length]).is_none(), "cut off at {length}");
            }
        }
    }
}
