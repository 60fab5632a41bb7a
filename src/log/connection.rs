//! The connections: the one that writes and how it heals, and those that read.

use std::{
    io,
    time::{Duration, Instant},
};

use sqlx::{
    Any, AnyConnection, AnyPool, AssertSqlSafe,
    any::{AnyArguments, AnyRow},
    query::Query,
};

use super::{
    Error,
    engine::{Dialect, Engine},
    postgres::{Postgres, in_time},
    sqlite::Sqlite,
    turns::Turns,
};

/// The shortest and the longest pause before a database in another process is tried again after it could not be reached.
/// Every group of appends would try, thousands a second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// A writing connection that was not used for longer is asked whether it still lives, where nothing else would tell.
const RESTED: Duration = Duration::from_millis(100);

/// The writing connection. After any failure it is made good by the next use: rolled back, and if that does not help,
/// opened anew. So a full disk or a database that went away needs no restart.
#[derive(Debug)]
pub(super) struct Writer {
    engine: Engine,
    connection: Option<AnyConnection>,
    /// Something was begun and its end was not seen (a failure, or a caller that was dropped half way).
    unsettled: bool,
    /// Something was asked and its answer was not heard: the caller was dropped.
    asking: bool,
    /// How long an answer may take.
    patience: Option<Duration>,
    /// When the database may be tried again, and the pause before that.
    pause: Option<(Instant, Duration)>,
    /// When it was last heard.
    heard_at: Instant,
}

impl Writer {
    /// Connects.
    pub(super) async fn connect(engine: Engine) -> Result<Self, sqlx::Error> {
        let (connection, patience) = (Some(engine.connect_writer().await?), engine.patience());
        let heard_at = Instant::now();
        Ok(Self { engine, connection, unsettled: false, asking: false, patience, pause: None, heard_at })
    }

    /// Looks whether a log can be kept in this database.
    pub(super) async fn check(&mut self) -> Result<(), Error> {
        match (&self.engine, &mut self.connection) {
            (Engine::Postgres(_), Some(connection)) => Postgres::check(connection).await,
            (Engine::Sqlite(_), Some(connection)) => Sqlite::check(connection).await,
            (_, None) => Ok(()),
        }
    }

    /// The engine.
    pub(super) const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// How its SQL is written.
    pub(super) const fn dialect(&self) -> Dialect {
        self.engine.dialect()
    }

    /// Waits for answers as long as they take, until [`Writer::hurry`].
    pub(super) const fn take_time(&mut self) {
        self.patience = None;
    }

    /// Waits for answers as long as is usual.
    pub(super) const fn hurry(&mut self) {
        self.patience = self.engine.patience();
    }

    /// Begins a transaction. What the one before left open is rolled back first.
    pub(super) async fn begin(&mut self) -> Result<(), sqlx::Error> {
        self.settle().await;
        if self.connection.is_some() {
            self.unsettled = true;
            // SQLite's fails, too, should a transaction still be open: nothing is ever written into someone else's.
            match self.say(self.engine.begin()).await {
                Ok(()) => return Ok(()),
                Err(error) => tracing::warn!(%error, "the database's writing connection is opened anew"),
            }
        }
        self.reconnect().await?;
        self.unsettled = true;
        self.say(self.engine.begin()).await
    }

