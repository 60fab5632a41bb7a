//! What the desk is told of sessions: that somebody came, and went.

use std::sync::Arc;

use super::{Context, greeting::Person};
use crate::{domain::access::Actor, hub::Member, ids::ProjectId};

/// What the desk is told of a session's beginning and end, whatever ends it.
pub(super) struct Attending {
    context: Arc<Context>,
    person: (ProjectId, Actor),
    member: Arc<Member>,
}

impl Attending {
    /// Tells the desk that `person` is here.
    pub(super) async fn begin(context: &Arc<Context>, person: &Person) -> Self {
        let project = person.caller.project;
        if let Actor::Agent { id, .. } = person.caller.actor {
            // Where the log is down it fails, and so does the answer to `connect`, which follows.
            drop(context.desk.agent_arrived(project, id).await);
        }
        let member = Arc::clone(&person.stay);
        Self { context: Arc::clone(context), person: (project, person.caller.actor.clone()), member }
    }
}

impl Drop for Attending {
    fn drop(&mut self) {
        match self.person {
            (project, Actor::Agent { id, .. }) => self.context.desk.agent_left(project, id),
            (project, Actor::Visitor { id, .. }) if self.context.hub.count_like(&self.member) <= 1 => {
                self.context.desk.set_page(project, id, None);
            }
            _ => {}
        }
    }
}
