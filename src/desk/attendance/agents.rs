//! The agents of a project: what their accounts say, what they want, and whether they are here.

use std::collections::HashMap;

use crate::{
    bus::{AgentStanding, Wish},
    clock::Millis,
    domain::{AgentRef, AgentStatus, Role},
    ids::AgentId,
    log::AgentRecord,
};

/// How long an agent without a session still counts as here: a reload of the page is no departure.
pub(super) const LEAVE_AFTER_MS: Millis = 10_000;

/// All agents of a project, disabled ones, too.
#[derive(Debug, Default)]
pub(super) struct Agents {
    by_id: HashMap<AgentId, Agent>,
    /// What is wanted for agents whose account is not known here yet.
    early: HashMap<AgentId, Wish>,
}

/// One agent.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) capacity: u32,
    pub(super) disabled: bool,
    /// On this node.
    pub(super) sessions: u32,
    pub(super) wish: Wish,
    /// When its last session on any node ended; none when it had none since the start.
    pub(super) left_at: Option<Millis>,
    /// Until then it counts as here all the same.
    stays_until: Millis,
    pub(super) last_given: Millis,
    /// How all sessions know it to be; none when some know it otherwise.
    pub(super) told: Option<Present>,
}

/// How an agent is, as its colleagues see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Present {
    /// Whether it is here.
    pub(crate) status: AgentStatus,
    /// Open conversations it has.
    pub(crate) load: u32,
    /// How many it takes.
    pub(crate) capacity: u32,
}

impl Agent {
    fn of(account: &AgentRecord, wish: Wish) -> Self {
        Self {
            name: account.name.clone(),
            role: account.role,
            capacity: account.capacity,
            disabled: account.disabled,
            sessions: 0,
            wish,
            left_at: None,
            stays_until: 0,
            last_given: 0,
            told: Some(Present { status: AgentStatus::Offline, load: 0, capacity: account.capacity }),
        }
    }

    /// How it is, given whether it has a session on another node.
    pub(super) fn status(&self, is_elsewhere: bool, now: Millis) -> AgentStatus {
        match self.sessions > 0 || is_elsewhere || now < self.stays_until {
            false => AgentStatus::Offline,
            true if self.disabled => AgentStatus::Offline,
            true if self.wish.online && self.role.answers() => AgentStatus::Online,
            true => AgentStatus::Away,
        }
    }

    /// The same with all that its colleagues see.
    pub(super) fn present(&self, is_elsewhere: bool, load: u32, now: Millis) -> Present {
        Present { status: self.status(is_elsewhere, now), load, capacity: self.capacity }
    }

    /// Whether it wants conversations and may have them.
    pub(super) const fn is_willing(&self) -> bool {
        self.wish.online && !self.disabled && self.role.answers()
    }
}

impl Agents {
    /// Takes over names, roles and capacities from the accounts.
    pub(super) fn know(&mut self, accounts: &[AgentRecord]) {
        for account in accounts {
            let early = self.early.remove(&account.id).unwrap_or_default();
            let agent = self.by_id.entry(account.id).or_insert_with(|| Agent::of(account, early));
            agent.name.clone_from(&account.name);
            agent.role = account.role;
            agent.capacity = account.capacity;
            agent.disabled = account.disabled;
        }
    }

    pub(super) fn get(&self, id: AgentId) -> Option<&Agent> {
        self.by_id.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: AgentId) -> Option<&mut Agent> {
        self.by_id.get_mut(&id)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (AgentId, &Agent)> {
        self.by_id.iter().map(|(id, agent)| (*id, agent))
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = (AgentId, &mut Agent)> {
        self.by_id.iter_mut().map(|(id, agent)| (*id, agent))
    }

    /// The last session of these ended on whatever node. Whoever left in order counts as here a little longer: it may be
    /// on its way to another node. A node that died takes its agents with it at once.
    pub(super) fn left(&mut self, agents: &[AgentId], in_order: bool, now: Millis) {
        for id in agents {
            if let Some(agent) = self.by_id.get_mut(id).filter(|agent| agent.sessions == 0) {
                agent.left_at = Some(now);
                if in_order {
                    agent.stays_until = now + LEAVE_AFTER_MS;
                }
            }
        }
    }

    /// What an agent wants from now on, said here.
    pub(super) fn set_online(&mut self, id: AgentId, online: bool, now: Millis) {
        if let Some(agent) = self.by_id.get_mut(&id) {
            // Later than all that is known, whatever this node's clock says.
            agent.wish = Wish { at: now.max(agent.wish.at + 1), online };
        }
    }

    /// What agents want, said on whatever node: the newest counts.
    pub(super) fn wish(&mut self, said: &[AgentStanding]) {
        for said in said {
            let known = match self.by_id.get_mut(&said.agent) {
                Some(agent) => &mut agent.wish,
                None => self.early.entry(said.agent).or_default(),
            };
            *known = said.wish.max(*known);
        }
    }

    /// What there is to tell other nodes.
    pub(super) fn standing(&self) -> Vec<AgentStanding> {
        let worth_telling = self.by_id.iter().filter(|(_, agent)| agent.sessions > 0 || agent.wish != Wish::default());
        let mut list: Vec<_> = worth_telling
            .map(|(id, agent)| AgentStanding { agent: *id, is_here: agent.sessions > 0, wish: agent.wish })
            .collect();
        list.sort_unstable_by_key(|standing| standing.agent);
        list
    }

    /// The name of an agent who may be given conversations.
    pub(super) fn assignable(&self, id: AgentId) -> Option<AgentRef> {
        let agent = self.by_id.get(&id).filter(|agent| !agent.disabled && agent.role.answers())?;
        Some(AgentRef { id, name: agent.name.clone() })
    }
}
