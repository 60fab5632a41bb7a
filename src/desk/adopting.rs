//! An anonymous visitor turns out to be one whom its site knows: what it wrote before is its own.

use std::sync::Arc;

use super::{Desk, Failure};
use crate::{
    bus::{Message, Topic},
    ids::VisitorId,
    log::VisitorRecord,
};

impl Desk {
    /// Moves the conversations of `from` to the visitor of `to`.
    pub async fn adopt(self: &Arc<Self>, from: VisitorId, to: &VisitorRecord) -> Result<(), Failure> {
        let now = self.clock.ticks();
        // Held while they move, in the order of their ids: nobody decides on the old owner, and two moves can't wait for
        // each other.
        let mut owned = self.log.all_conversations_of(to.project, from).await?;
        owned.sort_unstable();
        let mut guards = Vec::with_capacity(owned.len());
        for id in &owned {
            guards.push(self.slots.lock(*id, now).await);
        }
        let moved = self.log.adopt(from, to).await?;
        for guard in &mut guards {
            **guard = None;
        }
        for id in moved {
            // Those who hear as the old visitor hear no more of it; the new one's sessions do from now on.
            self.bus.publish(Topic::Visitor(to.project, from), Message::Moved { conversation: id });
            self.bus.publish(Topic::Visitor(to.project, to.id), Message::Opened { conversation: id });
            if let Some(state) = self.log.head(to.project, id).await? {
                self.observe(&state).await;
                self.bus.publish(Topic::Inbox(to.project), Message::Head(Arc::new(state)));
            }
        }
        drop(guards);
        Ok(())
    }
}
