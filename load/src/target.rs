//! What is measured: a server that runs already, one that is started for the run, or the baseline.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Child,
    sync::Mutex,
};

use crate::{
    client::{Buffers, Dialer, Endpoint, Sources},
    cluster::{Build, Cluster, Shape, node::Node},
    crowd::Ground,
    procfs::{self, Reading, Readings},
    relay::Dialect,
    spawn::{self, Authority, Launch, Limit, Mint, Terms, pinned},
};

const NOT_OURS: &str = "only a single server that was started for the run can be killed";

/// Which server, and on what terms.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// A server that runs already, as `ws://127.0.0.1:8080` or `wss://...`; without it one is started for the run.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The certificate (PEM) to check a wss:// server against.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The process of that server, for its memory and CPU.
    #[arg(long, requires = "url")]
    pid: Option<u32>,
    /// The `deskbell` program to start, or to make tokens with; otherwise the one beside this program.
    #[arg(long, visible_alias = "spawn", value_name = "PATH")]
    deskbell: Option<PathBuf>,
    /// The running server's configuration, for making tokens.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The running server's project. Use an empty one: conversations are written into it.
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// Ready-made visitors' tokens, one a line, instead of making them.
    #[arg(long, value_name = "FILE", requires_all = ["url", "agent_tokens"])]
    visitor_tokens: Option<PathBuf>,
    /// Ready-made agents' tokens, one a line.
    #[arg(long, value_name = "FILE", requires = "visitor_tokens")]
    agent_tokens: Option<PathBuf>,
    /// Start the server (and the baseline) with TLS.
    #[arg(long, conflicts_with = "url")]
    tls: bool,
    /// Folder in which a server that is started keeps its data: choose the disk that matters.
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    data: Option<PathBuf>,
    /// Start the server with this limit instead of the shipped one, as in `ping_after_ms=60000`. May be given several times.
    #[arg(long = "limit", value_name = "NAME=VALUE", conflicts_with_all = ["url", "cluster"])]
    limits: Vec<Limit>,
    /// Start a cluster instead of one server: nodes, their Redis, and PostgreSQL with `fsync`.
    #[arg(long, conflicts_with = "url")]
    cluster: bool,
    /// Nodes of that cluster.
    #[arg(id = "cluster-nodes", long = "nodes", default_value_t = 2, requires = "cluster")]
    nodes: usize,
    /// Keep started servers on the first core and this program on the second.
    #[arg(long)]
    pub(crate) pin: bool,
    /// Over how many source addresses (127.0.0.1, 127.0.0.2 ...) sessions are spread.
    #[arg(long, default_value = "8")]
    sources: Sources,
}

impl Options {
    /// Whether a run starts one server of its own.
    pub(crate) const fn starts_one_server(&self) -> bool {
        self.url.is_none() && !self.cluster
    }

    /// The command line for the `at`th of several processes that do the same, each from addresses of its own.
    pub(crate) fn for_member(&self, at: usize) -> Result<Vec<OsString>> {
        let program = program(self.deskbell.as_deref())?;
        let sources = self.sources.in_network(u8::try_from(at + 1).context("too many processes")?);
        let mut arguments = vec!["--deskbell".into(), program.into(), "--sources".into(), sources.to_string().into()];
        for (name, is_set) in [("--tls", self.tls), ("--pin", self.pin)] {
            arguments.extend(is_set.then(|| name.into()));
        }
        if let Some(data) = &self.data {
            arguments.extend(["--data".into(), data.into()]);
        }
        for limit in &self.limits {
            arguments.extend(["--limit".into(), limit.to_string().into()]);
        }
        Ok(arguments)
    }

    /// Where a crowd can meet at nodes that run already; new projects are made in their database.
    pub(crate) async fn ground(&self, nodes: &[String]) -> Result<Ground> {
        let config = self.config.clone().context("--node needs --config FILE of one of the nodes, to make projects")?;
        let ca = self.ca.as_ref().map(|file| read(file)).transpose()?;
        let nodes: Vec<Endpoint> = nodes.iter().map(|url| Endpoint::parse(url)).collect::<Result<_>>()?;
        let dialer = Dialer::to_any(&nodes, ca.as_deref(), Buffers::TALKING, self.sources)?;
        Ground::prepare(dialer, &Mint::by(program(self.deskbell.as_deref())?, config, String::new())).await
    }
}

/// Session tokens, enough for a scenario; they are used in turn.
pub(crate) struct Tokens {
    pub(crate) visitors: Vec<String>,
    pub(crate) agents: Vec<String>,
}

