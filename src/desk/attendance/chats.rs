//! The open conversations of a project: who has which, and who waits.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{
    clock::Millis,
    domain::{Conversation, Status},
    ids::{AgentId, ConversationId, VisitorId},
};

/// How long a conversation that was closed is remembered: longer than any older word about it takes to arrive.
const REMEMBER_CLOSED_MS: Millis = 60_000;

/// How far a conversation had come: the last `seq` of the thread and of the desk lane.
pub(in crate::desk) type Position = (u64, u64);

/// What is known of every open conversation. What comes late, by whatever way, changes nothing.
#[derive(Debug, Default)]
pub(super) struct Chats {
    by_id: HashMap<ConversationId, Chat>,
    /// Those that wait, the longest waiting first.
    line: BTreeMap<(Millis, ConversationId), VisitorId>,
    loads: HashMap<AgentId, u32>,
}

#[derive(Clone, Copy, Debug)]
struct Chat {
    position: Position,
    is: Is,
}

/// How a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    /// An agent has it.
    Held {
        by: AgentId,
        unanswered: bool,
    },
    /// An agent is about to get it.
    Promised {
        to: AgentId,
    },
    /// It stands in line.
    Waiting {
        since: Millis,
        visitor: VisitorId,
    },
    /// It is open, and nobody waits.
    Quiet,
    Closed {
        at: Millis,
    },
}

/// What a new state changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// Somebody may have room now, or somebody waits.
    pub(super) concerns_routing: bool,
    /// The line is another.
    pub(super) line_moved: bool,
    /// It left the line for an agent.
    pub(super) was_given: bool,
}

impl Is {
    fn of(state: &Conversation, now: Millis) -> Self {
        let holder = state.assignee.as_ref().map(|holder| holder.id);
        match (state.status, holder) {
            (Status::Closed, _) => Self::Closed { at: now },
            (Status::Open, Some(by)) => Self::Held { by, unanswered: state.waiting_since.is_some() },
            (Status::Open, None) => match state.waiting_since {
                Some(since) => Self::Waiting { since, visitor: state.visitor },
                None => Self::Quiet,
            },
        }
    }

    /// Whose place it takes.
    const fn holder(self) -> Option<AgentId> {
        match self {
            Self::Held { by, .. } => Some(by),
            Self::Promised { to } => Some(to),
            Self::Waiting { .. } | Self::Quiet | Self::Closed { .. } => None,
        }
    }

    const fn is_waiting(self) -> bool {
        matches!(self, Self::Waiting { .. })
    }
}

impl Chats {
    /// Takes note of a conversation's state, unless a newer one is known.
    pub(super) fn observe(&mut self, state: &Conversation, now: Millis) -> Change {
        let position = (state.seq, state.desk_seq);
        let (before, next) = (self.by_id.get(&state.id).copied(), Is::of(state, now));
        match before {
            Some(known) if position.0 < known.position.0 || position.1 < known.position.1 => return Change::default(),
            // Whoever promised it decides on what it is now.
            Some(Chat { is: is @ Is::Promised { .. }, .. }) if next.is_waiting() => {
                self.by_id.insert(state.id, Chat { position, is });
                return Change::default();
            }
            _ => {}
        }
        let was = before.map(|known| known.is);
        self.put(state.id, position, next);
        let was_waiting = was.is_some_and(Is::is_waiting);
        Change {
            concerns_routing: was.and_then(Is::holder) != next.holder() || next.is_waiting(),
            line_moved: was_waiting != next.is_waiting(),
            was_given: was_waiting && next.holder().is_some(),
        }
    }

    /// The one that waits longest.
    pub(super) fn first(&self) -> Option<(ConversationId, VisitorId, Millis)> {
        self.line.first_key_value().map(|((since, id), visitor)| (*id, *visitor, *since))
    }

