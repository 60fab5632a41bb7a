//! Backups: the whole log in one file, and back into an empty database of either engine.
//!
//! A backup is a SQLite file with the log's own tables, whichever engine it was made from: one text of SQL for both, a file
//! that any SQLite can look into, and a way from one engine to the other. `VACUUM INTO` and `pg_dump` would be two formats,
//! two ways to restore, and sign-ins in both. It is read in one snapshot beside a running server, and has the schema of the
//! database it came from: a backup before an upgrade needs no upgrade.
//!
//! What is restored is the log of another time. So each conversation gets another epoch, by which clients know that their
//! positions mean nothing; and of who was let in, nothing comes back: no sign-in, and no session token of before.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use futures_util::TryStreamExt as _;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _, any::AnyRow};

use super::{
    Error, Options,
    connection::Writer,
    engine::Engine,
    migrate, places, rows,
    sql::{Bulk, Cell, MOST_AT_ONCE, Row},
    sqlite::{Lock, Sqlite},
};
use crate::clock::Millis;

/// What is kept, and under which condition: nodes of a restored database have a secret of their own on the bus, so that
/// those of the old one are strangers to them. In the order in which rows refer to each other.
const TABLES: &[(&str, &str)] = &[
    ("projects", ""),
    ("agents", ""),
    ("signing_keys", ""),
    ("secrets", "WHERE name <> 'bus'"),
    ("visitors", ""),
    ("conversations", ""),
    ("entries", ""),
];

/// What is not: who is signed in, whose session ended, what running servers are told; and where entries are in a file.
#[cfg(test)]
const LEFT_OUT: [&str; 6] = ["agent_sessions", "revoked_sessions", "control", "probe", "places", "recent_places"];

/// What a backup says of itself.
const FACTS: &str = "CREATE TABLE backup (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)";

/// A table's columns, asked of a SQLite file; but for the place of a row in that file.
const COLUMNS: &str = "SELECT name, type FROM pragma_table_info($1) WHERE name <> 'place' ORDER BY cid";

/// What stood before a restore signs nothing more; and of it, session tokens hold no longer.
const RETIRE: &str = "UPDATE signing_keys SET retired_ms = $1 WHERE retired_ms IS NULL";
const END_SESSIONS: &str = "INSERT INTO control (n, kind, project, subject, at_ms) \
    SELECT ROW_NUMBER() OVER (ORDER BY kid), $1, NULL, kid, $2 FROM signing_keys";
/// The word in `control` that ends the sessions of a signing key.
pub const RESTORED: &str = "restored";

/// A backup that was made or restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Of what time it is: what was acknowledged before is in it.
    pub made_at: Millis,
    /// How many conversations it holds.
    pub conversations: u64,
    /// How many entries.
    pub entries: u64,
}

impl Backup {
    fn of(made_at: Millis, counts: &[u64]) -> Self {
        let count = |name: &str| {
            let counted = TABLES.iter().zip(counts).find(|((table, _), _)| *table == name);
            counted.map_or(0, |(_, count)| *count)
        };
        Self { made_at, conversations: count("conversations"), entries: count("entries") }
    }
}

/// A column, and whether it holds numbers.
struct Column {
    name: String,
    is_number: bool,
}

/// Writes a backup to `to`, where no file may be. It has that name only when all of it is on the disk. A server may be
/// running.
pub async fn back_up(options: &Options, to: &Path, now: Millis) -> Result<Backup, Error> {
    sqlx::any::install_default_drivers();
    must_be_free(to)?;
    let engine = Engine::find(options)?;
    let mut source = engine.connect_writer().await.map_err(|error| engine.unreachable(&error))?;
    let part = Part::make(to)?;
    let mut target = Writer::connect(Engine::Sqlite(Sqlite::backup(&part.path)?)).await?;
    let copied = write_all(&engine, &mut source, &mut target, now).await;
    target.close().await;
    drop(source.close().await);
    let backup = copied?;
    part.keep_as(to)?;
    Ok(backup)
}

