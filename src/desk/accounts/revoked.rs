//! Whose tokens are worth nothing before they run out.

use std::collections::HashMap;

use super::{MOST_TTL_MS, changes::Word};
use crate::{
    clock::Millis,
    ids::{AgentId, SessionId},
    log::{self, Log},
    tokens::{Claims, Kind},
};

/// The moments at which sessions ended and agents were shut out. After the life of a token they are forgotten.
#[derive(Default)]
pub(super) struct Revoked {
    sessions: HashMap<SessionId, Millis>,
    agents: HashMap<AgentId, Millis>,
}

impl Revoked {
    /// What was revoked while nobody listened.
    pub(super) async fn read(log: &Log, now: Millis) -> Result<Self, log::Error> {
        let sessions = log.revoked_sessions().await?.into_iter().map(|session| (session, now)).collect();
        let mut revoked = Self { sessions, ..Self::default() };
        for record in log.control_after(0).await? {
            let subject = record.subject.parse::<uuid::Uuid>().ok();
            match (Word::parse(&record.kind), subject) {
                (Some(Word::Agent), Some(id)) if record.at > now - MOST_TTL_MS => revoked.agent(id.into(), record.at),
                _ => {}
            }
        }
        Ok(revoked)
    }

    pub(super) fn session(&mut self, session: SessionId, at: Millis) {
        self.sessions.retain(|_, since| *since > at - MOST_TTL_MS);
        self.sessions.insert(session, at);
    }

    pub(super) fn agent(&mut self, agent: AgentId, at: Millis) {
        self.agents.retain(|_, since| *since > at - MOST_TTL_MS);
        self.agents.insert(agent, at);
    }

    fn shut_out_at(&self, claims: &Claims) -> Option<Millis> {
        self.agents.get(&claims.subject.into()).copied().filter(|_| claims.kind == Kind::Agent)
    }

    /// Whether a token that was signed then is worth nothing now. Tokens count in seconds: of the second in which a
    /// subject was shut out, all are refused.
    pub(super) fn holds(&self, claims: &Claims) -> bool {
        self.sessions.contains_key(&claims.session)
            || self.shut_out_at(claims).is_some_and(|at| claims.iat <= at.div_euclid(1_000))
    }

    /// The earliest `iat` that is not refused.
    pub(super) fn earliest(&self, claims: &Claims) -> i64 {
        self.shut_out_at(claims).map_or(0, |at| at.div_euclid(1_000) + 1)
    }
}
