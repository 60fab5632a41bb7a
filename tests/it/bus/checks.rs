//! A hub that did not hear reads the log: nothing of what was committed stays unseen, whatever Redis does.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, Instant},
};

use deskbell::{
    bus::{Message, Topic},
    clock::Clock,
    config::Secret,
    domain::{AgentRef, Author, Conversation, Entry, Event, Key, Lane, conversation::apply},
    hub::{
        Arrival, Hub, Stay, Subject,
        outbox::{OutboxLimits, StateOf},
    },
    ids::{AgentId, ConversationId, EntryId, ProjectId, SessionId, VisitorId},
    log::{Append, Log, NewConversation, OpenAs, Options, VisitorRecord},
};
use tempfile::TempDir;

use super::Node;
use crate::support::{Redis, until};

/// A node with a hub, and the log that others write to without a word: all that they publish is lost.
struct World {
    redis: Redis,
    node: Node,
    hub: Arc<Hub>,
    log: Log,
    clock: Clock,
    project: ProjectId,
    _home: TempDir,
}

impl World {
    async fn start() -> Self {
        let (redis, home, clock) = (Redis::start().await, TempDir::new().unwrap(), Clock::system());
        let node = Node::start(&redis).await;
        let url = Secret::new("sqlite".to_owned());
        let options = Options { url, data_dir: home.path().to_owned(), readers: 4, role: OpenAs::Server };
        let log = Log::open(options, clock.clone(), &node.tasks).await.unwrap();
        let hub = Hub::start(log.clone(), node.bus.clone(), clock.clone(), node.tasks.clone());
        Self { redis, node, hub, log, clock, project: ProjectId::generate(), _home: home }
    }

    fn enter(&self, subject: Subject) -> Stay {
        let stay = self.hub.enter(Arrival {
            project: self.project,
            session: SessionId::generate(),
            key: "k1".into(),
            subject,
            address: Ipv4Addr::LOCALHOST.into(),
            limits: OutboxLimits { frames: 10_000, bytes: 1_000_000, bytes_limit: "outbox_visitor_bytes" },
        });
        self.hub.greeted(&stay, &[]);
        stay
    }

    /// A visitor's conversation with one message, in the log.
    async fn chat(&self) -> Chat {
        self.chat_of(VisitorId::generate()).await
    }

    async fn chat_of(&self, visitor: VisitorId) -> Chat {
        let now = self.clock.now();
        let head = Conversation::new(self.project, ConversationId::generate(), visitor, "e1".to_owned(), now);
        let mut chat = Chat { head, key: 0 };
        let record = VisitorRecord {
            project: self.project,
            id: visitor,
            subject: None,
            name: None,
            email: None,
            fields: BTreeMap::new(),
            created_at: now,
            seen_at: now,
        };
        let open = NewConversation { key: Key::parse("open-1").unwrap(), visitor: record };
        let first = Append { open: Some(open), ..chat.next(text(1), now) };
        self.log.append(first).await.unwrap();
        chat
    }

    async fn write(&self, chat: &mut Chat, event: Event) {
        self.log.append(chat.next(event, self.clock.now())).await.unwrap();
    }

    /// One who listens to a conversation's thread, and has its first entry.
    fn listener(&self, chat: &Chat) -> Stay {
        let stay = self.enter(Subject::Visitor(chat.head.visitor));
        let lane = (chat.head.id, Lane::Thread);
        assert!(self.hub.subscribe(&stay, lane.0, lane.1));
        self.hub.go_on(&stay, lane, "e1", 1);
        stay
    }
}

struct Chat {
    head: Conversation,
    key: u32,
}

impl Chat {
    fn next(&mut self, event: Event, now: i64) -> Append {
        let (expected_seq, expected_desk_seq) = (self.head.seq, self.head.desk_seq);
        self.key += 1;
        let entry = Entry {
            conversation: self.head.id,
            lane: event.lane(),
            seq: self.head.last_seq(event.lane()) + 1,
            id: EntryId::generate(),
            at: now,
            session: None,
            from: Author::Visitor { id: self.head.visitor, name: None },
            key: Key::parse(&format!("key-{}", self.key)),
            event,
        };
        apply(&mut self.head, &entry);
        let head = Arc::new(self.head.clone());
        Append { expected_seq, expected_desk_seq, head, entries: vec![Arc::new(entry)], open: None, claim: None }
    }
}

fn text(number: u64) -> Event {
    Event::Message { text: number.to_string() }
}