async fn write_all(
    engine: &Engine,
    source: &mut AnyConnection,
    target: &mut Writer,
    now: Millis,
) -> Result<Backup, Error> {
    sqlx::raw_sql(engine.snapshot()).execute(&mut *source).await?;
    let versions = sqlx::query(migrate::FOUND).fetch_all(&mut *source).await;
    let versions = versions.map_err(|error| match error {
        sqlx::Error::Database(_) => Error::Unsupported("there is no Deskbell in that database yet".to_owned()),
        other => other.into(),
    })?;
    let versions = migrate::known(&versions)?;
    target.begin().await?;
    target.say(FACTS).await?;
    migrate::apply(target, |version| versions.contains(&version), now).await?;
    let mut counts = Vec::new();
    for (table, only) in TABLES.iter().filter(|(table, _)| migrate::has(&versions, table)) {
        let columns = columns(&target.fetch(sqlx::query(COLUMNS).bind(*table)).await?)?;
        let count = copy(source, target, (table, &columns), &select(table, &columns, only, None)).await?;
        note(target, &format!("rows.{table}"), count).await?;
        counts.push(count);
    }
    note(target, "made_ms", now).await?;
    note(target, "made_by", concat!("deskbell ", env!("CARGO_PKG_VERSION"))).await?;
    target.commit().await?;
    Ok(Backup::of(now, &counts))
}

/// Fills an empty database with the backup in `from`, all of it or nothing.
pub async fn restore(options: &Options, from: &Path, now: Millis) -> Result<Backup, Error> {
    sqlx::any::install_default_drivers();
    let mut source = open(from).await?;
    let engine = Engine::prepare(options)?;
    let lock = match &engine {
        Engine::Sqlite(_) => Some(Lock::take(&options.data_dir)?),
        Engine::Postgres(_) => None,
    };
    let mut target = Writer::connect(engine.clone()).await.map_err(|error| engine.unreachable(&error))?;
    target.check().await?;
    target.take_time();
    let restored = async {
        target.begin().await?;
        let filled = fill(&mut source, &mut target, now).await;
        target.end(filled).await
    }
    .await;
    target.close().await;
    drop(source.close().await);
    lock.iter().for_each(Lock::release);
    restored
}

async fn fill(source: &mut AnyConnection, target: &mut Writer, now: Millis) -> Result<Backup, Error> {
    target.say(target.engine().before_migration()).await?;
    let tables = target.fetch(sqlx::query(target.engine().count_tables())).await?;
    if tables.first().map_or(Ok(0), |row| rows::number(row, "tables"))? > 0 {
        let text = "the database is not empty: restore into a new one, where no server and no command has been yet";
        return Err(Error::Unsupported(text.to_owned()));
    }
    let versions = migrate::known(&sqlx::query(migrate::FOUND).fetch_all(&mut *source).await?)?;
    migrate::apply(target, |version| versions.contains(&version), now).await?;
    let epoch = format!("r{:x}", rand::random::<u64>());
    let mut counts = Vec::new();
    for (table, _) in TABLES.iter().filter(|(table, _)| migrate::has(&versions, table)) {
        let columns = columns(&sqlx::query(COLUMNS).bind(*table).fetch_all(&mut *source).await?)?;
        let text = select(table, &columns, "", Some(&epoch));
        let count = copy(source, target, (table, &columns), &text).await?;
        if Some(count) != fact(source, &format!("rows.{table}")).await? {
            return Err(Error::Damaged("backup: it does not hold as many rows as it says"));
        }
        counts.push(count);
    }
    // What is newer than the backup comes on top, as it would have there.
    migrate::apply(target, |version| !versions.contains(&version), now).await?;
    if let Engine::Sqlite(_) = target.engine() {
        target.say(places::ALL_GO_ON).await?;
    }
    target.change(sqlx::query(RETIRE).bind(now)).await?;
    target.change(sqlx::query(END_SESSIONS).bind(RESTORED).bind(now)).await?;
    let made_at = fact(source, "made_ms").await?.ok_or(Error::Damaged("backup"))?;
    Ok(Backup::of(i64::try_from(made_at).unwrap_or(i64::MAX), &counts))
}

/// Opens a backup to be read; refuses what is none, or is damaged.
async fn open(file: &Path) -> Result<AnyConnection, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Directory(format!("{}: {error}", file.display()));
    let path = file.canonicalize().map_err(|error| failed(&error))?;
    let options = Sqlite::read_only(&path)?;
    let opened = async {
        let mut connection = AnyConnection::connect_with(&options).await?;
        let id = sqlx::query("PRAGMA application_id").fetch_one(&mut connection).await?.try_get::<i64, _>(0)?;
        let state = sqlx::query("PRAGMA quick_check(1)").fetch_one(&mut connection).await?.try_get::<String, _>(0)?;
        Ok::<_, sqlx::Error>((connection, id, state))
    };
    match opened.await {
        Ok((_, _, state)) if state != "ok" => Err(failed(&"this backup is damaged")),
        Ok((connection, super::sqlite::BACKUP_ID, _)) => Ok(connection),
        Ok(_) | Err(sqlx::Error::Database(_)) => Err(failed(&"this is no backup that `deskbell backup` made")),
        Err(error) => Err(failed(&error)),
    }
}

