//! A server for one run: its folder, configuration, certificate, project and tokens, all made by its own command line.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    io::Write as _,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    str::FromStr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::{Child, Command},
};

use crate::{
    flights::{histogram, micros},
    target::{Tokens, read},
};

/// Sockets of one agent: the server's own default limit.
const SOCKETS_PER_AGENT: usize = 50;
/// How long a server may take to start. The goal is 200 ms; this is for a database of millions.
const STARTING: Duration = Duration::from_mins(1);
/// How long a process may take to end after it was asked to: the server's own drain takes at most ten seconds.
const STOPPING: Duration = Duration::from_secs(15);

/// Where a server for one run listens and what it was told.
pub(crate) struct Plan {
    pub(crate) config: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// Limits that exist to stop a crowd from one address, or one person from writing faster than people do.
const RAISED: [(&str, u64); 4] = [
    ("writes_per_second", 1_000_000),
    ("write_burst", 1_000_000),
    ("sockets_per_project", 2_000_000),
    ("sockets_per_node", 2_000_000),
];

/// A limit by name, and what it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    name: String,
    value: u64,
}

impl FromStr for Limit {
    type Err = anyhow::Error;

    /// Reads `ping_after_ms=60000`; the server knows which names there are.
    fn from_str(text: &str) -> Result<Self> {
        let (name, value) = text.split_once('=').context("a limit is given as NAME=VALUE")?;
        let value = value.parse().with_context(|| format!("{value:?} is no whole number"))?;
        Ok(Self { name: name.to_owned(), value })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={}", self.name, self.value)
    }
}

/// On what terms a server runs.
#[derive(Clone, Copy, Default)]
pub(crate) struct Terms<'a> {
    /// With TLS.
    pub(crate) certificate: Option<&'a Certificate>,
    /// Another log than the folder's own.
    pub(crate) database: Option<&'a str>,
    /// The bus of a cluster.
    pub(crate) redis: Option<&'a str>,
    /// Limits that are not as shipped.
    pub(crate) limits: &'a [Limit],
}

impl Plan {
    /// Writes the configuration into `folder`. Some limits are [`RAISED`]; queues, timeouts and everything that protects memory
    /// stay as shipped, unless the terms say otherwise.
    pub(crate) fn write(folder: &Path, terms: Terms<'_>) -> Result<Self> {
        let (listen, admin) = (free_address()?, free_address()?);
        let scheme = if terms.certificate.is_some() { "https" } else { "http" };
        let mut text = format!(
            "listen = \"{listen}\"\npublic_url = \"{scheme}://{listen}\"\ndata_dir = \"{data}\"\n\n\
             [admin]\nlisten = \"{admin}\"\n\n[log]\nlevel = \"warn\"\n\n[tokens]\nttl_s = 3600\n\n\
             [limits]\nexempt = [\"127.0.0.0/8\"]\n",
            data = folder.join("data").display(),
        );
        let chosen = terms.limits.iter().map(|limit| (limit.name.as_str(), limit.value));
        let limits: BTreeMap<_, _> = RAISED.into_iter().chain(chosen).collect();
        for (name, value) in limits {
            writeln!(text, "{name} = {value}")?;
        }
        if let Some(files) = terms.certificate {
            let (chain, key) = (files.chain.display(), files.key.display());
            write!(text, "\n[tls]\ncert_file = \"{chain}\"\nkey_file = \"{key}\"\n")?;
        }
        for (section, url) in [("database", terms.database), ("redis", terms.redis)] {
            if let Some(url) = url {
                write!(text, "\n[{section}]\nurl = \"{url}\"\n")?;
            }
        }
        let config = folder.join("deskbell.toml");
        std::fs::write(&config, text)?;
        Ok(Self { config, listen, admin })
    }
}

/// An address that nobody listens at just now.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0").context("failed to find a free port")?.local_addr()?)
}

/// Who signs the certificates of a run; only the run trusts it.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// What clients check servers against.
    pub(crate) pem: String,
}

/// A certificate for this machine.
pub(crate) struct Certificate {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// Writes a new certificate into `folder`, over one that is there. Whoever reads meanwhile sees the old file or the new
    /// one, never half of it.
    pub(crate) fn issue(&self, folder: &Path) -> Result<Certificate> {
        let key = KeyPair::generate()?;
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        let made = Certificate { chain: folder.join("cert.pem"), key: folder.join("key.pem") };
        let pem = params.signed_by(&key, &self.issuer)?.pem();
        for (path, text) in [(&made.key, key.serialize_pem()), (&made.chain, pem)] {
            let new = path.with_extension("new");
            std::fs::write(&new, text)?;
            std::fs::rename(&new, path)?;
        }
        Ok(made)
    }
}

