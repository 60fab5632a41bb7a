//! Who answers in a project right now, who has what, and who waits: on this node and on all others that serve the project.
//!
//! Plain state behind one lock. Time arrives as argument, as the clock's ticks: somebody who sets the wall clock sends nobody
//! away. What other nodes say arrives as their words ([`peers`]) and as the new states of conversations ([`chats`]), in
//! whatever order and perhaps twice. What is decided here may rest on what is no longer so; the log has the last word.

mod agents;
mod chats;
mod pages;
mod peers;

use std::collections::HashMap;

use self::{agents::Agents, chats::Chats, pages::Pages, peers::Peers};
pub(super) use self::{agents::Present, chats::Position};
use crate::{
    bus::Standing,
    clock::Millis,
    domain::{
        AgentRef, AgentStatus, Conversation, Queue,
        routing::{self, Candidate, Pace},
    },
    ids::{AgentId, ConversationId, NodeId, VisitorId},
    log::{AgentRecord, Claim},
    protocol::{client::Page, server::Colleague},
};

/// How often a node tells the others how it stands, when nothing changes.
pub(super) const TELL_EVERY_MS: Millis = 5_000;

/// One project's agents, their conversations, and the line.
#[derive(Debug)]
pub(super) struct Attendance {
    began: Millis,
    hand_back_after_ms: Millis,
    agents: Agents,
    peers: Peers,
    chats: Chats,
    pages: Pages,
    /// Sessions of visitors on this node.
    visitors: u32,
    line_moved: bool,
    pace: Pace,
    /// What all sessions know; none when some know another count.
    told_online: Option<u32>,
    told: Option<(Standing, Millis)>,
}

/// The next in line, and who is to get it.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) conversation: ConversationId,
    visitor: VisitorId,
    since: Millis,
    pub(super) place: Place,
}

/// A place with an agent, held here; whether it is really free, the log says.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) agent: AgentRef,
    pub(super) claim: Claim,
}

/// What to tell since the last time.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Agents of whom something changed.
    pub(super) agents: Vec<(AgentId, Present)>,
    /// How many are online, if that changed.
    pub(super) online: Option<u32>,
    /// The line from its head, if it moved.
    pub(super) line: Vec<(ConversationId, VisitorId, Queue)>,
}

impl Attendance {
    /// Nobody here yet. `now` is when absences begin to count; after `hand_back_after_ms` of absence an agent is gone.
    pub(super) fn new(own: NodeId, now: Millis, hand_back_after_ms: Millis) -> Self {
        Self {
            began: now,
            hand_back_after_ms,
            agents: Agents::default(),
            peers: Peers::new(own),
            chats: Chats::default(),
            pages: Pages::new(own),
            visitors: 0,
            line_moved: false,
            pace: Pace::default(),
            told_online: Some(0),
            told: None,
        }
    }

    /// Takes over names, roles and capacities from the accounts.
    pub(super) fn know(&mut self, accounts: &[AgentRecord]) {
        self.agents.know(accounts);
    }

    pub(super) fn knows(&self, agent: AgentId) -> bool {
        self.agents.get(agent).is_some()
    }

    /// A session of `agent` began. False for one who is not known yet.
    pub(super) fn arrive(&mut self, agent: AgentId) -> bool {
        let Some(agent) = self.agents.get_mut(agent) else { return false };
        agent.sessions += 1;
        true
    }

    /// A session of `agent` ended.
    pub(super) fn depart(&mut self, agent: AgentId, now: Millis) {
        if let Some(known) = self.agents.get_mut(agent) {
            known.sessions = known.sessions.saturating_sub(1);
        }
        if !self.peers.have(agent) {
            self.agents.left(&[agent], true, now);
        }
    }

    /// A visitor's session began.
    pub(super) const fn visitor_arrives(&mut self) {
        self.visitors += 1;
    }

    /// A visitor's session ended.
    pub(super) const fn visitor_departs(&mut self) {
        self.visitors = self.visitors.saturating_sub(1);
    }

    /// How many sessions visitors have, on all nodes.
    pub(super) fn visitors(&self) -> u32 {
        self.visitors.saturating_add(self.peers.visitors())
    }

    /// How many conversations are in line for an agent.
    pub(super) fn waiting(&self) -> u32 {
        u32::try_from(self.chats.line().count()).unwrap_or(u32::MAX)
    }

    /// What an agent said here, at this time of the wall clock: times of several nodes are compared.
    pub(super) fn set_online(&mut self, agent: AgentId, online: bool, wall: Millis) {
        self.agents.set_online(agent, online, wall);
    }

    /// The page that a visitor looks at, as `node` says.
    pub(super) fn set_page(&mut self, node: NodeId, visitor: VisitorId, page: Option<Page>) {
        self.pages.set(node, visitor, page);
    }

    pub(super) fn page(&self, visitor: VisitorId) -> Option<Page> {
        self.pages.of(visitor)
    }

