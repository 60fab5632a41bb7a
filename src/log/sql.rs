//! The SQL of appends: statements for many rows at once.
//!
//! PostgreSQL gets the rows as one array for each column: one text, prepared once, and one journey, however many there are. On
//! the thread that has SQLite at hand, the same statement is carried out for one row after the other instead: there is no
//! journey to save, and it takes two thirds of the time. Where SQLite is asked from elsewhere, rows go in batches.

use std::{
    cmp::Reverse,
    fmt::Write as _,
    sync::{Arc, LazyLock},
};

use sqlx::{Any, AssertSqlSafe, Row as _, any::AnyArguments, query::Query};

use uuid::Uuid;

use super::{connection::Writer, engine::Dialect, pen::Told};

/// The most rows of one statement: in SQLite its parameters (256 x 18) stay well under the limit of 32,766.
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

/// A statement for many rows, as each engine wants it.
pub(super) struct Bulk {
    /// For [`MOST_AT_ONCE`] rows, and for one.
    sqlite: [Arc<str>; 2],
    /// For any number.
    postgres: Arc<str>,
    /// The simplest for one row, in SQLite's dialect.
    alone: Arc<str>,
}

impl Bulk {
    /// Puts rows into a table; `after` is what comes behind them. `columns` are the names of a row's values, each with BIGINT
    /// behind it if it is a number.
    pub(super) fn insert(table: &str, columns: &str, after: &str) -> Self {
        Self::new(&format!("INSERT INTO {table} ({})", names(columns)), columns, after)
    }

    /// Does what `then` says with the rows, which it calls `v`; `columns` as in [`Bulk::insert`].
    fn with_rows(columns: &str, then: &str) -> Self {
        Self::new(&format!("WITH v ({}) AS (", names(columns)), columns, &format!(") {then}"))
    }

    /// Changes the conversations that are meant by `whose`, each by its row; `v` is the row, with these columns.
    fn of_conversations(columns: &str, set: &str, whose: &str, returning: &str) -> Self {
        let many = Self::with_rows(columns, &format!("/*locked*/ {}", change(set, whose, returning)));
        let mut places: Vec<_> = parse(columns).map(|(name, _)| name).zip(1..).collect();
        // The longest first: no name is then taken for another's beginning.
        places.sort_by_key(|(name, _)| Reverse(name.len()));
        let alone = format!("UPDATE conversations SET {set} WHERE {whose} {returning}");
        let alone =
            places.iter().fold(alone, |text, (name, place)| text.replace(&format!("v.{name}"), &format!("?{place}")));
        Self { alone: alone.into(), ..many }
    }

    /// `before`, then the rows, then `after`.
    fn new(before: &str, columns: &str, after: &str) -> Self {
        let text = |dialect: Dialect, rows: &str| {
            let (before, after) = (dialect.complete(before), dialect.complete(after));
            Arc::<str>::from(format!("{before} {rows} {after}"))
        };
        let sqlite = [MOST_AT_ONCE, 1].map(|size| text(Dialect::Sqlite, &values(size, parse(columns).count())));
        let alone = Arc::clone(&sqlite[1]);
        Self { sqlite, postgres: text(Dialect::Postgres, &arrays(columns, 1)), alone }
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
        for query in self.queries(writer.dialect(), &rows.into_iter().collect::<Vec<_>>()) {
            changed += writer.change(query).await?;
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
        for query in self.queries(writer.dialect(), &rows.into_iter().collect::<Vec<_>>()) {
            for row in writer.fetch(query).await? {
                told.push((row.try_get(0)?, if row.len() > 1 { row.try_get(1)? } else { 0 }));
            }
        }
        Ok(told)
    }

    fn queries<'r>(&self, dialect: Dialect, rows: &[&'r Row]) -> Vec<Query<'r, Any, AnyArguments>> {
        match (dialect, rows.first()) {
            (_, None) => Vec::new(),
            (Dialect::Postgres, Some(_)) => {
                vec![bind(sqlx::query(AssertSqlSafe(Arc::clone(&self.postgres))), rows)]
            }
            (Dialect::Sqlite, Some(_)) => self.batches(rows),
        }
    }

    fn batches<'r>(&self, mut rows: &[&'r Row]) -> Vec<Query<'r, Any, AnyArguments>> {
        let mut queries = Vec::new();
        for (size, text) in [MOST_AT_ONCE, 1].into_iter().zip(&self.sqlite) {
            while let Some((batch, rest)) = rows.split_at_checked(size) {
                let query = sqlx::query(AssertSqlSafe(Arc::clone(text)));
                queries.push(batch.iter().copied().flatten().fold(query, |query, cell| cell.bind(query)));
                rows = rest;
            }
        }
        queries
    }
}

