//! What is in memory, held against the log: where there are other nodes, they write, too.
//!
//! Nothing that is decided needs this: the log refuses what was decided on an old state. It is for what is only read or
//! refused, and it makes that the log seldom has to.

use std::sync::Arc;

use super::{
    Caller, Desk, Failure,
    slots::{Guard, Loaded},
};
use crate::{
    domain::{Conversation, Lane, Refusal, access::Actor},
    ids::ConversationId,
    log,
};

/// What is further behind is read as a whole.
const CATCH_UP: u64 = 300;

impl Desk {
    /// The conversation behind `guard`, if the caller may see it. Read from the log at first, and when it is known that
    /// something else may stand there.
    pub(super) async fn access<'g>(
        &self,
        caller: &Caller,
        id: ConversationId,
        guard: &'g mut Guard,
    ) -> Result<&'g mut Loaded, Failure> {
        let is_doubtful = match &**guard {
            None => false,
            Some(loaded) => loaded.is_behind() || loaded.is_unsure() || !may_see(caller, &loaded.state),
        };
        if is_doubtful {
            Box::pin(self.freshen(caller, id, guard)).await;
        }
        if guard.as_ref().is_none_or(Loaded::is_unsure) {
            let Some(read) = Box::pin(self.log.head(caller.project, id)).await? else {
                **guard = None;
                self.slots.forget_missing(id);
                return Err(Refusal::NotFound.into());
            };
            **guard = Some(self.slots.loaded(read));
        }
        let loaded = guard.as_mut().ok_or(Refusal::NotFound)?;
        if may_see(caller, &loaded.state) { Ok(loaded) } else { Err(Refusal::NotFound.into()) }
    }

    /// Reads what a write goes by, unless that is known.
    pub(super) async fn recall(&self, loaded: &mut Loaded) -> Result<(), Failure> {
        if loaded.has_no_past() {
            let past = Box::pin(self.log.past(&loaded.state)).await?;
            self.slots.recall(loaded, &past);
        }
        Ok(())
    }

    /// Brings what is in memory to where the log is, if there are other nodes that may have written. Where the log can't be
    /// read, it stays as it is.
    pub(super) async fn freshen(&self, caller: &Caller, id: ConversationId, guard: &mut Guard) {
        if !self.bus.is_shared() || guard.is_none() {
            return;
        }
        match self.log.head(caller.project, id).await {
            Ok(Some(head)) => match self.go_on(guard, head).await {
                Ok(true) => {}
                Ok(false) => **guard = None,
                Err(error) => tracing::debug!(%error, "what other nodes wrote can't be read"),
            },
            Ok(None) => **guard = None,
            Err(error) => tracing::debug!(%error, "what other nodes wrote can't be read"),
        }
    }

    /// The log says that somebody else wrote: reads that, or forgets what was known. With `hears`, what was heard of it
    /// meanwhile may do. True if it is where the log is now.
    pub(super) async fn reload(&self, caller: &Caller, id: ConversationId, guard: &mut Guard, hears: bool) -> bool {
        let position = |guard: &Guard| guard.as_ref().map(|loaded| (loaded.state.seq, loaded.state.desk_seq));
        let before = position(guard);
        self.slots.catch_up(guard);
        let after = position(guard);
        if hears && after != before && guard.as_ref().is_some_and(|loaded| !loaded.is_behind()) {
            return false;
        }
        self.freshen(caller, id, guard).await;
        if position(guard) == after {
            **guard = None;
        }
        true
    }

    /// Takes over `head` and what was written on the way to it. False when it is not where this one leads to.
    async fn go_on(&self, guard: &mut Guard, head: Conversation) -> Result<bool, log::Error> {
        let Some(loaded) = guard.as_mut() else { return Ok(false) };
        let (state, id) = (Arc::clone(&loaded.state), head.id);
        if head.epoch != state.epoch || head.visitor != state.visitor {
            return Ok(false);
        }
        let mut entries = Vec::new();
        for lane in [Lane::Thread, Lane::Desk] {
            let (from, to) = (state.last_seq(lane), head.last_seq(lane));
            if to < from || to - from > CATCH_UP {
                return Ok(false);
            }
            if to > from {
                entries.extend(self.log.read_after(id, lane, from, to - from).await?.into_iter().map(Arc::new));
            }
        }
        let mut head = head;
        // Marks of this node that are not in the log yet.
        head.advance(state.marks());
        self.slots.remember(loaded, Arc::new(head), &entries);
        loaded.is_fresh();
        Ok(true)
    }
}

pub(super) fn may_see(caller: &Caller, state: &Conversation) -> bool {
    let own = match &caller.actor {
        Actor::Visitor { id, .. } => state.visitor == *id,
        Actor::Agent { .. } | Actor::Routing => true,
    };
    own && state.project == caller.project
}
