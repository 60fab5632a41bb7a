//! Heads that changed, gathered for a moment: an inbox wants a conversation's newest state, not each one in between.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    thread,
    time::Duration,
};

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

/// The most of a round, some 50 kB for each inbox: what the flusher writes in one go, and a twentieth of what an outbox holds as shipped.
/// The rest waits for the next round, and is as new then.
const ROUND: usize = 128;

/// The heads that changed since they were last pushed, of each project that has somebody who pushes them.
#[derive(Debug, Default)]
pub(super) struct Heads {
    changed: Mutex<HashMap<ProjectId, Changed>>,
}

/// Of one project.
#[derive(Debug, Default)]
struct Changed {
    heads: HashMap<ConversationId, Arc<Conversation>>,
    /// The one that waits longest is first.
    line: VecDeque<ConversationId>,
}

impl Changed {
    fn note(&mut self, head: &Arc<Conversation>) {
        let known = self.heads.entry(head.id).or_insert_with(|| {
            self.line.push_back(head.id);
            Arc::clone(head)
        });
        // Of what two nodes say, the older may be heard last.
        if place_of(head) >= place_of(known) {
            *known = Arc::clone(head);
        }
    }

    fn take(&mut self) -> Vec<Arc<Conversation>> {
        let round = self.line.len().min(ROUND);
        self.line.drain(..round).filter_map(|id| self.heads.remove(&id)).collect()
    }
}

impl Heads {
    /// Notes a new head; it is pushed with one of the next rounds. Nothing where no agent on this node has its inbox open.
    pub(super) fn changed(&self, hub: &Arc<Hub>, head: &Arc<Conversation>) {
        let topic = Topic::Inbox(head.project);
        if hub.presence.channel(&topic).is_none() {
            return;
        }
        let mut changed = self.changed.lock();
        let is_first = !changed.contains_key(&head.project);
        changed.entry(head.project).or_default().note(head);
        drop(changed);
        if is_first {
            push_in_rounds(Arc::clone(hub), head.project);
        }
    }

    /// The next round of a project. None when nothing changed: the next change wants somebody to push it.
    fn take(&self, project: ProjectId) -> Option<Vec<Arc<Conversation>>> {
        let mut changed = self.changed.lock();
        let heads = changed.get_mut(&project)?.take();
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

/// Who pushes a project's heads. Should it panic, the next change wants another.
struct Pusher {
    hub: Arc<Hub>,
    project: ProjectId,
}

impl Drop for Pusher {
    fn drop(&mut self) {
        if thread::panicking() {
            self.hub.heads.changed.lock().remove(&self.project);
        }
    }
}

/// One for each project, so that no head is overtaken by an older one; until nothing changes for a round.
fn push_in_rounds(hub: Arc<Hub>, project: ProjectId) {
    let (tasks, pusher) = (hub.tasks.clone(), Pusher { hub, project });
    tasks.spawn(async move {
        let (hub, topic) = (&pusher.hub, Topic::Inbox(project));
        loop {
            let inboxes = hub.presence.channel(&topic).map_or(0, |channel| channel.lock().len());
            tokio::time::sleep(rate::round(inboxes, GATHER)).await;
            let Some(heads) = hub.heads.take(project) else { return };
            let heads: Vec<_> = heads.iter().map(|head| encode(head)).collect();
            hub.set_all(&topic, &heads);
        }
    });
}

fn encode(head: &Conversation) -> (StateOf, Utf8Bytes) {
    let frame = ServerFrame::Inbox(InboxUpdate { conversation: Head::of(head) });
    (StateOf::Head(head.id.as_uuid(), place_of(head)), frame.encode().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::VisitorId;

    fn conversation(project: ProjectId) -> Conversation {
        Conversation::new(project, ConversationId::generate(), VisitorId::generate(), "e1".to_owned(), 0)
    }

    #[test]
    fn a_round_is_those_who_wait_longest_as_new_as_they_are() {
        let (heads, project) = (Heads::default(), ProjectId::generate());
        let mut all: Vec<_> = (0..ROUND + 2).map(|_| conversation(project)).collect();
        let note = |head: &Conversation| heads.changed.lock().entry(project).or_default().note(&Arc::new(head.clone()));
        all.iter().for_each(note);
        for (seq, heard_last) in [(1, ROUND + 1), (3, 0), (2, 0)] {
            all[heard_last].seq = seq;
            note(&all[heard_last]);
        }
        let round = heads.take(project).unwrap();
        assert_eq!((round.len(), round[0].id, round[0].seq), (ROUND, all[0].id, 3));
        note(&all[0]);
        let rest: Vec<_> = heads.take(project).unwrap().iter().map(|head| (head.id, head.seq)).collect();
        assert_eq!(rest, [(all[ROUND].id, 0), (all[ROUND + 1].id, 1), (all[0].id, 2)]);
        assert!(heads.take(project).is_none() && heads.changed.lock().is_empty(), "somebody else may begin");
    }
}
