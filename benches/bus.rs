//! How fast the bus between nodes is: two nodes of one process on a Redis of their own, first as fast as it takes messages,
//! then at 5,000 chat messages a second (each an entry and a head). `cargo bench --bench bus`; needs `redis-server`.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people, who see when it fails")]

use std::{
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use deskbell::{
    bus::{Bus, Message, Source, Topic},
    clock::Clock,
    config::Secret,
    domain::{Author, Conversation, Entry, Event, Key, Lane},
    ids::{ConversationId, EntryId, ProjectId, SessionId, VisitorId},
    tasks::Tasks,
};
use tokio::process::Command;

/// How long the first part runs.
const PART: Duration = Duration::from_secs(5);
/// How many conversations are talked in.
const CONVERSATIONS: usize = 1_000;
/// The fixed rate, chat messages a second.
const RATE: usize = 5_000;
/// So many in the second part.
const AT_RATE: usize = RATE * 5;
/// How many messages may be on their way in the first part: less than what the queues hold.
const WINDOW: usize = 4_096;

/// What the listening node has heard.
#[derive(Default)]
struct Heard {
    messages: AtomicUsize,
    late_us: Mutex<Vec<i64>>,
}

struct Pair {
    begun: Instant,
    speaking: Bus,
    heard: Arc<Heard>,
    heads: Vec<Arc<Conversation>>,
}

impl Pair {
    async fn connect(url: &str, tasks: &Tasks) -> Self {
        let (url, begun, heard) = (Secret::new(url.to_owned()), Instant::now(), Arc::new(Heard::default()));
        let speaking = Bus::connect(&url, &[7; 32], Clock::system(), tasks).await.unwrap();
        let listening = Bus::connect(&url, &[7; 32], Clock::system(), tasks).await.unwrap();
        let (ears, acks) = (Arc::clone(&heard), Arc::new(AtomicUsize::new(0)));
        let acked = Arc::clone(&acks);
        listening.attach(Arc::new(move |_, message, source| match (message, source) {
            (Message::Missed, _) => drop(acked.fetch_add(1, Ordering::Relaxed)),
            (message, Source::Node(_)) => ears.hear(begun, message),
            _ => {}
        }));
        let (project, visitor) = (ProjectId::generate(), VisitorId::generate());
        let new = || Conversation::new(project, ConversationId::generate(), visitor, "e1".to_owned(), 0);
        let heads: Vec<_> = (0..CONVERSATIONS).map(|_| Arc::new(new())).collect();
        listening.want(Topic::Inbox(project));
        for head in &heads {
            listening.want(Topic::Thread(head.id));
        }
        while acks.load(Ordering::Relaxed) <= CONVERSATIONS {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self { begun, speaking, heard, heads }
    }

    /// One chat message: its entry and the conversation's head.
    fn say(&self, number: usize) {
        let head = &self.heads[number % CONVERSATIONS];
        let entry = Entry {
            conversation: head.id,
            lane: Lane::Thread,
            seq: 1,
            id: EntryId::generate(),
            at: micros(self.begun),
            session: Some(SessionId::generate()),
            from: Author::Visitor { id: head.visitor, name: Some("Ada".to_owned()) },
            key: Key::parse("0192f3a4-7b1c-7e11-9c5e-0a3d5f6b7c8d"),
            event: Event::Message { text: "x".repeat(128) },
        };
        let entries = Message::Entries { epoch: "e1".to_owned(), entries: vec![Arc::new(entry)] };
        self.speaking.publish(Topic::Thread(head.id), entries);
        self.speaking.publish(Topic::Inbox(head.project), Message::Head(Arc::clone(head)));
    }

    async fn as_fast_as_it_goes(&self) {
        let (began, mut said) = (Instant::now(), 0);
        while began.elapsed() < PART {
            if said * 2 >= self.heard.messages.load(Ordering::Relaxed) + WINDOW {
                tokio::task::yield_now().await;
                continue;
            }
            self.say(said);
            said += 1;
        }
        let rate = self.heard.messages.load(Ordering::Relaxed) as u128 * 1_000 / began.elapsed().as_millis();
        println!("as fast as it goes: {rate} publishes/s heard, {} chat messages/s", rate / 2);
        self.wait_for(said * 2).await;
    }

    async fn at_a_rate(&self) {
        self.heard.late_us.lock().unwrap().clear();
        let before = self.heard.messages.load(Ordering::Relaxed);
        let mut ticks = tokio::time::interval(Duration::from_millis(1));
        let per_tick = RATE / 1_000;
        let mut said = 0;
        while said < AT_RATE {
            ticks.tick().await;
            (0..per_tick).for_each(|more| self.say(said + more));
            said += per_tick;
        }
        self.wait_for(before + said * 2).await;
        let mut late = self.heard.late_us.lock().unwrap().clone();
        late.sort_unstable();
        let at = |percent: usize| late[(late.len() - 1) * percent / 100];
        println!(
            "at {RATE} chat messages/s: {} heard; published to heard p50 {} us, p99 {} us, longest {} us",
            late.len(),
            at(50),
            at(99),
            at(100)
        );
    }

    async fn wait_for(&self, messages: usize) {
        while self.heard.messages.load(Ordering::Relaxed) < messages {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Heard {
    fn hear(&self, begun: Instant, message: &Message) {
        if let Message::Entries { entries, .. } = message {
            self.late_us.lock().unwrap().extend(entries.iter().map(|entry| micros(begun) - entry.at));
        }
        self.messages.fetch_add(1, Ordering::Relaxed);
    }
}

fn micros(begun: Instant) -> i64 {
    i64::try_from(begun.elapsed().as_micros()).unwrap()
}

#[tokio::main]
async fn main() {
    // A test runner asks which tests there are: none.
    if std::env::args().any(|word| word == "--list") {
        return;
    }
    let folder = tempfile::TempDir::new().unwrap();
    let socket = folder.path().join("redis.sock").display().to_string();
    let mut redis = Command::new("redis-server");
    redis.args(["--port", "0", "--save", "", "--unixsocket", &socket]).kill_on_drop(true).stdout(Stdio::null());
    let _redis = redis.spawn().unwrap();
    while !std::path::Path::new(&socket).exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let tasks = Tasks::new();
    let pair = Pair::connect(&format!("unix://{socket}"), &tasks).await;
    pair.as_fast_as_it_goes().await;
    pair.at_a_rate().await;
    tasks.stop();
    tasks.wait(Duration::from_secs(2)).await;
}
