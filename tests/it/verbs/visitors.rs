//! What a visitor does: ring, write, read back, close, rate.

use serde_json::{Value, json};

use crate::support::{Server, entries_of, fresh, message, seqs_of, texts_of};

#[tokio::test]
async fn connect_says_who_one_is_and_what_holds_here() {
    let server = Server::start().await;
    let visitor = server.visitor().await;
    let hello = &visitor.hello;
    assert_eq!(hello["kind"], "visitor");
    assert_eq!((&hello["heartbeat_ms"], &hello["max_frame_bytes"]), (&json!(25_000), &json!(65_536)));
    assert_eq!((&hello["conversations"], &hello["agents"]), (&json!([]), &json!({"online": 0})));
    let ttl = hello["token_ttl_ms"].as_i64().unwrap();
    assert!((800_000..=900_000).contains(&ttl), "{ttl}");
    assert_eq!((&hello["role"], &hello["project"]), (&Value::Null, &Value::Null), "for agents only");
}

#[tokio::test]
async fn a_visitor_rings_and_reads_its_own_words_back() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let key = fresh();
    let opened = visitor.ask(json!({"type": "open", "key": key, "body": {"text": "Cafe\u{301}?"}})).await;
    assert_eq!((&opened["seq"], &opened["status"], &opened["duplicate"]), (&json!(1), &json!("open"), &json!(false)));
    let entry = visitor.hears_event("message").await;
    assert_eq!((&entry["entry"], &entry["at"], &entry["epoch"]), (&opened["entry"], &opened["at"], &opened["epoch"]));
    assert_eq!((&entry["seq"], &entry["prev"], &entry["key"]), (&json!(1), &json!(0), &json!(key)));
    assert_eq!(entry["body"]["text"], "Caf\u{e9}?", "texts are normalised");
    assert_eq!(entry["from"]["id"], visitor.hello["subject"]);
    assert_eq!(entry.get("lane"), None);
}

#[tokio::test]
async fn the_same_key_opens_the_same_conversation() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let open = json!({"type": "open", "key": fresh(), "body": {"text": "Hello"}});
    let first = visitor.ask(open.clone()).await;
    let again = visitor.ask(open.clone()).await;
    assert_eq!(again["duplicate"], true);
    for same in ["conversation", "entry", "seq", "at"] {
        assert_eq!(first[same], again[same], "{same}");
    }
    let mut other = server.visitor().await;
    assert_ne!(other.ask(open).await["conversation"], first["conversation"], "keys are each visitor's own");
}

#[tokio::test]
async fn a_key_that_was_used_writes_nothing_more() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let said = message(&chat, "once");
    let first = visitor.ask(said.clone()).await;
    assert_eq!((&first["seq"], &first["duplicate"]), (&json!(2), &json!(false)));
    let again = visitor.ask(said.clone()).await;
    assert_eq!((&again["seq"], &again["duplicate"], &again["entry"]), (&json!(2), &json!(true), &first["entry"]));
    let mut other_words = said;
    other_words["body"]["text"] = "twice".into();
    assert_eq!(visitor.ask(other_words).await["entry"], first["entry"], "the key decides, not the words");
    assert_eq!(visitor.history(&chat, "thread").await.len(), 2);
}

#[tokio::test]
async fn keys_hold_over_a_restart() {
    let mut server = Server::start().await;
    let session = server.session(&server.project.clone()).await;
    let token = session["token"].as_str().unwrap();
    let mut visitor = server.join(token).await;
    let chat = visitor.rings("Hello").await;
    let said = message(&chat, "once");
    let first = visitor.ask(said.clone()).await;
    server.kill().await;
    server.start_again().await;
    let mut back = server.join(token).await;
    let again = back.ask(said).await;
    assert_eq!((&again["duplicate"], &again["entry"]), (&json!(true), &first["entry"]));
}

#[tokio::test]
async fn writes_are_applied_in_the_order_sent() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("0").await;
    let mut ids = Vec::new();
    for n in 1..=15 {
        ids.push(visitor.say(message(&chat, &n.to_string())).await);
    }
    for id in ids {
        assert_eq!(visitor.answer(id).await["type"], "ok");
    }
    let entries = visitor.history(&chat, "thread").await;
    assert_eq!(texts_of(&entries), (0..=15).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(seqs_of(&entries), (1..=16).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_wrong_with_a_text_is_named() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    for (words, code) in
        [("", "bad_request"), (" \n", "bad_request"), ("a\u{0}b", "bad_request"), (&"x".repeat(8_001), "too_large")]
    {
        let error = visitor.refused(message(&chat, words)).await;
        assert_eq!(error["code"], code);
        assert!(error["message"].as_str().unwrap().contains("body.text"), "{error}");
        assert_eq!(error.get("retry_ms"), None, "the same again would be refused again");
    }
    assert!(visitor.refused(message(&chat, &"x".repeat(8_001))).await["message"].as_str().unwrap().contains("8000"));
    visitor.says(&chat, &"é".repeat(8_000)).await;
    visitor.says(&chat, "a\nb\tc").await;
    assert_eq!(visitor.history(&chat, "thread").await.len(), 3);
}

#[tokio::test]
async fn history_goes_both_ways_in_pages() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("1").await;
    for n in 2..=9 {
        visitor.says(&chat, &n.to_string()).await;
    }
    let mut page = async |more: Value| {
        let mut asked = json!({"type": "history", "conversation": chat, "limit": 4});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let page = visitor.ask(asked).await;
        (seqs_of(page["entries"].as_array().unwrap()), page["more"].as_bool().unwrap())
    };
    assert_eq!(page(json!({})).await, (vec![6, 7, 8, 9], true), "the newest, ascending");
    assert_eq!(page(json!({"before": 6})).await, (vec![2, 3, 4, 5], true));
    assert_eq!(page(json!({"before": 2})).await, (vec![1], false));
    assert_eq!(page(json!({"before": 1})).await, (vec![], false));
    assert_eq!(page(json!({"after": 0})).await, (vec![1, 2, 3, 4], true));
    assert_eq!(page(json!({"after": 5})).await, (vec![6, 7, 8, 9], false));
    assert_eq!(page(json!({"after": 9})).await, (vec![], false));
    for wrong in [json!({"limit": 0}), json!({"limit": 201}), json!({"before": 5, "after": 1})] {
        let mut asked = json!({"type": "history", "conversation": chat});
        asked.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        assert_eq!(visitor.refusal(asked).await, "bad_request", "{wrong}");
    }
}

