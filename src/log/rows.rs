//! Rows to values, and back.

use std::{borrow::Cow, str::FromStr};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use sqlx::{AssertSqlSafe, Row as _, any::AnyRow};

use super::{
    Error, NewConversation, VisitorRecord,
    sql::{Cell, Row},
};
use crate::{
    domain::{AgentRef, Author, Conversation, Entry, Event, Key, Lane, Marks, Status, Watermarks},
    ids::{AgentId, ConversationId, ProjectId, SessionId},
};

/// A conversation's columns, as [`conversation`] reads them.
pub(super) const CONVERSATION: &str = "id, project, visitor, visitor_name, epoch, status, seq, desk_seq, assignee, \
    assignee_name, waiting_since_ms, read_visitor, read_agent, delivered_visitor, delivered_agent, unread, preview, at_ms, \
    created_ms";

/// The columns of a row of `entries`.
pub(super) const ENTRY: &str =
    "conversation, lane, seq, id, at_ms, session, author_kind, author, author_name, client_key, event, body";

/// The columns that [`visitor`] reads.
pub(super) const VISITOR: &str = "project, id, subject, name, email, fields, created_ms, seen_ms";

/// A query of some columns, each by its name: where a newer node's migration adds one, PostgreSQL would refuse, once on each
/// connection, what was prepared with all of them.
pub(super) fn select(columns: &str, from: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!("SELECT {columns} FROM {from}"))
}

/// The values of `sql::OPEN`.
pub(super) fn opening(head: &Conversation, open: &NewConversation) -> Row {
    vec![
        Cell::Id(head.id.as_uuid()),
        Cell::Id(head.project.as_uuid()),
        Cell::Id(head.visitor.as_uuid()),
        Cell::maybe_text(head.visitor_name.as_deref()),
        Cell::text(open.key.as_str()),
        Cell::text(&head.epoch),
        Cell::Word(head.status.as_str()),
        Cell::count(head.seq),
        Cell::count(head.desk_seq),
        Cell::maybe_id(head.assignee.as_ref().map(|holder| holder.id.as_uuid())),
        Cell::maybe_text(head.assignee.as_ref().map(|holder| &holder.name)),
        head.waiting_since.map_or(Cell::NoNumber, Cell::Number),
        Cell::count(head.read.visitor),
        Cell::count(head.read.agent),
        Cell::count(head.unread),
        Cell::text(&head.preview),
        Cell::Number(head.at),
        Cell::Number(head.created_at),
    ]
}

/// The values of `sql::ADVANCE`; `from` are the two lanes' last `seq`s before.
pub(super) fn advance(head: &Conversation, from: (u64, u64)) -> Row {
    vec![
        Cell::Id(head.id.as_uuid()),
        Cell::count(from.0),
        Cell::count(from.1),
        Cell::Id(head.visitor.as_uuid()),
        Cell::count(head.seq),
        Cell::count(head.desk_seq),
        head.waiting_since.map_or(Cell::NoNumber, Cell::Number),
        Cell::count(head.read.visitor),
        Cell::count(head.read.agent),
        Cell::count(head.unread),
        Cell::text(&head.preview),
        Cell::Number(head.at),
    ]
}

/// The values of `sql::TURN`: those of [`advance`], and what else may change.
pub(super) fn turn(head: &Conversation, from: (u64, u64)) -> Row {
    let mut row = advance(head, from);
    row.extend([
        Cell::maybe_text(head.visitor_name.as_deref()),
        Cell::Word(head.status.as_str()),
        Cell::maybe_id(head.assignee.as_ref().map(|holder| holder.id.as_uuid())),
        Cell::maybe_text(head.assignee.as_ref().map(|holder| &holder.name)),
    ]);
    row
}

/// The values of `sql::LOCK_AGENTS` and `sql::LOADS`.
pub(super) fn agent(project: ProjectId, agent: AgentId) -> Row {
    vec![Cell::Id(project.as_uuid()), Cell::Id(agent.as_uuid())]
}

/// The values of `sql::GREET`.
pub(super) fn greeting(visitor: &VisitorRecord) -> Row {
    vec![
        Cell::Id(visitor.project.as_uuid()),
        Cell::Id(visitor.id.as_uuid()),
        Cell::maybe_text(visitor.subject.as_deref()),
        Cell::maybe_text(visitor.name.as_deref()),
        Cell::maybe_text(visitor.name.as_deref().map(str::to_lowercase)),
        Cell::maybe_text(visitor.email.as_deref()),
        Cell::Text(json(&visitor.fields)),
        Cell::Number(visitor.created_at),
        Cell::Number(visitor.seen_at),
    ]
}