/// How a server is started, and started again.
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) config: PathBuf,
    pub(crate) admin: SocketAddr,
    pub(crate) pin: bool,
    /// Where its log lines go; otherwise to this program's.
    pub(crate) log: Option<PathBuf>,
}

impl Launch {
    /// Returns when it is ready.
    pub(crate) async fn start(&self) -> Result<Child> {
        let mut child = self.start_unready()?;
        ready(self.admin, &mut child).await?;
        Ok(child)
    }

    /// Returns at once.
    pub(crate) fn start_unready(&self) -> Result<Child> {
        let mut command = pinned(&self.program, self.pin);
        command.arg("serve").arg("--config").arg(&self.config).stdin(Stdio::null()).stdout(Stdio::null());
        if let Some(path) = &self.log {
            let log = std::fs::File::options().create(true).append(true).open(path)?;
            command.stdout(log.try_clone()?).stderr(log);
        }
        command.kill_on_drop(true).spawn().context("failed to start the server")
    }
}

/// A program on the first core, where that is wanted.
pub(crate) fn pinned(program: &Path, pin: bool) -> Command {
    if !pin {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program);
    command
}

/// Sends a signal to a child that runs.
pub(crate) async fn signal(child: &Child, name: &str) -> Result<()> {
    let pid = child.id().context("the process has ended")?.to_string();
    let status =
        Command::new("kill").arg(format!("-{name}")).arg(pid).status().await.context("failed to run `kill`")?;
    if !status.success() {
        bail!("`kill -{name}` ended with {status}");
    }
    Ok(())
}

/// Ends a server as an operator would; how it ended.
pub(crate) async fn stop(child: &mut Child) -> Result<ExitStatus> {
    if child.id().is_some() {
        signal(child, "TERM").await?;
    }
    let Ok(status) = tokio::time::timeout(STOPPING, child.wait()).await else {
        child.kill().await?;
        bail!("the server did not stop within {} s of SIGTERM", STOPPING.as_secs());
    };
    Ok(status?)
}

