//! The connection that subscribes: what is wanted is made what is subscribed, and silence is not taken for peace.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{PushInfo, RedisError, RedisResult, aio::MultiplexedConnection};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{backoff::Backoff, peers::BEAT_EVERY, publisher::Outgoing, shared::Shared, workers::Workers};
use crate::bus::{Health, channel::Channel};

/// The most channels in one command.
const BATCH: usize = 512;
/// How long a channel that nobody wants stays subscribed: a page that is reloaded wants it again at once.
const LINGER: Duration = Duration::from_secs(5);
/// How often this node says a word to itself.
const PROBE_EVERY: Duration = Duration::from_secs(2);
/// After how long a silence, in which two probes should have come, the connection counts as dead.
const DEAF_AFTER: Duration = Duration::from_secs(5);
/// How often the above is looked at.
const TICK: Duration = Duration::from_millis(500);

/// Keeps what is subscribed equal to what is wanted, until the program stops.
pub(super) struct Subscriber {
    shared: Arc<Shared>,
    words: mpsc::Sender<Outgoing>,
    workers: Arc<Workers>,
    /// What is always wanted.
    own: [Channel; 2],
    subscribed: HashSet<Channel>,
    /// Nobody wants these since.
    lingering: HashMap<Channel, Instant>,
    probed: Instant,
    beaten: Instant,
    open: Open,
}

/// An open connection, and how one learns that it ended.
struct Open {
    connection: MultiplexedConnection,
    ended: CancellationToken,
}

/// Why a connection is used no longer.
enum Lost {
    Failed(RedisError),
    Closed,
    Silent,
}

impl From<RedisError> for Lost {
    fn from(error: RedisError) -> Self {
        Self::Failed(error)
    }
}

impl std::fmt::Display for Lost {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(out),
            Self::Closed => out.write_str("it was closed"),
            Self::Silent => write!(out, "not even this node's own words came for {} s", DEAF_AFTER.as_secs()),
        }
    }
}

impl Subscriber {
    /// Connects, and subscribes to what is always wanted.
    pub(super) async fn connect(
        shared: Arc<Shared>,
        words: mpsc::Sender<Outgoing>,
        own: [Channel; 2],
    ) -> RedisResult<Self> {
        let workers = Workers::start(&shared);
        let mut open = Open::connect(&shared, &workers).await?;
        open.subscribe(&shared, &own).await?;
        // What is needed later, tried now: a right that is missing is told at the start.
        open.connection.unsubscribe(format!("{}none", shared.seal.prefix)).await?;
        let (subscribed, lingering) = (HashSet::from(own), HashMap::new());
        let (probed, beaten) = (Instant::now(), Instant::now());
        Ok(Self { shared, words, workers, own, subscribed, lingering, probed, beaten, open })
    }

