//! The other nodes, by when each was last heard. One that falls silent without a goodbye is dead, or alive and cut off from
//! Redis alone: then what it commits is not heard, and nobody is told.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::ids::NodeId;

/// How often a node says that it is there.
pub(super) const BEAT_EVERY: Duration = Duration::from_secs(1);
/// After how long a silence a node counts as silent: two beats may be late or lost.
const SILENT_AFTER: Duration = Duration::from_secs(3);
/// How long a silent node is minded. Past that, it is dead or will be found by the look at the log that comes anyway.
const MINDED_FOR: Duration = Duration::from_mins(2);

/// When each other node was last heard.
#[derive(Debug, Default)]
pub(super) struct Peers {
    heard: Mutex<HashMap<NodeId, Instant>>,
}

impl Peers {
    /// `node` said something.
    pub(super) fn heard(&self, node: NodeId) {
        self.heard.lock().insert(node, Instant::now());
    }

    /// `node` said that it stops.
    pub(super) fn gone(&self, node: NodeId) {
        self.heard.lock().remove(&node);
    }

    /// This node was deaf: nobody's silence counts until now.
    pub(super) fn begin_anew(&self) {
        let now = Instant::now();
        self.heard.lock().values_mut().for_each(|heard| *heard = now);
    }

    /// Whether any node is silent that may be alive.
    pub(super) fn any_is_silent(&self) -> bool {
        let mut heard = self.heard.lock();
        heard.retain(|_, last| last.elapsed() < MINDED_FOR);
        heard.values().any(|last| last.elapsed() >= SILENT_AFTER)
    }
}
