//! Who gets a conversation: routing, taking, giving, handing back.

use serde_json::{Value, json};

use crate::support::{Client, Server, assignment, fresh};

/// Turns an agent away from new conversations, so that a test moves them itself.
async fn steps_back(agent: &mut Client) {
    agent.ask(json!({"type": "availability", "status": "away"})).await;
}

async fn two_agents(server: &Server) -> (Client, Client) {
    let (mut grace, mut alan) = (server.agent("Grace").await, server.agent("Alan").await);
    steps_back(&mut grace).await;
    steps_back(&mut alan).await;
    (grace, alan)
}

fn events(entries: &[Value]) -> Vec<&str> {
    entries.iter().filter_map(|entry| entry["event"].as_str()).collect()
}

#[tokio::test]
async fn one_takes_what_nobody_has_and_the_next_is_told_who() {
    let server = Server::start().await;
    let (mut grace, mut alan) = two_agents(&server).await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    assert_eq!(grace.takes(&chat).await["desk_seq"], 1);
    assert_eq!(visitor.hears_event("joined").await["body"]["agent"]["name"], "Grace");
    let error = alan.refused(assignment(&chat, &json!("me"))).await;
    assert_eq!(error["code"], "conflict");
    assert!(error["message"].as_str().unwrap().contains("Grace"), "{error}");
    assert_eq!(grace.refusal(assignment(&chat, &json!("me"))).await, "conflict", "it has it already");
}

#[tokio::test]
async fn two_who_take_at_once_do_not_both_get_it() {
    let server = Server::start().await;
    let (mut grace, mut alan) = two_agents(&server).await;
    let mut visitor = server.visitor().await;
    for n in 0..8 {
        let chat = visitor.rings(&n.to_string()).await;
        let (one, other) = tokio::join!(
            grace.answer_to(assignment(&chat, &json!("me"))),
            alan.answer_to(assignment(&chat, &json!("me"))),
        );
        let mut kinds = [one["type"].as_str().unwrap(), other["type"].as_str().unwrap()];
        kinds.sort_unstable();
        assert_eq!(kinds, ["error", "ok"], "{one} {other}");
        let desk = grace.history(&chat, "desk").await;
        assert_eq!(events(&desk), ["assigned"]);
    }
}

#[tokio::test]
async fn a_conversation_is_given_on_and_handed_back() {
    let server = Server::start().await;
    let (mut grace, alan) = two_agents(&server).await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    grace.takes(&chat).await;
    grace.ask(assignment(&chat, &json!(alan.subject()))).await;
    grace.ask(assignment(&chat, &Value::Null)).await;
    let desk = grace.history(&chat, "desk").await;
    assert_eq!(events(&desk), ["assigned", "transferred", "unassigned"]);
    assert_eq!(desk[0]["body"], json!({"to": grace.subject(), "by": grace.subject()}));
    assert_eq!(desk[1]["body"], json!({"from": grace.subject(), "to": alan.subject(), "by": grace.subject()}));
    assert_eq!(desk[2]["body"], json!({"from": alan.subject(), "by": grace.subject()}));
    let thread = visitor.history(&chat, "thread").await;
    assert_eq!(events(&thread), ["message", "joined", "left", "joined", "left"]);
    assert_eq!(grace.refusal(assignment(&chat, &Value::Null)).await, "conflict", "nobody has it");
}

#[tokio::test]
async fn who_answers_what_nobody_has_gets_it() {
    let server = Server::start().await;
    let (mut grace, _alan) = two_agents(&server).await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    grace.says(&chat, "Good day").await;
    let thread = visitor.history(&chat, "thread").await;
    assert_eq!(events(&thread), ["message", "joined", "message"]);
    assert_eq!(grace.watches(&chat).await["assignee"]["id"], grace.subject());
}

#[tokio::test]
async fn nobody_else_can_be_given_a_conversation() {
    let server = Server::start().await;
    let (mut grace, _alan) = two_agents(&server).await;
    let viewer = server.hire_as(&server.project, "Vera", "viewer", &[]).await;
    let other = server.create_project("Other", "https://other.example").await;
    let stranger = server.hire_as(&other, "Eve", "agent", &[]).await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    for to in [fresh_id(), viewer.id, stranger.id] {
        assert_eq!(grace.refusal(assignment(&chat, &json!(to))).await, "conflict");
    }
    assert_eq!(grace.refusal(assignment(&chat, &json!("you"))).await, "bad_request");
}

fn fresh_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

#[tokio::test]
async fn an_assignment_with_a_known_key_is_made_once() {
    let server = Server::start().await;
    let (mut grace, _alan) = two_agents(&server).await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let take = assignment(&chat, &json!("me"));
    assert_eq!(grace.ask(take.clone()).await["desk_seq"], grace.ask(take).await["desk_seq"]);
}

