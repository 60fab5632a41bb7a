//! Log lines and metrics. Nothing that a person typed goes into either.

pub mod hot;
pub mod sparing;

use std::io::IsTerminal as _;

use metrics::{Gauge, Unit};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::filter_fn, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::{
    config::{Config, Limits, LogFormat},
    protocol::close::CloseCode,
};

/// Starts writing log lines to standard error. A second call changes nothing.
pub fn start_logging(config: &Config) {
    let filter = EnvFilter::try_new(&config.log_level).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match config.log_format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let started = tracing_subscriber::registry().with(lines).with(filter).with(filter_fn(may_be_said)).try_init();
    // Fails where a subscriber is set already, as in a test that starts two servers: the first one serves both.
    drop(started);
}

/// Whether a line may be written, whatever filter is configured. Of this program's own, all: they hold nothing that somebody
/// typed. Of libraries, warnings and errors only: at `trace`, the WebSocket library prints whole frames, with messages,
/// drafts and tokens in them, and others print headers.
fn may_be_said(line: &Metadata<'_>) -> bool {
    let own = line.target().split("::").next() == Some(env!("CARGO_PKG_NAME"));
    own || *line.level() <= Level::WARN
}

/// The metrics of this process, rendered on demand. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

/// Seconds from a tenth of a millisecond, where a commit to memory is, to ten, where clients have given up.
const SECONDS: &[f64] =
    &[0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Sizes of commit groups.
const SIZES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// Name, unit and meaning of what `/metrics` shows.
const COUNTERS: &[(&str, Unit, &str)] = &[
    ("deskbell_handshakes_total", Unit::Count, "WebSocket handshakes, by outcome"),
    ("deskbell_tls_handshakes_total", Unit::Count, "TLS handshakes, by outcome"),
    ("deskbell_frames_received_total", Unit::Count, "frames from clients"),
    ("deskbell_frames_sent_total", Unit::Count, "frames to clients"),
    ("deskbell_received_bytes_total", Unit::Bytes, "bytes of frames from clients"),
    ("deskbell_sent_bytes_total", Unit::Bytes, "bytes of frames to clients"),
    ("deskbell_entries_appended_total", Unit::Count, "entries committed to the log"),
    ("deskbell_commit_conflicts_total", Unit::Count, "groups tried again because they met another node's"),
    ("deskbell_slow_consumers_total", Unit::Count, "sessions closed because they read too slowly"),
    ("deskbell_resumes_total", Unit::Count, "conversations resumed, by outcome"),
    ("deskbell_handed_back_total", Unit::Count, "conversations taken back from agents who were gone"),
    ("deskbell_gaps_repaired_total", Unit::Count, "holes in a sequence healed from the log"),
    ("deskbell_bus_publishes_total", Unit::Count, "messages given to the bus"),
    ("deskbell_bus_receives_total", Unit::Count, "messages taken from the bus"),
    ("deskbell_bus_remote_total", Unit::Count, "messages of other nodes, of those taken from the bus"),
    ("deskbell_bus_lost_total", Unit::Count, "messages dropped between nodes and read from the log instead, by where"),
    ("deskbell_bus_skipped_total", Unit::Count, "messages of others that were not taken, by why"),
    ("deskbell_bus_reconnects_total", Unit::Count, "connections to Redis made again, by connection"),
    (
        "deskbell_bus_head_checks_total",
        Unit::Count,
        "conversations looked up in the log because messages may have been missed",
    ),
    ("deskbell_pings_total", Unit::Count, "pings to silent clients"),
    ("deskbell_closes_total", Unit::Count, "sockets closed by the server, by reason"),
    ("deskbell_refusals_total", Unit::Count, "how often each limit held"),
    ("deskbell_logins_total", Unit::Count, "sign-ins of agents, by outcome"),
    ("deskbell_sessions_cut_total", Unit::Count, "sessions still open when a stop ran out of time"),
    ("deskbell_http_requests_total", Unit::Count, "HTTP requests, by route and status"),
    ("deskbell_certificate_reloads_total", Unit::Count, "certificate files taken up or refused, by outcome"),
    ("deskbell_trace_spans_total", Unit::Count, "parts of traces, handed to the collector or lost, by outcome"),
];
/// What stands at zero from the start, beside limits and closes: a counter that alerts and graphs ask for must be there before
/// the first time. Name, label and its values.
const ZEROS: &[(&str, &str, &[&str])] = &[
    ("deskbell_certificate_reloads_total", "outcome", &["taken_up", "refused"]),
    ("deskbell_logins_total", "outcome", &["signed_in", "refused", "rate_limited"]),
    ("deskbell_resumes_total", "outcome", &["fresh", "resumed", "reset"]),
    ("deskbell_bus_lost_total", "where", &["publish", "receive"]),
    ("deskbell_trace_spans_total", "outcome", &["exported", "lost"]),
];
/// The same without labels.
const PLAIN_ZEROS: &[&str] = &[
    "deskbell_entries_appended_total",
    "deskbell_commit_conflicts_total",
    "deskbell_slow_consumers_total",
    "deskbell_gaps_repaired_total",
    "deskbell_bus_publishes_total",
    "deskbell_bus_remote_total",
];
const GAUGES: &[(&str, Unit, &str)] = &[
    ("deskbell_sessions", Unit::Count, "sockets, by kind"),
    ("deskbell_visitors_online", Unit::Count, "sessions of visitors on all nodes, by project"),
    ("deskbell_conversations_waiting", Unit::Count, "conversations in line for an agent, on all nodes, by project"),
    ("deskbell_greetings_waiting", Unit::Count, "sockets that said `connect` and wait their turn"),
    (
        "deskbell_handshakes_held_back",
        Unit::Count,
        "connections that wait before their TLS handshake for that line to be shorter",
    ),
    ("deskbell_connections", Unit::Count, "TCP connections of the public listener"),
    ("deskbell_outbox_bytes", Unit::Bytes, "bytes waiting to be written to clients"),
    ("deskbell_open_file_descriptors", Unit::Count, "file descriptors in use"),
    ("deskbell_resident_bytes", Unit::Bytes, "memory in use"),
    ("deskbell_certificate_expires_seconds", Unit::Seconds, "when the certificate ends, since 1970"),
    ("deskbell_log_down", Unit::Count, "1 while messages can't be stored"),
    ("deskbell_bus_deaf", Unit::Count, "1 while other nodes are not heard"),
    ("deskbell_bus_channels", Unit::Count, "channels of Redis that are subscribed"),
    (
        "deskbell_shedding",
        Unit::Count,
        "what is left out to keep chats going: 0 nothing, 1 places in line, 2 new visitors, too",
    ),
    ("deskbell_draining", Unit::Count, "1 while the node is being stopped"),
];
const HISTOGRAMS: &[(&str, Unit, &str)] = &[
    ("deskbell_bus_probe_seconds", Unit::Seconds, "from a word to this node itself to its return by Redis"),
    ("deskbell_append_seconds", Unit::Seconds, "from an append to its commit"),
    ("deskbell_commit_seconds", Unit::Seconds, "one commit; with PostgreSQL mostly the whole of what is written in it"),
    ("deskbell_commit_group_entries", Unit::Count, "entries in one commit"),
    ("deskbell_accept_to_ack_seconds", Unit::Seconds, "from the arrival of a command that writes to its answer"),
    (
        "deskbell_accept_to_delivered_seconds",
        Unit::Seconds,
        "from a command's decision to its entries in the outboxes of this node",
    ),
    ("deskbell_http_request_seconds", Unit::Seconds, "from a request's head to its answer's head"),
];

impl Metrics {
    /// Starts counting; once per process.
    pub fn start() -> Result<Self, BuildError> {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
            .set_buckets_for_metric(Matcher::Suffix("_entries".to_owned()), SIZES)?
            .install_recorder()?;
        for (name, unit, what) in COUNTERS {
            metrics::describe_counter!(*name, *unit, *what);
        }
        for (name, unit, what) in GAUGES {
            metrics::describe_gauge!(*name, *unit, *what);
        }
        for (name, unit, what) in HISTOGRAMS {
            metrics::describe_histogram!(*name, *unit, *what);
        }
        // From the start at zero, so that a first refusal is a rise and not a new series.
        for limit in Limits::TABLE {
            metrics::counter!("deskbell_refusals_total", "limit" => limit.name).increment(0);
            if !limit.metric.contains('{') {
                metrics::counter!(limit.metric).increment(0);
            }
        }
        for name in PLAIN_ZEROS {
            metrics::counter!(*name).increment(0);
        }
        for name in
            ["deskbell_bus_deaf", "deskbell_draining", "deskbell_greetings_waiting", "deskbell_handshakes_held_back"]
        {
            metrics::gauge!(name).set(0);
        }
        for (name, label, values) in ZEROS {
            for value in *values {
                metrics::counter!(*name, *label => *value).increment(0);
            }
        }
        for code in CloseCode::ALL {
            metrics::counter!("deskbell_closes_total", "reason" => code.reason()).increment(0);
        }
        Ok(Self { handle })
    }

    /// What `/metrics` answers, in Prometheus' text format.
    pub fn render(&self) -> String {
        metrics::gauge!("deskbell_open_file_descriptors").set(descriptors());
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; exact up to 9 PB")]
        metrics::gauge!("deskbell_resident_bytes").set(resident_bytes() as f64);
        self.handle.render()
    }

    /// Folds what was measured into the histograms; without it they grow until somebody asks for `/metrics`.
    pub fn fold(&self) {
        self.handle.run_upkeep();
    }
}

/// Memory in use, in bytes; 0 where the system does not say.
pub fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    // Pages of 4 KiB: what Linux uses on x86-64 and, nearly everywhere, on ARM.
    pages * 4_096
}