/// Copies the rows of `text` into a table; how many there were.
async fn copy(
    source: &mut AnyConnection,
    target: &mut Writer,
    (table, columns): (&str, &[Column]),
    text: &str,
) -> Result<u64, Error> {
    let named = |column: &Column| format!("{}{}", column.name, if column.is_number { " BIGINT" } else { "" });
    let insert = Bulk::insert(table, &columns.iter().map(named).collect::<Vec<_>>().join(", "), "");
    let mut count = 0;
    let mut batch: Vec<Row> = Vec::with_capacity(MOST_AT_ONCE);
    let mut found = sqlx::query(AssertSqlSafe(text.to_owned())).fetch(source);
    while let Some(row) = found.try_next().await? {
        batch.push(cells(&row, columns)?);
        if batch.len() == MOST_AT_ONCE {
            count += insert.run(target, &batch).await?;
            batch.clear();
        }
    }
    Ok(count + insert.run(target, &batch).await?)
}

/// Asks for all of a table that `only` lets through, under another epoch if there is one.
fn select(table: &str, columns: &[Column], only: &str, epoch: Option<&str>) -> String {
    let column = |column: &Column| match epoch {
        Some(epoch) if (table, &*column.name) == ("conversations", "epoch") => format!("'{epoch}' AS epoch"),
        _ => column.name.clone(),
    };
    let columns: Vec<String> = columns.iter().map(column).collect();
    format!("SELECT {} FROM {table} {only}", columns.join(", "))
}

fn columns(found: &[AnyRow]) -> Result<Vec<Column>, Error> {
    let column = |row| Ok(Column { name: rows::text(row, "name")?, is_number: rows::text(row, "type")? == "BIGINT" });
    found.iter().map(column).collect()
}

fn cells(row: &AnyRow, columns: &[Column]) -> Result<Row, Error> {
    let cell = |(at, column): (usize, &Column)| {
        Ok(if column.is_number {
            row.try_get::<Option<i64>, _>(at)?.map_or(Cell::NoNumber, Cell::Number)
        } else {
            row.try_get::<Option<String>, _>(at)?.map_or(Cell::NoText, Cell::Text)
        })
    };
    columns.iter().enumerate().map(cell).collect()
}

async fn note(target: &mut Writer, name: &str, value: impl ToString) -> Result<(), Error> {
    let insert = sqlx::query("INSERT INTO backup (name, value) VALUES ($1, $2)");
    target.change(insert.bind(name).bind(value.to_string())).await?;
    Ok(())
}

/// A number that the backup says of itself.
async fn fact(source: &mut AnyConnection, name: &str) -> Result<Option<u64>, Error> {
    let found = sqlx::query("SELECT value FROM backup WHERE name = $1").bind(name).fetch_optional(source).await?;
    Ok(found.map(|row| rows::text(&row, "value")).transpose()?.and_then(|value| value.parse().ok()))
}

/// A file in the making, beside the one that it will be. It goes when it is not kept.
struct Part {
    path: PathBuf,
    kept: bool,
}

impl Part {
    fn make(to: &Path) -> Result<Self, Error> {
        let mut name = to.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{:x}.part", rand::random::<u64>()));
        let path = to.with_file_name(name);
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        made.map_err(|error| no_file(to, &error))?;
        let path = path.canonicalize().map_err(|error| no_file(&path, &error))?;
        Ok(Self { path, kept: false })
    }

    /// Gives it its name, with all that is in it on the disk before, and the name after.
    fn keep_as(mut self, to: &Path) -> Result<(), Error> {
        must_be_free(to)?;
        let failed = |error: io::Error| no_file(to, &error);
        File::open(&self.path).and_then(|file| file.sync_all()).map_err(failed)?;
        fs::rename(&self.path, to).map_err(failed)?;
        self.kept = true;
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.kept {
            drop(fs::remove_file(&self.path));
        }
    }
}

fn must_be_free(to: &Path) -> Result<(), Error> {
    let is_free = to.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    if is_free { Ok(()) } else { Err(Error::Directory(format!("{}: there is a file already", to.display()))) }
}

fn no_file(path: &Path, error: &io::Error) -> Error {
    Error::Directory(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_kept_or_left_out() {
        let schema = migrate::texts().collect::<String>();
        let tables = schema.split("CREATE TABLE ").skip(1).filter_map(|rest| rest.split(' ').next());
        let mut tables: Vec<&str> = tables.collect();
        let mut known: Vec<&str> = TABLES.iter().map(|(table, _)| *table).chain(LEFT_OUT).collect();
        tables.sort_unstable();
        tables.dedup();
        known.sort_unstable();
        assert_eq!(tables, known);
    }
}