    /// Some of the pages that visitors of this node look at.
    pub(super) fn own_pages(&self, most: usize) -> Vec<(VisitorId, Page)> {
        self.pages.own(most)
    }

    /// Another node says how it stands.
    pub(super) fn stands(&mut self, node: NodeId, standing: &Standing, now: Millis) {
        self.agents.wish(&standing.agents);
        let left = self.peers.stands(node, standing, now);
        self.agents.left(&left, true, now);
    }

    /// Another node stops.
    pub(super) fn bye(&mut self, node: NodeId, now: Millis) {
        let left = self.peers.bye(node);
        self.agents.left(&left, true, now);
        self.pages.forget(node);
    }

    /// Whether other nodes are heard: none of them, or perhaps not all.
    pub(super) const fn listen(&mut self, is_deaf: bool, is_unsure: bool, now: Millis) {
        self.peers.listen(is_deaf, is_unsure, now);
    }

    /// Ends the leases of nodes of which nothing was heard, with all that they had; which nodes these are.
    pub(super) fn expire(&mut self, now: Millis) -> Vec<NodeId> {
        let (over, left) = self.peers.expire(now);
        self.agents.left(&left, false, now);
        for node in &over {
            self.pages.forget(*node);
        }
        self.chats.forget_closed(now);
        over
    }

    /// Whether it is this node that moves the line and hands back.
    pub(super) fn leads(&self) -> bool {
        self.peers.leads()
    }

    /// How this node stands, if the others are to be told: something changed, or it is time.
    pub(super) fn standing(&mut self, now: Millis) -> Option<Standing> {
        let (agents, visitors) = (self.agents.standing(), self.visitors);
        let number = match &self.told {
            // How many visitors there are changes all the time, and is told when it is time.
            Some((told, at)) if told.agents == agents && now - at < TELL_EVERY_MS => return None,
            Some((told, _)) => told.number + 1,
            None => 1,
        };
        let standing = Standing { number, agents, visitors };
        self.told = Some((standing.clone(), now));
        Some(standing)
    }

    /// Somebody asked: [`Attendance::standing`] has something to tell again.
    pub(super) const fn tell_again(&mut self) {
        if let Some((_, at)) = &mut self.told {
            *at = Millis::MIN / 2;
        }
    }

    /// Takes note of a conversation's new state. True when somebody may have room now, or somebody waits.
    pub(super) fn observe(&mut self, state: &Conversation, now: Millis) -> bool {
        let change = self.chats.observe(state, now);
        self.line_moved |= change.line_moved;
        if change.was_given {
            self.pace.left_line(now);
        }
        change.concerns_routing
    }

    /// How far every open conversation had come: to be asked before the log is, for [`Attendance::recount`].
    pub(super) fn positions(&self) -> HashMap<ConversationId, Position> {
        self.chats.positions()
    }

    /// Takes note of all that is open in the log. What was open `before` and is not, was closed unheard.
    pub(super) fn recount(&mut self, before: &HashMap<ConversationId, Position>, open: &[Conversation], now: Millis) {
        for state in open {
            self.observe(state, now);
        }
        self.line_moved |= self.chats.close_others(before, open, now);
    }

    /// Chooses an agent for a conversation that is about to be opened. None when nobody has room or others wait already.
    /// The place is held until [`Attendance::observe`] or [`Attendance::release`].
    pub(super) fn reserve(&mut self, conversation: ConversationId, now: Millis) -> Option<Place> {
        if self.chats.first().is_none() { self.choose(conversation, now) } else { None }
    }

    /// The next in line and an agent for it, if there are both. The place is held as by [`Attendance::reserve`].
    pub(super) fn next(&mut self, now: Millis) -> Option<Turn> {
        let (conversation, visitor, since) = self.chats.first()?;
        let place = self.choose(conversation, now)?;
        self.line_moved = true;
        Some(Turn { conversation, visitor, since, place })
    }

    /// Gives up a place that was held.
    pub(super) fn release(&mut self, conversation: ConversationId) {
        self.chats.release(conversation);
    }

    /// The one whose turn it was is with an agent now: that is how fast the line moves.
    pub(super) fn turn_taken(&mut self, now: Millis) {
        self.pace.left_line(now);
    }

    /// Undoes [`Attendance::next`]: the conversation could not be given away, and stands where it stood.
    pub(super) fn give_up(&mut self, turn: &Turn) {
        self.chats.put_back(turn.conversation, turn.visitor, turn.since);
    }

    /// Where a conversation stands in line.
    pub(super) fn place(&self, conversation: ConversationId, now: Millis) -> Option<Queue> {
        let before = self.chats.before(conversation)?;
        Some(self.queue(before, now))
    }

