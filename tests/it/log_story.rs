//! The log's story: what is appended is there, once, in order, for ever; and what is not acknowledged is not there.

mod accounts;
mod faults;
mod inbox;
mod interleavings;
mod nodes;
mod outage;

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use deskbell::{
    clock::{Clock, Millis},
    config::Secret,
    domain::{
        AgentRef, Author, Conversation, Entry, Event, Key, Lane, Marks, MovedBy, Status, Watermarks,
        conversation::apply,
    },
    ids::{AgentId, ConversationId, EntryId, ProjectId, SessionId, VisitorId},
    log::{Append, AppendError, KnownKey, Log, NewConversation, OpenAs, Options, VisitorRecord},
    tasks::Tasks,
};
use tempfile::TempDir;

use crate::support::postgres;

const START: Millis = 1_700_000_000_000;

/// A log of its own, for a server that starts and stops: in SQLite, or in PostgreSQL where the run says so.
struct Story {
    log: Log,
    tasks: Tasks,
    clock: Clock,
    project: ProjectId,
    options: Options,
    home: Option<TempDir>,
}

impl Story {
    async fn begin() -> Self {
        if postgres::is_default() { Self::begin_at(postgres::database()).await } else { Self::begin_in_sqlite().await }
    }

    /// In a SQLite file in a directory that goes away with it.
    async fn begin_in_sqlite() -> Self {
        let home = TempDir::new().unwrap();
        let mut story = Self::begin_in(home.path()).await;
        story.home = Some(home);
        story
    }

    /// In a SQLite file in this directory.
    async fn begin_in(path: &Path) -> Self {
        Self::begin_with(options(path, OpenAs::Server)).await
    }

    /// In the PostgreSQL database of this address.
    async fn begin_at(url: String) -> Self {
        Self::begin_with(Options { url: Secret::new(url), ..options(Path::new("/dev/null/nothing"), OpenAs::Server) })
            .await
    }

    async fn begin_with(options: Options) -> Self {
        let (tasks, clock) = (Tasks::new(), Clock::manual(START));
        let log = Log::open(options.clone(), clock.clone(), &tasks).await.unwrap();
        Self { log, tasks, clock, project: ProjectId::generate(), options, home: None }
    }

    /// Another node on the same database.
    async fn another_node(&self) -> Self {
        Self { project: self.project, ..Self::begin_with(self.options.clone()).await }
    }

    fn path(&self) -> &Path {
        &self.options.data_dir
    }

    async fn stop(&self) {
        self.log.close().await;
        self.tasks.stop();
        assert_eq!(self.tasks.wait(Duration::from_secs(10)).await, 0, "the log's task goes on after it was closed");
    }

    async fn restart(&mut self) {
        self.stop().await;
        self.tasks = Tasks::new();
        self.log = Log::open(self.options.clone(), self.clock.clone(), &self.tasks).await.unwrap();
    }

    /// A new visitor's conversation with one message, in the log.
    async fn chat(&self) -> Chat {
        let mut chat = Chat::new(self.project);
        let opening = chat.opening("open-1", "Hello");
        self.log.append(opening).await.unwrap();
        chat
    }

    async fn entries(&self, chat: &Chat, lane: Lane) -> Vec<Entry> {
        self.log.read_after(chat.head.id, lane, 0, 10_000).await.unwrap()
    }

    async fn state(&self, chat: &Chat) -> Conversation {
        self.log.head(self.project, chat.head.id).await.unwrap().unwrap()
    }
}

fn options(path: &Path, role: OpenAs) -> Options {
    Options { url: Secret::new("sqlite".to_owned()), data_dir: path.to_owned(), readers: 4, role }
}

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn message(text: &str) -> Event {
    Event::Message { text: text.to_owned() }
}

/// A conversation as its writers know it.
#[derive(Clone)]
struct Chat {
    head: Arc<Conversation>,
    visitor: VisitorRecord,
    agent: AgentRef,
}

impl Chat {
    fn new(project: ProjectId) -> Self {
        let id = VisitorId::generate();
        let visitor = VisitorRecord {
            project,
            id,
            subject: None,
            name: Some("Ada".to_owned()),
            email: None,
            fields: BTreeMap::new(),
            created_at: START,
            seen_at: START,
        };
        let mut head = Conversation::new(project, ConversationId::generate(), id, "e1".to_owned(), START);
        head.visitor_name.clone_from(&visitor.name);
        Self { head: Arc::new(head), visitor, agent: AgentRef { id: AgentId::generate(), name: "Grace".to_owned() } }
    }

