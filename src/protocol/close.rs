//! Every ending of a socket, in one table. `docs/protocol.md` shows the same one; a test compares them.

use utoipa::ToSchema;

macro_rules! close_codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $reason:literal, $then:literal;)*) => {
        /// Why the server closes a socket.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ToSchema)]
        pub enum CloseCode {
            $($(#[$doc])* $variant,)*
        }

        impl CloseCode {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The number on the wire.
            pub const fn code(self) -> u16 {
                match self { $(Self::$variant => $code),* }
            }

            /// The reason on the wire, in logs and in metrics.
            pub const fn reason(self) -> &'static str {
                match self { $(Self::$variant => $reason),* }
            }

            /// What the client does then.
            pub const fn then(self) -> &'static str {
                match self { $(Self::$variant => $then),* }
            }
        }
    };
}

close_codes! {
    /// Something broke on this side.
    ServerError = 4000, "server_error", "reconnects with backoff";
    /// The node is being stopped.
    Draining = 4001, "draining", "reconnects at a random moment within `reconnect_window_ms`";
    /// The client reads more slowly than it is written to.
    SlowConsumer = 4002, "slow_consumer", "reconnects and resumes";
    /// A ping was not answered.
    NoPong = 4003, "no_pong", "reconnects";
    /// The token ran out.
    TokenExpired = 4004, "token_expired", "gets a new token, then reconnects";
    /// What the session was sent can't be continued.
    Resync = 4005, "resync", "reconnects and resumes";
    /// Refused too often.
    RateLimited = 4006, "rate_limited", "waits at least 5 s";
    /// Not this protocol.
    BadProtocol = 4500, "bad_protocol", "stops";
    /// The token is no good, or no longer.
    Unauthorized = 4501, "unauthorized", "stops, asks for a session";
    /// No `connect` in time, or something else in its place.
    ConnectTimeout = 4502, "connect_timeout", "stops";
    /// Not wanted here.
    Banned = 4503, "banned", "stops";
    /// One too many for the same person.
    TooManySessions = 4504, "too_many_sessions", "stops";
    /// Its page is older than this server can talk to.
    VersionTooOld = 4505, "version_too_old", "stops, reloads the page";
}

impl CloseCode {
    /// Whether it says that the session may not go on: nothing more is written to it, not even what was begun.
    pub const fn shuts_out(self) -> bool {
        matches!(self, Self::TokenExpired | Self::Unauthorized | Self::Banned)
    }
}

/// The code for a message that is too big (RFC 6455): a declared length over the limit is not read.
pub const MESSAGE_TOO_BIG: u16 = 1009;
/// The code for a text that is none (RFC 6455).
pub const BAD_UTF8: u16 = 1007;
/// The code for a violation of RFC 6455 itself.
pub const PROTOCOL_ERROR: u16 = 1002;
