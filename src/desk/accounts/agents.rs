//! Agents: sign-in, the cookie's session, tokens, sign-out.

use std::{net::IpAddr, sync::Arc};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use super::{Accounts, Denied, MOST_TTL_MS, changes::Word};
use crate::{
    bus::{Message, Revocation, Topic},
    clock::Millis,
    ids::{ProjectId, SessionId},
    log::{self, AgentRecord, AgentSessionRecord, ProjectRecord},
    passwords, rate,
    tasks::Tasks,
    telemetry,
    tokens::{self, Kind},
};

/// A sign-in that was not used for this long has ended: a working day.
pub const SESSION_IDLE_MS: Millis = 8 * 3_600_000;
/// A sign-in ends after this long in any case: a week.
pub const SESSION_ABSOLUTE_MS: Millis = 7 * 24 * 3_600_000;
/// A sign-in's last use is written down at most once in this long.
const TOUCH_MS: Millis = 60_000;
/// How many ended sign-ins are deleted at once: so many rows take a millisecond of the one writer.
const TIDIED_AT_ONCE: u32 = 100;
/// The longest e-mail address there is, in characters.
const EMAIL_CHARS: usize = 254;

/// A sign-in: what the cookie holds.
pub struct SignIn {
    /// The cookie's secret; only its hash is stored.
    pub secret: String,
}

/// A token for an agent's socket.
pub struct AgentToken {
    /// The token.
    pub token: String,
    /// When it runs out.
    pub expires_at: Millis,
    /// Whose.
    pub agent: AgentRecord,
    /// For which project.
    pub project: Arc<ProjectRecord>,
}

impl Accounts {
    /// Signs an agent in. `address` is none where attempts are not counted by address.
    pub async fn sign_in(&self, email: &str, password: &str, address: Option<IpAddr>) -> Result<SignIn, Denied> {
        let account = email.trim().to_lowercase();
        // Nobody's: no account to count by, and as slow an answer as any other.
        let counted = (account.chars().count() <= EMAIL_CHARS).then_some(account.as_str());
        self.count_attempt(counted, address)?;
        let Some(agent) = self.right_agent(counted, password).await? else {
            metrics::counter!("deskbell_logins_total", "outcome" => "refused").increment(1);
            return Err(Denied::Unauthorized("the e-mail address or the password is wrong".to_owned()));
        };
        self.logins_by_account.give_back(&account);
        if let Some(address) = address {
            self.logins_by_address.give_back(&rate::network(address));
        }
        let secret = tokens::new_secret();
        let now = self.clock.now();
        let session = AgentSessionRecord {
            id_hash: hash_of(&secret),
            project: agent.project,
            agent: agent.id,
            session: SessionId::generate(),
            created_at: now,
            seen_at: now,
        };
        // More than one goes for each that comes, so they don't grow.
        self.tidy_sign_ins().await?;
        self.log.create_agent_session(&session).await?;
        metrics::counter!("deskbell_logins_total", "outcome" => "signed_in").increment(1);
        tracing::info!(agent = %agent.id, session = %session.session, "agent signed in");
        Ok(SignIn { secret })
    }

    /// Deletes sign-ins that have ended, some at a time; how many there were.
    pub async fn tidy_sign_ins(&self) -> Result<u64, log::Error> {
        let now = self.clock.now();
        let (unused, old) = (now - SESSION_IDLE_MS, now - SESSION_ABSOLUTE_MS);
        self.log.delete_ended_agent_sessions(unused, old, TIDIED_AT_ONCE).await
    }

    /// Whose address and password these are.
    async fn right_agent(&self, account: Option<&str>, password: &str) -> Result<Option<AgentRecord>, Denied> {
        let agent = match account {
            Some(account) => self.log.agent_by_email(account).await?,
            None => None,
        };
        let hash = agent.as_ref().map(|agent| agent.password_hash.clone());
        let right = self.is_right(password.to_owned(), hash).await?;
        let Some(agent) = agent.filter(|_| right) else { return Ok(None) };
        // Hashing takes its time, and waits its turn: the password may have changed, or the agent gone, meanwhile.
        let now = self.log.agent(agent.id).await?;
        Ok(now.filter(|now| !now.disabled && now.password_hash == agent.password_hash))
    }

