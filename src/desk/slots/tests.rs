//! What is heard of a conversation is taken in, whoever works with it at that moment.

use super::*;
use crate::{
    domain::{Author, Event, Watermarks},
    ids::{EntryId, ProjectId, VisitorId},
};

const EPOCH: &str = "k1";

fn conversation() -> Conversation {
    Conversation::new(ProjectId::generate(), ConversationId::generate(), VisitorId::generate(), EPOCH.to_owned(), 1_000)
}

/// The visitor's message number `seq`, with a key.
fn message(state: &Conversation, seq: u64) -> Arc<Entry> {
    Arc::new(Entry {
        conversation: state.id,
        lane: Lane::Thread,
        seq,
        id: EntryId::generate(),
        at: 1_000,
        session: None,
        from: Author::Visitor { id: state.visitor, name: None },
        key: Key::parse(&format!("key-{seq}")),
        event: Event::Message { text: format!("number {seq}") },
    })
}

fn said(entries: &[Arc<Entry>]) -> Heard {
    Heard::Entries { epoch: EPOCH.to_owned(), entries: entries.to_vec() }
}

/// Slots that know one conversation, in which nothing was said yet.
async fn slots() -> (Slots, Conversation) {
    let (slots, state) = (Slots::default(), conversation());
    *slots.lock(state.id, 0).await = Some(Slots::fresh(state.clone()));
    (slots, state)
}

#[tokio::test]
async fn what_is_heard_meanwhile_is_known_to_the_next() {
    let (slots, state) = slots().await;
    let guard = slots.lock(state.id, 0).await;
    slots.hear(state.id, || said(&[message(&state, 1), message(&state, 2)]));
    slots.hear(state.id, || Heard::Marks(Marks { read: Watermarks { visitor: 2, agent: 0 }, ..Marks::default() }));
    assert_eq!(guard.as_ref().unwrap().state.seq, 0, "who has the lock sees no change that it did not ask for");
    drop(guard);

    let guard = slots.lock(state.id, 0).await;
    let loaded = guard.as_ref().unwrap();
    assert_eq!((loaded.state.seq, loaded.state.read.visitor, loaded.is_behind()), (2, 2, false));
    let key = Key::parse("key-2").unwrap();
    assert_eq!(slots.find(loaded, state.visitor.as_uuid(), &key), Some((Lane::Thread, 2)), "and its keys are known");
}

#[tokio::test]
async fn who_has_the_lock_can_catch_up() {
    let (slots, state) = slots().await;
    let mut guard = slots.lock(state.id, 0).await;
    slots.hear(state.id, || said(&[message(&state, 1)]));
    slots.catch_up(&mut guard);
    assert_eq!(guard.as_ref().unwrap().state.seq, 1);
    // Once more the same, and then one that does not follow.
    slots.hear(state.id, || said(&[message(&state, 1), message(&state, 3)]));
    slots.catch_up(&mut guard);
    let loaded = guard.as_ref().unwrap();
    assert_eq!((loaded.state.seq, loaded.is_behind()), (1, true), "the log is to be asked");
}

#[tokio::test]
async fn what_moved_or_was_too_much_is_read_anew() {
    let (slots, state) = slots().await;
    let guard = slots.lock(state.id, 0).await;
    slots.hear(state.id, || Heard::Moved);
    slots.hear(state.id, || said(&[message(&state, 1)]));
    drop(guard);
    assert!(slots.lock(state.id, 0).await.is_none());

    *slots.lock(state.id, 0).await = Some(Slots::fresh(state.clone()));
    let guard = slots.lock(state.id, 0).await;
    for seq in 1..=MOST_WAITING as u64 + 1 {
        slots.hear(state.id, || said(&[message(&state, seq)]));
    }
    drop(guard);
    assert!(slots.lock(state.id, 0).await.is_none());
}

#[tokio::test]
async fn of_what_nobody_asked_for_nothing_is_kept() {
    let (slots, state) = (Slots::default(), conversation());
    slots.hear(state.id, || said(&[message(&state, 1)]));
    assert!(slots.by_id.lock().is_empty());
}

/// A second try whose first one is in the log alone: the key must be known before anything is decided.
#[tokio::test]
async fn what_is_read_later_holds_what_was_heard_before() {
    let (slots, state) = (Slots::default(), conversation());
    *slots.lock(state.id, 0).await = Some(slots.loaded(state.clone()));
    slots.hear(state.id, || said(&[message(&state, 1)]));
    let mut guard = slots.lock(state.id, 0).await;
    let loaded = guard.as_mut().unwrap();
    assert_eq!((loaded.state.seq, loaded.has_no_past(), loaded.last_at()), (1, true, 0));
    let (sender, key) = (state.visitor.as_uuid(), Key::parse("key-1").unwrap());
    let known = log::KnownKey { lane: Lane::Thread, seq: 1, sender, key: key.clone() };
    slots.recall(loaded, &log::Past { keys: vec![known], last_at: 1_000 });
    assert_eq!((slots.find(loaded, sender, &key), loaded.last_at()), (Some((Lane::Thread, 1)), 1_000));
}
