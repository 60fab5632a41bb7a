//! How fast the log is: appends as fast as they are acknowledged, then at a fixed rate, beside the disk's own speed in the
//! same run. `cargo bench --bench log`; `-- 10000` for another number of conversations than 1,000.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people, who see when it fails")]

#[path = "cases/talk.rs"]
mod talk;

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use deskbell::{
    clock::Clock,
    config::Secret,
    domain::Conversation,
    ids::ProjectId,
    log::{Log, OpenAs, Options},
    tasks::Tasks,
};
use futures_util::future::join_all;

/// How long each part runs.
const PART: Duration = Duration::from_secs(5);
/// The fixed rate, appends a second.
const RATE: f64 = 5_000.0;

/// Writes to one conversation, one append in flight, each at its time or at once; returns how long each took.
async fn write(
    log: Log,
    mut head: Arc<Conversation>,
    every: Option<Duration>,
    first: Duration,
) -> (Arc<Conversation>, Vec<Duration>) {
    let (began, mut due, mut took) = (Instant::now(), Instant::now() + first, Vec::new());
    while began.elapsed() < PART {
        if let Some(every) = every {
            tokio::time::sleep_until(due.into()).await;
            due += every;
        }
        let append = talk::message(&head, None);
        let (next, sent) = (Arc::clone(&append.head), Instant::now());
        log.append(append).await.unwrap();
        took.push(sent.elapsed());
        head = next;
    }
    (head, took)
}

/// All conversations at once, on all cores.
async fn part(name: &str, log: &Log, heads: Vec<Arc<Conversation>>, rate: Option<f64>) -> Vec<Arc<Conversation>> {
    let (began, tasks, count) = (Instant::now(), Tasks::new(), heads.len());
    let every = rate.map(|rate| Duration::from_secs_f64(f64::from(u32::try_from(count).unwrap()) / rate));
    let written = Arc::new(parking_lot::Mutex::new((Vec::new(), Vec::new())));
    for (number, head) in (0_u32..).zip(heads) {
        // Spread over the period by the golden ratio, so that no two are due together.
        let first = every.unwrap_or_default().mul_f64((f64::from(number) * 0.618_034).fract());
        let (log, written) = (log.clone(), Arc::clone(&written));
        tasks.spawn(async move {
            let (head, took) = write(log, head, every, first).await;
            let mut written = written.lock();
            written.0.push(head);
            written.1.extend(took);
        });
    }
    tasks.wait(PART * 4).await;
    let (heads, took) = std::mem::take(&mut *written.lock());
    report(name, took, began.elapsed());
    heads
}

fn report(name: &str, mut took: Vec<Duration>, elapsed: Duration) {
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() * percent / 100).min(took.len() - 1)];
    let rate = f64::from(u32::try_from(took.len()).unwrap()) / elapsed.as_secs_f64();
    println!("{name:<28} {rate:>9.0}/s   p50 {:>10.3?}   p99 {:>10.3?}", at(50), at(99));
}

/// The disk's own speed: one page, made durable, again and again.
fn disk(folder: &Path) {
    let (began, mut took) = (Instant::now(), Vec::new());
    let mut file = File::create(folder.join("yardstick")).unwrap();
    while began.elapsed() < PART / 5 {
        let sent = Instant::now();
        file.write_all(&[7; 4_096]).unwrap();
        file.sync_data().unwrap();
        took.push(sent.elapsed());
    }
    report("disk: 4 KiB + fdatasync", took, began.elapsed());
}

#[tokio::main]
async fn main() {
    // A test runner asks which tests there are: none.
    if std::env::args().any(|word| word == "--list") {
        return;
    }
    let count = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(1_000);
    // In the build folder, which is on a disk; the system's temporary folder may be in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    disk(folder.path());
    let (tasks, project) = (Tasks::new(), ProjectId::generate());
    let options = Options {
        url: Secret::new("sqlite".to_owned()),
        data_dir: folder.path().join("data"),
        readers: 4,
        role: OpenAs::Server,
    };
    let log = Log::open(options, Clock::system(), &tasks).await.unwrap();
    let heads = join_all((0..count).map(|_| talk::open(&log, project))).await;
    let heads = part("append: one in flight each", &log, heads, None).await;
    part("append: at a fixed rate", &log, heads, Some(RATE)).await;
    log.close().await;
}
