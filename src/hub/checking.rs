//! Looking at the log where something may not have been heard: after each subscription that Redis has acknowledged, after
//! a loss, and all the time while other nodes are not heard at all.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Hub, lane_topic};
use crate::{
    bus::{Health, Topic},
    domain::{Conversation, Lane},
    ids::{ConversationId, ProjectId},
    log::HEADS,
};

/// How often the log is asked while not all other nodes are heard: what they commit is seen within two seconds.
const POLL: Duration = Duration::from_secs(1);
/// How often it is asked at any time, should a loss stay unknown to everyone.
const POLL_ALWAYS: Duration = Duration::from_secs(15);
/// Over how long the look at all conversations is spread when other nodes are heard again: all nodes look then.
const SPREAD: Duration = Duration::from_secs(2);
/// The longest pause between two queries of one look.
const LONGEST_PAUSE: Duration = Duration::from_millis(150);
/// How long to wait when the log can't be asked.
pub(super) const RETRY: Duration = Duration::from_millis(500);

/// What is to be looked at.
#[derive(Debug, Default)]
pub(super) struct Checks {
    due: Mutex<Due>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Due {
    conversations: BTreeSet<ConversationId>,
    projects: BTreeSet<ProjectId>,
}

impl Checks {
    fn add(
        &self,
        conversations: impl IntoIterator<Item = ConversationId>,
        projects: impl IntoIterator<Item = ProjectId>,
    ) {
        let mut due = self.due.lock();
        due.conversations.extend(conversations);
        due.projects.extend(projects);
        drop(due);
        self.wake.notify_one();
    }

    /// Some conversations, as many as one query takes, and how many are left.
    fn take_conversations(&self) -> (Vec<ConversationId>, usize) {
        let mut due = self.due.lock();
        let some: Vec<_> = due.conversations.iter().take(HEADS).copied().collect();
        for conversation in &some {
            due.conversations.remove(conversation);
        }
        (some, due.conversations.len())
    }

    fn take_projects(&self) -> BTreeSet<ProjectId> {
        std::mem::take(&mut self.due.lock().projects)
    }
}

impl Hub {
    /// Something on `topic` may not have been heard.
    pub(super) fn check(&self, topic: &Topic) {
        match topic {
            Topic::Thread(conversation) => self.checks.add([*conversation], []),
            Topic::Inbox(project) => self.checks.add([], [*project]),
            _ => self.check_all(),
        }
    }

    fn check_all(&self) {
        let projects = self.bus.wanted_projects();
        self.inboxes.keep(&projects);
        self.checks.add(self.presence.conversations(), projects);
    }

    /// Looks at what is due, and at everything every now and then, until the program stops.
    pub(super) fn check_in_background(self: &Arc<Self>) {
        let hub = Arc::clone(self);
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = hub.tasks.stopped() => {}
                () = hub.look_when_due() => {}
                () = hub.poll() => {}
            }
        });
    }

    async fn look_when_due(self: &Arc<Self>) {
        loop {
            self.checks.wake.notified().await;
            for project in self.checks.take_projects() {
                if let Err(error) = self.check_inbox(project).await {
                    tracing::debug!(%project, %error, "a project's heads can't be read; tried again");
                    self.checks.add([], [project]);
                    tokio::time::sleep(RETRY).await;
                }
            }
            self.look_at_conversations().await;
        }
    }

    async fn look_at_conversations(self: &Arc<Self>) {
        let mut pause = None;
        loop {
            let (some, left) = self.checks.take_conversations();
            if some.is_empty() {
                return;
            }
            match self.log.heads_of(&some).await {
                Ok(heads) => heads.iter().for_each(|head| self.compare(head)),
                Err(error) => {
                    tracing::debug!(%error, "heads can't be read; tried again");
                    self.checks.add(some.iter().copied(), []);
                    tokio::time::sleep(RETRY).await;
                }
            }
            metrics::counter!("deskbell_bus_head_checks_total").increment(some.len() as u64);
            if left > 0 && *self.bus.health().borrow() == Health::Listening {
                let queries = u32::try_from(left.div_ceil(HEADS)).unwrap_or(u32::MAX);
                tokio::time::sleep(*pause.get_or_insert_with(|| (SPREAD / queries).min(LONGEST_PAUSE))).await;
            }
        }
    }

    /// Brings those who listen to a conversation what the log has and they have not.
    pub(super) fn compare(self: &Arc<Self>, head: &Conversation) {
        for (lane, seq) in [(Lane::Thread, head.seq), (Lane::Desk, head.desk_seq)] {
            let Some(channel) = self.presence.channel(&lane_topic(head.id, lane)) else { continue };
            let gaps = channel.lock().behind(seq);
            for gap in gaps {
                self.repair((head.id, lane), &head.epoch, gap);
            }
        }
    }

    async fn poll(&self) {
        let mut health = self.bus.health();
        loop {
            let is_unsure = *health.borrow_and_update() != Health::Listening;
            if is_unsure {
                self.check_all();
            }
            let wait = if is_unsure { POLL } else { POLL_ALWAYS };
            tokio::select! {
                biased;
                changed = health.changed() => if changed.is_err() { return std::future::pending().await },
                () = tokio::time::sleep(wait) => if !is_unsure { self.check_all() },
            }
        }
    }
}
