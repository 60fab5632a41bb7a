//! Several nodes on one Redis: they hear each other, and when they do not, they notice and read the log.

mod checks;
mod faults;

use std::{sync::Arc, time::Duration};

use deskbell::{
    bus::{Bus, Error, Health, Message, Source, Topic},
    clock::Clock,
    config::Secret,
    ids::{ConversationId, ProjectId},
    tasks::Tasks,
};
use parking_lot::Mutex;

use crate::support::{Redis, until, within};

const SECRET: [u8; 32] = [7; 32];

/// One node's bus, and what was heard on it.
struct Node {
    bus: Bus,
    tasks: Tasks,
    heard: Arc<Mutex<Vec<(Topic, Message, Source)>>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

async fn connect(url: &str, tasks: &Tasks) -> Result<Bus, Error> {
    Bus::connect(&Secret::new(url.to_owned()), &SECRET, Clock::system(), tasks).await
}

impl Node {
    async fn start(redis: &Redis) -> Self {
        Self::start_at(&redis.url()).await
    }

    async fn start_at(url: &str) -> Self {
        let tasks = Tasks::new();
        let bus = connect(url, &tasks).await.unwrap();
        let heard: Arc<Mutex<Vec<_>>> = Arc::default();
        let list = Arc::clone(&heard);
        bus.attach(Arc::new(move |topic, message, source| list.lock().push((topic, message.clone(), source))));
        Self { bus, tasks, heard }
    }

    /// Wants `topic`, and waits until it is heard.
    async fn hear(&self, topic: Topic) {
        let before = self.missed(topic);
        self.bus.want(topic);
        until("the channel is heard", || async { (self.missed(topic) > before).then_some(()) }).await;
    }

    fn missed(&self, topic: Topic) -> usize {
        self.heard.lock().iter().filter(|(on, message, _)| *on == topic && *message == Message::Missed).count()
    }

    /// The numbers that came from `source`, in the order of arrival.
    fn numbers(&self, source: Source) -> Vec<u32> {
        let number = |(_, message, from): &(Topic, Message, Source)| match message {
            Message::AgentsOnline { online } if *from == source => Some(*online),
            _ => None,
        };
        self.heard.lock().iter().filter_map(number).collect()
    }

    fn say(&self, project: ProjectId, number: u32) {
        self.bus.publish(Topic::Lobby(project), Message::AgentsOnline { online: number });
    }

