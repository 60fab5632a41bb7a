//! What is measured: functions that run for each message, each session or each request, through what the library shows.

mod decisions;
mod delivery;
mod doors;
mod frames;
mod storage;
mod talk;

use std::sync::Arc;

use deskbell::{
    clock::Clock,
    config::Secret,
    domain::{Conversation, Entry, Event},
    ids::{ConversationId, ProjectId, VisitorId},
    log::{Log, OpenAs, Options},
    tasks::Tasks,
    telemetry::Metrics,
};

use tempfile::TempDir;
use tokio::runtime::Runtime;

use self::talk::MESSAGE_BYTES;

/// What of a function is measured.
pub(crate) trait Gauge {
    /// Measures `run`, and the end of what it returns.
    fn plain<R>(&mut self, name: &str, run: impl FnMut() -> R);

    /// Measures `run` on something that is prepared anew each time, and not measured.
    fn prepared<T>(&mut self, name: &str, prepare: impl FnMut() -> T, run: impl FnMut(T));
}

/// All of them, one after the other.
pub(crate) fn all(gauge: &mut impl Gauge) {
    // As in the server: without a recorder, counting costs nothing.
    let _metrics = Metrics::start().unwrap();
    frames::all(gauge);
    decisions::all(gauge);
    doors::all(gauge);
    delivery::all(gauge);
    storage::all(gauge);
}

/// The longest message.
const LONGEST: usize = deskbell::domain::text::MESSAGE_CHARS;

/// A conversation that goes on.
fn conversation() -> Arc<Conversation> {
    let (project, id) = (ProjectId::generate(), ConversationId::generate());
    let head = Conversation::new(project, id, VisitorId::generate(), "e1".to_owned(), 0);
    talk::message(&Arc::new(head), None).head
}

/// The next entry of a conversation: a message of so many bytes.
fn entry(head: &Arc<Conversation>, bytes: usize) -> Entry {
    let append = talk::message(head, None);
    Entry { event: Event::Message { text: "x".repeat(bytes) }, ..Entry::clone(&append.entries[0]) }
}

/// A log on SQLite, in memory where that is to be had: what the disk takes is the bench `log`'s.
struct Store {
    runtime: Runtime,
    tasks: Tasks,
    log: Log,
    /// Goes with the log in it.
    _folder: TempDir,
}

impl Store {
    fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let folder =
            tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))).unwrap();
        let options = Options {
            url: Secret::new("sqlite".to_owned()),
            data_dir: folder.path().join("data"),
            readers: 1,
            role: OpenAs::Server,
        };
        let tasks = Tasks::new();
        let log = runtime.block_on(Log::open(options, Clock::system(), &tasks)).unwrap();
        Self { runtime, tasks, log, _folder: folder }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.tasks.stop();
        self.runtime.block_on(self.log.close());
    }
}
