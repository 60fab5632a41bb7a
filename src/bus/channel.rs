//! Which topics share a channel between nodes, and what it is called in Redis.

use std::fmt::Write as _;

use super::Topic;
use crate::ids::{ConversationId, NodeId, ProjectId};

/// What a node subscribes to. Few enough to subscribe to, small enough not to hear much that nobody here wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Both lanes of a conversation.
    Conversation(ConversationId),
    /// What concerns a project's agents and visitors.
    Project(ProjectId),
    /// Every node.
    All,
    /// One node: what it says to itself, to know that it is heard.
    Node(NodeId),
}

impl Channel {
    /// The channel that carries `topic`.
    pub const fn of(topic: Topic) -> Self {
        match topic {
            Topic::Thread(conversation) | Topic::Desk(conversation) => Self::Conversation(conversation),
            Topic::Inbox(project)
            | Topic::Staff(project)
            | Topic::Lobby(project)
            | Topic::Visitor(project, _)
            | Topic::Agent(project, _)
            | Topic::Nodes(project) => Self::Project(project),
            Topic::Control => Self::All,
        }
    }

    /// The topic that stands for all of the channel in [`crate::bus::Message::Missed`].
    pub const fn topic(self) -> Option<Topic> {
        match self {
            Self::Conversation(conversation) => Some(Topic::Thread(conversation)),
            Self::Project(project) => Some(Topic::Inbox(project)),
            // What nodes say to all of them they ask each other for again; revocations stand in the log.
            Self::All | Self::Node(_) => None,
        }
    }

    /// Its name in Redis. `prefix` keeps installations apart that share one.
    pub(super) fn name(self, prefix: &str) -> String {
        let mut name = String::with_capacity(prefix.len() + 38);
        name.push_str(prefix);
        // Writing to a String can't fail.
        let _ = match self {
            Self::Conversation(id) => write!(name, "c:{id}"),
            Self::Project(id) => write!(name, "p:{id}"),
            Self::All => write!(name, "all"),
            Self::Node(id) => write!(name, "n:{id}"),
        };
        name
    }
}
