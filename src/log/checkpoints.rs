//! What SQLite's write-ahead log holds is moved into the database while commits go on.
//!
//! Left to itself, SQLite does that in whichever COMMIT finds the log long, and every append waits for it. Here a thread with
//! a connection of its own moves nearly all of it. The little that was committed meanwhile the writer moves between two
//! groups: only then does it begin its log anew instead of making it longer.

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

/// After how many changed rows there is enough to move: 6,000 messages, which are about 10,000 pages of the log. SQLite
/// would begin by itself at 16,000, and does where this thread is too slow.
const ROWS: u64 = 12_000;
/// How often the thread goes through the log each time. What is committed while it does so the first time, which takes
/// longest, is moved the second time.
const PASSES: u32 = 2;

/// The writer's side.
#[derive(Debug)]
pub(super) struct Checkpoints {
    ask: mpsc::Sender<()>,
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
        Ok(Self { ask, is_asked: false, is_moved, ended })
    }

    /// Looks, between two groups, whether there is something to do.
    pub(super) fn look(&mut self, direct: &mut Direct) {
        if !self.is_asked {
            self.is_asked = direct.changed() >= ROWS && self.ask.try_send(()).is_ok();
        } else if self.is_moved.swap(false, Ordering::Acquire) {
            self.is_asked = false;
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
            for _ in 0..PASSES {
                // One that fails has moved less; SQLite's own way of doing it tells who writes.
                drop(sqlite::move_log(connection));
            }
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

    #[tokio::test]
    async fn the_log_is_begun_anew_before_a_commit_finds_it_long() {
        let folder = tempfile::tempdir().unwrap();
        let mut direct = Sqlite::prepare(folder.path()).unwrap().direct().unwrap();
        direct.say("CREATE TABLE n (n BIGINT)").unwrap();
        let mut checkpoints = Checkpoints::start(direct.file().to_owned(), &Tasks::new()).unwrap();
        let rows: Vec<Row> = (0..12_000).map(|n| vec![Cell::Number(n)]).collect();
        write(&mut direct, &rows);
        let (before, since) = (times_begun(folder.path()), Instant::now());
        while times_begun(folder.path()) == before {
            assert!(since.elapsed() < Duration::from_secs(20));
            checkpoints.look(&mut direct);
            write(&mut direct, &rows[..1]);
        }
        checkpoints.close().await;
    }
}
