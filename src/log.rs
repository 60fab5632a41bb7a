//! The log: the durable truth about every conversation and every account.
//!
//! One struct over both engines; what differs between them stands in one file each (`log/sqlite.rs`, `log/postgres.rs`), and
//! the SQL is one text. Appends go through one task that commits them in groups (`log/writer.rs`); everything else is a
//! query of its own. On PostgreSQL several nodes do so at once.
//!
//! Invariants:
//! - [`Log::append`] returns only after the COMMIT that holds the append, and a failed append left nothing behind.
//! - A conversation's head and its entries change in one transaction, and only from the state that the append was decided
//!   on; so each lane is dense, whatever runs at the same time.
//! - Rows of conversations, visitors and accounts carry the project, and queries take it from the caller's session.
//! - No text that a person typed is ever in a log line or an error.

mod adopt;
mod backup;
mod bans;
mod checkpoints;
mod connection;
mod engine;
mod group;
mod heads;
mod inbox;
mod keys;
mod migrate;
mod pen;
mod people;
mod places;
mod postgres;
mod read;
mod rows;
mod secrets;
mod sql;
mod sqlite;
mod turns;
mod writer;

use std::{path::PathBuf, sync::Arc, time::Duration};

pub use backup::{Backup, RESTORED, back_up, restore};
pub use heads::{HEADS, Position};
pub use inbox::{InboxQuery, InboxRows};
pub use keys::{AgentSessionRecord, ControlRecord, SigningKeyRecord};
pub use migrate::SCHEMA;
pub use people::{AgentRecord, ProjectRecord};
pub use read::{KnownKey, Past, VisitorRecord};
#[cfg(feature = "fault-injection")]
pub use turns::{Passing, Turnstile};

use sqlx::{Any, any::AnyArguments, query::Query};
use tokio::sync::Mutex;

use self::{
    connection::{Readers, Writer},
    engine::Engine,
    sqlite::Lock,
    turns::Turns,
    writer::Queue,
};
use crate::{
    clock::Clock,
    config::Secret,
    domain::{Conversation, Entry, Key},
    ids::AgentId,
    tasks::Tasks,
    trace::{Part, Span},
};

/// Where the log is.
#[derive(Clone, Debug)]
pub struct Options {
    /// `sqlite` for the file `deskbell.db` in the data directory, or a `postgres://` address.
    pub url: Secret,
    /// The data directory; for SQLite it is created, for its owner only, if it is missing.
    pub data_dir: PathBuf,
    /// How many connections read at once.
    pub readers: u32,
    /// Whether this is a server, of which there is one for a SQLite file, or a command beside it.
    pub role: OpenAs,
}

/// On whose behalf the log is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenAs {
    /// A server: holds the lock of a SQLite file's directory.
    Server,
    /// A command of the CLI: works beside a running server, on a database that is there.
    Command,
    /// A command that makes the database where there is none yet.
    FirstCommand,
}

/// Why the log could not do what was asked. Texts fit after "failed to ...: ".
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The database can't be reached, read or written now; it may be later.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// PostgreSQL is configured, and not there.
    #[error("PostgreSQL can't be reached at the address in `database.url`: {0}")]
    Unreachable(String),
    /// The configuration or the database is of a kind that a log can't be kept in.
    #[error("{0}")]
    Unsupported(String),
    /// The data directory can't be used.
    #[error("{0}")]
    Directory(String),
    /// Another server uses the same file.
    #[error("another Deskbell server uses {}: stop it first, or give this one another data directory", .0.display())]
    InUse(PathBuf),
    /// A newer Deskbell wrote the database.
    #[error(
        "the database was written by a newer Deskbell (its schema is {found}, this version knows up to {known}): \
         run that version, or restore a backup made before the upgrade"
    )]
    Newer {
        /// The schema in the database.
        found: i64,
        /// The newest that this version knows.
        known: i64,
    },
    /// A row holds what this version can't read.
    #[error("the database holds an unreadable {0}")]
    Damaged(&'static str),
    /// There is one already.
    #[error("there is one already with this {0}")]
    Taken(&'static str),
}

/// Why an append was not done. Nothing of it was stored, as far as can be known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The conversation is not where it was expected, or the key of an `open` is known: reload and decide again.
    #[error("the conversation has moved on")]
    Stale,
    /// The agent who was to get the conversation has as many as it takes.
    #[error("the agent has no room")]
    Full,
    /// The log can't be written now. A COMMIT whose outcome was not heard may have happened: reload before another try.
    #[error("the log can't be written now: {0}")]
    Unavailable(String),
}

