//! What the log tells about conversations and visitors.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use uuid::Uuid;

use super::{Error, Log, rows, sql::to_bigint};
use crate::{
    clock::Millis,
    domain::{Conversation, Entry, Key, Lane, Marks},
    ids::{AgentId, ConversationId, ProjectId, VisitorId},
};

/// What a write into a conversation goes by besides its state.
#[derive(Clone, Debug)]
pub struct Past {
    /// All keys ever used in it, of both lanes, with the entries that answered them.
    pub keys: Vec<KnownKey>,
    /// When its last entry, of either lane, was written.
    pub last_at: Millis,
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

/// The most conversations that [`Log::conversations_of`] returns.
const CONVERSATIONS: i64 = 50;

impl Log {
    /// The past of a conversation whose `state` was read before: an entry that is committed between the two only adds a key, and the
    /// first append on the older state is told that it is stale. It reads every entry.
    pub async fn past(&self, state: &Conversation) -> Result<Past, Error> {
        let keys = sqlx::query(
            "SELECT lane, seq, author_kind, author, client_key FROM found_entries \
             WHERE conversation = $1 AND client_key IS NOT NULL",
        );
        let keys = self.readers.fetch_all(keys.bind(state.id.to_string())).await?;
        let keys = keys.iter().filter_map(|row| known_key(row, state.visitor).transpose()).collect::<Result<_, _>>()?;
        Ok(Past { keys, last_at: self.last_at(state).await? })
    }

    /// The state of a conversation of `project`; none if there is none.
    pub async fn head(&self, project: ProjectId, conversation: ConversationId) -> Result<Option<Conversation>, Error> {
        let query = rows::select(rows::CONVERSATION, "conversations WHERE id = $1 AND project = $2");
        let query = sqlx::query(query).bind(conversation.to_string()).bind(project.to_string());
        self.readers.fetch_optional(query).await?.as_ref().map(rows::conversation).transpose()
    }

    /// When the last entry of either lane was written.
    async fn last_at(&self, state: &Conversation) -> Result<Millis, Error> {
        let query = sqlx::query(
            "SELECT COALESCE(MAX(at_ms), 0) AS last_ms FROM found_entries WHERE conversation = $1 \
             AND ((lane = 'thread' AND seq = $2) OR (lane = 'desk' AND seq = $3))",
        );
        let query = query.bind(state.id.to_string()).bind(to_bigint(state.seq)).bind(to_bigint(state.desk_seq));
        rows::number(&self.readers.fetch_one(query).await?, "last_ms")
    }

    /// One entry.
    pub async fn entry(&self, conversation: ConversationId, lane: Lane, seq: u64) -> Result<Option<Entry>, Error> {
        let query =
            sqlx::query(rows::select(rows::ENTRY, "found_entries WHERE conversation = $1 AND lane = $2 AND seq = $3"));
        let query = query.bind(conversation.to_string()).bind(lane.as_str()).bind(to_bigint(seq));
        self.readers.fetch_optional(query).await?.as_ref().map(rows::read_entry).transpose()
    }

    /// The first `limit` entries after `after`, ascending.
    pub async fn read_after(
        &self,
        conversation: ConversationId,
        lane: Lane,
        after: u64,
        limit: u64,
    ) -> Result<Vec<Entry>, Error> {
        let query = sqlx::query(rows::select(
            rows::ENTRY,
            "found_entries WHERE conversation = $1 AND lane = $2 AND seq > $3 ORDER BY seq LIMIT $4",
        ));
        let query = query.bind(conversation.to_string()).bind(lane.as_str()).bind(to_bigint(after));
        self.readers.fetch_all(query.bind(to_bigint(limit))).await?.iter().map(rows::read_entry).collect()
    }

    /// The last `limit` entries before `before` (`u64::MAX`: the newest), ascending.
    pub async fn read_before(
        &self,
        conversation: ConversationId,
        lane: Lane,
        before: u64,
        limit: u64,
    ) -> Result<Vec<Entry>, Error> {
        let query = sqlx::query(rows::select(
            rows::ENTRY,
            "found_entries WHERE conversation = $1 AND lane = $2 AND seq < $3 ORDER BY seq DESC LIMIT $4",
        ));
        let query = query.bind(conversation.to_string()).bind(lane.as_str()).bind(to_bigint(before));
        self.readers.fetch_all(query.bind(to_bigint(limit))).await?.iter().rev().map(rows::read_entry).collect()
    }

