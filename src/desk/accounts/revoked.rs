//! Whose tokens are worth nothing before they run out.

use std::collections::{HashMap, HashSet};

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
    agents: HashMap<AgentId, ShutOut>,
    /// The signing keys of before the database was restored. What was revoked since the backup is not known in it, and its
    /// words are numbered from the start: of what these keys signed, no session is taken.
    old_keys: HashSet<String>,
}

/// That an agent was shut out.
#[derive(Clone, Copy)]
struct ShutOut {
    /// By which word of the command line.
    word: i64,
    at: Millis,
}

impl Revoked {
    /// What was revoked while nobody listened.
    pub(super) async fn read(log: &Log, now: Millis) -> Result<Self, log::Error> {
        let sessions = log.revoked_sessions().await?.into_iter().map(|session| (session, now)).collect();
        let mut revoked = Self { sessions, ..Self::default() };
        for record in log.control_after(0).await? {
            let subject = record.subject.parse::<uuid::Uuid>().ok();
            match (Word::parse(&record.kind), subject) {
                (Some(Word::Agent), Some(id)) if record.at > now - MOST_TTL_MS => {
                    revoked.agent(id.into(), record.n, record.at);
                }
                // After the life of a token, the retired key itself is not taken for any.
                (Some(Word::Restored), _) => {
                    revoked.old_keys.insert(record.subject);
                }
                _ => {}
            }
        }
        Ok(revoked)
    }

    /// A session ended. Whether that is news.
    pub(super) fn session(&mut self, session: SessionId, at: Millis) -> bool {
        self.sessions.retain(|_, since| *since > at - MOST_TTL_MS);
        self.sessions.insert(session, at).is_none()
    }

    /// An agent was shut out by the word with this number.
    pub(super) fn agent(&mut self, agent: AgentId, word: i64, at: Millis) {
        self.agents.retain(|_, shut_out| shut_out.at > at - MOST_TTL_MS);
        self.agents.insert(agent, ShutOut { word, at });
    }

    fn shut_out(&self, claims: &Claims) -> Option<ShutOut> {
        self.agents.get(&claims.subject.into()).copied().filter(|_| claims.kind == Kind::Agent)
    }

    /// Whether a token is worth nothing now: its session ended, or it was signed without knowing that its subject was shut
    /// out. Words have an order of their own; times in seconds could not tell what came first within one. The time counts
    /// beside it, for a database that something else than `deskbell restore` brought back: its words are numbered from an
    /// earlier one on.
    pub(super) fn holds(&self, claims: &Claims) -> bool {
        let knew_not = |shut_out: ShutOut| claims.heard < shut_out.word || claims.iat < shut_out.at.div_euclid(1_000);
        // A resume token only says who somebody is, and that is as it was.
        let is_old = claims.kind != Kind::Resume && self.old_keys.contains(&*claims.key);
        is_old || self.sessions.contains_key(&claims.session) || self.shut_out(claims).is_some_and(knew_not)
    }

    /// The earliest `iat` that is not refused: the clock of the command line may be ahead of this one.
    pub(super) fn earliest(&self, claims: &Claims) -> i64 {
        self.shut_out(claims).map_or(0, |shut_out| shut_out.at.div_euclid(1_000))
    }
}
