//! What the server sends. The answers to commands stand in [`replies`].

mod replies;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::replies::*;
use crate::{
    clock::Millis,
    domain::{self, AgentStatus, Author, Event, Key, Lane, NoticeLevel, Queue, Who},
    ids::{AgentId, ConversationId, EntryId},
};

/// One object of an outbound frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame {
    /// A command was carried out.
    Ok(Ok),
    /// A command was not carried out.
    Error(Error),
    /// Something happened in a conversation.
    Entry(Box<Entry>),
    /// Somebody read on.
    Read(ReadUpdate),
    /// A device of somebody's got something.
    Delivered(DeliveredUpdate),
    /// Somebody types, or stopped.
    Typing(TypingUpdate),
    /// Who is here.
    Presence(Presence),
    /// Which agents look at a conversation (to agents who do, too).
    Viewing(Viewing),
    /// How the waiting visitor's place in line moved.
    Queue(QueueUpdate),
    /// A head that changed (to agents).
    Inbox(InboxUpdate),
    /// Something to tell the person.
    Notice(Notice),
    /// The token runs out soon: send `refresh`.
    TokenExpiring(TokenExpiring),
    /// Answer with `pong`.
    Ping(Ping),
}

impl ServerFrame {
    /// The frame as one line of JSON.
    pub fn encode(&self) -> String {
        encode(self, USUAL_BYTES)
    }
}

/// As many bytes as most frames have, but for what people wrote in them.
const USUAL_BYTES: usize = 384;

/// About as many bytes as a frame with this event takes.
fn entry_bytes(event: &Event) -> usize {
    match event {
        Event::Message { text } | Event::Note { text } => USUAL_BYTES + text.len() + text.len() / 16,
        _ => USUAL_BYTES,
    }
}

/// As one line of JSON. With room for about as much as it takes it is written without looking for a larger place half way.
fn encode(frame: &impl Serialize, usual_bytes: usize) -> String {
    let mut bytes = Vec::with_capacity(usual_bytes);
    // Serialising these types can't fail: no map with non-string keys, no failing Serialize. What is written is UTF-8.
    serde_json::to_writer(&mut bytes, frame).ok();
    String::from_utf8(bytes).unwrap_or_default()
}

/// `ok`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Ok {
    /// The command's number.
    pub id: u32,
    /// What came of it.
    #[serde(flatten)]
    pub reply: Reply,
}

/// What came of a command. Told apart by the command that was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Reply {
    /// To `connect`.
    Connected(Box<Connected>),
    /// To `watch`.
    Watched(Box<Watched>),
    /// To `open`.
    Opened(Box<Opened>),
    /// To `inbox`.
    Inbox(InboxPage),
    /// To `history`.
    History(HistoryPage),
    /// To `send`, `note`.
    Written(Written),
    /// To `refresh`.
    Refreshed(Refreshed),
    /// To `assign`.
    Assigned(Assigned),
    /// To `close`, `rate`.
    Sequenced(Sequenced),
    /// To all others.
    Done(Done),
}

/// What programs tell errors apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// A field is missing, too long or of the wrong kind; `message` names it.
    BadRequest,
    /// No such command in this version.
    UnknownType,
    /// The token is missing, malformed, expired or revoked.
    Unauthorized,
    /// Known, but not allowed here.
    Forbidden,
    /// No such conversation, or none that you may see.
    NotFound,
    /// The state does not allow it; `message` says which.
    Conflict,
    /// Body over the limit; the limit is in `message`.
    TooLarge,
    /// Slow down; has `retry_ms`.
    RateLimited,
    /// The log can't be written now; nothing was stored; has `retry_ms`.
    Unavailable,
    /// Our fault; has `retry_ms`; the message names a trace id.
    Internal,
}

