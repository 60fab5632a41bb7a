//! What comes from Redis, opened and handed on by a few tasks: one channel always by the same, so that its order is kept.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, atomic::Ordering},
};

use redis::{PushInfo, PushKind, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::shared::Shared;
use crate::bus::Topic;

/// How many tasks: opening an envelope takes some 10 us, so four do several times what one connection brings.
const WORKERS: usize = 4;
/// How many messages wait for one task. What is more is dropped, and the log is looked at.
const QUEUE: usize = 8_192;
/// How many messages one task takes up at a time.
const BATCH: usize = 256;

/// Where the connection puts what it reads. Never waits.
pub(super) struct Workers {
    shared: Arc<Shared>,
    queues: Vec<mpsc::Sender<Vec<u8>>>,
}

impl Workers {
    /// Starts the tasks. They end with the program.
    pub(super) fn start(shared: &Arc<Shared>) -> Arc<Self> {
        let queues = (0..WORKERS).map(|_| {
            let (sender, queue) = mpsc::channel(QUEUE);
            shared.tasks.spawn(work(Arc::clone(shared), queue));
            sender
        });
        Arc::new(Self { shared: Arc::clone(shared), queues: queues.collect() })
    }

    /// Takes what a connection read. `ended` is told when there is no more to come.
    pub(super) fn take(&self, push: PushInfo, ended: &CancellationToken) {
        match push.kind {
            PushKind::Message => self.shared.heard(),
            PushKind::Disconnection => return ended.cancel(),
            _ => return,
        }
        let mut data = push.data.into_iter();
        let (Some(Value::BulkString(channel)), Some(Value::BulkString(envelope))) = (data.next(), data.next()) else {
            return;
        };
        if self.shared.seal.is_own_message(&envelope) {
            return;
        }
        if self.queue_of(&channel).is_some_and(|queue| queue.try_send(envelope).is_err()) {
            metrics::counter!("deskbell_bus_lost_total", "where" => "receive").increment(1);
            self.shared.overflowed.store(true, Ordering::Relaxed);
        }
    }

    fn queue_of(&self, channel: &[u8]) -> Option<&mpsc::Sender<Vec<u8>>> {
        let mut hasher = DefaultHasher::new();
        channel.hash(&mut hasher);
        let index = hasher.finish() % WORKERS as u64;
        self.queues.get(usize::try_from(index).ok()?)
    }
}

async fn work(shared: Arc<Shared>, mut queue: mpsc::Receiver<Vec<u8>>) {
    let mut batch = Vec::new();
    loop {
        let count = tokio::select! {
            biased;
            () = shared.tasks.stopped() => return,
            count = queue.recv_many(&mut batch, BATCH) => count,
        };
        if count == 0 {
            return;
        }
        for envelope in batch.drain(..) {
            shared.take_up(&envelope);
        }
        if shared.overflowed.swap(false, Ordering::Relaxed) {
            shared.local.missed(Topic::Control);
        }
        // A burst is many batches without a wait in between: other tasks of this thread get their turn.
        tokio::task::yield_now().await;
    }
}
