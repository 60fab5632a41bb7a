//! Carrying out what routing decides: the line moves when somebody has room, and chats of the departed go back to it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{Caller, Desk, Failure, ProjectDesk, attendance::Turn};
use crate::{
    bus::{Message, Topic},
    clock::Millis,
    domain::{access::Actor, conversation::Command},
    rate,
};

/// How many of the line are told when it moves. Who is further back is told when it comes nearer.
const TOLD_OF_LINE: usize = 200;

/// News gather this long, so that a hundred moves cost one round of pushes; longer where many agents are here.
const GATHER: Duration = Duration::from_millis(20);

/// How often in a row an agent may turn out to be full before routing rests: each time, all that is open is read.
const MISJUDGED: u32 = 3;

/// How long routing waits when the log can't be written.
const RETRY: Duration = Duration::from_millis(500);

impl Desk {
    /// Moves the line of a project and tells its news, whenever it is kicked, until the program stops.
    pub(super) fn route_in_background(self: &Arc<Self>, project: &Arc<ProjectDesk>) {
        let (desk, project) = (Arc::clone(self), Arc::clone(project));
        self.tasks.spawn(async move {
            let mut told = Millis::MIN / 2;
            loop {
                tokio::select! {
                    biased;
                    () = desk.tasks.stopped() => return desk.say_bye(&project),
                    () = project.kick.notified() => {}
                }
                desk.mind_nodes(&project).await;
                desk.move_line(&project).await;
                let now = desk.clock.ticks();
                if now - told >= news_gather(project.attendance.lock().agents_here()) {
                    desk.tell_news(&project);
                    told = now;
                } else {
                    project.kick.notify_one();
                }
                tokio::time::sleep(GATHER).await;
            }
        });
    }

    /// Gives those who wait to those who have room, one after the other: two can't get the same one. Of several nodes one
    /// does it; what another does before it is told so, the log sorts out.
    async fn move_line(self: &Arc<Self>, project: &Arc<ProjectDesk>) {
        let mut misjudged = 0;
        loop {
            let next = {
                let mut attendance = project.attendance.lock();
                if attendance.leads() { attendance.next(self.clock.ticks()) } else { None }
            };
            let Some(turn) = next else { return };
            let command = Command::Route(turn.place.agent.clone());
            let claim = Some(turn.place.claim);
            match self.write_claiming(&routing_of(project), turn.conversation, None, command, claim).await {
                Ok(Some(_)) => project.attendance.lock().turn_taken(self.clock.ticks()),
                Ok(None) if misjudged < MISJUDGED => {
                    misjudged += 1;
                    project.attendance.lock().give_up(&turn);
                    self.count_again(project).await;
                }
                Err(Failure::Refused(_)) => self.look_again(project, &turn).await,
                Ok(None) | Err(Failure::Unavailable(_)) => {
                    project.attendance.lock().give_up(&turn);
                    tokio::time::sleep(RETRY).await;
                    return project.kick.notify_one();
                }
            }
        }
    }

    /// An agent has more than was known here: another node gave it something. Take note of what is open.
    pub(super) async fn count_again(&self, project: &ProjectDesk) {
        let before = project.attendance.lock().positions();
        match self.log.open_conversations(project.id).await {
            Ok(open) => project.attendance.lock().recount(&before, &open, self.clock.ticks()),
            Err(error) => {
                tracing::debug!(project = %project.id, %error, "what is open can't be read; tried again");
                project.missed.store(true, Ordering::Release);
            }
        }
    }

    /// A conversation does not stand in line as was thought: take note of how it is.
    async fn look_again(self: &Arc<Self>, project: &Arc<ProjectDesk>, turn: &Turn) {
        project.attendance.lock().release(turn.conversation);
        if let Ok(state) = self.look(&routing_of(project), turn.conversation).await {
            project.attendance.lock().observe(&state, self.clock.ticks());
        }
    }

    /// Hands back what agents left unanswered when they went.
    pub(super) async fn reclaim_from_departed(self: &Arc<Self>, project: &Arc<ProjectDesk>, now: Millis) {
        let abandoned = {
            let attendance = project.attendance.lock();
            if attendance.leads() { attendance.abandoned(now) } else { Vec::new() }
        };
        for (conversation, agent) in abandoned {
            // A refusal means that it was answered or moved meanwhile; a log that is down is tried again at the next tick.
            match self.write(&routing_of(project), conversation, None, Command::Reclaim(agent)).await {
                Ok(_) => {
                    metrics::counter!("deskbell_handed_back_total").increment(1);
                    tracing::info!(%conversation, %agent, "handed back: its agent is gone");
                }
                Err(error) => tracing::debug!(%conversation, %error, "not handed back"),
            }
        }
    }

    fn tell_news(&self, project: &ProjectDesk) {
        let news = project.attendance.lock().news(self.clock.ticks(), TOLD_OF_LINE);
        for (agent, present) in news.agents {
            self.tell_presence(project.id, agent, present);
        }
        if let Some(online) = news.online {
            self.bus.publish_here(Topic::Lobby(project.id), Message::AgentsOnline { online });
        }
        for (conversation, visitor, queue) in news.line {
            // Told again when it next changes.
            if !self.pressure.tells_line() {
                break;
            }
            self.bus.publish_here(Topic::Visitor(project.id, visitor), Message::Queue { conversation, queue });
        }
    }
}

/// How long news gather besides [`GATHER`], where agents have so many sockets.
fn news_gather(sockets: u32) -> Millis {
    let gather = rate::round(usize::try_from(sockets).unwrap_or(usize::MAX), GATHER).saturating_sub(GATHER);
    Millis::try_from(gather.as_millis()).unwrap_or(Millis::MAX)
}

fn routing_of(project: &ProjectDesk) -> Caller {
    Caller { project: project.id, session: None, actor: Actor::Routing }
}
