//! Links that break while somebody types: no mark stays, and who comes back types on.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Client, Link, Server};

/// After how long a mark has ended: the protocol's 5 s, and a moment for a loaded machine.
const ENDS_WITHIN: Duration = Duration::from_millis(5_500);

/// A visitor behind a link, in the middle of typing, and the agent who sees it.
struct Scene {
    server: Server,
    link: Link,
    token: String,
    visitor: Client,
    grace: Client,
    chat: String,
}

impl Scene {
    async fn of_a_visitor_who_types() -> Self {
        let server = Server::start().await;
        let mut grace = server.agent("Grace").await;
        let token = server.session(&server.project).await["token"].as_str().unwrap().to_owned();
        let link = Link::to(&server).await;
        let mut visitor = link.join(&token).await;
        let chat = visitor.rings("Hello").await;
        grace.watches(&chat).await;
        types(&mut visitor, &chat, "I wan").await;
        assert_eq!(grace.find("it types", typing(true)).await["text"], "I wan");
        Self { server, link, token, visitor, grace, chat }
    }
}

async fn types(client: &mut Client, chat: &str, draft: &str) {
    client.ask(json!({"type": "typing", "conversation": chat, "on": true, "text": draft})).await;
}

fn typing(on: bool) -> impl Fn(&Value) -> bool {
    move |it| it["type"] == "typing" && it["on"] == on
}

/// Asserts that the mark ends in time.
async fn sees_it_end(client: &mut Client, since: Instant) {
    client.find("the mark ends", typing(false)).await;
    assert!(since.elapsed() < ENDS_WITHIN, "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_visitor_that_is_cut_off_while_it_types_types_no_more_until_it_is_back() {
    let Scene { server, link, token, mut visitor, mut grace, chat } = Scene::of_a_visitor_who_types().await;
    let cut = Instant::now();
    link.cut();
    assert_eq!(visitor.closed().await, 1006);
    sees_it_end(&mut grace, cut).await;
    let mut visitor = server.join(&token).await;
    types(&mut visitor, &chat, "I want to ask").await;
    assert_eq!(grace.find("it types again", typing(true)).await["text"], "I want to ask");
}

#[tokio::test]
async fn a_link_that_falls_silent_ends_the_mark_though_nobody_notices() {
    let Scene { server, link, token, visitor: _open_yet, mut grace, chat } = Scene::of_a_visitor_who_types().await;
    let silent = Instant::now();
    link.falls_silent();
    sees_it_end(&mut grace, silent).await;
    // It comes back from elsewhere while the server still holds the old socket.
    let mut visitor = server.join(&token).await;
    types(&mut visitor, &chat, "again").await;
    assert_eq!(grace.find("it types again", typing(true)).await["text"], "again");
}

#[tokio::test]
async fn an_agent_that_is_cut_off_leaves_no_dots() {
    let server = Server::start().await;
    let account = server.hire("Grace").await;
    let link = Link::to(&server).await;
    let mut grace = link.join(&account.token).await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    grace.watches(&chat).await;
    types(&mut grace, &chat, "not for visitors").await;
    let dots = visitor.find("dots", typing(true)).await;
    assert_eq!(dots.get("text"), None, "{dots}");
    let cut = Instant::now();
    link.cut();
    sees_it_end(&mut visitor, cut).await;
    let mut grace = server.join(&account.token).await;
    grace.watches(&chat).await;
    types(&mut grace, &chat, "").await;
    visitor.find("dots again", typing(true)).await;
}

#[tokio::test]
async fn who_types_on_is_not_ended() {
    let server = Server::start().await;
    let mut grace = server.agent("Grace").await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    grace.watches(&chat).await;
    for n in 0..7 {
        types(&mut visitor, &chat, &n.to_string()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(!grace.heard().await.iter().any(typing(false)));
    types(&mut visitor, &chat, "the end").await;
    visitor.ask(json!({"type": "typing", "conversation": chat, "on": false})).await;
    grace.find("it stops", typing(false)).await;
}