/// The `seq`s that reach a listener from now on, until it has `last`.
async fn seqs_to(stay: &Stay, last: u64) -> Vec<u64> {
    let mut seqs = Vec::new();
    until(format!("entry {last} comes"), || {
        for frame in stay.outbox.take().frames {
            let frame: serde_json::Value = serde_json::from_str(&frame).unwrap();
            seqs.extend(frame["d"]["seq"].as_u64().or(frame["seq"].as_u64()));
        }
        let done = (seqs.last() == Some(&last)).then_some(());
        async move { done }
    })
    .await;
    seqs
}

fn agent() -> Subject {
    Subject::Agent(AgentRef { id: AgentId::generate(), name: "Grace".to_owned() })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_installations_secret_is_made_once() {
    let world = World::start().await;
    let secret = world.log.secret("bus").await.unwrap();
    assert_eq!(secret.len(), 32);
    assert_eq!(world.log.secret("bus").await.unwrap(), secret);
    assert_ne!(world.log.secret("other").await.unwrap(), secret);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_before_the_channel_was_heard_comes() {
    let world = World::start().await;
    let mut chat = world.chat().await;
    world.redis.signal("STOP").await;
    let listener = world.listener(&chat);
    for number in 2..=4 {
        world.write(&mut chat, text(number)).await;
    }
    world.redis.signal("CONT").await;
    assert_eq!(seqs_to(&listener, 4).await, [2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_gone_messages_and_inboxes_come_within_two_seconds() {
    let mut world = World::start().await;
    let (mut chat, mut closing) = (world.chat().await, world.chat().await);
    let listener = world.listener(&chat);
    let watching = world.enter(agent());
    world.hub.listen(&watching, Topic::Inbox(world.project));
    until("the project is heard", || async { (world.node.missed(Topic::Inbox(world.project)) > 0).then_some(()) })
        .await;
    world.redis.kill().await;
    until("the loss is noticed", || async { (!world.node.hears()).then_some(()) }).await;
    for number in 2..=5 {
        let begun = Instant::now();
        world.write(&mut chat, text(number)).await;
        assert_eq!(seqs_to(&listener, number).await, [number]);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
    watching.outbox.take();
    world.write(&mut closing, Event::Closed {}).await;
    let mut heads = Vec::new();
    until("the inbox shows that it is closed", || {
        heads.extend(watching.outbox.take().states);
        let closed = heads.iter().any(|(of, frame)| {
            matches!(of, StateOf::Head(id, _) if *id == closing.head.id.as_uuid()) && frame.contains("\"closed\"")
        });
        async move { closed.then_some(()) }
    })
    .await;
    world.redis.start_again().await;
    until("others are heard again", || async { world.node.hears().then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitors_other_tab_hears_of_a_conversation_that_was_opened_unheard() {
    let mut world = World::start().await;
    let visitor = VisitorId::generate();
    let tab = world.enter(Subject::Visitor(visitor));
    until("the project is heard", || async { (world.node.missed(Topic::Inbox(world.project)) > 0).then_some(()) })
        .await;
    world.redis.kill().await;
    until("the loss is noticed", || async { (!world.node.hears()).then_some(()) }).await;
    world.chat_of(visitor).await;
    assert_eq!(seqs_to(&tab, 1).await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_that_something_was_lost_makes_everyone_look() {
    let world = World::start().await;
    let mut chat = world.chat().await;
    let listener = world.listener(&chat);
    let thread = Topic::Thread(chat.head.id);
    until("the channel is heard", || async { (world.node.missed(thread) > 0).then_some(()) }).await;
    let other = Node::start(&world.redis).await;
    world.write(&mut chat, text(2)).await;
    other.bus.publish(Topic::Control, Message::Missed);
    let begun = Instant::now();
    assert_eq!(seqs_to(&listener, 2).await, [2]);
    assert!(begun.elapsed() < Duration::from_secs(5), "not by the look that comes anyway: {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_listeners_are_brought_up_to_date_after_an_outage() {
    let mut world = World::start().await;
    let mut chats = Vec::new();
    for _ in 0..600 {
        chats.push(world.chat().await);
    }
    let listeners: Vec<Stay> = chats.iter().map(|chat| world.listener(chat)).collect();
    world.redis.kill().await;
    until("the loss is noticed", || async { (!world.node.hears()).then_some(()) }).await;
    for chat in &mut chats {
        world.write(chat, text(2)).await;
    }
    world.redis.start_again().await;
    let begun = Instant::now();
    for listener in &listeners {
        assert_eq!(seqs_to(listener, 2).await, [2]);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
