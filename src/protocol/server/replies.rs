//! What comes of each command.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Entry;
use crate::{
    clock::Millis,
    domain::{self, AgentStatus, Conversation, Lane, Queue, Role, Status, Watermarks},
    ids::{AgentId, ConversationId, EntryId, ProjectId, SessionId, VisitorId},
    protocol::client::Page,
};

/// To `connect`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Connected {
    /// The session that the token names.
    pub session: SessionId,
    /// Visitor or agent.
    pub kind: SubjectKind,
    /// The visitor's or agent's id.
    pub subject: String,
    /// Its name, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Silence after which the server sends `ping`.
    pub heartbeat_ms: u64,
    /// How long the token still holds.
    pub token_ttl_ms: Millis,
    /// The largest frame that a client may send.
    pub max_frame_bytes: usize,
    /// Within what time to come back after 4001.
    pub reconnect_window_ms: u64,
    /// A visitor's own conversations; of an agent's, those it named.
    pub conversations: Vec<Resumed>,
    /// Agents only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Agents only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectInfo>,
    /// To agents, all colleagues; to visitors, how many agents are online.
    pub agents: AgentsHere,
}

/// What kind of subject a session has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// A visitor of the project's site.
    Visitor,
    /// An agent of the project.
    Agent,
}

/// A project, as its agents see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectInfo {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// What the site's embed snippet names.
    pub public_key: String,
}

/// Who answers in this project: a list for agents, a count for visitors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum AgentsHere {
    /// Every agent that is not disabled.
    List(Vec<Colleague>),
    /// How many are online.
    Count(AgentCount),
}

/// How many agents are online.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentCount {
    /// That many.
    pub online: u32,
}

/// An agent, as its colleagues see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Colleague {
    /// Who.
    pub id: AgentId,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Whether it is here.
    pub status: AgentStatus,
    /// Open conversations it has.
    pub load: u32,
    /// How many it takes at once.
    pub capacity: u32,
}

/// An agent as named beside a conversation.
pub type AgentName = domain::AgentRef;

/// One conversation in the answer to `connect`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Resumed {
    /// Which.
    pub conversation: ConversationId,
    /// The epoch in which positions count.
    pub epoch: String,
    /// The lane that `seq` and `entries` are of.
    #[serde(default, skip_serializing_if = "Lane::is_thread")]
    pub lane: Lane,
    /// The last one of the lane.
    pub seq: u64,
    /// Whether it goes on.
    pub status: Status,
    /// False: drop what you hold, `entries` are the newest.
    pub resumed: bool,
    /// What was missed, ascending.
    pub entries: Vec<Entry>,
    /// How far both sides have read.
    pub read: Watermarks,
    /// How far both sides' devices have it; never behind `read`.
    pub delivered: Watermarks,
    /// Who has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<AgentName>,
    /// Its place in line, while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queue>,
}

/// To `open`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Opened {
    /// The conversation, new or that of the same key.
    pub conversation: ConversationId,
    /// The epoch in which `seq` counts.
    pub epoch: String,
    /// The message's own `seq`.
    pub seq: u64,
    /// The message's id.
    pub entry: EntryId,
    /// When it was written.
    pub at: Millis,
    /// Whether it goes on.
    pub status: Status,
    /// Whether the key was known already.
    pub duplicate: bool,
    /// How far both sides have read.
    pub read: Watermarks,
    /// How far both sides' devices have it; never behind `read`.
    pub delivered: Watermarks,
    /// Its place in line, while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queue>,
    /// Who has it, when it was routed at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<AgentName>,
}

/// To `send` and `note`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Written {
    /// Its place in its lane.
    pub seq: u64,
    /// Its id.
    pub entry: EntryId,
    /// When it was written.
    pub at: Millis,
    /// Whether the key was known already: then this is the first one's result.
    pub duplicate: bool,
}