    /// An agent is about to get a conversation: it takes a place of the agent's from now on.
    pub(super) fn promise(&mut self, id: ConversationId, to: AgentId) {
        let position = self.by_id.get(&id).map_or((0, 0), |chat| chat.position);
        self.put(id, position, Is::Promised { to });
    }

    /// Takes back a promise. One about a conversation that never began is forgotten.
    pub(super) fn release(&mut self, id: ConversationId) {
        let Some(Chat { position, is: Is::Promised { .. } }) = self.by_id.get(&id).copied() else { return };
        self.put(id, position, Is::Quiet);
        if position == (0, 0) {
            self.by_id.remove(&id);
        }
    }

    /// Takes back a promise: the conversation stands where it stood.
    pub(super) fn put_back(&mut self, id: ConversationId, visitor: VisitorId, since: Millis) {
        if let Some(Chat { position, is: Is::Promised { .. } }) = self.by_id.get(&id).copied() {
            self.put(id, position, Is::Waiting { since, visitor });
        }
    }

    /// How far every open conversation had come.
    pub(super) fn positions(&self) -> HashMap<ConversationId, Position> {
        let open = self.by_id.iter().filter(|(_, chat)| !matches!(chat.is, Is::Closed { .. }));
        open.map(|(id, chat)| (*id, chat.position)).collect()
    }

    /// Those of `before` that are not among `open` are closed, unless something was heard of them since.
    /// Whether one of them stood in line.
    pub(super) fn close_others(
        &mut self,
        before: &HashMap<ConversationId, Position>,
        open: &[Conversation],
        now: Millis,
    ) -> bool {
        let open: HashSet<_> = open.iter().map(|state| state.id).collect();
        let mut line_moved = false;
        for (id, position) in before.iter().filter(|(id, _)| !open.contains(id)) {
            let Some(chat) = self.by_id.get(id).copied().filter(|chat| chat.position == *position) else { continue };
            if matches!(chat.is, Is::Promised { .. }) {
                continue;
            }
            line_moved |= chat.is.is_waiting();
            self.put(*id, *position, Is::Closed { at: now });
        }
        line_moved
    }

    /// Forgets what was closed a while ago.
    pub(super) fn forget_closed(&mut self, now: Millis) {
        self.by_id.retain(|_, chat| !matches!(chat.is, Is::Closed { at } if now - at > REMEMBER_CLOSED_MS));
    }

    /// Those that somebody has who has not answered.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = (ConversationId, AgentId)> {
        self.by_id.iter().filter_map(|(id, chat)| match chat.is {
            Is::Held { by, unanswered: true } => Some((*id, by)),
            _ => None,
        })
    }

    /// How many open conversations an agent has or is about to get.
    pub(super) fn load(&self, agent: AgentId) -> u32 {
        self.loads.get(&agent).copied().unwrap_or_default()
    }

    /// Who waits, from the head of the line.
    pub(super) fn line(&self) -> impl Iterator<Item = (ConversationId, VisitorId)> {
        self.line.iter().map(|((_, id), visitor)| (*id, *visitor))
    }

    /// How many wait before a conversation; none when it does not wait.
    pub(super) fn before(&self, id: ConversationId) -> Option<usize> {
        let Is::Waiting { since, .. } = self.by_id.get(&id)?.is else { return None };
        Some(self.line.range(..(since, id)).count())
    }

    fn put(&mut self, id: ConversationId, position: Position, is: Is) {
        let was = self.by_id.insert(id, Chat { position, is }).map(|chat| chat.is);
        let (before, now) = (was.and_then(Is::holder), is.holder());
        if before != now {
            if let Some(load) = before.and_then(|agent| self.loads.get_mut(&agent)) {
                *load = load.saturating_sub(1);
            }
            if let Some(agent) = now {
                *self.loads.entry(agent).or_default() += 1;
            }
        }
        if let Some(Is::Waiting { since, .. }) = was {
            self.line.remove(&(since, id));
        }
        if let Is::Waiting { since, visitor } = is {
            self.line.insert((since, id), visitor);
        }
    }
}
