//! What the log tells about conversations and visitors.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Error, Log};
use crate::{
    clock::Millis,
    domain::{Conversation, Entry, Key, Lane, ReadMarks, Status},
    ids::{AgentId, ConversationId, ProjectId, VisitorId},
};

/// A conversation as it was loaded.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Its state.
    pub state: Conversation,
    /// All keys ever used in it, of both lanes, with the entries that answered them.
    pub keys: Vec<KnownKey>,
}

/// A key that was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// The lane of the entry that answers it.
    pub lane: Lane,
    /// That entry's `seq`.
    pub seq: u64,
    /// The visitor or agent who used it.
    pub sender: Uuid,
    /// The key.
    pub key: Key,
}

/// What is known of a visitor. It has a row from its first conversation on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisitorRecord {
    /// The project whose site it visits.
    pub project: ProjectId,
    /// Its id.
    pub id: VisitorId,
    /// What the site itself calls it, when the site vouched for it.
    pub subject: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its e-mail address.
    pub email: Option<String>,
    /// What else it filled in.
    pub fields: BTreeMap<String, String>,
    /// When it first wrote.
    pub created_at: Millis,
    /// When it last opened a conversation or was identified.
    pub seen_at: Millis,
}

/// Which heads the inbox shows.
#[derive(Clone, Debug, Default)]
pub struct InboxQuery {
    /// Only of this status.
    pub status: Option<Status>,
    /// Only of this agent (`Some(Some(..))`) or nobody's (`Some(None)`).
    pub assignee: Option<Option<AgentId>>,
    /// Only of visitors whose name or e-mail address contains this, upper and lower case alike.
    pub visitor: Option<String>,
    /// Only those after the page that gave this cursor. What is no cursor starts at the beginning.
    pub before: Option<String>,
    /// How many at most.
    pub limit: u32,
}

/// A page of the inbox.
#[derive(Clone, Debug)]
pub struct InboxRows {
    /// Newest message first.
    pub rows: Vec<Conversation>,
    /// For the next page; none on the last one.
    pub cursor: Option<String>,
}

impl Log {
    /// A conversation of `project`, with all its keys; none if there is none.
    pub async fn load(&self, project: ProjectId, conversation: ConversationId) -> Result<Option<Loaded>, Error> {
        let _ = (project, conversation);
        Err(Error::Damaged("row"))
    }

    /// One entry.
    pub async fn entry(&self, conversation: ConversationId, lane: Lane, seq: u64) -> Result<Option<Entry>, Error> {
        let _ = (conversation, lane, seq);
        Err(Error::Damaged("row"))
    }

    /// The first `limit` entries after `after`, ascending.
    pub async fn read_after(
        &self,
        conversation: ConversationId,
        lane: Lane,
        after: u64,
        limit: u64,
    ) -> Result<Vec<Entry>, Error> {
        let _ = (conversation, lane, after, limit);
        Err(Error::Damaged("row"))
    }

    /// The last `limit` entries before `before` (`u64::MAX`: the newest), ascending.
    pub async fn read_before(
        &self,
        conversation: ConversationId,
        lane: Lane,
        before: u64,
        limit: u64,
    ) -> Result<Vec<Entry>, Error> {
        let _ = (conversation, lane, before, limit);
        Err(Error::Damaged("row"))
    }

    /// A visitor's conversations, newest message first, at most 50.
    pub async fn conversations_of(&self, project: ProjectId, visitor: VisitorId) -> Result<Vec<Conversation>, Error> {
        let _ = (project, visitor);
        Err(Error::Damaged("row"))
    }

    /// The conversation that the visitor opened with `key`.
    pub async fn find_open(
        &self,
        project: ProjectId,
        visitor: VisitorId,
        key: &Key,
    ) -> Result<Option<ConversationId>, Error> {
        let _ = (project, visitor, key);
        Err(Error::Damaged("row"))
    }

    /// All open conversations of a project, longest waiting first.
    pub async fn open_conversations(&self, project: ProjectId) -> Result<Vec<Conversation>, Error> {
        let _ = project;
        Err(Error::Damaged("row"))
    }

    /// A page of the inbox.
    pub async fn inbox(&self, project: ProjectId, query: &InboxQuery) -> Result<InboxRows, Error> {
        let _ = (project, query);
        Err(Error::Damaged("row"))
    }

    /// How many open conversations are `agent`'s, nobody's, and in all.
    pub async fn counts(&self, project: ProjectId, agent: AgentId) -> Result<(u64, u64, u64), Error> {
        let _ = (project, agent);
        Err(Error::Damaged("row"))
    }

    /// Moves a conversation's read marks forward; a mark never goes back.
    pub async fn mark_read(&self, conversation: ConversationId, marks: ReadMarks) -> Result<(), Error> {
        let _ = (conversation, marks);
        Err(Error::Damaged("row"))
    }

    /// What is known of a visitor.
    pub async fn visitor(&self, project: ProjectId, visitor: VisitorId) -> Result<Option<VisitorRecord>, Error> {
        let _ = (project, visitor);
        Err(Error::Damaged("row"))
    }

    /// The anonymous visitor `from` turned out to be the identified one `to`: its conversations move over, and what was
    /// known of it fills what is not known of `to`. Returns the conversations that moved.
    pub async fn adopt(&self, from: VisitorId, to: &VisitorRecord) -> Result<Vec<ConversationId>, Error> {
        let _ = (from, to);
        Err(Error::Damaged("row"))
    }
}