    fn hears(&self) -> bool {
        !matches!(*self.bus.health().borrow(), Health::Deaf { .. })
    }
}

/// Two nodes, of which the second hears what concerns a project.
async fn pair(redis: &Redis) -> (Node, Node, ProjectId) {
    let (one, other, project) = (Node::start(redis).await, Node::start(redis).await, ProjectId::generate());
    other.hear(Topic::Inbox(project)).await;
    (one, other, project)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_hears_what_the_other_says_once_and_in_order() {
    let redis = Redis::start().await;
    let (one, other, project) = pair(&redis).await;
    let numbers: Vec<u32> = (0..2_000).collect();
    for number in &numbers {
        one.say(project, *number);
    }
    let source = Source::Node(one.bus.node());
    until("all is heard", || async { (other.numbers(source).len() >= numbers.len()).then_some(()) }).await;
    assert_eq!(other.numbers(source), numbers);
    assert_eq!(one.numbers(Source::Here), numbers, "a node hears itself once, at once");
    assert_eq!(one.heard.lock().len(), numbers.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_this_node_and_what_nobody_wants_stays_here() {
    let redis = Redis::start().await;
    let (one, other, project) = pair(&redis).await;
    let unwanted = Topic::Thread(ConversationId::generate());
    one.bus.publish_here(Topic::Lobby(project), Message::AgentsOnline { online: 1 });
    one.bus.publish(unwanted, Message::AgentsOnline { online: 2 });
    one.say(project, 3);
    let source = Source::Node(one.bus.node());
    until("the last is heard", || async { (!other.numbers(source).is_empty()).then_some(()) }).await;
    assert_eq!(other.numbers(source), [3]);
    assert_eq!(one.numbers(Source::Here), [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_on_the_way_is_not_taken() {
    let redis = Redis::start().await;
    let (one, other, project) = pair(&redis).await;
    let channels: Vec<String> = redis.say(&["PUBSUB", "CHANNELS", "*:p:*"]).await;
    let channel = channels.first().unwrap();
    assert!(channel.ends_with(&project.to_string()), "{channel}");
    let mut listening = redis::Client::open(redis.url()).unwrap().get_async_pubsub().await.unwrap();
    listening.subscribe(channel).await.unwrap();
    one.say(project, 1);
    let original = {
        use futures_util::StreamExt as _;
        within("it passes by", listening.on_message().next()).await.unwrap().get_payload_bytes().to_vec()
    };
    let forged = String::from_utf8_lossy(&original[50..]).replace("\"online\":1", "\"online\":2");
    let forged = [&original[..50], forged.as_bytes()].concat();
    let mut connection = redis.connection().await.unwrap();
    for envelope in [forged, b"nonsense".to_vec(), original] {
        let () = redis::cmd("PUBLISH").arg(channel).arg(envelope).query_async(&mut connection).await.unwrap();
    }
    one.say(project, 3);
    let source = Source::Node(one.bus.node());
    until("the last is heard", || async { other.numbers(source).contains(&3).then_some(()) }).await;
    // What was not changed is taken, even twice: entries and heads know what is older.
    assert_eq!(other.numbers(source), [1, 1, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_channels_are_heard() {
    let redis = Redis::start().await;
    let (one, other) = (Node::start(&redis).await, Node::start(&redis).await);
    let topics: Vec<Topic> = (0..3_000).map(|_| Topic::Desk(ConversationId::generate())).collect();
    for topic in &topics {
        other.bus.want(*topic);
    }
    let missed = || other.heard.lock().iter().filter(|(_, message, _)| *message == Message::Missed).count();
    until("all are heard", || async { (missed() == topics.len()).then_some(()) }).await;
    for (number, topic) in (0..).zip(&topics) {
        one.bus.publish(*topic, Message::AgentsOnline { online: number });
    }
    let source = Source::Node(one.bus.node());
    until("each is heard", || async { (other.numbers(source).len() == topics.len()).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_nobody_wants_is_left_after_a_while_and_heard_again_when_wanted() {
    let redis = Redis::start().await;
    let (one, other, project) = pair(&redis).await;
    other.bus.unwant(Topic::Inbox(project));
    let count = || async { redis.say::<Vec<String>>(&["PUBSUB", "CHANNELS", "*:p:*"]).await.len() };
    assert_eq!(count().await, 1, "a page that is reloaded wants it again");
    until("it is left", || async { (count().await == 0).then_some(()) }).await;
    other.hear(Topic::Inbox(project)).await;
    one.say(project, 5);
    let source = Source::Node(one.bus.node());
    until("it is heard", || async { (other.numbers(source) == [5]).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_not_there_or_refuses_is_an_error() {
    const RIGHTS: [&str; 4] = ["&deskbell:*", "+publish", "+subscribe", "+unsubscribe"];
    let users = ["deskbell", "without-channels", "without-publish", "without-subscribe", "without-unsubscribe"];
    let mut settings = Vec::new();
    for (number, user) in users.into_iter().enumerate() {
        settings.extend(["--user", user, "on", ">secret", "resetkeys", "resetchannels"]);
        settings.extend(RIGHTS.into_iter().enumerate().filter(|(at, _)| at + 1 != number).map(|(_, right)| right));
    }
    let redis = Redis::start_with(&settings).await;
    let (tasks, nowhere) = (Tasks::new(), "unix:///nowhere/redis.sock".to_owned());
    let mut refused = vec![(nowhere, "redis.url"), ("redis://".to_owned(), "redis.url")];
    refused.push((redis.url_of("deskbell", "wrong"), "redis.url"));
    // One right less than what is needed: it is named.
    let missing = ["channel", "'publish'", "'subscribe'", "'unsubscribe'"];
    refused.extend(users[1..].iter().map(|user| redis.url_of(user, "secret")).zip(missing));
    for (url, named) in refused {
        let error = within("an answer", connect(&url, &tasks)).await.err().map(|error| error.to_string());
        let is_told = |text: &String| text.contains("redis.url") && text.contains(named) && !text.contains("secret");
        assert!(error.as_ref().is_some_and(is_told), "{url}: {error:?}");
    }
    tasks.stop();
    assert_eq!(tasks.wait(Duration::from_secs(5)).await, 0);
    // Nothing more than this is needed.
    let node = Node::start_at(&redis.url_of("deskbell", "secret")).await;
    node.hear(Topic::Inbox(ProjectId::generate())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_before_a_stop_goes_out() {
    let redis = Redis::start().await;
    let (one, other, project) = pair(&redis).await;
    for number in 0..500 {
        one.say(project, number);
    }
    one.tasks.stop();
    assert_eq!(one.tasks.wait(Duration::from_secs(5)).await, 0);
    let source = Source::Node(one.bus.node());
    until("all is heard", || async { (other.numbers(source).len() == 500).then_some(()) }).await;
}