#[tokio::test]
async fn a_closed_conversation_is_rated_and_opened_again_by_a_word() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    assert_eq!(visitor.closes(&chat).await, 2);
    let close = json!({"type": "close", "conversation": chat, "key": fresh()});
    assert_eq!(visitor.refusal(close).await, "conflict");
    let rate =
        |score: u64| json!({"type": "rate", "conversation": chat, "key": fresh(), "score": score, "comment": "quick"});
    assert_eq!(visitor.refusal(rate(0)).await, "bad_request");
    assert_eq!(visitor.refusal(rate(6)).await, "bad_request");
    assert_eq!(visitor.ask(rate(5)).await["seq"], 3);
    assert_eq!(visitor.says(&chat, "one more thing").await, 5);
    let entries = visitor.history(&chat, "thread").await;
    let events: Vec<_> = entries.iter().map(|entry| entry["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["message", "closed", "rated", "reopened", "message"]);
    assert_eq!(entries[2]["body"], json!({"score": 5, "comment": "quick"}));
}

#[tokio::test]
async fn a_close_with_the_same_key_is_answered_as_the_first() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let close = json!({"type": "close", "conversation": chat, "key": fresh()});
    assert_eq!(visitor.ask(close.clone()).await["seq"], visitor.ask(close).await["seq"]);
}

#[tokio::test]
async fn the_form_and_the_page_reach_the_agent_and_not_the_thread() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let open = json!({
        "type": "open", "key": fresh(), "body": {"text": "Hello"},
        "fields": {"name": "Ada", "email": "ada@example.org", "order": "17"},
        "page": {"url": "https://shop.example/cart?secret=1#x", "title": "Cart"},
    });
    let chat = visitor.ask(open).await["conversation"].as_str().unwrap().to_owned();
    visitor.ask(json!({"type": "page", "page": {"url": "https://shop.example/pay", "title": "Pay"}})).await;
    let mut agent = server.agent("Grace").await;
    let watched = agent.watches(&chat).await;
    let card = &watched["visitor"];
    assert_eq!(
        (&card["name"], &card["email"], &card["identified"]),
        (&json!("Ada"), &json!("ada@example.org"), &json!(false))
    );
    assert_eq!((&card["fields"]["order"], &card["page"]["url"]), (&json!("17"), &json!("https://shop.example/pay")));
    let pages = entries_of(watched["entries"].as_array().unwrap(), "page").len();
    let seen = agent.history(&chat, "desk").await;
    let urls: Vec<_> = seen.iter().filter_map(|entry| entry["body"]["url"].as_str()).collect();
    assert_eq!(urls, ["https://shop.example/cart", "https://shop.example/pay"], "no query, no fragment");
    assert_eq!(pages, 0, "entries of an answer have no `type`");
    assert!(visitor.history(&chat, "thread").await.iter().all(|entry| entry["event"] != "page"));
}

#[tokio::test]
async fn a_form_has_limits_and_a_page_is_http() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let open = |more: Value| {
        let mut open = json!({"type": "open", "key": fresh(), "body": {"text": "Hello"}});
        open.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        open
    };
    let many: Value = (0..21).map(|n| (format!("field{n}"), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    assert_eq!(visitor.refusal(open(json!({"fields": many}))).await, "bad_request");
    assert_eq!(visitor.refusal(open(json!({"fields": {"x": "y".repeat(501)}}))).await, "too_large");
    assert_eq!(visitor.refusal(open(json!({"fields": {"x": 1}}))).await, "bad_request");
    assert_eq!(visitor.refusal(open(json!({"page": {"url": "javascript:alert(1)"}}))).await, "bad_request");
}

#[tokio::test]
async fn what_is_for_agents_is_forbidden_to_visitors() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    for command in [
        json!({"type": "note", "conversation": chat, "key": fresh(), "body": {"text": "x"}}),
        json!({"type": "watch", "conversation": chat}),
        json!({"type": "unwatch", "conversation": chat}),
        json!({"type": "history", "conversation": chat, "lane": "desk"}),
        json!({"type": "inbox"}),
        json!({"type": "availability", "status": "online"}),
        json!({"type": "assign", "conversation": chat, "key": fresh(), "to": "me"}),
        json!({"type": "assign", "conversation": chat, "key": fresh(), "to": null}),
    ] {
        assert_eq!(visitor.refusal(command.clone()).await, "forbidden", "{command}");
    }
}

#[tokio::test]
async fn ten_conversations_at_once_are_enough_for_one_visitor() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    for n in 0..10 {
        visitor.rings(&n.to_string()).await;
    }
    assert_eq!(visitor.refusal(json!({"type": "open", "key": fresh(), "body": {"text": "x"}})).await, "conflict");
}
