//! What Redis may do to a node. After each fault the nodes hear each other again by themselves, and are told that they may
//! have missed something.

use std::time::{Duration, Instant};

use super::{Node, pair};
use crate::support::{Redis, until};
use deskbell::{
    bus::{Health, Message, Source, Topic},
    ids::ProjectId,
};

/// Within what time all is well once Redis is.
const HEALED: Duration = Duration::from_secs(5);

/// Talks until it is heard; how long that took.
async fn heard_after(one: &Node, other: &Node, project: ProjectId) -> Duration {
    let begun = Instant::now();
    let mut number = 1_000_000;
    until("they hear each other", || {
        number += 1;
        one.say(project, number);
        async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let last = other.numbers(Source::Node(one.bus.node())).last().copied();
            (other.hears() && last.is_some_and(|last| last > 1_000_000)).then_some(())
        }
    })
    .await;
    begun.elapsed()
}

async fn deaf(node: &Node) {
    until("the loss is noticed", || async { (!node.hears()).then_some(()) }).await;
}

/// Both hear again in time, and the one who was deaf is told so.
async fn healed(one: &Node, other: &Node, project: ProjectId) {
    let missed = other.missed(Topic::Inbox(project));
    let took = heard_after(one, other, project).await;
    assert!(took < HEALED, "{took:?}");
    assert!(
        missed + other.missed(Topic::Inbox(project)) >= 2,
        "told once at the first subscription, once after the loss"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_started_again() {
    let mut redis = Redis::start().await;
    let (one, other, project) = pair(&redis).await;
    redis.kill().await;
    deaf(&other).await;
    for number in 0..100 {
        one.say(project, number);
    }
    assert_eq!(one.numbers(Source::Here).len(), 100, "this node's own sessions hear at once");
    // Long enough for waits to have grown to the longest.
    tokio::time::sleep(Duration::from_secs(4)).await;
    redis.start_again().await;
    healed(&one, &other, project).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_for_a_while() {
    let redis = Redis::start().await;
    let (one, other, project) = pair(&redis).await;
    redis.signal("STOP").await;
    deaf(&other).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    redis.signal("CONT").await;
    healed(&one, &other, project).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_killed() {
    let redis = Redis::start().await;
    let (one, other, project) = pair(&redis).await;
    for kind in ["pubsub", "normal"] {
        let missed = other.missed(Topic::Inbox(project));
        let killed: i64 = redis.say(&["CLIENT", "KILL", "TYPE", kind]).await;
        assert!(killed >= 1, "{kind}");
        if kind == "pubsub" {
            until("it is told", || async { (other.missed(Topic::Inbox(project)) > missed).then_some(()) }).await;
        }
        let took = heard_after(&one, &other, project).await;
        assert!(took < HEALED, "{kind}: {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_for_less_than_it_takes_to_be_deaf() {
    let redis = Redis::start().await;
    let (one, other, project) = pair(&redis).await;
    let _: String = redis.say(&["CLIENT", "PAUSE", "3000", "ALL"]).await;
    for number in 0..1_000 {
        one.say(project, number);
    }
    let source = Source::Node(one.bus.node());
    until("all is heard", || async { (other.numbers(source).len() == 1_000).then_some(()) }).await;
    assert!(other.hears());
    assert_eq!(other.missed(Topic::Inbox(project)), 1, "nothing was lost, nothing is looked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_for_longer() {
    let redis = Redis::start().await;
    let (one, other, project) = pair(&redis).await;
    let begun = Instant::now();
    let _: String = redis.say(&["CLIENT", "PAUSE", "8000", "ALL"]).await;
    deaf(&other).await;
    assert!(begun.elapsed() < Duration::from_secs(8));
    tokio::time::sleep_until((begun + Duration::from_secs(8)).into()).await;
    healed(&one, &other, project).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_fits_is_dropped_and_told() {
    let redis = Redis::start().await;
    let (one, other, project) = pair(&redis).await;
    redis.signal("STOP").await;
    for number in 0..40_000 {
        one.say(project, number);
    }
    redis.signal("CONT").await;
    until("the drop is told", || async { (other.missed(Topic::Control) > 0).then_some(()) }).await;
    one.bus.publish(Topic::Staff(project), Message::AgentsOnline { online: 99_999 });
    let source = Source::Node(one.bus.node());
    until("what follows is heard", || async { other.numbers(source).contains(&99_999).then_some(()) }).await;
    let numbers = other.numbers(source);
    assert!(numbers.len() < 40_000 && numbers.is_sorted(), "{} heard", numbers.len());
}

/// Two nodes, of which the first runs on a runtime of its own, and the second has heard it.
async fn mortal_pair(redis: &Redis) -> (tokio::runtime::Runtime, Node, Node) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (url, project) = (redis.url(), ProjectId::generate());
    let other = Node::start(redis).await;
    other.hear(Topic::Inbox(project)).await;
    let one = runtime.spawn(async move { Node::start_at(&url).await }).await.unwrap();
    one.say(project, 1);
    let source = Source::Node(one.bus.node());
    until("they hear each other", || async { (other.numbers(source) == [1]).then_some(()) }).await;
    (runtime, one, other)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_falls_silent_is_minded() {
    let redis = Redis::start().await;
    let (runtime, one, other) = mortal_pair(&redis).await;
    // Its tasks are gone, as in a process that was killed: no goodbye.
    runtime.shutdown_background();
    let begun = Instant::now();
    let doubtful = || async { (*other.bus.health().borrow() == Health::Doubtful).then_some(()) };
    until("its silence is noticed", doubtful).await;
    assert!(begun.elapsed() < HEALED, "{:?}", begun.elapsed());
    drop(one);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_said_goodbye_is_not_missed() {
    let redis = Redis::start().await;
    let (runtime, one, other) = mortal_pair(&redis).await;
    one.tasks.stop();
    assert_eq!(one.tasks.wait(HEALED).await, 0);
    let mut health = other.bus.health();
    let changed = tokio::time::timeout(HEALED, health.changed()).await;
    assert!(changed.is_err(), "{:?}", *health.borrow());
    runtime.shutdown_background();
}
