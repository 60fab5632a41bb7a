//! When nothing moves: a step begins only when all that the one before set off has come to an end.
//!
//! Everything runs on one thread, but for the database, which has threads of its own. So each question to it waits until
//! it is let through, one at a time, by the one who throws the dice; and he acts only when no task has anything to do.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use deskbell::log::{Passing, Turnstile};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

/// Says when the runtime has nothing to do.
#[derive(Default)]
pub(super) struct Rest {
    is_asked: AtomicBool,
    parked: Notify,
}

impl Rest {
    /// To be called when the runtime's thread is about to sleep.
    pub(super) fn parks(&self) {
        if self.is_asked.swap(false, Ordering::Relaxed) {
            self.parked.notify_one();
        }
    }

    async fn come(&self) {
        self.is_asked.store(true, Ordering::Relaxed);
        self.parked.notified().await;
    }
}

/// What nodes want to ask the database.
#[derive(Default)]
pub(super) struct Questions {
    state: Mutex<State>,
    answered: Notify,
}

#[derive(Default)]
struct State {
    waiting: Vec<Question>,
    dead: BTreeSet<usize>,
    busy: usize,
}

struct Question {
    node: usize,
    what: &'static str,
    go: oneshot::Sender<Box<dyn Send>>,
}

impl Questions {
    /// Waits until no task has anything to do, and the database neither.
    pub(super) async fn rest(&self, rest: &Rest) {
        loop {
            rest.come().await;
            if self.state.lock().busy == 0 {
                return;
            }
            self.answered.notified().await;
        }
    }

    /// Who waits, and what for.
    pub(super) fn waiting(&self) -> Vec<(usize, &'static str)> {
        let mut state = self.state.lock();
        // Who was dropped meanwhile asks nothing any more.
        state.waiting.retain(|question| !question.go.is_closed());
        state.waiting.iter().map(|question| (question.node, question.what)).collect()
    }

    /// Lets one through, by its place among [`Questions::waiting`].
    pub(super) fn allow(self: &Arc<Self>, place: usize) {
        let mut state = self.state.lock();
        let question = state.waiting.remove(place);
        state.busy += 1;
        drop(state);
        drop(question.go.send(Box::new(Passed(Arc::clone(self)))));
    }

    /// A node is dead: it asks nothing any more, and hears no answer.
    pub(super) fn kill(&self, node: usize) {
        let mut state = self.state.lock();
        state.dead.insert(node);
        state.waiting.retain(|question| question.node != node);
    }

    /// What the log of `node` waits at.
    pub(super) fn of(self: &Arc<Self>, node: usize) -> Arc<dyn Turnstile> {
        Arc::new(Asker { questions: Arc::clone(self), node })
    }
}

struct Asker {
    questions: Arc<Questions>,
    node: usize,
}

impl Turnstile for Asker {
    fn pass(&self, what: &'static str) -> Passing {
        let (go, word) = oneshot::channel();
        let mut state = self.questions.state.lock();
        if !state.dead.contains(&self.node) {
            state.waiting.push(Question { node: self.node, what, go });
        }
        drop(state);
        Box::pin(async move {
            match word.await {
                Ok(passed) => passed,
                // The node is dead.
                Err(_) => std::future::pending().await,
            }
        })
    }
}

/// Held while the database answers.
struct Passed(Arc<Questions>);

impl Drop for Passed {
    fn drop(&mut self) {
        self.0.state.lock().busy -= 1;
        self.0.answered.notify_one();
    }
}