#[tokio::test]
async fn a_new_conversation_goes_to_the_least_busy_with_room() {
    let server = Server::start().await;
    let grace = server.agent("Grace").await;
    let mut visitor = server.visitor().await;
    let opened = visitor.ask(json!({"type": "open", "key": fresh(), "body": {"text": "1"}})).await;
    assert_eq!(opened["assignee"]["id"], grace.subject(), "in the answer to `open` already");
    assert_eq!(opened.get("queue"), None);
    let alan = server.agent("Alan").await;
    let mut assigned = Vec::new();
    for n in 2..=4 {
        let opened = visitor.ask(json!({"type": "open", "key": fresh(), "body": {"text": n.to_string()}})).await;
        assigned.push(opened["assignee"]["name"].as_str().unwrap().to_owned());
    }
    assert_eq!(assigned[0], "Alan", "one was busy with one");
    let of_alan = assigned.iter().filter(|name| *name == "Alan").count();
    assert_eq!(of_alan, 2, "four conversations, two each: {assigned:?}");
    drop(alan);
}

#[tokio::test]
async fn who_is_full_gets_no_more_and_the_line_is_first_come_first_served() {
    let server = Server::start().await;
    let account = server.hire_as(&server.project, "Grace", "agent", &["--capacity", "1"]).await;
    let mut grace = server.join(&account.token).await;
    let mut visitors = Vec::new();
    for n in 0..3 {
        let mut visitor = server.visitor().await;
        let opened = visitor.ask(json!({"type": "open", "key": fresh(), "body": {"text": n.to_string()}})).await;
        let chat = opened["conversation"].as_str().unwrap().to_owned();
        match n {
            0 => assert_eq!(opened["assignee"]["id"], grace.subject()),
            _ => assert_eq!(opened["queue"]["position"], n, "{opened}"),
        }
        visitors.push((visitor, chat));
    }
    let (first, second, third) = (visitors.remove(0), visitors.remove(0), visitors.remove(0));
    grace.closes(&first.1).await;
    let (mut second, mut third) = (second.0, third.0);
    second.hears_event("joined").await;
    let moved = third.find("the line moves", |it| it["type"] == "queue" && it["position"] == 1).await;
    assert!(moved["eta_ms"].as_i64().unwrap() > 0, "{moved}");
    assert!(!third.heard().await.iter().any(|it| it["event"] == "joined"), "not yet its turn");
}

#[tokio::test]
async fn who_may_have_more_gets_more_at_once_and_stays_connected() {
    let server = Server::start().await;
    let account = server.hire_as(&server.project, "Grace", "agent", &["--capacity", "1"]).await;
    let mut grace = server.join(&account.token).await;
    let (mut first, mut second) = (server.visitor().await, server.visitor().await);
    first.rings("Hello").await;
    second.rings("Hello").await;
    assert!(!second.heard().await.iter().any(|it| it["event"] == "joined"), "she is full");
    server.cli(["agent", "set-capacity", "--agent", &account.id, "--capacity", "2"]).await.text();
    second.hears_event("joined").await;
    assert_eq!(grace.answer_to(json!({"type": "are_you_there"})).await["code"], "unknown_type");
    let none = server.cli(["agent", "set-capacity", "--agent", &account.id, "--capacity", "0"]).await;
    assert_eq!(none.code(), Some(2));
}

#[tokio::test]
async fn who_waits_is_told_where_it_stands_and_is_taken_when_somebody_comes() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let opened = visitor.ask(json!({"type": "open", "key": fresh(), "body": {"text": "Hello"}})).await;
    assert_eq!(opened["queue"], json!({"position": 1}), "nobody is online: no promise of a time");
    assert_eq!(opened.get("assignee"), None);
    let grace = server.agent("Grace").await;
    let joined = visitor.hears_event("joined").await;
    assert_eq!(joined["body"]["agent"]["id"], grace.subject());
    assert_eq!(joined["from"]["kind"], "system");
    drop(grace);
}

#[tokio::test]
async fn who_is_away_gets_nothing_until_it_is_back() {
    let server = Server::start().await;
    let mut grace = server.agent("Grace").await;
    steps_back(&mut grace).await;
    let mut visitor = server.visitor().await;
    let opened = visitor.ask(json!({"type": "open", "key": fresh(), "body": {"text": "Hello"}})).await;
    assert_eq!(opened["queue"]["position"], 1);
    grace.ask(json!({"type": "availability", "status": "online"})).await;
    visitor.hears_event("joined").await;
}

#[tokio::test]
async fn a_disabled_agents_unanswered_chats_go_to_somebody_else() {
    let server = Server::start().await;
    let account = server.hire("Grace").await;
    let mut grace = server.join(&account.token).await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let alan = server.agent("Alan").await;
    server.cli(["agent", "disable", "--agent", &account.id]).await.text();
    assert_eq!(grace.closed().await, 4501);
    let of_alan = |frame: &Value| frame["event"] == "joined" && frame["body"]["agent"]["id"] == alan.subject();
    visitor.find("the other joins", of_alan).await;
    assert!(visitor.history(&chat, "thread").await.iter().any(|entry| entry["event"] == "left"));
}