impl AppendError {
    const fn word(&self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Full => "full",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

/// What is to be written of one conversation: entries that were decided on one state, and the state after them.
#[derive(Clone, Debug)]
pub struct Append {
    /// The thread's last `seq` that it was decided on.
    pub expected_seq: u64,
    /// The desk lane's last `seq` that it was decided on.
    pub expected_desk_seq: u64,
    /// The conversation's state after the entries.
    pub head: Arc<Conversation>,
    /// The entries: of each lane ascending, without gaps, from the expected `seq` + 1.
    pub entries: Vec<Arc<Entry>>,
    /// Given when the conversation begins here. Expected positions are 0 then.
    pub open: Option<NewConversation>,
    /// Given when the entries give the conversation to an agent only if it has room.
    pub claim: Option<Claim>,
}

/// Room that an agent must have. Looked at under a lock that all nodes heed, so that together they never give an agent more
/// than it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The agent.
    pub agent: AgentId,
    /// How many open conversations it may have, this one included.
    pub most: u32,
}

/// What a conversation begins with.
#[derive(Clone, Debug)]
pub struct NewConversation {
    /// The key of the `open`, unique for the visitor in its project.
    pub key: Key,
    /// Who rings. What it knows (name, e-mail, fields) replaces what was known; what it leaves out stays.
    pub visitor: VisitorRecord,
}

/// The log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Log {
    queue: Queue,
    writer: Arc<Mutex<Writer>>,
    readers: Readers,
    turns: Turns,
    clock: Clock,
    found_schema: i64,
    /// Held until the log is closed, or its last clone is dropped.
    lock: Option<Arc<Lock>>,
}

impl Log {
    /// Connects, brings the schema up to date and starts the writing task.
    pub async fn open(options: Options, clock: Clock, tasks: &Tasks) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        let engine = match options.role {
            OpenAs::Command => Engine::find(&options)?,
            OpenAs::Server | OpenAs::FirstCommand => Engine::prepare(&options)?,
        };
        let lock = match (&engine, options.role) {
            (Engine::Sqlite(_), OpenAs::Server) => Some(Arc::new(Lock::take(&options.data_dir)?)),
            _ => None,
        };
        let mut writer = Writer::connect(engine.clone()).await.map_err(|error| engine.unreachable(&error))?;
        writer.check().await?;
        let found_schema = migrate::run(&mut writer, clock.now()).await?;
        let readers = Readers::connect(&engine, options.readers).await?;
        let writer = Arc::new(Mutex::new(writer));
        let queue = Queue::start(Arc::clone(&writer), engine.direct()?, tasks)?;
        Ok(Self { queue, writer, readers, turns: Turns::default(), clock, found_schema, lock })
    }

    /// The same log, of which a test says whose turn it is to ask the database.
    #[cfg(feature = "fault-injection")]
    #[must_use]
    pub fn in_turns(mut self, turnstile: Arc<dyn Turnstile>) -> Self {
        self.turns = Turns::by(turnstile);
        self.readers.take_turns(&self.turns);
        self
    }

    /// The schema's version that the database had when it was opened; 0 for one that was empty.
    pub const fn found_schema(&self) -> i64 {
        self.found_schema
    }

    /// Writes `append`; returns after the COMMIT that holds it. After an error nothing of it is stored.
    pub fn append(&self, append: Append) -> impl Future<Output = Result<(), AppendError>> + Send {
        // Put where it stays: an `async fn` keeps room for it more than once, in what each message waits in.
        let append = Box::new(append);
        async move {
            let span = Span::part(Part::Log);
            span.note("deskbell.conversation", &append.head.id);
            if let Some(last) = append.entries.last() {
                span.note("deskbell.entry", &last.id);
            }
            let turn = self.turns.take("append").await;
            let appended = self.queue.append(append).await;
            turn.brings_answer().await;
            if let Err(error) = &appended {
                span.fail(error.word());
            }
            appended
        }
    }

    /// Whether the log takes writes: tried with a real one.
    pub async fn is_writable(&self) -> bool {
        let _turn = self.turns.take("probe").await;
        self.queue.probe().await
    }

    /// How long writing takes: the longest since this was last asked, and what is being written so far.
    pub fn longest_write(&self) -> Duration {
        self.queue.longest()
    }

    /// Ends the writing task after everything that was handed to it is committed; later appends are `Unavailable`. To be
    /// called when all sessions have ended and before [`Tasks::wait`], which waits for this task, too.
    pub async fn close(&self) {
        self.queue.close().await;
        self.readers.close().await;
        if let Some(lock) = &self.lock {
            lock.release();
        }
    }

    /// Carries out one statement that changes something; returns how many rows it changed.
    async fn execute(&self, query: Query<'_, Any, AnyArguments>) -> Result<u64, Error> {
        let _turn = self.turns.take("write").await;
        Ok(self.writer.lock().await.execute(query).await?)
    }
}

impl Error {
    /// Says what it is of which there is one already.
    fn or_taken(self, what: &'static str) -> Self {
        if matches!(self, Self::Taken(_)) { Self::Taken(what) } else { self }
    }
}

impl From<sqlx::Error> for Error {
    /// Texts of the database name tables and files; those of a failed decoding may hold a value, and are left out.
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) if error.is_unique_violation() => Self::Taken("value"),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
                Self::Damaged("row")
            }
            error => Self::Unavailable(error.to_string()),
        }
    }
}
