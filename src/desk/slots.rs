//! Conversations in memory: each under its own lock, read from the log when first touched, forgotten when idle.

use std::{
    collections::{BTreeMap, HashMap, hash_map::RandomState},
    hash::BuildHasher as _,
    ops::{Deref, DerefMut},
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
    domain::{Conversation, Entry, Key, Lane, Marks, conversation},
    ids::ConversationId,
    log,
};

/// A conversation that nobody touched for this long is forgotten. It costs one read to know it again.
const IDLE_MS: Millis = 5 * 60_000;

/// A conversation's state, and its past once somebody writes.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) state: Arc<Conversation>,
    /// Not read for those who only look: after a restart all come back at once, and few of them write.
    past: Option<Past>,
    /// How far it is known to have come on other nodes.
    reached: Position,
    /// What was handed to the log may stand there or not: nobody said.
    is_unsure: bool,
}

/// What a write goes by.
#[derive(Clone, Debug, Default)]
struct Past {
    /// Where a key's entry stands, by a hash of sender and key: 24 bytes a message instead of a text. A hit is checked
    /// against the entry itself.
    keys: HashMap<u64, (Lane, u64)>,
    /// When its last entry was written. The next one is not older, though the clock may have been set back since.
    last_at: Millis,
}

impl Loaded {
    /// Whether somebody is to read its past: [`Slots::recall`].
    pub(super) const fn has_no_past(&self) -> bool {
        self.past.is_none()
    }

    /// When its last entry was written, if its past was read.
    pub(super) fn last_at(&self) -> Millis {
        self.past.as_ref().map_or(0, |past| past.last_at)
    }

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

/// What was heard of a conversation.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    /// Another node wrote.
    Entries { epoch: String, entries: Vec<Arc<Entry>> },
    /// It has come as far as this at least, and these are its marks.
    Head(Position, Marks),
    /// Somebody got or read something.
    Marks(Marks),
    /// It is not what it was.
    Moved,
}

/// A conversation's lock. What is in it is `None` until somebody reads it from the log.
pub(super) struct Guard {
    loaded: OwnedMutexGuard<Option<Loaded>>,
    waiting: Arc<Waiting>,
}

impl Deref for Guard {
    type Target = Option<Loaded>;

    fn deref(&self) -> &Self::Target {
        &self.loaded
    }
}

impl DerefMut for Guard {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.loaded
    }
}

/// What was heard while somebody had the lock.
type Waiting = Mutex<Vec<Heard>>;

/// The most that waits. Who has the lock for longer than it takes to hear this finds out from the log.
const MOST_WAITING: usize = 256;

#[derive(Debug, Default)]
struct Slot {
    loaded: Arc<AsyncMutex<Option<Loaded>>>,
    waiting: Arc<Waiting>,
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
        let (lock, waiting) = {
            let mut slots = self.by_id.lock();
            let slot = slots.entry(id).or_default();
            slot.used_at.store(now, Ordering::Relaxed);
            (Arc::clone(&slot.loaded), Arc::clone(&slot.waiting))
        };
        // Mostly nobody has it. Who comes in between does not overtake those who wait: what is let go of is theirs at once.
        let loaded = match Arc::clone(&lock).try_lock_owned() {
            Ok(loaded) => loaded,
            Err(_) => Box::pin(lock.lock_owned()).await,
        };
        let mut guard = Guard { loaded, waiting };
        self.catch_up(&mut guard);
        guard
    }

    /// Takes in what was heard since the lock was taken.
    pub(super) fn catch_up(&self, guard: &mut Guard) {
        let waiting = std::mem::take(&mut *guard.waiting.lock());
        for heard in waiting {
            self.take_in(guard, heard);
        }
    }

    /// What a conversation read from the log is in memory.
    pub(super) fn loaded(&self, state: Conversation) -> Loaded {
        let dirty = self.dirty.lock().get(&state.id).copied();
        let mut loaded = Loaded { state: Arc::new(state), past: None, reached: (0, 0), is_unsure: false };
        // What is about to be written down is not forgotten because another node wrote meanwhile.
        loaded.has_marks(dirty.unwrap_or_default());
        loaded
    }

    /// A conversation that is just being opened.
    pub(super) fn fresh(state: Conversation) -> Loaded {
        let past = Past { keys: HashMap::new(), last_at: state.at };
        Loaded { state: Arc::new(state), past: Some(past), reached: (0, 0), is_unsure: false }
    }

    /// The past of a conversation was read from the log.
    pub(super) fn recall(&self, loaded: &mut Loaded, read: &log::Past) {
        let hashes = read.keys.iter().map(|known| (self.hash(known.sender, &known.key), (known.lane, known.seq)));
        loaded.past = Some(Past { keys: hashes.collect(), last_at: read.last_at });
    }

    /// Where the entry with this sender and key may stand.
    pub(super) fn find(&self, loaded: &Loaded, sender: Uuid, key: &Key) -> Option<(Lane, u64)> {
        loaded.past.as_ref()?.keys.get(&self.hash(sender, key)).copied()
    }

    /// Takes note of entries that were written.
    pub(super) fn remember(&self, loaded: &mut Loaded, state: Arc<Conversation>, entries: &[Arc<Entry>]) {
        loaded.state = state;
        // What is read later holds these entries, too.
        let Some(past) = &mut loaded.past else { return };
        for entry in entries {
            if let (Some(key), Some(sender)) = (&entry.key, sender_of(entry)) {
                past.keys.insert(self.hash(sender, key), (entry.lane, entry.seq));
            }
            past.last_at = past.last_at.max(entry.at);
        }
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

    /// Takes in what is heard of a conversation, if it is known here; as soon as nobody works with it.
    pub(super) fn hear(&self, id: ConversationId, heard: impl FnOnce() -> Heard) {
        let slot = self.by_id.lock().get(&id).map(|slot| (Arc::clone(&slot.loaded), Arc::clone(&slot.waiting)));
        let Some((lock, waiting)) = slot else { return };
        {
            let mut waiting = waiting.lock();
            if waiting.len() < MOST_WAITING {
                waiting.push(heard());
            } else {
                *waiting = vec![Heard::Moved];
            }
        }
        // Who has the lock at this moment, or takes it next, takes it in.
        if let Ok(loaded) = lock.try_lock_owned() {
            self.catch_up(&mut Guard { loaded, waiting });
        }
    }

    fn take_in(&self, guard: &mut Guard, heard: Heard) {
        let Some(loaded) = guard.as_mut() else { return };
        match heard {
            Heard::Entries { epoch, entries } => self.go_on(loaded, &epoch, &entries),
            Heard::Head(position, marks) => {
                loaded.has_reached(position);
                loaded.has_marks(marks);
            }
            Heard::Marks(marks) => loaded.has_marks(marks),
            Heard::Moved => **guard = None,
        }
    }

    /// Another node wrote: what is in memory goes on with it, so that the log need not be asked.
    fn go_on(&self, loaded: &mut Loaded, epoch: &str, entries: &[Arc<Entry>]) {
        for entry in entries {
            let last = loaded.state.last_seq(entry.lane);
            if epoch != loaded.state.epoch || entry.seq > last + 1 {
                return loaded.has_reached(match entry.lane {
                    Lane::Thread => (entry.seq.max(last + 1), 0),
                    Lane::Desk => (0, entry.seq.max(last + 1)),
                });
            }
            if entry.seq == last + 1 {
                let mut state = Conversation::clone(&loaded.state);
                conversation::apply(&mut state, entry);
                self.remember(loaded, Arc::new(state), std::slice::from_ref(entry));
            }
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

#[cfg(test)]
mod tests;
