//! The wire protocol `deskbell.v1`: its frames, limits and close codes. `docs/protocol.md` says it in prose.
//!
//! Changes only add. Exact bytes of every frame stand in `tests/it/snapshots/`.

pub mod client;
pub mod close;
pub mod server;

use crate::clock::Millis;

/// The WebSocket subprotocol; a client that does not offer it is refused with HTTP 400.
pub const SUBPROTOCOL: &str = "deskbell.v1";
/// The largest inbound frame, in bytes: a batch of eight messages of full length in a two-byte script.
pub const MAX_FRAME_BYTES: usize = 64 * 1024;
/// The largest `connect` frame, in bytes: a token (1 KiB) and the positions of fifty conversations.
pub const MAX_CONNECT_BYTES: usize = 8 * 1024;
/// The largest outbound frame, in bytes.
pub const MAX_OUTBOUND_BYTES: usize = 1024 * 1024;
/// The most objects in one frame, either way.
pub const MAX_BATCH: usize = 16;
/// The most entries that a resume brings; who is further behind starts over with the newest [`FRESH_ENTRIES`].
pub const RESUME_ENTRIES: u64 = 300;
/// The most bytes of entries that a resume brings.
pub const RESUME_BYTES: usize = 1024 * 1024;
/// How many of the newest entries a client gets of a conversation that it does not hold.
pub const FRESH_ENTRIES: u64 = 50;
/// The most entries in one answer to `history`.
pub const HISTORY_LIMIT: u32 = 200;
/// The most heads in one answer to `inbox`.
pub const INBOX_LIMIT: u32 = 100;
/// How long before a token's end the server says so.
pub const TOKEN_WARNING_MS: Millis = 30_000;
/// The oldest versions of this project's own clients that the server speaks with. An older one is closed with 4505: its page
/// is out of date. Who calls itself otherwise is not judged.
pub const OLDEST_CLIENTS: &[(&str, &str)] = &[("widget", "0.1.0"), ("console", "0.1.0")];
/// A `typing` that is not repeated ends by itself after this long.
pub const TYPING_ENDS_MS: Millis = 5_000;