    /// Unanswered conversations of those who have been gone for long, or were disabled. Who is gone can't be told while
    /// other nodes are not heard: they may have him.
    pub(super) fn abandoned(&self, now: Millis) -> Vec<(ConversationId, AgentId)> {
        let hears = self.peers.hears(now);
        let gone = |id: AgentId| {
            self.agents.get(id).is_none_or(|agent| {
                let is_here = agent.sessions > 0 || self.peers.have(id);
                let gone_ms = now - agent.left_at.unwrap_or(self.began);
                agent.disabled || !agent.role.answers() || (!is_here && hears && gone_ms >= self.hand_back_after_ms)
            })
        };
        let mut abandoned: Vec<_> = self.chats.unanswered().filter(|(_, agent)| gone(*agent)).collect();
        // The oldest first.
        abandoned.sort_unstable();
        abandoned
    }

    /// How many sockets agents have on this node.
    pub(super) fn agents_here(&self) -> u32 {
        self.agents.all().map(|(_, agent)| agent.sessions).sum()
    }

    fn online(&self, now: Millis) -> u32 {
        let online =
            self.agents.all().filter(|(id, agent)| agent.status(self.peers.have(*id), now) == AgentStatus::Online);
        u32::try_from(online.count()).unwrap_or(u32::MAX)
    }

    /// How many agents are online, for a session that asks. It may be ahead of the others: whatever the count is when news
    /// are told next, it is told to all, for what changed in between may have changed back.
    pub(super) fn show_online(&mut self, now: Millis) -> u32 {
        let online = self.online(now);
        self.told_online = self.told_online.filter(|told| *told == online);
        online
    }

    /// The name of an agent who may be given conversations.
    pub(super) fn assignable(&self, id: AgentId) -> Option<AgentRef> {
        self.agents.assignable(id)
    }

    /// Everyone who is not disabled, by name, for a session that asks; as with [`Attendance::show_online`].
    pub(super) fn show_colleagues(&mut self, now: Millis) -> Vec<Colleague> {
        for (id, agent) in self.agents.all_mut() {
            let present = agent.present(self.peers.have(id), self.chats.load(id), now);
            agent.told = agent.told.filter(|told| *told == present);
        }
        self.colleagues(now)
    }

    fn colleagues(&self, now: Millis) -> Vec<Colleague> {
        let enabled = self.agents.all().filter(|(_, agent)| !agent.disabled);
        let mut list: Vec<_> = enabled
            .map(|(id, agent)| Colleague {
                id,
                name: agent.name.clone(),
                role: agent.role,
                status: agent.status(self.peers.have(id), now),
                load: self.chats.load(id),
                capacity: agent.capacity,
            })
            .collect();
        list.sort_by(|a, b| a.name.cmp(&b.name).then(a.id.cmp(&b.id)));
        list
    }

    /// Whether [`Attendance::news`] would have something to tell.
    pub(super) fn has_news(&self, now: Millis) -> bool {
        let is_new = |id, agent: &agents::Agent| {
            agent.told != Some(agent.present(self.peers.have(id), self.chats.load(id), now))
        };
        self.line_moved || self.told_online.is_none() || self.agents.all().any(|(id, agent)| is_new(id, agent))
    }

    /// What changed since the last call. At most `most` of the line: who is further back is told when it comes nearer.
    pub(super) fn news(&mut self, now: Millis, most: usize) -> News {
        let mut news = News::default();
        for (id, agent) in self.agents.all_mut() {
            let present = agent.present(self.peers.have(id), self.chats.load(id), now);
            if agent.told != Some(present) {
                agent.told = Some(present);
                news.agents.push((id, present));
            }
        }
        let online = self.online(now);
        if self.told_online != Some(online) {
            self.told_online = Some(online);
            self.line_moved = true;
            news.online = Some(online);
        }
        if std::mem::take(&mut self.line_moved) {
            let head = self.chats.line().take(most).enumerate();
            news.line = head.map(|(n, (id, visitor))| (id, visitor, self.queue(n, now))).collect();
        }
        news
    }

    fn queue(&self, before: usize, now: Millis) -> Queue {
        let position = before as u64 + 1;
        Queue { position, eta_ms: self.pace.eta_ms(position, self.online(now)) }
    }

    /// One whose page is being reloaded gets nothing meanwhile; nor, while other nodes are not heard, one who is theirs.
    fn choose(&mut self, conversation: ConversationId, now: Millis) -> Option<Place> {
        let is_here = |id, agent: &agents::Agent| agent.sessions > 0 || (!self.peers.is_deaf() && self.peers.have(id));
        let takers = self.agents.all().filter(|(id, agent)| agent.is_willing() && is_here(*id, agent));
        let chosen = routing::choose(takers.map(|(id, agent)| Candidate {
            agent: id,
            load: self.chats.load(id),
            capacity: agent.capacity,
            last_given: agent.last_given,
        }))?;
        self.chats.promise(conversation, chosen.agent);
        let agent = self.agents.get_mut(chosen.agent)?;
        agent.last_given = now;
        let claim = Claim { agent: chosen.agent, most: agent.capacity };
        Some(Place { agent: AgentRef { id: chosen.agent, name: agent.name.clone() }, claim })
    }
}

#[cfg(test)]
#[path = "attendance_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "attendance_nodes_tests.rs"]
mod nodes_tests;
