//! What both connections and the workers share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use redis::{
    AsyncConnectionConfig, Client, RedisError,
    aio::{AsyncPushSender, MultiplexedConnection},
};
use tokio::sync::Notify;

use super::{
    envelope::{Content, Seal, Skip},
    peers::Peers,
    wanted::Wanted,
};
use crate::{
    bus::{Local, Source},
    clock::Clock,
    tasks::Tasks,
    trace::{Part, Span},
};

/// How long a connection may take to be made, with TLS and log-in.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an answer may take. A Redis that stands still for less loses nothing.
const ANSWER: Duration = Duration::from_secs(5);
/// How often a log line says that something was not ours.
const FORGED_EVERY_MS: u64 = 60_000;

pub(super) struct Shared {
    client: Client,
    pub(super) seal: Seal,
    pub(super) local: Arc<Local>,
    pub(super) clock: Clock,
    pub(super) tasks: Tasks,
    pub(super) wanted: Wanted,
    pub(super) peers: Peers,
    /// Something was dropped on the way out since the other nodes were told so.
    pub(super) lost: AtomicBool,
    /// Something was dropped on the way in since this node's parts were told so.
    pub(super) overflowed: AtomicBool,
    /// One connection got through: the other need not wait.
    pub(super) sooner: Notify,
    begun: Instant,
    heard_ms: AtomicU64,
    forged_ms: AtomicU64,
    probed: Mutex<Option<(u64, Instant)>>,
}

impl Shared {
    pub(super) fn new(client: Client, seal: Seal, local: Arc<Local>, clock: Clock, tasks: Tasks) -> Self {
        Self {
            client,
            seal,
            local,
            clock,
            tasks,
            wanted: Wanted::default(),
            peers: Peers::default(),
            lost: AtomicBool::new(false),
            overflowed: AtomicBool::new(false),
            sooner: Notify::new(),
            begun: Instant::now(),
            heard_ms: AtomicU64::new(0),
            forged_ms: AtomicU64::new(0),
            probed: Mutex::new(None),
        }
    }

    /// A new connection; `push` gets what is published.
    pub(super) async fn open(&self, push: Option<impl AsyncPushSender>) -> Result<MultiplexedConnection, RedisError> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(ANSWER));
        let config = match push {
            Some(push) => config.set_push_sender(push),
            None => config,
        };
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// Something came from Redis just now.
    pub(super) fn heard(&self) {
        self.heard_ms.store(self.running_ms(), Ordering::Relaxed);
    }

    /// For how long nothing has come.
    pub(super) fn silence(&self) -> Duration {
        Duration::from_millis(self.running_ms().saturating_sub(self.heard_ms.load(Ordering::Relaxed)))
    }

    fn running_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// An envelope with a probe, of which the time counts from now.
    pub(super) fn probe(&self) -> Vec<u8> {
        let mut probed = self.probed.lock();
        let number = probed.map_or(0, |(number, _)| number + 1);
        *probed = Some((number, Instant::now()));
        self.seal.probe(number)
    }

    /// Opens an envelope, and hands what it says to this node's parts.
    pub(super) fn take_up(&self, bytes: &[u8]) {
        match self.seal.open(bytes) {
            Ok((node, Content::Said(topic, message, trace))) => {
                metrics::counter!("deskbell_bus_remote_total").increment(1);
                self.peers.heard(node);
                let span = Span::of_other_node(Part::Bus, trace.as_deref());
                span.note("deskbell.topic", &topic.word());
                let _entered = span.enter();
                self.local.deliver(topic, &message, Source::Node(node));
            }
            Ok((_, Content::Probe(number))) => {
                if let Some((_, sent)) = self.probed.lock().filter(|(last, _)| *last == number) {
                    metrics::histogram!("deskbell_bus_probe_seconds").record(sent.elapsed());
                }
            }
            Ok((node, Content::Beat)) => self.peers.heard(node),
            Ok((node, Content::Goodbye)) => self.peers.gone(node),
            Err(Skip::Own) => {}
            Err(skip) => self.skipped(skip),
        }
    }

    fn skipped(&self, skip: Skip) {
        metrics::counter!("deskbell_bus_skipped_total", "why" => skip.word()).increment(1);
        let (now, last) = (self.running_ms(), self.forged_ms.load(Ordering::Relaxed));
        if skip == Skip::Forged && (last == 0 || now - last >= FORGED_EVERY_MS) {
            self.forged_ms.store(now.max(1), Ordering::Relaxed);
            tracing::warn!("somebody who is no node of this installation publishes on its channels in Redis");
        }
    }
}