impl ErrorCode {
    /// All of them, in the order of the protocol's table.
    pub const ALL: &[Self] = &[
        Self::BadRequest,
        Self::UnknownType,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::TooLarge,
        Self::RateLimited,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::UnknownType => "unknown_type",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

/// `error`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Error {
    /// The command's number, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// May be tried again unchanged after this long; missing: may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_ms: Option<u64>,
    /// The trace in which the operator finds what happened: 32 hexadecimal digits. Missing where none was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// `entry`: one line of a conversation's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// Its lane.
    #[serde(default, skip_serializing_if = "Lane::is_thread")]
    pub lane: Lane,
    /// Its conversation.
    pub conversation: ConversationId,
    /// The epoch in which `seq` counts.
    pub epoch: String,
    /// Its place in the lane.
    pub seq: u64,
    /// The one before it.
    pub prev: u64,
    /// Its id.
    pub entry: EntryId,
    /// When it was written.
    pub at: Millis,
    /// The key of the command that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// Who wrote it.
    pub from: Author,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Entry {
    /// An entry of the log as a client sees it.
    pub fn of(entry: &domain::Entry, epoch: &str) -> Self {
        Self {
            lane: entry.lane,
            conversation: entry.conversation,
            epoch: epoch.to_owned(),
            seq: entry.seq,
            prev: entry.seq.saturating_sub(1),
            entry: entry.id,
            at: entry.at,
            key: entry.key.clone(),
            from: entry.from.clone(),
            event: entry.event.clone(),
        }
    }
}

/// The frame of an [`Entry`], written from the log's without copying it first.
#[derive(Serialize)]
#[serde(tag = "type", rename = "entry")]
struct EntryFrame<'e> {
    #[serde(skip_serializing_if = "Lane::is_thread")]
    lane: Lane,
    conversation: ConversationId,
    epoch: &'e str,
    seq: u64,
    prev: u64,
    entry: EntryId,
    at: Millis,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'e Key>,
    from: &'e Author,
    #[serde(flatten)]
    event: &'e Event,
}

/// The frame of an entry of the log, as one line of JSON: what [`ServerFrame::encode`] makes of [`Entry::of`].
pub fn encode_entry(entry: &domain::Entry, epoch: &str) -> String {
    let frame = EntryFrame {
        lane: entry.lane,
        conversation: entry.conversation,
        epoch,
        seq: entry.seq,
        prev: entry.seq.saturating_sub(1),
        entry: entry.id,
        at: entry.at,
        key: entry.key.as_ref(),
        from: &entry.from,
        event: &entry.event,
    };
    encode(&frame, entry_bytes(&entry.event))
}

/// `read`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadUpdate {
    /// Where.
    pub conversation: ConversationId,
    /// Who.
    pub by: Who,
    /// Everything up to here.
    pub seq: u64,
}

/// `delivered`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveredUpdate {
    /// Where.
    pub conversation: ConversationId,
    /// Whose device.
    pub by: Who,
    /// Everything up to here.
    pub seq: u64,
}

/// `typing`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TypingUpdate {
    /// Where.
    pub conversation: ConversationId,
    /// Who.
    pub by: Who,
    /// Whether.
    pub on: bool,
    /// The visitor's draft; to agents only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// `presence`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Presence {
    /// To visitors: how many agents are online.
    Agents {
        /// The count.
        agents: AgentCount,
    },
    /// To agents: how one of them is.
    Agent {
        /// Who.
        agent: AgentId,
        /// Whether it is here.
        status: AgentStatus,
        /// Open conversations it has.
        load: u32,
        /// How many it takes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        capacity: Option<u32>,
    },
}

/// `viewing`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Viewing {
    /// What.
    pub conversation: ConversationId,
    /// By whom.
    pub agents: Vec<AgentName>,
}

/// `queue`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueUpdate {
    /// Which conversation waits.
    pub conversation: ConversationId,
    /// Where.
    #[serde(flatten)]
    pub queue: Queue,
}

/// `inbox`, unasked
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InboxUpdate {
    /// The head as it is now.
    pub conversation: Head,
}

/// `notice`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Notice {
    /// How serious.
    pub level: NoticeLevel,
    /// What.
    pub text: String,
}

/// `token_expiring`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenExpiring {
    /// In how long.
    pub in_ms: Millis,
}

/// `ping`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ping {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::AgentRef,
        ids::{AgentId, SessionId, VisitorId},
    };

    fn of(from: Author, lane: Lane, key: Option<&str>, event: Event) -> domain::Entry {
        let (conversation, id) = (ConversationId::generate(), EntryId::generate());
        let session = Some(SessionId::generate());
        domain::Entry {
            conversation,
            lane,
            seq: 7,
            id,
            at: 1_700_000_000_123,
            session,
            from,
            key: key.and_then(Key::parse),
            event,
        }
    }

    #[test]
    fn an_entry_is_written_from_the_logs_as_from_a_copy() {
        let text = format!("{}\u{1}\"\n😀", "x".repeat(2_000));
        let agent = AgentRef { id: AgentId::generate(), name: "Ada \"A\"".to_owned() };
        let visitor = |name: Option<&str>| Author::Visitor { id: VisitorId::generate(), name: name.map(str::to_owned) };
        let by_agent = Author::Agent { id: agent.id, name: agent.name.clone() };
        for entry in [
            of(visitor(None), Lane::Thread, Some("k-1"), Event::Message { text: text.clone() }),
            of(visitor(Some("Zoë")), Lane::Thread, None, Event::Rated { score: 4, comment: None }),
            of(by_agent, Lane::Desk, Some("k-2"), Event::Note { text }),
            of(Author::System {}, Lane::Thread, None, Event::Joined { agent }),
            of(Author::System {}, Lane::Thread, None, Event::Closed {}),
        ] {
            let frame = encode_entry(&entry, "e-1");
            assert_eq!(frame, ServerFrame::Entry(Box::new(Entry::of(&entry, "e-1"))).encode());
            let read: ServerFrame = serde_json::from_str(&frame).unwrap();
            assert_eq!(read, ServerFrame::Entry(Box::new(Entry::of(&entry, "e-1"))));
        }
    }
}
