//! The schema's versions, and how a database gets to the newest one.

use sqlx::any::AnyRow;

use super::{Error, connection::Writer, engine::Dialect, rows::number};
use crate::clock::Millis;

/// The versions with their numbers, ascending. A version that was released never changes. One that a database lacks is applied
/// even where a later one is there already: two that were made side by side may arrive in either order.
const VERSIONS: &[(i64, Text)] = &[
    (1, Text::One(include_str!("schema/0001_start.sql"))),
    (2, Text::One(include_str!("schema/0002_delivered.sql"))),
    (3, Text::One(include_str!("schema/0003_bans.sql"))),
    (4, Text::One(include_str!("schema/0004_secrets.sql"))),
    (
        5,
        Text::Each {
            sqlite: include_str!("schema/0005_places.sqlite.sql"),
            postgres: include_str!("schema/0005_places.postgres.sql"),
        },
    ),
];

/// What a version does.
enum Text {
    /// The same on both engines, but for the words at its marks.
    One(&'static str),
    /// Where rows are found in another way.
    Each { sqlite: &'static str, postgres: &'static str },
}

impl Text {
    const fn of(&self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (Self::One(text), _)
            | (Self::Each { sqlite: text, .. }, Dialect::Sqlite)
            | (Self::Each { postgres: text, .. }, Dialect::Postgres) => text,
        }
    }
}

/// The schema's newest version, which is this program's.
pub const SCHEMA: i64 = VERSIONS[VERSIONS.len() - 1].0;

/// Where the versions that a database has are written down.
const REGISTER: &str =
    "CREATE TABLE IF NOT EXISTS deskbell_schema (version BIGINT NOT NULL PRIMARY KEY, applied_ms BIGINT NOT NULL)";

/// Brings the schema up to date, all of it or nothing; the version that was there before, 0 for none. The engine's lock keeps
/// everybody else out meanwhile.
pub(super) async fn run(writer: &mut Writer, now: Millis) -> Result<i64, Error> {
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

/// The versions that a database has, to be read by [`known`].
pub(super) const FOUND: &str = "SELECT version FROM deskbell_schema ORDER BY version";

async fn upgrade(writer: &mut Writer, now: Millis) -> Result<i64, Error> {
    writer.say(writer.engine().before_migration()).await?;
    // Asked before anything is made: there may be nothing yet.
    writer.say(REGISTER).await?;
    let there = known(&writer.fetch(sqlx::query(FOUND)).await?)?;
    apply(writer, |version| !there.contains(&version), now).await?;
    Ok(there.last().copied().unwrap_or(0))
}

/// The numbers of the versions in `rows`; refused if this program is older than the newest.
pub(super) fn known(rows: &[AnyRow]) -> Result<Vec<i64>, Error> {
    let found: Vec<i64> = rows.iter().map(|row| number(row, "version")).collect::<Result<_, _>>()?;
    match found.last().copied() {
        Some(newest) if newest > SCHEMA => Err(Error::Newer { found: newest, known: SCHEMA }),
        _ => Ok(found),
    }
}

/// Applies the versions that are `wanted`, within the present transaction.
pub(super) async fn apply(writer: &mut Writer, wanted: impl Fn(i64) -> bool, now: Millis) -> Result<(), Error> {
    writer.say(REGISTER).await?;
    for (version, text) in VERSIONS.iter().filter(|(version, _)| wanted(*version)) {
        let text = writer.dialect().complete(text.of(writer.dialect()));
        writer.say(&text).await?;
        let register = sqlx::query("INSERT INTO deskbell_schema (version, applied_ms) VALUES ($1, $2)");
        writer.change(register.bind(*version).bind(now)).await?;
        tracing::info!(%version, "the database's schema was brought up to date");
    }
    Ok(())
}

/// Whether a table is there in a database that has these `versions`.
pub(super) fn has(versions: &[i64], table: &str) -> bool {
    let made = format!("CREATE TABLE {table} ");
    VERSIONS.iter().any(|(version, text)| versions.contains(version) && text.of(Dialect::Sqlite).contains(&made))
}

/// The texts of all versions.
#[cfg(test)]
pub(super) fn texts() -> impl Iterator<Item = &'static str> {
    VERSIONS.iter().map(|(_, text)| text.of(Dialect::Sqlite))
}
