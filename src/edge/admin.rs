//! The admin listener: is it alive, is it ready, what does it count. Never public.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::problem::Problem;
use crate::{log::Log, telemetry::Metrics};

/// What the admin listener looks at.
pub struct Admin {
    /// Whether it takes writes decides readiness.
    pub log: Log,
    /// What `/metrics` shows.
    pub metrics: Metrics,
    /// A node that is being stopped is not ready.
    pub drain: CancellationToken,
}

/// Whether the node may be given traffic.
#[derive(Serialize)]
struct Readiness {
    ready: bool,
    log_writable: bool,
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

async fn ready(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let draining = admin.drain.is_cancelled();
    let log_writable = admin.log.is_writable().await;
    let ready = log_writable && !draining;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, log_writable, draining }))
}

async fn metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], admin.metrics.render())
}
