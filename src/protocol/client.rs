//! What clients send. How a frame is read stands in [`parse`].

mod parse;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::parse::ParseError;
use crate::{
    domain::{Key, Lane},
    ids::{AgentId, ConversationId},
    protocol::OLDEST_CLIENTS,
};

/// One object of an inbound frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClientFrame {
    /// Asks for exactly one `ok` or `error` with the same number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// The command.
    #[serde(flatten)]
    pub command: Command,
}

/// The first frame of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Connect {
    /// A session token; never in a URL.
    pub token: String,
    /// What program this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientInfo>,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resume: Vec<Position>,
}

/// A client's name and version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClientInfo {
    /// For example `widget`.
    pub name: String,
    /// For example `1.0.0`.
    pub version: String,
}

impl ClientInfo {
    /// Whether it is one of this project's own clients, older than those in [`OLDEST_CLIENTS`]. What is no version, three
    /// numbers with dots, is not judged.
    pub fn is_too_old(&self) -> bool {
        let oldest = OLDEST_CLIENTS.iter().find(|(name, _)| *name == self.name).and_then(|(_, oldest)| numbers(oldest));
        oldest.is_some_and(|oldest| numbers(&self.version).is_some_and(|version| version < oldest))
    }
}

/// The three numbers of a version, e.g. of `1.4.0`.
fn numbers(version: &str) -> Option<[u32; 3]> {
    let numbers: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
    numbers?.try_into().ok()
}

/// The last entry that a client has of one lane of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Position {
    /// The conversation.
    pub conversation: ConversationId,
    /// The epoch in which `seq` counts.
    pub epoch: String,
    /// The lane; `thread` when missing.
    #[serde(default, skip_serializing_if = "Lane::is_thread")]
    pub lane: Lane,
    /// The last one seen.
    pub seq: u64,
}

/// A text as sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Body {
    /// 1 to 8,000 Unicode characters after NFC.
    #[schema(min_length = 1, max_length = 8000)]
    pub text: String,
}

/// A page that the visitor looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page {
    /// http or https; query and fragment are cut off.
    pub url: String,
    /// The page's title.
    #[serde(default)]
    pub title: String,
}

/// What the visitor filled in: a flat map, `name` and `email` known.
pub type Fields = std::collections::BTreeMap<String, String>;

/// Which heads an agent wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InboxFilter {
    /// `open` when missing.
    #[serde(default)]
    pub status: StatusFilter,
    /// `me`, `none`, `any` (when missing) or an agent's id.
    #[serde(default)]
    pub assignee: AssigneeFilter,
    /// Part of the visitor's name or e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visitor: Option<String>,
}

/// Which conversations, by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatusFilter {
    /// Those that go on.
    #[default]
    Open,
    /// Those that ended.
    Closed,
    /// All.
    Any,
}

/// Which conversations, by assignee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(example = "me")]
pub enum AssigneeFilter {
    /// One agent's.
    Agent(AgentId),
    /// `me`, `none` or `any`.
    Word(AssigneeWord),
}

impl Default for AssigneeFilter {
    fn default() -> Self {
        Self::Word(AssigneeWord::Any)
    }
}

/// The words of an [`AssigneeFilter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AssigneeWord {
    /// The asking agent's.
    Me,
    /// Nobody's.
    None,
    /// All.
    Any,
}

/// To whom a conversation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(example = "me")]
pub enum AssignTarget {
    /// This agent, whoever has it now.
    Agent(AgentId),
    /// `me`: takes only what nobody has.
    Me(MeWord),
    /// `null`: back to the line.
    Nobody,
}

/// The word `me`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MeWord {
    /// The word.
    Me,
}

/// What an agent says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// Takes new conversations.
    Online,
    /// Here, takes none.
    Away,
}

