//! The bus: who must hear of what has happened. A hint, never the truth: what it loses, the log gives back.
//!
//! Publishing calls every attached sink at once, on the publisher's own task. So what one publisher publishes is delivered
//! in the order of its calls; between two publishers there is no order, and none is needed: entries carry `seq`, heads
//! carry (`seq`, `desk_seq`), and the later one wins. A sink must be quick and must not wait: it queues.
//!
//! Where there are several nodes, what one publishes reaches the sinks of those that want its topic, a little later and
//! perhaps not at all: then they are told [`Message::Missed`] as soon as it is known, and look at the log.

pub mod channel;
mod redis;

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, LazyLock},
};

use arc_swap::ArcSwap;
use metrics::Counter;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub use self::redis::{Error, envelope};
use crate::{
    clock::{Clock, Millis},
    config::Secret,
    domain::{AgentRef, AgentStatus, Conversation, Entry, NoticeLevel, Queue, Who},
    ids::{AgentId, ConversationId, NodeId, ProjectId, SessionId, VisitorId},
    tasks::Tasks,
    trace::{Part, Span},
};

/// Whom a message concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// All who see a conversation's thread: its visitor and the agents watching it.
    Thread(ConversationId),
    /// The agents watching a conversation. A visitor is never subscribed to it.
    Desk(ConversationId),
    /// The agents of a project who asked for its inbox.
    Inbox(ProjectId),
    /// All agents of a project.
    Staff(ProjectId),
    /// All visitors of a project.
    Lobby(ProjectId),
    /// All sessions of one visitor.
    Visitor(ProjectId, VisitorId),
    /// All sessions of one agent.
    Agent(ProjectId, AgentId),
    /// The nodes that serve a project, among themselves. No session hears it.
    Nodes(ProjectId),
    /// Every node.
    Control,
}

impl Topic {
    /// Whom it is for, as traces say it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Thread(_) => "thread",
            Self::Desk(_) => "desk",
            Self::Inbox(_) => "inbox",
            Self::Staff(_) => "staff",
            Self::Lobby(_) => "lobby",
            Self::Visitor(..) => "visitor",
            Self::Agent(..) => "agent",
            Self::Nodes(_) => "nodes",
            Self::Control => "control",
        }
    }
}

/// What there is to hear.
///
/// Nodes of two versions talk to each other while one replaces the other: a kind that is added is skipped by the older one,
/// and a field that is added, here or in what is carried, needs a default, or all of it is skipped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "body", rename_all = "snake_case")]
pub enum Message {
    /// On [`Topic::Thread`] or [`Topic::Desk`]: entries of that one lane, committed, ascending.
    Entries {
        /// The epoch in which their `seq` counts.
        epoch: String,
        /// At least one.
        entries: Vec<Arc<Entry>>,
    },
    /// On [`Topic::Inbox`]: a conversation's state, after a commit.
    Head(Arc<Conversation>),
    /// On [`Topic::Thread`]: somebody read on.
    Read {
        /// Where.
        conversation: ConversationId,
        /// Who.
        by: Who,
        /// Everything up to here.
        seq: u64,
    },
    /// On [`Topic::Thread`]: a device of somebody's got something.
    Delivered {
        /// Where.
        conversation: ConversationId,
        /// Whose device.
        by: Who,
        /// Everything up to here.
        seq: u64,
    },
    /// Somebody types, or stopped: an agent on [`Topic::Thread`], the visitor on [`Topic::Desk`] with its draft.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        by: Who,
        /// Whether.
        on: bool,
        /// The draft so far. Never published on a topic that a visitor hears.
        text: Option<String>,
    },
    /// On [`Topic::Staff`]: how an agent is.
    AgentPresence {
        /// Who.
        agent: AgentId,
        /// Whether it is here.
        status: AgentStatus,
        /// Open conversations it has.
        load: u32,
        /// How many it takes.
        #[serde(default)]
        capacity: u32,
    },
    /// On [`Topic::Lobby`]: how many agents are online.
    AgentsOnline {
        /// The count.
        online: u32,
    },
    /// On [`Topic::Visitor`]: its place in line moved.
    Queue {
        /// The conversation that waits.
        conversation: ConversationId,
        /// Where.
        queue: Queue,
    },
    /// On [`Topic::Visitor`]: it has a new conversation, to which all its sessions subscribe.
    Opened {
        /// Which.
        conversation: ConversationId,
    },
    /// On [`Topic::Visitor`]: a conversation of this visitor is another's now; its sessions unsubscribe.
    Moved {
        /// Which.
        conversation: ConversationId,
    },
    /// On [`Topic::Staff`]: something to tell the people.
    Notice {
        /// How serious.
        level: NoticeLevel,
        /// What.
        text: String,
    },
    /// On [`Topic::Control`]: whose sessions end.
    Revoked(Revocation),
    /// On [`Topic::Control`]: accounts changed, as the table `control` says.
    Told,
    /// On [`Topic::Desk`]: the agents of one node that look at a conversation.
    Viewing {
        /// All of them.
        agents: Vec<AgentRef>,
        /// Whether the other nodes are asked for theirs.
        asks: bool,
    },
    /// On [`Topic::Control`], never from node to node: another one is gone, and with it whoever was there.
    Gone(NodeId),
    /// On [`Topic::Nodes`]: a node serves this project from now on, or could not hear the others: they say how they stand.
    Hello,
    /// On [`Topic::Nodes`]: how a node stands.
    Standing(Arc<Standing>),
    /// On [`Topic::Nodes`]: the pages that visitors went to.
    Pages(Vec<Visit>),
    /// On [`Topic::Nodes`]: a node stops.
    Bye,
    /// Something may have been said that was not heard here, so the log is to be looked at. On [`Topic::Thread`]: in this
    /// conversation, either lane; on [`Topic::Inbox`]: in this project; on [`Topic::Control`]: anywhere.
    Missed,
}

