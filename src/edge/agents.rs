//! `POST /v1/agents/...`: sign in, a token for the socket, sign out.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Edge, Peer, body::Json, origins, problem::Problem};
use crate::{
    clock::Millis,
    desk::accounts::Denied,
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

/// Signs an agent in: the answer sets a cookie.
#[utoipa::path(post, path = "/v1/agents/login", tag = "agents", request_body = LoginRequest, responses(
    (status = 204, description = "Signed in; a cookie is set"),
    (status = 401, description = "The e-mail address or the password is wrong", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "Too many attempts", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn login(
    State(edge): State<Arc<Edge>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Json(request): Json<LoginRequest>,
) -> Result<(StatusCode, HeaderMap), Problem> {
    own_page_only(&edge, &headers)?;
    let address = edge.gate.client(peer.address.ip(), &headers);
    let address = Some(address).filter(|address| edge.gate.counts(*address));
    let sign_in = edge.accounts.sign_in(&request.email, &request.password, address).await?;
    Ok((StatusCode::NO_CONTENT, edge.cookie.set(&sign_in.secret)))
}

/// A token for the socket of the agent who is signed in.
#[utoipa::path(post, path = "/v1/agents/token", tag = "agents", responses(
    (status = 200, description = "A token", body = AgentTokenReply),
    (status = 401, description = "Not signed in", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn token(
    State(edge): State<Arc<Edge>>,
    headers: HeaderMap,
) -> Result<axum::Json<AgentTokenReply>, Problem> {
    own_page_only(&edge, &headers)?;
    let secret = edge.cookie.read(&headers).ok_or_else(|| Denied::Unauthorized("sign in first".to_owned()))?;
    let given = edge.accounts.agent_token(secret).await?;
    let (agent, project) = (given.agent, given.project);
    Ok(axum::Json(AgentTokenReply {
        token: given.token,
        expires_at: given.expires_at,
        agent: SignedInAgent {
            id: agent.id,
            name: agent.name,
            email: agent.email,
            role: agent.role,
            capacity: agent.capacity,
        },
        project: AgentProject {
            id: project.id,
            name: project.name.clone(),
            public_key: project.public_key.clone(),
            origins: project.origins.clone(),
        },
        public_url: edge.public_url.to_string(),
    }))
}

/// Signs an agent out: its sockets close, and the cookie goes.
#[utoipa::path(post, path = "/v1/agents/logout", tag = "agents", responses(
    (status = 204, description = "Signed out"),
))]
pub(super) async fn logout(
    State(edge): State<Arc<Edge>>,
    headers: HeaderMap,
) -> Result<(StatusCode, HeaderMap), Problem> {
    own_page_only(&edge, &headers)?;
    if let Some(secret) = edge.cookie.read(&headers) {
        edge.accounts.sign_out(secret).await?;
    }
    Ok((StatusCode::NO_CONTENT, edge.cookie.clear()))
}

fn own_page_only(edge: &Edge, headers: &HeaderMap) -> Result<(), Problem> {
    origins::own_page_only(|origin| edge.accounts.is_own(origin), headers)
}

/// The agents' cookie.
pub(super) struct Cookie {
    name: String,
    secure: bool,
}

impl Cookie {
    /// The cookie of a server that is reached by TLS, or by plain HTTP on this machine: a browser takes no `Secure` cookie
    /// from there, and cookies of all ports share one jar, so the name has the port.
    pub(super) fn new(https: bool, port: u16) -> Self {
        let name = if https { "__Host-deskbell".to_owned() } else { format!("deskbell-{port}") };
        Self { name, secure: https }
    }

    /// Without `Max-Age`: it goes when the browser is closed.
    fn set(&self, secret: &str) -> HeaderMap {
        self.header(secret, "")
    }

    fn clear(&self) -> HeaderMap {
        self.header("", "; Max-Age=0")
    }

    fn header(&self, value: &str, life: &str) -> HeaderMap {
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!("{}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{life}", self.name);
        HeaderValue::from_str(&text)
            .map(|value| HeaderMap::from_iter([(header::SET_COOKIE, value)]))
            .unwrap_or_default()
    }

    fn read<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.name).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_locked_down() {
        let set = |cookie: &Cookie| cookie.set("s3cret").get(header::SET_COOKIE).cloned();
        assert_eq!(
            set(&Cookie::new(true, 443)),
            Some(HeaderValue::from_static("__Host-deskbell=s3cret; Path=/; HttpOnly; SameSite=Strict; Secure"))
        );
        assert_eq!(
            set(&Cookie::new(false, 8080)),
            Some(HeaderValue::from_static("deskbell-8080=s3cret; Path=/; HttpOnly; SameSite=Strict"))
        );
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let cookie = Cookie::new(false, 8080);
        let jar = |text| HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(text))]);
        assert_eq!(cookie.read(&jar("a=b; deskbell-8080=s3cret; deskbell-1=x")), Some("s3cret"));
        assert_eq!(cookie.read(&jar("deskbell-80801=s3cret")), None);
    }
}
