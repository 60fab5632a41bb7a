//! What is PostgreSQL's own: how it is reached, its time limits, its words for locks, and what its errors mean.

use std::{fmt, io, time::Duration};

use sqlx::{
    AnyConnection, AnyPool, ConnectOptions as _, Connection as _,
    any::{AnyConnectOptions, AnyPoolOptions},
};

use super::Error;

/// How a writing transaction begins, whatever the database's default: a row that another node changed meanwhile is seen
/// as it is now, and the condition of the change is looked at again.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// Nodes that start at once change the schema one after the other (the number is ours: "deskbell"). However long it takes, and
/// with plans for many rows, unlike [`WRITER_SESSION`]'s.
pub(super) const BEFORE_MIGRATION: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
    SET LOCAL idle_in_transaction_session_timeout = 0; \
    SET LOCAL enable_seqscan TO DEFAULT; SET LOCAL enable_nestloop TO DEFAULT; SELECT pg_advisory_xact_lock(7234315281490078828)";

/// How a transaction begins that reads everything for a backup.
pub(super) const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0; \
    SET LOCAL idle_in_transaction_session_timeout = 0";
/// How many tables there are where Deskbell's would be.
pub(super) const COUNT_TABLES: &str =
    "SELECT COUNT(*) AS tables FROM information_schema.tables WHERE table_schema = current_schema()";

/// What stands for the marks of the log's SQL, and for what is to be said otherwise.
///
/// Texts are compared by their bytes, as SQLite does, whatever the database's language. The head's rows have room to be
/// changed in their own page. Rows are locked in the order of their ids before any is changed: two nodes whose groups have
/// conversations in common wait for each other, and never crosswise. Rows are named by an array: with [`WRITER_SESSION`], that leaves
/// no other way to them than their key.
pub(super) const OWN_WORDS: &[(&str, &str)] = &[
    ("/*clustered*/", ""),
    ("/*changes*/", "WITH (fillfactor = 70)"),
    ("TEXT", "TEXT COLLATE \"C\""),
    (
        "/*locked*/",
        ", locked AS MATERIALIZED (SELECT conversations.id FROM conversations \
         WHERE conversations.id = ANY (ARRAY(SELECT v.id FROM v)) ORDER BY conversations.id FOR NO KEY UPDATE)",
    ),
    ("/*and locked*/", "AND conversations.id = ANY (ARRAY(SELECT locked.id FROM locked))"),
    ("agents.id IN (SELECT v.id FROM v)", "agents.id = ANY (ARRAY(SELECT v.id FROM v))"),
    ("/*for update*/", "FOR NO KEY UPDATE"),
];

/// How long one statement may take. The largest takes some 20 to 40 ms; more is a disk that stands still.
const STATEMENT_MS: u32 = 5_000;
/// How long a statement waits for rows that another node has locked: longer than [`IDLE_MS`], so that a node that stands
/// still is thrown out first.
const LOCK_MS: u32 = 3_000;
/// After how long PostgreSQL ends a transaction whose node says nothing. Between two statements pass microseconds.
const IDLE_MS: u32 = 2_000;
/// How long an answer may take: longer than the database itself allows, so that its own word comes first.
pub(super) const PATIENCE: Duration = Duration::from_secs(6);
/// How long a connection may take to be made.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// A connection that rested longer is asked whether it still lives before it is used.
const FRESH: Duration = Duration::from_millis(100);
/// How old a reading connection gets: its statements' plans and its memory are renewed now and then.
const READER_LIFE: Duration = Duration::from_mins(30);
/// How long a reading connection rests before it is closed.
const READER_REST: Duration = Duration::from_mins(10);
/// How long a read waits for a connection.
const READER_WAIT: Duration = Duration::from_secs(5);

/// Said on each writing connection. A statement that is a transaction of its own begins as [`BEGIN`] does. In the arrays of rows, NULL
/// is no word.
///
/// Left to itself, PostgreSQL makes a new plan for each small group of messages: a third of its CPU at 1,000 a second (load/README.md).
/// A plan that is kept has to do for whatever comes, and it may be made while there are few rows, for which reading all of a table, or
/// comparing each row of a group with each, is as good as anything. So both are made dear: where there is no other way, as in some
/// statements that are seldom said, they are taken all the same, and would (up to version 17) be compiled first.
///
/// A commit is on the disk when it is acknowledged, even where the database's default is otherwise; a default that promises more
/// (standbys) stays.
const WRITER_SESSION: &str = "SET default_transaction_isolation TO 'read committed'; SET array_nulls TO on; \
    SET plan_cache_mode TO force_generic_plan; SET enable_seqscan TO off; SET enable_nestloop TO off; SET jit TO off; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')";

/// The oldest version, as PostgreSQL numbers itself: 15.0.
const OLDEST_VERSION: i64 = 150_000;

/// A PostgreSQL database.
#[derive(Clone)]
pub(super) struct Postgres {
    writer: AnyConnectOptions,
    reader: AnyConnectOptions,
}

// The options hold the URL, and the URL a password.
impl fmt::Debug for Postgres {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Postgres")
    }
}

impl Postgres {
    /// Whether `url` names such a database.
    pub(super) fn is_meant_by(url: &str) -> bool {
        url.starts_with("postgres://") || url.starts_with("postgresql://")
    }