/// To `watch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Watched {
    /// Which.
    pub conversation: ConversationId,
    /// The epoch in which positions count.
    pub epoch: String,
    /// Whether it goes on.
    pub status: Status,
    /// The last one of the thread.
    pub seq: u64,
    /// The last one of the desk lane.
    pub desk_seq: u64,
    /// False: drop what you hold, `entries` are the newest.
    pub resumed: bool,
    /// The thread's, then the desk lane's, each ascending.
    pub entries: Vec<Entry>,
    /// Who rings.
    pub visitor: VisitorCard,
    /// Who has it.
    #[schema(required)]
    pub assignee: Option<AgentName>,
    /// How far both sides have read.
    pub read: Watermarks,
    /// How far both sides' devices have it; never behind `read`.
    pub delivered: Watermarks,
    /// Which agents look at it, the asking one included.
    pub viewing: Vec<AgentName>,
}

/// What agents see of a visitor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VisitorCard {
    /// Who.
    pub id: VisitorId,
    /// The name it gave, or its site vouched for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its e-mail address, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether its site vouches for it.
    pub identified: bool,
    /// What it filled in.
    pub fields: BTreeMap<String, String>,
    /// Whether an agent shut it out.
    #[serde(default)]
    pub banned: bool,
    /// The page it looks at, while it is here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<Page>,
    /// Its other conversations, newest first.
    pub conversations: Vec<PastConversation>,
}

/// An earlier conversation of a visitor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PastConversation {
    /// Which.
    pub conversation: ConversationId,
    /// Whether it goes on.
    pub status: Status,
    /// When the newest message was written.
    pub at: Millis,
    /// How the newest message begins.
    pub preview: String,
}

/// To `history`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryPage {
    /// Ascending.
    pub entries: Vec<Entry>,
    /// Whether there are more in that direction.
    pub more: bool,
}

/// To `inbox`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InboxPage {
    /// Newest first.
    pub heads: Vec<Head>,
    /// Goes into `before` for the next page; missing on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Of the whole inbox.
    pub counts: Counts,
}

/// How many open conversations there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    /// The asking agent's.
    pub mine: u64,
    /// Nobody's.
    pub unassigned: u64,
    /// All.
    pub open: u64,
}

/// A conversation's state, as a row of the inbox. The one with the higher (`seq`, `desk_seq`) wins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Head {
    /// Which.
    pub conversation: ConversationId,
    /// The epoch in which positions count.
    pub epoch: String,
    /// Whether it goes on.
    pub status: Status,
    /// The last one of the thread.
    pub seq: u64,
    /// The last one of the desk lane.
    pub desk_seq: u64,
    /// Who rings.
    pub visitor: VisitorName,
    /// Whose it is.
    #[schema(required)]
    pub assignee: Option<AgentId>,
    /// Since when the visitor waits for an answer.
    #[schema(required)]
    pub waiting_since: Option<Millis>,
    /// Messages of the visitor that no agent has read.
    pub unread: u64,
    /// How the newest message begins.
    pub preview: String,
    /// When the newest message was written.
    pub at: Millis,
}

/// A visitor as named in a head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VisitorName {
    /// Who.
    pub id: VisitorId,
    /// Its name, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// To `refresh`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refreshed {
    /// How long the new token holds.
    pub token_ttl_ms: Millis,
}

/// To `assign`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Assigned {
    /// The move's place in the desk lane.
    pub desk_seq: u64,
}

/// To `close` and `rate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sequenced {
    /// Its place in the thread.
    pub seq: u64,
}

/// To commands that only succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Done {}

impl Head {
    /// A conversation's state as a row of the inbox.
    pub fn of(state: &Conversation) -> Self {
        Self {
            conversation: state.id,
            epoch: state.epoch.clone(),
            status: state.status,
            seq: state.seq,
            desk_seq: state.desk_seq,
            visitor: VisitorName { id: state.visitor, name: state.visitor_name.clone() },
            assignee: state.assignee.as_ref().map(|holder| holder.id),
            waiting_since: state.waiting_since,
            unread: state.unread,
            preview: state.preview.clone(),
            at: state.at,
        }
    }
}
