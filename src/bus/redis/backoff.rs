//! How long to wait before the next try.

use std::time::Duration;

use tokio::sync::Notify;

/// The longest first wait.
const FIRST: Duration = Duration::from_millis(50);
/// The longest wait at all. The bus is to be whole within 5 s of Redis being back: 2 s of waiting, a connection, and the
/// look at the log.
const LONGEST: Duration = Duration::from_secs(2);

/// Full jitter: each wait is between nothing and a limit that doubles, so that nodes do not come back all at once.
#[derive(Debug)]
pub(super) struct Backoff {
    limit: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { limit: FIRST }
    }
}

impl Backoff {
    /// Waits; shorter when `sooner` says that the other connection got through.
    pub(super) async fn wait(&mut self, sooner: &Notify) {
        let wait = self.limit.mul_f64(rand::random::<f64>());
        self.limit = (self.limit * 2).min(LONGEST);
        drop(tokio::time::timeout(wait, sooner.notified()).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_grow_to_the_longest_and_no_further() {
        let (mut backoff, never) = (Backoff::default(), Notify::new());
        for limit_ms in [50, 100, 200, 400, 800, 1_600, 2_000, 2_000] {
            let begun = tokio::time::Instant::now();
            backoff.wait(&never).await;
            assert!(begun.elapsed() <= Duration::from_millis(limit_ms + 1), "{:?}", begun.elapsed());
        }
    }
}
