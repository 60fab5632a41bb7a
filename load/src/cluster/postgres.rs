//! A PostgreSQL of our own, which keeps what it acknowledged, reached by a Unix socket in its folder.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::{
    procfs::{self, Reading},
    spawn::pinned,
};

/// It knows how to start one as whom.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/test-postgres.sh");

pub(crate) struct Postgres {
    folder: PathBuf,
    pin: bool,
}

impl Postgres {
    pub(crate) async fn start(folder: &Path, pin: bool) -> Result<Self> {
        // Its processes may be somebody else's.
        std::fs::set_permissions(folder, Permissions::from_mode(0o755))?;
        let postgres = Self { folder: folder.join("postgres"), pin };
        // Durable, and with as much memory as PostgreSQL takes by itself.
        postgres.script("start", &["fsync=on", "shared_buffers=128MB"]).await?;
        Ok(postgres)
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }

    /// Kills it as a crash would: the first process, and those that it started.
    pub(crate) async fn kill(&self) -> Result<()> {
        let first = self.first_process()?.to_string();
        let others = Command::new("pgrep").args(["-P", &first]).output().await.context("failed to run `pgrep`")?;
        let others = String::from_utf8(others.stdout)?;
        // Some of the others may have ended by themselves.
        Command::new("kill").arg("-9").arg(&first).args(others.split_whitespace()).output().await?;
        Ok(())
    }

    /// Memory and CPU of all its processes.
    pub(crate) fn read(&self) -> Option<Reading> {
        procfs::read_family(self.first_process().ok()?)
    }

    fn first_process(&self) -> Result<u32> {
        let file = self.folder.join("data/postmaster.pid");
        let text = std::fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
        Ok(text.lines().next().context("PostgreSQL has no process")?.trim().parse()?)
    }

    /// Ends it as an operator does: connections are cut, everything is written down.
    pub(crate) async fn stop(&self) -> Result<()> {
        self.script("stop", &["fast"]).await
    }

    /// Starts it again after a kill or stop.
    pub(crate) async fn start_again(&self) -> Result<()> {
        self.script("start", &[]).await
    }

    async fn script(&self, what: &str, settings: &[&str]) -> Result<()> {
        let output = pinned(Path::new(SCRIPT), self.pin).arg(what).arg(&self.folder).args(settings).output().await;
        let output = output.with_context(|| format!("failed to run {SCRIPT}"))?;
        if !output.status.success() {
            bail!("{SCRIPT} {what}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // It is no child of ours: it would go on.
        drop(std::process::Command::new(SCRIPT).arg("stop").arg(&self.folder).output());
    }
}
