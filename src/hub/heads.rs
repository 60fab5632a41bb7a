//! Heads that changed, gathered for a moment: an inbox wants a conversation's newest state, not each one in between.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::{Hub, outbox::StateOf};
use crate::{
    bus::Topic,
    domain::Conversation,
    ids::{ConversationId, ProjectId},
    protocol::server::{Head, InboxUpdate, ServerFrame},
};

/// How long changes gather: below what a person notices, and a hundred messages in it cost one push.
const GATHER: Duration = Duration::from_millis(30);

type Changed = HashMap<ConversationId, Arc<Conversation>>;

/// The heads that changed since they were last pushed.
#[derive(Debug, Default)]
pub(super) struct Heads {
    changed: Mutex<HashMap<ProjectId, Changed>>,
}

impl Heads {
    /// Notes a new head; it is pushed within [`GATHER`]. Nothing where no agent on this node has its inbox open.
    pub(super) fn changed(&self, hub: &Arc<Hub>, head: &Arc<Conversation>) {
        let topic = Topic::Inbox(head.project);
        if hub.presence.channel(&topic).is_none() {
            return;
        }
        let mut changed = self.changed.lock();
        let is_first = !changed.contains_key(&head.project);
        let known = changed.entry(head.project).or_default().entry(head.id).or_insert_with(|| Arc::clone(head));
        // Of what two nodes say, the older may be heard last.
        if place_of(head) >= place_of(known) {
            *known = Arc::clone(head);
        }
        drop(changed);
        if is_first {
            push_later(Arc::clone(hub), head.project);
        }
    }
}

const fn place_of(head: &Conversation) -> (u64, u64) {
    (head.seq, head.desk_seq)
}

fn push_later(hub: Arc<Hub>, project: ProjectId) {
    let tasks = hub.tasks.clone();
    tasks.spawn(async move {
        tokio::time::sleep(GATHER).await;
        let heads = hub.heads.changed.lock().remove(&project).unwrap_or_default();
        for head in heads.values() {
            let frame = ServerFrame::Inbox(InboxUpdate { conversation: Head::of(head) });
            hub.set(&Topic::Inbox(project), StateOf::Head(head.id.as_uuid(), place_of(head)), &frame, |_| false);
        }
    });
}
