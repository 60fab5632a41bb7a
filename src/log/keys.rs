//! What lets people in and keeps them out: sign-ins, signing keys, revocations, and what the command line tells a running
//! server.

use std::fmt;

use sqlx::any::AnyRow;

use super::{
    Error, Log,
    rows::{maybe_number, maybe_parsed, number, parsed, select, text},
};
use crate::{
    clock::Millis,
    ids::{AgentId, ProjectId, SessionId},
};

/// A signed-in browser of an agent.
#[derive(Clone, PartialEq, Eq)]
pub struct AgentSessionRecord {
    /// The hash of the cookie's secret; the secret itself is not stored.
    pub id_hash: String,
    /// The agent's project.
    pub project: ProjectId,
    /// Whose.
    pub agent: AgentId,
    /// The session that its tokens name.
    pub session: SessionId,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last used.
    pub seen_at: Millis,
}

/// A key that session tokens are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKeyRecord {
    /// What tokens name it by.
    pub kid: String,
    /// The key, in base64.
    pub secret: String,
    /// When it was made.
    pub created_at: Millis,
    /// Since when it signs nothing new.
    pub retired_at: Option<Millis>,
}

/// Something that the command line tells a running server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlRecord {
    /// Its number: 1, 2, 3 ...
    pub n: i64,
    /// What, in a word of the caller's.
    pub kind: String,
    /// In which project, if in one.
    pub project: Option<ProjectId>,
    /// About whom: an id, or whatever `kind` says.
    pub subject: String,
    /// When.
    pub at: Millis,
}

// Neither shows what it keeps secret in a log line.

impl fmt::Debug for AgentSessionRecord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("AgentSessionRecord").field("agent", &self.agent).finish_non_exhaustive()
    }
}

impl fmt::Debug for SigningKeyRecord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SigningKeyRecord").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// The columns of what is read below.
const SESSION: &str = "id_hash, project, agent, session, created_ms, seen_ms";
const KEY: &str = "kid, secret, created_ms, retired_ms";
const CONTROL: &str = "n, kind, project, subject, at_ms";

impl Log {
    /// Stores a sign-in.
    pub async fn create_agent_session(&self, session: &AgentSessionRecord) -> Result<(), Error> {
        let query = sqlx::query(
            "INSERT INTO agent_sessions (id_hash, project, agent, session, created_ms, seen_ms) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&session.id_hash)
        .bind(session.project.to_string())
        .bind(session.agent.to_string())
        .bind(session.session.to_string())
        .bind(session.created_at)
        .bind(session.seen_at);
        self.execute(query).await.map(drop)
    }

    /// The sign-in of that hash.
    pub async fn agent_session(&self, id_hash: &str) -> Result<Option<AgentSessionRecord>, Error> {
        let query = sqlx::query(select(SESSION, "agent_sessions WHERE id_hash = $1")).bind(id_hash);
        self.readers.fetch_optional(query).await?.as_ref().map(read_session).transpose()
    }

    /// A sign-in was used.
    pub async fn touch_agent_session(&self, id_hash: &str, at: Millis) -> Result<(), Error> {
        let query = sqlx::query("UPDATE agent_sessions SET seen_ms = $1 WHERE id_hash = $2 AND seen_ms < $1");
        self.execute(query.bind(at).bind(id_hash)).await.map(drop)
    }

    /// Ends a sign-in.
    pub async fn delete_agent_session(&self, id_hash: &str) -> Result<(), Error> {
        self.execute(sqlx::query("DELETE FROM agent_sessions WHERE id_hash = $1").bind(id_hash)).await.map(drop)
    }

    /// Ends all sign-ins of an agent.
    pub async fn delete_agent_sessions_of(&self, agent: AgentId) -> Result<(), Error> {
        self.execute(sqlx::query("DELETE FROM agent_sessions WHERE agent = $1").bind(agent.to_string())).await.map(drop)
    }

    /// Ends, at most `most` of them, the sign-ins that were not used since `seen_before` or were made before `created_before`.
    pub async fn delete_ended_agent_sessions(
        &self,
        seen_before: Millis,
        created_before: Millis,
        most: u32,
    ) -> Result<u64, Error> {
        let query = sqlx::query(
            "DELETE FROM agent_sessions WHERE id_hash IN \
             (SELECT id_hash FROM agent_sessions WHERE seen_ms < $1 OR created_ms < $2 LIMIT $3)",
        );
        self.execute(query.bind(seen_before).bind(created_before).bind(i64::from(most))).await
    }

    /// All signing keys, oldest first.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKeyRecord>, Error> {
        let query = sqlx::query(select(KEY, "signing_keys ORDER BY created_ms, kid"));
        self.readers.fetch_all(query).await?.iter().map(read_key).collect()
    }

