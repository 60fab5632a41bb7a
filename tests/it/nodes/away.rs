//! A node that dies, and one that hears nobody.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Pair, is_seen, joined, left, status_in};
use crate::support::{message, postgres::Cluster, until};

/// How long a node counts after its last word, and how old that word may be when it dies.
const LEASE: Duration = Duration::from_secs(15);
const BEAT: Duration = Duration::from_secs(5);
/// Less than anything that is awaited by name may take.
const PATIENT: Duration = Duration::from_secs(19);

#[tokio::test]
async fn a_killed_node_takes_its_agents_along_and_who_waits_gets_another_one() {
    let mut pair = Pair::start_with(&[("hand_back_after_ms", 5_000)]).await;
    let (account, _grace) = pair.agent_on_other("Grace").await;
    let mut visitor = pair.one.visitor().await;
    visitor.rings("Hello").await;
    visitor.find("Grace has it", joined("Grace")).await;
    let alan = pair.one.hire("Alan").await;
    let watcher = pair.one.hire_as(&pair.one.project, "Vera", "viewer", &[]).await;
    pair.other.kill().await;
    let killed = Instant::now();
    let _alan = pair.one.join(&alan.token).await;
    until("her lease ends", || async {
        let seen = pair.one.join(&watcher.token).await;
        (killed.elapsed() > PATIENT || status_in(&seen.hello, &account) == "offline").then_some(())
    })
    .await;
    assert!(killed.elapsed() + BEAT > LEASE, "{:?}", killed.elapsed());
    assert!(killed.elapsed() < LEASE + Duration::from_secs(3), "{:?}", killed.elapsed());
    visitor.find("Grace is gone", left("Grace")).await;
    assert!(killed.elapsed() + BEAT > LEASE + Duration::from_secs(5), "{:?}", killed.elapsed());
    visitor.find("Alan takes over", joined("Alan")).await;
}

#[tokio::test]
async fn nobody_loses_a_conversation_because_redis_is_away() {
    let pair = Pair::start_with(&[("hand_back_after_ms", 2_000)]).await;
    let (account, mut grace) = pair.agent_on_other("Grace").await;
    let mut visitor = pair.one.visitor().await;
    let chat = visitor.rings("Hello").await;
    visitor.find("Grace has it", joined("Grace")).await;
    grace.watches(&chat).await;
    pair.redis.signal("STOP").await;
    // Longer than a lease and the time after which an agent who is gone loses what it has not answered.
    let until = Instant::now() + Duration::from_secs(22);
    let mut said = 0;
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_secs(2)).await;
        visitor.says(&chat, "Still waiting").await;
        said += 1;
        grace.hears_event("message").await;
        grace.tell(&json!({"type": "pong"})).await;
    }
    pair.redis.signal("CONT").await;
    is_seen(&pair.one, &account, "online").await;
    grace.says(&chat, "Here I am").await;
    visitor.find("the answer", |it| it["body"]["text"] == "Here I am").await;
    let desk = grace.history(&chat, "desk").await;
    let moves: Vec<_> = desk.iter().map(|entry| entry["event"].as_str().unwrap()).collect();
    assert_eq!(moves, ["assigned"], "after {said} messages");
}

#[tokio::test]
async fn a_node_that_stops_in_order_says_so() {
    let mut pair = Pair::start_with(&[("hand_back_after_ms", 1_000)]).await;
    let (account, grace) = pair.agent_on_other("Grace").await;
    let mut visitor = pair.one.visitor().await;
    pair.other.signal("TERM").await;
    pair.other.ended().await;
    let stopped = Instant::now();
    drop(grace);
    is_seen(&pair.one, &account, "offline").await;
    assert!(stopped.elapsed() + Duration::from_secs(1) < LEASE, "as after any departure: {:?}", stopped.elapsed());
    visitor.rings("Hello").await;
}

#[tokio::test]
async fn a_node_that_knows_less_than_who_comes_to_it_does_not_have_it_start_over() {
    let cluster = Cluster::start(&[]);
    let pair = Pair::start_over(&cluster.database(), &[]).await;
    let account = pair.one.hire("Grace").await;
    let mut visitor = pair.one.visitor().await;
    let mut grace = pair.one.join(&account.token).await;
    let chat = visitor.rings("Hello").await;
    let elsewhere = pair.one.visitor().await.rings("Hello").await;
    let epoch = grace.watches(&chat).await["epoch"].clone();
    visitor.leave().await;
    grace.leave().await;

    // The first one hears nothing of what is said on the other, and when it can write again has not yet looked.
    let mut alan = pair.one.agent("Alan").await;
    pair.redis.signal("STOP").await;
    let mut grace = pair.other.join(&account.token).await;
    let last = grace.says(&chat, "Still there?").await;
    cluster.stop();
    assert_eq!(alan.refusal(message(&elsewhere, "Good day")).await, "unavailable");
    let starting = tokio::task::spawn_blocking(move || {
        cluster.start_again();
        cluster
    });
    let there = json!([{"conversation": chat, "epoch": epoch, "seq": last}]);
    let back = until("the database is back", || async {
        let mut client = pair.one.socket().await;
        let answer = client.answer_to(json!({"type": "connect", "token": account.token, "resume": there})).await;
        (answer["type"] == "ok").then_some(answer)
    })
    .await;
    assert_eq!(back["conversations"][0]["resumed"], true, "{back}");
    pair.redis.signal("CONT").await;
    drop(starting.await);
}
