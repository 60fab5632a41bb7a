//! One node of a cluster, with a wire to everything that it talks to and to everybody who talks to it.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, bail};
use tokio::process::Child;

use super::wire::{End, Wire};
use crate::{
    client::Endpoint,
    spawn::{self, Authority, Launch, Plan, Terms, is_ready},
};

pub(crate) struct Node {
    /// What clients dial.
    pub(crate) front: Wire,
    to_redis: Option<Wire>,
    to_log: Option<Wire>,
    folder: std::path::PathBuf,
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

/// What a node talks to.
pub(crate) struct Behind {
    pub(crate) redis: Option<End>,
    pub(crate) postgres: Option<End>,
}

impl Node {
    /// Writes its configuration; does not start it.
    pub(crate) async fn prepare(folder: &Path, program: &Path, authority: &Authority, behind: Behind) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let wire = async |end: Option<End>| match end {
            Some(end) => Wire::to(end).await.map(Some),
            None => Ok(None),
        };
        let (to_redis, to_log) = (wire(behind.redis).await?, wire(behind.postgres).await?);
        let database = to_log.as_ref().map(|wire| format!("postgres://deskbell@{}/postgres", wire.address));
        let redis = to_redis.as_ref().map(|wire| format!("redis://{}", wire.address));
        let certificate = authority.issue(folder)?;
        let terms = Terms { certificate: Some(&certificate), database: database.as_deref(), redis: redis.as_deref() };
        let plan = Plan::write(folder, terms)?;
        let front = Wire::to(End::Tcp(plan.listen)).await?;
        let log = Some(folder.join("node.log"));
        let launch =
            Launch { program: program.to_owned(), config: plan.config.clone(), admin: plan.admin, pin: false, log };
        Ok(Self { front, to_redis, to_log, folder: folder.to_owned(), plan, launch, child: None })
    }

    /// One of its wires, if the cluster has it.
    pub(crate) fn wire(&self, leg: Leg) -> Result<&Wire> {
        match leg {
            Leg::Front => Some(&self.front),
            Leg::Redis => self.to_redis.as_ref(),
            Leg::Log => self.to_log.as_ref(),
        }
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
        Endpoint { tls: true, address: self.front.address }
    }

    /// The node itself, past the wire.
    pub(crate) fn bare_endpoint(&self) -> Endpoint {
        Endpoint { tls: true, address: self.plan.listen }
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
