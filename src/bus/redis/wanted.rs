//! Which channels this node wants to hear, counted; and which of them changed since the subscriber looked.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::bus::channel::Channel;
use crate::ids::ProjectId;

/// The channels that are wanted.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    counts: HashMap<Channel, u32>,
    changed: HashSet<Channel>,
}

impl Wanted {
    /// One more wants `channel`.
    pub(super) fn add(&self, channel: Channel) {
        let mut state = self.state.lock();
        let count = state.counts.entry(channel).or_default();
        *count += 1;
        if *count == 1 {
            state.changed.insert(channel);
            drop(state);
            self.changed.notify_one();
        }
    }

    /// One less wants `channel`.
    pub(super) fn remove(&self, channel: Channel) {
        let mut state = self.state.lock();
        let Some(count) = state.counts.get_mut(&channel) else { return };
        *count -= 1;
        if *count == 0 {
            state.counts.remove(&channel);
            state.changed.insert(channel);
            drop(state);
            self.changed.notify_one();
        }
    }

    pub(super) fn contains(&self, channel: Channel) -> bool {
        self.state.lock().counts.contains_key(&channel)
    }

    /// The projects among the channels.
    pub(super) fn projects(&self) -> HashSet<ProjectId> {
        let project = |channel: &Channel| match channel {
            Channel::Project(project) => Some(*project),
            _ => None,
        };
        self.state.lock().counts.keys().filter_map(project).collect()
    }

    /// Returns when something may have changed. Cancel-safe.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The channels that became wanted or unwanted, perhaps both, since the last time.
    pub(super) fn take_changed(&self) -> HashSet<Channel> {
        std::mem::take(&mut self.state.lock().changed)
    }

    /// All channels that are wanted now; nothing counts as changed any more.
    pub(super) fn take_all(&self) -> Vec<Channel> {
        let mut state = self.state.lock();
        state.changed.clear();
        state.counts.keys().copied().collect()
    }
}
