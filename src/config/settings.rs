//! The settings besides the limits, in one table: what the example file, the reference and `check-config` print.

use std::{fmt, fmt::Write as _, ops::RangeInclusive};

use super::{Config, Limits, database, limits::Limit};

/// One setting.
pub(super) struct Setting {
    pub(super) key: &'static str,
    pub(super) takes: Takes,
    doc: &'static str,
    show: fn(&Config) -> String,
}

/// What a setting takes; shown as people call it.
pub(super) enum Takes {
    /// A text of the kind that is named.
    Text(&'static str),
    /// A whole number in this range, of this unit.
    Number(RangeInclusive<u64>, &'static str),
    /// A part of 1.
    Share,
    Flag,
    /// A list of texts of the kind that is named.
    List(&'static str),
}

impl fmt::Display for Takes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(kind) => out.write_str(kind),
            Self::Number(range, _) => write!(out, "number, {} to {}", range.start(), range.end()),
            Self::Share => out.write_str("number, 0 to 1"),
            Self::Flag => out.write_str("`true` or `false`"),
            Self::List(kind) => write!(out, "list of {kind}"),
        }
    }
}

impl Takes {
    const fn unit(&self) -> &'static str {
        match self {
            Self::Number(_, unit) => unit,
            _ => "",
        }
    }
}

/// How long a session token may hold, in seconds.
pub(super) const TOKEN_TTL_S: RangeInclusive<u64> = 60..=3_600;

/// All settings but the limits.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "listen",
        takes: Takes::Text("address and port"),

        doc: "Where widget, console, API and WebSocket listen. Without a certificate, and without a proxy in \
              proxies.trusted, loopback addresses only.",
        show: |config| quoted(&config.listen),
    },
    Setting {
        key: "public_url",
        takes: Takes::Text("`https://` address without a path"),

        doc: "How the outside reaches that, e.g. \"https://chat.example.org\". May be left out on loopback.",
        show: |config| config.public_url.as_ref().map_or_else(|| quoted(""), quoted),
    },
    Setting {
        key: "data_dir",
        takes: Takes::Text("folder"),

        doc: "The folder of the database, and of what is made: keys, certificates.",
        show: |config| quoted(&config.data_dir.display()),
    },
    Setting {
        key: "admin.listen",
        takes: Takes::Text("address and port"),

        doc: "/healthz, /readyz and /metrics. Never make it public.",
        show: |config| quoted(&config.admin_listen),
    },
    Setting {
        key: "database.url",
        takes: Takes::Text("`sqlite` or `postgres://` address"),

        doc: "\"sqlite\" keeps everything in data_dir/deskbell.db. \"postgres://user@host/name?sslmode=verify-full\" keeps it \
              in PostgreSQL 15 or newer, for several nodes; sslrootcert=/path names an authority besides the system's.",
        show: |config| quoted(if config.database_url.reveal() == "sqlite" { "sqlite" } else { "****" }),
    },
    Setting {
        key: "database.pool",
        takes: Takes::Number(database::POOLS, "connections"),
        doc: "How many connections read at once. One more writes.",
        show: |config| config.database_pool.to_string(),
    },
    Setting {
        key: "redis.url",
        takes: Takes::Text("`redis://`, `rediss://` or `unix://` address"),

        doc: "Several nodes: the Redis 7+ that they share, redis://[user:password@]host[:port], rediss:// with TLS. \
              Empty: one node.",
        show: |config| quoted(if config.has_redis() { "****" } else { "" }),
    },
    Setting {
        key: "tls.cert_file",
        takes: Takes::Text("file"),

        doc: "The certificate chain, PEM. A changed file is taken up without a restart.",
        show: |config| quoted(&config.tls.as_ref().map_or_else(String::new, |files| files.cert.display().to_string())),
    },
    Setting {
        key: "tls.key_file",
        takes: Takes::Text("file"),

        doc: "The certificate's private key, PEM.",
        show: |config| quoted(&config.tls.as_ref().map_or_else(String::new, |files| files.key.display().to_string())),
    },
    Setting {
        key: "tls.acme.domains",
        takes: Takes::List("names"),

        doc: "Instead of files: the names for which an authority is asked for a certificate, by ACME, e.g. [\"chat.example.org\"]. \
              For one node that the authority reaches on port 443 of these names; naming them agrees to the authority's terms.",
        show: |config| list(config.acme.as_ref().map_or(&[], |acme| &acme.domains)),
    },
    Setting {
        key: "tls.acme.contact",
        takes: Takes::List("e-mail addresses"),

        doc: "E-mail addresses for the account with the authority.",
        show: |config| list(config.acme.as_ref().map_or(&[], |acme| &acme.contact)),
    },
    Setting {
        key: "tls.acme.directory_url",
        takes: Takes::Text("`https://` address"),

        doc: "The authority. Empty: Let's Encrypt.",
        show: |config| quoted(config.acme.as_ref().map_or("", |acme| &acme.directory_url)),
    },
    Setting {
        key: "tls.acme.cache_dir",
        takes: Takes::Text("folder"),

        doc: "The folder of the account's and the certificate's keys. Empty: acme in data_dir.",
        show: |config| {
            quoted(&config.acme.as_ref().map_or_else(String::new, |acme| acme.cache_dir.display().to_string()))
        },
    },
    Setting {
        key: "tls.acme.ca_file",
        takes: Takes::Text("file"),

        doc: "Who vouches for the authority's own certificate, PEM, for one of your own. Empty: whom the system trusts.",
        show: |config| quoted(&ca_file(config)),
    },
    Setting {
        key: "proxies.trusted",
        takes: Takes::List("networks"),

        doc: "Networks of the proxies whose X-Forwarded-For counts, e.g. [\"10.0.0.0/8\"].",
        show: |config| list(&config.trusted_proxies),
    },
    Setting {
        key: "proxies.proxy_protocol",
        takes: Takes::Flag,

        doc: "Whether connections from those networks begin with the PROXY protocol (version 1 or 2), which names the client: \
              for balancers that pass TLS through. One that does not begin with it is closed.",
        show: |config| config.proxy_protocol.to_string(),
    },
    Setting {
        key: "tokens.ttl_s",
        takes: Takes::Number(TOKEN_TTL_S, "s"),
        doc: "How long a session token holds. Clients renew theirs without being asked.",
        show: |config| config.token_ttl_s.to_string(),
    },
    Setting {
        key: "log.format",
        takes: Takes::Text("`text` or `json`"),
        doc: "How log lines look.",
        show: |config| quoted(config.log_format.as_str()),
    },
    Setting {
        key: "log.level",
        takes: Takes::Text("word or filter"),

        doc: "error, warn, info, debug or trace; or a filter such as \"info,deskbell=debug\". Libraries never say more than warnings.",
        show: |config| quoted(&config.log_level),
    },
    Setting {
        key: "telemetry.otlp_endpoint",
        takes: Takes::Text("address without a path"),

        doc: "The OpenTelemetry collector that traces are handed to, by OTLP over HTTP with protobuf, e.g. \
              \"http://127.0.0.1:4318\"; /v1/traces is added. Empty: no traces are made.",
        show: |config| config.otlp_endpoint.as_ref().map_or_else(|| quoted(""), quoted),
    },
    Setting {
        key: "telemetry.sample_ratio",
        takes: Takes::Share,

        doc: "Which share of all commands and requests is traced. Failures of the server's own are traced all.",
        show: |config| toml::Value::Float(config.sample_ratio).to_string(),
    },
];