    fn author(&self, event: &Event) -> Author {
        match event {
            Event::Message { .. } | Event::Rated { .. } | Event::Reopened {} => {
                Author::Visitor { id: self.visitor.id, name: self.visitor.name.clone() }
            }
            Event::Joined { .. } | Event::Assigned { .. } => Author::System {},
            _ => Author::Agent { id: self.agent.id, name: self.agent.name.clone() },
        }
    }

    /// What writes `events` on the present state. The state goes on as if it had been written.
    fn next(&mut self, events: Vec<(Event, Option<&str>)>) -> Append {
        let (expected_seq, expected_desk_seq) = (self.head.seq, self.head.desk_seq);
        let (mut head, mut entries) = (Conversation::clone(&self.head), Vec::new());
        for (event, key) in events {
            let entry = Entry {
                conversation: head.id,
                lane: event.lane(),
                seq: head.last_seq(event.lane()) + 1,
                id: EntryId::generate(),
                at: head.at + 1,
                session: key.map(|_| SessionId::generate()),
                from: self.author(&event),
                key: key.map(self::key),
                event,
            };
            apply(&mut head, &entry);
            entries.push(Arc::new(entry));
        }
        self.head = Arc::new(head);
        Append { expected_seq, expected_desk_seq, head: Arc::clone(&self.head), entries, open: None, claim: None }
    }

    fn opening(&mut self, open_key: &str, text: &str) -> Append {
        let open = Some(NewConversation { key: key(open_key), visitor: self.visitor.clone() });
        Append { open, ..self.next(vec![(message(text), Some(open_key))]) }
    }

    fn says(&mut self, key: &str, text: &str) -> Append {
        self.next(vec![(message(text), Some(key))])
    }
}

/// One of each event there is.
fn all_events(agent: &AgentRef) -> Vec<(Event, Option<&'static str>)> {
    let other = AgentId::generate();
    vec![
        (Event::Assigned { to: agent.id, by: MovedBy::ROUTING }, None),
        (Event::Joined { agent: agent.clone() }, None),
        (message("\"quotes\", \\ and\nلغة 日本 🙂"), Some("k-1")),
        (Event::Note { text: "only for us".to_owned() }, Some("k-2")),
        (Event::Transferred { from: agent.id, to: other, by: MovedBy::Agent(agent.id) }, Some("k-3")),
        // What an array means something else by.
        (message("NULL"), Some("k-7")),
        (message("{a,\"b\"},{} \\\\ '\\'',\t"), Some("k-8")),
        (Event::Left { agent: agent.clone() }, None),
        (Event::Unassigned { from: other, by: MovedBy::ROUTING }, None),
        (Event::Page { url: "https://example.org/a".to_owned(), title: "A".to_owned() }, None),
        (Event::Closed {}, Some("k-4")),
        (Event::Rated { score: 5, comment: None }, Some("k-5")),
        (Event::Reopened {}, None),
        (Event::Rated { score: 1, comment: Some("slow".to_owned()) }, Some("k-6")),
    ]
}

#[tokio::test]
async fn what_was_appended_is_there_after_a_restart() {
    let mut story = Story::begin().await;
    let mut chat = story.chat().await;
    let events = all_events(&chat.agent);
    let written = chat.next(events);
    story.log.append(written.clone()).await.unwrap();

    for _ in 0..2 {
        assert_eq!(story.state(&chat).await, *chat.head);
        let (mut thread, mut desk) = (story.entries(&chat, Lane::Thread).await, story.entries(&chat, Lane::Desk).await);
        assert_eq!(thread.remove(0).event, message("Hello"));
        let of = |lane| written.entries.iter().filter(move |entry| entry.lane == lane).map(|entry| Entry::clone(entry));
        assert_eq!(thread, of(Lane::Thread).collect::<Vec<_>>());
        assert_eq!(desk.split_off(0), of(Lane::Desk).collect::<Vec<_>>());
        story.restart().await;
    }
    story.stop().await;
}

#[tokio::test]
async fn keys_are_kept_as_long_as_the_conversation() {
    let mut story = Story::begin().await;
    let mut chat = story.chat().await;
    for n in 0..300 {
        story.log.append(chat.says(&format!("key-{n}"), "again")).await.unwrap();
    }
    let noted = chat.next(vec![(Event::Note { text: "hm".to_owned() }, Some("key-0"))]);
    story.log.append(noted).await.unwrap();
    story.restart().await;

    let keys = story.log.past(&chat.head).await.unwrap().keys;
    let (visitor, agent) = (chat.visitor.id.as_uuid(), chat.agent.id.as_uuid());
    assert_eq!(keys.len(), 302);
    assert!(keys.contains(&KnownKey { lane: Lane::Thread, seq: 1, sender: visitor, key: key("open-1") }));
    assert!(keys.contains(&KnownKey { lane: Lane::Thread, seq: 2, sender: visitor, key: key("key-0") }));
    assert!(keys.contains(&KnownKey { lane: Lane::Thread, seq: 301, sender: visitor, key: key("key-299") }));
    assert!(keys.contains(&KnownKey { lane: Lane::Desk, seq: 1, sender: agent, key: key("key-0") }));
    story.stop().await;
}