/// Returns when the admin listener's `/readyz` says 200.
pub(crate) async fn ready(admin: SocketAddr, child: &mut Child) -> Result<()> {
    let end = Instant::now() + STARTING;
    while Instant::now() < end {
        if is_ready(admin).await {
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            bail!("the server ended with {status} before it was ready");
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    bail!("the server was not ready within {} s", STARTING.as_secs())
}

/// Returns when somebody takes connections at this address.
pub(crate) async fn accepts(address: SocketAddr, child: &mut Child) -> Result<()> {
    let end = Instant::now() + STARTING;
    while TcpStream::connect(address).await.is_err() {
        if let Some(status) = child.try_wait()? {
            bail!("it ended with {status} before it listened at {address}");
        }
        if Instant::now() > end {
            bail!("nobody listens at {address} after {} s", STARTING.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

pub(crate) async fn is_ready(admin: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(admin).await?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await?;
        std::io::Result::Ok(answer.ends_with(b" 200"))
    };
    ask.await.unwrap_or(false)
}

/// The source of tokens: the server's own command line, or files.
pub(crate) struct Mint {
    pub(crate) program: PathBuf,
    config: PathBuf,
    project: String,
    /// Agents that were made before: their sockets are filled up first.
    agents: Mutex<Vec<String>>,
    ready_made: Option<(Vec<String>, Vec<String>)>,
}

impl Mint {
    /// Tokens that somebody made before.
    pub(crate) fn from_files(visitors: &Path, agents: &Path) -> Result<Self> {
        let lines = |file: &Path| Ok::<_, anyhow::Error>(read(file)?.lines().map(str::to_owned).collect::<Vec<_>>());
        Ok(Self::ready_made(lines(visitors)?, lines(agents)?))
    }

    /// Tokens that are at hand.
    pub(crate) fn ready_made(visitors: Vec<String>, agents: Vec<String>) -> Self {
        let ready_made = Some((visitors, agents));
        Self { ready_made, ..Self::by(PathBuf::new(), PathBuf::new(), String::new()) }
    }

    /// Makes tokens for a project that exists.
    pub(crate) fn by(program: PathBuf, config: PathBuf, project: String) -> Self {
        Self { program, config, project, agents: Mutex::default(), ready_made: None }
    }

    /// Makes a project, and tokens for it.
    pub(crate) async fn with_new_project(program: PathBuf, config: PathBuf) -> Result<Self> {
        Self::by(program, config, String::new()).with_another_project().await
    }

    /// Makes another project in the same database.
    pub(crate) async fn with_another_project(&self) -> Result<Self> {
        let arguments = ["project", "create", "--name", "load", "--origin", "http://127.0.0.1", "--json"];
        let made: serde_json::Value = serde_json::from_str(&self.run(&arguments, "").await?)?;
        let project = made["project"].as_str().context("`project create` gave no project")?;
        Ok(Self::by(self.program.clone(), self.config.clone(), project.to_owned()))
    }

    /// Tokens for so many visitors, each one of its own, and for so many sockets of agents.
    pub(crate) async fn make(&self, visitors: usize, agents: usize) -> Result<Tokens> {
        let tokens = match &self.ready_made {
            Some((visitors, agents)) => Tokens { visitors: visitors.clone(), agents: agents.clone() },
            None => {
                Tokens { visitors: self.tokens("visitor", None, visitors).await?, agents: self.agents(agents).await? }
            }
        };
        if (visitors > 0 && tokens.visitors.is_empty()) || (agents > 0 && tokens.agents.is_empty()) {
            bail!("there are no tokens");
        }
        Ok(tokens)
    }

    async fn agents(&self, sockets: usize) -> Result<Vec<String>> {
        let mut tokens = Vec::new();
        while tokens.len() < sockets {
            let known = self.agents.lock().get(tokens.len() / SOCKETS_PER_AGENT).cloned();
            let agent = match known {
                Some(agent) => agent,
                None => self.new_agent().await?,
            };
            let count = SOCKETS_PER_AGENT.min(sockets - tokens.len());
            tokens.extend(self.tokens("agent", Some(&agent), count).await?);
        }
        Ok(tokens)
    }

    /// A token for each of so many agents, all of them different.
    pub(crate) async fn staff(&self, count: usize) -> Result<Vec<String>> {
        if let Some((_, agents)) = &self.ready_made {
            return Ok(agents.iter().take(count).cloned().collect());
        }
        let mut tokens = Vec::new();
        for _ in 0..count {
            let agent = self.new_agent().await?;
            tokens.extend(self.tokens("agent", Some(&agent), 1).await?);
        }
        Ok(tokens)
    }

    async fn new_agent(&self) -> Result<String> {
        let email = format!("load-{:016x}@example.org", rand::random::<u64>());
        let create = ["agent", "create", "--project", &self.project, "--email", &email, "--name", "Load"];
        let terms = ["--role", "agent", "--password-stdin", "--json"];
        let made = self.run(&[&create[..], &terms].concat(), "a measured length of rope\n").await?;
        let made: serde_json::Value = serde_json::from_str(&made)?;
        let agent = made["agent"].as_str().context("`agent create` gave no agent")?;
        self.agents.lock().push(agent.to_owned());
        Ok(agent.to_owned())
    }

    async fn tokens(&self, kind: &str, agent: Option<&str>, count: usize) -> Result<Vec<String>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let count = count.to_string();
        let mut arguments = vec!["token", "--project", &self.project, "--kind", kind, "--count", &count];
        if let Some(agent) = agent {
            arguments.extend(["--agent", agent]);
        }
        Ok(self.run(&arguments, "").await?.lines().map(str::to_owned).collect())
    }

    /// Runs the command line and returns what it prints.
    async fn run(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--config").arg(&self.config);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("failed to run {}", self.program.display()))?;
        let mut stdin = child.stdin.take().context("no way to talk to the command")?;
        stdin.write_all(input.as_bytes()).await?;
        drop(stdin);
        let output = child.wait_with_output().await?;
        if !output.status.success() {
            let what = arguments.iter().take(2).copied().collect::<Vec<_>>().join(" ");
            bail!("`deskbell {what}` ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// Appends 4 KiB and makes it durable, 300 times: what a commit can't be faster than.
pub(crate) fn disk_sync_p99(folder: &Path) -> Result<Duration> {
    let mut file = tempfile::tempfile_in(folder)?;
    let mut times = histogram();
    for _ in 0..300 {
        let start = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.saturating_record(micros(start.elapsed()));
    }
    Ok(Duration::from_micros(times.value_at_quantile(0.99)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_given_replaces_the_raised_one() {
        let folder = tempfile::tempdir().unwrap();
        let limits = ["ping_after_ms=100000", "write_burst=5"].map(|text| text.parse().unwrap());
        let plan = Plan::write(folder.path(), Terms { limits: &limits, ..Terms::default() }).unwrap();
        let written: toml::Table = read(&plan.config).unwrap().parse().unwrap();
        let limit = |name: &str| written["limits"][name].as_integer();
        assert_eq!([limit("ping_after_ms"), limit("write_burst")], [Some(100_000), Some(5)]);
        assert_eq!(limit("sockets_per_node"), Some(2_000_000));
        assert!("ping_after_ms".parse::<Limit>().is_err() && "write_burst=many".parse::<Limit>().is_err());
    }
}
