//! The command that a session is carrying out.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context as Wake, Poll},
};

use futures_util::FutureExt as _;
use tokio::sync::oneshot;

use super::commands::{Carrying, Outcome};
use crate::{protocol::close::CloseCode, tasks::Tasks};

/// A command being carried out. The session's own task does it, which costs no task and no waking of its own. When the
/// session has to wait for its socket, or ends before it, a task of its own finishes it: it lets go of its conversation,
/// and what was committed is published, whatever becomes of who wrote it.
pub(super) struct Work {
    tasks: Tasks,
    place: Place,
}

enum Place {
    /// Here.
    Own(Carrying),
    /// In a task of its own.
    Task(oneshot::Receiver<Outcome>),
    Done,
}

impl Work {
    /// Takes up `work`; nothing of it is done until somebody waits for its outcome. One that panics ends its session.
    pub(super) fn new(tasks: &Tasks, work: Carrying) -> Self {
        Self { tasks: tasks.clone(), place: Place::Own(work) }
    }

    /// Goes on with it where it waits for nobody.
    pub(super) fn hand_over(&mut self) {
        match std::mem::replace(&mut self.place, Place::Done) {
            Place::Own(work) => {
                let (tell, outcome) = oneshot::channel();
                let work = AssertUnwindSafe(work).catch_unwind().map(or_end);
                self.tasks.spawn(work.map(|outcome| drop(tell.send(outcome))));
                self.place = Place::Task(outcome);
            }
            elsewhere => self.place = elsewhere,
        }
    }

    /// Carries it out until it waits for something itself.
    pub(super) fn poll_outcome(&mut self, wake: &mut Wake<'_>) -> Poll<Outcome> {
        let outcome = match &mut self.place {
            Place::Own(work) => catch_unwind(AssertUnwindSafe(|| work.poll_unpin(wake)))
                .unwrap_or(Poll::Ready(Outcome::End(CloseCode::ServerError))),
            Place::Task(outcome) => outcome.poll_unpin(wake).map(or_end),
            Place::Done => Poll::Pending,
        };
        if outcome.is_ready() {
            self.place = Place::Done;
        }
        outcome
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.hand_over();
    }
}

fn or_end<E>(outcome: Result<Outcome, E>) -> Outcome {
    outcome.unwrap_or(Outcome::End(CloseCode::ServerError))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Notify;

    use super::*;
    use crate::protocol::server::{Done, Reply};

    fn done() -> Outcome {
        Outcome::Reply(Reply::Done(Done {}))
    }

    async fn outcome(work: &mut Work) -> Outcome {
        std::future::poll_fn(|wake| work.poll_outcome(wake)).await
    }

    /// Work that says when it has been begun, waits for the word to go on, and says when it is done.
    fn slow(tasks: &Tasks) -> (Work, [Arc<Notify>; 3]) {
        let signals: [Arc<Notify>; 3] = std::array::from_fn(|_| Arc::default());
        let [begun, go_on, ended] = signals.clone();
        let work = async move {
            begun.notify_one();
            go_on.notified().await;
            ended.notify_one();
            done()
        };
        (Work::new(tasks, Box::pin(work)), signals)
    }

    #[tokio::test]
    async fn it_is_carried_out_by_who_waits_for_it() {
        let tasks = Tasks::new();
        let (mut work, [_, go_on, _]) = slow(&tasks);
        go_on.notify_one();
        assert!(matches!(outcome(&mut work).await, Outcome::Reply(_)));
        assert_eq!(tasks.count(), 0);
    }

    #[tokio::test]
    async fn handed_over_it_goes_on_and_its_outcome_is_still_told() {
        let tasks = Tasks::new();
        let (mut work, [begun, go_on, ended]) = slow(&tasks);
        assert!(outcome(&mut work).now_or_never().is_none());
        begun.notified().await;
        work.hand_over();
        go_on.notify_one();
        ended.notified().await;
        assert!(matches!(outcome(&mut work).await, Outcome::Reply(_)));
    }

    #[tokio::test]
    async fn it_is_finished_when_nobody_waits_any_more() {
        let tasks = Tasks::new();
        let (mut work, [_, go_on, ended]) = slow(&tasks);
        assert!(outcome(&mut work).now_or_never().is_none());
        drop(work);
        go_on.notify_one();
        ended.notified().await;
    }

    #[tokio::test]
    async fn one_that_panics_ends_the_session() {
        let mut work = Work::new(&Tasks::new(), Box::pin(async { panic!("as the test wants it") }));
        assert!(matches!(outcome(&mut work).await, Outcome::End(CloseCode::ServerError)));
    }
}