#[tokio::test]
async fn a_page_is_read_from_either_end() {
    let story = Story::begin().await;
    let mut chat = story.chat().await;
    for n in 2..=9 {
        story.log.append(chat.says(&format!("key-{n}"), "x")).await.unwrap();
    }
    let (id, lane) = (chat.head.id, Lane::Thread);
    let seqs = |entries: Vec<Entry>| entries.into_iter().map(|entry| entry.seq).collect::<Vec<_>>();
    assert_eq!(seqs(story.log.read_after(id, lane, 6, 100).await.unwrap()), [7, 8, 9]);
    assert_eq!(seqs(story.log.read_after(id, lane, 0, 2).await.unwrap()), [1, 2]);
    assert_eq!(seqs(story.log.read_before(id, lane, 4, 2).await.unwrap()), [2, 3]);
    assert_eq!(seqs(story.log.read_before(id, lane, u64::MAX, 2).await.unwrap()), [8, 9]);
    assert!(story.log.read_after(id, Lane::Desk, 0, 9).await.unwrap().is_empty());
    assert_eq!(story.log.entry(id, lane, 3).await.unwrap().unwrap().key, Some(key("key-3")));
    assert!(story.log.entry(id, lane, 10).await.unwrap().is_none());
    story.stop().await;
}

#[tokio::test]
async fn an_append_on_an_old_state_is_stale_and_leaves_nothing() {
    let story = Story::begin().await;
    let mut chat = story.chat().await;
    let mut other = story.chat().await;
    let mut behind = chat.clone();
    story.log.append(chat.says("first", "I was first")).await.unwrap();

    // In one group with one that is good: only the stale one is left out.
    let (stale, good) =
        tokio::join!(story.log.append(behind.says("second", "too late")), story.log.append(other.says("good", "mine")));
    assert_eq!((stale, good), (Err(AppendError::Stale), Ok(())));
    assert_eq!(story.state(&chat).await, *chat.head);
    assert_eq!(story.entries(&chat, Lane::Thread).await.len(), 2);
    assert_eq!(story.state(&other).await, *other.head);

    let mut unknown = Chat::new(story.project);
    assert_eq!(story.log.append(unknown.says("k", "to nobody")).await, Err(AppendError::Stale));
    assert!(story.log.head(story.project, unknown.head.id).await.unwrap().is_none());
    story.stop().await;
}

#[tokio::test]
async fn appends_that_follow_each_other_may_meet_in_one_group() {
    let story = Story::begin().await;
    let mut chat = Chat::new(story.project);
    let appends = [chat.opening("open", "a"), chat.says("b", "b"), chat.says("c", "c"), chat.says("d", "d")];
    let written = futures_util::future::join_all(appends.map(|append| story.log.append(append))).await;
    assert!(written.iter().all(Result::is_ok), "{written:?}");
    assert_eq!(story.state(&chat).await, *chat.head);
    assert_eq!(story.entries(&chat, Lane::Thread).await.len(), 4);

    // Two that were decided on the same state: exactly one holds.
    let mut rival = chat.clone();
    let (one, two) = tokio::join!(story.log.append(chat.says("e", "e")), story.log.append(rival.says("f", "f")));
    assert_eq!((one, two), (Ok(()), Err(AppendError::Stale)));
    assert_eq!(story.entries(&chat, Lane::Thread).await.len(), 5);
    story.stop().await;
}

#[tokio::test]
async fn a_visitors_open_key_opens_one_conversation() {
    let story = Story::begin().await;
    let mut chat = Chat::new(story.project);
    let mut again = Chat { visitor: chat.visitor.clone(), ..Chat::new(story.project) };
    again.head = Arc::new(Conversation { visitor: chat.visitor.id, ..Conversation::clone(&again.head) });
    let (first, second) =
        tokio::join!(story.log.append(chat.opening("same", "a")), story.log.append(again.opening("same", "b")));
    assert_eq!((first, second), (Ok(()), Err(AppendError::Stale)));
    let found = story.log.find_open(story.project, chat.visitor.id, &key("same")).await.unwrap();
    assert_eq!(found, Some(chat.head.id));
    assert!(story.entries(&again, Lane::Thread).await.is_empty());
    assert_eq!(story.log.find_open(ProjectId::generate(), chat.visitor.id, &key("same")).await.unwrap(), None);

    // Somebody else's same key is another one.
    let mut stranger = Chat::new(story.project);
    assert_eq!(story.log.append(stranger.opening("same", "c")).await, Ok(()));
    story.stop().await;
}

