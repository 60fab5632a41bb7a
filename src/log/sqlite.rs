//! What is SQLite's own: the file, its lock, its pragmas.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, types::Null};
use sqlx::{
    AnyConnection, AnyPool, ConnectOptions as _,
    any::{AnyConnectOptions, AnyPoolOptions},
};
use uuid::Uuid;

use super::{
    Error,
    pen::Told,
    sql::{Cell, Row},
};

/// The database's file in the data directory.
const FILE: &str = "deskbell.db";
/// The file whose lock the server holds.
const LOCK_FILE: &str = "deskbell.lock";

/// How a writing transaction begins: with the write lock, so that it never fails half way because another has it.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";
/// How a transaction begins that reads everything for a backup: the write-ahead log keeps what it needs until its end.
pub(super) const SNAPSHOT: &str = "BEGIN";
/// How many tables there are.
pub(super) const COUNT_TABLES: &str = "SELECT COUNT(*) AS tables FROM sqlite_master WHERE type = 'table'";
/// What a backup says of itself in its head ("dbel"), and no server's database does.
pub(super) const BACKUP_ID: i64 = 0x6462_656c;

/// What stands for the marks of the log's SQL: rows are kept in the tree of their primary key. There is one writer, so
/// nothing is locked.
pub(super) const OWN_WORDS: &[(&str, &str)] = &[("/*clustered*/", "WITHOUT ROWID")];

/// How long a read waits for a free connection.
const READER_WAIT: Duration = Duration::from_secs(5);
/// How long a group waits while a command beside the server, or this server's other connection, writes.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// The writer's pragmas.
///
/// `page_size` counts only while the file is empty. `synchronous = FULL` is what "acknowledged" rests on: NORMAL lost
/// acknowledged commits in a power-cut test. `fullfsync` is the same promise on macOS. `secure_delete` zeroes what is
/// deleted. The cache (-KiB) grows with use: 8 MiB hold the pages that some 1,500 busy conversations write to; what is
/// not in it is in the system's, which costs no more. A larger one costs: after a page of a tree was divided, COMMIT looks at
/// all of it (with 64 MiB 5 % of the CPU of a message, with 16 two more than with 8). No memory map: through one, a failing disk is a signal that kills the
/// process; through `read` it is an error that heals. The
/// writer's checkpoint after 16,000 pages (64 MiB) stops the commits; [`super::checkpoints`] sees to it that it hardly ever
/// comes to that. A WAL of that size is read back in well under a second after a crash.
const WRITER_PRAGMAS: &str = "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON; PRAGMA secure_delete = ON; PRAGMA cache_size = -8192; \
    PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; PRAGMA trusted_schema = OFF; \
    PRAGMA wal_autocheckpoint = 16000; PRAGMA journal_size_limit = 67108864;";

/// The pragmas of a backup that is being written: nobody else sees the file, it is synced once when it is whole, and one
/// that is not is thrown away. The number is [`BACKUP_ID`].
const BACKUP_PRAGMAS: &str = "PRAGMA page_size = 4096; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; \
    PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -65536; PRAGMA application_id = 1684170092;";

/// The readers' pragmas: 8 MiB of cache each, and no writing by mistake.
const READER_PRAGMAS: &str = "PRAGMA query_only = ON; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY; \
    PRAGMA mmap_size = 0; PRAGMA trusted_schema = OFF;";

/// A SQLite database in a data directory.
#[derive(Clone, Debug)]
pub(super) struct Sqlite {
    file: PathBuf,
    options: AnyConnectOptions,
    pragmas: &'static str,
}

