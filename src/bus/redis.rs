//! The bus between nodes: Redis pub/sub. Nothing is kept there, and nothing depends on what gets through.
//!
//! One connection publishes (`publisher`), one subscribes (`subscriber`); each is opened again, for ever, by a loop of its
//! own. The connection manager of the `redis` crate is not used: after an outage it was measured deaf until the next
//! command, and it says nothing of what it lost. What is said in a loss is brought by the log: everyone is told
//! [`Message::Missed`] once it is over.

mod backoff;
pub mod envelope;
mod peers;
mod publisher;
mod shared;
mod subscriber;
mod wanted;
mod workers;

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
};

use redis::{Client, IntoConnectionInfo as _, ProtocolVersion};
use tokio::sync::mpsc;

use self::{
    envelope::Seal,
    publisher::{Outgoing, Publisher},
    shared::Shared,
    subscriber::Subscriber,
};
use super::{Local, Message, Topic, channel::Channel};
use crate::{
    clock::Clock,
    ids::{NodeId, ProjectId},
    tasks::Tasks,
    trace,
};

/// How many messages wait for Redis: a second and a half of 5,000 messages a second, which are 10,000 here. What is more is
/// dropped, and told as missed.
const QUEUE: usize = 16_384;

/// Why a node can't have its bus.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address or the installation's secret is no good.
    #[error("use redis.url: {0}")]
    Unusable(String),
    /// Redis does not answer, or does not let this node publish and subscribe.
    #[error("reach the Redis that redis.url names: {0}")]
    Unreachable(redis::RedisError),
}

/// This node's side of the bus between nodes.
pub(super) struct Link {
    shared: Arc<Shared>,
    outgoing: mpsc::Sender<Outgoing>,
}

impl Link {
    /// Connects; from then on connections heal by themselves until `tasks` stop.
    pub(super) async fn connect(
        url: &str,
        secret: &[u8],
        (node, local): (NodeId, Arc<Local>),
        (clock, tasks): (Clock, &Tasks),
    ) -> Result<Self, Error> {
        let seal =
            Seal::new(secret, node).ok_or_else(|| Error::Unusable("the installation has no secret".to_owned()))?;
        let shared = Arc::new(Shared::new(client(url)?, seal, local, clock, tasks.clone()));
        let (outgoing, queue) = mpsc::channel(QUEUE);
        let publisher = Publisher::connect(Arc::clone(&shared), queue).await.map_err(Error::Unreachable)?;
        let own = [Channel::All, Channel::Node(node)];
        let subscriber = Subscriber::connect(Arc::clone(&shared), outgoing.clone(), own).await;
        let subscriber = subscriber.map_err(Error::Unreachable)?;
        tasks.spawn(publisher.run());
        tasks.spawn(subscriber.run());
        Ok(Self { shared, outgoing })
    }
}

impl super::Link for Link {
    /// Hands a message to the publisher. Never waits: what does not fit is dropped, and all nodes are told that they missed
    /// something.
    fn publish(&self, topic: Topic, message: Message) {
        if self.outgoing.try_send(Outgoing::Said(topic, message, trace::word())).is_err() {
            metrics::counter!("deskbell_bus_lost_total", "where" => "publish").increment(1);
            self.shared.lost.store(true, Ordering::Relaxed);
        }
    }

    fn want(&self, topic: Topic) {
        self.shared.wanted.add(Channel::of(topic));
    }

    fn unwant(&self, topic: Topic) {
        self.shared.wanted.remove(Channel::of(topic));
    }

    fn wanted_projects(&self) -> HashSet<ProjectId> {
        self.shared.wanted.projects()
    }
}

/// Whoever `url` names. It may hold a password, and is not repeated.
fn client(url: &str) -> Result<Client, Error> {
    let unusable = |error: redis::RedisError| Error::Unusable(error.to_string());
    let info = url.into_connection_info().map_err(unusable)?;
    // RESP3, so that what is published comes by a callback of the connection's own task, without a queue before ours.
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(settings)).map_err(unusable)
}
