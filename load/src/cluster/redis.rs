//! A Redis of our own, without persistence, reached by a Unix socket in its folder.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    process::Child,
};

use crate::{
    procfs::{self, Reading},
    spawn::pinned,
};

/// How long it may take to start.
const STARTING: Duration = Duration::from_secs(10);

pub(crate) struct Redis {
    folder: PathBuf,
    pin: bool,
    child: Child,
}

impl Redis {
    pub(crate) async fn start(folder: &Path, pin: bool) -> Result<Self> {
        let mut redis = Self { folder: folder.to_owned(), pin, child: spawn(folder, pin)? };
        redis.answers().await?;
        Ok(redis)
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("redis.sock")
    }

    /// Kills it; nothing of it is left.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.context("failed to kill Redis")
    }

    /// Starts it again after a kill.
    pub(crate) async fn start_again(&mut self) -> Result<()> {
        self.child = spawn(&self.folder, self.pin)?;
        self.answers().await
    }

    /// Its memory and CPU now.
    pub(crate) fn read(&self) -> Option<Reading> {
        procfs::read(self.child.id()?)
    }

    async fn answers(&mut self) -> Result<()> {
        let end = Instant::now() + STARTING;
        while self.command("PING").await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("redis-server ended with {status}: see {}", self.folder.join("redis.log").display());
            }
            if Instant::now() > end {
                bail!("Redis does not answer");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Gives it one command; its answer's first line.
    pub(crate) async fn command(&self, line: &str) -> Result<String> {
        let mut stream = BufReader::new(UnixStream::connect(self.socket()).await?);
        stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_line(&mut answer).await?;
        if answer.starts_with('-') {
            bail!("Redis refused {line:?}: {}", answer.trim());
        }
        Ok(answer.trim().to_owned())
    }
}

fn spawn(folder: &Path, pin: bool) -> Result<Child> {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("redis.log"))?;
    let mut command = pinned(Path::new("redis-server"), pin);
    command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]).arg(folder.join("redis.sock"));
    command.arg("--dir").arg(folder).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.kill_on_drop(true).spawn().context("failed to start redis-server (Debian: redis-server)")
}
