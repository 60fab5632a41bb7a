//! Where those stand who said `connect`: so many are let in at once, the others wait. First come, first served.
//!
//! Letting somebody in asks the database a few things one after the other. When thousands come back at once and all ask at once,
//! each waits there until it is refused, comes again with another TLS handshake, and makes it longer for all.

use std::{pin::pin, time::Duration};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use crate::{config::Limits, domain::access::Actor, telemetry::refused};

/// How long anybody waits: as long as Deskbell's own clients wait for the whole way in.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a turn is held. Who takes longer goes on without it: it may wait for one conversation's lock or for a database that does
/// not answer, and the others should not wait for the same.
const HELD: Duration = Duration::from_secs(2);

/// The lines. Agents have their own: they are few, and thousands of visitors are not to stand before them.
#[derive(Debug)]
pub struct Lines {
    visitors: Line,
    agents: Line,
}

impl Lines {
    /// As long as `limits` allow.
    pub fn new(limits: &Limits) -> Self {
        let line = || Line { turns: Semaphore::new(limits.greetings_at_once) };
        Self { visitors: line(), agents: line() }
    }

    pub(super) const fn of(&self, actor: &Actor) -> &Line {
        match actor {
            Actor::Agent { .. } => &self.agents,
            Actor::Visitor { .. } | Actor::Routing => &self.visitors,
        }
    }
}

/// A line.
#[derive(Debug)]
pub(super) struct Line {
    turns: Semaphore,
}

/// Whose turn it is.
pub(super) type Turn<'a> = SemaphorePermit<'a>;

impl Line {
    /// A turn, if nobody waits for one.
    pub(super) fn free(&self) -> Option<Turn<'_>> {
        self.turns.try_acquire().ok()
    }

    /// Waits for a turn; none if it did not come in time.
    pub(super) async fn turn(&self) -> Option<Turn<'_>> {
        let _waits = Waits::begin();
        // It is never closed.
        let turn = timeout(PATIENCE, self.turns.acquire()).await.ok().and_then(Result::ok);
        if turn.is_none() {
            refused("greetings_at_once");
        }
        turn
    }
}

/// Carries out `greeting`; after [`HELD`] without its turn.
pub(super) async fn take<T>(turn: Turn<'_>, greeting: impl Future<Output = T>) -> T {
    let mut greeting = pin!(greeting);
    if let Ok(done) = timeout(HELD, greeting.as_mut()).await {
        return done;
    }
    drop(turn);
    greeting.await
}

/// Somebody in a line, counted.
struct Waits;

impl Waits {
    fn begin() -> Self {
        metrics::gauge!("deskbell_greetings_waiting").increment(1.0);
        Self
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        metrics::gauge!("deskbell_greetings_waiting").decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::FutureExt as _;
    use uuid::Uuid;

    use super::*;
    use crate::{
        domain::Role,
        ids::{AgentId, VisitorId},
    };

    fn line() -> Line {
        Lines::new(&Limits { greetings_at_once: 1, ..Limits::default() }).visitors
    }

    #[tokio::test]
    async fn first_come_first_served() {
        let line = line();
        let first = line.free().unwrap();
        let (mut second, mut third) = (Box::pin(line.turn()), Box::pin(line.turn()));
        assert!(second.as_mut().now_or_never().is_none() && third.as_mut().now_or_never().is_none());
        drop(first);
        assert!(line.free().is_none(), "who comes now overtakes nobody");
        assert!(third.as_mut().now_or_never().is_none());
        let second = second.now_or_never().flatten().unwrap();
        drop(second);
        assert!(third.now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn who_leaves_keeps_nobody_back() {
        let line = line();
        let first = line.free().unwrap();
        let mut second = Box::pin(line.turn());
        assert!(second.as_mut().now_or_never().is_none());
        drop((second, first));
        assert!(line.free().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_long_goes_on_without_its_turn() {
        let line = line();
        let mut stuck = Box::pin(take(line.free().unwrap(), pending::<()>()));
        assert!(stuck.as_mut().now_or_never().is_none());
        tokio::select! {
            () = stuck => unreachable!(),
            turn = line.turn() => assert!(turn.is_some()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_does_not_move_is_left() {
        let line = line();
        let _first = line.free().unwrap();
        assert!(line.turn().await.is_none());
    }

    #[test]
    fn agents_do_not_wait_for_visitors() {
        let lines = Lines::new(&Limits { greetings_at_once: 1, ..Limits::default() });
        let agent = Actor::Agent { id: AgentId::from(Uuid::nil()), name: "Grace".to_owned(), role: Role::Agent };
        let visitor = Actor::Visitor { id: VisitorId::from(Uuid::nil()), name: None };
        let _visitor = lines.of(&visitor).free().unwrap();
        assert!(lines.of(&visitor).free().is_none());
        assert!(lines.of(&agent).free().is_some());
    }
}
