//! What the desk is told of sessions: that somebody came, and went.

use std::sync::Arc;

use super::Context;
use crate::{
    desk::Caller,
    domain::access::Actor,
    hub::{Member, Subject},
    ids::SessionId,
};

/// What the desk is told of a session's beginning and end, whatever ends it.
pub(super) struct Attending {
    context: Arc<Context>,
    session: Option<SessionId>,
    member: Arc<Member>,
}

impl Attending {
    /// Tells the desk that `caller` is here, as `member` of the hub.
    pub(super) async fn begin(context: &Arc<Context>, caller: &Caller, member: &Arc<Member>) -> Self {
        // Where the log is down it fails, and so does the answer to `connect`, which follows.
        drop(match caller.actor {
            Actor::Agent { id, .. } => context.desk.agent_arrived(caller.project, id).await,
            Actor::Visitor { .. } | Actor::Routing => context.desk.visitor_arrived(caller.project).await,
        });
        Self { context: Arc::clone(context), session: caller.session, member: Arc::clone(member) }
    }
}

impl Drop for Attending {
    fn drop(&mut self) {
        let (desk, project) = (&self.context.desk, self.member.project);
        desk.stops_typing(self.session);
        match &self.member.subject {
            Subject::Agent(agent) => desk.agent_left(project, agent.id),
            Subject::Visitor(id) => {
                desk.visitor_left(project);
                // It left the hub before: of several that leave at once, the last finds nobody.
                if self.context.hub.count_like(&self.member) == 0 {
                    desk.set_page(project, *id, None);
                }
            }
        }
    }
}
