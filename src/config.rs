//! The configuration: TOML file, then `DESKBELL_` environment, then flags. Read whole, refused whole, redacts itself.
//!
//! A key that nobody knows is a mistake, and all mistakes are told at once. `deploy/deskbell.example.toml` and
//! `docs/configuration.md` are generated from the tables here.

mod acme;
mod certificate;
mod database;
mod limits;
mod origin;
mod reader;
mod secret;
mod settings;
#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use ipnet::IpNet;

use self::reader::Reader;
pub use self::{
    acme::Acme,
    certificate::{BadFile, Certificate, ends_at_s},
    limits::{Limit, Limits},
    origin::Origin,
    secret::Secret,
    settings::{example, reference},
};

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where widget, console, API and WebSocket listen.
    pub listen: SocketAddr,
    /// How the outside reaches that; without it, the listening address serves.
    pub public_url: Option<Origin>,
    /// The folder of the database and of generated files.
    pub data_dir: PathBuf,
    /// Where health and metrics listen; never public.
    pub admin_listen: SocketAddr,
    /// `sqlite`, or a `postgres://` address, which may hold a password.
    pub database_url: Secret,
    /// How many of its connections read at once.
    pub database_pool: u32,
    /// A `redis://` address, which may hold a password; empty: one node, in process.
    pub redis_url: Secret,
    /// Certificate and key; without them and without an authority plain HTTP.
    pub tls: Option<TlsFiles>,
    /// The authority that gives a certificate.
    pub acme: Option<Acme>,
    /// Networks whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether their connections begin with the PROXY protocol.
    pub proxy_protocol: bool,
    /// How long a session token holds, in seconds.
    pub token_ttl_s: u64,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines there are, as a filter of `tracing`.
    pub log_level: String,
    /// The OpenTelemetry collector that traces are handed to; without it none are made.
    pub otlp_endpoint: Option<Origin>,
    /// Of how many commands and requests one is traced, as a share of 1.
    pub sample_ratio: f64,
    /// The limits.
    pub limits: Limits,
}

/// The certificate chain and its key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl std::str::FromStr for LogFormat {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Text, Self::Json].into_iter().find(|format| format.as_str() == text).ok_or(())
    }
}

/// A configuration that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read.
    #[error("read {path}: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Every mistake there is.
    #[error("accept the configuration:\n{}", Mistakes(.0))]
    Mistakes(Vec<String>),
}

/// Mistakes, one a line.
struct Mistakes<'a>(&'a [String]);

impl fmt::Display for Mistakes<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, mistake)| {
            let end = if at + 1 == self.0.len() { "" } else { "\n" };
            write!(out, "  - {mistake}{end}")
        })
    }
}

/// Where settings come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The TOML file, if one is named.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: Vec<(String, String)>,
    /// Keys and values given as flags.
    pub flags: Vec<(String, String)>,
}

impl Config {
    /// Reads all sources.
    pub fn load(sources: Sources) -> Result<Self, Error> {
        let text = sources.file.as_deref().map(read_file).transpose()?;
        let name = sources.file.as_deref().map(Path::display).map(|path| path.to_string()).unwrap_or_default();
        let table = match text.map(|text| text.parse::<toml::Table>()) {
            Some(Err(syntax)) => return Err(Error::Mistakes(vec![format!("{name} is not TOML: {syntax}")])),
            Some(Ok(table)) => Some((name.as_str(), table)),
            None => None,
        };
        Self::read(Reader::new(table, sources.environment.into_iter(), &sources.flags))
    }

    fn read(mut reader: Reader) -> Result<Self, Error> {
        let data_dir = reader.text("data_dir").map_or_else(|| "./data".into(), PathBuf::from);
        let config = Self {
            listen: reader.parsed("listen", ADDRESS).unwrap_or(loopback(8080)),
            public_url: reader.optional("public_url", "an address such as https://chat.example.org, without a path"),
            admin_listen: reader.parsed("admin.listen", ADDRESS).unwrap_or(loopback(9464)),
            database_url: database::url(&mut reader),
            database_pool: database::pool(&mut reader),
            redis_url: redis_url(&mut reader),
            tls: tls_files(&mut reader),
            acme: Acme::read(&mut reader, &data_dir),
            trusted_proxies: reader.networks("proxies.trusted"),
            proxy_protocol: reader.flag("proxies.proxy_protocol"),
            token_ttl_s: reader.number("tokens.ttl_s", 900, settings::TOKEN_TTL_S),
            log_format: reader.parsed("log.format", "\"text\" or \"json\"").unwrap_or_default(),
            log_level: reader.text("log.level").unwrap_or_else(|| "info".to_owned()),
            otlp_endpoint: reader.optional("telemetry.otlp_endpoint", COLLECTOR),
            sample_ratio: reader.share("telemetry.sample_ratio", SAMPLE_RATIO),
            limits: Limits::read(&mut reader),
            data_dir,
        };
        config.check(&mut reader);
        match reader.finish(&settings::keys()) {
            mistakes if mistakes.is_empty() => Ok(config),
            mistakes => Err(Error::Mistakes(mistakes)),
        }
    }

