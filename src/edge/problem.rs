//! Problem documents (RFC 9457): every error of every HTTP endpoint.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What went wrong, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A URI that names the kind of problem: `urn:deskbell:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status line's words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// For people: what to do about it.
    pub detail: String,
    /// For programs.
    pub code: String,
    /// May be tried again unchanged after this many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
}
