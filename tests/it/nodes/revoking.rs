//! Whoever is shut out on one node is shut out on all.

use std::time::{Duration, Instant};

use serde_json::json;

use super::Pair;
use crate::support::{Client, Request, message};

/// Within which sockets on every node are closed.
const SOON: Duration = Duration::from_secs(2);
/// The same with Redis gone.
const LATE: Duration = Duration::from_secs(35);

/// Grace signed in, with a socket on each node.
async fn signed_in_twice(pair: &Pair) -> (String, Client, Client) {
    let account = pair.one.hire("Grace").await;
    let cookie = pair.one.sign_in(&account).await;
    let answer = pair.one.http(Request::post("/v1/agents/token", &json!({})).header("Cookie", &cookie)).await;
    let token = answer.with_status(200).json()["token"].as_str().unwrap().to_owned();
    (cookie, pair.one.join(&token).await, pair.other.join(&token).await)
}

async fn signs_out(pair: &Pair, cookie: &str) {
    pair.one.http(Request::post("/v1/agents/logout", &json!({})).header("Cookie", cookie)).await.with_status(204);
}

#[tokio::test]
async fn signing_out_closes_sockets_on_all_nodes() {
    let pair = Pair::start().await;
    let (cookie, mut here, mut there) = signed_in_twice(&pair).await;
    signs_out(&pair, &cookie).await;
    let begun = Instant::now();
    assert_eq!([here.closed().await, there.closed().await], [4501, 4501]);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn with_redis_gone_it_takes_a_moment_longer() {
    let pair = Pair::start().await;
    let (cookie, mut here, mut there) = signed_in_twice(&pair).await;
    pair.redis.signal("STOP").await;
    signs_out(&pair, &cookie).await;
    let begun = Instant::now();
    assert_eq!([here.closed().await, there.closed().await], [4501, 4501]);
    assert!(begun.elapsed() < LATE, "{:?}", begun.elapsed());
    pair.redis.signal("CONT").await;
}

#[tokio::test]
async fn with_redis_gone_a_role_a_ban_and_a_forgotten_key_reach_all_nodes() {
    let pair = Pair::start().await;
    let (account, mut grace) = pair.agent_on_other("Grace").await;
    let mut alan = pair.one.agent("Alan").await;
    let (mut banned, mut other) = (pair.other.visitor().await, pair.other.visitor().await);
    let chat = banned.rings("Hello").await;
    alan.ask(message(&chat, "Good day")).await;
    let keys = pair.one.cli(["keys", "list", "--json"]).await.json();
    let key = keys["keys"][0]["kid"].as_str().unwrap().to_owned();

    pair.redis.signal("STOP").await;
    let begun = Instant::now();
    alan.ask(json!({"type": "ban", "conversation": chat, "on": true})).await;
    pair.one.cli(["agent", "set-role", "--agent", &account.id, "--role", "viewer"]).await.text();
    // Last, because it sends away who is left.
    pair.one.cli(["keys", "forget", &key]).await.text();
    let codes = tokio::join!(banned.closed(), grace.closed(), other.closed());
    assert_eq!(codes, (4503, 4501, 4004));
    assert!(begun.elapsed() < LATE, "{:?}", begun.elapsed());
    pair.redis.signal("CONT").await;
}

#[tokio::test]
async fn a_token_of_a_session_that_ended_opens_nothing_elsewhere() {
    let pair = Pair::start().await;
    let account = pair.one.hire("Grace").await;
    let cookie = pair.one.sign_in(&account).await;
    let answer = pair.one.http(Request::post("/v1/agents/token", &json!({})).header("Cookie", &cookie)).await;
    let token = answer.with_status(200).json()["token"].as_str().unwrap().to_owned();
    signs_out(&pair, &cookie).await;
    crate::support::until("the other node knows", || async {
        let mut client = pair.other.socket().await;
        let connect = json!({"type": "connect", "token": token});
        client.try_ask(connect).await.map_or(Some(()), |answer| (answer["code"] == "unauthorized").then_some(()))
    })
    .await;
}

#[tokio::test]
async fn disabling_changing_a_role_and_banning_reach_all_nodes() {
    let pair = Pair::start().await;
    let (account, mut grace) = pair.agent_on_other("Grace").await;
    let begun = Instant::now();
    pair.one.cli(["agent", "disable", "--agent", &account.id]).await.text();
    assert_eq!(grace.closed().await, 4501);
    assert!(begun.elapsed() < SOON * 2, "the command line takes its time, too: {:?}", begun.elapsed());

    let mut alan = pair.one.agent("Alan").await;
    let mut visitor = pair.other.visitor().await;
    let chat = visitor.rings("Hello").await;
    alan.ask(message(&chat, "Good day")).await;
    let begun = Instant::now();
    alan.ask(json!({"type": "ban", "conversation": chat, "on": true})).await;
    assert_eq!(visitor.closed().await, 4503);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}
