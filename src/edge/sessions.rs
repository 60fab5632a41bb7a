//! `POST /v1/sessions`: who is a visitor, and a token for its socket.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Edge, Peer, body::Json, origins, problem::Problem};
use crate::{
    clock::Millis,
    desk::{
        Caller,
        accounts::{Asked, VisitorSession},
    },
    domain::access::Actor,
    ids::{ProjectId, VisitorId},
    pressure,
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
    /// The anonymous visitor that `resume` named: its site vouches for it now, and what it wrote is this visitor's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<VisitorId>,
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

/// Begins a visitor's session, or brings an earlier visitor back.
#[utoipa::path(post, path = "/v1/sessions", tag = "visitors", request_body = SessionRequest, responses(
    (status = 201, description = "A session", body = SessionReply),
    (status = 401, description = "`identity` or `resume` is no good", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The page's origin is not on the project's list (`forbidden`), or the visitor was blocked (`banned`)", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "No such project", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "Too many requests from this address", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No room for new visitors now, or the database is not available; see `Retry-After`", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn create(
    State(edge): State<Arc<Edge>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Result<Json<SessionRequest>, Problem>,
) -> Response {
    let answer = match body {
        Ok(Json(request)) => begin(&edge, peer, &headers, &request).await,
        Err(problem) => Err(problem),
    };
    let answer =
        answer.map_or_else(Problem::into_response, |reply| (StatusCode::CREATED, axum::Json(reply)).into_response());
    with_cors(answer)
}

/// Answers a browser that asks whether a page may ask.
pub(super) async fn preflight() -> Response {
    let (status, answer) = origins::preflight();
    (status, HeaderMap::from_iter(answer)).into_response()
}

async fn begin(
    edge: &Edge,
    peer: Peer,
    headers: &HeaderMap,
    request: &SessionRequest,
) -> Result<SessionReply, Problem> {
    edge.gate.admit_session(edge.gate.client(peer.address.ip(), headers))?;
    let asked = Asked {
        project: &request.project,
        resume: request.resume.as_deref(),
        identity: request.identity.as_deref(),
        origin: origins::of(headers),
    };
    let session = edge.accounts.visitor_session(&asked)?;
    if request.resume.is_none() {
        must_be_known_now(edge, &session).await?;
    }
    let was = session.adopts.as_ref().map(|(from, _)| *from);
    if let Some((from, to)) = &session.adopts {
        edge.desk.adopt(*from, to).await?;
    }
    let online = edge.desk.agents_online(session.project.id).await? > 0;
    Ok(SessionReply {
        token: session.token,
        expires_at: session.expires_at,
        resume: session.resume,
        visitor: SessionVisitor { id: session.visitor, name: session.name, identified: session.identified, was },
        project: SessionProject {
            id: session.project.id,
            name: session.project.name.clone(),
            online,
            sneak_peek: session.project.sneak_peek,
        },
    })
}

/// When this node has no room left, who has a conversation still comes in, on a new device, too.
async fn must_be_known_now(edge: &Edge, session: &VisitorSession) -> Result<(), Problem> {
    if edge.sessions.pressure.takes_visitors() {
        return Ok(());
    }
    let caller = Caller {
        project: session.project.id,
        session: None,
        actor: Actor::Visitor { id: session.visitor, name: None },
    };
    if session.identified && !edge.desk.own_conversations(&caller).await?.is_empty() {
        return Ok(());
    }
    Err(Problem::busy("this server has no room for new visitors right now", pressure::RETRY_AFTER_S))
}

fn with_cors(mut answer: Response) -> Response {
    answer.headers_mut().extend(origins::cors());
    answer
}
