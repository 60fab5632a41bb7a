//! The SQL of appends: statements for many rows at once.
//!
//! A statement's text depends on its number of rows, and a text that was seen before is prepared already. So rows go in
//! batches of a few fixed sizes. On the thread that has SQLite at hand, the same statement is carried out for one row after
//! the other instead: there is no journey to save, and it takes two thirds of the time.

use std::{
    cmp::Reverse,
    sync::{Arc, LazyLock},
};

use sqlx::{Any, AssertSqlSafe, Row as _, any::AnyArguments, query::Query};

use uuid::Uuid;

use super::{connection::Writer, engine::Dialect, pen::Told};

/// The sizes of batches. The largest keeps the parameters (256 x 18) well under SQLite's limit of 32,766.
const SIZES: [usize; 5] = [MOST_AT_ONCE, 64, 16, 4, 1];
/// The most rows of one statement.
pub(super) const MOST_AT_ONCE: usize = 256;

/// A value of a row.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Text(String),
    /// Written out where it is bound: as texts, five of an entry's values would be made on one thread and let go of on another.
    Id(Uuid),
    Word(&'static str),
    Number(i64),
    NoText,
    NoNumber,
}

impl Cell {
    pub(super) fn text(value: &(impl ToString + ?Sized)) -> Self {
        Self::Text(value.to_string())
    }

    pub(super) fn maybe_text(value: Option<impl ToString>) -> Self {
        value.map_or(Self::NoText, |value| Self::Text(value.to_string()))
    }

    pub(super) fn maybe_id(value: Option<Uuid>) -> Self {
        value.map_or(Self::NoText, Self::Id)
    }

    pub(super) fn count(value: u64) -> Self {
        Self::Number(to_bigint(value))
    }

    fn bind<'q>(&'q self, query: Query<'q, Any, AnyArguments>) -> Query<'q, Any, AnyArguments> {
        match self {
            Self::Text(text) => query.bind(text.as_str()),
            Self::Id(id) => query.bind(id.to_string()),
            Self::Word(word) => query.bind(*word),
            Self::Number(number) => query.bind(*number),
            Self::NoText => query.bind(None::<String>),
            Self::NoNumber => query.bind(None::<i64>),
        }
    }
}