/// The memory that there is for this program, in bytes: the container's, or the machine's. 0 where the system does not say.
pub fn memory_bytes() -> u64 {
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let of_machine = || {
        let about = std::fs::read_to_string("/proc/meminfo").ok()?;
        let line = about.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1_024)
    };
    let container = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let least = container.iter().filter_map(|path| number(path)).chain(of_machine()).min();
    least.unwrap_or(0)
}

/// Counts that a limit held.
pub fn refused(limit: &'static str) {
    metrics::counter!("deskbell_refusals_total", "limit" => limit).increment(1);
}

/// One more in a gauge, while it lives.
#[derive(Debug)]
pub struct Counted(&'static Gauge);

impl Counted {
    /// Counts it from now on.
    #[must_use = "what is dropped counts no more"]
    pub fn by(gauge: &'static Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// How many files are open; zero where the kernel does not say.
fn descriptors() -> f64 {
    let count = open_files(std::process::id());
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// How many files a process has open; zero where the kernel does not say.
pub fn open_files(pid: u32) -> u64 {
    let folder = format!("/proc/{pid}/fd");
    // Since Linux 6.2 the folder's size. Before, it is 0, and each is looked at: with as many as there may be sessions, that takes the
    // time of thousands of messages.
    let told = std::fs::metadata(&folder).map_or(0, |folder| folder.len());
    if told > 0 { told } else { std::fs::read_dir(&folder).map_or(0, |entries| entries.count() as u64) }
}