    /// Ends the transaction: what was written in it is on the disk when this returns `Ok`. After an error it may be, too.
    pub(super) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        self.say("COMMIT").await?;
        self.unsettled = false;
        Ok(())
    }

    /// Gives the transaction up. Should that fail, the next [`Writer::begin`] sees to it.
    pub(super) async fn roll_back(&mut self) {
        self.settle().await;
    }

    /// Carries out one statement that is a transaction of its own; returns the rows that it returns. What it writes is on the
    /// disk when this returns `Ok`: all of the answer is heard, and its end says that the transaction has ended. After an error it
    /// may be, too.
    pub(super) async fn fetch_alone(
        &mut self,
        query: Query<'_, Any, AnyArguments>,
    ) -> Result<Vec<AnyRow>, sqlx::Error> {
        self.settle().await;
        // One that died while it rested is found out before anything is risked.
        if self.connection.is_some()
            && self.heard_at.elapsed() > RESTED
            && let Err(error) = self.say("SELECT 1").await
        {
            tracing::warn!(%error, "the database's writing connection is opened anew");
            self.connection = None;
        }
        if self.connection.is_none() {
            self.reconnect().await?;
        }
        self.fetch(query).await
    }

    /// Carries out one statement in a transaction of its own; returns how many rows it changed.
    pub(super) async fn execute(&mut self, query: Query<'_, Any, AnyArguments>) -> Result<u64, sqlx::Error> {
        self.begin().await?;
        let done = self.change(query).await;
        self.end(done).await
    }

    /// Ends a transaction as what was done in it asks for.
    pub(super) async fn end<T, E: From<sqlx::Error>>(&mut self, done: Result<T, E>) -> Result<T, E> {
        let ended = match done {
            Ok(value) => self.commit().await.map(|()| value).map_err(E::from),
            failed => failed,
        };
        if ended.is_err() {
            self.roll_back().await;
        }
        ended
    }

    /// Carries out one statement within a transaction; returns how many rows it changed.
    pub(super) async fn change(&mut self, query: Query<'_, Any, AnyArguments>) -> Result<u64, sqlx::Error> {
        let patience = self.patience;
        let answer = in_time(patience, query.execute(self.ask()?)).await;
        self.heard(answer).map(|done| done.rows_affected())
    }

    /// Carries out one statement within a transaction; returns the rows that it returns.
    pub(super) async fn fetch(&mut self, query: Query<'_, Any, AnyArguments>) -> Result<Vec<AnyRow>, sqlx::Error> {
        let patience = self.patience;
        let answer = in_time(patience, query.fetch_all(self.ask()?)).await;
        self.heard(answer)
    }

    /// Carries out statements without parameters.
    pub(super) async fn say(&mut self, text: &str) -> Result<(), sqlx::Error> {
        let patience = self.patience;
        let text = AssertSqlSafe(text.to_owned());
        let answer = in_time(patience, sqlx::raw_sql(text).execute(self.ask()?)).await;
        self.heard(answer).map(drop)
    }

    /// Closes the connection; the last one of a SQLite file tidies up behind it.
    pub(super) async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(in_time(self.engine.patience(), sqlx::Connection::close(connection)).await);
        }
    }

    fn ask(&mut self) -> Result<&mut AnyConnection, sqlx::Error> {
        let connection = self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        self.asking = true;
        Ok(connection)
    }

    fn heard<T>(&mut self, answer: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        (self.asking, self.heard_at) = (false, Instant::now());
        if answer.as_ref().is_err_and(|error| self.engine.is_lost_after(error)) {
            self.connection = None;
        }
        answer
    }

    async fn settle(&mut self) {
        if self.asking && self.dialect() == Dialect::Postgres {
            // An answer is still on the way. To a new connection it can't come.
            self.connection = None;
        }
        self.asking = false;
        if self.unsettled && self.connection.is_some() {
            // SQLite's error says that nothing was open (a failed COMMIT may have rolled back by itself), or that the
            // connection is lost; BEGIN will tell which. PostgreSQL has none but a lost connection.
            if self.say("ROLLBACK").await.is_err() && self.dialect() == Dialect::Postgres {
                self.connection = None;
            }
        }
        self.unsettled = false;
    }

    async fn reconnect(&mut self) -> Result<(), sqlx::Error> {
        if let Some((until, _)) = self.pause
            && Instant::now() < until
        {
            let resting = "the database could not be reached, and is tried again in a moment";
            return Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::NotConnected, resting)));
        }
        self.close().await;
        self.unsettled = false;
        let connected = self.engine.connect_writer().await;
        self.pause = match (&connected, self.dialect()) {
            (Err(_), Dialect::Postgres) => Some(longer(self.pause)),
            _ => None,
        };
        self.connection = Some(connected?);
        Ok(())
    }
}

/// The next pause: twice the one before, and somewhere between its half and its whole, so that nodes do not come together.
fn longer(before: Option<(Instant, Duration)>) -> (Instant, Duration) {
    let (least, most) = PAUSE;
    let pause = before.map_or(least, |(_, pause)| (pause * 2).min(most));
    (Instant::now() + pause.mul_f64(rand::random_range(0.5..1.0)), pause)
}

/// The connections that read. None of them waits for ever.
#[derive(Clone, Debug)]
pub(super) struct Readers {
    pool: AnyPool,
    patience: Option<Duration>,
    turns: Turns,
}

impl Readers {
    /// Connects; at most `most` at once.
    pub(super) async fn connect(engine: &Engine, most: u32) -> Result<Self, sqlx::Error> {
        Ok(Self { pool: engine.readers(most).await?, patience: engine.patience(), turns: Turns::default() })
    }

    #[cfg(feature = "fault-injection")]
    pub(super) fn take_turns(&mut self, turns: &Turns) {
        self.turns = turns.clone();
    }

    /// All rows.
    pub(super) async fn fetch_all(&self, query: Query<'_, Any, AnyArguments>) -> Result<Vec<AnyRow>, sqlx::Error> {
        let turn = self.turns.take("read").await;
        let answer = self.ask(query).await;
        turn.brings_answer().await;
        answer
    }

    async fn ask(&self, query: Query<'_, Any, AnyArguments>) -> Result<Vec<AnyRow>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        let answer = in_time(self.patience, query.fetch_all(&mut *connection)).await;
        if answer.as_ref().is_err_and(is_late) {
            // Its answer may still come, and must not be taken for that of another question.
            drop(connection.detach());
        }
        answer
    }

    /// The first row, if there is one.
    pub(super) async fn fetch_optional(
        &self,
        query: Query<'_, Any, AnyArguments>,
    ) -> Result<Option<AnyRow>, sqlx::Error> {
        Ok(self.fetch_all(query).await?.into_iter().next())
    }

    /// The one row.
    pub(super) async fn fetch_one(&self, query: Query<'_, Any, AnyArguments>) -> Result<AnyRow, sqlx::Error> {
        self.fetch_optional(query).await?.ok_or(sqlx::Error::RowNotFound)
    }

    /// Closes all of them.
    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

fn is_late(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}
