//! The one connection that writes, and how it heals.

use sqlx::{
    Any, AnyConnection,
    any::{AnyArguments, AnyRow},
    query::Query,
};

use super::sqlite::{BEGIN, Sqlite};

/// The writing connection. After any failure it is made good by the next use: rolled back, and if that does not help,
/// opened anew. So a full disk or a database that went away needs no restart.
#[derive(Debug)]
pub(super) struct Writer {
    engine: Sqlite,
    connection: Option<AnyConnection>,
    /// Something was begun and its end was not seen (a failure, or a caller that was dropped half way).
    unsettled: bool,
}

impl Writer {
    /// Connects.
    pub(super) async fn connect(engine: Sqlite) -> Result<Self, sqlx::Error> {
        let connection = engine.connect_writer().await?;
        Ok(Self { engine, connection: Some(connection), unsettled: false })
    }

    /// Begins a transaction. What the one before left open is rolled back first.
    pub(super) async fn begin(&mut self) -> Result<(), sqlx::Error> {
        self.settle().await;
        if let Some(connection) = &mut self.connection {
            self.unsettled = true;
            // Fails, too, should a transaction still be open: nothing is ever written into someone else's.
            match sqlx::raw_sql(BEGIN).execute(connection).await {
                Ok(_) => return Ok(()),
                Err(error) => tracing::warn!(%error, "the database's writing connection is opened anew"),
            }
        }
        self.reconnect().await?;
        self.unsettled = true;
        sqlx::raw_sql(BEGIN).execute(self.connection()?).await.map(drop)
    }

    /// Ends the transaction: what was written in it is on the disk when this returns `Ok`.
    pub(super) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        sqlx::raw_sql("COMMIT").execute(self.connection()?).await?;
        self.unsettled = false;
        Ok(())
    }

    /// Gives the transaction up. Should that fail, the next [`Writer::begin`] sees to it.
    pub(super) async fn roll_back(&mut self) {
        self.settle().await;
    }

    /// Carries out one statement in a transaction of its own; returns how many rows it changed.
    pub(super) async fn execute(&mut self, query: Query<'_, Any, AnyArguments>) -> Result<u64, sqlx::Error> {
        self.begin().await?;
        let done = query.execute(self.connection()?).await.map(|done| done.rows_affected());
        self.end(done).await
    }

    /// Carries out one statement in a transaction of its own; returns the row that it returns.
    pub(super) async fn fetch_one(&mut self, query: Query<'_, Any, AnyArguments>) -> Result<AnyRow, sqlx::Error> {
        self.begin().await?;
        let row = query.fetch_one(self.connection()?).await;
        self.end(row).await
    }

    async fn end<T>(&mut self, done: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        let ended = match done {
            Ok(value) => self.commit().await.map(|()| value),
            failed => failed,
        };
        if ended.is_err() {
            self.roll_back().await;
        }
        ended
    }

    /// The connection, within a transaction.
    pub(super) fn connection(&mut self) -> Result<&mut AnyConnection, sqlx::Error> {
        self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// Closes the connection; the last one of the file tidies up behind it.
    pub(super) async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(sqlx::Connection::close(connection).await);
        }
    }

    async fn settle(&mut self) {
        if let (true, Some(connection)) = (self.unsettled, &mut self.connection) {
            // An error says that nothing was open (a failed COMMIT may have rolled back by itself), or that the
            // connection is lost; BEGIN will tell which.
            drop(sqlx::raw_sql("ROLLBACK").execute(connection).await);
            self.unsettled = false;
        }
    }

    async fn reconnect(&mut self) -> Result<(), sqlx::Error> {
        self.close().await;
        self.connection = Some(self.engine.connect_writer().await?);
        self.unsettled = false;
        Ok(())
    }
}