impl Tokens {
    pub(crate) fn visitor(&self, index: usize) -> &str {
        &self.visitors[index % self.visitors.len()]
    }

    pub(crate) fn agent(&self, index: usize) -> &str {
        &self.agents[index % self.agents.len()]
    }
}

/// A server under measurement, or several that are one. What was started for it ends with it.
pub(crate) struct Target {
    /// Of each node.
    endpoints: Vec<Endpoint>,
    ca: Option<String>,
    sources: Sources,
    dialect: Dialect,
    mint: Option<Mint>,
    origin: Origin,
    folder: Option<TempDir>,
    started_in: Option<Duration>,
}

/// Where it comes from.
enum Origin {
    /// It ran before; its process, if that is known.
    Found(Option<u32>),
    /// It was started.
    Child(Box<Started>),
    /// Another product's, which may have started others in its turn.
    Peer(Box<Mutex<Child>>, u32),
    /// It was started, and what it needs.
    Cluster(Box<Cluster>),
}

/// A process that was started for the run.
struct Started {
    pid: AtomicU32,
    child: Mutex<Child>,
    launch: Option<Launch>,
}

impl Origin {
    fn child(child: Child, launch: Option<Launch>) -> Self {
        let pid = AtomicU32::new(child.id().unwrap_or_default());
        Self::Child(Box::new(Started { pid, child: Mutex::new(child), launch }))
    }
}

impl Target {
    /// The server that the options name or ask to start.
    pub(crate) async fn server(options: &Options) -> Result<Self> {
        match &options.url {
            Some(url) => Self::running(url, options),
            None if options.cluster => Self::cluster(options).await,
            None => Self::started(options).await,
        }
    }

    async fn cluster(options: &Options) -> Result<Self> {
        if options.nodes == 0 {
            bail!("--nodes must be above 0");
        }
        let program = program(options.deskbell.as_deref())?;
        let build = Build {
            program: &program,
            shape: Shape { nodes: options.nodes, postgres: true, redis: true },
            wires: false,
            tls: options.tls,
            pin: options.pin,
            under: options.data.as_deref(),
        };
        let cluster = Cluster::start(build).await?;
        Ok(Self {
            endpoints: cluster.nodes.iter().map(Node::endpoint).collect(),
            ca: cluster.ca().map(str::to_owned),
            sources: options.sources,
            dialect: Dialect::Plain,
            mint: Some(cluster.mint.with_another_project().await?),
            origin: Origin::Cluster(Box::new(cluster)),
            folder: None,
            started_in: None,
        })
    }

    fn running(url: &str, options: &Options) -> Result<Self> {
        let mint = match (&options.visitor_tokens, &options.agent_tokens, &options.config, &options.project) {
            (Some(visitors), Some(agents), ..) => Mint::from_files(visitors, agents)?,
            (_, _, Some(config), Some(project)) => {
                Mint::by(program(options.deskbell.as_deref())?, config.clone(), project.clone())
            }
            _ => bail!(
                "a running server needs --visitor-tokens and --agent-tokens, or --config and --project to make them"
            ),
        };
        let ca = options.ca.as_ref().map(|file| read(file)).transpose()?;
        Ok(Self {
            endpoints: vec![Endpoint::parse(url)?],
            ca,
            sources: options.sources,
            dialect: Dialect::Plain,
            mint: Some(mint),
            origin: Origin::Found(options.pid),
            folder: None,
            started_in: None,
        })
    }

    /// Something that listens within this test, on one address or several; the baseline when it needs no tokens.
    #[cfg(test)]
    pub(crate) fn at(addresses: &[std::net::SocketAddr], mint: Option<Mint>) -> Self {
        Self {
            endpoints: addresses.iter().map(|address| Endpoint { tls: false, address: *address }).collect(),
            ca: None,
            sources: Sources::one(),
            dialect: Dialect::Plain,
            mint,
            origin: Origin::Found(None),
            folder: None,
            started_in: None,
        }
    }

    /// The same, its memory and CPU read of this process.
    #[cfg(test)]
    pub(crate) fn with_pid(self, pid: u32) -> Self {
        Self { origin: Origin::Found(Some(pid)), ..self }
    }

