//! Projects, agents, their sessions, signing keys, revocations, and what the command line tells a running server.

use super::{Error, Log};
use crate::{
    clock::Millis,
    domain::Role,
    ids::{AgentId, ProjectId, SessionId},
};

/// A project.
#[derive(Clone, PartialEq, Eq)]
pub struct ProjectRecord {
    /// Its id.
    pub id: ProjectId,
    /// Its name, as people read it.
    pub name: String,
    /// What the embed snippet names it by.
    pub public_key: String,
    /// The secret that the site signs identities with (HS256).
    pub identity_secret: Option<String>,
    /// The key that verifies identities (ES256, PEM).
    pub identity_public_key: Option<String>,
    /// Whether a visitor must be identified.
    pub identity_required: bool,
    /// Whether agents see what a visitor is typing.
    pub sneak_peek: bool,
    /// The sites that may embed the widget: scheme, host and port.
    pub origins: Vec<String>,
    /// When it was made.
    pub created_at: Millis,
}

/// An agent's account.
#[derive(Clone, PartialEq, Eq)]
pub struct AgentRecord {
    /// Its id.
    pub id: AgentId,
    /// Its project.
    pub project: ProjectId,
    /// Its e-mail address, lower case: the name to sign in with, unique on the server.
    pub email: String,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The password's hash, in PHC form.
    pub password_hash: String,
    /// How many conversations it takes at once.
    pub capacity: u32,
    /// Whether it is shut out.
    pub disabled: bool,
    /// When it was made.
    pub created_at: Millis,
}

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

impl Log {
    /// Stores a new project. `Taken` when its public key is in use.
    pub async fn create_project(&self, project: &ProjectRecord) -> Result<(), Error> {
        let _ = project;
        Err(Error::Damaged("row"))
    }

    /// The project of that id.
    pub async fn project(&self, id: ProjectId) -> Result<Option<ProjectRecord>, Error> {
        let _ = id;
        Err(Error::Damaged("row"))
    }

    /// The project that an embed snippet names.
    pub async fn project_by_public_key(&self, public_key: &str) -> Result<Option<ProjectRecord>, Error> {
        let _ = public_key;
        Err(Error::Damaged("row"))
    }

    /// All projects, oldest first.
    pub async fn projects(&self) -> Result<Vec<ProjectRecord>, Error> {
        Err(Error::Damaged("row"))
    }

    /// Stores everything of a project but its id and `created_at`; its public key, too. Whether there is such a project.
    pub async fn update_project(&self, project: &ProjectRecord) -> Result<bool, Error> {
        let _ = project;
        Err(Error::Damaged("row"))
    }

    /// Stores a new agent. `Taken` when its e-mail address is in use.
    pub async fn create_agent(&self, agent: &AgentRecord) -> Result<(), Error> {
        let _ = agent;
        Err(Error::Damaged("row"))
    }

    /// The agent of that id.
    pub async fn agent(&self, id: AgentId) -> Result<Option<AgentRecord>, Error> {
        let _ = id;
        Err(Error::Damaged("row"))
    }

    /// The agent who signs in with `email`, in whatever case it is typed.
    pub async fn agent_by_email(&self, email: &str) -> Result<Option<AgentRecord>, Error> {
        let _ = email;
        Err(Error::Damaged("row"))
    }

    /// A project's agents, by name.
    pub async fn agents(&self, project: ProjectId) -> Result<Vec<AgentRecord>, Error> {
        let _ = project;
        Err(Error::Damaged("row"))
    }

    /// Stores everything of an agent but its id, project and `created_at`. Whether there is such an agent.
    pub async fn update_agent(&self, agent: &AgentRecord) -> Result<bool, Error> {
        let _ = agent;
        Err(Error::Damaged("row"))
    }

    /// Stores a sign-in.
    pub async fn create_agent_session(&self, session: &AgentSessionRecord) -> Result<(), Error> {
        let _ = session;
        Err(Error::Damaged("row"))
    }

    /// The sign-in of that hash.
    pub async fn agent_session(&self, id_hash: &str) -> Result<Option<AgentSessionRecord>, Error> {
        let _ = id_hash;
        Err(Error::Damaged("row"))
    }

    /// A sign-in was used.
    pub async fn touch_agent_session(&self, id_hash: &str, at: Millis) -> Result<(), Error> {
        let _ = (id_hash, at);
        Err(Error::Damaged("row"))
    }

    /// Ends a sign-in.
    pub async fn delete_agent_session(&self, id_hash: &str) -> Result<(), Error> {
        let _ = id_hash;
        Err(Error::Damaged("row"))
    }

    /// Ends all sign-ins of an agent.
    pub async fn delete_agent_sessions_of(&self, agent: AgentId) -> Result<(), Error> {
        let _ = agent;
        Err(Error::Damaged("row"))
    }

    /// All signing keys, oldest first.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKeyRecord>, Error> {
        Err(Error::Damaged("row"))
    }

    /// Stores a new signing key. `Taken` when its kid is in use.
    pub async fn add_signing_key(&self, key: &SigningKeyRecord) -> Result<(), Error> {
        let _ = key;
        Err(Error::Damaged("row"))
    }

    /// A key signs nothing new from `at` on. One that is retired keeps its time.
    pub async fn retire_signing_key(&self, kid: &str, at: Millis) -> Result<(), Error> {
        let _ = (kid, at);
        Err(Error::Damaged("row"))
    }

    /// A session's tokens are worth nothing from now on. After `expires_at` none of them would be anyway.
    pub async fn revoke_session(
        &self,
        project: ProjectId,
        session: SessionId,
        expires_at: Millis,
    ) -> Result<(), Error> {
        let _ = (project, session, expires_at);
        Err(Error::Damaged("row"))
    }

    /// The sessions whose tokens would still hold, had they not been revoked.
    pub async fn revoked_sessions(&self) -> Result<Vec<SessionId>, Error> {
        Err(Error::Damaged("row"))
    }

    /// Tells a running server something; returns its number.
    pub async fn control_append(&self, kind: &str, project: Option<ProjectId>, subject: &str) -> Result<i64, Error> {
        let _ = (kind, project, subject);
        Err(Error::Damaged("row"))
    }

    /// What was told after number `n`, ascending.
    pub async fn control_after(&self, n: i64) -> Result<Vec<ControlRecord>, Error> {
        let _ = n;
        Err(Error::Damaged("row"))
    }

    /// The number of the last thing told; 0 before the first.
    pub async fn control_last(&self) -> Result<i64, Error> {
        Err(Error::Damaged("row"))
    }
}
