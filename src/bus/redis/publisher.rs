//! The connection that publishes: all that is queued goes in one write.

use std::{
    convert::Infallible,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use redis::{Pipeline, RedisError, RedisResult, Value, aio::MultiplexedConnection};
use tokio::sync::mpsc;

use super::{backoff::Backoff, shared::Shared};
use crate::bus::{Message, Topic, channel::Channel};

/// The most messages in one write.
const BATCH: usize = 512;

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_millis(500);

/// What waits to be published.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A message, and where it belongs to a trace its word.
    Said(Topic, Message, Option<Box<str>>),
    /// A word to this node itself.
    Probe,
    /// A word to all nodes that this one is there.
    Beat,
}

/// Publishes what is queued, until the program stops.
pub(super) struct Publisher {
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Outgoing>,
    connection: MultiplexedConnection,
}

/// Why a connection is used no longer.
enum Ended {
    Stopped,
    Lost(RedisError),
}

impl Publisher {
    /// Connects, and tries whether it may publish.
    pub(super) async fn connect(shared: Arc<Shared>, queue: mpsc::Receiver<Outgoing>) -> RedisResult<Self> {
        let connection = open(&shared).await?;
        Ok(Self { shared, queue, connection })
    }

    pub(super) async fn run(mut self) {
        while let Ended::Lost(error) = self.serve().await {
            tracing::warn!(%error, "the connection that publishes to Redis is lost");
            let shared = Arc::clone(&self.shared);
            let connection = tokio::select! {
                biased;
                () = shared.tasks.stopped() => return,
                connection = come_back(&shared) => connection,
                // Other nodes read the log when this one is back; what is older than that need not be kept.
                () = discard(&mut self.queue, &shared) => return,
            };
            metrics::counter!("deskbell_bus_reconnects_total", "connection" => "publish").increment(1);
            self.connection = connection;
        }
        self.say_goodbye().await;
    }

    /// Others need not mind this node's silence.
    async fn say_goodbye(&mut self) {
        let mut pipeline = Pipeline::with_capacity(1);
        add_to_all(&mut pipeline, &self.shared, &self.shared.seal.goodbye());
        match tokio::time::timeout(GOODBYE, send(&mut self.connection, &pipeline)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "no goodbye to other nodes"),
            Err(late) => tracing::debug!(%late, "no goodbye to other nodes"),
        }
    }

    async fn serve(&mut self) -> Ended {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            batch.clear();
            // What is queued goes before the stop: a session's last words are among it.
            let count = tokio::select! {
                biased;
                count = self.queue.recv_many(&mut batch, BATCH) => count,
                () = self.shared.tasks.stopped() => 0,
            };
            if count == 0 {
                return Ended::Stopped;
            }
            if let Err(error) = self.send(&batch).await {
                self.shared.lost.store(true, Ordering::Relaxed);
                return Ended::Lost(error);
            }
        }
    }

    async fn send(&mut self, batch: &[Outgoing]) -> RedisResult<()> {
        let mut pipeline = Pipeline::with_capacity(batch.len() + 1);
        if self.shared.lost.swap(false, Ordering::Relaxed) {
            add(&mut pipeline, &self.shared, Topic::Control, &Message::Missed, None);
        }
        for outgoing in batch {
            match outgoing {
                Outgoing::Said(topic, message, trace) => {
                    add(&mut pipeline, &self.shared, *topic, message, trace.as_deref());
                }
                Outgoing::Probe => add_probe(&mut pipeline, &self.shared),
                Outgoing::Beat => add_to_all(&mut pipeline, &self.shared, &self.shared.seal.beat()),
            }
        }
        send(&mut self.connection, &pipeline).await
    }
}

async fn open(shared: &Shared) -> RedisResult<MultiplexedConnection> {
    let mut connection = shared.open(None::<fn(redis::PushInfo) -> Result<(), Infallible>>).await?;
    let mut pipeline = Pipeline::with_capacity(2);
    add_probe(&mut pipeline, shared);
    if shared.lost.load(Ordering::Relaxed) {
        add(&mut pipeline, shared, Topic::Control, &Message::Missed, None);
    }
    send(&mut connection, &pipeline).await?;
    shared.lost.store(false, Ordering::Relaxed);
    shared.sooner.notify_waiters();
    Ok(connection)
}

async fn come_back(shared: &Shared) -> MultiplexedConnection {
    let mut backoff = Backoff::default();
    loop {
        backoff.wait(&shared.sooner).await;
        match open(shared).await {
            Ok(connection) => return connection,
            Err(error) => tracing::debug!(%error, "Redis can't be reached to publish"),
        }
    }
}

/// Empties the queue while nobody can be told. Ends when nobody can fill it any more.
async fn discard(queue: &mut mpsc::Receiver<Outgoing>, shared: &Shared) {
    while queue.recv().await.is_some() {
        shared.lost.store(true, Ordering::Relaxed);
        metrics::counter!("deskbell_bus_lost_total", "where" => "publish").increment(1);
    }
}

async fn send(connection: &mut MultiplexedConnection, pipeline: &Pipeline) -> RedisResult<()> {
    let answers = connection.send_packed_commands(pipeline, 0, pipeline.len()).await?;
    // A user that may not publish is told so command by command.
    answers.into_iter().try_for_each(|answer| match answer {
        Value::ServerError(error) => Err(RedisError::from(error)),
        _ => Ok(()),
    })
}

fn add(pipeline: &mut Pipeline, shared: &Shared, topic: Topic, message: &Message, trace: Option<&str>) {
    match shared.seal.said(topic, message, trace) {
        Ok(envelope) => add_envelope(pipeline, &Channel::of(topic).name(&shared.seal.prefix), &envelope),
        Err(error) => tracing::error!(%error, "a message can't be written as JSON"),
    }
}

fn add_probe(pipeline: &mut Pipeline, shared: &Shared) {
    let channel = Channel::Node(shared.seal.node()).name(&shared.seal.prefix);
    add_envelope(pipeline, &channel, &shared.probe());
}

fn add_to_all(pipeline: &mut Pipeline, shared: &Shared, envelope: &[u8]) {
    add_envelope(pipeline, &Channel::All.name(&shared.seal.prefix), envelope);
}

fn add_envelope(pipeline: &mut Pipeline, channel: &str, envelope: &[u8]) {
    pipeline.cmd("PUBLISH").arg(channel).arg(envelope);
}
