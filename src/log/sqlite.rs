//! What is SQLite's own: the file, its lock, its pragmas.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
    time::Duration,
};

use sqlx::{
    AnyConnection, AnyPool, ConnectOptions as _,
    any::{AnyConnectOptions, AnyPoolOptions},
    error::ErrorKind,
};

use super::Error;

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

/// The writer's pragmas.
///
/// `page_size` counts only while the file is empty. `synchronous = FULL` is what "acknowledged" rests on: NORMAL lost
/// acknowledged commits in a power-cut test. `fullfsync` is the same promise on macOS. `secure_delete` zeroes what is
/// deleted. The cache (-KiB) grows with use: 64 MiB hold the tails of 16,000 busy conversations. No memory map: through
/// one, a failing disk is a signal that kills the process; through `read` it is an error that heals. A checkpoint stops
/// the commits for some 10 ms; one after 16,000 pages (64 MiB) is rare enough to stay out of the 99th percentile at 5,000
/// messages a second, and a WAL of that size is read back in well under a second after a crash.
const WRITER_PRAGMAS: &str = "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON; PRAGMA secure_delete = ON; PRAGMA cache_size = -65536; \
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
        Ok(Self { options: options_of(&file, "")?, pragmas: WRITER_PRAGMAS })
    }

    /// The database in the data directory, which must be there.
    pub(super) fn find(data_dir: &Path) -> Result<Self, Error> {
        if data_dir.join(FILE).is_file() {
            return Self::prepare(data_dir);
        }
        Err(Error::Directory(format!("the data directory {}: there is no {FILE}", data_dir.display())))
    }

    /// The file of a backup, empty yet.
    pub(super) fn backup(file: &Path) -> Result<Self, Error> {
        Ok(Self { options: options_of(file, "")?, pragmas: BACKUP_PRAGMAS })
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
pub(super) fn is_about_data(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.kind() != ErrorKind::Other)
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
