//! The schema's versions, and how a database gets to the newest one.

use super::{Error, connection::Writer, rows::number};
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

/// Brings the schema up to date, all of it or nothing. The engine's lock keeps everybody else out meanwhile.
pub(super) async fn run(writer: &mut Writer, now: Millis) -> Result<(), Error> {
    writer.take_time();
    let migrated = async {
        writer.begin().await?;
        let upgraded = upgrade(writer, now).await;
        writer.end(upgraded).await
    }
    .await;
    writer.hurry();
    migrated
}

async fn upgrade(writer: &mut Writer, now: Millis) -> Result<(), Error> {
    writer.say(writer.engine().before_migration()).await?;
    writer.say(REGISTER).await?;
    let there = writer.fetch(sqlx::query("SELECT version FROM deskbell_schema")).await?;
    let there: Vec<i64> = there.iter().map(|row| number(row, "version")).collect::<Result<_, _>>()?;
    let found = there.iter().copied().max().unwrap_or(0);
    let known = VERSIONS.last().map_or(0, |(version, _)| *version);
    if found > known {
        return Err(Error::Newer { found, known });
    }
    for (version, text) in VERSIONS.iter().filter(|(version, _)| !there.contains(version)) {
        writer.say(&writer.dialect().complete(text)).await?;
        let register = sqlx::query("INSERT INTO deskbell_schema (version, applied_ms) VALUES ($1, $2)");
        writer.change(register.bind(*version).bind(now)).await?;
        tracing::info!(%version, "the database's schema was brought up to date");
    }
    Ok(())
}
