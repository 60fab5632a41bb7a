//! Whose turn it is to shake hands: so many at once, and of each address so many of them.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{error::Elapsed, timeout},
};

use crate::{config::Limits, telemetry};

/// How long somebody waits for a turn: as long as Deskbell's own clients wait for the whole way in. Ten thousand who come back at
/// once stand in line for some seconds; who is sent away from it comes again, and makes it longer.
const IN_LINE: Duration = Duration::from_secs(15);

/// The turns of TLS handshakes.
#[derive(Debug)]
pub(super) struct Turns {
    all: Semaphore,
    each: usize,
    lines: Mutex<HashMap<IpAddr, Arc<Semaphore>>>,
}

/// The line of one address; forgotten when nobody stands in it.
struct Line<'a> {
    turns: &'a Turns,
    address: IpAddr,
    turns_left: Arc<Semaphore>,
}

impl Turns {
    pub(super) fn new(limits: &Limits) -> Self {
        let all = Semaphore::new(limits.handshakes_at_once);
        Self { all, each: limits.handshakes_per_address, lines: Mutex::default() }
    }

    /// Carries out `handshake` when it is its turn: first among those of its address, then among all, so that a crowd from
    /// one address waits for itself. One without an address waits among all only. An error when the turn did not come in time.
    pub(super) async fn take<T>(
        &self,
        address: Option<IpAddr>,
        handshake: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        let line = address.map(|address| self.line(address));
        let in_line = async {
            let share = match &line {
                Some(line) => wait(&line.turns_left, "handshakes_per_address").await,
                None => None,
            };
            (wait(&self.all, "handshakes_at_once").await, share)
        };
        let turn = timeout(IN_LINE, in_line).await?;
        let done = handshake.await;
        drop(turn);
        Ok(done)
    }

    fn line(&self, address: IpAddr) -> Line<'_> {
        let mut lines = self.lines.lock();
        let line = lines.entry(address).or_insert_with(|| Arc::new(Semaphore::new(self.each)));
        Line { turns: self, address, turns_left: Arc::clone(line) }
    }
}

/// Waits in a line; counts who has to. The line is never closed, so there is always a turn in the end.
async fn wait<'a>(line: &'a Semaphore, limit: &'static str) -> Option<SemaphorePermit<'a>> {
    if let Ok(turn) = line.try_acquire() {
        return Some(turn);
    }
    telemetry::refused(limit);
    line.acquire().await.ok()
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let mut lines = self.turns.lines.lock();
        // The map's and this one: whoever joins takes its own under the same lock.
        if Arc::strong_count(&self.turns_left) == 2 {
            lines.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_crowd_from_one_address_waits_for_itself() {
        let turns = Turns::new(&Limits { handshakes_at_once: 3, handshakes_per_address: 2, ..Limits::default() });
        let [here, there] = ["203.0.113.9", "203.0.113.10"].map(|text| text.parse::<IpAddr>().ok());
        let mut slow: Vec<_> = (0..5).map(|_| Box::pin(turns.take(here, pending::<()>()))).collect();
        assert!(slow.iter_mut().all(|one| one.now_or_never().is_none()));
        assert_eq!(turns.take(there, async { 1 }).now_or_never(), Some(Ok(1)));
        assert_eq!(turns.take(here, async { 1 }).now_or_never(), None);
        drop(slow);
        assert_eq!((turns.lines.lock().len(), turns.all.available_permits()), (0, 3), "nothing is left behind");
        assert_eq!(turns.take(here, async { 1 }).now_or_never(), Some(Ok(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_does_not_move_is_left() {
        let turns = Turns::new(&Limits { handshakes_at_once: 1, ..Limits::default() });
        let mut slow = Box::pin(turns.take(None, pending::<()>()));
        assert!(slow.as_mut().now_or_never().is_none());
        assert!(turns.take(None, async {}).await.is_err());
    }
}