macro_rules! commands {
    ($($(#[$doc:meta])* $name:literal $variant:ident($body:ident),)*) => {
        /// What a client wants.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
        #[serde(tag = "type", rename_all = "snake_case")]
        pub enum Command {
            $($(#[$doc])* $variant($body),)*
        }

        impl Command {
            /// Every `type` that a client may send.
            pub const NAMES: &[&str] = &[$($name),*];

            /// Its `type`.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                }
            }

            fn parse(name: &str, line: &str) -> Option<Result<Self, String>> {
                Some(match name {
                    $($name => parse::body::<$body>(line).map(Self::$variant),)*
                    _ => return None,
                })
            }
        }
    };
}

commands! {
    /// First frame: who this is and where it was.
    "connect" Connect(Connect),
    /// A new token for the same session's subject.
    "refresh" Refresh(Refresh),
    /// Answers the server's `ping`.
    "pong" Pong(Pong),
    /// Visitors: begin a conversation.
    "open" Open(Open),
    /// Say something.
    "send" Send(Send),
    /// Agents: write an internal note.
    "note" Note(Note),
    /// Agents: subscribe to both lanes.
    "watch" Watch(Watch),
    /// Agents: unsubscribe.
    "unwatch" Unwatch(Unwatch),
    /// Entries before or after a `seq`.
    "history" History(History),
    /// Watermark: seen by the person.
    "read" Read(Read),
    /// Watermark: arrived at a device.
    "delivered" Delivered(Delivered),
    /// Never stored.
    "typing" Typing(Typing),
    /// End a conversation.
    "close" Close(Close),
    /// Visitors: rate it.
    "rate" Rate(Rate),
    /// Visitors: the page they look at.
    "page" Page(PageView),
    /// Agents: the heads of conversations.
    "inbox" Inbox(Inbox),
    /// Agents: online or away.
    "availability" Availability(SetAvailability),
    /// Agents: take, give, hand back.
    "assign" Assign(Assign),
    /// Agents: shut a conversation's visitor out, or let it in again.
    "ban" Ban(Ban),
}

/// `refresh`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refresh {
    /// For the same subject and project.
    pub token: String,
}

/// `pong`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pong {}

/// `open`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Open {
    /// The same key by the same visitor gives the same conversation.
    pub key: Key,
    /// The first message.
    pub body: Body,
    /// What the visitor filled in: at most 20 fields, names of 40 and values of 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Fields>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<Page>,
}

/// `send`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Send {
    /// Where.
    pub conversation: ConversationId,
    /// Makes it safe to send again.
    pub key: Key,
    /// What.
    pub body: Body,
}

/// `note`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Note {
    /// Where.
    pub conversation: ConversationId,
    /// Makes it safe to send again.
    pub key: Key,
    /// What.
    pub body: Body,
}

/// `watch`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Watch {
    /// What to subscribe to.
    pub conversation: ConversationId,
    /// The epoch of the positions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
    /// The last seen of the thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The last seen of the desk lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desk_seq: Option<u64>,
}

/// `unwatch`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Unwatch {
    /// What to unsubscribe from.
    pub conversation: ConversationId,
}

/// `history`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// Of what.
    pub conversation: ConversationId,
    /// Of which lane; `thread` when missing.
    #[serde(default, skip_serializing_if = "Lane::is_thread")]
    pub lane: Lane,
    /// The newest ones before this `seq`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// The oldest ones after this `seq`. Not together with `before`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// How many, 1 to 200.
    #[serde(default = "History::default_limit")]
    pub limit: u32,
}

impl History {
    const fn default_limit() -> u32 {
        50
    }
}

/// `read`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Read {
    /// Where.
    pub conversation: ConversationId,
    /// Everything of the thread up to here.
    pub seq: u64,
}

/// `delivered`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivered {
    /// Where.
    pub conversation: ConversationId,
    /// Everything of the thread up to here.
    pub seq: u64,
}

/// `typing`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Typing {
    /// Where.
    pub conversation: ConversationId,
    /// Whether.
    pub on: bool,
    /// A visitor's draft so far, if its site shows drafts to agents; at most 8,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// `close`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Close {
    /// What.
    pub conversation: ConversationId,
    /// Makes it safe to send again.
    pub key: Key,
}

/// `rate`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rate {
    /// What.
    pub conversation: ConversationId,
    /// Makes it safe to send again.
    pub key: Key,
    /// 1 (bad) to 5 (good).
    #[schema(minimum = 1, maximum = 5)]
    pub score: u8,
    /// At most 1,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// `page`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PageView {
    /// The page.
    pub page: Page,
}

/// `inbox`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Inbox {
    /// Which ones.
    #[serde(default)]
    pub filter: InboxFilter,
    /// How many, 1 to 100.
    #[serde(default = "Inbox::default_limit")]
    pub limit: u32,
    /// The `cursor` of the answer to go on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

impl Inbox {
    const fn default_limit() -> u32 {
        50
    }
}

/// `availability`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetAvailability {
    /// What.
    pub status: Availability,
}

/// `ban`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ban {
    /// Whose visitor.
    pub conversation: ConversationId,
    /// Out, or in again.
    pub on: bool,
}

/// `assign`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Assign {
    /// What.
    pub conversation: ConversationId,
    /// Makes it safe to send again.
    pub key: Key,
    /// To whom.
    pub to: AssignTarget,
}
