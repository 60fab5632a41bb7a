//! An agent is gone: who waits for its answer gets another one, what it answered stays its own.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Agent, Client, Link, Server, Setup, message};

/// How long an agent may be gone unless something else is configured.
const DEFAULT: Duration = Duration::from_mins(1);

async fn hasty_server(hand_back_after_ms: u64) -> Server {
    let mut setup = Setup::new();
    setup.limit("hand_back_after_ms", hand_back_after_ms);
    setup.start().await
}

/// Grace, who has a chat of `visitor` that she has not answered.
async fn rings_for_grace(server: &Server, visitor: &mut Client) -> (Agent, Client, String) {
    let account = server.hire("Grace").await;
    let grace = server.join(&account.token).await;
    let chat = visitor.rings("Hello").await;
    visitor.find("Grace has it", has_it("Grace")).await;
    (account, grace, chat)
}

fn has_it(name: &str) -> impl Fn(&Value) -> bool {
    move |it| it["event"] == "joined" && it["body"]["agent"]["name"] == *name
}

fn has_lost_it(name: &str) -> impl Fn(&Value) -> bool {
    move |it| it["event"] == "left" && it["body"]["agent"]["name"] == *name
}

#[tokio::test]
async fn after_a_minute_an_unanswered_chat_goes_to_the_next() {
    let server = Server::start().await;
    let limits = server.cli(["limits", "--json"]).await.json();
    let limit = limits["limits"].as_array().unwrap().iter().find(|it| it["name"] == "hand_back_after_ms").unwrap();
    assert_eq!(limit["value"], 60_000, "{limit}");
    let mut visitor = server.visitor().await;
    let (_, mut grace, chat) = rings_for_grace(&server, &mut visitor).await;
    let mut other = server.visitor().await;
    let answered = other.rings("Another").await;
    grace.says(&answered, "Good morning").await;
    let mut alan = server.agent("Alan").await;
    let left = Instant::now();
    drop(grace);
    let mut handed_on = Value::Null;
    // Longer than anything else here is waited for; the socket's own ping goes by meanwhile.
    while handed_on.is_null() {
        tokio::time::sleep(Duration::from_secs(5)).await;
        alan.tell(&json!({"type": "pong"})).await;
        let heard = visitor.heard().await;
        other.heard().await;
        handed_on = heard.into_iter().find(has_it("Alan")).unwrap_or(Value::Null);
        assert!(left.elapsed() < DEFAULT + Duration::from_secs(15), "it was not handed back");
    }
    assert!(left.elapsed() >= DEFAULT, "{:?}", left.elapsed());
    let desk = alan.history(&chat, "desk").await;
    let moves: Vec<_> = desk.iter().map(|entry| (entry["event"].as_str().unwrap(), &entry["body"]["by"])).collect();
    assert_eq!(
        moves,
        [("assigned", &json!("routing")), ("unassigned", &json!("routing")), ("assigned", &json!("routing"))]
    );
    let kept = alan.watches(&answered).await;
    assert_eq!(kept["assignee"]["name"], "Grace", "what she answered stays hers");
}

#[tokio::test]
async fn with_nobody_else_it_stands_in_line_again() {
    let server = hasty_server(1_000).await;
    let mut visitor = server.visitor().await;
    let (account, grace, chat) = rings_for_grace(&server, &mut visitor).await;
    drop(grace);
    visitor.find("Grace has lost it", has_lost_it("Grace")).await;
    visitor.find("its place in line", |it| it["type"] == "queue" && it["position"] == 1).await;
    assert!(server.metric("deskbell_handed_back_total").await >= 1.0);
    let mut grace = server.join(&account.token).await;
    visitor.find("Grace has it again", has_it("Grace")).await;
    grace.ask(message(&chat, "Here I am")).await;
    drop(grace);
    // Answered: three times as long as the limit, and it is still hers.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!visitor.heard().await.iter().any(has_lost_it("Grace")));
}

#[tokio::test]
async fn a_cut_link_is_a_departure_and_a_reload_is_none() {
    let server = hasty_server(4_000).await;
    let mut visitor = server.visitor().await;
    let account = server.hire("Grace").await;
    let link = Link::to(&server).await;
    let grace = link.join(&account.token).await;
    visitor.rings("Hello").await;
    visitor.find("Grace has it", has_it("Grace")).await;
    // Reloads: gone for longer than between two looks, and back in less than the limit. Presence does not flicker either.
    let mut watching = server.agent("Alan").await;
    watching.ask(json!({"type": "availability", "status": "away"})).await;
    drop(grace);
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        drop(server.join(&account.token).await);
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let grace = link.join(&account.token).await;
    assert!(!visitor.heard().await.iter().any(has_lost_it("Grace")), "a reload is no departure");
    let heard = watching.heard().await;
    let offline = |it: &&Value| it["type"] == "presence" && it["agent"] == *account.id && it["status"] == "offline";
    assert_eq!(heard.iter().find(offline), None);
    link.cut();
    visitor.find("Grace has lost it", has_lost_it("Grace")).await;
    drop(grace);
}