    async fn started(options: &Options) -> Result<Self> {
        let folder = folder(options)?;
        let authority = options.tls.then(Authority::new).transpose()?;
        let certificate = authority.as_ref().map(|authority| authority.issue(folder.path())).transpose()?;
        let terms = Terms { certificate: certificate.as_ref(), limits: &options.limits, ..Terms::default() };
        let plan = spawn::Plan::write(folder.path(), terms)?;
        let mint = Mint::with_new_project(program(options.deskbell.as_deref())?, plan.config.clone()).await?;
        let launch = Launch {
            program: mint.program.clone(),
            config: plan.config,
            admin: plan.admin,
            pin: options.pin,
            log: None,
        };
        let began = Instant::now();
        let child = launch.start().await?;
        let started_in = Some(began.elapsed());
        Ok(Self {
            endpoints: vec![Endpoint { tls: options.tls, address: plan.listen }],
            ca: authority.map(|authority| authority.pem),
            sources: options.sources,
            dialect: Dialect::Plain,
            mint: Some(mint),
            origin: Origin::child(child, Some(launch)),
            folder: Some(folder),
            started_in,
        })
    }

    /// The baseline, as another process of this program, on the same terms as the server.
    pub(crate) async fn baseline(options: &Options) -> Result<Self> {
        let folder = folder(options)?;
        let own = std::env::current_exe().context("failed to find this program")?;
        let mut command = pinned(&own, options.pin);
        command.args(["baseline", "--listen", "127.0.0.1:0"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut ca = None;
        if options.tls {
            let authority = Authority::new()?;
            let files = authority.issue(folder.path())?;
            command.arg("--certificate").arg(&files.chain).arg("--key").arg(&files.key);
            ca = Some(authority.pem);
        }
        let mut child = command.kill_on_drop(true).spawn().context("failed to start the baseline")?;
        let out = child.stdout.take().context("the baseline has no output")?;
        let line = BufReader::new(out).lines().next_line().await?.unwrap_or_default();
        let address = line.strip_prefix("listening ").context("the baseline did not say where it listens")?.parse()?;
        Ok(Self {
            endpoints: vec![Endpoint { tls: options.tls, address }],
            ca,
            sources: options.sources,
            dialect: Dialect::Plain,
            mint: None,
            origin: Origin::child(child, None),
            folder: Some(folder),
            started_in: None,
        })
    }

    /// Another server that relays between pairs: a folder of `load/peers` that says how it is started.
    pub(crate) async fn peer(options: &Options, peer: &Path) -> Result<Self> {
        let (peer, folder) =
            (std::fs::canonicalize(peer).with_context(|| format!("there is no {}", peer.display()))?, folder(options)?);
        let mut command = if peer.join("start.sh").exists() {
            let mut command = pinned(&peer.join("start.sh"), options.pin);
            let address = spawn::free_address()?;
            command.arg(address.ip().to_string()).arg(address.port().to_string()).arg(folder.path());
            command
        } else if peer.join("node_modules").exists() {
            let mut command = pinned(Path::new("node"), options.pin);
            command.arg("server.mjs");
            command
        } else {
            bail!("{0} is not installed: npm ci --prefix {0}", peer.display());
        };
        command.current_dir(&peer).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().context("failed to start the peer")?;
        let out = child.stdout.take().context("the peer has no output")?;
        let line = BufReader::new(out).lines().next_line().await?.context("the peer ended; its lines above say why")?;
        let said: Vec<&str> = line.split(' ').collect();
        let ["listening", addresses @ .., dialect] = said.as_slice() else { bail!("the peer said {line:?}") };
        let mut endpoints = Vec::new();
        for address in addresses {
            let endpoint = Endpoint { tls: false, address: address.parse()? };
            spawn::accepts(endpoint.address, &mut child).await?;
            endpoints.push(endpoint);
        }
        if endpoints.is_empty() {
            bail!("the peer did not say where it listens");
        }
        let pid = child.id().context("the peer has ended")?;
        Ok(Self {
            endpoints,
            ca: None,
            sources: options.sources,
            dialect: Dialect::named(dialect)?,
            mint: None,
            origin: Origin::Peer(Box::new(Mutex::new(child)), pid),
            folder: Some(folder),
            started_in: None,
        })
    }

    pub(crate) fn dialer(&self, buffers: Buffers) -> Result<Dialer> {
        let dialer = Dialer::to_any(&self.endpoints, self.ca.as_deref(), buffers, self.sources)?;
        Ok(dialer.in_dialect(self.dialect))
    }

    /// Where a crowd can meet at this one server.
    pub(crate) async fn ground(&self) -> Result<Ground> {
        let mint = self.mint.as_ref().context("the baseline has no projects")?;
        Ground::prepare(self.dialer(Buffers::TALKING)?, mint).await
    }

    pub(crate) fn is_baseline(&self) -> bool {
        self.mint.is_none()
    }

    /// Tokens for so many visitors and agents' sockets; none for the baseline, which asks for none.
    pub(crate) async fn tokens(&self, visitors: usize, agents: usize) -> Result<Option<Tokens>> {
        match &self.mint {
            Some(mint) => Ok(Some(mint.make(visitors, agents).await?)),
            None => Ok(None),
        }
    }

    /// A token for each of so many agents, all of them different.
    pub(crate) async fn staff(&self, count: usize) -> Result<Vec<String>> {
        self.mint.as_ref().context("the baseline has no agents")?.staff(count).await
    }

    /// Memory and CPU of the server now, or of all nodes together.
    pub(crate) fn read(&self) -> Option<Reading> {
        match &self.origin {
            Origin::Found(pid) => procfs::read((*pid)?),
            Origin::Child(started) => procfs::read(started.pid.load(Ordering::Relaxed)),
            Origin::Peer(_, pid) => procfs::read_family(*pid),
            Origin::Cluster(cluster) => {
                cluster.nodes.iter().map(Node::read).reduce(|all, one| Some(all?.plus(one?)))?
            }
        }
    }

    /// Memory and CPU of each of several processes, by name; of none where there is only one.
    pub(crate) fn read_each(&self) -> Readings {
        match &self.origin {
            Origin::Cluster(cluster) => cluster.read().unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// From the start of the process to its being ready, if it was started for this run.
    pub(crate) fn started_in(&self) -> Option<Duration> {
        self.started_in
    }

    /// How long the disk under the server's data takes for a small write to be safe, 99th percentile.
    pub(crate) fn disk_sync_p99(&self) -> Option<Duration> {
        let folder = match &self.origin {
            Origin::Cluster(cluster) => Some(cluster.folder()),
            _ => self.folder.as_ref().map(TempDir::path),
        };
        folder.and_then(|folder| spawn::disk_sync_p99(folder).ok())
    }

    /// What the data of a server take on the disk.
    pub(crate) fn data_bytes(&self) -> u64 {
        let Some(folder) = &self.folder else { return 0 };
        let files = std::fs::read_dir(folder.path().join("data")).into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).filter(std::fs::Metadata::is_file).map(|file| file.len()).sum()
    }

    /// Kills the server as a crash would, and starts it again on what it has left; returns when it is ready, and how long
    /// after its start that was.
    pub(crate) async fn kill_and_start(&self) -> Result<Duration> {
        let Origin::Child(running) = &self.origin else { bail!(NOT_OURS) };
        let launch = running.launch.as_ref().context(NOT_OURS)?;
        let mut child = running.child.lock().await;
        child.kill().await.context("failed to kill the server")?;
        let began = Instant::now();
        let started = launch.start().await?;
        let ready = began.elapsed();
        running.pid.store(started.id().unwrap_or_default(), Ordering::Relaxed);
        *child = started;
        Ok(ready)
    }

    /// Ends what was started, as an operator would.
    pub(crate) async fn stop(self) -> Result<()> {
        let is_baseline = self.is_baseline();
        match self.origin {
            Origin::Found(_) => {}
            // How another product ends is its own affair.
            Origin::Peer(child, _) => {
                spawn::stop(&mut *child.lock().await).await?;
            }
            Origin::Child(started) => {
                let status = spawn::stop(&mut *started.child.lock().await).await?;
                // The baseline has no orderly end: its signal is its end.
                if !status.success() && !is_baseline {
                    bail!("the server ended with {status}");
                }
            }
            Origin::Cluster(mut cluster) => {
                for node in &mut cluster.nodes {
                    node.stop().await?;
                }
            }
        }
        Ok(())
    }
}

/// The `deskbell` program: the one that is named, or the one beside this program.
pub(crate) fn program(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    let beside = std::env::current_exe().context("failed to find this program")?.with_file_name("deskbell");
    if !beside.exists() {
        bail!("there is no {}: build it (cargo build --release), or give --deskbell PATH", beside.display());
    }
    Ok(beside)
}

fn folder(options: &Options) -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("deskbell-load-");
    let made = match &options.data {
        Some(under) => builder.tempdir_in(under),
        None => builder.tempdir(),
    };
    made.context("failed to make a folder for the run")
}

pub(crate) fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))
}