#[tokio::test]
async fn an_append_that_leaves_a_gap_is_refused() {
    let story = Story::begin().await;
    let mut chat = story.chat().await;
    let before = chat.head.seq;
    let skipped = chat.says("a", "never written");
    drop(skipped);
    let gap = Append { expected_seq: before, ..chat.says("b", "after a hole") };
    assert!(matches!(story.log.append(gap).await, Err(AppendError::Unavailable(_))));
    assert_eq!(story.entries(&chat, Lane::Thread).await.len(), 1);
    story.stop().await;
}

#[tokio::test]
async fn another_projects_rows_are_missing_ones() {
    let story = Story::begin().await;
    let chat = story.chat().await;
    let elsewhere = ProjectId::generate();
    assert!(story.log.head(elsewhere, chat.head.id).await.unwrap().is_none());
    assert!(story.log.visitor(elsewhere, chat.visitor.id).await.unwrap().is_none());
    assert!(story.log.conversations_of(elsewhere, chat.visitor.id).await.unwrap().is_empty());
    assert!(story.log.open_conversations(elsewhere).await.unwrap().is_empty());
    assert_eq!(story.log.conversations_of(story.project, chat.visitor.id).await.unwrap(), [(*chat.head).clone()]);
    assert_eq!(story.log.visitor(story.project, chat.visitor.id).await.unwrap(), Some(chat.visitor));
    story.stop().await;
}

#[tokio::test]
async fn read_marks_never_go_back() {
    let story = Story::begin().await;
    let mut chat = story.chat().await;
    let marks = |visitor, agent| Watermarks { visitor, agent };
    // What arrived is further than what was read by as much as both were given.
    let both = |visitor, agent| Marks { read: marks(visitor, agent), delivered: marks(visitor + 10, agent + 20) };
    let marked = futures_util::future::join_all(
        [both(1, 1), both(1, 9), both(4, 2)].map(|marks| story.log.mark(chat.head.id, marks)),
    );
    assert!(marked.await.iter().all(Result::is_ok));
    story.log.mark(chat.head.id, both(2, 3)).await.unwrap();
    assert_eq!(story.state(&chat).await.marks(), both(4, 9));

    // Nor does an append that was decided before the marks were known.
    story.log.append(chat.says("k", "x")).await.unwrap();
    assert_eq!(story.state(&chat).await.marks(), both(4, 9));
    story.stop().await;
}

#[tokio::test]
async fn an_anonymous_visitor_who_signs_in_keeps_its_conversations() {
    let story = Story::begin().await;
    let chat = story.chat().await;
    let identified = VisitorRecord {
        id: VisitorId::for_subject(story.project, "ada"),
        subject: Some("ada".to_owned()),
        name: Some("Ada Lovelace".to_owned()),
        email: Some("ada@example.org".to_owned()),
        ..chat.visitor.clone()
    };
    let moved = story.log.adopt(chat.visitor.id, &identified).await.unwrap();
    assert_eq!(moved, [chat.head.id]);
    let state = story.state(&chat).await;
    assert_eq!(state.visitor, identified.id);
    assert_eq!(state.visitor_name.as_deref(), Some("Ada Lovelace"));
    // What it sent before under a key is still known as its own.
    assert_eq!(story.log.past(&state).await.unwrap().keys[0].sender, identified.id.as_uuid());
    assert!(story.log.visitor(story.project, chat.visitor.id).await.unwrap().is_none());
    assert_eq!(story.log.visitor(story.project, identified.id).await.unwrap().unwrap(), identified);

    // Whoever signs in next on the same device gets nothing of it.
    let bob = VisitorRecord { id: VisitorId::generate(), subject: Some("bob".to_owned()), ..identified.clone() };
    assert!(story.log.adopt(identified.id, &bob).await.unwrap().is_empty());
    assert!(story.log.adopt(VisitorId::generate(), &bob).await.unwrap().is_empty());
    assert!(story.log.visitor(story.project, bob.id).await.unwrap().is_none());
    assert_eq!(story.state(&chat).await.visitor, identified.id);
    assert_eq!(story.state(&chat).await.status, Status::Open);
    story.stop().await;
}