    /// A visitor's conversations, newest message first, at most 50.
    pub async fn conversations_of(&self, project: ProjectId, visitor: VisitorId) -> Result<Vec<Conversation>, Error> {
        let query = rows::select(
            rows::CONVERSATION,
            "conversations WHERE project = $1 AND visitor = $2 ORDER BY at_ms DESC, id DESC LIMIT $3",
        );
        let query = sqlx::query(query).bind(project.to_string()).bind(visitor.to_string()).bind(CONVERSATIONS);
        self.readers.fetch_all(query).await?.iter().map(rows::conversation).collect()
    }

    /// All conversations of a visitor, however many.
    pub async fn all_conversations_of(
        &self,
        project: ProjectId,
        visitor: VisitorId,
    ) -> Result<Vec<ConversationId>, Error> {
        let query = sqlx::query("SELECT id FROM conversations WHERE project = $1 AND visitor = $2");
        let query = query.bind(project.to_string()).bind(visitor.to_string());
        self.readers.fetch_all(query).await?.iter().map(|row| rows::parsed(row, "id")).collect()
    }

    /// The conversation that the visitor opened with `key`.
    pub async fn find_open(
        &self,
        project: ProjectId,
        visitor: VisitorId,
        key: &Key,
    ) -> Result<Option<ConversationId>, Error> {
        let query = sqlx::query("SELECT id FROM conversations WHERE project = $1 AND visitor = $2 AND open_key = $3");
        let query = query.bind(project.to_string()).bind(visitor.to_string()).bind(key.as_str().to_owned());
        self.readers.fetch_optional(query).await?.map(|row| rows::parsed(&row, "id")).transpose()
    }

    /// All open conversations of a project, the one first that waits longest.
    pub async fn open_conversations(&self, project: ProjectId) -> Result<Vec<Conversation>, Error> {
        let query = rows::select(
            rows::CONVERSATION,
            "conversations WHERE project = $1 AND status = 'open' \
             ORDER BY CASE WHEN waiting_since_ms IS NULL THEN 1 ELSE 0 END, waiting_since_ms, id",
        );
        let query = sqlx::query(query).bind(project.to_string());
        self.readers.fetch_all(query).await?.iter().map(rows::conversation).collect()
    }

    /// How many open conversations are `agent`'s, nobody's, and in all.
    pub async fn counts(&self, project: ProjectId, agent: AgentId) -> Result<(u64, u64, u64), Error> {
        let query = sqlx::query(
            "SELECT COALESCE(SUM(CASE WHEN assignee = $2 THEN 1 ELSE 0 END), 0) AS mine, \
             COUNT(*) - COUNT(assignee) AS unassigned, COUNT(*) AS total \
             FROM conversations WHERE project = $1 AND status = 'open'",
        );
        let row = self.readers.fetch_one(query.bind(project.to_string()).bind(agent.to_string())).await?;
        Ok((rows::count(&row, "mine")?, rows::count(&row, "unassigned")?, rows::count(&row, "total")?))
    }

    /// Moves a conversation's marks forward; a mark never goes back.
    pub async fn mark(&self, conversation: ConversationId, marks: Marks) -> Result<(), Error> {
        let _turn = self.turns.take("mark").await;
        self.queue.mark(conversation, marks).await
    }

    /// What is known of a visitor.
    pub async fn visitor(&self, project: ProjectId, visitor: VisitorId) -> Result<Option<VisitorRecord>, Error> {
        let query = sqlx::query(rows::select(rows::VISITOR, "visitors WHERE project = $1 AND id = $2"));
        let query = query.bind(project.to_string()).bind(visitor.to_string());
        self.readers.fetch_optional(query).await?.as_ref().map(rows::visitor).transpose()
    }
}

/// A conversation has one visitor, who may have been an anonymous one when it wrote: its keys are that one visitor's.
fn known_key(row: &AnyRow, visitor: VisitorId) -> Result<Option<KnownKey>, Error> {
    let Some(key) = rows::key(row)? else { return Ok(None) };
    let sender = match rows::text(row, "author_kind")?.as_str() {
        "visitor" => visitor.as_uuid(),
        "agent" => rows::parsed(row, "author")?,
        _ => return Ok(None),
    };
    Ok(Some(KnownKey { lane: rows::lane(row)?, seq: rows::count(row, "seq")?, sender, key }))
}
