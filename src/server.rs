//! Start and stop: the only file that knows all parts.
//!
//! Start: take the ports, open the log, then everything above it, then let people in. Stop: the other way round.

mod signals;
mod upkeep;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::signals::Signals;
use crate::{
    bus::{self, Bus},
    clock::Clock,
    config::{Config, Limits, Origin},
    desk::{
        Desk,
        accounts::{self, Accounts},
    },
    edge::{
        Edge, Site,
        admin::{self, Admin},
        limits::Gate,
        listen::{self, Listening},
        tls::{self, Tls},
    },
    hub::Hub,
    log::{self, Log, OpenAs},
    pressure::{Pressure, Usage},
    session::{self, line::Lines},
    tasks::Tasks,
    telemetry::{self, Metrics},
    trace,
};

/// Open files besides sockets and connections: the database's, the listeners.
const OTHER_FILES: usize = 1_024;
/// How long the last tasks may take when everybody is gone and everything is committed.
const LAST_TASKS: Duration = Duration::from_secs(2);
/// How often a stopping server looks whether everybody is gone.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Why the server does not start, or did not stop in order.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port can't be had.
    #[error("listen on {address} ({key}): {source}")]
    Listen {
        /// The setting.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The certificate is no good.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The log can't be opened.
    #[error("open the log: {0}")]
    Log(#[from] log::Error),
    /// Other nodes can't be reached.
    #[error(transparent)]
    Bus(#[from] bus::Error),
    /// Accounts or keys can't be read.
    #[error("read the accounts: {0}")]
    Accounts(#[from] accounts::Error),
    /// Traces can't be handed over.
    #[error(transparent)]
    Trace(#[from] trace::Error),
    /// Nothing can be counted.
    #[error("start the metrics: {0}")]
    Metrics(String),
    /// Signals can't be heard.
    #[error("listen for signals: {0}")]
    Signals(io::Error),
    /// A second signal came while the first was being obeyed.
    #[error("stop in order: a second signal came")]
    Interrupted,
}

/// A port that is taken, and where it is.
struct Port {
    listener: TcpListener,
    address: SocketAddr,
}

impl Port {
    fn take(key: &'static str, address: SocketAddr) -> Result<Self, Error> {
        let taken = listen::bind(address).and_then(|listener| {
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        });
        taken.map_err(|source| Error::Listen { key, address, source })
    }
}

/// What runs, whether or not the doors are open.
struct Node {
    metrics: Metrics,
    limits: Arc<Limits>,
    tls: Option<Arc<Tls>>,
    gate: Arc<Gate>,
    log: Log,
    bus: Bus,
    sessions: Arc<session::Context>,
    tasks: Tasks,
    own_origins: Vec<Origin>,
}

/// A server whose parts all run, and which lets nobody in yet.
pub struct Prepared {
    begun: Instant,
    signals: Signals,
    public: Port,
    admin: Port,
    node: Node,
}

/// A server that lets people in.
pub struct Running {
    node: Node,
    signals: Signals,
    end: CancellationToken,
    /// Where it listens.
    pub address: SocketAddr,
    /// How the outside reaches it.
    pub public_url: Origin,
    /// Where health and metrics are.
    pub admin_address: SocketAddr,
    /// How long the start took.
    pub ready_after: Duration,
}

/// Starts everything but the doors. `begun` is when the program began.
pub async fn prepare(config: &Config, begun: Instant) -> Result<Prepared, Error> {
    // First: a signal that comes while it starts is obeyed when it has, and SIGHUP does not kill it.
    let signals = Signals::listen(config.tls.is_none()).map_err(Error::Signals)?;
    let files = raise_open_files(config.limits.sockets_per_node + config.limits.connections_per_node);
    let public = Port::take("listen", config.listen)?;
    let admin = Port::take("admin.listen", config.admin_listen)?;
    let system = Usage { memory_bytes: telemetry::memory_bytes(), open_files: files, commit_ms: 0 };
    let pressure = Arc::new(Pressure::new(Usage::bounds(&config.limits, system)));
    let node = Node::start(config, own_origins(config, public.address), pressure).await?;
    Ok(Prepared { begun, signals, public, admin, node })
}

/// A socket is an open file, and most systems start a program with 1,024 of them. As many as the system lets it have.
/// How many that is; 0 where it does not say.
fn raise_open_files(sockets: usize) -> u64 {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files) => {
            if usize::try_from(files).is_ok_and(|files| files < sockets + OTHER_FILES) {
                tracing::warn!(
                    files,
                    sockets,
                    "the system lets this program open fewer files than limits.sockets_per_node and limits.connections_per_node"
                );
            }
            files
        }
        Err(error) => {
            tracing::warn!(%error, "failed to raise the limit of open files");
            0
        }
    }
}

impl Node {
    async fn start(config: &Config, own_origins: Vec<Origin>, pressure: Arc<Pressure>) -> Result<Self, Error> {
        let limits = Arc::new(config.limits.clone());
        let tls = Tls::of(config)?;
        let metrics = Metrics::start().map_err(|error| Error::Metrics(error.to_string()))?;
        let (clock, tasks) = (Clock::system(), Tasks::new());
        let log = Log::open(log_options(config, OpenAs::Server), clock.clone(), &tasks).await?;
        let bus = open_bus(config, &log, &clock, &tasks).await?;
        trace::start(config, bus.node(), &tasks)?;
        let options = accounts::Options {
            token_ttl_s: config.token_ttl_s,
            own_origins: own_origins.clone(),
            limits: Arc::clone(&limits),
        };
        upkeep::watch_certificate(config, &clock, &tasks);
        let accounts = Arc::new(Accounts::open(log.clone(), bus.clone(), clock.clone(), options).await?);
        let hub = Hub::start(log.clone(), bus.clone(), clock.clone(), tasks.clone());
        let desk = Desk::start(log.clone(), bus.clone(), clock.clone(), tasks.clone(), &limits, Arc::clone(&pressure));
        let gate = Gate::new(Arc::clone(&limits), config.trusted_proxies.clone(), config.proxy_protocol, clock.clone());
        let sessions = Arc::new(session::Context {
            desk,
            hub,
            accounts,
            limits: Arc::clone(&limits),
            greetings: Arc::new(Lines::new(&limits)),
            pressure,
            clock,
            tasks: tasks.clone(),
            drain: CancellationToken::new(),
        });
        Ok(Self { metrics, limits, tls, gate, log, bus, sessions, tasks, own_origins })
    }
}

/// The bus that a configuration names. One that can't be reached is an error, never a node that works alone beside others.
async fn open_bus(config: &Config, log: &Log, clock: &Clock, tasks: &Tasks) -> Result<Bus, Error> {
    if !config.has_redis() {
        return Ok(Bus::local());
    }
    let secret = log.secret("bus").await?;
    Ok(Bus::connect(&config.redis_url, &secret, clock.clone(), tasks).await?)
}

/// The log that a configuration names.
pub fn log_options(config: &Config, role: OpenAs) -> log::Options {
    log::Options {
        url: config.database_url.clone(),
        data_dir: config.data_dir.clone(),
        readers: config.database_pool,
        role,
    }
}

/// Where this server is: at its configured address. Only one that has none, or a loopback one, is also this machine by each
/// of its names: to the visitors of a public server `localhost` is a machine of their own, where anything may listen.
fn own_origins(config: &Config, bound: SocketAddr) -> Vec<Origin> {
    let mut origins: Vec<Origin> = config.public_url.iter().cloned().collect();
    let is_public = origins.iter().any(|url| !url.is_loopback());
    if is_public || !bound.ip().is_loopback() {
        return origins;
    }
    let https = config.has_tls();
    let scheme = if https { "https" } else { "http" };
    let names = ["127.0.0.1", "localhost", "[::1]"].map(|name| format!("{scheme}://{name}:{}", bound.port()));
    let names = names.iter().filter_map(|name| name.parse().ok());
    for origin in std::iter::once(Origin::of_address(bound, https)).chain(names) {
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    origins
}

impl Prepared {
    /// The accounts, for what must be there before anybody comes in.
    pub fn accounts(&self) -> &Accounts {
        &self.node.sessions.accounts
    }

    /// All addresses of the server itself; the first is how the outside reaches it.
    pub fn own_origins(&self) -> &[Origin] {
        &self.node.own_origins
    }

    /// Opens the doors. `demo` is the public key of the project whose demo page is shown.
    pub fn open(self, demo: Option<String>) -> Running {
        let Self { begun, signals, public, admin, node } = self;
        let public_url = node.own_origins.first().cloned().unwrap_or_else(|| Origin::of_address(public.address, false));
        let site = Site {
            public_url: public_url.clone(),
            own_origins: node.own_origins.clone(),
            port: public.address.port(),
            demo,
        };
        let edge = Edge::new(Arc::clone(&node.sessions), Arc::clone(&node.gate), node.tasks.clone(), site);
        let health = Admin {
            log: node.log.clone(),
            bus: node.bus.health(),
            metrics: node.metrics.clone(),
            drain: node.sessions.drain.clone(),
        };
        let end = CancellationToken::new();
        node.listen(public.listener, edge.routes(), Some(&node.gate), &node.sessions.drain, &end);
        // Readiness is asked for until the last moment: the admin listener stays open while the public one drains.
        node.listen(admin.listener, admin::routes(health), None, &end, &end);
        if let Some(tls) = &node.tls {
            tls.watch(&node.tasks);
        }
        upkeep::hear_control(&node.sessions, &node.tasks);
        upkeep::tidy(&node.sessions, &node.tasks);
        upkeep::measure(&node.sessions, &node.metrics, &node.tasks);
        upkeep::watch_pressure(&node.sessions.pressure, &node.log, &node.gate, &node.tasks);
        let ready_after = begun.elapsed();
        tracing::info!(ready_ms = millis(ready_after), "ready");
        Running { node, signals, end, address: public.address, public_url, admin_address: admin.address, ready_after }
    }
}

impl Node {
    /// Answers a listener's connections. With a gate it is the public one, which counts them and may speak TLS.
    fn listen(
        &self,
        listener: TcpListener,
        routes: Router,
        gate: Option<&Arc<Gate>>,
        drain: &CancellationToken,
        end: &CancellationToken,
    ) {
        let listening = Listening {
            routes,
            tls: gate.and(self.tls.clone()),
            greetings: Arc::clone(&self.sessions.greetings),
            gate: gate.cloned(),
            limits: Arc::clone(&self.limits),
            tasks: self.tasks.clone(),
            drain: drain.clone(),
            end: end.clone(),
        };
        self.tasks.spawn(listening.accept(listener));
    }

    /// Accepts nobody more, tells all sessions to go, and waits for them. How many had to be cut.
    async fn drain(&self) -> usize {
        metrics::gauge!("deskbell_draining").set(1.0);
        self.sessions.drain.cancel();
        let until = Instant::now() + Duration::from_millis(self.limits.drain_ms);
        while self.gate.sockets() > 0 && Instant::now() < until {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.gate.sockets()
    }
}

impl Running {
    /// Serves until a signal says stop, then stops in order. A second signal ends it at once.
    pub async fn until_stopped(mut self) -> Result<(), Error> {
        self.signals.stop().await;
        let mut second = self.signals;
        let stopping = stop(&self.node, &self.end);
        tokio::select! {
            () = stopping => Ok(()),
            () = second.stop() => Err(Error::Interrupted),
        }
    }
}

async fn stop(node: &Node, end: &CancellationToken) {
    let begun = Instant::now();
    tracing::info!(sessions = node.gate.sockets(), "stopping");
    let cut = node.drain().await;
    end.cancel();
    node.tasks.stop();
    node.sessions.desk.write_marks().await;
    node.log.close().await;
    let unfinished = node.tasks.wait(LAST_TASKS).await;
    metrics::counter!("deskbell_sessions_cut_total").increment(u64::try_from(cut).unwrap_or(u64::MAX));
    tracing::info!(cut, unfinished, took_ms = millis(begun.elapsed()), "stopped");
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_server_knows_all_its_names() {
        let names = |config: &Config, bound: &str| {
            let origins = own_origins(config, bound.parse().unwrap());
            origins.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let plain = Config::default();
        assert_eq!(
            names(&plain, "127.0.0.1:8080"),
            ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"]
        );
        let with_url = |url: &str| Config { public_url: url.parse().ok(), ..Config::default() };
        let public = with_url("https://chat.example.org");
        assert_eq!(names(&public, "10.0.0.5:80"), ["https://chat.example.org"]);
        assert_eq!(names(&public, "127.0.0.1:8080"), ["https://chat.example.org"], "behind a proxy");
        let local = with_url("http://desk.localhost:8080");
        assert_eq!(names(&local, "127.0.0.1:8080").len(), 4);
        assert_eq!(names(&local, "0.0.0.0:8080"), ["http://desk.localhost:8080"]);
    }
}
