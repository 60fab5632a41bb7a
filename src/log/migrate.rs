//! The schema's versions, and how a database gets to the newest one.

use sqlx::{AnyConnection, AssertSqlSafe};

use super::{Error, connection::Writer, sqlite::CLUSTERED};
use crate::clock::Millis;

/// The versions with their numbers, ascending. A version that was released never changes. One that a database lacks is applied
/// even where a later one is there already: two that were made side by side may arrive in either order.
const VERSIONS: &[(i64, &str)] = &[
    (1, include_str!("schema/0001_start.sql")),
    (2, include_str!("schema/0002_delivered.sql")),
    (3, include_str!("schema/0003_bans.sql")),
    (4, include_str!("schema/0004_secrets.sql")),
];

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
    let there: Vec<i64> = sqlx::query_scalar("SELECT version FROM deskbell_schema").fetch_all(&mut *connection).await?;
    let found = there.iter().copied().max().unwrap_or(0);
    let known = VERSIONS.last().map_or(0, |(version, _)| *version);
    if found > known {
        return Err(Error::Newer { found, known });
    }
    for (version, text) in VERSIONS.iter().filter(|(version, _)| !there.contains(version)) {
        let text = text.replace("/*clustered*/", CLUSTERED);
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *connection).await?;
        sqlx::query("INSERT INTO deskbell_schema (version, applied_ms) VALUES ($1, $2)")
            .bind(*version)
            .bind(now)
            .execute(&mut *connection)
            .await?;
        tracing::info!(%version, "the database's schema was brought up to date");
    }
    Ok(())
}
