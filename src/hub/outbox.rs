//! What waits to be written to one session: bounded, and never waited for.
//!
//! Two shelves. *Frames* are what happened: kept in order, and when one does not fit, the session is closed as a slow
//! consumer, because nothing may be dropped silently. *States* (typing, presence, a place in line) are worth only their
//! newest value: a newer one takes the place of an older one, and they go first.

pub mod joining;
mod wire;

use std::{
    collections::VecDeque,
    future::poll_fn,
    task::{Context, Poll, Waker},
};

use parking_lot::{Mutex, MutexGuard};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use uuid::Uuid;

use self::wire::Wire;
use crate::{
    protocol::close::CloseCode,
    telemetry::refused,
    trace::{Part, Span, Spans},
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

/// What is more than this the session's task writes itself, as fast as its client reads.
const FLUSHED_BYTES: usize = 64 * 1_024;

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

/// The queue of one session. Filled by the hub; emptied by the session's task, or while that sleeps by the flusher, where
/// there is a wire.
#[derive(Debug)]
pub struct Outbox {
    shelves: Mutex<Shelves>,
    limits: OutboxLimits,
    /// The socket, if others than the session's task may write to it. The flusher locks it before the shelves, from the taking of
    /// what is on them to its writing; the task says that it is at work before it takes, and writes behind what the flusher took.
    wire: Mutex<Option<Box<Wire>>>,
}

/// Who is to write what is put out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// The session's task, which is at work or waits for its socket: it looks here before it sleeps.
    #[default]
    Task,
    /// The session's task sleeps, and has written everything.
    Sleeps,
    /// The flusher, which was called.
    Flusher,
}

/// Allocates nothing until something is put on it.
#[derive(Debug, Default)]
struct Shelves {
    states: Vec<(StateOf, Utf8Bytes)>,
    frames: VecDeque<Utf8Bytes>,
    bytes: usize,
    ending: Option<CloseCode>,
    /// Of the frames, those that belong to a trace.
    delivering: Spans,
    /// The session's task, while it waits for something of this. It is one task, so there is room for one.
    waiting: Option<Waker>,
    /// Of the frames, those that are answers, which come first; and of the bytes.
    answers: usize,
    answer_bytes: usize,
    stage: Stage,
    /// It stands in the flusher's line.
    is_called: bool,
    /// There is a wire.
    has_wire: bool,
    /// The system did not take all that the flusher wrote: the session's task waits for it.
    has_rest: bool,
}

/// What [`Outbox::take`] gives.
#[derive(Debug, Default)]
pub struct Batch {
    /// The newest value of each state.
    pub states: Vec<(StateOf, Utf8Bytes)>,
    /// Answers, then what happened, in order.
    pub frames: VecDeque<Utf8Bytes>,
    /// How many of the frames are answers.
    pub answers: usize,
    /// The session is to be closed, after this batch.
    pub ending: Option<CloseCode>,
    /// What is recorded of frames that belong to a trace; ends when they are written.
    pub delivering: Spans,
    /// Something of before is still to be written.
    pub has_rest: bool,
}

impl Batch {
    /// What is to be written: answers first, since what follows may be newer than they are; then states, then what happened.
    pub fn in_order(&mut self) -> impl Iterator<Item = Utf8Bytes> + use<> {
        let (mut states, mut answers) = (std::mem::take(&mut self.states).into_iter(), self.answers);
        let mut frames = std::mem::take(&mut self.frames).into_iter();
        std::iter::from_fn(move || {
            if answers > 0 {
                answers -= 1;
                return frames.next();
            }
            states.next().map(|(_, frame)| frame).or_else(|| frames.next())
        })
    }
}

impl Outbox {
    /// An empty one.
    pub fn new(limits: OutboxLimits) -> Self {
        Self { shelves: Mutex::default(), limits, wire: Mutex::default() }
    }

    /// Puts a frame at the end. When it does not fit, the session is over: 4002, it resumes from the log. True when the flusher
    /// is to be called.
    pub fn push(&self, frame: Utf8Bytes) -> bool {
        let delivery = Span::part(Part::Delivery);
        let mut shelves = self.shelves.lock();
        if shelves.ending.is_some() {
            return false;
        }
        if let Some(limit) = shelves.overflow(&frame, self.limits) {
            refused(limit);
            shelves.end(CloseCode::SlowConsumer);
        } else {
            shelves.bytes += frame.len();
            shelves.frames.push_back(frame);
            shelves.delivering.push(delivery);
        }
        call(shelves)
    }

    /// Puts the newest value of a state in the place of an older one: of two nodes' words the older may come last. When typing or
    /// presence does not fit, it is dropped. When another state does not fit, the session is over: without a head an agent would
    /// not see a chat. True when the flusher is to be called.
    pub fn set(&self, of: StateOf, frame: Utf8Bytes) -> bool {
        let mut shelves = self.shelves.lock();
        let before = shelves.states.len();
        if shelves.put(before, of, frame, self.limits) { call(shelves) } else { false }
    }

    /// As [`Outbox::set`], for several states at once, no two of the same thing.
    pub fn set_all(&self, states: &[(StateOf, Utf8Bytes)]) -> bool {
        let mut shelves = self.shelves.lock();
        let (before, mut is_new) = (shelves.states.len(), false);
        for (of, frame) in states {
            is_new |= shelves.put(before, *of, frame.clone(), self.limits);
        }
        if is_new { call(shelves) } else { false }
    }

    /// For the session's task: puts an answer before what the hub put out, and behind earlier answers. It counts against no
    /// limit: who asked waits for it.
    pub fn answer(&self, frame: Utf8Bytes, answered: Span) {
        let mut shelves = self.shelves.lock();
        if shelves.ending.is_some_and(CloseCode::shuts_out) {
            return;
        }
        let place = shelves.answers;
        shelves.bytes += frame.len();
        shelves.answer_bytes += frame.len();
        shelves.frames.insert(place, frame);
        shelves.answers += 1;
        shelves.delivering.push(answered);
    }

