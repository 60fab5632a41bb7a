//! What waits to be written to one session: bounded, and never waited for.
//!
//! Two shelves. *Frames* are what happened: kept in order, and when one does not fit, the session is closed as a slow
//! consumer, because nothing may be dropped silently. *States* (typing, presence, a place in line) are worth only their
//! newest value: a newer one takes the place of an older one, and they go first.

use std::{
    collections::VecDeque,
    future::poll_fn,
    task::{Context, Poll, Waker},
};

use parking_lot::{Mutex, MutexGuard};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use uuid::Uuid;

use crate::{
    protocol::close::CloseCode,
    telemetry::refused,
    trace::{Part, Span},
};

/// How much a session may be behind.
#[derive(Clone, Copy, Debug)]
pub struct OutboxLimits {
    /// Frames.
    pub frames: usize,
    /// Bytes of frames and states together.
    pub bytes: usize,
    /// The name of the limit that `bytes` comes from.
    pub bytes_limit: &'static str,
}

/// What a state is the newest value of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateOf {
    /// Who types in a conversation: the conversation and the person.
    Typing(Uuid, Uuid),
    /// An agent's presence, or with no agent the count of those online.
    Presence(Option<Uuid>),
    /// A conversation's place in line.
    Queue(Uuid),
    /// Who looks at a conversation.
    Viewing(Uuid),
    /// How far somebody has read a conversation: the conversation, the side, and how far.
    Read(Uuid, Uuid, u64),
    /// How far a conversation has come to somebody's devices: the conversation, the side, and how far.
    Delivered(Uuid, Uuid, u64),
    /// A conversation's head: which, and where its lanes are.
    Head(Uuid, (u64, u64)),
}

impl StateOf {
    /// What it is, however far.
    const fn what(self) -> Self {
        match self {
            Self::Read(conversation, side, _) => Self::Read(conversation, side, 0),
            Self::Delivered(conversation, side, _) => Self::Delivered(conversation, side, 0),
            Self::Head(conversation, _) => Self::Head(conversation, (0, 0)),
            other => other,
        }
    }

    /// How far it is. Of what has no such order, the one that came last is the newest.
    const fn reach(self) -> (u64, u64) {
        match self {
            Self::Read(.., seq) | Self::Delivered(.., seq) => (seq, 0),
            Self::Head(_, reach) => reach,
            _ => (0, 0),
        }
    }
}

/// The queue of one session. Filled by the hub, emptied by the session's task.
#[derive(Debug)]
pub struct Outbox {
    shelves: Mutex<Shelves>,
    limits: OutboxLimits,
}

/// Allocates nothing until something is put on it.
#[derive(Debug, Default)]
struct Shelves {
    states: Vec<(StateOf, Utf8Bytes)>,
    frames: VecDeque<Utf8Bytes>,
    bytes: usize,
    ending: Option<CloseCode>,
    /// Of the frames, those that belong to a trace.
    delivering: Vec<Span>,
    /// The session's task, while it waits for something of this. It is one task, so there is room for one.
    waiting: Option<Waker>,
}

/// What [`Outbox::take`] gives: states first, then frames in order.
#[derive(Debug, Default)]
pub struct Batch {
    /// The newest value of each state.
    pub states: Vec<(StateOf, Utf8Bytes)>,
    /// What happened, in order.
    pub frames: VecDeque<Utf8Bytes>,
    /// The session is to be closed, after this batch.
    pub ending: Option<CloseCode>,
    /// What is recorded of frames that belong to a trace; ends when they are written.
    pub delivering: Vec<Span>,
}

impl Outbox {
    /// An empty one.
    pub fn new(limits: OutboxLimits) -> Self {
        Self { shelves: Mutex::default(), limits }
    }

    /// Puts a frame at the end. When it does not fit, the session is over: 4002, it resumes from the log.
    pub fn push(&self, frame: Utf8Bytes) {
        let delivery = Span::part(Part::Delivery);
        let mut shelves = self.shelves.lock();
        if shelves.ending.is_some() {
            return;
        }
        if let Some(limit) = shelves.overflow(&frame, self.limits) {
            refused(limit);
            shelves.end(CloseCode::SlowConsumer);
        } else {
            shelves.bytes += frame.len();
            shelves.frames.push_back(frame);
            if delivery.is_some() {
                shelves.delivering.push(delivery);
            }
        }
        wake(shelves);
    }

    /// Puts the newest value of a state in the place of an older one: of two nodes' words the older may come last. When typing or presence does not fit, it is dropped.
    /// When another state does not fit, the session is over: without a head an agent would not see a chat.
    pub fn set(&self, of: StateOf, frame: Utf8Bytes) {
        let mut shelves = self.shelves.lock();
        if shelves.ending.is_some() {
            return;
        }
        if let Some(position) = shelves.states.iter().position(|(known, _)| known.what() == of.what()) {
            if shelves.states.get(position).is_some_and(|(known, _)| known.reach() > of.reach()) {
                return;
            }
            let (_, old) = shelves.states.swap_remove(position);
            shelves.bytes -= old.len();
        }
        match shelves.overflow(&frame, self.limits) {
            None => {
                shelves.bytes += frame.len();
                shelves.states.push((of, frame));
            }
            // Only typing and presence may be dropped: the next one tells.
            Some(_) if matches!(of, StateOf::Typing(..) | StateOf::Presence(_)) => {}
            Some(limit) => {
                refused(limit);
                shelves.end(CloseCode::SlowConsumer);
            }
        }
        wake(shelves);
    }