/// How a node stands in a project: whom it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Counts up from 1: of two, the later one holds, in whatever order they arrive.
    pub number: u64,
    /// The agents that it has or of whom it knows what they want, by id.
    pub agents: Vec<AgentStanding>,
    /// How many sessions of visitors it has.
    pub visitors: u32,
}

/// An agent, as one node knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStanding {
    /// Who.
    pub agent: AgentId,
    /// Whether it has a session on that node.
    pub is_here: bool,
    /// What it wants.
    pub wish: Wish,
}

/// Whether an agent takes new conversations: of two wishes the later one holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Wish {
    /// When it was said, by the wall clock of the node to which it was; 0 for what nobody said.
    pub at: Millis,
    /// Whether it takes any.
    pub online: bool,
}

impl Default for Wish {
    /// Who has not said anything takes conversations.
    fn default() -> Self {
        Self { at: 0, online: true }
    }
}

/// A visitor went to a page, or left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// Who.
    pub visitor: VisitorId,
    /// The page's address and title; none when the visitor has no session on that node any more.
    pub page: Option<(String, String)>,
}

/// Whose sessions end, and why they can't come back with the same token.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "of", rename_all = "snake_case")]
pub enum Revocation {
    /// One session: all sockets that present its token.
    Session(SessionId),
    /// All sessions of an agent: it was disabled, or its role changed.
    Agent(AgentId),
    /// All sessions of a visitor.
    Visitor(ProjectId, VisitorId),
    /// All sessions whose token was signed by this key: it was forgotten.
    Key(String),
}

/// Who published a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// This node.
    Here,
    /// Another one.
    Node(NodeId),
    /// Whoever it was: the state was read from the log, because its publication may not have been heard.
    Log,
}

/// Whether the other nodes are heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// They are, or there are none.
    Listening,
    /// They are, but one fell silent without a goodbye: should it be alive, what it commits has to be asked of the log.
    Doubtful,
    /// They are not: what they commit has to be asked of the log.
    Deaf {
        /// Since when.
        since: Millis,
    },
}

/// Looked up once, because every message publishes.
static PUBLISHES: LazyLock<Counter> = LazyLock::new(|| metrics::counter!("deskbell_bus_publishes_total"));

/// What an attached part does with a message.
pub type Sink = Arc<dyn Fn(Topic, &Message, Source) + Send + Sync>;

/// The way to other nodes. Nothing here waits; what comes back is handed to [`Local`].
pub trait Link: Send + Sync {
    /// Hands a message to the other nodes that want its topic, as soon as may be.
    fn publish(&self, topic: Topic, message: Message);
    /// One more wants what other nodes publish on `topic`.
    fn want(&self, topic: Topic);
    /// Takes a [`Link::want`] back.
    fn unwant(&self, topic: Topic);
    /// The projects of which anything is wanted.
    fn wanted_projects(&self) -> HashSet<ProjectId>;
}

/// The bus, as far as this process reaches. Cheap to clone.
#[derive(Clone)]
pub struct Bus {
    node: NodeId,
    local: Arc<Local>,
    /// The way to the other nodes.
    link: Option<Arc<dyn Link>>,
}

/// This node's side: who listens here, and what a [`Link`] says to them.
pub struct Local {
    sinks: ArcSwap<Vec<Sink>>,
    health: watch::Sender<Health>,
}

impl Bus {
    /// A bus within this process.
    pub fn local() -> Self {
        Self { node: NodeId::generate(), local: Arc::new(Local::new()), link: None }
    }

    /// A bus to all nodes that use the Redis at `url` and have the same `secret`. Once it was reached, it heals by itself.
    pub async fn connect(url: &Secret, secret: &[u8], clock: Clock, tasks: &Tasks) -> Result<Self, Error> {
        let (node, local) = (NodeId::generate(), Arc::new(Local::new()));
        let link = redis::Link::connect(url.reveal(), secret, (node, Arc::clone(&local)), (clock, tasks)).await?;
        Ok(Self { node, local, link: Some(Arc::new(link)) })
    }

    /// A bus to other nodes by a way of the caller's own: for the simulation, whose nodes are all in one process.
    #[cfg(feature = "fault-injection")]
    pub fn over(link: impl FnOnce(NodeId, Arc<Local>) -> Arc<dyn Link>) -> Self {
        let (node, local) = (NodeId::generate(), Arc::new(Local::new()));
        Self { node, link: Some(link(node, Arc::clone(&local))), local }
    }

