//! A visitor on one node, an agent on the other.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Pair, is_seen, joined, steps_back};
use crate::support::{fresh, message, seqs_of, texts_of, within};

fn frame(kind: &str, chat: &str) -> impl Fn(&Value) -> bool {
    move |it| it["type"] == kind && it["conversation"] == *chat
}

#[tokio::test]
async fn what_one_says_the_other_hears() {
    let pair = Pair::start().await;
    let (_, mut grace) = pair.agent_on_other("Grace").await;
    grace.ask(json!({"type": "inbox", "filter": {"status": "open", "assignee": "any"}, "limit": 50})).await;
    let mut visitor = pair.one.visitor().await;
    assert_eq!(visitor.hello["agents"]["online"], 1);
    let chat = visitor.rings("Hello").await;
    let head = grace.find("its head", |it| it["type"] == "inbox" && it["conversation"]["conversation"] == *chat).await;
    assert_eq!(head["conversation"]["assignee"], grace.subject(), "routed at once, across the nodes");
    visitor.find("Grace has it", joined("Grace")).await;
    assert_eq!(texts_of(grace.watches(&chat).await["entries"].as_array().unwrap()), ["Hello"]);

    visitor.says(&chat, "Are you there?").await;
    assert_eq!(grace.hears_event("message").await["body"]["text"], "Are you there?");
    visitor.tell(&json!({"type": "typing", "conversation": chat, "on": true, "text": "I wond"})).await;
    assert_eq!(grace.find("a draft", frame("typing", &chat)).await["text"], "I wond");
    grace.tell(&json!({"type": "typing", "conversation": chat, "on": true})).await;
    visitor.find("she types", frame("typing", &chat)).await;
    grace.notes(&chat, "Be kind").await;
    let seq = grace.says(&chat, "I am").await;
    assert_eq!(visitor.find("the answer", |it| it["body"]["text"] == "I am").await["seq"], seq);
    visitor.ask(json!({"type": "delivered", "conversation": chat, "seq": seq})).await;
    assert_eq!(grace.find("it arrived", frame("delivered", &chat)).await["seq"], seq);
    visitor.ask(json!({"type": "read", "conversation": chat, "seq": seq})).await;
    assert_eq!(grace.find("it was read", frame("read", &chat)).await["seq"], seq);

    let thread = visitor.history(&chat, "thread").await;
    assert_eq!(thread, grace.history(&chat, "thread").await, "both nodes tell the same");
    assert!((1..=seq).eq(seqs_of(&thread)));
    assert!(!visitor.heard().await.iter().any(|it| it["lane"] == "desk"), "a note is for agents, on every node");
    grace.closes(&chat).await;
    visitor.hears_event("closed").await;
    visitor.says(&chat, "One more thing").await;
    grace.hears_event("reopened").await;
}

#[tokio::test]
async fn many_writers_on_both_nodes_make_one_sequence() {
    let pair = Pair::start_with(&[("writes_per_second", 100_000), ("write_burst", 100_000)]).await;
    let session = pair.one.session(&pair.one.project).await;
    let token = session["token"].as_str().unwrap();
    let mut first = pair.one.join(token).await;
    let chat = first.rings("Hello").await;
    let mut tabs = vec![first, pair.other.join(token).await, pair.one.join(token).await, pair.other.join(token).await];
    let said = tabs.iter_mut().enumerate().map(|(n, tab)| {
        let chat = &chat;
        async move {
            for count in 0..25 {
                tab.says(chat, &format!("{n}-{count}")).await;
            }
        }
    });
    futures_util::future::join_all(said).await;
    for tab in &mut tabs {
        let mut seqs = Vec::new();
        while seqs.last() != Some(&101) {
            let entry = tab.find("the next message", |it| it["event"] == "message").await;
            seqs.push(entry["seq"].as_u64().unwrap());
        }
        assert!(seqs.iter().copied().eq(102 - seqs.len() as u64..=101), "without a hole: {seqs:?}");
        assert_eq!(tab.history(&chat, "thread").await.len(), 101);
    }
}

#[tokio::test]
async fn a_key_holds_on_whatever_node_it_is_said_again() {
    let pair = Pair::start().await;
    let session = pair.one.session(&pair.one.project).await;
    let token = session["token"].as_str().unwrap();
    let (mut here, mut there) = (pair.one.join(token).await, pair.other.join(token).await);
    for round in 0..5 {
        let open = json!({"type": "open", "key": fresh(), "body": {"text": format!("Hello {round}")}});
        let (one, other) = tokio::join!(here.ask(open.clone()), there.ask(open.clone()));
        assert_eq!(one["conversation"], other["conversation"], "one conversation, opened on two nodes at once");
        let chat = one["conversation"].as_str().unwrap();
        // Known on both nodes by now; each then writes what the other does not hear of in time.
        for (at, n) in [(&mut here, 1), (&mut there, 2)] {
            at.says(chat, &format!("known {n}")).await;
        }
        let again = message(chat, "only once");
        let first = here.ask(again.clone()).await;
        let second = there.ask(again).await;
        assert_eq!((first["seq"].clone(), second["duplicate"].clone()), (second["seq"].clone(), json!(true)));
        let close = json!({"type": "close", "conversation": chat, "key": fresh()});
        let (one, other) = tokio::join!(here.ask(close.clone()), there.ask(close));
        assert_eq!(one["seq"], other["seq"]);
        assert_eq!(here.history(chat, "thread").await.len(), 5);
    }
}

#[tokio::test]
async fn who_looks_at_a_conversation_is_seen_on_every_node() {
    let pair = Pair::start().await;
    let mut visitor = pair.one.visitor().await;
    let chat = visitor.rings("Hello").await;
    let mut grace = pair.one.agent("Grace").await;
    grace.watches(&chat).await;
    let (_, mut alan) = pair.agent_on_other("Alan").await;
    let view = |names: &'static [&'static str]| {
        move |it: &Value| {
            it["type"] == "viewing" && it["agents"].as_array().unwrap().iter().map(|it| &it["name"]).eq(names)
        }
    };
    alan.watches(&chat).await;
    alan.find("both", view(&["Grace", "Alan"])).await;
    grace.find("both", view(&["Grace", "Alan"])).await;
    grace.ask(json!({"type": "unwatch", "conversation": chat})).await;
    alan.find("he alone", view(&["Alan"])).await;
}

#[tokio::test]
async fn the_page_of_a_visitor_is_known_on_every_node() {
    let pair = Pair::start().await;
    let mut grace = pair.other.agent("Grace").await;
    let mut visitor = pair.one.visitor().await;
    let chat = visitor.rings("Hello").await;
    grace.watches(&chat).await;
    let page = json!({"url": "https://shop.example/cart", "title": "Cart"});
    visitor.tell(&json!({"type": "page", "page": page})).await;
    grace.hears_event("page").await;
    within("the page is known", async {
        while grace.watches(&chat).await["visitor"]["page"] != page {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_agent_is_as_it_last_said_it_is_wherever() {
    let pair = Pair::start().await;
    let (account, mut grace) = pair.agent_on_other("Grace").await;
    let mut visitor = pair.one.visitor().await;
    steps_back(&mut grace).await;
    is_seen(&pair.one, &account, "away").await;
    visitor.find("nobody is online", |it| it["agents"]["online"] == 0).await;
    let mut second = pair.one.join(&account.token).await;
    second.ask(json!({"type": "availability", "status": "online"})).await;
    is_seen(&pair.other, &account, "online").await;
    visitor.find("she is", |it| it["agents"]["online"] == 1).await;
    grace.leave().await;
    is_seen(&pair.other, &account, "online").await;
}
