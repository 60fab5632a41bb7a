//! Who answers in a project right now, who has what, and who waits. Plain state behind one lock. Time arrives as argument,
//! as the clock's ticks: somebody who sets the wall clock sends nobody away.

use std::collections::{BTreeMap, HashMap};

use crate::{
    clock::Millis,
    domain::{
        AgentRef, AgentStatus, Conversation, Queue, Role, Status,
        routing::{self, Candidate, Pace},
    },
    ids::{AgentId, ConversationId, VisitorId},
    log::{AgentRecord, Claim},
    protocol::{client::Page, server::Colleague},
};

/// How long an agent without a session still counts as here: a reload of the page is no departure.
const LEAVE_AFTER_MS: Millis = 10_000;

/// One project's agents, their conversations, and the line.
#[derive(Debug)]
pub(super) struct Attendance {
    began: Millis,
    hand_back_after_ms: Millis,
    agents: HashMap<AgentId, Agent>,
    /// Open conversations that somebody has.
    held: HashMap<ConversationId, Held>,
    /// Open conversations that nobody has and whose visitor waits, the longest waiting first.
    line: BTreeMap<(Millis, ConversationId), VisitorId>,
    waiting_since: HashMap<ConversationId, Millis>,
    line_moved: bool,
    pace: Pace,
    pages: HashMap<VisitorId, Page>,
    told_online: u32,
}

#[derive(Debug)]
struct Agent {
    name: String,
    role: Role,
    capacity: u32,
    disabled: bool,
    sessions: u32,
    wants_online: bool,
    /// When its last session ended; none when it had none since the start.
    left_at: Option<Millis>,
    load: u32,
    last_given: Millis,
    told: (AgentStatus, u32),
}

#[derive(Clone, Copy, Debug)]
struct Held {
    by: AgentId,
    unanswered: bool,
}

/// The next in line, and who is to get it.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) conversation: ConversationId,
    pub(super) visitor: VisitorId,
    pub(super) since: Millis,
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
    /// Agents whose status or load changed.
    pub(super) agents: Vec<(AgentId, AgentStatus, u32)>,
    /// How many are online, if that changed.
    pub(super) online: Option<u32>,
    /// The line from its head, if it moved.
    pub(super) line: Vec<(ConversationId, VisitorId, Queue)>,
}

impl Agent {
    fn status(&self, now: Millis) -> AgentStatus {
        let just_left = self.left_at.is_some_and(|left| now - left < LEAVE_AFTER_MS);
        match self.sessions > 0 || just_left {
            false => AgentStatus::Offline,
            true if self.disabled => AgentStatus::Offline,
            true if self.wants_online && self.role.answers() => AgentStatus::Online,
            true => AgentStatus::Away,
        }
    }

    /// Whether routing may give it one more. One whose page is being reloaded gets nothing meanwhile.
    const fn takes(&self) -> bool {
        self.sessions > 0 && self.wants_online && !self.disabled && self.role.answers()
    }
}

impl Attendance {
    /// Nobody here yet. `now` is when absences begin to count; after `hand_back_after_ms` of absence an agent is gone.
    pub(super) fn new(now: Millis, hand_back_after_ms: Millis) -> Self {
        Self {
            began: now,
            hand_back_after_ms,
            agents: HashMap::new(),
            held: HashMap::new(),
            line: BTreeMap::new(),
            waiting_since: HashMap::new(),
            line_moved: false,
            pace: Pace::default(),
            pages: HashMap::new(),
            told_online: 0,
        }
    }

    /// Takes over names, roles and capacities from the accounts.
    pub(super) fn know(&mut self, accounts: &[AgentRecord]) {
        for account in accounts {
            let agent = self.agents.entry(account.id).or_insert_with(|| Agent {
                name: String::new(),
                role: account.role,
                capacity: 0,
                disabled: false,
                sessions: 0,
                wants_online: true,
                left_at: None,
                load: 0,
                last_given: 0,
                told: (AgentStatus::Offline, 0),
            });
            agent.name.clone_from(&account.name);
            agent.role = account.role;
            agent.capacity = account.capacity;
            agent.disabled = account.disabled;
            agent.load =
                u32::try_from(self.held.values().filter(|held| held.by == account.id).count()).unwrap_or(u32::MAX);
        }
    }

