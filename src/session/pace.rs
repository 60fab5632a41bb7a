//! How fast a session may ask: token buckets, and what happens to who does not slow down.

use std::time::Duration;

use tokio::time::Instant;

use crate::{config::Limits, protocol::client::Command, telemetry::refused};

/// Reads are cheaper than writes and a console opens with many at once: five to one.
const READS_PER_WRITE: u32 = 5;

/// The window in which control frames are counted.
const CONTROL_WINDOW: Duration = Duration::from_secs(10);

/// A session's budgets.
#[derive(Debug)]
pub(super) struct Pace {
    writes: Bucket,
    reads: Bucket,
    refused: u32,
    controls: u32,
    controls_since: Instant,
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

/// How fast a bucket fills, and how much it holds. Not kept in it: each session has two.
#[derive(Clone, Copy, Debug)]
struct Rate {
    per_second: u32,
    burst: u32,
}

#[derive(Debug)]
struct Bucket {
    /// Thousandths of a permit.
    level: u64,
    at: Instant,
}

impl Pace {
    pub(super) fn new(limits: &Limits, now: Instant) -> Self {
        Self {
            writes: Bucket::full(Rate::of(limits, true), now),
            reads: Bucket::full(Rate::of(limits, false), now),
            refused: 0,
            controls: 0,
            controls_since: now,
        }
    }

    /// Whether a command, which `writes` or only reads, may be carried out now.
    pub(super) fn ask(&mut self, limits: &Limits, writes: bool, now: Instant) -> Verdict {
        let bucket = if writes { &mut self.writes } else { &mut self.reads };
        match bucket.take(Rate::of(limits, writes), now) {
            Ok(()) => {
                self.refused = 0;
                Verdict::Granted
            }
            Err(retry_ms) => {
                refused("writes_per_second");
                self.refused += 1;
                if self.refused < limits.refusals_in_a_row {
                    return Verdict::Refused { retry_ms };
                }
                refused("refusals_in_a_row");
                Verdict::Exhausted
            }
        }
    }

    /// Counts a ping or pong of the WebSocket protocol; false when there were too many.
    pub(super) fn control(&mut self, limits: &Limits, now: Instant) -> bool {
        if now.duration_since(self.controls_since) > CONTROL_WINDOW {
            self.controls = 0;
            self.controls_since = now;
        }
        self.controls += 1;
        let is_granted = self.controls <= limits.control_frames_per_10s;
        if !is_granted {
            refused("control_frames_per_10s");
        }
        is_granted
    }
}

impl Rate {
    fn of(limits: &Limits, writes: bool) -> Self {
        let times = if writes { 1 } else { READS_PER_WRITE };
        let [per_second, burst] = [limits.writes_per_second, limits.write_burst].map(|per| per.saturating_mul(times));
        Self { per_second, burst }
    }
}

impl Bucket {
    fn full(rate: Rate, now: Instant) -> Self {
        Self { level: u64::from(rate.burst) * 1_000, at: now }
    }

    fn take(&mut self, rate: Rate, now: Instant) -> Result<(), u64> {
        let passed = u64::try_from(now.duration_since(self.at).as_millis()).unwrap_or(u64::MAX);
        let gained = passed.saturating_mul(rate.per_second.into());
        self.level = self.level.saturating_add(gained).min(u64::from(rate.burst) * 1_000);
        // Only what was credited: the rest of a millisecond counts the next time.
        self.at += Duration::from_millis(passed);
        if self.level >= 1_000 {
            self.level -= 1_000;
            return Ok(());
        }
        Err((1_000 - self.level).div_ceil(u64::from(rate.per_second.max(1))))
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
        let (limits, start) = (Limits::default(), Instant::now());
        let mut pace = Pace::new(&limits, start);
        for _ in 0..limits.write_burst {
            assert_eq!(pace.ask(&limits, true, start), Verdict::Granted);
        }
        assert_eq!(pace.ask(&limits, true, start), Verdict::Refused { retry_ms: 100 });
        assert_eq!(pace.ask(&limits, true, start + Duration::from_millis(100)), Verdict::Granted);
        for _ in 1..limits.refusals_in_a_row {
            assert!(matches!(pace.ask(&limits, true, start + Duration::from_millis(100)), Verdict::Refused { .. }));
        }
        assert_eq!(pace.ask(&limits, true, start + Duration::from_millis(100)), Verdict::Exhausted);
    }

    #[test]
    fn control_frames_have_a_window() {
        let (limits, start) = (Limits::default(), Instant::now());
        let mut pace = Pace::new(&limits, start);
        for _ in 0..limits.control_frames_per_10s {
            assert!(pace.control(&limits, start));
        }
        assert!(!pace.control(&limits, start));
        assert!(pace.control(&limits, start + Duration::from_secs(11)));
    }
}