    pub(super) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            let lost = tokio::select! {
                biased;
                () = shared.tasks.stopped() => return,
                lost = self.serve() => lost,
            };
            tracing::warn!(why = %lost, "other nodes are not heard: the connection that subscribes to Redis is lost");
            shared.local.set_health(Health::Deaf { since: shared.clock.now() });
            tokio::select! {
                biased;
                () = shared.tasks.stopped() => return,
                () = self.come_back() => {}
            }
            metrics::counter!("deskbell_bus_reconnects_total", "connection" => "subscribe").increment(1);
            shared.local.set_health(Health::Listening);
            tracing::info!(channels = self.subscribed.len(), "other nodes are heard again");
        }
    }

    /// Follows what is wanted for as long as the connection lives.
    async fn serve(&mut self) -> Lost {
        let (shared, ended) = (Arc::clone(&self.shared), self.open.ended.clone());
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                biased;
                () = ended.cancelled() => Err(Lost::Closed),
                // Before what is wanted: a crowd that comes must not keep silence from being noticed.
                _ = ticks.tick() => self.tick().await,
                () = shared.wanted.changed() => self.follow().await,
            };
            if let Err(lost) = done {
                return lost;
            }
        }
    }

    async fn tick(&mut self) -> Result<(), Lost> {
        if self.shared.silence() >= DEAF_AFTER {
            return Err(Lost::Silent);
        }
        self.say_something();
        self.mind_others();
        let due = self.lingering.iter().filter(|(_, since)| since.elapsed() >= LINGER).map(|(channel, _)| *channel);
        let due: Vec<Channel> = due.collect();
        for batch in due.chunks(BATCH) {
            self.open.connection.unsubscribe(names(&self.shared, batch)).await?;
            for channel in batch {
                self.lingering.remove(channel);
                self.subscribed.remove(channel);
            }
        }
        self.count();
        Ok(())
    }

    fn say_something(&mut self) {
        // Into a full queue goes neither: there is traffic enough to be heard by.
        if self.probed.elapsed() >= PROBE_EVERY {
            self.probed = Instant::now();
            drop(self.words.try_send(Outgoing::Probe));
        }
        if self.beaten.elapsed() >= BEAT_EVERY {
            self.beaten = Instant::now();
            drop(self.words.try_send(Outgoing::Beat));
        }
    }

    fn mind_others(&self) {
        let health = if self.shared.peers.any_is_silent() { Health::Doubtful } else { Health::Listening };
        let before = *self.shared.local.health.borrow();
        if health != before {
            tracing::info!(all_are_heard = health == Health::Listening, "a node fell silent, or is heard again");
            self.shared.local.set_health(health);
        }
    }

    /// Subscribes to what became wanted, and lets go, later, of what nobody wants.
    async fn follow(&mut self) -> Result<(), Lost> {
        let mut new = Vec::new();
        for channel in self.shared.wanted.take_changed() {
            let is_subscribed = self.subscribed.contains(&channel);
            if !self.shared.wanted.contains(channel) {
                if is_subscribed {
                    self.lingering.insert(channel, Instant::now());
                }
            } else if is_subscribed {
                self.lingering.remove(&channel);
            } else {
                new.push(channel);
            }
        }
        self.subscribe(&new).await?;
        Ok(())
    }

    async fn subscribe(&mut self, channels: &[Channel]) -> RedisResult<()> {
        for batch in channels.chunks(BATCH) {
            self.open.subscribe(&self.shared, batch).await?;
            self.subscribed.extend(batch);
            // From the acknowledgement on all is heard; what was said before it is in the log.
            for topic in batch.iter().filter_map(|channel| channel.topic()) {
                self.shared.local.missed(topic);
            }
        }
        Ok(())
    }

    /// Connects again and subscribes to everything, however long it takes.
    async fn come_back(&mut self) {
        let mut backoff = Backoff::default();
        loop {
            backoff.wait(&self.shared.sooner).await;
            match self.try_again().await {
                Ok(()) => return,
                Err(error) => tracing::debug!(%error, "Redis can't be reached to subscribe"),
            }
        }
    }

    async fn try_again(&mut self) -> RedisResult<()> {
        self.open = Open::connect(&self.shared, &self.workers).await?;
        self.subscribed.clear();
        self.lingering.clear();
        self.subscribe(&self.own.clone()).await?;
        self.shared.sooner.notify_waiters();
        let all = self.shared.wanted.take_all();
        self.subscribe(&all).await?;
        self.shared.heard();
        self.shared.peers.begin_anew();
        self.probed = Instant::now();
        self.count();
        Ok(())
    }

    fn count(&self) {
        metrics::gauge!("deskbell_bus_channels").set(u32::try_from(self.subscribed.len()).unwrap_or(u32::MAX));
    }
}

impl Open {
    async fn connect(shared: &Arc<Shared>, workers: &Arc<Workers>) -> RedisResult<Self> {
        let ended = CancellationToken::new();
        let (workers, told) = (Arc::clone(workers), ended.clone());
        let take = move |push: PushInfo| {
            workers.take(push, &told);
            Ok::<(), std::convert::Infallible>(())
        };
        let connection = shared.open(Some(take)).await?;
        Ok(Self { connection, ended })
    }

    async fn subscribe(&mut self, shared: &Shared, channels: &[Channel]) -> RedisResult<()> {
        self.connection.subscribe(names(shared, channels)).await
    }
}

fn names(shared: &Shared, channels: &[Channel]) -> Vec<String> {
    channels.iter().map(|channel| channel.name(&shared.seal.prefix)).collect()
}