    /// Ends the session with `code`. The first ending counts, but for one that shuts out: who reads slowly is shut out, too.
    pub fn end(&self, code: CloseCode) {
        let mut shelves = self.shelves.lock();
        if shelves.ending.is_none_or(|earlier| code.shuts_out() && !earlier.shuts_out()) {
            shelves.ending = Some(code);
        }
        wake(shelves);
    }

    /// Returns when the session may not go on, with the reason. For one that waits for its socket. Cancel-safe.
    pub async fn shut_out(&self) -> CloseCode {
        poll_fn(|context| self.poll(context, |shelves| shelves.ending.filter(|code| code.shuts_out()))).await
    }

    /// Returns when there is something to take. Cancel-safe.
    pub async fn ready(&self) {
        poll_fn(|context| self.poll(context, |shelves| shelves.holds_something().then_some(()))).await;
    }

    /// The session's task is at work and comes back to [`Outbox::ready`] or [`Outbox::take`] before it sleeps: until then it
    /// need not be woken, least of all by itself.
    pub fn rouse(&self) {
        self.shelves.lock().waiting = None;
    }

    /// What `found` finds; if nothing, the task is woken by the next change.
    fn poll<T>(&self, context: &Context<'_>, found: impl FnOnce(&Shelves) -> Option<T>) -> Poll<T> {
        let mut shelves = self.shelves.lock();
        if let Some(found) = found(&shelves) {
            return Poll::Ready(found);
        }
        match &mut shelves.waiting {
            Some(waiting) => waiting.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Takes everything, and gives the memory back: an idle session keeps none.
    pub fn take(&self) -> Batch {
        let mut shelves = self.shelves.lock();
        shelves.bytes = 0;
        Batch {
            states: std::mem::take(&mut shelves.states),
            frames: std::mem::take(&mut shelves.frames),
            ending: shelves.ending,
            delivering: std::mem::take(&mut shelves.delivering),
        }
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.shelves.lock().bytes
    }
}

/// Wakes the session's task, with the shelves let go.
fn wake(mut shelves: MutexGuard<'_, Shelves>) {
    let waiting = shelves.waiting.take();
    drop(shelves);
    if let Some(waiting) = waiting {
        waiting.wake();
    }
}

impl Shelves {
    fn holds_something(&self) -> bool {
        self.ending.is_some() || !self.states.is_empty() || !self.frames.is_empty()
    }

    /// The limit that one more frame would break.
    fn overflow(&self, frame: &Utf8Bytes, limits: OutboxLimits) -> Option<&'static str> {
        // States don't count here: a burst of heads of many conversations is no backlog, and their bytes count below.
        if self.frames.len() >= limits.frames {
            Some("outbox_frames")
        } else if self.bytes + frame.len() > limits.bytes {
            Some(limits.bytes_limit)
        } else {
            None
        }
    }

    /// Nothing more will be written: what waits is in the log or worth nothing.
    fn end(&mut self, code: CloseCode) {
        if code == CloseCode::SlowConsumer {
            metrics::counter!("deskbell_slow_consumers_total").increment(1);
        }
        self.ending = Some(code);
        self.frames = VecDeque::new();
        self.states = Vec::new();
        self.delivering = Vec::new();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox() -> Outbox {
        Outbox::new(OutboxLimits { frames: 3, bytes: 100, bytes_limit: "outbox_visitor_bytes" })
    }

    #[test]
    fn a_frame_that_does_not_fit_ends_the_session() {
        let by_count = outbox();
        for _ in 0..4 {
            by_count.push("x".into());
        }
        assert_eq!(by_count.take().ending, Some(CloseCode::SlowConsumer));
        let by_bytes = outbox();
        by_bytes.push("x".repeat(60).into());
        by_bytes.push("x".repeat(60).into());
        let batch = by_bytes.take();
        assert_eq!((batch.ending, batch.frames.len()), (Some(CloseCode::SlowConsumer), 0));
    }

    #[test]
    fn of_a_state_only_the_newest_is_kept() {
        let outbox = outbox();
        let of = StateOf::Queue(Uuid::nil());
        outbox.set(of, "old".into());
        outbox.set(of, "new".into());
        let batch = outbox.take();
        assert_eq!(batch.states, vec![(of, "new".into())]);
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn of_a_state_with_an_order_the_furthest_is_kept_whichever_comes_last() {
        let (outbox, id) = (outbox(), Uuid::nil());
        for (seq, desk_seq) in [(2, 1), (3, 0), (2, 2)] {
            outbox.set(StateOf::Head(id, (seq, desk_seq)), seq.to_string().into());
        }
        for seq in [1, 3, 2] {
            outbox.set(StateOf::Read(id, id, seq), seq.to_string().into());
        }
        let states: Vec<_> = outbox.take().states.into_iter().map(|(_, frame)| frame.as_str().to_owned()).collect();
        assert_eq!(states, ["3", "3"]);
    }

    #[test]
    fn typing_that_does_not_fit_is_dropped_but_a_head_is_not() {
        let outbox = outbox();
        outbox.push("x".repeat(99).into());
        outbox.set(StateOf::Typing(Uuid::nil(), Uuid::nil()), "typing".into());
        assert_eq!(outbox.take().ending, None);
        outbox.push("x".repeat(99).into());
        outbox.set(StateOf::Head(Uuid::nil(), (1, 0)), "head".into());
        assert_eq!(outbox.take().ending, Some(CloseCode::SlowConsumer));
    }

    #[test]
    fn the_first_ending_counts_and_nothing_follows_it() {
        let outbox = outbox();
        outbox.end(CloseCode::Unauthorized);
        outbox.end(CloseCode::Draining);
        outbox.push("late".into());
        let batch = outbox.take();
        assert_eq!((batch.ending, batch.frames.len()), (Some(CloseCode::Unauthorized), 0));
    }
}
