//! Who is here: colleagues to agents, a count to visitors.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Server, until, within};

#[tokio::test]
async fn visitors_hear_how_many_are_online_and_no_more() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let online = |count: u64| move |it: &Value| it["type"] == "presence" && it["agents"]["online"] == count;
    let mut grace = server.agent("Grace").await;
    visitor.find("one is online", online(1)).await;
    grace.ask(json!({"type": "availability", "status": "away"})).await;
    let presence = visitor.find("nobody is online", online(0)).await;
    assert_eq!(presence, json!({"type": "presence", "agents": {"online": 0}}), "no names");
    let session = server.session(&server.project).await;
    assert_eq!(session["project"]["online"], false);
    grace.ask(json!({"type": "availability", "status": "online"})).await;
    visitor.find("one is online again", online(1)).await;
    let session = server.session(&server.project).await;
    assert_eq!(session["project"]["online"], true);
    assert_eq!(server.visitor().await.hello["agents"], json!({"online": 1}));
}

#[tokio::test]
async fn colleagues_hear_who_comes_who_is_away_and_who_is_busy() {
    let server = Server::start().await;
    let mut grace = server.agent("Grace").await;
    let account = server.hire("Alan").await;
    let of_alan = |status: &'static str, load: u64| {
        let id = account.id.clone();
        move |it: &Value| it["type"] == "presence" && it["agent"] == *id && it["status"] == status && it["load"] == load
    };
    let mut alan = server.join(&account.token).await;
    grace.find("Alan is here", of_alan("online", 0)).await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let other = visitor.rings("Another").await;
    grace.find("Alan has one", of_alan("online", 1)).await;
    alan.ask(json!({"type": "availability", "status": "away"})).await;
    grace.find("Alan is away", of_alan("away", 1)).await;
    grace.closes(&chat).await;
    grace.closes(&other).await;
    grace.find("Alan has none", of_alan("away", 0)).await;
}

#[tokio::test]
async fn colleagues_hear_how_many_one_takes_from_now_on() {
    let server = Server::start().await;
    let mut grace = server.agent("Grace").await;
    let alan = server.hire("Alan").await;
    let of_alan = |capacity: u64| {
        let id = alan.id.clone();
        move |it: &Value| it["type"] == "presence" && it["agent"] == *id && it["capacity"] == capacity
    };
    let _at_work = server.join(&alan.token).await;
    grace.find("Alan is here", of_alan(5)).await;
    let asked = ["agent", "set-capacity", "--agent", &alan.id, "--capacity", "9"];
    server.cli(asked).await.text();
    grace.find("Alan takes more", of_alan(9)).await;
}

#[tokio::test]
async fn connect_lists_all_colleagues_but_the_disabled() {
    let server = Server::start().await;
    let _absent = server.hire("Alan").await;
    let gone = server.hire("Gone").await;
    server.cli(["agent", "disable", "--agent", &gone.id]).await.text();
    let _viewer = server.hire_as(&server.project, "Vera", "viewer", &["--capacity", "3"]).await;
    let agents = until("the list is up to date", || async {
        let grace = server.agent("Grace").await;
        let agents = grace.hello["agents"].as_array().unwrap().clone();
        (!agents.iter().any(|agent| agent["name"] == "Gone")).then_some(agents)
    })
    .await;
    let find = |name: &str| agents.iter().find(|agent| agent["name"] == name).unwrap();
    assert_eq!((&find("Alan")["status"], &find("Alan")["capacity"]), (&json!("offline"), &json!(5)));
    assert_eq!((&find("Vera")["role"], &find("Vera")["capacity"]), (&json!("viewer"), &json!(3)));
}

#[tokio::test]
async fn who_leaves_while_it_says_its_page_looks_at_none() {
    let server = Server::start().await;
    let mut grace = server.agent("Grace").await;
    for n in 0..20 {
        let mut visitor = server.visitor().await;
        let chat = visitor.rings(&n.to_string()).await;
        let page = json!({"url": "https://shop.example/cart", "title": "Cart"});
        grace.watches(&chat).await;
        // Nothing unread is left behind: else the connection would be reset, and the page with it.
        visitor.heard().await;
        visitor.say(json!({"type": "page", "page": page})).await;
        drop(visitor);
        grace.hears_event("page").await;
        let watch = json!({"type": "watch", "conversation": chat});
        within("it looks at no page", async {
            while grace.answer_to(watch.clone()).await["visitor"].get("page").is_some() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }
}
