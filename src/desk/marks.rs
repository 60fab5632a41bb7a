//! How far each side has read, and how far it has been brought to a device of theirs.

use std::sync::Arc;

use futures_util::future::join_all;

use super::{Caller, Desk, Failure, slots::Guard};
use crate::{
    bus::{Message, Topic},
    domain::{Conversation, Marks, Watermarks, Who, access::Actor},
    ids::ConversationId,
};

impl Desk {
    /// The caller has read the thread up to `seq`. Backwards or beyond the end: nothing.
    pub async fn read(self: &Arc<Self>, caller: &Caller, id: ConversationId, seq: u64) -> Result<(), Failure> {
        let mut guard = self.slots.lock(id, self.clock.ticks()).await;
        self.must_reach(caller, id, &mut guard, seq).await;
        let loaded = self.access(caller, id, &mut guard).await?;
        let Some((by, seq)) = advance(caller, &loaded.state, loaded.state.read, seq) else { return Ok(()) };
        let mut marks = Marks::default();
        *marks.read.of(by) = seq;
        loaded.has_marks(marks);
        let head = Arc::clone(&loaded.state);
        self.slots.mark_dirty(id, head.marks());
        self.bus.publish(Topic::Thread(id), Message::Read { conversation: id, by, seq });
        if matches!(by, Who::Agent(_)) {
            self.bus.publish(Topic::Inbox(caller.project), Message::Head(head));
        }
        Ok(())
    }

    /// A device of the caller has the thread up to `seq`. Backwards or beyond the end: nothing.
    pub async fn delivered(self: &Arc<Self>, caller: &Caller, id: ConversationId, seq: u64) -> Result<(), Failure> {
        let mut guard = self.slots.lock(id, self.clock.ticks()).await;
        self.must_reach(caller, id, &mut guard, seq).await;
        let loaded = self.access(caller, id, &mut guard).await?;
        let known = loaded.state.marks().delivered;
        let Some((by, seq)) = advance(caller, &loaded.state, known, seq) else { return Ok(()) };
        let mut marks = Marks::default();
        *marks.delivered.of(by) = seq;
        loaded.has_marks(marks);
        self.slots.mark_dirty(id, loaded.state.marks());
        self.bus.publish(Topic::Thread(id), Message::Delivered { conversation: id, by, seq });
        Ok(())
    }

    /// Another node may have written as far as this without having been heard here.
    async fn must_reach(&self, caller: &Caller, id: ConversationId, guard: &mut Guard, seq: u64) {
        if guard.as_ref().is_some_and(|loaded| seq > loaded.state.seq) {
            self.freshen(caller, id, guard).await;
        }
    }

    /// Writes down the marks that moved since the last time. What is lost in a crash is at most a second of them.
    pub async fn write_marks(&self) {
        let dirty = self.slots.dirty();
        // All at once, so that the log commits them together.
        let written = dirty.into_iter().map(|(conversation, marks)| async move {
            match self.log.mark(conversation, marks).await {
                Ok(()) => self.slots.marks_written(conversation, marks),
                Err(error) => {
                    tracing::warn!(%conversation, %error, "marks not written; tried again with the next ones");
                }
            }
        });
        join_all(written).await;
    }
}

/// Whose watermark the caller moves to `seq`, if it moves: never back, and never beyond the end.
fn advance(caller: &Caller, state: &Conversation, mut known: Watermarks, seq: u64) -> Option<(Who, u64)> {
    let by = match &caller.actor {
        Actor::Visitor { id, .. } => Who::Visitor(*id),
        Actor::Agent { id, role, .. } if role.answers() => Who::Agent(*id),
        // A supervisor who only looks has neither got nor read it for the team.
        Actor::Agent { .. } | Actor::Routing => return None,
    };
    let seq = seq.min(state.seq);
    (seq > *known.of(by)).then_some((by, seq))
}
