//! Log lines that could come thousands of times a second, said once a second.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// How long after one such line the next one may come, in milliseconds.
const EVERY: i64 = 1_000;

/// When a line was last said, in milliseconds of any clock that only goes on, and how often it was left out since.
#[derive(Debug)]
pub struct Sparing {
    latest: AtomicI64,
    left_out: AtomicU64,
}

impl Sparing {
    /// Nothing was said yet.
    pub const fn new() -> Self {
        Self { latest: AtomicI64::new(i64::MIN), left_out: AtomicU64::new(0) }
    }

    /// The line is meant again, at `ticks`. How often it was left out before, when it is to be said now.
    pub fn turn(&self, ticks: i64) -> Option<u64> {
        let latest = self.latest.load(Ordering::Relaxed);
        let is_due = latest == i64::MIN || ticks - latest >= EVERY;
        // Of those who find it due at once, one says it.
        if is_due && self.latest.compare_exchange(latest, ticks, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

impl Default for Sparing {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_a_second_that_says_how_many_there_were() {
        let sparing = Sparing::new();
        assert_eq!(sparing.turn(0), Some(0));
        assert!((1..EVERY).all(|ticks| sparing.turn(ticks).is_none()));
        assert_eq!(sparing.turn(EVERY), Some(999));
        assert_eq!(sparing.turn(EVERY + 1), None);
        assert_eq!(sparing.turn(5 * EVERY), Some(1));
    }
}
