//! Problem documents (RFC 9457): every error of every HTTP endpoint, in one place.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    desk::{Failure, accounts::Denied},
    trace,
};

/// What went wrong, for programs and for people.
// Texts without room to grow: it is handed on as an error, and stays small.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// A URI that names the kind of problem: `urn:deskbell:<code>`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: Box<str>,
    /// The status line's words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// For people: what to do about it.
    #[schema(value_type = String)]
    pub detail: Box<str>,
    /// For programs.
    pub code: &'static str,
    /// May be tried again unchanged after this many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// The trace in which the operator finds what happened: 32 hexadecimal digits. Missing where none was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub trace: Option<Box<str>>,
}

impl Problem {
    /// A problem with a code that programs tell apart.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:deskbell:{code}").into(),
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: detail.into().into(),
            code,
            retry_after_s: None,
            trace: None,
        }
    }

    /// The same, with a time after which to try again.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds.max(1)), ..self }
    }

    /// A request that can't be understood.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    /// Not allowed from here.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// Nothing there.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this address")
    }

    /// Asked too often.
    pub fn rate_limited(detail: impl Into<String>, retry_after_s: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail).retry_after(retry_after_s)
    }

    /// Too many connections, or something that does not answer now.
    pub fn busy(detail: impl Into<String>, retry_after_s: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).retry_after(retry_after_s)
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let detail = denied.to_string();
        match denied {
            Denied::NotFound => Self::new(StatusCode::NOT_FOUND, "not_found", detail),
            Denied::Origin => Self::forbidden(detail),
            Denied::Banned => Self::new(StatusCode::FORBIDDEN, "banned", detail),
            Denied::Unauthorized(_) => Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail),
            Denied::RateLimited { retry_after_s } => Self::rate_limited(detail, retry_after_s),
            Denied::Unavailable(_) => unavailable(&detail),
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => Self::bad_request(refusal.to_string()),
            Failure::Unavailable(why) => unavailable(&why),
        }
    }
}

/// The one place where a database's failure leaves by HTTP: the log has the reason, the outside does not.
fn unavailable(why: &str) -> Problem {
    let trace = trace::fault("unavailable");
    tracing::error!(why, trace, "a request failed");
    Problem { trace: trace.map(Into::into), ..Problem::busy("the database is not available; nothing was changed", 2) }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        trace::fail(self.code);
        self.trace = self.trace.or_else(|| trace::current().map(Into::into));
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Serialising can't fail: texts and numbers.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
