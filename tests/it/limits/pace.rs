//! How fast one may write, and what becomes of who does not slow down.

use serde_json::{Value, json};

use crate::support::{Setup, message};

#[tokio::test]
async fn who_writes_too_fast_is_told_when_to_go_on() {
    let mut setup = Setup::new();
    setup.limit("writes_per_second", 5).limit("write_burst", 3);
    let server = setup.start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("1").await;
    let said: Vec<Value> = (2..=6).map(|n| message(&chat, &n.to_string())).collect();
    let mut refused = None;
    for words in &said {
        let answer = visitor.answer_to(words.clone()).await;
        if answer["type"] == "error" {
            assert_eq!(answer["code"], "rate_limited");
            refused = Some((words.clone(), answer["retry_ms"].as_u64().unwrap()));
            break;
        }
    }
    let (words, retry_ms) = refused.unwrap();
    assert!((1..=200).contains(&retry_ms), "{retry_ms}");
    tokio::time::sleep(std::time::Duration::from_millis(retry_ms)).await;
    assert_eq!(visitor.ask(words).await["duplicate"], false, "the same again, after that time");
    let mut other = server.visitor().await;
    other.rings("others are not slowed down").await;
    server.has_refused("writes_per_second").await;
}

#[tokio::test]
async fn ten_refusals_in_a_row_are_the_end() {
    let mut setup = Setup::new();
    setup.limit("writes_per_second", 1).limit("write_burst", 2);
    let server = setup.start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    for n in 0..20 {
        visitor.say(message(&chat, &n.to_string())).await;
    }
    let (heard, code) = visitor.listens_to_the_end().await;
    assert_eq!(code, 4006);
    let refused = heard.iter().filter(|frame| frame["code"] == "rate_limited").count();
    assert_eq!(refused, 9, "and the tenth ends it");
    server.has_refused("refusals_in_a_row").await;
}

#[tokio::test]
async fn reading_has_a_pace_too() {
    let mut setup = Setup::new();
    setup.limit("writes_per_second", 1).limit("write_burst", 2);
    let server = setup.start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    for _ in 0..40 {
        visitor.say(json!({"type": "history", "conversation": chat})).await;
    }
    assert_eq!(visitor.closed().await, 4006);
}

#[tokio::test]
async fn who_pings_without_end_is_closed() {
    let server = Setup::new().start().await;
    let mut visitor = server.visitor().await;
    for _ in 0..10 {
        assert!(visitor.ping().await);
    }
    visitor.rings("ten in ten seconds are taken").await;
    visitor.ping().await;
    assert_eq!(visitor.closed().await, 4006);
    let mut stranger = server.socket().await;
    for _ in 0..12 {
        stranger.ping().await;
    }
    assert_eq!(stranger.closed().await, 4006, "before `connect`, too");
    server.has_refused("control_frames_per_10s").await;
}