/// The values of `sql::ENTER`.
pub(super) fn entry(entry: &Entry, head: &Conversation) -> Row {
    let (kind, author, name) = match &entry.from {
        Author::Visitor { id, name } => ("visitor", Cell::Id(id.as_uuid()), Cell::maybe_text(name.as_deref())),
        Author::Agent { id, name } => ("agent", Cell::Id(id.as_uuid()), Cell::text(name)),
        Author::System {} => ("system", Cell::NoText, Cell::NoText),
    };
    let (event, body) = split(&entry.event);
    vec![
        Cell::Id(entry.conversation.as_uuid()),
        Cell::Word(entry.lane.as_str()),
        Cell::count(entry.seq),
        Cell::Id(entry.id.as_uuid()),
        Cell::Id(head.project.as_uuid()),
        Cell::Number(entry.at),
        Cell::maybe_id(entry.session.map(SessionId::as_uuid)),
        Cell::Word(kind),
        author,
        name,
        Cell::maybe_text(entry.key.as_ref().map(Key::as_str)),
        Cell::Word(event),
        Cell::Text(body),
    ]
}

/// The values of `sql::MARK`.
pub(super) fn mark(conversation: ConversationId, Marks { read, delivered }: Marks) -> Row {
    let counts = [read.visitor, read.agent, delivered.visitor, delivered.agent].map(Cell::count);
    std::iter::once(Cell::Id(conversation.as_uuid())).chain(counts).collect()
}

/// Reads what [`entry`] wrote; the columns in the table's order.
pub(super) fn read_entry(row: &AnyRow) -> Result<Entry, Error> {
    let author_name = maybe_text(row, "author_name")?;
    let from = match text(row, "author_kind")?.as_str() {
        "visitor" => Author::Visitor { id: parsed(row, "author")?, name: author_name },
        "agent" => Author::Agent { id: parsed(row, "author")?, name: author_name.unwrap_or_default() },
        "system" => Author::System {},
        _ => return Err(Error::Damaged("author_kind")),
    };
    Ok(Entry {
        conversation: parsed(row, "conversation")?,
        lane: lane(row)?,
        seq: count(row, "seq")?,
        id: parsed(row, "id")?,
        at: number(row, "at_ms")?,
        session: maybe_parsed(row, "session")?,
        from,
        key: key(row)?,
        event: join(text(row, "event")?, text(row, "body")?)?,
    })
}

/// An entry's lane.
pub(super) fn lane(row: &AnyRow) -> Result<Lane, Error> {
    match text(row, "lane")?.as_str() {
        "thread" => Ok(Lane::Thread),
        "desk" => Ok(Lane::Desk),
        _ => Err(Error::Damaged("lane")),
    }
}

/// The client's key of an entry.
pub(super) fn key(row: &AnyRow) -> Result<Option<Key>, Error> {
    let text = maybe_text(row, "client_key")?;
    text.map(|text| Key::parse(&text).ok_or(Error::Damaged("client_key"))).transpose()
}

/// Reads the columns of [`CONVERSATION`].
pub(super) fn conversation(row: &AnyRow) -> Result<Conversation, Error> {
    let status = match text(row, "status")?.as_str() {
        "open" => Status::Open,
        "closed" => Status::Closed,
        _ => return Err(Error::Damaged("status")),
    };
    let assignee_name = maybe_text(row, "assignee_name")?.unwrap_or_default();
    Ok(Conversation {
        project: parsed(row, "project")?,
        id: parsed(row, "id")?,
        visitor: parsed(row, "visitor")?,
        visitor_name: maybe_text(row, "visitor_name")?,
        epoch: text(row, "epoch")?,
        status,
        seq: count(row, "seq")?,
        desk_seq: count(row, "desk_seq")?,
        assignee: maybe_parsed(row, "assignee")?.map(|id| AgentRef { id, name: assignee_name }),
        waiting_since: maybe_number(row, "waiting_since_ms")?,
        read: Watermarks { visitor: count(row, "read_visitor")?, agent: count(row, "read_agent")? },
        delivered: Watermarks { visitor: count(row, "delivered_visitor")?, agent: count(row, "delivered_agent")? },
        unread: count(row, "unread")?,
        preview: text(row, "preview")?,
        at: number(row, "at_ms")?,
        created_at: number(row, "created_ms")?,
    })
}

