//! How a patient side speaks: as the widget's outbox does, one message under way, sent again unchanged until it is answered.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::check::Mark;

/// After such a silence the link is dead, as every client of the protocol holds: the server pings after 25 s.
pub(crate) const SILENCE: Duration = Duration::from_secs(40);

/// How a patient side behaves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patience {
    /// After about so long it goes to another node by itself.
    pub(crate) roam: Option<Duration>,
    /// What all sides together may still say without being ordered to: as fast as each is answered.
    pub(crate) quota: Option<Arc<AtomicI64>>,
    /// Conversations of other projects: nothing of them may come here.
    pub(crate) strangers: Option<Arc<Strangers>>,
    /// It wants the heads of its project, too.
    pub(crate) follows_inbox: bool,
}

/// Which project's a conversation is, for all conversations of a run.
pub(crate) type Homes = parking_lot::RwLock<HashMap<String, usize>>;

/// What one project's people may not hear of.
#[derive(Debug)]
pub(crate) struct Strangers {
    pub(crate) own: usize,
    pub(crate) homes: Arc<Homes>,
}

impl Strangers {
    pub(crate) fn is_one(&self, conversation: &str) -> bool {
        self.homes.read().get(conversation).is_some_and(|home| *home != self.own)
    }
}

/// The outbox of a patient side.
pub(crate) struct Outbox {
    pub(crate) patience: Patience,
    pub(crate) queue: VecDeque<Mark>,
    /// The server asked to wait until then.
    pub(crate) hold: Option<Instant>,
    pub(crate) leave: Option<Instant>,
    pub(crate) heard: Instant,
}

impl Outbox {
    pub(crate) fn new(patience: Patience) -> Self {
        let mut new = Self { patience, queue: VecDeque::new(), hold: None, leave: None, heard: Instant::now() };
        new.settle();
        new
    }

    /// A new session has begun.
    pub(crate) fn settle(&mut self) {
        self.heard = Instant::now();
        self.hold = None;
        // Half to one and a half: or all would leave together.
        self.leave = self.patience.roam.map(|roam| self.heard + roam.mul_f64(rand::random_range(0.5..1.5)));
    }

    /// When something is to be done, whatever comes.
    pub(crate) fn alarm(&self) -> Instant {
        [self.hold, self.leave].into_iter().flatten().fold(self.heard + SILENCE, Instant::min)
    }

    /// Whether one more may be said without an order.
    pub(crate) fn may_say_more(&self) -> bool {
        let quota = self.patience.quota.as_ref();
        self.queue.is_empty() && quota.is_some_and(|left| left.fetch_sub(1, Ordering::Relaxed) > 0)
    }
}