/// The names of columns, and whether each holds numbers.
fn parse(columns: &str) -> impl Iterator<Item = (&str, bool)> {
    columns.split(", ").map(|column| column.strip_suffix(" BIGINT").map_or((column, false), |name| (name, true)))
}

fn names(columns: &str) -> String {
    parse(columns).map(|(name, _)| name).collect::<Vec<_>>().join(", ")
}

/// What changes the conversations that are meant by `whose`, each by its row of `v`.
fn change(set: &str, whose: &str, returning: &str) -> String {
    format!("UPDATE conversations SET {set} FROM v WHERE {whose} /*and locked*/ {returning}")
}

/// So many rows of parameters, for SQLite. Bare question marks: it looks `$1` up by name, one after the other, for each value
/// that is bound. With 256 rows that took longer than writing them.
fn values(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    format!("VALUES {}", vec![row; rows].join(", "))
}

/// Rows that come as one array for each column, for PostgreSQL; the first is parameter number `first`.
fn arrays(columns: &str, first: usize) -> String {
    let array = |(at, (_, is_number))| format!("${}::{}[]", at + first, if is_number { "BIGINT" } else { "TEXT" });
    format!("SELECT * FROM unnest({})", parse(columns).enumerate().map(array).collect::<Vec<_>>().join(", "))
}

/// Binds rows as [`arrays`] takes them.
fn bind<'q>(query: Query<'q, Any, AnyArguments>, rows: &[&Row]) -> Query<'q, Any, AnyArguments> {
    let columns = rows.first().map_or(0, |row| row.len());
    (0..columns).fold(query, |query, column| query.bind(array(rows, column)))
}

/// One column of all rows, as PostgreSQL writes an array.
fn array(rows: &[&Row], column: usize) -> String {
    let mut text = String::from("{");
    for (at, row) in rows.iter().enumerate() {
        text.push_str(if at > 0 { "," } else { "" });
        match row.get(column) {
            Some(Cell::Text(value)) => quote(&mut text, value),
            Some(Cell::Word(value)) => quote(&mut text, value),
            // Into a string: it can't fail.
            Some(Cell::Id(id)) => drop(write!(text, "{id}")),
            Some(Cell::Number(value)) => drop(write!(text, "{value}")),
            Some(Cell::NoText | Cell::NoNumber) | None => text.push_str("NULL"),
        }
    }
    text.push('}');
    text
}

fn quote(text: &mut String, value: &str) {
    text.push('"');
    for char in value.chars() {
        if matches!(char, '"' | '\\') {
            text.push('\\');
        }
        text.push(char);
    }
    text.push('"');
}

/// A new conversation. Nothing happens where the id or the visitor's key of the `open` is known.
pub(super) static OPEN: LazyLock<Bulk> = LazyLock::new(|| open(""));

/// As [`OPEN`]; returns the ids of those that are new.
pub(super) static OPEN_AND_TELL: LazyLock<Bulk> = LazyLock::new(|| open("RETURNING id"));

fn open(returning: &str) -> Bulk {
    Bulk::insert(
        "conversations",
        "id, project, visitor, visitor_name, open_key, epoch, status, seq BIGINT, desk_seq BIGINT, assignee, assignee_name, \
         waiting_since_ms BIGINT, read_visitor BIGINT, read_agent BIGINT, unread BIGINT, preview, at_ms BIGINT, \
         created_ms BIGINT",
        &format!("ON CONFLICT DO NOTHING {returning}"),
    )
}

/// For PostgreSQL: [`TURN_AND_TELL`] and [`ENTER`] in one statement, which is a transaction of its own. The entries are those of
/// the conversations that go on.
static GO_ON: LazyLock<String> = LazyLock::new(|| {
    let (heads, entries) = (arrays(TURNED, 1), arrays(ENTERED, parse(TURNED).count() + 1));
    let turned = format!("/*locked*/, turned AS ({})", change(&changes(), EXPECTED, "RETURNING conversations.id"));
    format!(
        "WITH v ({}) AS ({heads}) {}, e ({names}) AS ({entries}), \
         entered AS (INSERT INTO entries ({names}) SELECT e.* FROM e WHERE e.conversation IN (SELECT turned.id FROM turned)) \
         SELECT turned.id AS id FROM turned",
        names(TURNED),
        Dialect::Postgres.complete(&turned),
        names = names(ENTERED),
    )
});

