//! Where the open conversations of this node's projects are, as far as was heard: so that a look at the log tells which of
//! them changed unheard.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use parking_lot::Mutex;

use super::Hub;
use crate::{
    bus::{Message, Source, Topic},
    clock::Millis,
    domain::{Conversation, Status},
    ids::{ConversationId, ProjectId},
    log::{self, HEADS, Position},
};

/// What is younger than this may not have been heard. Every look comes sooner after what it looks for; clocks of two nodes
/// may differ by the rest.
const LOOK_BACK_MS: Millis = 30_000;

type Known = HashMap<ConversationId, (u64, u64)>;

/// The last heard (`seq`, `desk_seq`) of open conversations. Kept only where there are other nodes.
#[derive(Debug, Default)]
pub(super) struct Inboxes {
    known: Mutex<HashMap<ProjectId, Known>>,
}

impl Inboxes {
    /// A conversation's state was heard.
    fn note(&self, head: &Conversation) {
        if let Some(known) = self.known.lock().get_mut(&head.project) {
            match head.status {
                Status::Open => drop(known.insert(head.id, (head.seq, head.desk_seq))),
                Status::Closed => drop(known.remove(&head.id)),
            }
        }
    }

    /// Which conversations are not where they were last heard to be: other positions, new ones, and those that are open no
    /// longer. At a project's first look only those with a message after `since`.
    fn changed(&self, project: ProjectId, open: &[Position], since: Millis) -> Vec<ConversationId> {
        let now: Known = open.iter().map(|position| (position.id, (position.seq, position.desk_seq))).collect();
        let mut all = self.known.lock();
        let Some(known) = all.insert(project, now.clone()) else {
            return open.iter().filter(|position| position.at >= since).map(|position| position.id).collect();
        };
        drop(all);
        let moved = now.iter().filter(|(id, place)| known.get(id) != Some(place)).map(|(id, _)| *id);
        let gone = known.keys().filter(|id| !now.contains_key(id)).copied();
        moved.chain(gone).collect()
    }

    /// What changed could not be told: it counts as changed at the next look, too.
    fn doubt(&self, project: ProjectId, changed: &[ConversationId]) {
        if let Some(known) = self.known.lock().get_mut(&project) {
            known.extend(changed.iter().map(|id| (*id, (0, 0))));
        }
    }

    /// Forgets all but `projects`.
    pub(super) fn keep(&self, projects: &HashSet<ProjectId>) {
        self.known.lock().retain(|project, _| projects.contains(project));
    }
}

impl Hub {
    /// A conversation's new state, whoever heard or read it.
    pub(super) fn receive_head(self: &Arc<Self>, head: &Arc<Conversation>, source: Source) {
        if self.bus.is_shared() {
            self.inboxes.note(head);
        }
        self.heads.changed(self, head);
        // That it was opened may not have been heard, though this is. Older ones the session asks for if it wants them.
        let is_young = source != Source::Here && head.created_at >= self.clock.now() - LOOK_BACK_MS;
        if is_young {
            self.join_opened(&Topic::Visitor(head.project, head.visitor), head.id);
        }
        if source == Source::Log {
            self.compare(head);
        }
    }

    /// Looks in the log for conversations of a project whose new state was not heard, and tells this node's parts.
    pub(super) async fn check_inbox(&self, project: ProjectId) -> Result<(), log::Error> {
        let open = self.log.open_positions(project).await?;
        let changed = self.inboxes.changed(project, &open, self.clock.now() - LOOK_BACK_MS);
        for some in changed.chunks(HEADS) {
            let heads = self.log.heads_of(some).await.inspect_err(|_| self.inboxes.doubt(project, &changed))?;
            for head in heads {
                self.bus.publish_read(Topic::Inbox(project), Message::Head(Arc::new(head)));
            }
        }
        Ok(())
    }
}