/// A count as the database keeps it.
pub(super) fn to_bigint(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A row's values, in the statement's order.
pub(super) type Row = Vec<Cell>;

/// A statement for many rows: its text in all sizes, for each engine.
pub(super) struct Bulk {
    sqlite: Texts,
    postgres: Texts,
    /// Its simplest text for one row, in SQLite's dialect.
    alone: Arc<str>,
}

type Texts = [Arc<str>; SIZES.len()];

impl Bulk {
    /// `before`, then the rows' parameters, then `after`.
    pub(super) fn new(before: &str, columns: usize, after: &str) -> Self {
        let text = |dialect: Dialect, size| {
            let (before, after) = (dialect.complete(before), dialect.complete(after));
            format!("{before} {} {after}", parameters(dialect, size, columns)).into()
        };
        let texts = |dialect| SIZES.map(|size| text(dialect, size));
        let alone = text(Dialect::Sqlite, 1);
        Self { sqlite: texts(Dialect::Sqlite), postgres: texts(Dialect::Postgres), alone }
    }

    /// Changes the conversations that are meant by `whose`, each by its row; `v` is the row, with these columns.
    fn of_conversations(columns: &str, set: &str, whose: &str, returning: &str) -> Self {
        let before = format!("WITH v ({columns}) AS (VALUES");
        let after =
            format!(") /*locked*/ UPDATE conversations SET {set} FROM v WHERE {whose} /*and locked*/ {returning}");
        let mut names: Vec<_> = columns.split(", ").zip(1..).collect();
        let many = Self::new(&before, names.len(), &after);
        // The longest first: no name is then taken for another's beginning.
        names.sort_by_key(|(name, _)| Reverse(name.len()));
        let alone = format!("UPDATE conversations SET {set} WHERE {whose} {returning}");
        let alone =
            names.iter().fold(alone, |text, (name, place)| text.replace(&format!("v.{name}"), &format!("?{place}")));
        Self { alone: alone.into(), ..many }
    }

    /// Its text for one row, in SQLite's dialect.
    pub(super) fn alone(&self) -> &str {
        &self.alone
    }

    /// Carries it out for all `rows`; returns how many rows of the table changed.
    pub(super) async fn run<'r>(
        &self,
        writer: &mut Writer,
        rows: impl IntoIterator<Item = &'r Row> + Send,
    ) -> Result<u64, sqlx::Error> {
        let mut changed = 0;
        for (text, batch) in self.batches(writer.dialect(), &rows.into_iter().collect::<Vec<_>>()) {
            changed += writer.change(query(text, batch)).await?;
        }
        Ok(changed)
    }

    /// Carries it out for all `rows`; returns the rows that it returns.
    pub(super) async fn fetch<'r>(
        &self,
        writer: &mut Writer,
        rows: impl IntoIterator<Item = &'r Row> + Send,
    ) -> Result<Vec<Told>, sqlx::Error> {
        let mut told = Vec::new();
        for (text, batch) in self.batches(writer.dialect(), &rows.into_iter().collect::<Vec<_>>()) {
            for row in writer.fetch(query(text, batch)).await? {
                told.push((row.try_get(0)?, if row.len() > 1 { row.try_get(1)? } else { 0 }));
            }
        }
        Ok(told)
    }

    /// The rows in batches, with the text for each.
    fn batches<'a, 'r>(&'a self, dialect: Dialect, mut rows: &'a [&'r Row]) -> Vec<(&'a Arc<str>, &'a [&'r Row])> {
        let texts = match dialect {
            Dialect::Sqlite => &self.sqlite,
            Dialect::Postgres => &self.postgres,
        };
        let mut batches = Vec::new();
        for (size, text) in SIZES.iter().zip(texts) {
            while let Some((batch, rest)) = rows.split_at_checked(*size) {
                batches.push((text, batch));
                rows = rest;
            }
        }
        batches
    }
}

/// The parameters of so many rows, in parentheses.
fn parameters(dialect: Dialect, rows: usize, columns: usize) -> String {
    let row = |row: usize| (1..=columns).map(|column| dialect.parameter(row * columns + column)).collect::<Vec<_>>();
    (0..rows).map(|number| format!("({})", row(number).join(", "))).collect::<Vec<_>>().join(", ")
}

fn query<'r>(text: &Arc<str>, rows: &[&'r Row]) -> Query<'r, Any, AnyArguments> {
    let query = sqlx::query(AssertSqlSafe(Arc::clone(text)));
    rows.iter().copied().flatten().fold(query, |query, cell| cell.bind(query))
}

/// A new conversation. Nothing happens where the id or the visitor's key of the `open` is known.
pub(super) static OPEN: LazyLock<Bulk> = LazyLock::new(|| open(""));

/// As [`OPEN`]; returns the ids of those that are new.
pub(super) static OPEN_AND_TELL: LazyLock<Bulk> = LazyLock::new(|| open("RETURNING id"));

fn open(returning: &str) -> Bulk {
    Bulk::new(
        "INSERT INTO conversations (id, project, visitor, visitor_name, open_key, epoch, status, seq, desk_seq, assignee, \
         assignee_name, waiting_since_ms, read_visitor, read_agent, unread, preview, at_ms, created_ms) VALUES",
        18,
        &format!("ON CONFLICT DO NOTHING {returning}"),
    )
}

/// A conversation goes on, if it is where it was expected, and whose; it may get into other hands, or be closed.
pub(super) static TURN: LazyLock<Bulk> = LazyLock::new(|| turn(""));

/// As [`TURN`]; returns the ids of those that went on.
pub(super) static TURN_AND_TELL: LazyLock<Bulk> = LazyLock::new(|| turn("RETURNING conversations.id AS id"));