fn quoted(text: &(impl ToString + ?Sized)) -> String {
    toml::Value::String(text.to_string()).to_string()
}

fn list<T: fmt::Display>(items: &[T]) -> String {
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

/// What `limits.exempt` is for.
const EXEMPT: &str = "Networks whose addresses are not counted (load tests), e.g. [\"127.0.0.0/8\"].";

/// `deploy/deskbell.example.toml`: every setting with its default, commented out.
pub fn example() -> String {
    let defaults = Config::default();
    let mut out = String::from(
        "# Deskbell's settings with their defaults. Take away the # of what you change.\n\
         # Each can be given by the environment too: tls.cert_file is DESKBELL_TLS__CERT_FILE.\n\
         # `deskbell check-config --config FILE` says what is wrong with a file, all of it at once.\n",
    );
    for Setting { key, takes, doc, show } in SETTINGS {
        let _ = writeln!(out, "\n{}#{key} = {}", comment(doc, takes), show(&defaults));
    }
    out.push_str("\n# The limits. `deskbell limits` prints them with their metrics.\n");
    for (limit, value) in Limits::TABLE.iter().zip(defaults.limits.values()) {
        let _ = writeln!(out, "\n{}#limits.{} = {value}", comment(limit.what, &limit.takes()), limit.name);
    }
    let _ = writeln!(out, "\n{}#limits.exempt = []", comment(EXEMPT, &Takes::List("networks")));
    out
}

impl Limit {
    const fn takes(&self) -> Takes {
        Takes::Number(self.least..=self.most, self.unit)
    }
}

/// What a setting is, as a comment in lines of at most 120 letters, with a number's bounds.
fn comment(what: &str, takes: &Takes) -> String {
    let bounds = match takes {
        Takes::Number(_, "") | Takes::Share => format!(" A {takes}."),
        Takes::Number(_, unit) => format!(" A {takes}, in {unit}."),
        _ => String::new(),
    };
    let text = format!("{}{bounds}", what.trim());
    let mut lines = vec!["#".to_owned()];
    for word in text.split_whitespace() {
        if lines.last().is_some_and(|line| line.chars().count() + word.chars().count() >= 120) {
            lines.push("#".to_owned());
        }
        if let Some(line) = lines.last_mut() {
            *line += " ";
            *line += word;
        }
    }
    lines.join("\n") + "\n"
}

/// `docs/configuration.md`: every setting, what it takes, its default and its variable.
pub fn reference() -> String {
    let defaults = Config::default();
    let mut out = include_str!("reference.md").to_owned();
    out.push_str("\n## Settings\n\n");
    out.push_str(TABLE_HEAD);
    for Setting { key, takes, doc, show } in SETTINGS {
        row(&mut out, key, takes, &show(&defaults), doc);
    }
    out.push_str("\n## Limits\n\n");
    out.push_str(TABLE_HEAD);
    for limit in Limits::TABLE {
        let key = format!("limits.{}", limit.name);
        row(&mut out, &key, &limit.takes(), &limit.default.to_string(), limit.what);
    }
    row(&mut out, "limits.exempt", &Takes::List("networks"), "[]", EXEMPT);
    out
}

const TABLE_HEAD: &str = "| setting | takes | default | unit | what it is | environment |\n|---|---|---|---|---|---|\n";

fn row(out: &mut String, key: &str, takes: &Takes, default: &str, what: &str) {
    let (unit, what, variable) = (takes.unit(), what.trim(), super::reader::variable(key));
    let _ = writeln!(out, "| `{key}` | {takes} | `{default}` | {unit} | {what} | `{variable}` |");
}