/// Reads a row of `visitors`.
pub(super) fn visitor(row: &AnyRow) -> Result<VisitorRecord, Error> {
    Ok(VisitorRecord {
        project: parsed(row, "project")?,
        id: parsed(row, "id")?,
        subject: maybe_text(row, "subject")?,
        name: maybe_text(row, "name")?,
        email: maybe_text(row, "email")?,
        fields: from_json(row, "fields")?,
        created_at: number(row, "created_ms")?,
        seen_at: number(row, "seen_ms")?,
    })
}

/// An event as serde writes it: its word, and the rest.
#[derive(Serialize, Deserialize)]
struct Tagged<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// The word of an event, in the log as on the wire.
const fn word(event: &Event) -> &'static str {
    match event {
        Event::Message { .. } => "message",
        Event::Joined { .. } => "joined",
        Event::Left { .. } => "left",
        Event::Closed {} => "closed",
        Event::Reopened {} => "reopened",
        Event::Rated { .. } => "rated",
        Event::Note { .. } => "note",
        Event::Assigned { .. } => "assigned",
        Event::Unassigned { .. } => "unassigned",
        Event::Transferred { .. } => "transferred",
        Event::Page { .. } => "page",
        Event::Banned {} => "banned",
        Event::Unbanned {} => "unbanned",
    }
}

fn split(event: &Event) -> (&'static str, String) {
    let (word, mut whole) = (word(event), json(event));
    // `Event` is adjacently tagged, and its words hold nothing that JSON escapes: no need to parse it again.
    whole.pop();
    whole.drain(..(r#"{"event":"","body":"#.len() + word.len()).min(whole.len()));
    (word, whole)
}

fn join(event: String, body: String) -> Result<Event, Error> {
    let body = RawValue::from_string(body).map_err(|_| Error::Damaged("body"))?;
    let whole = json(&Tagged { event: event.into(), body: &body });
    serde_json::from_str(&whole).map_err(|_| Error::Damaged("body"))
}

/// `value` as JSON. What is stored here (derived types, maps with text keys) can't fail to serialise.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

// The errors below name the column and never the value, which a person may have typed.

pub(super) fn text(row: &AnyRow, column: &'static str) -> Result<String, Error> {
    row.try_get(column).map_err(|_| Error::Damaged(column))
}

pub(super) fn maybe_text(row: &AnyRow, column: &'static str) -> Result<Option<String>, Error> {
    row.try_get(column).map_err(|_| Error::Damaged(column))
}

pub(super) fn number(row: &AnyRow, column: &'static str) -> Result<i64, Error> {
    row.try_get(column).map_err(|_| Error::Damaged(column))
}

pub(super) fn maybe_number(row: &AnyRow, column: &'static str) -> Result<Option<i64>, Error> {
    row.try_get(column).map_err(|_| Error::Damaged(column))
}

pub(super) fn count(row: &AnyRow, column: &'static str) -> Result<u64, Error> {
    u64::try_from(number(row, column)?).map_err(|_| Error::Damaged(column))
}

pub(super) fn flag(row: &AnyRow, column: &'static str) -> Result<bool, Error> {
    Ok(number(row, column)? != 0)
}

pub(super) fn parsed<T: FromStr>(row: &AnyRow, column: &'static str) -> Result<T, Error> {
    text(row, column)?.parse().map_err(|_| Error::Damaged(column))
}

pub(super) fn maybe_parsed<T: FromStr>(row: &AnyRow, column: &'static str) -> Result<Option<T>, Error> {
    maybe_text(row, column)?.map(|text| text.parse().map_err(|_| Error::Damaged(column))).transpose()
}

pub(super) fn from_json<T: DeserializeOwned>(row: &AnyRow, column: &'static str) -> Result<T, Error> {
    serde_json::from_str(&text(row, column)?).map_err(|_| Error::Damaged(column))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::MovedBy, ids::AgentId};

    #[test]
    fn every_kind_of_event_reads_back() {
        let (id, by) = (AgentId::generate(), MovedBy::ROUTING);
        let agent = AgentRef { id, name: "Ada \"}\" ".to_owned() };
        let text = r#"","body":{"text":"x"}}"#.to_owned();
        let events = [
            Event::Message { text: text.clone() },
            Event::Joined { agent: agent.clone() },
            Event::Left { agent },
            Event::Closed {},
            Event::Reopened {},
            Event::Rated { score: 3, comment: None },
            Event::Note { text: text.clone() },
            Event::Assigned { to: id, by },
            Event::Unassigned { from: id, by },
            Event::Transferred { from: id, to: id, by },
            Event::Page { url: "https://example.com/".to_owned(), title: text },
            Event::Banned {},
            Event::Unbanned {},
        ];
        for event in events {
            let (word, body) = split(&event);
            assert_eq!(join(word.to_owned(), body).unwrap(), event);
        }
    }
}