/// As [`TURN`], where nothing but the counts and the preview changes: what indices hold is not touched.
pub(super) static ADVANCE: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::of_conversations(
        "id, from_seq, from_desk_seq, visitor, seq, desk_seq, waiting_since_ms, read_visitor, read_agent, unread, preview, at_ms",
        COUNTS,
        EXPECTED,
        "",
    )
});

fn turn(returning: &str) -> Bulk {
    Bulk::of_conversations(
        "id, from_seq, from_desk_seq, visitor, seq, desk_seq, waiting_since_ms, read_visitor, read_agent, unread, preview, \
         at_ms, visitor_name, status, assignee, assignee_name",
        &format!(
            "{COUNTS}, visitor_name = v.visitor_name, status = v.status, assignee = v.assignee, \
             assignee_name = v.assignee_name"
        ),
        EXPECTED,
        returning,
    )
}

const COUNTS: &str = "seq = v.seq, desk_seq = v.desk_seq, waiting_since_ms = v.waiting_since_ms, \
    read_visitor = CASE WHEN v.read_visitor > conversations.read_visitor THEN v.read_visitor \
        ELSE conversations.read_visitor END, \
    read_agent = CASE WHEN v.read_agent > conversations.read_agent THEN v.read_agent ELSE conversations.read_agent END, \
    unread = v.unread, preview = v.preview, at_ms = v.at_ms";

const EXPECTED: &str = "conversations.id = v.id AND conversations.seq = v.from_seq \
    AND conversations.desk_seq = v.from_desk_seq AND conversations.visitor = v.visitor";

/// Agents who are about to be given conversations, so that nobody else gives them any meanwhile.
pub(super) static LOCK_AGENTS: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "WITH v (project, id) AS (VALUES",
        2,
        ") SELECT agents.id FROM agents WHERE agents.id IN (SELECT v.id FROM v) ORDER BY agents.id /*for update*/",
    )
});

/// How many open conversations agents have.
pub(super) static LOADS: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "WITH v (project, id) AS (VALUES",
        2,
        ") SELECT v.id AS id, (SELECT COUNT(*) FROM conversations WHERE conversations.project = v.project \
         AND conversations.assignee = v.id AND conversations.status = 'open') AS held FROM v",
    )
});

/// Somebody read on, or a device got something.
pub(super) static MARK: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::of_conversations(
        "id, visitor, agent, to_visitor, to_agent",
        "read_visitor = CASE WHEN v.visitor > read_visitor THEN v.visitor ELSE read_visitor END, \
         read_agent = CASE WHEN v.agent > read_agent THEN v.agent ELSE read_agent END, \
         delivered_visitor = CASE WHEN v.to_visitor > delivered_visitor THEN v.to_visitor ELSE delivered_visitor END, \
         delivered_agent = CASE WHEN v.to_agent > delivered_agent THEN v.to_agent ELSE delivered_agent END, \
         unread = CASE WHEN v.agent >= seq THEN 0 ELSE unread END",
        "conversations.id = v.id",
        "",
    )
});

/// Entries of conversations that were opened or advanced in the same transaction.
pub(super) static ENTER: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "INSERT INTO entries (conversation, lane, seq, id, project, at_ms, session, author_kind, author, author_name, \
         client_key, event, body) VALUES",
        13,
        "",
    )
});

/// A visitor who opens a conversation or was identified. What is known now replaces what was; what is not, stays.
pub(super) static GREET: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "INSERT INTO visitors (project, id, subject, name, name_lower, email, fields, created_ms, seen_ms) VALUES",
        9,
        "ON CONFLICT (project, id) DO UPDATE SET subject = COALESCE(excluded.subject, visitors.subject), \
         name = COALESCE(excluded.name, visitors.name), \
         name_lower = COALESCE(excluded.name_lower, visitors.name_lower), email = COALESCE(excluded.email, visitors.email), \
         fields = CASE WHEN excluded.fields = '{}' THEN visitors.fields ELSE excluded.fields END, \
         seen_ms = CASE WHEN excluded.seen_ms > visitors.seen_ms THEN excluded.seen_ms ELSE visitors.seen_ms END",
    )
});
