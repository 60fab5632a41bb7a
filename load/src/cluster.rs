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
    wire::End,
};
use crate::{
    client::{Buffers, Dialer, Endpoint},
    crowd::Ground,
    spawn::{Authority, Mint},
};

/// What a cluster is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) nodes: usize,
    pub(crate) postgres: bool,
    pub(crate) redis: bool,
}

pub(crate) struct Cluster {
    // In the order in which they end.
    pub(crate) nodes: Vec<Node>,
    pub(crate) redis: Option<Redis>,
    pub(crate) postgres: Option<Postgres>,
    pub(crate) authority: Authority,
    pub(crate) mint: Mint,
    folder: TempDir,
}

impl Cluster {
    /// Starts everything; returns when all nodes are ready.
    pub(crate) async fn start(program: &Path, shape: Shape) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("deskbell-cluster-").tempdir()?;
        let authority = Authority::new()?;
        let (mut postgres, mut redis) = (None, None);
        if shape.postgres {
            postgres = Some(Postgres::start(folder.path()).await.context("failed to start PostgreSQL")?);
        }
        if shape.redis {
            redis = Some(Redis::start(folder.path()).await.context("failed to start Redis")?);
        }
        let mut nodes = Vec::new();
        for index in 1..=shape.nodes {
            let behind = Behind {
                redis: redis.as_ref().map(|redis| End::Unix(redis.socket())),
                postgres: postgres.as_ref().map(|postgres| End::Unix(postgres.socket())),
            };
            let own = folder.path().join(format!("node-{index}"));
            let mut node = Node::prepare(&own, program, &authority, behind).await?;
            let started = node.start().await;
            started.with_context(|| format!("node {index} said:\n{}", node.last_lines(5).join("\n")))?;
            nodes.push(node);
        }
        let config = nodes.first().context("a cluster has nodes")?.config().to_owned();
        let mint = Mint::by(program.to_owned(), config, String::new());
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
        Dialer::to_any(&nodes.collect::<Vec<_>>(), Some(&self.authority.pem), buffers, 8)
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
