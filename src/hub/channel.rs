//! One topic's listeners on this node, each with its place in the lane's sequence.
//!
//! A listener gets entry `last + 1` and nothing else: what is older it has, what is newer waits until the hole before it
//! was filled from the log. While a session reads the log to catch up, live entries are held for it.

use std::{collections::BTreeMap, sync::Arc};

use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{
    outbox::StateOf,
    presence::{Member, Subject},
};
use crate::{domain::AgentRef, protocol::close::CloseCode};

/// How many live entries are held for one listener that reads the log. Past that it starts over.
const MAX_HELD: usize = 512;

/// The listeners of one topic.
#[derive(Debug, Default)]
pub(super) struct Channel {
    listeners: Vec<Listener>,
}

#[derive(Debug)]
struct Listener {
    member: Arc<Member>,
    place: Place,
}

/// Where a listener is in the lane.
#[derive(Debug)]
enum Place {
    /// It has everything up to and including this `seq`.
    At(u64),
    /// It reads the log.
    CatchingUp(Held),
}

/// What came while a listener reads the log.
#[derive(Debug, Default)]
struct Held {
    /// Entries, by `seq`.
    frames: BTreeMap<u64, Utf8Bytes>,
    /// What the log was seen to reach meanwhile, on a check that may be newer than what the listener reads.
    reached: u64,
}

/// A listener that missed something: repair reads the log after `last`.
#[derive(Debug)]
pub(super) struct Gap {
    pub(super) member: Arc<Member>,
    pub(super) last: u64,
}

impl Channel {
    pub(super) const fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }

    /// Adds `member`, for whom entries are held until [`Channel::go_on`]. Again for one that is in: it starts anew.
    pub(super) fn join(&mut self, member: &Arc<Member>) {
        self.put(member, Place::CatchingUp(Held::default()));
    }

    /// Adds `member`, who has everything up to `last`, unless it is in.
    pub(super) fn join_new(&mut self, member: &Arc<Member>, last: u64) -> bool {
        let is_new = self.find(member.number).is_none();
        if is_new {
            self.put(member, Place::At(last));
        }
        is_new
    }

    pub(super) fn leave(&mut self, number: u64) -> bool {
        let Some(index) = self.find(number) else { return false };
        self.listeners.swap_remove(index);
        true
    }

    /// `number` has everything up to `last` now: it gets what was held, and live entries from here on. Returns the hole
    /// if what was held does not follow.
    pub(super) fn go_on(&mut self, number: u64, last: u64) -> Option<Gap> {
        let index = self.find(number)?;
        let listener = self.listeners.get_mut(index)?;
        let held = match std::mem::replace(&mut listener.place, Place::At(last)) {
            Place::CatchingUp(held) => held,
            Place::At(further) => {
                listener.place = Place::At(further.max(last));
                return None;
            }
        };
        let mut gap = None;
        for (seq, frame) in held.frames {
            gap = gap.or(listener.take(seq, &frame));
        }
        gap.or_else(|| listener.reach(held.reached))
    }

    /// The log reaches `seq`: returns those who have less.
    pub(super) fn behind(&mut self, seq: u64) -> Vec<Gap> {
        self.listeners.iter_mut().filter_map(|listener| listener.reach(seq)).collect()
    }

    /// Brings entry `seq` to everyone, and returns those who missed one before it.
    pub(super) fn deliver(&mut self, seq: u64, frame: &Utf8Bytes) -> Vec<Gap> {
        // Allocates only where there is a gap.
        self.listeners.iter_mut().filter_map(|listener| listener.take(seq, frame)).collect()
    }

    /// Brings the newest value of a state to everyone but `except`.
    pub(super) fn set(&self, of: StateOf, frame: &Utf8Bytes, except: impl Fn(&Member) -> bool) {
        for listener in self.listeners.iter().filter(|listener| !except(&listener.member)) {
            listener.member.set(of, frame.clone());
        }
    }

    pub(super) fn members(&self) -> Vec<Arc<Member>> {
        self.listeners.iter().map(|listener| Arc::clone(&listener.member)).collect()
    }

    pub(super) const fn len(&self) -> usize {
        self.listeners.len()
    }

    /// The agents that listen, each once, in the order of their ids.
    pub(super) fn agents(&self) -> Vec<AgentRef> {
        let mut agents: BTreeMap<_, _> = BTreeMap::new();
        for listener in &self.listeners {
            if let Subject::Agent(agent) = &listener.member.subject {
                agents.entry(agent.id).or_insert_with(|| agent.clone());
            }
        }
        agents.into_values().collect()
    }

    fn find(&self, number: u64) -> Option<usize> {
        self.listeners.iter().position(|listener| listener.member.number == number)
    }

    fn put(&mut self, member: &Arc<Member>, place: Place) {
        self.leave(member.number);
        self.listeners.push(Listener { member: Arc::clone(member), place });
    }
}

impl Listener {
    fn take(&mut self, seq: u64, frame: &Utf8Bytes) -> Option<Gap> {
        match &mut self.place {
            Place::At(last) if seq == *last + 1 => {
                *last = seq;
                self.member.push(frame.clone());
                None
            }
            Place::At(last) if seq <= *last => None,
            Place::At(last) => {
                let gap = Gap { member: Arc::clone(&self.member), last: *last };
                let frames = BTreeMap::from([(seq, frame.clone())]);
                self.place = Place::CatchingUp(Held { frames, reached: 0 });
                Some(gap)
            }
            Place::CatchingUp(held) if held.frames.len() < MAX_HELD => {
                held.frames.insert(seq, frame.clone());
                None
            }
            Place::CatchingUp(_) => {
                self.member.outbox.end(CloseCode::Resync);
                None
            }
        }
    }

    /// The log reaches `seq`. One that reads it now may have begun before that: it is looked at again when it is through.
    fn reach(&mut self, seq: u64) -> Option<Gap> {
        match &mut self.place {
            Place::At(last) if seq <= *last => None,
            Place::At(last) => {
                let gap = Gap { member: Arc::clone(&self.member), last: *last };
                self.place = Place::CatchingUp(Held::default());
                Some(gap)
            }
            Place::CatchingUp(held) => {
                held.reached = held.reached.max(seq);
                None
            }
        }
    }
}

#[cfg(test)]
#[path = "channel_tests.rs"]
mod tests;
