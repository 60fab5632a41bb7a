//! What SQLite's write-ahead log holds is moved into the database while commits go on.
//!
//! Left to itself, SQLite does that in whichever COMMIT finds the log long, and every append waits for it. Here a thread with
//! a connection of its own moves nearly all of it. The little that was committed meanwhile the writer moves between two
//! groups: only then does it begin its log anew instead of making it longer.
//!
//! It is done often, so that it is little each time. What a checkpoint wrote is synced at its end, and commits wait for the
//! same disk meanwhile: with 6,000 messages at a time a COMMIT took up to 14 ms, and seventy messages stood in line behind it.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::{mpsc, oneshot};

use super::sqlite::{self, Direct};
use crate::tasks::Tasks;

/// After how many groups there is enough to move. Groups grow with the load: at 5,000 messages a second these are some 120
/// messages; as fast as it goes 2,500, many of which share pages.
const GROUPS: u32 = 64;
/// After how many changed rows there is enough in any case: 6,000 messages, which are about 10,000 pages of the log. SQLite
/// would begin by itself at 16,000, and does where this thread is too slow.
const ROWS: u64 = 12_000;

/// The writer's side.
#[derive(Debug)]
pub(super) struct Checkpoints {
    ask: mpsc::Sender<()>,
    /// Since the rest was moved.
    groups: u32,
    is_asked: bool,
    is_moved: Arc<AtomicBool>,
    ended: oneshot::Receiver<()>,
}

impl Checkpoints {
    /// Starts the thread for the database in `file`. Its connection is opened when it is first needed.
    pub(super) fn start(file: PathBuf, tasks: &Tasks) -> std::io::Result<Self> {
        let (ask, asked) = mpsc::channel(1);
        let (end, ended) = oneshot::channel();
        let is_moved = Arc::new(AtomicBool::new(false));
        tasks.spawn_thread("deskbell-moves", run(file, asked, Arc::clone(&is_moved), end))?;
        Ok(Self { ask, groups: 0, is_asked: false, is_moved, ended })
    }

    /// Looks, between two groups, whether there is something to do.
    pub(super) fn look(&mut self, direct: &mut Direct) {
        self.groups = self.groups.saturating_add(1);
        if !self.is_asked {
            let is_enough = self.groups >= GROUPS || direct.changed() >= ROWS;
            self.is_asked = is_enough && self.ask.try_send(()).is_ok();
        } else if self.is_moved.swap(false, Ordering::Acquire) {
            (self.is_asked, self.groups) = (false, 0);
            direct.move_rest();
        }
    }

    /// Ends the thread and returns when its connection is closed.
    pub(super) async fn close(self) {
        let Self { ask, ended, .. } = self;
        drop(ask);
        drop(ended.await);
    }
}

async fn run(file: PathBuf, mut asked: mpsc::Receiver<()>, is_moved: Arc<AtomicBool>, end: oneshot::Sender<()>) {
    let mut connection = None;
    while asked.recv().await.is_some() {
        if connection.is_none() {
            connection = sqlite::connect(&file).ok();
        }
        if let Some(connection) = &connection {
            // One that fails has moved less; SQLite's own way of doing it tells who writes.
            drop(sqlite::move_log(connection));
        }
        is_moved.store(true, Ordering::Release);
    }
    drop(connection);
    drop(end);
}

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        time::{Duration, Instant},
    };

    use super::*;
    use crate::log::{
        sql::{Cell, Row},
        sqlite::Sqlite,
    };

    fn write(direct: &mut Direct, rows: &[Row]) {
        direct.begin().unwrap();
        direct.run("INSERT INTO n VALUES (?1)", rows).unwrap();
        direct.commit().unwrap();
    }

    /// How often the log was begun anew: the fourth number of its header.
    fn times_begun(folder: &Path) -> u32 {
        let log = std::fs::read(folder.join("deskbell.db-wal")).unwrap();
        u32::from_be_bytes(log[12..16].try_into().unwrap())
    }

    /// Whether the log is begun anew soon after groups of so many rows, while single rows follow.
    async fn is_begun_anew_after(groups: u32, rows: i64) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let mut direct = Sqlite::prepare(folder.path()).unwrap().direct().unwrap();
        direct.say("CREATE TABLE n (n BIGINT)").unwrap();
        let mut checkpoints = Checkpoints::start(direct.file().to_owned(), &Tasks::new()).unwrap();
        let rows: Vec<Row> = (0..rows).map(|n| vec![Cell::Number(n)]).collect();
        for _ in 0..groups {
            write(&mut direct, &rows);
            checkpoints.look(&mut direct);
        }
        let (before, since) = (times_begun(folder.path()), Instant::now());
        let was_asked = checkpoints.is_asked;
        while was_asked && (checkpoints.is_asked || times_begun(folder.path()) == before) {
            assert!(since.elapsed() < Duration::from_secs(20));
            checkpoints.look(&mut direct);
            write(&mut direct, &rows[..1]);
        }
        if was_asked {
            checkpoints.look(&mut direct);
            assert!(!checkpoints.is_asked, "it is counted from the beginning again");
        }
        checkpoints.close().await;
        was_asked
    }

    #[tokio::test]
    async fn the_log_is_begun_anew_before_a_commit_finds_it_long() {
        assert!(is_begun_anew_after(GROUPS, 1).await, "many groups");
        assert!(is_begun_anew_after(1, 12_000).await, "many rows");
        assert!(!is_begun_anew_after(GROUPS - 1, 1).await, "few of both");
    }
}