    fn count_attempt(&self, account: Option<&str>, address: Option<IpAddr>) -> Result<(), Denied> {
        let now = self.clock.ticks();
        let by_address = address.map_or(Ok(()), |address| self.logins_by_address.take(rate::network(address), now));
        let by_account = || account.map_or(Ok(()), |account| self.logins_by_account.take(account.to_owned(), now));
        by_address.and_then(|()| by_account()).map_err(|retry_ms| {
            telemetry::refused("logins_per_15_minutes");
            metrics::counter!("deskbell_logins_total", "outcome" => "rate_limited").increment(1);
            Denied::RateLimited { retry_after_s: u64::try_from(retry_ms).unwrap_or(0).div_ceil(1_000) }
        })
    }

    /// Hashes on a thread of its own, only so many at once: memory and cores stay for who is signed in.
    async fn is_right(&self, password: String, hash: Option<String>) -> Result<bool, Denied> {
        let permit = Arc::clone(&self.hashing).acquire_owned().await;
        let right = Tasks::blocking(move || {
            // Given back when the hash is done: a request that was dropped meanwhile hashes on.
            let _permit = permit;
            passwords::verify(&password, hash.as_deref())
        });
        right.await.ok_or_else(|| Denied::Unavailable("the password could not be hashed".to_owned()))
    }

    /// A token for the agent who holds a cookie.
    pub async fn agent_token(&self, secret: &str) -> Result<AgentToken, Denied> {
        let signed_out = || Denied::Unauthorized("sign in first".to_owned());
        let id_hash = hash_of(secret);
        let session = self.log.agent_session(&id_hash).await?.ok_or_else(signed_out)?;
        let now = self.clock.now();
        if now - session.seen_at > SESSION_IDLE_MS || now - session.created_at > SESSION_ABSOLUTE_MS {
            self.log.delete_agent_session(&id_hash).await?;
            return Err(signed_out());
        }
        let heard = self.heard();
        let agent = self.log.agent(session.agent).await?.filter(|agent| !agent.disabled).ok_or_else(signed_out)?;
        let project = self.project(agent.project).ok_or_else(signed_out)?;
        if now - session.seen_at > TOUCH_MS {
            self.log.touch_agent_session(&id_hash, now).await?;
        }
        let (token, expires_at) = self.token_of(&agent, session.session, heard, self.options.token_ttl_s)?;
        Ok(AgentToken { token, expires_at, agent, project })
    }

    /// A token for an agent without a sign-in, for load tests and bots. The agent was read after these accounts were opened.
    pub fn bare_agent_token(&self, agent: &AgentRecord, ttl_s: u64) -> Result<String, Denied> {
        Ok(self.token_of(agent, SessionId::generate(), self.heard(), ttl_s)?.0)
    }

    pub(super) fn token_of(
        &self,
        agent: &AgentRecord,
        session: SessionId,
        heard: i64,
        ttl_s: u64,
    ) -> Result<(String, Millis), Denied> {
        let mut claims = self.claims(Kind::Agent, agent.project, agent.id.as_uuid(), session);
        claims.exp = claims.iat + i64::try_from(ttl_s).unwrap_or(900);
        claims.name = Some(agent.name.clone());
        claims.role = Some(agent.role);
        claims.email = Some(agent.email.clone());
        claims.heard = heard;
        self.mint(claims)
    }

    /// Signs an agent out: its cookie and the tokens of its session are worth nothing from now on.
    pub async fn sign_out(&self, secret: &str) -> Result<(), Denied> {
        let id_hash = hash_of(secret);
        if let Some(session) = self.log.agent_session(&id_hash).await? {
            self.end_session(session.project, session.session).await?;
            self.log.delete_agent_session(&id_hash).await?;
        }
        Ok(())
    }

    async fn end_session(&self, project: ProjectId, session: SessionId) -> Result<(), Denied> {
        // Here first: sockets close even where the database can't be written, and the cookie is there to try again with.
        self.end_session_here(session);
        self.log.revoke_session(project, session, self.clock.now() + MOST_TTL_MS).await?;
        // Nothing else of the project is to be looked at again.
        let told = self.tell(Word::Session, None, &session.to_string()).await;
        told.map_err(|error| Denied::Unavailable(error.to_string()))
    }

    /// A session ended, here or on another node.
    pub(super) fn end_session_here(&self, session: SessionId) {
        if self.revoked.lock().session(session, self.clock.now()) {
            self.bus.publish_here(Topic::Control, Message::Revoked(Revocation::Session(session)));
        }
    }
}

/// What of a cookie's secret is stored: SHA-256 does, since the secret is random and long.
pub(super) fn hash_of(secret: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(secret))
}
