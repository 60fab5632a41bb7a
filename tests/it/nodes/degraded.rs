//! What still works while Redis or the database is away, and that all of it works again by itself.

use serde_json::{Value, json};

use super::{Pair, joined};
use crate::support::{Client, Request, Server, message, postgres::Cluster, until};

/// Waits until a node says that it is ready, or that it is not, and why.
async fn is_ready(server: &Server, status: u16) -> Value {
    until(format!("/readyz answers {status}"), || async {
        let answer = Request::get("/readyz").send(server.admin).await;
        (answer.status == status).then(|| answer.json())
    })
    .await
}

async fn hears(client: &mut Client, words: &str) {
    client.find(words, |it| it["body"]["text"] == *words).await;
}

#[tokio::test]
async fn without_redis_everybody_hears_and_readiness_says_so() {
    let pair = Pair::start().await;
    let mut visitor = pair.one.visitor().await;
    let chat = visitor.rings("Hello").await;
    let (mut here, mut there) = (pair.one.agent("Grace").await, pair.other.agent("Alan").await);
    here.watches(&chat).await;
    there.watches(&chat).await;
    pair.redis.signal("STOP").await;
    for server in [&pair.one, &pair.other] {
        let why = is_ready(server, 503).await;
        assert_eq!((&why["bus_subscribed"], &why["log_writable"]), (&json!(false), &json!(true)));
    }
    visitor.says(&chat, "Is anybody there?").await;
    hears(&mut here, "Is anybody there?").await;
    hears(&mut there, "Is anybody there?").await;
    there.says(&chat, "I am").await;
    hears(&mut visitor, "I am").await;
    pair.redis.signal("CONT").await;
    is_ready(&pair.one, 200).await;
    is_ready(&pair.other, 200).await;
    visitor.says(&chat, "Good").await;
    hears(&mut there, "Good").await;
}

#[tokio::test]
async fn without_the_database_nothing_is_acknowledged_and_what_is_in_memory_is_told() {
    let database = Cluster::start(&[]);
    let pair = Pair::start_over(&database.database(), &[]).await;
    let account = pair.one.hire("Grace").await;
    let (mut visitor, mut grace) = (pair.one.visitor().await, pair.one.join(&account.token).await);
    let chat = visitor.rings("Hello").await;
    visitor.find("Grace has it", joined("Grace")).await;
    let watched = grace.watches(&chat).await;
    database.stop();

    let lost = message(&chat, "Still there?");
    let refused = visitor.refused(lost.clone()).await;
    assert_eq!(refused["code"], "unavailable");
    assert!(refused["retry_ms"].as_u64().unwrap() > 0, "{refused}");
    assert_eq!(grace.hears("notice").await["level"], "warning");
    assert_eq!(is_ready(&pair.one, 503).await["log_writable"], false);
    visitor.tell(&json!({"type": "typing", "conversation": chat, "on": true, "text": "Still"})).await;
    assert_eq!(grace.hears("typing").await["text"], "Still");
    // Whose socket breaks now comes back to where it was.
    let known = json!([{"conversation": chat, "epoch": watched["epoch"], "seq": watched["seq"]}]);
    let mut second = pair.one.socket().await;
    second.connect(&account.token, known).await;
    assert_eq!(second.hello["conversations"][0]["resumed"], true, "{}", second.hello);

    let starting = tokio::task::spawn_blocking(move || {
        database.start_again();
        database
    });
    is_ready(&pair.one, 200).await;
    assert_eq!(grace.hears("notice").await["level"], "info");
    visitor.ask(lost).await;
    for client in [&mut grace, &mut second] {
        hears(client, "Still there?").await;
    }
    let thread = grace.history(&chat, "thread").await;
    assert_eq!(thread.iter().filter(|it| it["body"]["text"] == "Still there?").count(), 1);
    drop(starting.await);
}