/// Carries out [`GO_ON`]; returns the ids of the conversations that went on. It is on the disk when this returns `Ok`; after an
/// error it may be, too.
pub(super) async fn go_on(writer: &mut Writer, heads: &[Row], entries: &[&Row]) -> Result<Vec<String>, sqlx::Error> {
    let query = bind(sqlx::query(AssertSqlSafe(GO_ON.as_str())), &heads.iter().collect::<Vec<_>>());
    writer.fetch_alone(bind(query, entries)).await?.iter().map(|row| row.try_get(0)).collect()
}

/// A conversation goes on, if it is where it was expected, and whose; it may get into other hands, or be closed.
pub(super) static TURN: LazyLock<Bulk> = LazyLock::new(|| turn(""));

/// As [`TURN`]; returns the ids of those that went on.
pub(super) static TURN_AND_TELL: LazyLock<Bulk> = LazyLock::new(|| turn("RETURNING conversations.id AS id"));

/// As [`TURN`], where nothing but the counts and the preview changes: what indices hold is not touched.
pub(super) static ADVANCE: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::of_conversations(
        "id, from_seq BIGINT, from_desk_seq BIGINT, visitor, seq BIGINT, desk_seq BIGINT, waiting_since_ms BIGINT, \
         read_visitor BIGINT, read_agent BIGINT, unread BIGINT, preview, at_ms BIGINT",
        COUNTS,
        EXPECTED,
        "",
    )
});

fn turn(returning: &str) -> Bulk {
    Bulk::of_conversations(TURNED, &changes(), EXPECTED, returning)
}

/// The columns of a row of [`TURN`].
const TURNED: &str = "id, from_seq BIGINT, from_desk_seq BIGINT, visitor, seq BIGINT, desk_seq BIGINT, \
    waiting_since_ms BIGINT, read_visitor BIGINT, read_agent BIGINT, unread BIGINT, preview, at_ms BIGINT, visitor_name, \
    status, assignee, assignee_name";

fn changes() -> String {
    format!(
        "{COUNTS}, visitor_name = v.visitor_name, status = v.status, assignee = v.assignee, \
         assignee_name = v.assignee_name"
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
    Bulk::with_rows(
        "project, id",
        "SELECT agents.id FROM agents WHERE agents.id IN (SELECT v.id FROM v) ORDER BY agents.id /*for update*/",
    )
});

/// How many open conversations agents have.
pub(super) static LOADS: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::with_rows(
        "project, id",
        "SELECT v.id AS id, (SELECT COUNT(*) FROM conversations WHERE conversations.project = v.project \
         AND conversations.assignee = v.id AND conversations.status = 'open') AS held FROM v",
    )
});

/// Somebody read on, or a device got something.
pub(super) static MARK: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::of_conversations(
        "id, visitor BIGINT, agent BIGINT, to_visitor BIGINT, to_agent BIGINT",
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
///
/// Alone, a row that is refused takes back all of the transaction, as who asks does anyway. Else SQLite would keep, for each row, what
/// it takes to take back just that one with what its trigger did.
pub(super) static ENTER: LazyLock<Bulk> = LazyLock::new(|| {
    let many = Bulk::insert("entries", ENTERED, "");
    Bulk { alone: many.alone.replacen("INSERT", "INSERT OR ROLLBACK", 1).into(), ..many }
});

/// The columns of a row of [`ENTER`].
const ENTERED: &str = "conversation, lane, seq BIGINT, id, project, at_ms BIGINT, session, author_kind, author, author_name, \
    client_key, event, body";

/// A visitor who opens a conversation or was identified. What is known now replaces what was; what is not, stays.
pub(super) static GREET: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::insert(
        "visitors",
        "project, id, subject, name, name_lower, email, fields, created_ms BIGINT, seen_ms BIGINT",
        "ON CONFLICT (project, id) DO UPDATE SET subject = COALESCE(excluded.subject, visitors.subject), \
         name = COALESCE(excluded.name, visitors.name), \
         name_lower = COALESCE(excluded.name_lower, visitors.name_lower), email = COALESCE(excluded.email, visitors.email), \
         fields = CASE WHEN excluded.fields = '{}' THEN visitors.fields ELSE excluded.fields END, \
         seen_ms = CASE WHEN excluded.seen_ms > visitors.seen_ms THEN excluded.seen_ms ELSE visitors.seen_ms END",
    )
});
