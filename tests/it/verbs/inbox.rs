//! The inbox: which heads, how many, in which order, and what is pushed.

use std::collections::HashMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Client, Server, Setup, assignment, fresh};

/// An agent that is away, so that nothing moves by itself.
async fn bystander(server: &Server, name: &str) -> Client {
    let mut agent = server.agent(name).await;
    agent.ask(json!({"type": "availability", "status": "away"})).await;
    agent
}

async fn ring_as(server: &Server, name: &str, email: &str) -> (Client, String) {
    let mut visitor = server.visitor().await;
    let fields = json!({"name": name, "email": email});
    let open = json!({"type": "open", "key": fresh(), "body": {"text": format!("I am {name}")}, "fields": fields});
    let chat = visitor.ask(open).await["conversation"].as_str().unwrap().to_owned();
    (visitor, chat)
}

async fn chats(agent: &mut Client, filter: Value) -> Vec<String> {
    let page = agent.ask(json!({"type": "inbox", "filter": filter})).await;
    let heads = page["heads"].as_array().unwrap();
    heads.iter().map(|head| head["conversation"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn heads_are_filtered_by_status_assignee_and_visitor() {
    let server = Server::start().await;
    let mut grace = bystander(&server, "Grace").await;
    let alan = bystander(&server, "Alan").await;
    let (_ada, of_ada) = ring_as(&server, "Ada Lovelace", "ada@example.org").await;
    let (_bob, of_bob) = ring_as(&server, "Bob", "bob_x@example.com").await;
    let (_cy, of_cy) = ring_as(&server, "Cy", "cy@example.com").await;
    grace.takes(&of_ada).await;
    grace.ask(assignment(&of_bob, &json!(alan.subject()))).await;
    grace.closes(&of_cy).await;
    assert_eq!(chats(&mut grace, json!({})).await, [&*of_bob, &of_ada], "open ones, the newest first");
    assert_eq!(chats(&mut grace, json!({"assignee": "me"})).await, [&*of_ada]);
    assert_eq!(chats(&mut grace, json!({"assignee": alan.subject()})).await, [&*of_bob]);
    assert_eq!(chats(&mut grace, json!({"assignee": "none"})).await, Vec::<String>::new());
    assert_eq!(chats(&mut grace, json!({"status": "closed"})).await, [&*of_cy]);
    assert_eq!(chats(&mut grace, json!({"status": "any"})).await, [&*of_cy, &of_bob, &of_ada]);
    assert_eq!(chats(&mut grace, json!({"visitor": "LOVE"})).await, [&*of_ada]);
    assert_eq!(chats(&mut grace, json!({"visitor": "b_x@"})).await, [&*of_bob], "an underscore is no wildcard");
    assert_eq!(chats(&mut grace, json!({"visitor": "_"})).await, [&*of_bob]);
    assert_eq!(chats(&mut grace, json!({"visitor": "'; --"})).await, Vec::<String>::new());
    assert_eq!(grace.refusal(json!({"type": "inbox", "limit": 101})).await, "bad_request");
    assert_eq!(grace.refusal(json!({"type": "inbox", "filter": {"assignee": "you"}})).await, "bad_request");
}

#[tokio::test]
async fn counts_are_of_open_conversations() {
    let server = Server::start().await;
    let mut grace = bystander(&server, "Grace").await;
    let (_a, first) = ring_as(&server, "A", "a@example.org").await;
    let (_b, second) = ring_as(&server, "B", "b@example.org").await;
    let (_c, _third) = ring_as(&server, "C", "c@example.org").await;
    grace.takes(&first).await;
    grace.closes(&second).await;
    let page = grace.ask(json!({"type": "inbox", "filter": {"status": "closed"}, "limit": 1})).await;
    assert_eq!(page["counts"], json!({"mine": 1, "unassigned": 1, "open": 2}), "whatever the filter");
}

#[tokio::test]
async fn a_head_says_who_waits_since_when_and_for_what() {
    let server = Server::start().await;
    let mut grace = bystander(&server, "Grace").await;
    let (mut ada, chat) = ring_as(&server, "Ada", "ada@example.org").await;
    ada.says(&chat, "Anybody\nthere?").await;
    let page = grace.ask(json!({"type": "inbox"})).await;
    let head = &page["heads"][0];
    assert_eq!((&head["preview"], &head["unread"], &head["seq"]), (&json!("Anybody there?"), &json!(2), &json!(2)));
    assert_eq!(head["visitor"], json!({"id": ada.subject(), "name": "Ada"}));
    assert_eq!(head["assignee"], Value::Null);
    assert!(head["waiting_since"].as_i64().unwrap() <= head["at"].as_i64().unwrap());
    grace.says(&chat, "Yes").await;
    let page = grace.ask(json!({"type": "inbox"})).await;
    let head = &page["heads"][0];
    assert_eq!((&head["waiting_since"], &head["unread"]), (&Value::Null, &json!(0)), "answered");
}

#[tokio::test]
async fn pages_go_on_where_the_last_one_ended() {
    let server = Server::start().await;
    let mut grace = bystander(&server, "Grace").await;
    let mut all = Vec::new();
    for n in 0..5 {
        all.insert(0, ring_as(&server, &n.to_string(), "x@example.org").await.1);
    }
    let (mut seen, mut cursor) = (Vec::new(), Value::Null);
    for size in [2, 2, 1] {
        let page = grace.ask(json!({"type": "inbox", "limit": 2, "before": cursor})).await;
        let heads = page["heads"].as_array().unwrap();
        assert_eq!(heads.len(), size);
        seen.extend(heads.iter().map(|head| head["conversation"].as_str().unwrap().to_owned()));
        cursor = page["cursor"].clone();
    }
    assert_eq!(cursor, Value::Null, "the last page has no cursor");
    assert_eq!(seen, all);
}

#[tokio::test]
async fn heads_that_change_are_pushed_to_who_asked_for_the_inbox() {
    let server = Server::start().await;
    let mut grace = bystander(&server, "Grace").await;
    let mut alan = bystander(&server, "Alan").await;
    grace.ask(json!({"type": "inbox"})).await;
    let (mut ada, chat) = ring_as(&server, "Ada", "ada@example.org").await;
    let is_of = |frame: &Value| frame["type"] == "inbox" && frame["conversation"]["conversation"] == *chat;
    let head = grace.find("the new head", is_of).await;
    assert_eq!(head["conversation"]["preview"], "I am Ada");
    ada.says(&chat, "Still there").await;
    let newer = |frame: &Value| is_of(frame) && frame["conversation"]["seq"] == 2;
    grace.find("the newer head", newer).await;
    alan.takes(&chat).await;
    let taken = |frame: &Value| is_of(frame) && frame["conversation"]["assignee"] == alan.subject();
    grace.find("the taken head", taken).await;
    alan.closes(&chat).await;
    let closed = |frame: &Value| is_of(frame) && frame["conversation"]["status"] == "closed";
    grace.find("the closed head", closed).await;
    assert!(!alan.heard().await.iter().any(|it| it["type"] == "inbox"), "it did not ask");
}

#[tokio::test]
async fn of_many_heads_each_is_pushed_and_none_after_a_newer_one() {
    let mut setup = Setup::new();
    setup.limit("writes_per_second", 100_000).limit("write_burst", 100_000);
    let server = setup.start().await;
    let mut grace = bystander(&server, "Grace").await;
    grace.ask(json!({"type": "inbox"})).await;
    let talks = async || {
        let (mut visitor, mut chats) = (server.visitor().await, Vec::new());
        for n in 0..10 {
            chats.push(visitor.rings(&n.to_string()).await);
        }
        for n in 0..50 {
            visitor.says(&chats[n % 10], &n.to_string()).await;
        }
        chats
    };
    let chats = join_all((0..20).map(|_| talks())).await.concat();
    let mut reached = HashMap::new();
    while reached.len() < chats.len() || reached.values().any(|(seq, _)| *seq < 6) {
        let head = &grace.hears("inbox").await["conversation"];
        let place = ["seq", "desk_seq"].map(|lane| head[lane].as_u64().unwrap());
        let before = reached.insert(head["conversation"].to_string(), (place[0], place[1]));
        assert!(before < Some((place[0], place[1])), "{before:?}, then {place:?}");
    }
}