    /// Takes the URL apart. Nothing is connected yet.
    pub(super) fn prepare(url: &str) -> Result<Self, Error> {
        let options = url.parse::<AnyConnectOptions>();
        let options = options.map_err(|error| Error::Unsupported(format!("`database.url` is no address: {error}")))?;
        if !is_private(&options) {
            tracing::warn!(
                "database.url goes over the network and its sslmode does not say verify-full: others could read along"
            );
        }
        let writer = with_limits(options.disable_statement_logging());
        let mut reader = writer.clone();
        set(&mut reader, "options[default_transaction_read_only]", "on");
        Ok(Self { writer, reader })
    }

    /// Connects for writing.
    pub(super) async fn connect_writer(&self) -> Result<AnyConnection, sqlx::Error> {
        let connecting = async {
            let mut connection = self.writer.connect().await?;
            sqlx::raw_sql(WRITER_SESSION).execute(&mut connection).await?;
            Ok(connection)
        };
        in_time(Some(CONNECT_WAIT), connecting).await
    }

    /// Connections for reading. One that died while it rested is replaced when it is next wanted.
    pub(super) async fn readers(&self, most: u32) -> Result<AnyPool, sqlx::Error> {
        AnyPoolOptions::new()
            .max_connections(most)
            .acquire_timeout(READER_WAIT)
            .idle_timeout(READER_REST)
            .max_lifetime(READER_LIFE)
            .test_before_acquire(false)
            .before_acquire(|connection, rested| {
                Box::pin(async move { Ok(rested.idle_for < FRESH || connection.ping().await.is_ok()) })
            })
            .connect_with(self.reader.clone())
            .await
    }

    /// Looks whether the database is one that a log can be kept in.
    pub(super) async fn check(connection: &mut AnyConnection) -> Result<(), Error> {
        let asked = "SELECT current_setting('server_version_num')::BIGINT, current_setting('server_encoding'), \
                     current_setting('fsync')";
        let (version, encoding, fsync): (i64, String, String) = sqlx::query_as(asked).fetch_one(connection).await?;
        if version < OLDEST_VERSION {
            return Err(Error::Unsupported(format!("PostgreSQL {} is too old: 15 is the oldest", version / 10_000)));
        }
        if encoding != "UTF8" {
            return Err(Error::Unsupported(format!("the database's encoding is {encoding}: it must be UTF8")));
        }
        if fsync == "off" {
            tracing::warn!("PostgreSQL runs with fsync = off: a power cut may lose what was acknowledged");
        }
        Ok(())
    }
}

/// What `answer` gives, or an error when it takes longer than `patience`.
pub(super) async fn in_time<T>(
    patience: Option<Duration>,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let Some(patience) = patience else { return answer.await };
    let late = || sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the database does not answer"));
    tokio::time::timeout(patience, answer).await.unwrap_or_else(|_| Err(late()))
}

/// Whether nobody on the way to the database can read along.
fn is_private(options: &AnyConnectOptions) -> bool {
    let url = &options.database_url;
    let is_verified = |(key, value): (_, std::borrow::Cow<'_, str>)| {
        let key: std::borrow::Cow<'_, str> = key;
        matches!(&*key, "sslmode" | "ssl-mode") && value == "verify-full"
    };
    let is_local =
        |host: &str| matches!(host, "" | "localhost" | "127.0.0.1" | "[::1]") || host.starts_with(['/', '%']);
    url.host_str().is_none_or(is_local) || url.query_pairs().any(is_verified)
}

/// The options with every limit that the URL does not set itself.
fn with_limits(mut options: AnyConnectOptions) -> AnyConnectOptions {
    let limits = [
        ("statement_timeout", STATEMENT_MS),
        ("lock_timeout", LOCK_MS),
        ("idle_in_transaction_session_timeout", IDLE_MS),
        // A node whose machine went away is found out after some 20 s, and its connections end.
        ("tcp_keepalives_idle", 10),
        ("tcp_keepalives_interval", 3),
        ("tcp_keepalives_count", 3),
        ("tcp_user_timeout", 20_000),
    ];
    set(&mut options, "application_name", "deskbell");
    for (name, value) in limits {
        set(&mut options, &format!("options[{name}]"), &value.to_string());
    }
    options
}

fn set(options: &mut AnyConnectOptions, name: &str, value: &str) {
    if !options.database_url.query_pairs().any(|(key, _)| key == name) {
        options.database_url.query_pairs_mut().append_pair(name, value);
    }
}

/// The five characters in which PostgreSQL says what is wrong.
fn sqlstate(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(Into::into)
}

/// Whether the connection is no good any more: cut, or one to a server that stops, recovers or only reads (a standby), or
/// one whose prepared statements are no longer those of the schema.
pub(super) fn is_lost_after(error: &sqlx::Error) -> bool {
    const ENDS: [&str; 6] = ["08", "25", "26", "0A", "57P", "XX"];
    match error {
        sqlx::Error::Database(_) => sqlstate(error).is_none_or(|state| ENDS.iter().any(|end| state.starts_with(end))),
        sqlx::Error::RowNotFound | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => false,
        _ => true,
    }
}

/// Serialisation failures and deadlocks.
pub(super) fn is_conflict(error: &sqlx::Error) -> bool {
    sqlstate(error).is_some_and(|state| matches!(&*state, "40001" | "40P01"))
}

/// What no column takes, and what breaks a constraint.
pub(super) fn is_about_data(error: &sqlx::Error) -> bool {
    sqlstate(error).is_some_and(|state| state.starts_with("22") || state.starts_with("23"))
}
