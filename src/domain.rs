//! The language of the chat, and its rules. Pure: no I/O, no clock, no randomness; times and ids arrive as arguments.
//!
//! A [`conversation::Command`] is *decided* against a [`Conversation`] and gives [`Draft`]s, or a [`Refusal`]. The log makes
//! [`Entry`]s of the drafts; *applying* the entries gives the next [`Conversation`].

pub mod access;
pub mod conversation;
pub mod routing;
pub mod text;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock::Millis,
    ids::{AgentId, ConversationId, EntryId, ProjectId, SessionId, VisitorId},
};

/// Which of a conversation's two logs an entry is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// What visitor and agents both see.
    #[default]
    Thread,
    /// What only agents see. A visitor's session is never subscribed to it.
    Desk,
}

impl Lane {
    /// Whether this is the lane that a frame need not name. By reference, as serde's `skip_serializing_if` passes it.
    pub fn is_thread(&self) -> bool {
        *self == Self::Thread
    }

    /// The name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Thread => "thread",
            Self::Desk => "desk",
        }
    }
}

/// Whether a conversation is going on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It goes on.
    #[default]
    Open,
    /// Either side closed it; the next message reopens it.
    Closed,
}

impl Status {
    /// The name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// What an agent may do in its project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything, other owners included.
    Owner,
    /// Everything but owners.
    Admin,
    /// Answers conversations.
    Agent,
    /// Reads, writes nothing.
    Viewer,
}

/// Who wrote an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Author {
    /// The conversation's visitor.
    Visitor {
        /// Who.
        id: VisitorId,
        /// The name it gave or its site vouched for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// An agent of the project.
    Agent {
        /// Who.
        id: AgentId,
        /// The name at the time of writing.
        name: String,
    },
    /// Deskbell itself: routing, timers.
    System {},
}

/// An agent as named inside an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentRef {
    /// Who.
    pub id: AgentId,
    /// The name at the time.
    pub name: String,
}

/// Who moved a conversation: an agent's id, or `routing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(example = "routing")]
pub enum MovedBy {
    /// An agent did.
    Agent(AgentId),
    /// Deskbell's routing did.
    Routing(RoutingWord),
}

impl MovedBy {
    /// Deskbell's routing.
    pub const ROUTING: Self = Self::Routing(RoutingWord::Routing);
}

/// The word `routing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoutingWord {
    /// The word.
    Routing,
}

/// What happened: the `event` and `body` of an entry, in the log as on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", content = "body", rename_all = "snake_case")]
pub enum Event {
    /// Thread: somebody said something.
    Message {
        /// 1 to 8,000 characters, NFC.
        text: String,
    },
    /// Thread: an agent joined.
    Joined {
        /// Who.
        agent: AgentRef,
    },
    /// Thread: an agent left.
    Left {
        /// Who.
        agent: AgentRef,
    },
    /// Thread: the author closed the conversation.
    Closed {},
    /// Thread: the author's message, which follows, reopened it.
    Reopened {},
    /// Thread: the visitor rated the conversation.
    Rated {
        /// 1 (bad) to 5 (good).
        score: u8,
        /// What it said about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
    },
    /// Desk: an internal note.
    Note {
        /// 1 to 8,000 characters, NFC.
        text: String,
    },
    /// Desk: nobody's conversation became somebody's.
    Assigned {
        /// Whose it is now.
        to: AgentId,
        /// Who decided so.
        by: MovedBy,
    },
    /// Desk: it is nobody's again.
    Unassigned {
        /// Whose it was.
        from: AgentId,
        /// Who decided so.
        by: MovedBy,
    },
    /// Desk: from one agent to another.
    Transferred {
        /// Whose it was.
        from: AgentId,
        /// Whose it is now.
        to: AgentId,
        /// Who decided so.
        by: MovedBy,
    },
    /// Desk: the visitor looked at a page.
    Page {
        /// Where, without query and fragment.
        url: String,
        /// The page's title.
        title: String,
    },
    /// Desk: the author shut the visitor out.
    Banned {},
    /// Desk: the author let the visitor in again.
    Unbanned {},
}

impl Event {
    /// The lane this kind of event is written to.
    pub const fn lane(&self) -> Lane {
        match self {
            Self::Message { .. }
            | Self::Joined { .. }
            | Self::Left { .. }
            | Self::Closed {}
            | Self::Reopened {}
            | Self::Rated { .. } => Lane::Thread,
            Self::Note { .. }
            | Self::Assigned { .. }
            | Self::Unassigned { .. }
            | Self::Transferred { .. }
            | Self::Page { .. }
            | Self::Banned {}
            | Self::Unbanned {} => Lane::Desk,
        }
    }
}

/// An event that was decided and is not yet in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Who causes it.
    pub from: Author,
    /// What it is.
    pub event: Event,
    /// The client's key, on the one entry that answers its command.
    pub key: Option<Key>,
}

/// One line of a conversation's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// Its lane.
    pub lane: Lane,
    /// Its place in the lane: 1, 2, 3 ... without gaps.
    pub seq: u64,
    /// Its own id.
    pub id: EntryId,
    /// When it was decided.
    pub at: Millis,
    /// The session it came from; none for what Deskbell itself wrote.
    pub session: Option<SessionId>,
    /// Who wrote it.
    pub from: Author,
    /// The client's key, if it answers a command.
    pub key: Option<Key>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// A client-made key: 1 to 64 characters of `[A-Za-z0-9_-]`, unique for its sender within a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[schema(value_type = String, pattern = "^[A-Za-z0-9_-]{1,64}$")]
