//! Who is here: every session of this node, and which topics each listens to.
//!
//! The only file that names `DashMap`. A guard never leaves a method: what is returned is a clone, and no method calls
//! another of the same map under a guard. Both have frozen servers in production.

use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use dashmap::DashMap;
use parking_lot::Mutex;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{
    channel::Channel,
    flusher::Flusher,
    outbox::{Outbox, StateOf},
};
use crate::{
    bus::Topic,
    domain::{AgentRef, Who},
    ids::{AgentId, ConversationId, ProjectId, SessionId, VisitorId},
};

/// Who is at the other end of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A visitor.
    Visitor(VisitorId),
    /// An agent.
    Agent(AgentRef),
}

/// One session on this node: a socket whose client said who it is.
#[derive(Debug)]
pub struct Member {
    /// Unique on this node while it runs.
    pub number: u64,
    /// The project it belongs to; nothing of another reaches it.
    pub project: ProjectId,
    /// The session of the token that it holds now, and the key that signed it.
    pub(super) token: Mutex<(SessionId, Arc<str>)>,
    /// Who.
    pub subject: Subject,
    /// Where from.
    pub address: IpAddr,
    /// What waits to be written to it.
    pub outbox: Outbox,
    /// Who writes it while the session's task sleeps.
    pub(super) flusher: Arc<Flusher>,
    /// What it listens to, so that it can be taken out of everything at its end.
    pub(super) topics: Mutex<Vec<Topic>>,
    /// While its `connect` is being answered: conversations of its own that were said to be new meanwhile. Nobody else may
    /// bring them to it, since the answer may hold them.
    pub(super) opened: Mutex<Option<BTreeSet<ConversationId>>>,
}

impl Member {
    /// Brings it a frame: [`Outbox::push`].
    pub(super) fn push(self: &Arc<Self>, frame: Utf8Bytes) {
        if self.outbox.push(frame) {
            self.flusher.call(self);
        }
    }

    /// Brings it the newest value of a state: [`Outbox::set`].
    pub(super) fn set(self: &Arc<Self>, of: StateOf, frame: Utf8Bytes) {
        if self.outbox.set(of, frame) {
            self.flusher.call(self);
        }
    }

    /// Brings it the newest values of several states: [`Outbox::set_all`].
    pub(super) fn set_all(self: &Arc<Self>, states: &[(StateOf, Utf8Bytes)]) {
        if self.outbox.set_all(states) {
            self.flusher.call(self);
        }
    }

    /// For the session's task, when it has written all that it has: leaves what is in the outbox to the flusher. False when the
    /// task has to write it.
    pub fn leave(self: &Arc<Self>) -> bool {
        self.outbox.leave(|| self.flusher.call(self))
    }

    /// Whether it may see the desk lane.
    pub const fn is_agent(&self) -> bool {
        matches!(self.subject, Subject::Agent(_))
    }

    /// The session of the token that it holds now.
    pub fn session(&self) -> SessionId {
        self.token.lock().0
    }

    /// It holds a token of this session now, signed by `key`.
    pub fn renew(&self, session: SessionId, key: Arc<str>) {
        *self.token.lock() = (session, key);
    }

    /// Whether `key` signed the token that it holds now.
    pub(super) fn holds_token_of(&self, key: &str) -> bool {
        &*self.token.lock().1 == key
    }

    /// Whether it is this person, here or on another device.
    pub(super) fn is(&self, who: Who) -> bool {
        match (&self.subject, who) {
            (Subject::Visitor(own), Who::Visitor(id)) => *own == id,
            (Subject::Agent(own), Who::Agent(id)) => own.id == id,
            _ => false,
        }
    }

    /// Which agent it is.
    pub const fn agent(&self) -> Option<AgentId> {
        match &self.subject {
            Subject::Agent(agent) => Some(agent.id),
            Subject::Visitor(_) => None,
        }
    }
}

/// The map of sessions and the map of topics, sharded.
#[derive(Debug, Default)]
pub(super) struct Presence {
    members: DashMap<u64, Arc<Member>>,
    channels: DashMap<Topic, Arc<Mutex<Channel>>>,
    of_project: DashMap<ProjectId, usize>,
    next: AtomicU64,
    agents: AtomicUsize,
}

impl Presence {
    /// A number for a new member.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn insert(&self, member: &Arc<Member>) {
        self.agents.fetch_add(usize::from(member.is_agent()), Ordering::Relaxed);
        *self.of_project.entry(member.project).or_default() += 1;
        self.members.insert(member.number, Arc::clone(member));
    }

    pub(super) fn remove(&self, member: &Member) {
        if self.members.remove(&member.number).is_some() {
            self.agents.fetch_sub(usize::from(member.is_agent()), Ordering::Relaxed);
            self.of_project.alter(&member.project, |_, count| count.saturating_sub(1));
        }
    }

    /// Whether a member is still here.
    pub(super) fn contains(&self, number: u64) -> bool {
        self.members.contains_key(&number)
    }

    /// How many visitors' and how many agents' sessions there are.
    pub(super) fn count(&self) -> (usize, usize) {
        let agents = self.agents.load(Ordering::Relaxed);
        (self.members.len().saturating_sub(agents), agents)
    }

    /// How many sessions a project has on this node.
    pub(super) fn count_of(&self, project: ProjectId) -> usize {
        self.of_project.get(&project).map_or(0, |count| *count)
    }

    /// Every member that `wanted` wants. Walks all sessions: for what happens seldom.
    pub(super) fn members(&self, wanted: impl Fn(&Member) -> bool) -> Vec<Arc<Member>> {
        self.members.iter().filter(|member| wanted(member)).map(|member| Arc::clone(member.value())).collect()
    }

    /// The sum of something over all members. Walks all sessions, each in memory that nothing else has touched for a while.
    pub(super) fn total(&self, of: impl Fn(&Member) -> usize) -> usize {
        self.members.iter().map(|member| of(&member)).sum()
    }

    /// The channel of `topic`, if anyone listens.
    pub(super) fn channel(&self, topic: &Topic) -> Option<Arc<Mutex<Channel>>> {
        self.channels.get(topic).map(|channel| Arc::clone(channel.value()))
    }

    /// All conversations to which somebody listens.
    pub(super) fn conversations(&self) -> HashSet<ConversationId> {
        let conversation = |topic: &Topic| match topic {
            Topic::Thread(conversation) | Topic::Desk(conversation) => Some(*conversation),
            _ => None,
        };
        self.channels.iter().filter_map(|channel| conversation(channel.key())).collect()
    }

    /// Lets `enter` add to the channel of `topic`, made if there is none. Under the map's guard, so that the channel can't
    /// be taken out in between; `enter` must not ask this map anything.
    pub(super) fn join<T>(&self, topic: Topic, enter: impl FnOnce(&mut Channel) -> T) -> T {
        enter(&mut self.channels.entry(topic).or_default().value().lock())
    }

    /// Takes an empty channel out. Who holds it meanwhile finds nobody in it; who comes later makes a new one.
    pub(super) fn prune(&self, topic: &Topic) {
        self.channels.remove_if(topic, |_, channel| channel.lock().is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ConversationId;

    #[test]
    fn an_empty_channel_goes_though_somebody_looks_at_it() {
        let (presence, topic) = (Presence::default(), Topic::Thread(ConversationId::generate()));
        presence.join(topic, |_| ());
        let looking = presence.channel(&topic);
        presence.prune(&topic);
        assert!(looking.is_some() && presence.channel(&topic).is_none());
    }
}
