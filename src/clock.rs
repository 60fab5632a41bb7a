//! Time, injected: the only file that reads the system's clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// Milliseconds since the Unix epoch, UTC: the unit of every time on the wire and in the database.
pub type Millis = i64;

/// A source of the present time. Cheap to clone.
///
/// It never runs backwards: where the system's clock is set back, it stands still until the system has caught up, so that
/// entries of a conversation keep times in the order of their sequence and a token does not come back to life.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    latest: Arc<AtomicI64>,
}

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self { source: Source::System, latest: Arc::default() }
    }

    /// A clock that stands at `start` until [`Clock::set`] moves it. For simulation and tests.
    pub fn manual(start: Millis) -> Self {
        Self { source: Source::Manual(Arc::new(AtomicI64::new(start))), latest: Arc::default() }
    }

    /// The present, in milliseconds since the Unix epoch; never less than what an earlier call returned.
    pub fn now(&self) -> Millis {
        let reading = match &self.source {
            Source::System => system_millis(),
            Source::Manual(at) => at.load(Ordering::Relaxed),
        };
        self.latest.fetch_max(reading, Ordering::Relaxed).max(reading)
    }

    /// Moves a manual clock, forwards or backwards; the system's clock is left alone.
    pub fn set(&self, at: Millis) {
        if let Source::Manual(current) = &self.source {
            current.store(at, Ordering::Relaxed);
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
}
