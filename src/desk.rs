//! The way down: each verb is decided, logged, then published. Nothing is published that was not logged first.
//!
//! `decide -> append -> publish`, under one lock per conversation. The desk does not know who listens.

pub mod accounts;
mod adopting;
mod attendance;
mod fresh;
mod marks;
mod nodes;
mod open;
mod reading;
mod routing;
mod slots;
mod typing;
mod writing;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::{Notify, OnceCell};

use self::{
    attendance::{Attendance, Present},
    slots::Slots,
    typing::Typists,
};
pub use self::{
    open::{Opened, Opening},
    reading::{Budget, CaughtUp, Since},
    writing::Written,
};
use crate::{
    bus::{Bus, Message, Topic},
    clock::{Clock, Millis},
    config::Limits,
    domain::{NoticeLevel, Queue, Refusal, access::Actor},
    ids::{AgentId, ConversationId, ProjectId, SessionId},
    log::{Log, ProjectRecord},
    pressure::Pressure,
    protocol::server::Colleague,
    tasks::Tasks,
};

/// How often departures are looked at and marks are written down.
const TICK: Duration = Duration::from_secs(1);

/// Why a verb was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The rules say no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The log can't be written or read now. Nothing was stored.
    #[error("the log is not available: {0}")]
    Unavailable(String),
}

impl From<crate::log::Error> for Failure {
    fn from(error: crate::log::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// On whose behalf a verb is carried out, and where.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The project of the session; never taken from input.
    pub project: ProjectId,
    /// The session, for the log. None for Deskbell itself.
    pub session: Option<SessionId>,
    /// Who.
    pub actor: Actor,
}

/// The verbs of the chat, over one log and one bus. Shared by all sessions.
pub struct Desk {
    log: Log,
    bus: Bus,
    clock: Clock,
    tasks: Tasks,
    slots: Slots,
    projects: Mutex<BTreeMap<ProjectId, Arc<OnceCell<Arc<ProjectDesk>>>>>,
    typists: Typists,
    hand_back_after_ms: Millis,
    pressure: Arc<Pressure>,
    /// The last append failed: agents were told, and are told when it heals.
    log_down: AtomicBool,
}

/// What the desk knows of one project while it runs.
struct ProjectDesk {
    id: ProjectId,
    record: Mutex<ProjectRecord>,
    attendance: Mutex<Attendance>,
    /// Something changed that routing or presence may have to act on.
    kick: Notify,
    /// Other nodes may have said or done something that was not heard here.
    missed: AtomicBool,
    /// When that was last looked for.
    looked_at: AtomicI64,
}

impl Desk {
    /// A desk over `log` and `bus`. Its background work ends with `tasks`.
    pub fn start(
        log: Log,
        bus: Bus,
        clock: Clock,
        tasks: Tasks,
        limits: &Limits,
        pressure: Arc<Pressure>,
    ) -> Arc<Self> {
        let desk = Arc::new(Self {
            log,
            bus,
            clock,
            tasks,
            slots: Slots::default(),
            projects: Mutex::default(),
            typists: Typists::default(),
            hand_back_after_ms: Millis::try_from(limits.hand_back_after_ms).unwrap_or(Millis::MAX),
            pressure,
            log_down: AtomicBool::new(false),
        });
        metrics::gauge!("deskbell_log_down").set(0);
        desk.hear_nodes();
        let ticking = Arc::clone(&desk);
        desk.tasks.spawn(async move {
            let mut ticks = tokio::time::interval(TICK);
            loop {
                tokio::select! {
                    biased;
                    () = ticking.tasks.stopped() => break,
                    _ = ticks.tick() => ticking.tick().await,
                }
            }
        });
        desk
    }

    async fn tick(self: &Arc<Self>) {
        self.write_marks().await;
        if self.log_down.load(Ordering::Relaxed) && self.log.is_writable().await {
            self.log_down.store(false, Ordering::Relaxed);
            metrics::gauge!("deskbell_log_down").set(0);
            self.tell_agents(NoticeLevel::Info, "Messages are stored again.");
        }
        let now = self.clock.ticks();
        self.slots.forget_idle(now);
        self.end_old_typing(now);
        for project in self.running() {
            self.expire_nodes(&project, now);
            self.tell_nodes(&project);
            self.reclaim_from_departed(&project, now).await;
            let due = project.attendance.lock().has_news(now);
            if due {
                project.kick.notify_one();
            }
        }
    }

    /// An append failed because of the log. Agents are told once, so that they know why nothing goes out.
    fn log_failed(&self, why: String) -> Failure {
        if !self.log_down.swap(true, Ordering::Relaxed) {
            metrics::gauge!("deskbell_log_down").set(1);
            tracing::error!(%why, "the log can't be written; messages are refused until it can");
            self.tell_agents(
                NoticeLevel::Warning,
                "Messages can't be stored right now. They are sent again by themselves.",
            );
        }
        Failure::Unavailable(why)
    }

    fn tell_agents(&self, level: NoticeLevel, text: &str) {
        for project in self.running() {
            self.bus.publish_here(Topic::Staff(project.id), Message::Notice { level, text: text.to_owned() });
        }
    }

    fn running(&self) -> Vec<Arc<ProjectDesk>> {
        self.projects.lock().values().filter_map(|cell| cell.get().cloned()).collect()
    }

