//! Projects and their agents.

use std::fmt;

use sqlx::{
    Any,
    any::{AnyArguments, AnyRow},
    query::Query,
};

use super::{
    Error, Log,
    rows::{count, flag, from_json, json, maybe_text, number, parsed, select, text},
};
use crate::{
    clock::Millis,
    domain::Role,
    ids::{AgentId, ProjectId},
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

// Neither shows its secrets in a log line.

impl fmt::Debug for ProjectRecord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ProjectRecord").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for AgentRecord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("AgentRecord").field("id", &self.id).field("role", &self.role).finish_non_exhaustive()
    }
}

/// The columns of what is read below.
const PROJECT: &str = "id, name, public_key, identity_secret, identity_public_key, identity_required, sneak_peek, origins, \
    created_ms";
const AGENT: &str = "id, project, email, name, role, password_hash, capacity, disabled, created_ms";

impl Log {
    /// Stores a new project. `Taken` when its public key is in use.
    pub async fn create_project(&self, project: &ProjectRecord) -> Result<(), Error> {
        let query = sqlx::query(
            "INSERT INTO projects (name, public_key, identity_secret, identity_public_key, identity_required, sneak_peek, \
             origins, id, created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
        );
        match self.execute(bind_project(query, project).bind(project.created_at)).await? {
            0 => Err(Error::Taken("public key")),
            _ => Ok(()),
        }
    }

    /// The project of that id.
    pub async fn project(&self, id: ProjectId) -> Result<Option<ProjectRecord>, Error> {
        let query = sqlx::query(select(PROJECT, "projects WHERE id = $1")).bind(id.to_string());
        self.readers.fetch_optional(query).await?.as_ref().map(read_project).transpose()
    }

    /// The project that an embed snippet names.
    pub async fn project_by_public_key(&self, public_key: &str) -> Result<Option<ProjectRecord>, Error> {
        let query = sqlx::query(select(PROJECT, "projects WHERE public_key = $1")).bind(public_key);
        self.readers.fetch_optional(query).await?.as_ref().map(read_project).transpose()
    }

    /// All projects, oldest first.
    pub async fn projects(&self) -> Result<Vec<ProjectRecord>, Error> {
        let query = sqlx::query(select(PROJECT, "projects ORDER BY created_ms, id"));
        self.readers.fetch_all(query).await?.iter().map(read_project).collect()
    }

    /// Stores everything of a project but its id and `created_at`. Whether there is such a project. `Taken` when its new
    /// public key is another's.
    pub async fn update_project(&self, project: &ProjectRecord) -> Result<bool, Error> {
        let query = sqlx::query(
            "UPDATE projects SET name = $1, public_key = $2, identity_secret = $3, identity_public_key = $4, \
             identity_required = $5, sneak_peek = $6, origins = $7 WHERE id = $8",
        );
        let updated = self.execute(bind_project(query, project)).await;
        Ok(updated.map_err(|error| error.or_taken("public key"))? > 0)
    }

    /// Stores a new agent. `Taken` when its e-mail address is in use, in this project or another.
    pub async fn create_agent(&self, agent: &AgentRecord) -> Result<(), Error> {
        let query = sqlx::query(
            "INSERT INTO agents (email, name, role, password_hash, capacity, disabled, id, project, created_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
        );
        match self.execute(bind_agent(query, agent).bind(agent.project.to_string()).bind(agent.created_at)).await? {
            0 => Err(Error::Taken("e-mail address")),
            _ => Ok(()),
        }
    }

    /// The agent of that id.
    pub async fn agent(&self, id: AgentId) -> Result<Option<AgentRecord>, Error> {
        let query = sqlx::query(select(AGENT, "agents WHERE id = $1")).bind(id.to_string());
        self.readers.fetch_optional(query).await?.as_ref().map(read_agent).transpose()
    }

    /// The agent who signs in with `email`, in whatever case it is typed.
    pub async fn agent_by_email(&self, email: &str) -> Result<Option<AgentRecord>, Error> {
        // NUL is in no address; PostgreSQL would not take it.
        if email.contains('\0') {
            return Ok(None);
        }
        let query = sqlx::query(select(AGENT, "agents WHERE email = $1")).bind(canonical_email(email));
        self.readers.fetch_optional(query).await?.as_ref().map(read_agent).transpose()
    }

    /// A project's agents, by name.
    pub async fn agents(&self, project: ProjectId) -> Result<Vec<AgentRecord>, Error> {
        let query = sqlx::query(select(AGENT, "agents WHERE project = $1 ORDER BY name, id")).bind(project.to_string());
        self.readers.fetch_all(query).await?.iter().map(read_agent).collect()
    }

    /// Stores everything of an agent but its id, project and `created_at`. Whether there is such an agent. `Taken` when
    /// its new e-mail address is another's.
    pub async fn update_agent(&self, agent: &AgentRecord) -> Result<bool, Error> {
        let query = sqlx::query(
            "UPDATE agents SET email = $1, name = $2, role = $3, password_hash = $4, capacity = $5, disabled = $6 \
             WHERE id = $7",
        );
        let updated = self.execute(bind_agent(query, agent)).await;
        Ok(updated.map_err(|error| error.or_taken("e-mail address"))? > 0)
    }
}

type Statement<'q> = Query<'q, Any, AnyArguments>;

/// The first eight parameters of both statements that store a project.
fn bind_project<'q>(query: Statement<'q>, project: &ProjectRecord) -> Statement<'q> {
    query
        .bind(project.name.clone())
        .bind(project.public_key.clone())
        .bind(project.identity_secret.clone())
        .bind(project.identity_public_key.clone())
        .bind(i64::from(project.identity_required))
        .bind(i64::from(project.sneak_peek))
        .bind(json(&project.origins))
        .bind(project.id.to_string())
}

/// The first seven parameters of both statements that store an agent.
fn bind_agent<'q>(query: Statement<'q>, agent: &AgentRecord) -> Statement<'q> {
    query
        .bind(canonical_email(&agent.email))
        .bind(agent.name.clone())
        .bind(agent.role.as_str())
        .bind(agent.password_hash.clone())
        .bind(i64::from(agent.capacity))
        .bind(i64::from(agent.disabled))
        .bind(agent.id.to_string())
}

/// One address, however it is typed.
fn canonical_email(email: &str) -> String {
    email.trim().to_lowercase()
}

fn read_project(row: &AnyRow) -> Result<ProjectRecord, Error> {
    Ok(ProjectRecord {
        id: parsed(row, "id")?,
        name: text(row, "name")?,
        public_key: text(row, "public_key")?,
        identity_secret: maybe_text(row, "identity_secret")?,
        identity_public_key: maybe_text(row, "identity_public_key")?,
        identity_required: flag(row, "identity_required")?,
        sneak_peek: flag(row, "sneak_peek")?,
        origins: from_json(row, "origins")?,
        created_at: number(row, "created_ms")?,
    })
}

fn read_agent(row: &AnyRow) -> Result<AgentRecord, Error> {
    Ok(AgentRecord {
        id: parsed(row, "id")?,
        project: parsed(row, "project")?,
        email: text(row, "email")?,
        name: text(row, "name")?,
        role: Role::parse(&text(row, "role")?).ok_or(Error::Damaged("role"))?,
        password_hash: text(row, "password_hash")?,
        capacity: u32::try_from(count(row, "capacity")?).map_err(|_| Error::Damaged("capacity"))?,
        disabled: flag(row, "disabled")?,
        created_at: number(row, "created_ms")?,
    })
}
