//! The two engines, and what differs between them. Each has a file of its own; nothing above the log knows which it is.

use std::time::Duration;

use sqlx::{AnyConnection, AnyPool};

use super::{
    Error, Options,
    postgres::Postgres,
    sqlite::{Direct, Sqlite},
};

/// The database that the configuration names.
#[derive(Clone, Debug)]
pub(super) enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// How an engine wants its SQL written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

impl Engine {
    /// The engine that the options name, ready to be connected to.
    pub(super) fn prepare(options: &Options) -> Result<Self, Error> {
        match options.url.reveal() {
            "sqlite" => Ok(Self::Sqlite(Sqlite::prepare(&options.data_dir)?)),
            url if Postgres::is_meant_by(url) => Ok(Self::Postgres(Postgres::prepare(url)?)),
            _ => Err(Error::Unsupported("`database.url` takes \"sqlite\" or a postgres:// address".to_owned())),
        }
    }

    /// As [`Engine::prepare`], where something must be there already: nothing is made.
    pub(super) fn find(options: &Options) -> Result<Self, Error> {
        match options.url.reveal() {
            "sqlite" => Ok(Self::Sqlite(Sqlite::find(&options.data_dir)?)),
            _ => Self::prepare(options),
        }
    }

    /// Connects for writing.
    pub(super) async fn connect_writer(&self) -> Result<AnyConnection, sqlx::Error> {
        match self {
            Self::Sqlite(sqlite) => sqlite.connect_writer().await,
            Self::Postgres(postgres) => postgres.connect_writer().await,
        }
    }

    /// A connection for the task that writes the groups, where the database is in this process.
    pub(super) fn direct(&self) -> Result<Option<Direct>, Error> {
        match self {
            Self::Sqlite(sqlite) => sqlite.direct().map(Some),
            Self::Postgres(_) => Ok(None),
        }
    }

    /// Connections for reading, at most `most` at once.
    pub(super) async fn readers(&self, most: u32) -> Result<AnyPool, sqlx::Error> {
        match self {
            Self::Sqlite(sqlite) => sqlite.readers(most).await,
            Self::Postgres(postgres) => postgres.readers(most).await,
        }
    }

    /// How its SQL is written.
    pub(super) const fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// How a writing transaction begins.
    pub(super) const fn begin(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => super::sqlite::BEGIN,
            Self::Postgres(_) => super::postgres::BEGIN,
        }
    }

    /// How a transaction begins that reads all of the database as it is at its first question, however long it takes.
    pub(super) const fn snapshot(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => super::sqlite::SNAPSHOT,
            Self::Postgres(_) => super::postgres::SNAPSHOT,
        }
    }

    /// Asks how many `tables` there are.
    pub(super) const fn count_tables(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => super::sqlite::COUNT_TABLES,
            Self::Postgres(_) => super::postgres::COUNT_TABLES,
        }
    }

    /// How a transaction goes on that changes the schema: others are kept out, and nothing hurries it.
    pub(super) const fn before_migration(&self) -> &'static str {
        match self {
            // Whoever has begun to write has the lock already.
            Self::Sqlite(_) => "",
            Self::Postgres(_) => super::postgres::BEFORE_MIGRATION,
        }
    }

    /// How long an answer may take before the connection is given up; none where the database is in this process.
    pub(super) const fn patience(&self) -> Option<Duration> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(_) => Some(super::postgres::PATIENCE),
        }
    }

    /// Whether the connection is no good after `error`, so that a new one is needed.
    pub(super) fn is_lost_after(&self, error: &sqlx::Error) -> bool {
        match self {
            // The next BEGIN tells.
            Self::Sqlite(_) => false,
            Self::Postgres(_) => super::postgres::is_lost_after(error),
        }
    }

    /// The error of a connection that could not be made.
    pub(super) fn unreachable(&self, error: &sqlx::Error) -> Error {
        match self {
            Self::Sqlite(_) => Error::Unavailable(error.to_string()),
            Self::Postgres(_) => Error::Unreachable(error.to_string()),
        }
    }
}

impl Dialect {
    /// A text of the log's, with what the engine has of its own where the text marks a place for it.
    pub(super) fn complete(self, text: &str) -> String {
        let own = match self {
            Self::Sqlite => super::sqlite::OWN_WORDS,
            Self::Postgres => super::postgres::OWN_WORDS,
        };
        own.iter().fold(text.to_owned(), |text, (mark, words)| text.replace(mark, words))
    }
}
