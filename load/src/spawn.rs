//! A server for one run: its folder, configuration, certificate, project and tokens, all made by its own command line.

use std::{
    fmt::Write as _,
    io::Write as _,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
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

/// Where a server for one run listens and what it was told.
pub(crate) struct Plan {
    pub(crate) config: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// PEM, with TLS.
    pub(crate) certificate: Option<String>,
}

impl Plan {
    /// Writes the configuration into `folder`. Limits that exist to stop a crowd from one address, or one person from
    /// writing faster than people do, are raised; queues, timeouts and everything that protects memory stay as shipped.
    pub(crate) fn write(folder: &Path, tls: bool) -> Result<Self> {
        let (listen, admin) = (free_address()?, free_address()?);
        let scheme = if tls { "https" } else { "http" };
        let mut text = format!(
            "listen = \"{listen}\"\npublic_url = \"{scheme}://{listen}\"\ndata_dir = \"{data}\"\n\n\
             [admin]\nlisten = \"{admin}\"\n\n[log]\nlevel = \"warn\"\n\n[tokens]\nttl_s = 3600\n\n\
             [limits]\nexempt = [\"127.0.0.0/8\"]\nwrites_per_second = 1000000\nwrite_burst = 1000000\n\
             sockets_per_project = 2000000\nsockets_per_node = 2000000\n",
            data = folder.join("data").display(),
        );
        let mut certificate = None;
        if tls {
            let files = Certificate::write(folder)?;
            let (chain, key) = (files.chain.display(), files.key.display());
            write!(text, "\n[tls]\ncert_file = \"{chain}\"\nkey_file = \"{key}\"\n")?;
            certificate = Some(files.pem);
        }
        let config = folder.join("deskbell.toml");
        std::fs::write(&config, text)?;
        Ok(Self { config, listen, admin, certificate })
    }
}

/// An address that nobody listens at just now.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0").context("failed to find a free port")?.local_addr()?)
}

/// A certificate for 127.0.0.1 that only this run trusts.
pub(crate) struct Certificate {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) pem: String,
}

impl Certificate {
    pub(crate) fn write(folder: &Path) -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        let (chain, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        let pem = made.cert.pem();
        std::fs::write(&chain, &pem)?;
        std::fs::write(&key, made.signing_key.serialize_pem())?;
        Ok(Self { chain, key, pem })
    }
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

async fn is_ready(admin: SocketAddr) -> bool {
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
        Self { program: PathBuf::new(), config: PathBuf::new(), project: String::new(), ready_made }
    }

    /// Makes tokens for a project that exists.
    pub(crate) fn by(program: PathBuf, config: PathBuf, project: String) -> Self {
        Self { program, config, project, ready_made: None }
    }

    /// Makes a project, and tokens for it.
    pub(crate) async fn with_new_project(program: PathBuf, config: PathBuf) -> Result<Self> {
        let mut mint = Self::by(program, config, String::new());
        let arguments = ["project", "create", "--name", "load", "--origin", "http://127.0.0.1", "--json"];
        let made: serde_json::Value = serde_json::from_str(&mint.run(&arguments, "").await?)?;
        let project = made["project"].as_str().context("`project create` gave no project")?;
        project.clone_into(&mut mint.project);
        Ok(mint)
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
        let run = Instant::now().elapsed().as_nanos() ^ u128::from(std::process::id());
        while tokens.len() < sockets {
            let email = format!("load-{run}-{}@example.org", tokens.len());
            let arguments = [
                "agent",
                "create",
                "--project",
                &self.project,
                "--email",
                &email,
                "--name",
                "Load",
                "--role",
                "agent",
                "--password-stdin",
                "--json",
            ];
            let made = self.run(&arguments, "a measured length of rope\n").await?;
            let made: serde_json::Value = serde_json::from_str(&made)?;
            let agent = made["agent"].as_str().context("`agent create` gave no agent")?;
            let count = SOCKETS_PER_AGENT.min(sockets - tokens.len());
            tokens.extend(self.tokens("agent", Some(agent), count).await?);
        }
        Ok(tokens)
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
