//! A cluster of real processes for one run: nodes, Redis, PostgreSQL, and wires between them that can be held and cut.
//! What was started for it ends with it.

pub(crate) mod node;
mod postgres;
mod redis;
pub(crate) mod wire;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use self::{
    node::{Behind, Node},
    postgres::Postgres,
    redis::Redis,
};
use crate::{
    client::{Buffers, Dialer, Endpoint, Sources},
    crowd::Ground,
    procfs::Readings,
    spawn::{Authority, Mint},
};

/// What a cluster is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) nodes: usize,
    pub(crate) postgres: bool,
    pub(crate) redis: bool,
}

/// How a cluster is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Build<'a> {
    /// The `deskbell` program.
    pub(crate) program: &'a Path,
    pub(crate) shape: Shape,
    /// With wires in between that can be held and cut. They take CPU of this program: not where latency is measured.
    pub(crate) wires: bool,
    pub(crate) tls: bool,
    /// Everything on the first core.
    pub(crate) pin: bool,
    /// In which folder its own is made; otherwise where temporary ones are.
    pub(crate) under: Option<&'a Path>,
}

pub(crate) struct Cluster {
    // In the order in which they end.
    pub(crate) nodes: Vec<Node>,
    pub(crate) redis: Option<Redis>,
    pub(crate) postgres: Option<Postgres>,
    authority: Option<Authority>,
    pub(crate) mint: Mint,
    folder: TempDir,
}

impl Cluster {
    /// Starts everything; returns when all nodes are ready.
    pub(crate) async fn start(build: Build<'_>) -> Result<Self> {
        let mut folder = tempfile::Builder::new();
        folder.prefix("deskbell-cluster-");
        let folder = build.under.map_or_else(|| folder.tempdir(), |under| folder.tempdir_in(under))?;
        let authority = build.tls.then(Authority::new).transpose()?;
        let (mut postgres, mut redis) = (None, None);
        if build.shape.postgres {
            let started = Postgres::start(folder.path(), build.pin).await;
            postgres = Some(started.context("failed to start PostgreSQL")?);
        }
        if build.shape.redis {
            redis = Some(Redis::start(folder.path(), build.pin).await.context("failed to start Redis")?);
        }
        let behind =
            Behind { redis: redis.as_ref().map(Redis::socket), postgres: postgres.as_ref().map(Postgres::socket) };
        let mut nodes = Vec::new();
        for index in 1..=build.shape.nodes {
            let own = folder.path().join(format!("node-{index}"));
            let mut node = Node::prepare(&own, &build, authority.as_ref(), behind.clone()).await?;
            let started = node.start().await;
            started.with_context(|| format!("node {index} said:\n{}", node.last_lines(5).join("\n")))?;
            nodes.push(node);
        }
        let config = nodes.first().context("a cluster has nodes")?.config().to_owned();
        let mint = Mint::by(build.program.to_owned(), config, String::new());
        Ok(Self { nodes, redis, postgres, authority, mint, folder })
    }

    /// Where a crowd meets, with projects of its own.
    pub(crate) async fn ground(&self) -> Result<Ground> {
        Ground::prepare(self.dialer(self.nodes.iter().map(Node::endpoint), Buffers::TALKING)?, &self.mint).await
    }

    /// Dials the nodes themselves, past the wires: for many sockets.
    pub(crate) fn bare_dialer(&self) -> Result<Dialer> {
        self.dialer(self.nodes.iter().map(Node::bare_endpoint), Buffers::IDLE)
    }

    fn dialer(&self, nodes: impl Iterator<Item = Endpoint>, buffers: Buffers) -> Result<Dialer> {
        Dialer::to_any(&nodes.collect::<Vec<_>>(), self.ca(), buffers, Sources::of(8))
    }

    /// The certificate (PEM) that nodes with TLS are checked against.
    pub(crate) fn ca(&self) -> Option<&str> {
        self.authority.as_ref().map(|authority| authority.pem.as_str())
    }

    /// Who signs the nodes' certificates.
    pub(crate) fn authority(&self) -> Result<&Authority> {
        self.authority.as_ref().context("the cluster has no TLS")
    }

    /// Memory and CPU of everything in it, by name.
    pub(crate) fn read(&self) -> Option<Readings> {
        let mut readings = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            readings.push((format!("node_{}", at + 1), node.read()?));
        }
        if let Some(redis) = &self.redis {
            readings.push(("redis".to_owned(), redis.read()?));
        }
        if let Some(postgres) = &self.postgres {
            readings.push(("postgres".to_owned(), postgres.read()?));
        }
        Some(readings)
    }

    /// Where it keeps its data.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its Redis.
    pub(crate) fn redis(&mut self) -> Result<&mut Redis> {
        self.redis.as_mut().context("there is no Redis")
    }

    /// Its PostgreSQL.
    pub(crate) fn postgres(&self) -> Result<&Postgres> {
        self.postgres.as_ref().context("there is no PostgreSQL")
    }

    /// Leaves its folder behind; returns where it is.
    pub(crate) fn keep(&mut self) -> PathBuf {
        self.folder.disable_cleanup(true);
        self.folder.path().to_owned()
    }
}