pub struct Key(Box<str>);

impl Key {
    /// Checks `text`; `None` when it is no key.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=64).contains(&text.len());
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        (fits && plain).then(|| Self(text.into()))
    }

    /// The key's characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("`key` takes 1 to 64 characters of A-Z a-z 0-9 _ -"))
    }
}

/// A visitor or an agent, as the one who reads or types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Who {
    /// The conversation's visitor.
    Visitor(VisitorId),
    /// An agent.
    Agent(AgentId),
}

/// Whether an agent is here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentStatus {
    /// Takes new conversations.
    Online,
    /// Here, takes none.
    Away,
    /// No session.
    #[default]
    Offline,
}

/// A place in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Queue {
    /// 1 is next.
    pub position: u64,
    /// About how long, in milliseconds; missing when nobody is online.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_ms: Option<Millis>,
}

/// How serious a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeLevel {
    /// Good to know.
    Info,
    /// Something is not as it should be.
    Warning,
}

/// How far each side has come in the thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Watermarks {
    /// The visitor's watermark, a `seq` of the thread.
    pub visitor: u64,
    /// The agents' watermark: the furthest of any of them.
    pub agent: u64,
}

impl Watermarks {
    /// The watermark of the side that `who` is on.
    pub const fn of(&mut self, who: Who) -> &mut u64 {
        match who {
            Who::Visitor(_) => &mut self.visitor,
            Who::Agent(_) => &mut self.agent,
        }
    }

    /// Of each side the further one.
    #[must_use]
    pub fn furthest(self, other: Self) -> Self {
        Self { visitor: self.visitor.max(other.visitor), agent: self.agent.max(other.agent) }
    }
}

/// How far each side has read, and how far it has been brought to a device of that side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Seen by the person.
    pub read: Watermarks,
    /// Arrived at a device; never behind `read`.
    pub delivered: Watermarks,
}

impl Marks {
    /// Of each mark the further one.
    #[must_use]
    pub fn furthest(self, other: Self) -> Self {
        Self { read: self.read.furthest(other.read), delivered: self.delivered.furthest(other.delivered) }
    }
}

/// A conversation's present state: what all its entries add up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// The project it belongs to.
    pub project: ProjectId,
    /// Its id.
    pub id: ConversationId,
    /// Whose it is.
    pub visitor: VisitorId,
    /// The visitor's name, if known.
    pub visitor_name: Option<String>,
    /// Changes only when the log was restored or purged: a client's position in another epoch means nothing.
    pub epoch: String,
    /// Whether it goes on.
    pub status: Status,
    /// The last `seq` of the thread.
    pub seq: u64,
    /// The last `seq` of the desk lane.
    pub desk_seq: u64,
    /// Which agent has it.
    pub assignee: Option<AgentRef>,
    /// Since when the visitor waits for an answer.
    pub waiting_since: Option<Millis>,
    /// How far both sides have read.
    pub read: Watermarks,
    /// How far both sides' devices said that they have it. What was read has arrived, too: [`Conversation::marks`].
    pub delivered: Watermarks,
    /// Messages of the visitor that no agent has read.
    pub unread: u64,
    /// The beginning of the newest message, at most [`text::PREVIEW_CHARS`] characters.
    pub preview: String,
    /// When the newest message was written.
    pub at: Millis,
    /// When it was opened.
    pub created_at: Millis,
}

impl Conversation {
    /// A conversation that nobody has written into yet.
    pub fn new(project: ProjectId, id: ConversationId, visitor: VisitorId, epoch: String, at: Millis) -> Self {
        Self {
            project,
            id,
            visitor,
            visitor_name: None,
            epoch,
            status: Status::Open,
            seq: 0,
            desk_seq: 0,
            assignee: None,
            waiting_since: None,
            read: Watermarks::default(),
            delivered: Watermarks::default(),
            unread: 0,
            preview: String::new(),
            at,
            created_at: at,
        }
    }

    /// The last `seq` of `lane`.
    pub const fn last_seq(&self, lane: Lane) -> u64 {
        match lane {
            Lane::Thread => self.seq,
            Lane::Desk => self.desk_seq,
        }
    }

    /// How far both sides have come.
    pub fn marks(&self) -> Marks {
        Marks { read: self.read, delivered: self.delivered.furthest(self.read) }
    }

    /// Moves marks forward; one that is further already stays.
    pub fn advance(&mut self, marks: Marks) {
        let read = self.read.agent;
        self.read = self.read.furthest(marks.read);
        self.delivered = self.delivered.furthest(marks.delivered);
        if self.read.agent > read {
            // Exact at the end, where it matters; in the middle at most what is left.
            self.unread = self.unread.min(self.seq.saturating_sub(self.read.agent));
        }
    }

    /// Whether it stands in line: open, nobody's, and its visitor waits.
    pub const fn is_queued(&self) -> bool {
        matches!(self.status, Status::Open) && self.assignee.is_none() && self.waiting_since.is_some()
    }
}

/// Why a command is not carried out. Its text is for the person at the other end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A field is wrong; the text names it.
    #[error("{0}")]
    BadRequest(String),
    /// Known, but not allowed.
    #[error("{0}")]
    Forbidden(String),
    /// No such conversation, or none that the actor may see.
    #[error("there is no such conversation")]
    NotFound,
    /// The state does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// A body over its limit; the text says the limit.
    #[error("{0}")]
    TooLarge(String),
}
