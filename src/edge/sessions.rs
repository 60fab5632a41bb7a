//! `POST /v1/sessions`: who is a visitor, and a token for its socket.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock::Millis,
    ids::{ProjectId, VisitorId},
};

/// Asks for a visitor's session.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionRequest {
    /// The project's public key.
    pub project: String,
    /// What an earlier session gave, to be the same visitor again.
    pub resume: Option<String>,
    /// A JWT by which the embedding site's server vouches for its visitor.
    pub identity: Option<String>,
}

/// A visitor's session.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionReply {
    /// For the socket's `connect`.
    pub token: String,
    /// When the token runs out.
    pub expires_at: Millis,
    /// Brings the same visitor back later; keep it only where the visitor allows.
    pub resume: String,
    /// Who the visitor is.
    pub visitor: SessionVisitor,
    /// The project that it visits.
    pub project: SessionProject,
}

/// The visitor of a session.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionVisitor {
    /// Its id.
    pub id: VisitorId,
    /// Its name, if its site vouched for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether its site vouches for it.
    pub identified: bool,
}

/// The project, as visitors see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionProject {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// Whether an agent is online.
    pub online: bool,
    /// Whether agents see drafts while they are typed; the composer must say so.
    pub sneak_peek: bool,
}
