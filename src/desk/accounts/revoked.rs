//! Whose tokens are worth nothing before they run out.

use std::collections::{HashMap, HashSet};

use super::{MOST_TTL_MS, changes::Word};
use crate::{
    clock::Millis,
    ids::{AgentId, SessionId, VisitorId},
    log::{self, Log},
    tokens::{Claims, Kind},
};

/// Ended sessions, and the moments at which subjects were shut out. What has run out is forgotten.
#[derive(Default)]
pub(super) struct Revoked {
    sessions: HashSet<SessionId>,
    agents: HashMap<AgentId, Millis>,
    visitors: HashMap<VisitorId, Millis>,
}

impl Revoked {
    /// What was revoked while nobody listened.
    pub(super) async fn read(log: &Log, now: Millis) -> Result<Self, log::Error> {
        let mut revoked =
            Self { sessions: log.revoked_sessions().await?.into_iter().collect(), ..Self::default() };
        for record in log.control_after(0).await? {
            let subject = record.subject.parse::<uuid::Uuid>().ok();
            match (Word::parse(&record.kind), subject) {
                (Some(Word::Agent), Some(id)) if record.at > now - MOST_TTL_MS => revoked.agent(id.into(), record.at),
                _ => {}
            }
        }
        Ok(revoked)
    }

    pub(super) fn session(&mut self, session: SessionId) {
        self.sessions.insert(session);
    }

    pub(super) fn agent(&mut self, agent: AgentId, at: Millis) {
        self.agents.retain(|_, since| *since > at - MOST_TTL_MS);
        self.agents.insert(agent, at);
    }

    pub(super) fn visitor(&mut self, visitor: VisitorId, at: Millis) {
        self.visitors.retain(|_, since| *since > at - MOST_TTL_MS);
        self.visitors.insert(visitor, at);
    }

    fn shut_out_at(&self, claims: &Claims) -> Option<Millis> {
        match claims.kind {
            Kind::Agent => self.agents.get(&claims.subject.into()).copied(),
            Kind::Visitor | Kind::Resume => self.visitors.get(&claims.subject.into()).copied(),
        }
    }

    /// Whether a token that was signed then is worth nothing now. Tokens count in seconds: of the second in which a
    /// subject was shut out, all are refused.
    pub(super) fn holds(&self, claims: &Claims) -> bool {
        self.sessions.contains(&claims.session)
            || self.shut_out_at(claims).is_some_and(|at| claims.iat <= at.div_euclid(1_000))
    }

    /// The earliest `iat` that is not refused.
    pub(super) fn earliest(&self, claims: &Claims) -> i64 {
        self.shut_out_at(claims).map_or(0, |at| at.div_euclid(1_000) + 1)
    }
}
