//! The bus: where the way down (a desk that decided) meets the way up (hubs that deliver).
//!
//! The log is the truth, the bus is a hint: what it loses heals from the log. On one node it is a direct call: when
//! [`Bus::publish`] returns, every outbox of this node has the message, and one publisher's messages arrive in the order
//! in which it published them.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Serialize};

use crate::{
    domain::{Conversation, Entry},
    ids::{AgentId, ConversationId, ProjectId, SessionId, VisitorId},
    protocol::server::{AgentStatus, Queue, Who},
};

/// To whom a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Topic {
    /// Everyone who follows a conversation: its visitor and the agents who watch it.
    Thread(ConversationId),
    /// The agents who watch a conversation.
    Desk(ConversationId),
    /// The agents of a project who asked for its inbox.
    Inbox(ProjectId),
    /// All agents of a project.
    Staff(ProjectId),
    /// All visitors of a project.
    Lobby(ProjectId),
    /// One visitor, in all its tabs.
    Visitor(ProjectId, VisitorId),
    /// One agent, in all its tabs.
    Agent(AgentId),
    /// Every node.
    Control,
}

/// What is said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Message {
    /// New entries of one lane, ascending. Topic `Thread` or `Desk`.
    Entries {
        /// The epoch in which they count.
        epoch: String,
        /// The entries.
        entries: Vec<Arc<Entry>>,
    },
    /// A conversation's state changed. Topic `Inbox`.
    Head(Arc<Conversation>),
    /// Somebody read on. Topic `Thread`.
    Read {
        /// Where.
        conversation: ConversationId,
        /// Who.
        by: Who,
        /// Up to here.
        seq: u64,
    },
    /// Somebody types. Topic `Thread` for an agent, `Desk` for the visitor.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        by: Who,
        /// Whether.
        on: bool,
        /// The visitor's draft.
        text: Option<String>,
    },
    /// An agent came, went or got busier. Topic `Staff`.
    AgentPresence {
        /// Who.
        agent: AgentId,
        /// How it is.
        status: AgentStatus,
        /// Open conversations it has.
        load: u32,
    },
    /// How many agents are online. Topic `Lobby`.
    AgentsOnline {
        /// That many.
        online: u32,
    },
    /// A waiting visitor's place in line. Topic `Visitor`.
    Queue {
        /// Which conversation waits.
        conversation: ConversationId,
        /// Where it stands.
        queue: Queue,
    },
    /// The visitor opened a conversation. Topic `Visitor`.
    Opened {
        /// Which.
        conversation: ConversationId,
    },
    /// Somebody is no longer welcome. Topic `Control`.
    Revoked(Revocation),
}

/// Whose sockets are to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Revocation {
    /// One session.
    Session(SessionId),
    /// An agent: disabled, or its role changed.
    Agent(AgentId),
    /// A visitor was banned.
    Visitor(ProjectId, VisitorId),
}

/// What a hub gives the bus: called with every message, in order; must not block.
pub type Sink = Arc<dyn Fn(&Topic, &Message) + Send + Sync>;

/// The bus of one node. Cheap to clone.
#[derive(Clone, Default)]
pub struct Bus {
    sink: Arc<OnceLock<Sink>>,
}

impl Bus {
    /// A bus within this process.
    pub fn local() -> Self {
        Self::default()
    }

    /// Connects the hub. The first one stays.
    pub fn attach(&self, sink: Sink) {
        drop(self.sink.set(sink));
    }

    /// Brings `message` to all who listen to `topic`.
    pub fn publish(&self, topic: Topic, message: &Message) {
        metrics::counter!("deskbell_bus_publishes_total").increment(1);
        if let Some(sink) = self.sink.get() {
            sink(&topic, message);
        }
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Bus(local)")
    }
}
