//! The settings besides the limits, in one table: what the example file and `check-config` print.

use std::fmt::Write as _;

use super::{Config, Limits};

/// One setting.
pub(super) struct Setting {
    key: &'static str,
    doc: &'static str,
    show: fn(&Config) -> String,
}

/// All settings but the limits.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "listen",
        doc: "Where widget, console, API and WebSocket listen. Without TLS, only loopback addresses are accepted.",
        show: |config| quoted(&config.listen),
    },
    Setting {
        key: "public_url",
        doc: "How the outside reaches that, e.g. \"https://chat.example.org\". May be left out on loopback.",
        show: |config| config.public_url.as_ref().map_or_else(|| quoted(""), quoted),
    },
    Setting {
        key: "data_dir",
        doc: "The folder of the database and of generated files.",
        show: |config| quoted(&config.data_dir.display()),
    },
    Setting {
        key: "admin.listen",
        doc: "/healthz, /readyz and /metrics. Never make it public.",
        show: |config| quoted(&config.admin_listen),
    },
    Setting {
        key: "database.url",
        doc: "\"sqlite\" keeps everything in data_dir/deskbell.db. \"postgres://user@host/name?sslmode=verify-full\" keeps it\n\
              # in PostgreSQL 15 or newer, for several nodes; sslrootcert=/path names an authority besides the system's.",
        show: |config| quoted(if config.database_url.reveal() == "sqlite" { "sqlite" } else { "****" }),
    },
    Setting {
        key: "database.pool",
        doc: "How many connections read at once, 1 to 100. One more writes.",
        show: |config| config.database_pool.to_string(),
    },
    Setting {
        key: "redis.url",
        doc: "Several nodes: the Redis 7+ that they share, redis://[user:password@]host[:port], rediss:// with TLS. \
              Empty: one node.",
        show: |config| quoted(if config.has_redis() { "****" } else { "" }),
    },
    Setting {
        key: "tls.cert_file",
        doc: "The certificate chain, PEM. A changed file is taken up without a restart.",
        show: |config| quoted(&config.tls.as_ref().map_or_else(String::new, |files| files.cert.display().to_string())),
    },
    Setting {
        key: "tls.key_file",
        doc: "The certificate's private key, PEM.",
        show: |config| quoted(&config.tls.as_ref().map_or_else(String::new, |files| files.key.display().to_string())),
    },
    Setting {
        key: "tls.acme.domains",
        doc: "Instead of files: the names for which an authority is asked for a certificate, by ACME, e.g. [\"chat.example.org\"].\n\
              # For one node that the authority reaches on port 443 of these names; naming them agrees to the authority's terms.",
        show: |config| list(config.acme.as_ref().map_or(&[], |acme| &acme.domains)),
    },
    Setting {
        key: "tls.acme.contact",
        doc: "E-mail addresses for the account with the authority.",
        show: |config| list(config.acme.as_ref().map_or(&[], |acme| &acme.contact)),
    },
    Setting {
        key: "tls.acme.directory_url",
        doc: "The authority. Empty: Let's Encrypt.",
        show: |config| quoted(config.acme.as_ref().map_or("", |acme| &acme.directory_url)),
    },
    Setting {
        key: "tls.acme.cache_dir",
        doc: "The folder of the account's and the certificate's keys. Empty: acme in data_dir.",
        show: |config| {
            quoted(&config.acme.as_ref().map_or_else(String::new, |acme| acme.cache_dir.display().to_string()))
        },
    },
    Setting {
        key: "tls.acme.ca_file",
        doc: "Who vouches for the authority's own certificate, PEM, for one of your own. Empty: whom the system trusts.",
        show: |config| quoted(&ca_file(config)),
    },
    Setting {
        key: "proxies.trusted",
        doc: "Networks of the proxies whose X-Forwarded-For counts, e.g. [\"10.0.0.0/8\"].",
        show: |config| list(&config.trusted_proxies),
    },
    Setting {
        key: "proxies.proxy_protocol",
        doc: "Whether connections from those networks begin with the PROXY protocol (version 1 or 2), which names the client:\n\
              # for balancers that pass TLS through. One that does not begin with it is closed.",
        show: |config| config.proxy_protocol.to_string(),
    },
    Setting {
        key: "tokens.ttl_s",
        doc: "How long a session token holds, in seconds, 60 to 3600. Clients renew theirs without being asked.",
        show: |config| config.token_ttl_s.to_string(),
    },
    Setting { key: "log.format", doc: "\"text\" or \"json\".", show: |config| quoted(config.log_format.as_str()) },
    Setting {
        key: "log.level",
        doc: "error, warn, info, debug or trace; or a filter such as \"info,deskbell=debug\". Libraries never say more than warnings.",
        show: |config| quoted(&config.log_level),
    },
    Setting {
        key: "telemetry.otlp_endpoint",
        doc: "The OpenTelemetry collector that traces are handed to, by OTLP over HTTP with protobuf, e.g.\n\
              # \"http://127.0.0.1:4318\"; /v1/traces is added. Empty: no traces are made.",
        show: |config| config.otlp_endpoint.as_ref().map_or_else(|| quoted(""), quoted),
    },
    Setting {
        key: "telemetry.sample_ratio",
        doc: "Which share of all commands and requests is traced, 0 to 1. Failures of the server's own are traced all.",
        show: |config| toml::Value::Float(config.sample_ratio).to_string(),
    },
];

