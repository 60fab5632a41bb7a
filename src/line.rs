//! A line to stand in: so many have their turn at once, the others wait. First come, first served.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::telemetry;

/// How long somebody stands in a line on the way in: as long as Deskbell's own clients wait for the whole way. Ten thousand who
/// come back at once stand there for some seconds; who is sent away comes again, with another handshake, and makes it longer.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// A line.
#[derive(Debug)]
pub struct Line {
    turns: Semaphore,
    /// The limit that makes people wait here.
    limit: &'static str,
}

impl Line {
    /// A line in which `turns` have their turn at once, as `limit` says.
    pub fn new(turns: usize, limit: &'static str) -> Self {
        Self { turns: Semaphore::new(turns), limit }
    }

    /// Waits for a turn, which ends when it is dropped; counts who has to wait.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        if self.turns.available_permits() == 0 {
            telemetry::refused(self.limit);
        }
        // The line is never closed, so there is always a turn in the end.
        self.turns.acquire().await.ok()
    }

    /// How many more might have their turn now.
    pub fn free(&self) -> usize {
        self.turns.available_permits()
    }
}
