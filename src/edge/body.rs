//! Request bodies: typed JSON, small, in time.

use std::time::Duration;

use axum::{
    extract::{FromRequest, Request},
    http::{StatusCode, header},
};
use http_body_util::{BodyExt as _, Limited};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The largest body: two tokens of 4 KiB, twice over.
const MOST_BYTES: usize = 16 * 1024;
/// How long a body may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A JSON body of a known shape; fields that it does not know are errors.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is_json(&request) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "bad_request",
                "the body must be JSON: send `Content-Type: application/json`",
            ));
        }
        let bytes = tokio::time::timeout(TIMEOUT, Limited::new(request.into_body(), MOST_BYTES).collect())
            .await
            .map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "bad_request", "the body did not arrive in 10 s"))?
            .map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "a body takes at most 16 KiB"))?
            .to_bytes();
        serde_json::from_slice(&bytes).map(Self).map_err(|error| Problem::bad_request(error.to_string()))
    }
}

/// Also what makes a browser ask first (CORS) before another site's page may send it.
fn is_json(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}
