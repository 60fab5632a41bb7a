//! Where those stand who said `connect`: so many are let in at once, the others wait. First come, first served.
//!
//! Letting somebody in asks the database a few things one after the other. When thousands come back at once and all ask at once,
//! each waits there until it is refused, comes again with another TLS handshake, and makes it longer for all.

use std::{
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};

use crate::{config::Limits, domain::access::Actor, telemetry::refused};

/// How long anybody waits: as long as Deskbell's own clients wait for the whole way in.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a turn is held. Who takes longer goes on without it: it may wait for one conversation's lock or for a database that does
/// not answer, and the others should not wait for the same.
const HELD: Duration = Duration::from_secs(2);
/// With so many visitors in line, those who come wait before their TLS handshake.
const CROWD: usize = 64;
/// How long they wait there at the most.
const HELD_BACK: Duration = Duration::from_secs(5);
/// For how long after somebody went on without its turn nobody is held back: it is not the crowd that the line stands for.
const STUCK: Duration = Duration::from_secs(5);

/// The lines. Agents have their own: they are few, and thousands of visitors are not to stand before them.
#[derive(Debug)]
pub struct Lines {
    visitors: Line,
    agents: Line,
}

impl Lines {
    /// As long as `limits` allow.
    pub fn new(limits: &Limits) -> Self {
        let line = || Line {
            turns: Semaphore::new(limits.greetings_at_once),
            waiting: AtomicUsize::new(0),
            shorter: Notify::new(),
            stuck_at: Mutex::new(None),
        };
        Self { visitors: line(), agents: line() }
    }

    /// Returns when there is no crowd in the visitors' line, or after 5 s. Who leaves the line has had its TLS handshake, most of
    /// the work, for nothing, and comes for another: it had better wait before it.
    pub async fn no_crowd(&self) {
        drop(timeout(HELD_BACK, self.visitors.no_crowd()).await);
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
    waiting: AtomicUsize,
    /// Told when there is no crowd any more.
    shorter: Notify,
    /// When somebody went on without its turn, last.
    stuck_at: Mutex<Option<Instant>>,
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
        let _waits = Waits::begin(self);
        // It is never closed.
        let turn = timeout(PATIENCE, self.turns.acquire()).await.ok().and_then(Result::ok);
        if turn.is_none() {
            refused("greetings_at_once");
        }
        turn
    }

    /// Carries out `greeting`; after [`HELD`] without its turn.
    pub(super) async fn take<T>(&self, turn: Turn<'_>, greeting: impl Future<Output = T>) -> T {
        let mut greeting = pin!(greeting);
        if let Ok(done) = timeout(HELD, greeting.as_mut()).await {
            return done;
        }
        drop(turn);
        *self.stuck_at.lock() = Some(Instant::now());
        self.shorter.notify_waiters();
        greeting.await
    }

    async fn no_crowd(&self) {
        loop {
            let mut shorter = pin!(self.shorter.notified());
            // From now on no word is missed.
            shorter.as_mut().enable();
            if !self.is_crowded() {
                return;
            }
            shorter.await;
        }
    }

    fn is_crowded(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) >= CROWD && self.stuck_at.lock().is_none_or(|at| at.elapsed() > STUCK)
    }
}

/// Somebody in a line, counted.
struct Waits<'a>(&'a Line);

impl<'a> Waits<'a> {
    fn begin(line: &'a Line) -> Self {
        line.waiting.fetch_add(1, Ordering::Relaxed);
        metrics::gauge!("deskbell_greetings_waiting").increment(1.0);
        Self(line)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        metrics::gauge!("deskbell_greetings_waiting").decrement(1.0);
        if self.0.waiting.fetch_sub(1, Ordering::Relaxed) == CROWD {
            self.0.shorter.notify_waiters();
        }
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
        let mut stuck = Box::pin(line.take(line.free().unwrap(), pending::<()>()));
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

    /// A line of one turn, which is taken, with a crowd behind it.
    fn crowded(line: &Line) -> (Turn<'_>, Vec<std::pin::Pin<Box<impl Future<Output = Option<Turn<'_>>>>>>) {
        let first = line.free().unwrap();
        let mut crowd: Vec<_> = (0..CROWD).map(|_| Box::pin(line.turn())).collect();
        assert!(crowd.iter_mut().all(|one| one.now_or_never().is_none()));
        (first, crowd)
    }

    #[tokio::test]
    async fn who_comes_waits_for_the_crowd() {
        let line = line();
        assert!(line.no_crowd().now_or_never().is_some());
        let (_first, mut crowd) = crowded(&line);
        let mut comes = Box::pin(line.no_crowd());
        assert!(comes.as_mut().now_or_never().is_none());
        crowd.pop();
        assert!(comes.now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_does_not_wait_for_ever() {
        let lines = Lines::new(&Limits { greetings_at_once: 1, ..Limits::default() });
        let _crowd = crowded(&lines.visitors);
        lines.no_crowd().await;
    }

    /// A database that does not answer is no crowd: more handshakes do not make it worse.
    #[tokio::test(start_paused = true)]
    async fn who_comes_does_not_wait_for_those_who_are_stuck() {
        let line = line();
        let (first, _crowd) = crowded(&line);
        let (begun, stuck) = (Instant::now(), line.take(first, pending::<()>()));
        tokio::select! {
            () = stuck => unreachable!(),
            () = line.no_crowd() => assert_eq!(begun.elapsed().as_secs(), HELD.as_secs()),
        }
        assert!(line.no_crowd().now_or_never().is_some());
        tokio::time::advance(STUCK + Duration::from_secs(1)).await;
        assert!(line.no_crowd().now_or_never().is_none());
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
