//! The edge: what comes in over HTTP, and what is refused there.
//!
//! Every answer that is no success is a problem document; every answer carries the security headers. A socket leaves
//! through `ws` and is a session from then on.

mod acme;
pub mod admin;
pub mod agents;
mod assets;
pub mod asyncapi;
mod body;
mod crowd;
pub mod limits;
pub mod listen;
pub mod openapi;
mod origins;
pub mod problem;
mod proxied;
pub mod sessions;
pub mod tls;
mod turns;
mod ws;

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Instant,
};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};

use self::{agents::Cookie, assets::Policies, limits::Gate, problem::Problem};
use crate::{
    config::Origin,
    desk::{Desk, accounts::Accounts},
    session,
    tasks::Tasks,
    trace::{Part, Span},
};

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The connection's other end: a proxy, if there is one.
    pub address: SocketAddr,
}

/// What the public routes need.
pub struct Edge {
    accounts: Arc<Accounts>,
    desk: Arc<Desk>,
    sessions: Arc<session::Context>,
    gate: Arc<Gate>,
    tasks: Tasks,
    cookie: Cookie,
    policies: Policies,
    public_url: Origin,
    /// The demo project's public key, in demo mode.
    demo: Option<String>,
}

/// Where the server is, and what it shows there.
#[derive(Clone, Debug)]
pub struct Site {
    /// How the outside reaches it.
    pub public_url: Origin,
    /// All its origins, that one included.
    pub own_origins: Vec<Origin>,
    /// The port it listens on.
    pub port: u16,
    /// The demo project's public key, in demo mode.
    pub demo: Option<String>,
}

impl Edge {
    /// An edge in front of `sessions`.
    pub fn new(sessions: Arc<session::Context>, gate: Arc<Gate>, tasks: Tasks, site: Site) -> Arc<Self> {
        // A policy can't name an IPv6 address, and a browser complains of one; 'self' covers the page's own.
        let sockets = site.own_origins.iter().map(Origin::websocket).filter(|socket| !socket.contains('['));
        let sockets: Vec<String> = sockets.collect();
        Arc::new(Self {
            accounts: Arc::clone(&sessions.accounts),
            desk: Arc::clone(&sessions.desk),
            sessions,
            gate,
            tasks,
            cookie: Cookie::new(site.public_url.is_https(), site.port),
            policies: Policies::new(&sockets),
            public_url: site.public_url,
            demo: site.demo,
        })
    }

    /// The public routes.
    pub fn routes(self: Arc<Self>) -> Router {
        Router::new()
            .route("/v1/ws", get(ws::upgrade))
            .route("/v1/sessions", post(sessions::create).options(sessions::preflight))
            .route("/v1/agents/login", post(agents::login))
            .route("/v1/agents/logout", post(agents::logout))
            .route("/v1/agents/token", post(agents::token))
            .route("/v1/openapi.json", get(|| async { json(&OPENAPI) }))
            .route("/v1/asyncapi.json", get(|| async { json(&ASYNCAPI) }))
            .route("/", get(assets::console))
            .route("/c", get(assets::console))
            .route("/c/", get(assets::console))
            .route("/c/{*path}", get(assets::console))
            .route("/assets/{*name}", get(assets::console_asset))
            .route("/w/{*name}", get(assets::widget))
            .route("/chat/{key}", get(assets::chat))
            .route("/demo", get(assets::demo))
            .route("/demo/", get(assets::demo))
            .route("/demo/{*name}", get(assets::demo_file))
            .fallback(assets::fallback)
            .method_not_allowed_fallback(method_not_allowed)
            .layer(middleware::from_fn_with_state(Arc::clone(&self), secure))
            .layer(middleware::from_fn(measure))
            .with_state(self)
    }
}

/// The documents never change while the program runs; they are made when somebody first asks.
static OPENAPI: LazyLock<String> = LazyLock::new(openapi::document);
static ASYNCAPI: LazyLock<String> = LazyLock::new(asyncapi::document);

fn json(document: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document)
}

async fn method_not_allowed() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "bad_request", "this address does not take that method")
}

/// What every answer carries, unless its page says otherwise.
async fn secure(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    let headers = answer.headers_mut();
    let defaults = [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in defaults {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.insert("permissions-policy", HeaderValue::from_static("camera=(), geolocation=(), microphone=()"));
    if edge.public_url.is_https() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    answer
}

/// Counts requests by route, not by path: paths hold keys and whatever somebody typed.
async fn measure(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let begun = Instant::now();
    let edge = Span::root(Part::Edge);
    edge.note("http.route", &route);
    edge.note("http.request.method", &method(request.method()));
    let answer = edge.around(next.run(request)).await;
    edge.note("http.response.status_code", &answer.status().as_u16());
    metrics::histogram!("deskbell_http_request_seconds").record(begun.elapsed());
    let status = answer.status().as_u16().to_string();
    metrics::counter!("deskbell_http_requests_total", "route" => route, "status" => status).increment(1);
    answer
}

/// Those that HTTP has; any other is what somebody typed.
fn method(method: &Method) -> &str {
    const KNOWN: [Method; 7] =
        [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    if KNOWN.contains(method) { method.as_str() } else { "_OTHER" }
}

/// Compares a generated file of the repository with what the code generates; `UPDATE_GENERATED` writes it.
#[cfg(test)]
fn assert_current(path: &str, generated: &str) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&file, generated).unwrap_or_else(|error| panic!("{error}"));
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == generated, "`make gen` brings {path} up to date");
}
