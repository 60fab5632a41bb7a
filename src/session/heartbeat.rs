//! When a session must do something by itself: ping, give up waiting for a pong, warn of the token's end, end with it.

use std::time::Duration;

use tokio::time::Instant;

use crate::{clock::Millis, config::Limits, protocol::TOKEN_WARNING_MS};

/// A session's deadlines.
#[derive(Debug)]
pub(super) struct Heartbeat {
    ping_after_ms: u32,
    pong_within_ms: u32,
    /// When the server last sent anything.
    sent_at: Instant,
    /// When the ping went out that was not answered yet.
    pinged_at: Option<Instant>,
    token_ends: Instant,
    warned: bool,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Send a ping.
    Ping,
    /// The pong did not come.
    NoPong,
    /// Say that the token ends soon.
    Warn,
    /// The token has ended.
    TokenEnded,
}

impl Heartbeat {
    /// Deadlines of a session whose token holds for another `token_ttl_ms`.
    pub(super) fn new(limits: &Limits, token_ttl_ms: Millis, now: Instant) -> Self {
        Self {
            ping_after_ms: u32::try_from(limits.ping_after_ms).unwrap_or(u32::MAX),
            pong_within_ms: u32::try_from(limits.pong_within_ms).unwrap_or(u32::MAX),
            sent_at: now,
            pinged_at: None,
            token_ends: now + millis(token_ttl_ms),
            warned: false,
        }
    }

    /// A new token holds for `token_ttl_ms`.
    pub(super) fn renew(&mut self, token_ttl_ms: Millis, now: Instant) {
        self.token_ends = now + millis(token_ttl_ms);
        self.warned = false;
    }

    /// Something was sent then.
    pub(super) fn sent(&mut self, now: Instant) {
        self.sent_at = self.sent_at.max(now);
    }

    /// Something came from the client: it is alive.
    pub(super) fn heard(&mut self) {
        self.pinged_at = None;
    }

    /// When to look again.
    pub(super) fn next(&self) -> Instant {
        let beat = self.pinged_at.map_or_else(|| self.silent_until(), |pinged| self.answered_by(pinged));
        beat.min(if self.warned { self.token_ends } else { self.warning() })
    }

    /// What is due at `now`, most urgent first. A ping or warning that is returned counts as sent.
    pub(super) fn due(&mut self, now: Instant) -> Option<Due> {
        if now >= self.token_ends {
            return Some(Due::TokenEnded);
        }
        if !self.warned && now >= self.warning() {
            self.warned = true;
            return Some(Due::Warn);
        }
        match self.pinged_at {
            Some(pinged) if now >= self.answered_by(pinged) => Some(Due::NoPong),
            None if now >= self.silent_until() => {
                self.pinged_at = Some(now);
                Some(Due::Ping)
            }
            _ => None,
        }
    }

    /// When the token ends.
    pub(super) fn token_ends(&self) -> Instant {
        self.token_ends
    }

    /// How long the token still holds.
    pub(super) fn token_left_ms(&self, now: Instant) -> Millis {
        Millis::try_from(self.token_ends.duration_since(now).as_millis()).unwrap_or(Millis::MAX)
    }

    fn silent_until(&self) -> Instant {
        self.sent_at + Duration::from_millis(self.ping_after_ms.into())
    }

    fn answered_by(&self, pinged: Instant) -> Instant {
        pinged + Duration::from_millis(self.pong_within_ms.into())
    }

    fn warning(&self) -> Instant {
        self.token_ends.checked_sub(millis(TOKEN_WARNING_MS)).unwrap_or(self.token_ends)
    }
}

fn millis(ms: Millis) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn silence_is_pinged_and_no_answer_ends_it() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(&Limits::default(), 900_000, start);
        assert_eq!(heartbeat.next(), start + 25 * SECOND);
        assert_eq!(heartbeat.due(start + 24 * SECOND), None);
        assert_eq!(heartbeat.due(start + 25 * SECOND), Some(Due::Ping));
        assert_eq!(heartbeat.due(start + 34 * SECOND), None);
        assert_eq!(heartbeat.due(start + 35 * SECOND), Some(Due::NoPong));
        heartbeat.heard();
        assert_eq!(heartbeat.due(start + 35 * SECOND), Some(Due::Ping));
    }

    #[test]
    fn what_is_sent_puts_the_ping_off() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(&Limits::default(), 900_000, start);
        heartbeat.sent(start + 20 * SECOND);
        assert_eq!(heartbeat.next(), start + 45 * SECOND);
    }

    #[test]
    fn a_token_is_warned_of_once_then_ends_unless_renewed() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(&Limits::default(), 60_000, start);
        heartbeat.sent(start + 30 * SECOND);
        assert_eq!(heartbeat.due(start + 30 * SECOND), Some(Due::Warn));
        assert_eq!(heartbeat.due(start + 31 * SECOND), None);
        assert_eq!(heartbeat.due(start + 60 * SECOND), Some(Due::TokenEnded));
        heartbeat.renew(60_000, start + 59 * SECOND);
        assert_eq!(heartbeat.due(start + 60 * SECOND), Some(Due::Ping));
    }
}