    /// For the session's task, when it has written all that it has: leaves what is here to the flusher, if that can write it. False when
    /// it can't.
    pub(super) fn leave(&self, call: impl FnOnce()) -> bool {
        let mut shelves = self.shelves.lock();
        if !shelves.has_wire || shelves.has_rest || shelves.ending.is_some() || shelves.bytes > FLUSHED_BYTES {
            return false;
        }
        if !shelves.holds_something() {
            return true;
        }
        shelves.stage = Stage::Flusher;
        if shelves.is_called() {
            drop(shelves);
            call();
        }
        true
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

    /// Returns when there is something to take. Cancel-safe. Whoever waits for this has written everything that it has; when
    /// it goes on for another reason, it says so with [`Outbox::rouse`] before it writes.
    pub async fn ready(&self) {
        poll_fn(|context| {
            self.poll(context, |shelves| {
                if shelves.stage == Stage::Flusher && shelves.ending.is_none() {
                    return None;
                }
                let found = shelves.holds_something();
                shelves.stage = if !found && shelves.has_wire { Stage::Sleeps } else { Stage::Task };
                found.then_some(())
            })
        })
        .await;
    }

    /// The session's task is at work and comes back to [`Outbox::ready`] or [`Outbox::take`] before it sleeps: until then it
    /// need not be woken, least of all by itself, and nobody else writes. True when there is something to take.
    pub fn rouse(&self) -> bool {
        let mut shelves = self.shelves.lock();
        shelves.waiting = None;
        shelves.stage = Stage::Task;
        shelves.holds_something()
    }

    /// What `found` finds; if nothing, the task is woken by the next change.
    fn poll<T>(&self, context: &Context<'_>, found: impl FnOnce(&mut Shelves) -> Option<T>) -> Poll<T> {
        let mut shelves = self.shelves.lock();
        if let Some(found) = found(&mut shelves) {
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
        shelves.stage = Stage::Task;
        shelves.take()
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.shelves.lock().bytes
    }
}

/// Calls who is to write what was put on the shelves. True when that is the flusher, and it was not called yet.
fn call(mut shelves: MutexGuard<'_, Shelves>) -> bool {
    match shelves.stage {
        Stage::Sleeps | Stage::Flusher if shelves.ending.is_none() => {
            shelves.stage = Stage::Flusher;
            shelves.is_called()
        }
        _ => {
            wake(shelves);
            false
        }
    }
}

/// Wakes the session's task, with the shelves let go.
fn wake(mut shelves: MutexGuard<'_, Shelves>) {
    shelves.stage = Stage::Task;
    let waiting = shelves.waiting.take();
    drop(shelves);
    if let Some(waiting) = waiting {
        waiting.wake();
    }
}

impl Shelves {
    fn holds_something(&self) -> bool {
        self.ending.is_some() || self.has_rest || !self.states.is_empty() || !self.frames.is_empty()
    }

    /// Notes that the flusher is called; true when it was not before.
    const fn is_called(&mut self) -> bool {
        !std::mem::replace(&mut self.is_called, true)
    }

    fn take(&mut self) -> Batch {
        (self.bytes, self.answer_bytes) = (0, 0);
        Batch {
            states: std::mem::take(&mut self.states),
            frames: std::mem::take(&mut self.frames),
            answers: std::mem::take(&mut self.answers),
            ending: self.ending,
            delivering: std::mem::take(&mut self.delivering),
            has_rest: std::mem::take(&mut self.has_rest),
        }
    }

    /// The limit that one more frame would break.
    fn overflow(&self, frame: &Utf8Bytes, limits: OutboxLimits) -> Option<&'static str> {
        // States don't count here: a burst of heads of many conversations is no backlog, and their bytes count below.
        if self.frames.len() - self.answers >= limits.frames {
            Some("outbox_frames")
        } else if self.bytes - self.answer_bytes + frame.len() > limits.bytes {
            Some(limits.bytes_limit)
        } else {
            None
        }
    }

    /// Puts a state on its shelf, in the place of one of the first so many that it is newer than. False when it is not, or is dropped.
    fn put(&mut self, before: usize, of: StateOf, frame: Utf8Bytes, limits: OutboxLimits) -> bool {
        if self.ending.is_some() {
            return false;
        }
        let known = self.states.iter().take(before).position(|(known, _)| known.what() == of.what());
        if let Some(known) = known {
            if self.states.get(known).is_some_and(|(known, _)| known.reach() > of.reach()) {
                return false;
            }
            let (_, old) = self.states.swap_remove(known);
            self.bytes -= old.len();
        }
        match self.overflow(&frame, limits) {
            None => {
                self.bytes += frame.len();
                self.states.push((of, frame));
            }
            // Only typing and presence may be dropped: the next one tells.
            Some(_) if matches!(of, StateOf::Typing(..) | StateOf::Presence(_)) => return false,
            Some(limit) => {
                refused(limit);
                self.end(CloseCode::SlowConsumer);
            }
        }
        true
    }

    /// Nothing more will be written: what waits is in the log or worth nothing.
    fn end(&mut self, code: CloseCode) {
        if code == CloseCode::SlowConsumer {
            metrics::counter!("deskbell_slow_consumers_total").increment(1);
        }
        self.ending = Some(code);
        (self.frames, self.answers, self.answer_bytes) = (VecDeque::new(), 0, 0);
        self.states = Vec::new();
        self.delivering = Spans::default();
        self.bytes = 0;
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