fn quoted(text: &(impl ToString + ?Sized)) -> String {
    toml::Value::String(text.to_string()).to_string()
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(quoted).collect();
    format!("[{}]", items.join(", "))
}

fn ca_file(config: &Config) -> String {
    let file = config.acme.as_ref().and_then(|acme| acme.ca_file.as_ref());
    file.map_or_else(String::new, |file| file.display().to_string())
}

/// All keys there are.
pub(super) fn keys() -> Vec<String> {
    let limits = Limits::TABLE.iter().map(|limit| format!("limits.{}", limit.name));
    let exempt = std::iter::once("limits.exempt".to_owned());
    SETTINGS.iter().map(|setting| setting.key.to_owned()).chain(limits).chain(exempt).collect()
}

/// The effective configuration as TOML, secrets as `****`.
pub(super) fn show(config: &Config) -> String {
    let mut out = String::new();
    for setting in SETTINGS {
        line(&mut out, setting.key, &(setting.show)(config));
    }
    for (limit, value) in Limits::TABLE.iter().zip(config.limits.values()) {
        line(&mut out, &format!("limits.{}", limit.name), &value.to_string());
    }
    line(&mut out, "limits.exempt", &list(&config.limits.exempt));
    out
}

fn line(out: &mut String, key: &str, value: &str) {
    // Writing to a String can't fail.
    let _ = writeln!(out, "{key} = {value}");
}

/// `deploy/deskbell.example.toml`: every setting with its default, commented out.
pub fn example() -> String {
    let defaults = Config::default();
    let mut out = String::from(
        "# Deskbell's settings with their defaults. Take away the # of what you change.\n\
         # Each can be given by the environment too: tls.cert_file is DESKBELL_TLS__CERT_FILE.\n\
         # `deskbell check-config --config FILE` says what is wrong with a file, all of it at once.\n",
    );
    for setting in SETTINGS {
        let _ = writeln!(out, "\n# {}\n#{} = {}", setting.doc, setting.key, (setting.show)(&defaults));
    }
    out.push_str("\n# The limits. `deskbell limits` prints them with their metrics.\n");
    for (limit, value) in Limits::TABLE.iter().zip(defaults.limits.values()) {
        let _ = writeln!(out, "\n#{} Unit: {}.\n#limits.{} = {value}", limit.what, limit.unit, limit.name);
    }
    out.push_str(
        "\n# Networks whose addresses are not counted (load tests), e.g. [\"127.0.0.0/8\"].\n#limits.exempt = []\n",
    );
    out
}
