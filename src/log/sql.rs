//! The SQL of appends: statements for many rows at once.
//!
//! A statement's text depends on its number of rows, and a text that was seen before is prepared already. So rows go in
//! batches of a few fixed sizes.

use std::sync::{Arc, LazyLock};

use sqlx::{Any, AnyConnection, AssertSqlSafe, any::AnyArguments, query::Query};

/// The sizes of batches. The largest keeps the parameters (256 x 18) well under SQLite's limit of 32,766.
const SIZES: [usize; 5] = [256, 64, 16, 4, 1];

/// A value of a row.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Text(String),
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

    pub(super) fn count(value: u64) -> Self {
        Self::Number(to_bigint(value))
    }

    fn bind<'q>(&'q self, query: Query<'q, Any, AnyArguments>) -> Query<'q, Any, AnyArguments> {
        match self {
            Self::Text(text) => query.bind(text.as_str()),
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

/// A statement for many rows, in all its sizes.
pub(super) struct Bulk {
    texts: [Arc<str>; SIZES.len()],
}

impl Bulk {
    /// `before`, then the rows' parameters, then `after`.
    fn new(before: &str, columns: usize, after: &str) -> Self {
        // Bare question marks: SQLite looks `$1` up by name, one after the other, for each value that is bound. With 256
        // rows that took longer than writing them.
        let row = format!("({})", vec!["?"; columns].join(", "));
        Self { texts: SIZES.map(|size| format!("{before} {} {after}", vec![row.as_str(); size].join(", ")).into()) }
    }

    /// Carries it out for all `rows`; returns how many rows of the table changed.
    pub(super) async fn run<'r>(
        &self,
        connection: &mut AnyConnection,
        rows: impl IntoIterator<Item = &'r Row> + Send,
    ) -> Result<u64, sqlx::Error> {
        let rows: Vec<&Row> = rows.into_iter().collect();
        let (mut rows, mut changed) = (rows.as_slice(), 0);
        for (size, text) in SIZES.iter().zip(&self.texts) {
            while let Some((batch, rest)) = rows.split_at_checked(*size) {
                let query = sqlx::query(AssertSqlSafe(Arc::clone(text)));
                let query = batch.iter().copied().flatten().fold(query, |query, cell| cell.bind(query));
                changed += query.execute(&mut *connection).await?.rows_affected();
                rows = rest;
            }
        }
        Ok(changed)
    }
}

/// A new conversation. Nothing happens where the id or the visitor's key of the `open` is known.
pub(super) static OPEN: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "INSERT INTO conversations (id, project, visitor, visitor_name, open_key, epoch, status, seq, desk_seq, assignee, \
         assignee_name, waiting_since_ms, read_visitor, read_agent, unread, preview, at_ms, created_ms) VALUES",
        18,
        "ON CONFLICT DO NOTHING",
    )
});

/// A conversation goes on, if it is where it was expected.
pub(super) static ADVANCE: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "WITH v (id, from_seq, from_desk_seq, visitor_name, status, seq, desk_seq, assignee, assignee_name, \
         waiting_since_ms, read_visitor, read_agent, unread, preview, at_ms) AS (VALUES",
        15,
        ") UPDATE conversations SET visitor_name = v.visitor_name, status = v.status, seq = v.seq, \
         desk_seq = v.desk_seq, assignee = v.assignee, assignee_name = v.assignee_name, \
         waiting_since_ms = v.waiting_since_ms, \
         read_visitor = CASE WHEN v.read_visitor > conversations.read_visitor THEN v.read_visitor \
             ELSE conversations.read_visitor END, \
         read_agent = CASE WHEN v.read_agent > conversations.read_agent THEN v.read_agent \
             ELSE conversations.read_agent END, \
         unread = v.unread, preview = v.preview, at_ms = v.at_ms \
         FROM v WHERE conversations.id = v.id AND conversations.seq = v.from_seq \
         AND conversations.desk_seq = v.from_desk_seq",
    )
});

/// Somebody read on, or a device got something.
pub(super) static MARK: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "WITH v (id, visitor, agent, to_visitor, to_agent) AS (VALUES",
        5,
        ") UPDATE conversations SET \
         read_visitor = CASE WHEN v.visitor > read_visitor THEN v.visitor ELSE read_visitor END, \
         read_agent = CASE WHEN v.agent > read_agent THEN v.agent ELSE read_agent END, \
         delivered_visitor = CASE WHEN v.to_visitor > delivered_visitor THEN v.to_visitor ELSE delivered_visitor END, \
         delivered_agent = CASE WHEN v.to_agent > delivered_agent THEN v.to_agent ELSE delivered_agent END, \
         unread = CASE WHEN v.agent >= seq THEN 0 ELSE unread END \
         FROM v WHERE conversations.id = v.id",
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
