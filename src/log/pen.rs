//! What groups of appends are written with.
//!
//! PostgreSQL is asked through the log's writing connection. SQLite is part of this process: its statements are carried out
//! right here, on the thread of the task that writes the groups, without a word to another thread for each of them.

use super::{
    connection::Writer,
    sql::{Bulk, Row},
    sqlite::Direct,
};

/// The way to the database for one group.
pub(super) enum Pen<'w> {
    /// The connection that all other changes go through, too.
    Shared(&'w mut Writer),
    /// SQLite, on this thread.
    Direct(&'w mut Direct),
}

/// Why a group was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// On a connection of sqlx.
    #[error(transparent)]
    Shared(#[from] sqlx::Error),
    /// In SQLite.
    #[error(transparent)]
    Direct(#[from] rusqlite::Error),
}

/// A row that a statement returns: an id, and the number behind it, if there is one.
pub(super) type Told = (String, i64);

impl Pen<'_> {
    /// Whether statements are carried out on this thread.
    pub(super) const fn is_direct(&self) -> bool {
        matches!(self, Self::Direct(_))
    }

    /// Begins a transaction. What the one before left open is rolled back first.
    pub(super) async fn begin(&mut self) -> Result<(), Trouble> {
        match self {
            Self::Shared(writer) => Ok(writer.begin().await?),
            Self::Direct(direct) => Ok(direct.begin()?),
        }
    }

    /// Ends the transaction: what was written in it is on the disk when this returns `Ok`. After an error it may be, too.
    pub(super) async fn commit(&mut self) -> Result<(), Trouble> {
        match self {
            Self::Shared(writer) => Ok(writer.commit().await?),
            Self::Direct(direct) => Ok(direct.commit()?),
        }
    }

    /// The connection, where the database is in another process: each statement is a journey.
    pub(super) const fn far(&mut self) -> Option<&mut Writer> {
        match self {
            Self::Shared(writer) => Some(writer),
            Self::Direct(_) => None,
        }
    }

    /// Gives the transaction up. Should that fail, the next [`Pen::begin`] sees to it.
    pub(super) async fn roll_back(&mut self) {
        match self {
            Self::Shared(writer) => writer.roll_back().await,
            Self::Direct(direct) => direct.roll_back(),
        }
    }

    /// Carries out a statement without parameters within a transaction.
    pub(super) async fn say(&mut self, text: &str) -> Result<(), Trouble> {
        match self {
            Self::Shared(writer) => Ok(writer.say(text).await?),
            Self::Direct(direct) => Ok(direct.say(text)?),
        }
    }

    /// Carries out a statement for all `rows`; returns how many rows of the table changed.
    pub(super) async fn run<'r>(
        &mut self,
        bulk: &Bulk,
        rows: impl IntoIterator<Item = &'r Row> + Send,
    ) -> Result<u64, Trouble> {
        match self {
            Self::Shared(writer) => Ok(bulk.run(writer, rows).await?),
            Self::Direct(direct) => Ok(direct.run(bulk.alone(), rows)?),
        }
    }

    /// Carries out a statement for all `rows`; returns the rows that it returns.
    pub(super) async fn fetch<'r>(
        &mut self,
        bulk: &Bulk,
        rows: impl IntoIterator<Item = &'r Row> + Send,
    ) -> Result<Vec<Told>, Trouble> {
        match self {
            Self::Shared(writer) => Ok(bulk.fetch(writer, rows).await?),
            Self::Direct(direct) => Ok(direct.fetch(bulk.alone(), rows)?),
        }
    }
}

impl Trouble {
    /// Whether it came of others who write at the same time, so that the same may well work at once.
    pub(super) fn is_conflict(&self) -> bool {
        // Of SQLite there is one writer, and who else writes is waited for.
        matches!(self, Self::Shared(error) if super::postgres::is_conflict(error))
    }

    /// Whether the database refuses the rows themselves, which trying again would not change.
    pub(super) fn is_about_data(&self) -> bool {
        match self {
            Self::Shared(error) => super::postgres::is_about_data(error),
            Self::Direct(error) => super::sqlite::is_about_data(error),
        }
    }
}