    pub(super) fn knows(&self, agent: AgentId) -> bool {
        self.agents.contains_key(&agent)
    }

    /// A session of `agent` began. False for one who is not known yet.
    pub(super) fn arrive(&mut self, agent: AgentId) -> bool {
        let Some(agent) = self.agents.get_mut(&agent) else { return false };
        agent.sessions += 1;
        true
    }

    /// A session of `agent` ended.
    pub(super) fn depart(&mut self, agent: AgentId, now: Millis) {
        if let Some(agent) = self.agents.get_mut(&agent) {
            agent.sessions = agent.sessions.saturating_sub(1);
            agent.left_at = Some(now);
        }
    }

    pub(super) fn set_online(&mut self, agent: AgentId, online: bool) {
        if let Some(agent) = self.agents.get_mut(&agent) {
            agent.wants_online = online;
        }
    }

    pub(super) fn set_page(&mut self, visitor: VisitorId, page: Option<Page>) {
        match page {
            Some(page) => drop(self.pages.insert(visitor, page)),
            None => drop(self.pages.remove(&visitor)),
        }
    }

    pub(super) fn page(&self, visitor: VisitorId) -> Option<Page> {
        self.pages.get(&visitor).cloned()
    }

    /// Takes note of a conversation's new state. True when somebody may have room now, or somebody waits.
    pub(super) fn observe(&mut self, state: &Conversation, now: Millis) -> bool {
        let is_open = state.status == Status::Open;
        let holder = state.assignee.as_ref().filter(|_| is_open).map(|holder| holder.id);
        let before = self.held.get(&state.id).map(|held| held.by);
        if before != holder {
            self.release(state.id);
        }
        if let Some(by) = holder {
            self.hold(state.id, by, state.waiting_since.is_some());
        }
        let was_waiting = self.waiting_since.contains_key(&state.id);
        self.step_out(state.id);
        if let Some(since) = state.waiting_since.filter(|_| state.is_queued()) {
            self.line.insert((since, state.id), state.visitor);
            self.waiting_since.insert(state.id, since);
        } else if was_waiting && holder.is_some() {
            self.pace.left_line(now);
        }
        self.line_moved |= was_waiting != state.is_queued();
        before != holder || state.is_queued()
    }

    /// Chooses an agent for a conversation that is about to be opened. None when nobody has room or others wait already.
    /// The place is held until [`Attendance::observe`] or [`Attendance::release`].
    pub(super) fn reserve(&mut self, conversation: ConversationId, now: Millis) -> Option<Place> {
        if self.line.is_empty() { self.choose(conversation, now) } else { None }
    }

    /// The next in line and an agent for it, if there are both. The place is held as by [`Attendance::reserve`].
    pub(super) fn next(&mut self, now: Millis) -> Option<Turn> {
        let ((since, conversation), visitor) = self.line.first_key_value().map(|(at, visitor)| (*at, *visitor))?;
        let place = self.choose(conversation, now)?;
        self.step_out(conversation);
        self.line_moved = true;
        Some(Turn { conversation, visitor, since, place })
    }

    /// Gives up a place that was held, or a conversation that ended.
    pub(super) fn release(&mut self, conversation: ConversationId) {
        if let Some(held) = self.held.remove(&conversation)
            && let Some(agent) = self.agents.get_mut(&held.by)
        {
            agent.load = agent.load.saturating_sub(1);
        }
    }

    /// The one whose turn it was is with an agent now: that is how fast the line moves.
    pub(super) fn turn_taken(&mut self, now: Millis) {
        self.pace.left_line(now);
    }

    /// Undoes [`Attendance::next`]: the conversation could not be given away, and stands where it stood.
    pub(super) fn give_up(&mut self, turn: &Turn) {
        self.release(turn.conversation);
        self.line.insert((turn.since, turn.conversation), turn.visitor);
        self.waiting_since.insert(turn.conversation, turn.since);
    }

    /// Where a conversation stands in line.
    pub(super) fn place(&self, conversation: ConversationId, now: Millis) -> Option<Queue> {
        let since = *self.waiting_since.get(&conversation)?;
        let before = self.line.range(..(since, conversation)).count();
        Some(self.queue(before, now))
    }

