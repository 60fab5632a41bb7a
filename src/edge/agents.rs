//! `POST /v1/agents/...`: sign in, a token for the socket, sign out.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock::Millis,
    domain::Role,
    ids::{AgentId, ProjectId},
};

/// Signs an agent in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// The agent's e-mail address.
    pub email: String,
    /// Its password.
    pub password: String,
}

/// A token for an agent's socket, and what its console shows first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgentTokenReply {
    /// For the socket's `connect`.
    pub token: String,
    /// When the token runs out.
    pub expires_at: Millis,
    /// Who is signed in.
    pub agent: SignedInAgent,
    /// The project it answers for.
    pub project: AgentProject,
    /// Where this server is, for the embed snippet.
    pub public_url: String,
}

/// The agent that is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedInAgent {
    /// Its id.
    pub id: AgentId,
    /// Its name.
    pub name: String,
    /// Its e-mail address.
    pub email: String,
    /// What it may do.
    pub role: Role,
    /// How many conversations it takes at once.
    pub capacity: u32,
}

/// The project, as its agents see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgentProject {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// What the site's embed snippet names.
    pub public_key: String,
    /// Where the widget may be embedded.
    pub origins: Vec<String>,
}