    /// The project's desk, set up at its first use: who its agents are, what is open, who waits.
    async fn project(self: &Arc<Self>, id: ProjectId) -> Result<Arc<ProjectDesk>, Failure> {
        let cell = Arc::clone(self.projects.lock().entry(id).or_default());
        if let Some(known) = cell.get() {
            return Ok(Arc::clone(known));
        }
        Box::pin(cell.get_or_try_init(|| self.set_up(id))).await.cloned()
    }

    async fn set_up(self: &Arc<Self>, id: ProjectId) -> Result<Arc<ProjectDesk>, Failure> {
        let record = self.log.project(id).await?.ok_or(Refusal::NotFound)?;
        self.bus.want(Topic::Nodes(id));
        let mut attendance = Attendance::new(self.bus.node(), self.clock.ticks(), self.hand_back_after_ms);
        attendance.know(&self.log.agents(id).await?);
        for conversation in self.log.open_conversations(id).await? {
            attendance.observe(&conversation, self.clock.ticks());
        }
        let project = Arc::new(ProjectDesk {
            id,
            record: Mutex::new(record),
            attendance: Mutex::new(attendance),
            kick: Notify::new(),
            // Whatever was said until it stands here.
            missed: AtomicBool::new(true),
            looked_at: AtomicI64::new(Millis::MIN / 2),
        });
        project.kick.notify_one();
        self.route_in_background(&project);
        Ok(project)
    }

    /// Reads a project's settings and agents again, after an account or the project was changed.
    pub async fn refresh(self: &Arc<Self>, id: ProjectId) -> Result<(), Failure> {
        let project = self.project(id).await?;
        if let Some(record) = self.log.project(id).await? {
            *project.record.lock() = record;
        }
        let agents = self.log.agents(id).await?;
        project.attendance.lock().know(&agents);
        project.kick.notify_one();
        Ok(())
    }

    /// The project's settings.
    pub async fn settings(self: &Arc<Self>, id: ProjectId) -> Result<ProjectRecord, Failure> {
        Ok(self.project(id).await?.record.lock().clone())
    }

    /// An agent's session began. Until it says otherwise, it is as it last was; at first, online.
    pub async fn agent_arrived(self: &Arc<Self>, project: ProjectId, agent: AgentId) -> Result<(), Failure> {
        let desk = self.project(project).await?;
        if !desk.attendance.lock().arrive(agent) {
            let agents = self.log.agents(project).await?;
            let mut attendance = desk.attendance.lock();
            attendance.know(&agents);
            attendance.arrive(agent);
        }
        desk.kick.notify_one();
        Ok(())
    }

    /// An agent's session ended.
    pub fn agent_left(&self, project: ProjectId, agent: AgentId) {
        if let Some(desk) = self.known(project) {
            desk.attendance.lock().depart(agent, self.clock.ticks());
            desk.kick.notify_one();
        }
    }

    /// A visitor's session began.
    pub async fn visitor_arrived(self: &Arc<Self>, project: ProjectId) -> Result<(), Failure> {
        self.project(project).await?.attendance.lock().visitor_arrives();
        Ok(())
    }

    /// A visitor's session ended.
    pub fn visitor_left(&self, project: ProjectId) {
        if let Some(desk) = self.known(project) {
            desk.attendance.lock().visitor_departs();
        }
    }

    /// An agent takes new conversations, or none for now.
    pub async fn set_availability(self: &Arc<Self>, caller: &Caller, online: bool) -> Result<(), Failure> {
        caller.actor.must_answer()?;
        let desk = self.project(caller.project).await?;
        if let Actor::Agent { id, .. } = caller.actor {
            desk.attendance.lock().set_online(id, online, self.clock.now());
            desk.kick.notify_one();
        }
        Ok(())
    }

    /// Every agent of the project that is not disabled, the asking one included even if its account was made just now.
    pub async fn colleagues(self: &Arc<Self>, project: ProjectId, asking: AgentId) -> Result<Vec<Colleague>, Failure> {
        let desk = self.project(project).await?;
        let is_known = desk.attendance.lock().knows(asking);
        if !is_known {
            self.refresh(project).await?;
        }
        let now = self.clock.ticks();
        Ok(desk.attendance.lock().show_colleagues(now))
    }

    /// How many agents are online.
    pub async fn agents_online(self: &Arc<Self>, project: ProjectId) -> Result<u32, Failure> {
        let desk = self.project(project).await?;
        let now = self.clock.ticks();
        Ok(desk.attendance.lock().show_online(now))
    }

    /// A conversation's place in line, while it waits.
    pub fn place_in_line(&self, project: ProjectId, conversation: ConversationId) -> Option<Queue> {
        let now = self.clock.ticks();
        self.known(project)?.attendance.lock().place(conversation, now)
    }

    fn known(&self, project: ProjectId) -> Option<Arc<ProjectDesk>> {
        self.projects.lock().get(&project).and_then(|cell| cell.get().cloned())
    }

    fn tell_presence(&self, project: ProjectId, agent: AgentId, present: Present) {
        let Present { status, load, capacity } = present;
        self.bus.publish_here(Topic::Staff(project), Message::AgentPresence { agent, status, load, capacity });
    }
}
