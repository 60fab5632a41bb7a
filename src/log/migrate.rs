//! The schema's versions, and how a database gets to the newest one.

use sqlx::{AnyConnection, AssertSqlSafe};

use super::{Error, connection::Writer, sqlite::CLUSTERED};
use crate::clock::Millis;

/// The versions, in order; the first is 1. A version that was released never changes.
const VERSIONS: &[&str] = &[include_str!("schema/0001_start.sql")];

/// Where the versions that a database has are written down.
const REGISTER: &str =
    "CREATE TABLE IF NOT EXISTS deskbell_schema (version BIGINT NOT NULL PRIMARY KEY, applied_ms BIGINT NOT NULL)";

/// Brings the schema up to date, all of it or nothing. The write lock keeps a second process out meanwhile.
pub(super) async fn run(writer: &mut Writer, now: Millis) -> Result<(), Error> {
    writer.begin().await?;
    match upgrade(writer.connection()?, now).await {
        Ok(()) => Ok(writer.commit().await?),
        Err(error) => {
            writer.roll_back().await;
            Err(error)
        }
    }
}

async fn upgrade(connection: &mut AnyConnection, now: Millis) -> Result<(), Error> {
    sqlx::raw_sql(REGISTER).execute(&mut *connection).await?;
    let found: i64 =
        sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM deskbell_schema").fetch_one(&mut *connection).await?;
    let known = i64::try_from(VERSIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(Error::Newer { found, known });
    }
    for (version, text) in (1_i64..).zip(VERSIONS).filter(|(version, _)| *version > found) {
        let text = text.replace("/*clustered*/", CLUSTERED);
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *connection).await?;
        sqlx::query("INSERT INTO deskbell_schema (version, applied_ms) VALUES ($1, $2)")
            .bind(version)
            .bind(now)
            .execute(&mut *connection)
            .await?;
        tracing::info!(version, "the database's schema was brought up to date");
    }
    Ok(())
}
