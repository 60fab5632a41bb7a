//! What visitors and agents of a day share: the conversations, and the book of what was done.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Instant,
};

use deskbell::ids::ConversationId;
use hdrhistogram::Histogram;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::day::{Chat, Clock};
use crate::{
    flights::{Meter, histogram, micros},
    pair::Talk,
};

/// What was done in a day, by its name among the figures.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) page_views: AtomicU64,
    pub(crate) typing: AtomicU64,
    pub(crate) reads: AtomicU64,
    pub(crate) navigations: AtomicU64,
    pub(crate) notes: AtomicU64,
    pub(crate) transfers: AtomicU64,
    pub(crate) ratings: AtomicU64,
    pub(crate) walked_off: AtomicU64,
    pub(crate) finished: AtomicU64,
    pub(crate) visitors_here: AtomicI64,
    pub(crate) chats_open: AtomicI64,
    pub(crate) most_visitors: AtomicI64,
    pub(crate) most_chats: AtomicI64,
}

/// Counts one more.
pub(crate) fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// Counts one more who is here, and the most that there were.
pub(crate) fn come(here: &AtomicI64, most: &AtomicI64) {
    most.fetch_max(here.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// Counts one less.
pub(crate) fn go(here: &AtomicI64) {
    here.fetch_sub(1, Ordering::Relaxed);
}

pub(crate) struct Office {
    pub(crate) clock: Clock,
    pub(crate) meter: Arc<Meter>,
    pub(crate) tally: Tally,
    /// From `open` to the first agent who has it before it.
    pub(crate) waits: Mutex<Histogram<u64>>,
    rooms: RwLock<HashMap<ConversationId, Arc<Room>>>,
}

impl Office {
    pub(crate) fn new(clock: Clock, meter: Arc<Meter>) -> Self {
        let (tally, waits, rooms) = (Tally::default(), Mutex::new(histogram()), RwLock::default());
        Self { clock, meter, tally, waits, rooms }
    }

    pub(crate) fn find(&self, conversation: ConversationId) -> Option<Arc<Room>> {
        self.rooms.read().get(&conversation).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Room>> {
        self.rooms.read().values().cloned().collect()
    }

    pub(crate) fn enter(&self, room: Arc<Room>) {
        self.rooms.write().insert(room.conversation, room);
    }
}

/// One conversation.
pub(crate) struct Room {
    pub(crate) conversation: ConversationId,
    pub(crate) talk: Arc<Talk>,
    pub(crate) chat: Chat,
    opened: Instant,
    pub(crate) desk: Mutex<Desk>,
    /// Whether the server has said that it is closed.
    pub(crate) closed: watch::Sender<bool>,
}

/// How the agents stand to it.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    /// Who answers: the number of an agent.
    pub(crate) responder: Option<usize>,
    /// Messages of the visitor that the responder has seen, and those that it or another has answered.
    pub(crate) seen: usize,
    pub(crate) answered: usize,
    /// An answer is on its way.
    pub(crate) busy: bool,
    pub(crate) transferred: bool,
    /// The visitor does not wait for answers.
    pub(crate) left_alone: bool,
}

impl Room {
    pub(crate) fn new(conversation: ConversationId, talk: Arc<Talk>, chat: Chat) -> Arc<Self> {
        let (desk, closed) = (Mutex::default(), watch::Sender::new(false));
        Arc::new(Self { conversation, talk, chat, opened: Instant::now(), desk, closed })
    }

    /// An agent has it before it; the first one ends the wait.
    pub(crate) fn attend(&self, agent: usize, office: &Office) {
        if self.desk.lock().responder.replace(agent).is_none() {
            office.waits.lock().saturating_record(micros(self.opened.elapsed()));
        }
    }
}