    /// Unanswered conversations of those who have been gone for long, or were disabled.
    pub(super) fn abandoned(&self, now: Millis) -> Vec<(ConversationId, AgentId)> {
        let gone = |id: &AgentId| {
            self.agents.get(id).is_none_or(|agent| {
                let gone_ms = now - agent.left_at.unwrap_or(self.began);
                let absent = agent.sessions == 0 && gone_ms >= self.hand_back_after_ms;
                agent.disabled || !agent.role.answers() || absent
            })
        };
        let unanswered = self.held.iter().filter(|(_, held)| held.unanswered && gone(&held.by));
        unanswered.map(|(conversation, held)| (*conversation, held.by)).collect()
    }

    pub(super) fn online(&self, now: Millis) -> u32 {
        let online = self.agents.values().filter(|agent| agent.status(now) == AgentStatus::Online);
        u32::try_from(online.count()).unwrap_or(u32::MAX)
    }

    /// The name of an agent who may be given conversations.
    pub(super) fn assignable(&self, id: AgentId) -> Option<AgentRef> {
        let agent = self.agents.get(&id).filter(|agent| !agent.disabled && agent.role.answers())?;
        Some(AgentRef { id, name: agent.name.clone() })
    }

    /// Everyone who is not disabled, by name.
    pub(super) fn colleagues(&self, now: Millis) -> Vec<Colleague> {
        let enabled = self.agents.iter().filter(|(_, agent)| !agent.disabled);
        let mut list: Vec<_> = enabled
            .map(|(id, agent)| Colleague {
                id: *id,
                name: agent.name.clone(),
                role: agent.role,
                status: agent.status(now),
                load: agent.load,
                capacity: agent.capacity,
            })
            .collect();
        list.sort_by(|a, b| a.name.cmp(&b.name).then(a.id.cmp(&b.id)));
        list
    }

    /// Whether [`Attendance::news`] would have something to tell.
    pub(super) fn has_news(&self, now: Millis) -> bool {
        self.line_moved || self.agents.values().any(|agent| agent.told != (agent.status(now), agent.load))
    }

    /// What changed since the last call. At most `most` of the line: who is further back is told when it comes nearer.
    pub(super) fn news(&mut self, now: Millis, most: usize) -> News {
        let mut news = News::default();
        for (id, agent) in &mut self.agents {
            let present = (agent.status(now), agent.load);
            if agent.told != present {
                agent.told = present;
                news.agents.push((*id, present.0, present.1));
            }
        }
        let online = self.online(now);
        if online != self.told_online {
            self.told_online = online;
            self.line_moved = true;
            news.online = Some(online);
        }
        if std::mem::take(&mut self.line_moved) {
            let head = self.line.iter().take(most).enumerate();
            news.line = head.map(|(n, ((_, id), visitor))| (*id, *visitor, self.queue(n, now))).collect();
        }
        news
    }

    fn queue(&self, before: usize, now: Millis) -> Queue {
        let position = before as u64 + 1;
        Queue { position, eta_ms: self.pace.eta_ms(position, self.online(now)) }
    }

    fn choose(&mut self, conversation: ConversationId, now: Millis) -> Option<Place> {
        let takers = self.agents.iter().filter(|(_, agent)| agent.takes());
        let chosen = routing::choose(takers.map(|(id, agent)| Candidate {
            agent: *id,
            load: agent.load,
            capacity: agent.capacity,
            last_given: agent.last_given,
        }))?;
        self.hold(conversation, chosen.agent, true);
        let agent = self.agents.get_mut(&chosen.agent)?;
        agent.last_given = now;
        let claim = Claim { agent: chosen.agent, most: agent.capacity };
        Some(Place { agent: AgentRef { id: chosen.agent, name: agent.name.clone() }, claim })
    }

    fn hold(&mut self, conversation: ConversationId, by: AgentId, unanswered: bool) {
        if self.held.insert(conversation, Held { by, unanswered }).is_none()
            && let Some(agent) = self.agents.get_mut(&by)
        {
            agent.load += 1;
        }
    }

    fn step_out(&mut self, conversation: ConversationId) {
        if let Some(since) = self.waiting_since.remove(&conversation) {
            self.line.remove(&(since, conversation));
        }
    }
}

#[cfg(test)]
#[path = "attendance_tests.rs"]
mod tests;