impl Sqlite {
    /// Makes the directory and an empty database file, for their owner only, where they are missing.
    pub(super) fn prepare(data_dir: &Path) -> Result<Self, Error> {
        let failed = |error: io::Error| Error::Directory(format!("the data directory {}: {error}", data_dir.display()));
        if !data_dir.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(failed)?;
        }
        let data_dir = data_dir.canonicalize().map_err(failed)?;
        let file = data_dir.join(FILE);
        if !file.exists() {
            open_private(&file).map_err(failed)?;
            // The name must outlive a power cut as well as the content does.
            File::open(&data_dir).and_then(|dir| dir.sync_all()).map_err(failed)?;
        }
        let options = options_of(&file, "")?;
        Ok(Self { file, options, pragmas: WRITER_PRAGMAS })
    }

    /// The database in the data directory, which must be there.
    pub(super) fn find(data_dir: &Path) -> Result<Self, Error> {
        if data_dir.join(FILE).is_file() {
            return Self::prepare(data_dir);
        }
        let text = format!(
            "there is no {FILE} in {} (data_dir): `deskbell serve` makes it, if this is the right configuration (--config, DESKBELL_CONFIG)",
            data_dir.display()
        );
        Err(Error::Directory(text))
    }

    /// The file of a backup, empty yet.
    pub(super) fn backup(file: &Path) -> Result<Self, Error> {
        Ok(Self { file: file.to_owned(), options: options_of(file, "")?, pragmas: BACKUP_PRAGMAS })
    }

    /// A file that nobody changes, to be read.
    pub(super) fn read_only(file: &Path) -> Result<AnyConnectOptions, Error> {
        options_of(file, "?mode=ro&immutable=true")
    }

    /// Looks whether a log can be kept in this file.
    pub(super) async fn check(connection: &mut AnyConnection) -> Result<(), Error> {
        let (id,): (i64,) = sqlx::query_as("PRAGMA application_id").fetch_one(connection).await?;
        if id == BACKUP_ID {
            let text = "this file is a backup: `deskbell restore` makes a database of it, and tells clients that it is another";
            return Err(Error::Unsupported(text.to_owned()));
        }
        Ok(())
    }

    /// Connects for writing on the caller's own thread.
    pub(super) fn direct(&self) -> Result<Direct, Error> {
        let connection = connect(&self.file).map_err(|error| Error::Unavailable(error.to_string()))?;
        Ok(Direct { file: self.file.clone(), connection, changed: 0, unsettled: false })
    }

    /// Connects for writing.
    pub(super) async fn connect_writer(&self) -> Result<AnyConnection, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        sqlx::raw_sql(self.pragmas).execute(&mut connection).await?;
        Ok(connection)
    }

    /// Connections for reading.
    pub(super) async fn readers(&self, most: u32) -> Result<AnyPool, sqlx::Error> {
        AnyPoolOptions::new()
            .max_connections(most)
            // One always stays: while it does, a writer that reconnects finds the shared memory and the WAL in place.
            .min_connections(1)
            .acquire_timeout(READER_WAIT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .after_connect(|connection, _| {
                Box::pin(async move { sqlx::raw_sql(READER_PRAGMAS).execute(connection).await.map(drop) })
            })
            .connect_with(self.options.clone())
            .await
    }
}

/// Whether the rows themselves are refused: a constraint.
pub(super) fn is_about_data(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
}

/// A connection whose statements are carried out on the thread that asks for them. After any failure it is made good by the
/// next use: rolled back, and if that does not help, opened anew. So a full disk needs no restart.
#[derive(Debug)]
pub(super) struct Direct {
    file: PathBuf,
    connection: Connection,
    /// Rows changed since the last checkpoint.
    changed: u64,
    /// Something was begun and its end was not seen.
    unsettled: bool,
}

impl Direct {
    /// Begins a transaction. What the one before left open is rolled back first.
    pub(super) fn begin(&mut self) -> rusqlite::Result<()> {
        self.roll_back();
        // Fails, too, should a transaction still be open: nothing is ever written into someone else's.
        if let Err(error) = self.say(BEGIN) {
            tracing::warn!(%error, "the database's writing connection is opened anew");
            self.connection = connect(&self.file)?;
            self.say(BEGIN)?;
        }
        self.unsettled = true;
        Ok(())
    }

    /// Ends the transaction: what was written in it is on the disk when this returns `Ok`.
    pub(super) fn commit(&mut self) -> rusqlite::Result<()> {
        self.say("COMMIT")?;
        self.unsettled = false;
        Ok(())
    }

    /// Gives the transaction up, if one is open.
    pub(super) fn roll_back(&mut self) {
        if std::mem::take(&mut self.unsettled) {
            // An error says that nothing was open (a failed COMMIT may have rolled back by itself), or that the connection
            // is no good; BEGIN will tell which.
            drop(self.say("ROLLBACK"));
        }
    }

    /// The database's file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// How many rows were changed since [`Direct::move_rest`].
    pub(super) const fn changed(&self) -> u64 {
        self.changed
    }

