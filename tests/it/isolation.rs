//! Several projects on one server: what is another's can't be told from what is not there.

use serde_json::{Value, json};

use crate::support::{Client, Server, fresh};

/// Every command that names a conversation.
fn verbs(conversation: &str) -> Vec<Value> {
    let (key, body) = (fresh(), json!({"text": "x"}));
    [
        json!({"type": "send", "key": key, "body": body}),
        json!({"type": "note", "key": key, "body": body}),
        json!({"type": "watch"}),
        json!({"type": "watch", "epoch": "k1", "seq": 0, "desk_seq": 0}),
        json!({"type": "unwatch"}),
        json!({"type": "history"}),
        json!({"type": "history", "after": 0}),
        json!({"type": "history", "lane": "desk"}),
        json!({"type": "read", "seq": 1}),
        json!({"type": "typing", "on": true}),
        json!({"type": "close", "key": key}),
        json!({"type": "rate", "key": key, "score": 5}),
        json!({"type": "assign", "key": key, "to": "me"}),
        json!({"type": "assign", "key": key, "to": null}),
    ]
    .into_iter()
    .map(|mut verb| {
        verb["conversation"] = conversation.into();
        verb
    })
    .collect()
}

/// What `client` is answered to every verb, without the numbers.
async fn answers(client: &mut Client, conversation: &str) -> Vec<String> {
    let mut answers = Vec::new();
    for verb in verbs(conversation) {
        let mut answer = client.answer_to(verb).await;
        answer.as_object_mut().unwrap().remove("id");
        answers.push(answer.to_string());
    }
    answers
}

#[tokio::test]
async fn another_projects_conversation_answers_byte_for_byte_like_a_missing_one() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("ours").await;
    let mut agent = server.agent("Grace").await;
    agent.notes(&chat, "ours alone").await;
    let before = (agent.history(&chat, "thread").await, agent.history(&chat, "desk").await);
    let missing = uuid::Uuid::now_v7().to_string();
    let other = server.create_project("Other", "https://other.example").await;
    let mut stranger = server.visitor_of(&other).await;
    let account = server.hire_as(&other, "Eve", "owner", &[]).await;
    let mut spy = server.join(&account.token).await;
    let mut neighbour = server.visitor().await;
    for client in [&mut stranger, &mut spy, &mut neighbour] {
        let of_ours = answers(client, &chat).await;
        assert_eq!(of_ours, answers(client, &missing).await);
        assert!(of_ours.iter().any(|answer| answer.contains("not_found")));
        assert!(!of_ours.iter().any(|answer| answer.contains("ours") || answer.contains("entry")), "{of_ours:?}");
    }
    assert_eq!((agent.history(&chat, "thread").await, agent.history(&chat, "desk").await), before);
}

#[tokio::test]
async fn agents_of_one_project_hear_nothing_of_another() {
    let server = Server::start().await;
    let other = server.create_project("Other", "https://other.example").await;
    let account = server.hire_as(&other, "Eve", "owner", &[]).await;
    let mut spy = server.join(&account.token).await;
    spy.ask(json!({"type": "inbox"})).await;
    let mut visitor = server.visitor().await;
    let opened = visitor.ask(json!({"type": "open", "key": fresh(), "body": {"text": "ours"}})).await;
    assert_eq!(opened["queue"]["position"], 1, "the other project's agent is none of ours");
    let mut agent = server.agent("Grace").await;
    visitor.hears_event("joined").await;
    agent.ask(json!({"type": "inbox"})).await;
    visitor.says(opened["conversation"].as_str().unwrap(), "ours, too").await;
    agent.hears("inbox").await;
    let heard = spy.heard().await;
    assert!(heard.iter().all(|frame| frame["agent"] == json!(account.id)), "only of itself: {heard:?}");
    assert_eq!(spy.ask(json!({"type": "inbox", "filter": {"status": "any"}})).await["heads"], json!([]));
    let names: Vec<_> = spy.hello["agents"].as_array().unwrap().iter().map(|agent| &agent["name"]).collect();
    assert_eq!(names, ["Eve"]);
}

#[tokio::test]
async fn the_same_key_in_two_projects_is_two_conversations() {
    let server = Server::start().await;
    let other = server.create_project("Other", "https://other.example").await;
    let open = json!({"type": "open", "key": "the-same", "body": {"text": "Hello"}});
    let here = server.visitor().await.ask(open.clone()).await;
    let there = server.visitor_of(&other).await.ask(open).await;
    assert_ne!(here["conversation"], there["conversation"]);
}
