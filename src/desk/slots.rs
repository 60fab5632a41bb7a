//! Conversations in memory: each under its own lock, read from the log when first touched, forgotten when idle.

use std::{
    collections::{BTreeMap, HashMap, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use uuid::Uuid;

use super::attendance::Position;
use crate::{
    clock::Millis,
    domain::{Conversation, Entry, Key, Lane, Marks},
    ids::ConversationId,
    log,
};

/// A conversation that nobody touched for this long is forgotten. It costs one read to know it again.
const IDLE_MS: Millis = 5 * 60_000;

/// A conversation's state, and every key that was ever used in it.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) state: Arc<Conversation>,
    /// Where a key's entry stands, by a hash of sender and key: 24 bytes a message instead of a text. A hit is checked
    /// against the entry itself.
    keys: HashMap<u64, (Lane, u64)>,
    /// When its last entry was written. The next one is not older, though the clock may have been set back since.
    pub(super) last_at: Millis,
    /// How far it is known to have come on other nodes.
    reached: Position,
    /// What was handed to the log may stand there or not: nobody said.
    is_unsure: bool,
}

impl Loaded {
    /// Whether another node wrote what is not known here.
    pub(super) fn is_behind(&self) -> bool {
        self.state.seq < self.reached.0 || self.state.desk_seq < self.reached.1
    }

    /// It has come as far as this at least.
    pub(super) fn has_reached(&mut self, (seq, desk_seq): Position) {
        self.reached = (self.reached.0.max(seq), self.reached.1.max(desk_seq));
    }

    /// Whether only the log can tell how it is. Until it can be asked, this is what was known last.
    pub(super) const fn is_unsure(&self) -> bool {
        self.is_unsure
    }

    /// It may be otherwise in the log.
    pub(super) const fn doubt(&mut self) {
        self.is_unsure = true;
    }

    /// It is where the log is.
    pub(super) const fn is_fresh(&mut self) {
        (self.reached, self.is_unsure) = ((0, 0), false);
    }

    /// Somebody got or read something, on whatever node.
    pub(super) fn has_marks(&mut self, marks: Marks) {
        if self.state.marks().furthest(marks) != self.state.marks() {
            Arc::make_mut(&mut self.state).advance(marks);
        }
    }
}

/// A conversation's lock. What is in it is `None` until somebody reads it from the log.
pub(super) type Guard = OwnedMutexGuard<Option<Loaded>>;

#[derive(Debug, Default)]
struct Slot {
    loaded: Arc<AsyncMutex<Option<Loaded>>>,
    used_at: AtomicI64,
}

/// All conversations in memory.
#[derive(Debug, Default)]
pub(super) struct Slots {
    by_id: Mutex<HashMap<ConversationId, Slot>>,
    /// Marks that are not in the log yet.
    dirty: Mutex<BTreeMap<ConversationId, Marks>>,
    hasher: RandomState,
}

impl Slots {
    /// Waits for the lock of a conversation. First come, first served.
    pub(super) async fn lock(&self, id: ConversationId, now: Millis) -> Guard {
        let lock = {
            let mut slots = self.by_id.lock();
            let slot = slots.entry(id).or_default();
            slot.used_at.store(now, Ordering::Relaxed);
            Arc::clone(&slot.loaded)
        };
        lock.lock_owned().await
    }

    /// What a conversation read from the log is in memory.
    pub(super) fn loaded(&self, read: log::Loaded) -> Loaded {
        let hashes = read.keys.iter().map(|known| (self.hash(known.sender, &known.key), (known.lane, known.seq)));
        let keys = hashes.collect();
        let dirty = self.dirty.lock().get(&read.state.id).copied();
        let (state, last_at) = (Arc::new(read.state), read.last_at);
        let mut loaded = Loaded { state, keys, last_at, reached: (0, 0), is_unsure: false };
        // What is about to be written down is not forgotten because another node wrote meanwhile.
        loaded.has_marks(dirty.unwrap_or_default());
        loaded
    }

    /// A conversation that is just being opened.
    pub(super) fn fresh(state: Conversation) -> Loaded {
        let (last_at, state) = (state.at, Arc::new(state));
        Loaded { state, keys: HashMap::new(), last_at, reached: (0, 0), is_unsure: false }
    }

    /// Where the entry with this sender and key may stand.
    pub(super) fn find(&self, loaded: &Loaded, sender: Uuid, key: &Key) -> Option<(Lane, u64)> {
        loaded.keys.get(&self.hash(sender, key)).copied()
    }

    /// Takes note of entries that were written.
    pub(super) fn remember(&self, loaded: &mut Loaded, state: Arc<Conversation>, entries: &[Arc<Entry>]) {
        for entry in entries {
            if let (Some(key), Some(sender)) = (&entry.key, sender_of(entry)) {
                loaded.keys.insert(self.hash(sender, key), (entry.lane, entry.seq));
            }
            loaded.last_at = loaded.last_at.max(entry.at);
        }
        loaded.state = state;
    }

    /// Forgets what was not touched for [`IDLE_MS`] and nobody holds.
    pub(super) fn forget_idle(&self, now: Millis) {
        self.by_id.lock().retain(|_, slot| {
            let idle = now - slot.used_at.load(Ordering::Relaxed) > IDLE_MS;
            !idle || Arc::strong_count(&slot.loaded) > 1
        });
    }

    /// Forgets a conversation that there is none of, unless others ask for it at this moment, too.
    pub(super) fn forget_missing(&self, id: ConversationId) {
        let mut slots = self.by_id.lock();
        // Two: the map's own and the asking one's guard.
        if slots.get(&id).is_some_and(|slot| Arc::strong_count(&slot.loaded) <= 2) {
            slots.remove(&id);
        }
    }

    /// Marks to be written down.
    pub(super) fn mark_dirty(&self, id: ConversationId, marks: Marks) {
        self.dirty.lock().insert(id, marks);
    }

    /// The marks that are to be written down.
    pub(super) fn dirty(&self) -> BTreeMap<ConversationId, Marks> {
        self.dirty.lock().clone()
    }

    /// These marks are written down, unless there are newer ones.
    pub(super) fn marks_written(&self, id: ConversationId, marks: Marks) {
        let mut dirty = self.dirty.lock();
        if dirty.get(&id) == Some(&marks) {
            dirty.remove(&id);
        }
    }

    /// Hands what is known of a conversation to `change`, unless nothing is, or somebody works with it at this moment: who
    /// does is told by the log that others were there before.
    pub(super) fn peek(&self, id: ConversationId, change: impl FnOnce(&mut Loaded)) {
        let slot = self.by_id.lock().get(&id).map(|slot| Arc::clone(&slot.loaded));
        if let Some(mut guard) = slot.and_then(|slot| slot.try_lock_owned().ok())
            && let Some(loaded) = guard.as_mut()
        {
            change(loaded);
        }
    }

    /// Forgets what is known of a conversation, as [`Slots::peek`].
    pub(super) fn doubt(&self, id: ConversationId) {
        let slot = self.by_id.lock().get(&id).map(|slot| Arc::clone(&slot.loaded));
        if let Some(mut guard) = slot.and_then(|slot| slot.try_lock_owned().ok()) {
            *guard = None;
        }
    }

    fn hash(&self, sender: Uuid, key: &Key) -> u64 {
        self.hasher.hash_one((sender, key))
    }
}

/// The id under which an entry's key is unique.
pub(super) fn sender_of(entry: &Entry) -> Option<Uuid> {
    match &entry.from {
        crate::domain::Author::Visitor { id, .. } => Some(id.as_uuid()),
        crate::domain::Author::Agent { id, .. } => Some(id.as_uuid()),
        crate::domain::Author::System {} => None,
    }
}
