//! The admin listener: is it alive, is it ready, what does it count. Never public.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::problem::Problem;
use crate::{bus::Health, log::Log, telemetry::Metrics};

/// What the admin listener looks at.
pub struct Admin {
    /// Whether it takes writes decides readiness.
    pub log: Log,
    /// A node that does not hear the others is not ready: what they commit reaches its sessions late.
    pub bus: watch::Receiver<Health>,
    /// What `/metrics` shows.
    pub metrics: Metrics,
    /// A node that is being stopped is not ready.
    pub drain: CancellationToken,
}

/// Whether the node may be given traffic.
#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the answer's fields: each is a question of its own")]
struct Readiness {
    ready: bool,
    log_writable: bool,
    bus_subscribed: bool,
    draining: bool,
}

/// The admin listener's routes.
pub fn routes(admin: Admin) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .fallback(|| async { Problem::not_found() })
        .with_state(Arc::new(admin))
}

/// What is not to be asked for: where the nodes' readiness decides whether there is any node at all, one that all of them
/// have in common must not take them away together.
#[derive(Deserialize)]
struct Exclude {
    #[serde(default)]
    exclude: Option<Reason>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Reason {
    LogWritable,
    BusSubscribed,
}

async fn ready(State(admin): State<Arc<Admin>>, Query(asked): Query<Exclude>) -> impl IntoResponse {
    let draining = admin.drain.is_cancelled();
    let log_writable = admin.log.is_writable().await;
    let bus_subscribed = !matches!(*admin.bus.borrow(), Health::Deaf { .. });
    let counts = |reason: Reason, holds: bool| holds || asked.exclude == Some(reason);
    let ready = counts(Reason::LogWritable, log_writable) && counts(Reason::BusSubscribed, bus_subscribed) && !draining;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, log_writable, bus_subscribed, draining }))
}

async fn metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], admin.metrics.render())
}