    /// This node.
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// Whether there may be other nodes.
    pub const fn is_shared(&self) -> bool {
        self.link.is_some()
    }

    /// Hands every message published from now on to `sink`, too.
    #[expect(clippy::needless_pass_by_value, reason = "given away: the bus keeps it")]
    pub fn attach(&self, sink: Sink) {
        self.local.sinks.rcu(|sinks| {
            let mut sinks = Vec::clone(sinks);
            sinks.push(Arc::clone(&sink));
            sinks
        });
    }

    /// Hands `message` to every sink of this node before it returns, and to the other nodes that want the topic soon after.
    /// A sink may publish in its turn.
    pub fn publish(&self, topic: Topic, message: Message) {
        PUBLISHES.increment(1);
        let span = Span::part(Part::Bus);
        span.note("deskbell.topic", &topic.word());
        let _entered = span.enter();
        self.local.deliver(topic, &message, Source::Here);
        if let Some(link) = &self.link {
            link.publish(topic, message);
        }
    }

    /// Hands `message` to every sink of this node, and to no other node: for what each node finds out by itself.
    #[expect(clippy::needless_pass_by_value, reason = "published is given away: nobody changes or reuses it after")]
    pub fn publish_here(&self, topic: Topic, message: Message) {
        PUBLISHES.increment(1);
        self.local.deliver(topic, &message, Source::Here);
    }

    /// Hands what was read from the log to every sink of this node.
    #[expect(clippy::needless_pass_by_value, reason = "published is given away: nobody changes or reuses it after")]
    pub fn publish_read(&self, topic: Topic, message: Message) {
        self.local.deliver(topic, &message, Source::Log);
    }

    /// What other nodes publish on `topic` is to be heard. To be taken back by as many [`Bus::unwant`]. Does not wait: when
    /// it is heard, [`Message::Missed`] says so, for what was said until then.
    pub fn want(&self, topic: Topic) {
        if let Some(link) = &self.link {
            link.want(topic);
        }
    }

    /// Takes a [`Bus::want`] back.
    pub fn unwant(&self, topic: Topic) {
        if let Some(link) = &self.link {
            link.unwant(topic);
        }
    }

    /// The projects of which anything is wanted now.
    pub fn wanted_projects(&self) -> HashSet<ProjectId> {
        self.link.as_ref().map(|link| link.wanted_projects()).unwrap_or_default()
    }

    /// Whether the other nodes are heard, now and from now on.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.local.health.subscribe()
    }
}

impl Local {
    fn new() -> Self {
        Self { sinks: ArcSwap::default(), health: watch::Sender::new(Health::Listening) }
    }

    /// Hands `message` to everybody who listens here.
    pub fn deliver(&self, topic: Topic, message: &Message, source: Source) {
        for sink in self.sinks.load().iter() {
            sink(topic, message, source);
        }
    }

    /// Something may have been said on `topic` that was not heard here.
    pub fn missed(&self, topic: Topic) {
        self.deliver(topic, &Message::Missed, Source::Here);
    }

    /// From now on other nodes are heard, or not.
    pub fn set_health(&self, health: Health) {
        metrics::gauge!("deskbell_bus_deaf").set(if matches!(health, Health::Deaf { .. }) { 1.0 } else { 0.0 });
        self.health.send_replace(health);
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sinks, health) = (self.local.sinks.load().len(), *self.local.health.borrow());
        let mut out = out.debug_struct("Bus");
        out.field("node", &self.node).field("sinks", &sinks).field("health", &health).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    #[test]
    fn every_sink_hears_one_publishers_messages_in_order() {
        let bus = Bus::local();
        let project = ProjectId::generate();
        let heard = [Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new()))];
        for list in &heard {
            let list = Arc::clone(list);
            bus.attach(Arc::new(move |topic, message, _| list.lock().push((topic, message.clone()))));
        }
        let sent: Vec<_> = (1..=3).map(|online| (Topic::Lobby(project), Message::AgentsOnline { online })).collect();
        for (topic, message) in &sent {
            bus.publish(*topic, message.clone());
        }
        for list in &heard {
            assert_eq!(*list.lock(), sent);
        }
    }

    #[test]
    fn a_sink_may_publish() {
        let bus = Bus::local();
        let count = Arc::new(Mutex::new(0));
        let (inner, seen) = (bus.clone(), Arc::clone(&count));
        bus.attach(Arc::new(move |topic, _, _| {
            *seen.lock() += 1;
            if topic != Topic::Control {
                let revocation = Revocation::Session(SessionId::generate());
                inner.publish(Topic::Control, Message::Revoked(revocation));
            }
        }));
        bus.publish(Topic::Lobby(ProjectId::generate()), Message::AgentsOnline { online: 1 });
        assert_eq!(*count.lock(), 2);
    }

    #[test]
    fn a_message_survives_the_journey_to_another_node() {
        let message = Message::Queue {
            conversation: ConversationId::generate(),
            queue: Queue { position: 2, eta_ms: Some(60_000) },
        };
        let text = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), message);
    }
}
