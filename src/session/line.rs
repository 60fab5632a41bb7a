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

use crate::{
    config::Limits,
    domain::access::Actor,
    telemetry::{Counted, hot, refused},
};

/// How long anybody waits: as long as Deskbell's own clients wait for the whole way in.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a turn is held. Who takes longer goes on without it: it may wait for one conversation's lock or for a database that does
/// not answer, and the others should not wait for the same.
const HELD: Duration = Duration::from_secs(2);
/// With so many visitors in line for each turn, those who come wait before their TLS handshake.
const CROWD: usize = 2;
/// How long they wait there at the most.
const HELD_BACK: Duration = Duration::from_secs(2);
/// A line in which nobody was let in for so long does not stand because of the crowd: nobody is held back by it.
const STANDS_STILL: Duration = Duration::from_secs(1);

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
            crowd: limits.greetings_at_once.saturating_mul(CROWD),
            shorter: Notify::new(),
            moved_at: Mutex::new(None),
        };
        Self { visitors: line(), agents: line() }
    }

    /// Returns when there is no crowd in the visitors' line, or after 2 s. Who leaves the line has had its TLS handshake, most of
    /// the work, for nothing, and comes for another: it had better wait before it.
    pub async fn no_crowd(&self) {
        if !self.visitors.is_crowded() {
            return;
        }
        let _counted = Counted::by(&hot::HANDSHAKES_HELD_BACK);
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
    /// So many waiting are a crowd.
    crowd: usize,
    /// Told when there is no crowd any more.
    shorter: Notify,
    /// When somebody was let in within its turn, last.
    moved_at: Mutex<Option<Instant>>,
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
            *self.moved_at.lock() = Some(Instant::now());
            return done;
        }
        drop(turn);
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
        self.waiting.load(Ordering::Relaxed) >= self.crowd
            && self.moved_at.lock().is_some_and(|at| at.elapsed() < STANDS_STILL)
    }
}

/// Somebody in a line.
struct Waits<'a> {
    line: &'a Line,
    _counted: Counted,
}

impl<'a> Waits<'a> {
    fn begin(line: &'a Line) -> Self {
        line.waiting.fetch_add(1, Ordering::Relaxed);
        Self { line, _counted: Counted::by(&hot::GREETINGS_WAITING) }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if self.line.waiting.fetch_sub(1, Ordering::Relaxed) == self.line.crowd {
            self.line.shorter.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::{FutureExt as _, future::BoxFuture};
    use uuid::Uuid;

    use super::*;
    use crate::{
        domain::Role,
        ids::{AgentId, VisitorId},
    };

    fn of(greetings_at_once: usize) -> Lines {
        Lines::new(&Limits { greetings_at_once, ..Limits::default() })
    }

    fn line() -> Line {
        of(1).visitors
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

    /// Two turns, both taken, and as many behind them as are a crowd.
    fn crowd(line: &Line) -> (Vec<Turn<'_>>, Vec<BoxFuture<'_, Option<Turn<'_>>>>) {
        let turns = vec![line.free().unwrap(), line.free().unwrap()];
        let mut crowd: Vec<_> = (0..line.crowd).map(|_| line.turn().boxed()).collect();
        assert!(crowd.iter_mut().all(|one| one.now_or_never().is_none()));
        (turns, crowd)
    }

    /// One has its turn, is let in, and the next has it.
    async fn moves<'a>(line: &'a Line, turns: &mut Vec<Turn<'a>>) {
        line.take(turns.pop().unwrap(), async {}).await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_waits_for_the_crowd() {
        let lines = of(2);
        let (mut turns, mut crowd) = crowd(&lines.visitors);
        moves(&lines.visitors, &mut turns).await;
        let mut comes = Box::pin(lines.no_crowd());
        assert!(comes.as_mut().now_or_never().is_none(), "one is stuck, the others move on");
        crowd.pop();
        assert!(comes.now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_does_not_wait_for_ever() {
        let lines = of(2);
        let (mut turns, _crowd) = crowd(&lines.visitors);
        moves(&lines.visitors, &mut turns).await;
        let begun = Instant::now();
        lines.no_crowd().await;
        assert_eq!(begun.elapsed(), HELD_BACK);
    }

    /// A database that does not answer is no crowd: more handshakes do not make it worse.
    #[tokio::test(start_paused = true)]
    async fn who_comes_does_not_wait_where_nobody_is_let_in() {
        let lines = of(2);
        let (mut turns, _crowd) = crowd(&lines.visitors);
        assert!(lines.no_crowd().now_or_never().is_some());
        moves(&lines.visitors, &mut turns).await;
        tokio::time::advance(STANDS_STILL).await;
        assert!(lines.no_crowd().now_or_never().is_some());
    }

    #[test]
    fn agents_do_not_wait_for_visitors() {
        let lines = of(1);
        let agent = Actor::Agent { id: AgentId::from(Uuid::nil()), name: "Grace".to_owned(), role: Role::Agent };
        let visitor = Actor::Visitor { id: VisitorId::from(Uuid::nil()), name: None };
        let _visitor = lines.of(&visitor).free().unwrap();
        assert!(lines.of(&visitor).free().is_none());
        assert!(lines.of(&agent).free().is_some());
    }
}
