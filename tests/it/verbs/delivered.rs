//! How far a message has come: to a device, then to its reader.

use serde_json::{Value, json};

use crate::support::{Client, Server, fresh};

fn delivered(chat: &str, seq: u64) -> Value {
    json!({"type": "delivered", "conversation": chat, "seq": seq})
}

/// The `delivered` frames among all that came until now.
async fn told(client: &mut Client) -> Vec<Value> {
    client.heard().await.into_iter().filter(|frame| frame["type"] == "delivered").collect()
}

#[tokio::test]
async fn what_reached_a_device_is_told_to_the_other_side_and_kept() {
    let mut server = Server::start().await;
    let session = server.session(&server.project).await;
    let token = session["token"].as_str().unwrap();
    let mut visitor = server.join(token).await;
    let opened = visitor.ask(json!({"type": "open", "key": fresh(), "body": {"text": "Hello"}})).await;
    let chat = opened["conversation"].as_str().unwrap().to_owned();
    assert_eq!(opened["delivered"], json!({"visitor": 1, "agent": 0}), "one's own message is on one's own device");
    let mut agent = server.agent("Grace").await;
    assert_eq!(agent.watches(&chat).await["delivered"], json!({"visitor": 1, "agent": 0}));
    agent.ask(delivered(&chat, 1)).await;
    let mark = visitor.hears("delivered").await;
    let by = json!({"kind": "agent", "id": agent.subject()});
    assert_eq!((&mark["conversation"], &mark["seq"], &mark["by"]), (&json!(chat), &json!(1), &by));
    let said = agent.says(&chat, "Good day").await;
    visitor.tell(&delivered(&chat, said)).await;
    assert_eq!(agent.hears("delivered").await["by"], json!({"kind": "visitor", "id": visitor.subject()}));
    assert_eq!(told(&mut visitor).await, Vec::<Value>::new(), "not told what it said itself");
    let marks = json!({"visitor": said, "agent": said});
    assert_eq!(agent.watches(&chat).await["delivered"], marks, "who answers has what stood above the answer");
    server.signal("TERM").await;
    server.ended().await;
    server.start_again().await;
    let hello = server.join(token).await.hello;
    assert_eq!(hello["conversations"][0]["delivered"], marks, "kept over a restart");
    assert_eq!(hello["conversations"][0]["read"], json!({"visitor": 1, "agent": said}), "and nobody read it yet");
}

#[tokio::test]
async fn a_mark_that_does_not_move_is_no_news() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let mut agent = server.agent("Grace").await;
    agent.watches(&chat).await;
    let said = agent.says(&chat, "Good day").await;
    visitor.ask(delivered(&chat, 1)).await;
    visitor.ask(delivered(&chat, 999)).await;
    for seq in [said, 1, 999] {
        visitor.ask(delivered(&chat, seq)).await;
    }
    let marks: Vec<u64> = told(&mut agent).await.iter().map(|mark| mark["seq"].as_u64().unwrap()).collect();
    assert_eq!(marks, [said], "at the end of the thread, once");
    let said = agent.says(&chat, "Are you there?").await;
    visitor.ask(json!({"type": "read", "conversation": chat, "seq": said})).await;
    visitor.ask(delivered(&chat, said)).await;
    assert_eq!(told(&mut agent).await, Vec::<Value>::new(), "what was read has arrived");
    assert_eq!(agent.watches(&chat).await["delivered"]["visitor"], said);
}

#[tokio::test]
async fn it_counts_from_every_device_that_answers_and_from_no_other() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let account = server.hire_as(&server.project, "Vera", "viewer", &[]).await;
    let mut viewer = server.join(&account.token).await;
    viewer.watches(&chat).await;
    viewer.ask(delivered(&chat, 1)).await;
    assert_eq!(told(&mut visitor).await, Vec::<Value>::new(), "who may not answer has not got it for the team");
    let mut stranger = server.visitor().await;
    assert_eq!(stranger.refusal(delivered(&chat, 1)).await, "not_found");
    let other = server.create_project("Elsewhere", "https://else.example").await;
    let mut elsewhere = server.join(&server.hire_as(&other, "Eve", "agent", &[]).await.token).await;
    assert_eq!(elsewhere.refusal(delivered(&chat, 1)).await, "not_found");
    // It has the inbox open, and does not watch.
    let mut agent = server.agent("Grace").await;
    agent.ask(delivered(&chat, 1)).await;
    assert_eq!(visitor.hears("delivered").await["seq"], 1);
}