    /// Stores a new signing key. `Taken` when its kid is in use.
    pub async fn add_signing_key(&self, key: &SigningKeyRecord) -> Result<(), Error> {
        let query = sqlx::query(
            "INSERT INTO signing_keys (kid, secret, created_ms, retired_ms) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        );
        let query = query.bind(&key.kid).bind(&key.secret).bind(key.created_at).bind(key.retired_at);
        match self.execute(query).await? {
            0 => Err(Error::Taken("key id")),
            _ => Ok(()),
        }
    }

    /// A key signs nothing new from `at` on. One that is retired keeps its time.
    pub async fn retire_signing_key(&self, kid: &str, at: Millis) -> Result<(), Error> {
        let query = sqlx::query("UPDATE signing_keys SET retired_ms = $1 WHERE kid = $2 AND retired_ms IS NULL");
        self.execute(query.bind(at).bind(kid)).await.map(drop)
    }

    /// Takes a key away: nothing that it signed can be verified. False when there is none of that id.
    pub async fn delete_signing_key(&self, kid: &str) -> Result<bool, Error> {
        Ok(self.execute(sqlx::query("DELETE FROM signing_keys WHERE kid = $1").bind(kid)).await? > 0)
    }

    /// A session's tokens are worth nothing from now on. After `expires_at` none of them would be anyway.
    pub async fn revoke_session(
        &self,
        project: ProjectId,
        session: SessionId,
        expires_at: Millis,
    ) -> Result<(), Error> {
        // Tidied up here, where it is written, so that nothing else need remember to.
        let gone = sqlx::query("DELETE FROM revoked_sessions WHERE expires_ms < $1").bind(self.clock.now());
        self.execute(gone).await?;
        let query = sqlx::query(
            "INSERT INTO revoked_sessions (session, project, expires_ms) VALUES ($1, $2, $3) ON CONFLICT (session) \
             DO UPDATE SET expires_ms = CASE WHEN excluded.expires_ms > revoked_sessions.expires_ms \
             THEN excluded.expires_ms ELSE revoked_sessions.expires_ms END",
        );
        let query = query.bind(session.to_string()).bind(project.to_string()).bind(expires_at);
        self.execute(query).await.map(drop)
    }

    /// The sessions whose tokens would still hold, had they not been revoked.
    pub async fn revoked_sessions(&self) -> Result<Vec<SessionId>, Error> {
        let query = sqlx::query("SELECT session FROM revoked_sessions WHERE expires_ms >= $1").bind(self.clock.now());
        self.readers.fetch_all(query).await?.iter().map(|row| parsed(row, "session")).collect()
    }

    /// Tells a running server something; returns its number.
    pub async fn control_append(&self, kind: &str, project: Option<ProjectId>, subject: &str) -> Result<i64, Error> {
        let _turn = self.turns.take("control").await;
        let mut writer = self.writer.lock().await;
        loop {
            let add = sqlx::query(
                "INSERT INTO control (n, kind, project, subject, at_ms) \
                 SELECT COALESCE(MAX(n), 0) + 1, $1, $2, $3, $4 FROM control RETURNING n",
            );
            let add = add.bind(kind).bind(project.map(|project| project.to_string())).bind(subject);
            writer.begin().await?;
            let added = writer.fetch(add.bind(self.clock.now())).await;
            match writer.end(added).await.map_err(Error::from) {
                Ok(rows) => return rows.first().map_or(Err(Error::Damaged("control")), |row| number(row, "n")),
                // Another node has just taken the number: there is a next one.
                Err(Error::Taken(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// What was told after number `n`, ascending. A row that can't be read is left out, and said: it keeps back none of the
    /// others.
    pub async fn control_after(&self, n: i64) -> Result<Vec<ControlRecord>, Error> {
        let query = sqlx::query(select(CONTROL, "control WHERE n > $1 ORDER BY n")).bind(n);
        let rows = self.readers.fetch_all(query).await?;
        Ok(rows.iter().filter_map(readable_control).collect())
    }

    /// Forgets what was told before `at`, but for the last thing: numbers go on from it. How many there were.
    pub async fn forget_control(&self, before: Millis) -> Result<u64, Error> {
        let query = sqlx::query("DELETE FROM control WHERE at_ms < $1 AND n < (SELECT MAX(n) FROM control)");
        self.execute(query.bind(before)).await
    }

    /// The number of the last thing told; 0 before the first.
    pub async fn control_last(&self) -> Result<i64, Error> {
        let query = sqlx::query("SELECT COALESCE(MAX(n), 0) AS last FROM control");
        number(&self.readers.fetch_one(query).await?, "last")
    }
}

fn read_session(row: &AnyRow) -> Result<AgentSessionRecord, Error> {
    Ok(AgentSessionRecord {
        id_hash: text(row, "id_hash")?,
        project: parsed(row, "project")?,
        agent: parsed(row, "agent")?,
        session: parsed(row, "session")?,
        created_at: number(row, "created_ms")?,
        seen_at: number(row, "seen_ms")?,
    })
}

fn read_key(row: &AnyRow) -> Result<SigningKeyRecord, Error> {
    Ok(SigningKeyRecord {
        kid: text(row, "kid")?,
        secret: text(row, "secret")?,
        created_at: number(row, "created_ms")?,
        retired_at: maybe_number(row, "retired_ms")?,
    })
}

fn readable_control(row: &AnyRow) -> Option<ControlRecord> {
    let record = read_control(row);
    if let Err(error) = &record {
        tracing::error!(n = number(row, "n").ok(), %error, "a word of the command line can't be read");
    }
    record.ok()
}

fn read_control(row: &AnyRow) -> Result<ControlRecord, Error> {
    Ok(ControlRecord {
        n: number(row, "n")?,
        kind: text(row, "kind")?,
        project: maybe_parsed(row, "project")?,
        subject: text(row, "subject")?,
        at: number(row, "at_ms")?,
    })
}
