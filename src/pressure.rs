//! How near this node is to what it can bear, and what it leaves out so that chats that are there go on.
//!
//! In this order: from four fifths of a bound on, places in line are not told; at the bound, visitors who are new get no
//! session. Who has a conversation is never refused here. Each step is taken back a tenth below where it began, so that it
//! does not flicker.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::{config::Limits, telemetry};

/// From how many hundredths of a bound on places in line are left out.
const LINE_AT: u64 = 80;
/// From how many on new visitors are refused: the bound itself.
const VISITORS_AT: u64 = 100;
/// How many hundredths below its beginning a step ends.
const SLACK: u64 = 10;
/// After how long who is refused may try again, in seconds: a burst is over, or another node has room.
pub const RETRY_AFTER_S: u64 = 10;

/// The limits that may be near, in the order of [`Usage::hundredths`].
const LIMITS: [&str; 3] = ["shed_memory_bytes", "shed_open_files", "shed_commit_ms"];

/// What a node uses at one moment, or may use at most.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Memory.
    pub memory_bytes: u64,
    /// Sockets and connections.
    pub open_files: u64,
    /// How long what is being written takes.
    pub commit_ms: u64,
}

impl Usage {
    /// The bounds: as configured, or four fifths of the memory and nine tenths of the files that the system has for this
    /// program. Where it does not say, there is none.
    pub fn bounds(limits: &Limits, system: Self) -> Self {
        let chosen = |configured: u64, system: u64| match (configured, system) {
            (0, 0) => u64::MAX,
            (0, system) => system,
            (configured, _) => configured,
        };
        Self {
            memory_bytes: chosen(limits.shed_memory_bytes, system.memory_bytes / 5 * 4),
            open_files: chosen(limits.shed_open_files, system.open_files / 10 * 9),
            commit_ms: limits.shed_commit_ms,
        }
    }

    fn hundredths(self, bounds: Self) -> [u64; 3] {
        let of = |used: u64, bound: u64| used.saturating_mul(100) / bound.max(1);
        [
            of(self.memory_bytes, bounds.memory_bytes),
            of(self.open_files, bounds.open_files),
            of(self.commit_ms, bounds.commit_ms),
        ]
    }
}

/// How near this node is to its bounds.
#[derive(Debug)]
pub struct Pressure {
    bounds: Usage,
    /// The step in the low half, which of [`LIMITS`] it is for in the high one.
    state: AtomicU8,
}

impl Pressure {
    /// None yet.
    pub fn new(bounds: Usage) -> Self {
        Self { bounds, state: AtomicU8::new(0) }
    }

    /// Takes up what is used now.
    pub fn look(&self, used: Usage) {
        let hundredths = used.hundredths(self.bounds);
        let (nearest, most) = hundredths.iter().copied().enumerate().max_by_key(|(_, near)| *near).unwrap_or_default();
        let (before, _) = self.read();
        let begins = |step: u8, at: u64| most >= if before >= step { at - SLACK } else { at };
        let step = if begins(2, VISITORS_AT) { 2 } else { u8::from(begins(1, LINE_AT)) };
        let nearest = u8::try_from(nearest).unwrap_or(0);
        self.state.store(step | (nearest << 4), Ordering::Relaxed);
        metrics::gauge!("deskbell_shedding").set(step);
        if step != before {
            tracing::warn!(
                step,
                nearest_limit = LIMITS[usize::from(nearest)],
                memory_bytes = used.memory_bytes,
                open_files = used.open_files,
                commit_ms = used.commit_ms,
                "what this node leaves out changes: 0 nothing, 1 places in line, 2 new visitors, too"
            );
        }
    }

    /// Whether places in line are to be told now. One that is not is counted.
    pub fn tells_line(&self) -> bool {
        self.allows(1)
    }

    /// Whether a new visitor may come now. One that may not is counted.
    pub fn takes_visitors(&self) -> bool {
        self.allows(2)
    }

    fn allows(&self, refused_at: u8) -> bool {
        let (step, limit) = self.read();
        if step >= refused_at {
            telemetry::refused(limit);
        }
        step < refused_at
    }

    fn read(&self) -> (u8, &'static str) {
        let state = self.state.load(Ordering::Relaxed);
        (state & 0xf, LIMITS[usize::from(state >> 4).min(LIMITS.len() - 1)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_goes_first_and_new_visitors_at_the_bound() {
        let bounds = Usage { memory_bytes: 1_000, open_files: 1_000, commit_ms: 1_000 };
        let pressure = Pressure::new(bounds);
        let mut steps = Vec::new();
        for used in [0, 799, 800, 999, 1_000, 901, 899, 701, 699] {
            pressure.look(Usage { open_files: used, ..Usage::default() });
            steps.push((pressure.tells_line(), pressure.takes_visitors()));
        }
        let (all, line, none) = ((true, true), (false, true), (false, false));
        assert_eq!(steps, [all, all, line, line, none, none, line, line, all]);
        pressure.look(Usage { commit_ms: 5_000, ..Usage::default() });
        assert_eq!(pressure.read(), (2, "shed_commit_ms"));
    }

    #[test]
    fn bounds_are_the_systems_where_none_are_configured() {
        let system = Usage { memory_bytes: 1_000, open_files: 0, commit_ms: 0 };
        let bounds = Usage::bounds(&Limits { shed_commit_ms: 7, ..Limits::default() }, system);
        assert_eq!((bounds.memory_bytes, bounds.open_files, bounds.commit_ms), (800, u64::MAX, 7));
        let bounds = Usage::bounds(&Limits { shed_memory_bytes: 5, ..Limits::default() }, system);
        assert_eq!(bounds.memory_bytes, 5);
    }
}
