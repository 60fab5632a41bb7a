//! Heads that changed, gathered for a moment: an inbox wants a conversation's newest state, not each one in between.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{Hub, outbox::StateOf};
use crate::{
    bus::Topic,
    domain::Conversation,
    ids::{ConversationId, ProjectId},
    protocol::server::{Head, InboxUpdate, ServerFrame},
    rate,
};

/// How long changes gather: below what a person notices, and a hundred messages in it cost one push. Longer where many inboxes are
/// open.
const GATHER: Duration = Duration::from_millis(30);

/// So many are put out at once; then others have a turn, who write them.
const AT_ONCE: usize = 128;

type Changed = HashMap<ConversationId, Arc<Conversation>>;

/// The heads that changed since they were last pushed, of each project that has somebody who pushes them.
#[derive(Debug, Default)]
pub(super) struct Heads {
    changed: Mutex<HashMap<ProjectId, Changed>>,
}

impl Heads {
    /// Notes a new head; it is pushed with the next round. Nothing where no agent on this node has its inbox open.
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
            push_in_rounds(Arc::clone(hub), head.project);
        }
    }

    /// What changed in a project. None when nothing did: the next change wants somebody to push it.
    fn take(&self, project: ProjectId) -> Option<Changed> {
        let mut changed = self.changed.lock();
        let heads = std::mem::take(changed.get_mut(&project)?);
        if heads.is_empty() {
            changed.remove(&project);
            return None;
        }
        Some(heads)
    }
}

const fn place_of(head: &Conversation) -> (u64, u64) {
    (head.seq, head.desk_seq)
}

/// One for each project, so that no head is overtaken by an older one; until nothing changes for a round.
fn push_in_rounds(hub: Arc<Hub>, project: ProjectId) {
    let tasks = hub.tasks.clone();
    tasks.spawn(async move {
        let topic = Topic::Inbox(project);
        loop {
            let inboxes = hub.presence.channel(&topic).map_or(0, |channel| channel.lock().len());
            tokio::time::sleep(rate::round(inboxes, GATHER)).await;
            let Some(heads) = hub.heads.take(project) else { return };
            let heads: Vec<_> = heads.values().map(|head| encode(head)).collect();
            for some in heads.chunks(AT_ONCE) {
                hub.set_all(&topic, some);
                tokio::task::yield_now().await;
            }
        }
    });
}

fn encode(head: &Conversation) -> (StateOf, Utf8Bytes) {
    let frame = ServerFrame::Inbox(InboxUpdate { conversation: Head::of(head) });
    (StateOf::Head(head.id.as_uuid(), place_of(head)), frame.encode().into())
}
