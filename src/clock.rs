//! Time, injected: the only file that reads the system's clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;

/// Milliseconds since the Unix epoch, UTC: the unit of every time on the wire and in the database.
pub type Millis = i64;

/// A source of the present time. Cheap to clone.
///
/// Two hands: [`Clock::now`] says when something happened, [`Clock::ticks`] how long something took. The first follows the
/// system's clock, which an operator or a time server may set; the second can't be set.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    lead: Arc<Mutex<Lead>>,
}

#[derive(Clone, Debug)]
enum Source {
    System { begun: Instant },
    Manual(Arc<AtomicI64>),
}

/// The furthest reading of the system's clock so far, and when it was read.
#[derive(Clone, Copy, Debug, Default)]
struct Lead {
    at: Millis,
    ticks: Millis,
}

impl Lead {
    /// The present, when the system's clock shows `reading`.
    fn follow(&mut self, reading: Millis, ticks: Millis) -> Millis {
        let floor = self.at + (ticks - self.ticks).max(0) / 2;
        if reading < floor {
            return floor;
        }
        *self = Self { at: reading, ticks };
        reading
    }
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self { source: Source::System { begun: Instant::now() }, lead: Arc::default() }
    }

    /// A clock that stands at `start` until [`Clock::set`] moves it, both of its hands. For simulation and tests.
    pub fn manual(start: Millis) -> Self {
        Self { source: Source::Manual(Arc::new(AtomicI64::new(start))), lead: Arc::default() }
    }

    /// The present, in milliseconds since the Unix epoch; never less than what an earlier call returned.
    ///
    /// Where the system's clock is set back, this one goes on at half its speed until the system has caught up: entries
    /// keep times in the order of their sequence, and tokens run out all the same, at most twice as late. One that stood
    /// still meanwhile would honour a token for as long as the clock was set back.
    pub fn now(&self) -> Millis {
        // Read under the lock: who asks later is not told less.
        let mut lead = self.lead.lock();
        lead.follow(self.reading(), self.ticks())
    }

    /// Milliseconds since the clock was made, for what is measured: setting the system's clock does not change it.
    pub fn ticks(&self) -> Millis {
        match &self.source {
            Source::System { begun } => Millis::try_from(begun.elapsed().as_millis()).unwrap_or(Millis::MAX),
            Source::Manual(at) => at.load(Ordering::Relaxed),
        }
    }

    /// Moves a manual clock, forwards or backwards; the system's clock is left alone.
    pub fn set(&self, at: Millis) {
        if let Source::Manual(current) = &self.source {
            current.store(at, Ordering::Relaxed);
        }
    }

    fn reading(&self) -> Millis {
        match &self.source {
            Source::System { .. } => system_millis(),
            Source::Manual(at) => at.load(Ordering::Relaxed),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that may read the system's clock")]
fn system_millis() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_back_it_stands_still() {
        let clock = Clock::manual(1_000);
        assert_eq!(clock.now(), 1_000);
        clock.set(400);
        assert_eq!(clock.now(), 1_000);
        clock.set(1_001);
        assert_eq!(clock.now(), 1_001);
    }

    #[test]
    fn set_back_an_hour_it_goes_on_slowly_until_the_system_has_caught_up() {
        const HOUR: Millis = 3_600_000;
        let mut lead = Lead::default();
        assert_eq!(lead.follow(10 * HOUR, 0), 10 * HOUR);
        assert_eq!(lead.follow(9 * HOUR, 0), 10 * HOUR);
        assert_eq!(lead.follow(9 * HOUR + 60_000, 60_000), 10 * HOUR + 30_000, "half the speed");
        assert_eq!(lead.follow(10 * HOUR + 50_000, 90_000), 10 * HOUR + 50_000, "set forward again");
        assert_eq!(lead.follow(9 * HOUR, 90_000), 10 * HOUR + 50_000);
        let caught_up = 90_000 + 2 * HOUR + 100_000;
        assert_eq!(lead.follow(11 * HOUR + 100_000, caught_up), 11 * HOUR + 100_000, "after twice as long");
    }

    #[test]
    fn what_is_measured_does_not_depend_on_the_wall() {
        let clock = Clock::system();
        let before = clock.ticks();
        assert!((0..60_000).contains(&before) && clock.ticks() >= before && clock.now() > before);
    }
}
