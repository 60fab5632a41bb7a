//! A panic in one session: only that session ends.

use serde_json::json;

use crate::support::{Server, message};

#[tokio::test]
async fn a_panic_ends_its_own_session_only() {
    let server = Server::start().await;
    let token = server.session(&server.project).await["token"].as_str().unwrap().to_owned();
    let (mut one, mut other_tab) = (server.join(&token).await, server.join(&token).await);
    let chat = one.rings("Hello").await;
    let mut agent = server.agent("Grace").await;
    agent.watches(&chat).await;
    one.tell(&message(&chat, "!panic")).await;
    let code = one.closed().await;
    assert!([1006, 4000].contains(&code), "{code}");
    other_tab.says(&chat, "still here").await;
    agent.find("it goes on", |it| it["body"]["text"] == "still here").await;
    let mut back = server.join(&token).await;
    back.says(&chat, "back").await;
    let texts = back.history(&chat, "thread").await;
    assert!(!json!(texts).to_string().contains("!panic"));
    // Its place is free again: nothing of it is left behind.
    drop((other_tab, back));
    agent.heard().await;
    assert!(server.output().contains("injected"), "the log says what happened");
}

#[tokio::test]
async fn an_agents_panic_frees_its_place() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let mut grace = server.agent("Grace").await;
    grace.watches(&chat).await;
    let mut alan = server.agent("Alan").await;
    alan.watches(&chat).await;
    grace.tell(&message(&chat, "!panic")).await;
    grace.closed().await;
    let alone =
        alan.find("one looks", |it| it["type"] == "viewing" && it["agents"].as_array().unwrap().len() == 1).await;
    assert_eq!(alone["agents"][0]["name"], "Alan");
    alan.says(&chat, "I am here").await;
    visitor.find("the answer", |it| it["body"]["text"] == "I am here").await;
}
