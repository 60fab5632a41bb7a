//! One node of a cluster, with a wire to everything that it talks to and to everybody who talks to it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use tokio::process::Child;

use super::{
    Build,
    wire::{End, Wire},
};
use crate::{
    client::Endpoint,
    procfs::{self, Reading},
    spawn::{self, Authority, Launch, Plan, Terms, is_ready},
};

pub(crate) struct Node {
    wires: Wires,
    folder: PathBuf,
    tls: bool,
    plan: Plan,
    launch: Launch,
    child: Option<Child>,
}

/// One of a node's wires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leg {
    /// From the clients.
    Front,
    Redis,
    Log,
}

/// A node's wires, those that there are.
#[derive(Default)]
struct Wires {
    front: Option<Wire>,
    redis: Option<Wire>,
    log: Option<Wire>,
}

/// The sockets of what a node talks to.
#[derive(Clone, Debug)]
pub(crate) struct Behind {
    pub(crate) redis: Option<PathBuf>,
    pub(crate) postgres: Option<PathBuf>,
}

impl Behind {
    /// Addresses of the log and the bus, straight to their sockets.
    fn addresses(&self) -> (Option<String>, Option<String>) {
        // PostgreSQL's own way of saying it: the folder in which the socket is.
        let folder = self.postgres.as_deref().and_then(Path::parent);
        let log = folder.map(|folder| format!("postgres://deskbell@localhost/postgres?host={}", folder.display()));
        (log, self.redis.as_ref().map(|socket| format!("unix://{}", socket.display())))
    }

    /// Addresses of wires that lead there.
    async fn wired(self, wires: &mut Wires) -> Result<(Option<String>, Option<String>)> {
        let wire = async |socket: Option<PathBuf>| match socket {
            Some(socket) => Wire::to(End::Unix(socket)).await.map(Some),
            None => Ok(None),
        };
        (wires.log, wires.redis) = (wire(self.postgres).await?, wire(self.redis).await?);
        let log = wires.log.as_ref().map(|wire| format!("postgres://deskbell@{}/postgres", wire.address));
        Ok((log, wires.redis.as_ref().map(|wire| format!("redis://{}", wire.address))))
    }
}

impl Node {
    /// Writes its configuration; does not start it.
    pub(crate) async fn prepare(
        folder: &Path,
        build: &Build<'_>,
        authority: Option<&Authority>,
        behind: Behind,
    ) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut wires = Wires::default();
        let (database, redis) = if build.wires { behind.wired(&mut wires).await? } else { behind.addresses() };
        let certificate = authority.map(|authority| authority.issue(folder)).transpose()?;
        let (database, redis) = (database.as_deref(), redis.as_deref());
        let terms = Terms { certificate: certificate.as_ref(), database, redis, ..Terms::default() };
        let plan = Plan::write(folder, terms)?;
        if build.wires {
            wires.front = Some(Wire::to(End::Tcp(plan.listen)).await?);
        }
        let launch = Launch {
            program: build.program.to_owned(),
            config: plan.config.clone(),
            admin: plan.admin,
            pin: build.pin,
            log: Some(folder.join("node.log")),
        };
        Ok(Self { wires, folder: folder.to_owned(), tls: certificate.is_some(), plan, launch, child: None })
    }

    /// One of its wires, if the cluster has it.
    pub(crate) fn wire(&self, leg: Leg) -> Result<&Wire> {
        match leg {
            Leg::Front => &self.wires.front,
            Leg::Redis => &self.wires.redis,
            Leg::Log => &self.wires.log,
        }
        .as_ref()
        .with_context(|| format!("there is no wire {leg:?}"))
    }

    /// Whatever was held goes on.
    pub(crate) fn release_all(&self) {
        for leg in [Leg::Front, Leg::Redis, Leg::Log] {
            if let Ok(wire) = self.wire(leg) {
                wire.release();
            }
        }
    }

    pub(crate) fn config(&self) -> &Path {
        &self.plan.config
    }

    /// What clients dial.
    pub(crate) fn endpoint(&self) -> Endpoint {
        let address = self.wires.front.as_ref().map_or(self.plan.listen, |wire| wire.address);
        Endpoint { tls: self.tls, address }
    }

    /// The node itself, past the wire.
    pub(crate) fn bare_endpoint(&self) -> Endpoint {
        Endpoint { tls: self.tls, address: self.plan.listen }
    }

    /// Its memory and CPU now.
    pub(crate) fn read(&self) -> Option<Reading> {
        procfs::read(self.child.as_ref()?.id()?)
    }

    /// Returns when it is ready.
    pub(crate) async fn start(&mut self) -> Result<()> {
        self.child = Some(self.launch.start().await?);
        Ok(())
    }

    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.child.as_mut().context("the node does not run")?.kill().await.context("failed to kill the node")
    }

    /// Ends it in order; an error when it did not end so.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let status = spawn::stop(&mut child).await?;
        if !status.success() {
            bail!("a node ended with {status}");
        }
        Ok(())
    }

    pub(crate) async fn signal(&self, name: &str) -> Result<()> {
        spawn::signal(self.child.as_ref().context("the node does not run")?, name).await
    }

    /// An error when it has ended by itself.
    pub(crate) fn lives(&mut self) -> Result<()> {
        let Some(child) = &mut self.child else { return Ok(()) };
        match child.try_wait()? {
            Some(status) => bail!("a node ended by itself, with {status}"),
            None => Ok(()),
        }
    }

    /// Waits until readiness is so.
    pub(crate) async fn wait_ready(&self, wanted: bool, limit: Duration) -> Result<()> {
        let until = async {
            while is_ready(self.plan.admin).await != wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let word = if wanted { "ready" } else { "unready" };
        tokio::time::timeout(limit, until).await.with_context(|| format!("not {word} within {} s", limit.as_secs()))
    }

    /// Gives it another certificate.
    pub(crate) fn swap_certificate(&self, authority: &Authority) -> Result<()> {
        authority.issue(&self.folder).map(drop)
    }

    /// The last lines that it logged.
    pub(crate) fn last_lines(&self, count: usize) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.join("node.log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines[lines.len().saturating_sub(count)..].to_vec()
    }
}