    /// What no single key shows.
    fn check(&self, reader: &mut Reader) {
        if self.has_redis() && self.database_url.reveal() == "sqlite" {
            reader.mistake(
                "redis.url is for several nodes, and a SQLite file serves one: set database.url to the postgres:// \
                 address that all nodes use, or leave redis.url empty",
            );
        }
        if !self.listen.ip().is_loopback() && !self.has_tls() && self.trusted_proxies.is_empty() {
            reader.mistake(format!(
                "listen = \"{}\" would serve plain HTTP to the network: set tls.cert_file and tls.key_file, or tls.acme.domains, \
                 or proxies.trusted when a proxy in front does TLS",
                self.listen
            ));
        }
        if self.proxy_protocol && self.trusted_proxies.is_empty() {
            reader.mistake("proxies.proxy_protocol is for the networks of proxies.trusted: name them");
        }
        if !self.listen.ip().is_loopback() && self.public_url.is_none() {
            reader.mistake("public_url is missing: what pages of this server are, is told by it");
        }
        if self.public_url.as_ref().is_some_and(|url| !url.is_https() && !url.is_loopback()) {
            reader.mistake("public_url takes https: browsers keep sign-in cookies and notifications from plain HTTP");
        }
        if self.has_tls() && self.public_url.as_ref().is_some_and(|url| !url.is_https()) {
            reader.mistake("public_url takes https when there is a certificate");
        }
        self.check_acme(reader);
        let (window_ms, drain_ms) = (self.limits.reconnect_window_ms, self.limits.drain_ms);
        if window_ms > drain_ms {
            reader.mistake(format!(
                "limits.reconnect_window_ms ({window_ms}) is longer than limits.drain_ms ({drain_ms}): a stopping node would \
                 cut sessions before it has told them to go"
            ));
        }
        if tracing_subscriber::EnvFilter::try_new(&self.log_level).is_err() {
            reader.mistake(
                "log.level takes error, warn, info, debug or trace, or a filter such as \"info,deskbell=debug\"",
            );
        }
    }

    fn check_acme(&self, reader: &mut Reader) {
        let Some(acme) = &self.acme else { return };
        if self.tls.is_some() {
            reader.mistake(
                "tls.acme.domains asks an authority for a certificate, and tls.cert_file names one that is there: leave one of \
                 them out",
            );
        }
        if self.has_redis() {
            reader.mistake(
                "tls.acme.domains is for one node: of several, the authority would ask one, and another would have to answer. \
                 Give all of them one certificate by tls.cert_file and tls.key_file, or let a proxy in front do TLS",
            );
        }
        if let Some(url) = self.public_url.as_ref().filter(|url| !acme.covers(url)) {
            reader.mistake(format!("tls.acme.domains does not name the host of public_url, {}", url.host()));
        }
    }

    /// Whether the public listener speaks TLS.
    pub const fn has_tls(&self) -> bool {
        self.tls.is_some() || self.acme.is_some()
    }

    /// Whether there may be other nodes.
    pub fn has_redis(&self) -> bool {
        !self.redis_url.reveal().is_empty()
    }

    /// The effective configuration as TOML, secrets as `****`.
    pub fn show(&self) -> String {
        settings::show(self)
    }
}

/// What an address key takes.
const ADDRESS: &str = "an address such as \"127.0.0.1:8080\"";

/// What the address of a collector looks like.
const COLLECTOR: &str = "the address of an OpenTelemetry collector, such as http://127.0.0.1:4318, without a path";
/// Enough to see where time goes; failures are traced all.
const SAMPLE_RATIO: f64 = 0.1;

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

fn read_file(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Unreadable { path: path.to_owned(), source })
}

fn redis_url(reader: &mut Reader) -> Secret {
    let url = reader.text("redis.url").unwrap_or_default();
    let schemes = ["redis://", "rediss://", "unix://", "redis+unix://"];
    if !url.is_empty() && !schemes.iter().any(|scheme| url.starts_with(scheme)) {
        reader.mistake("redis.url takes an address that begins with redis://, rediss:// (TLS) or unix://");
    }
    Secret::new(url)
}

fn tls_files(reader: &mut Reader) -> Option<TlsFiles> {
    let mut file = |key: &str| reader.text(key).filter(|path| !path.is_empty()).map(PathBuf::from);
    match (file("tls.cert_file"), file("tls.key_file")) {
        (Some(cert), Some(key)) => {
            let files = TlsFiles { cert, key };
            for BadFile { key, why } in files.mistakes() {
                reader.mistake(format!("{key}: {why}"));
            }
            Some(files)
        }
        (None, None) => None,
        (Some(cert), None) => {
            reader.mistake(format!("tls.cert_file and tls.key_file come together; {} is alone", cert.display()));
            None
        }
        (None, Some(key)) => {
            reader.mistake(format!("tls.cert_file and tls.key_file come together; {} is alone", key.display()));
            None
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: loopback(8080),
            public_url: None,
            data_dir: "./data".into(),
            admin_listen: loopback(9464),
            database_url: Secret::new("sqlite".to_owned()),
            database_pool: database::POOL,
            redis_url: Secret::new(String::new()),
            tls: None,
            acme: None,
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            token_ttl_s: 900,
            log_format: LogFormat::Text,
            log_level: "info".to_owned(),
            otlp_endpoint: None,
            sample_ratio: SAMPLE_RATIO,
            limits: Limits::default(),
        }
    }
}