    /// Moves what a checkpoint beside the commits left of the write-ahead log into the database.
    pub(super) fn move_rest(&mut self) {
        self.changed = 0;
        if let Err(error) = move_log(&self.connection) {
            tracing::debug!(%error, "the write-ahead log was not moved");
        }
    }

    /// Carries out a statement without parameters.
    pub(super) fn say(&mut self, text: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(text)?.raw_execute().map(drop)
    }

    /// Carries out a statement once for each row; returns how many rows of the table changed.
    pub(super) fn run<'r>(&mut self, text: &str, rows: impl IntoIterator<Item = &'r Row>) -> rusqlite::Result<u64> {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return Ok(0);
        }
        let mut statement = self.connection.prepare_cached(text)?;
        let mut changed = 0;
        for row in rows {
            bind(&mut statement, row)?;
            changed += statement.raw_execute()? as u64;
        }
        self.changed += changed;
        Ok(changed)
    }

    /// Carries out a statement that moves many rows on few pages: they do not count as changed.
    pub(super) fn shift(&mut self, text: &str, parameters: &Row) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(text)?;
        bind(&mut statement, parameters)?;
        statement.raw_execute().map(drop)
    }

    /// Carries out a statement once for each row; returns the rows that it returns.
    pub(super) fn fetch<'r>(
        &mut self,
        text: &str,
        rows: impl IntoIterator<Item = &'r Row>,
    ) -> rusqlite::Result<Vec<Told>> {
        let mut statement = self.connection.prepare_cached(text)?;
        let has_number = statement.column_count() > 1;
        let mut told = Vec::new();
        for row in rows {
            bind(&mut statement, row)?;
            let mut answers = statement.raw_query();
            while let Some(answer) = answers.next()? {
                told.push((answer.get(0)?, if has_number { answer.get(1)? } else { 0 }));
            }
        }
        Ok(told)
    }
}

fn bind(statement: &mut rusqlite::Statement<'_>, row: &Row) -> rusqlite::Result<()> {
    for (cell, place) in row.iter().zip(1..) {
        match cell {
            Cell::Text(text) => statement.raw_bind_parameter(place, text)?,
            Cell::Id(id) => {
                let mut written = Uuid::encode_buffer();
                statement.raw_bind_parameter(place, &*id.hyphenated().encode_lower(&mut written))?;
            }
            Cell::Word(word) => statement.raw_bind_parameter(place, word)?,
            Cell::Number(number) => statement.raw_bind_parameter(place, number)?,
            Cell::NoText | Cell::NoNumber => statement.raw_bind_parameter(place, Null)?,
        }
    }
    Ok(())
}

/// Moves what the write-ahead log holds into the database, as far as that holds nobody up.
pub(super) fn move_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

/// Connects for writing.
pub(super) fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(LOCK_WAIT)?;
    connection.execute_batch(WRITER_PRAGMAS)?;
    Ok(connection)
}

/// The server's lock on the data directory; let go when dropped, and by the kernel when the process dies.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock, or says who has it.
    pub(super) fn take(data_dir: &Path) -> Result<Self, Error> {
        let path = data_dir.join(LOCK_FILE);
        let failed = |error: io::Error| Error::Directory(format!("the lock {}: {error}", path.display()));
        let file = open_private(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse(data_dir.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Lets it go.
    pub(super) fn release(&self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "the data directory's lock was not let go");
        }
    }
}

/// Opens a file for writing; a new one for its owner only.
fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// How a file is opened; `how` are the address's words for it.
fn options_of(file: &Path, how: &str) -> Result<AnyConnectOptions, Error> {
    let url = format!("sqlite://{}{how}", percent_encoded(file)?);
    let options = url.parse::<AnyConnectOptions>().map_err(|error| Error::Unsupported(error.to_string()))?;
    // Statements would be logged with their text, slow ones at WARN; the log has metrics of its own.
    Ok(options.disable_statement_logging())
}

/// The path as it stands in a URL.
fn percent_encoded(path: &Path) -> Result<String, Error> {
    let Some(text) = path.to_str() else {
        return Err(Error::Directory(format!("the data directory {} has a name that is not UTF-8", path.display())));
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.');
    Ok(text
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect())
}
