//! How fast a session may ask: token buckets, and what happens to who does not slow down.

use crate::{
    clock::Millis,
    config::Limits,
    protocol::client::Command,
    rate::{Bucket, Rate},
    telemetry::refused,
};

/// Reads are cheaper than writes and a console opens with many at once: five to one.
const READS_PER_WRITE: u32 = 5;

/// The window in which control frames are counted.
const CONTROL_WINDOW_MS: Millis = 10_000;

/// A session's budgets.
#[derive(Debug, Default)]
pub(super) struct Pace {
    writes: Bucket,
    reads: Bucket,
    controls_since: Millis,
    controls: u32,
    refused: u32,
}

/// The answer to one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Go on.
    Granted,
    /// Not now.
    Refused {
        /// When it will be granted.
        retry_ms: u64,
    },
    /// Refused so often that the session ends.
    Exhausted,
}

impl Pace {
    /// Whether a command, which `writes` or only reads, may be carried out now, by [`crate::clock::Clock::ticks`].
    pub(super) fn ask(&mut self, limits: &Limits, writes: bool, now: Millis) -> Verdict {
        let (bucket, times) = if writes { (&mut self.writes, 1) } else { (&mut self.reads, READS_PER_WRITE) };
        let [per_second, burst] = [limits.writes_per_second, limits.write_burst].map(|per| per.saturating_mul(times));
        let Err(retry_ms) = bucket.take(Rate::new(per_second, 1_000, burst), now) else {
            self.refused = 0;
            return Verdict::Granted;
        };
        refused("writes_per_second");
        self.refused += 1;
        if self.refused < limits.refusals_in_a_row {
            return Verdict::Refused { retry_ms: retry_ms.unsigned_abs() };
        }
        refused("refusals_in_a_row");
        Verdict::Exhausted
    }

    /// Counts a ping or pong of the WebSocket protocol; false when there were too many.
    pub(super) fn control(&mut self, limits: &Limits, now: Millis) -> bool {
        if now - self.controls_since > CONTROL_WINDOW_MS {
            (self.controls, self.controls_since) = (0, now);
        }
        self.controls += 1;
        let is_granted = self.controls <= limits.control_frames_per_10s;
        if !is_granted {
            refused("control_frames_per_10s");
        }
        is_granted
    }
}

/// Whether `command` makes the log grow or moves a conversation.
pub(super) const fn is_write(command: &Command) -> bool {
    matches!(
        command,
        Command::Open(_)
            | Command::Send(_)
            | Command::Note(_)
            | Command::Close(_)
            | Command::Rate(_)
            | Command::Page(_)
            | Command::Assign(_)
            | Command::Ban(_)
            | Command::Availability(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate_then_the_end() {
        let (limits, mut pace, start) = (Limits::default(), Pace::default(), 60_000);
        for _ in 0..limits.write_burst {
            assert_eq!(pace.ask(&limits, true, start), Verdict::Granted);
        }
        assert_eq!(pace.ask(&limits, true, start), Verdict::Refused { retry_ms: 100 });
        assert_eq!(pace.ask(&limits, false, start), Verdict::Granted, "reads have a budget of their own");
        assert_eq!(pace.ask(&limits, true, start + 100), Verdict::Granted);
        for _ in 1..limits.refusals_in_a_row {
            assert!(matches!(pace.ask(&limits, true, start + 100), Verdict::Refused { .. }));
        }
        assert_eq!(pace.ask(&limits, true, start + 100), Verdict::Exhausted);
    }

    #[test]
    fn control_frames_have_a_window() {
        let (limits, mut pace, start) = (Limits::default(), Pace::default(), 60_000);
        for _ in 0..limits.control_frames_per_10s {
            assert!(pace.control(&limits, start));
        }
        assert!(!pace.control(&limits, start));
        assert!(pace.control(&limits, start + 11_000));
    }
}
