//! What an agent does in one conversation: watch, note, read, type, close.

use serde_json::{Value, json};

use crate::support::{Client, Server, entries_of, fresh, message, texts_of};

/// A visitor who rings before anybody is there, and an agent who then watches; the conversation's id.
async fn watched(server: &Server) -> (Client, Client, String) {
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let mut agent = server.agent("Grace").await;
    agent.watches(&chat).await;
    (visitor, agent, chat)
}

fn typing(chat: &str, on: bool, draft: &str) -> Value {
    json!({"type": "typing", "conversation": chat, "on": on, "text": draft})
}

#[tokio::test]
async fn what_was_said_before_and_after_watching_comes_to_the_watcher() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let mut agent = server.agent("Grace").await;
    let watched = agent.watches(&chat).await;
    assert_eq!(texts_of(watched["entries"].as_array().unwrap())[0], "Hello");
    assert_eq!((&watched["resumed"], &watched["status"]), (&json!(false), &json!("open")));
    assert_eq!(watched["viewing"][0]["name"], "Grace");
    visitor.says(&chat, "Anybody?").await;
    let entry = agent.hears_event("message").await;
    assert_eq!((&entry["body"]["text"], &entry["from"]["kind"]), (&json!("Anybody?"), &json!("visitor")));
    agent.says(&chat, "Yes").await;
    let answer = visitor.find("the answer", |frame| frame["body"]["text"] == "Yes").await;
    assert_eq!((&answer["from"]["kind"], &answer["from"]["name"]), (&json!("agent"), &json!("Grace")));
}

#[tokio::test]
async fn who_watches_no_more_hears_no_more() {
    let server = Server::start().await;
    let (mut visitor, mut agent, chat) = watched(&server).await;
    agent.ask(json!({"type": "unwatch", "conversation": chat})).await;
    visitor.says(&chat, "Anybody?").await;
    assert_eq!(entries_of(&agent.heard().await, "message").len(), 0);
    let read = json!({"type": "read", "conversation": chat, "seq": 1});
    assert_eq!(agent.refusal(read).await, "not_found", "watermarks are for those who watch");
}

#[tokio::test]
async fn the_desk_lane_never_reaches_the_visitor() {
    let server = Server::start().await;
    let (mut visitor, mut agent, chat) = watched(&server).await;
    let mut colleague = server.agent("Alan").await;
    colleague.watches(&chat).await;
    let first = agent.notes(&chat, "a difficult one").await;
    assert_eq!(agent.notes(&chat, "be kind").await, first + 1, "the lane has its own sequence");
    let note = colleague.hears_event("note").await;
    assert_eq!((&note["lane"], &note["body"]["text"]), (&json!("desk"), &json!("a difficult one")));
    let heard = visitor.heard().await;
    assert!(heard.iter().all(|frame| frame.get("lane").is_none()), "{heard:?}");
    assert!(!heard.iter().any(|frame| frame.to_string().contains("difficult")), "{heard:?}");
    let thread = visitor.history(&chat, "thread").await;
    assert!(!json!(thread).to_string().contains("difficult"));
    let reply = visitor.ask(message(&chat, "Hm")).await;
    assert_eq!(reply.get("desk_seq"), None);
}

#[tokio::test]
async fn a_note_with_a_known_key_is_written_once() {
    let server = Server::start().await;
    let (_visitor, mut agent, chat) = watched(&server).await;
    let note = json!({"type": "note", "conversation": chat, "key": fresh(), "body": {"text": "once"}});
    let first = agent.ask(note.clone()).await;
    let again = agent.ask(note).await;
    assert_eq!((&again["seq"], &again["duplicate"]), (&first["seq"], &json!(true)));
    let desk = agent.history(&chat, "desk").await;
    assert_eq!(entries_in(&desk, "note"), 1);
}

fn entries_in(entries: &[Value], event: &str) -> usize {
    entries.iter().filter(|entry| entry["event"] == event).count()
}

#[tokio::test]
async fn how_far_each_side_has_read_is_told_and_kept() {
    let mut server = Server::start().await;
    let (mut visitor, mut agent, chat) = watched(&server).await;
    let said = agent.says(&chat, "Good day").await;
    agent.tell(&json!({"type": "read", "conversation": chat, "seq": said})).await;
    visitor.ask(json!({"type": "read", "conversation": chat, "seq": said})).await;
    let by_visitor = agent.find("the visitor's mark", |it| it["type"] == "read" && it["by"]["kind"] == "visitor").await;
    assert_eq!((&by_visitor["seq"], &by_visitor["by"]["id"]), (&json!(said), &visitor.hello["subject"]));
    // Backwards and beyond the end: no news.
    visitor.ask(json!({"type": "read", "conversation": chat, "seq": 1})).await;
    visitor.ask(json!({"type": "read", "conversation": chat, "seq": 999})).await;
    assert!(!agent.heard().await.iter().any(|it| it["type"] == "read" && it["seq"] != said));
    let watched = agent.watches(&chat).await;
    assert_eq!(watched["read"], json!({"visitor": said, "agent": said}));
    server.signal("TERM").await;
    server.ended().await;
    server.start_again().await;
    let mut other = server.agent("Alan").await;
    assert_eq!(other.watches(&chat).await["read"], json!({"visitor": said, "agent": said}), "kept over a restart");
}

#[tokio::test]
async fn who_types_is_told_and_only_agents_see_the_draft() {
    let server = Server::start().await;
    let (mut visitor, mut agent, chat) = watched(&server).await;
    let mut other_tab = server.visitor().await;
    visitor.ask(typing(&chat, true, "My card number is")).await;
    let seen = agent.hears("typing").await;
    assert_eq!((&seen["on"], &seen["text"]), (&json!(true), &json!("My card number is")));
    assert_eq!(seen["by"], json!({"kind": "visitor", "id": visitor.subject()}));
    agent.ask(typing(&chat, true, "Do not tell me your")).await;
    let seen = visitor.hears("typing").await;
    assert_eq!((&seen["on"], seen.get("text")), (&json!(true), None), "an agent's draft is nobody's business");
    assert_eq!(seen["by"]["kind"], "agent");
    agent.ask(typing(&chat, false, "")).await;
    assert_eq!(visitor.hears("typing").await["on"], false);
    assert!(!agent.heard().await.iter().any(|it| it["type"] == "typing"), "nobody hears itself type");
    assert_eq!(other_tab.refusal(typing(&chat, true, "x")).await, "not_found", "another visitor's conversation");
}

#[tokio::test]
async fn drafts_stay_with_the_visitor_where_the_project_says_so() {
    let server = Server::start().await;
    let project = server.project.clone();
    server.cli(["project", "set", "--project", &project.id, "--sneak-peek", "false"]).await.text();
    crate::support::until("the server takes the setting up", || async {
        (server.session(&project).await["project"]["sneak_peek"] == false).then_some(())
    })
    .await;
    let (mut visitor, mut agent, chat) = watched(&server).await;
    visitor.ask(typing(&chat, true, "My card number is")).await;
    let seen = agent.hears("typing").await;
    assert_eq!((&seen["on"], seen.get("text")), (&json!(true), None));
}

#[tokio::test]
async fn colleagues_see_who_else_looks() {
    let server = Server::start().await;
    let (_visitor, mut agent, chat) = watched(&server).await;
    agent.heard().await;
    let mut colleague = server.agent("Alan").await;
    colleague.watches(&chat).await;
    let viewing = |frame: &Value| frame["type"] == "viewing" && frame["agents"].as_array().unwrap().len() == 2;
    agent.find("both look", viewing).await;
    colleague.leave().await;
    let alone = |frame: &Value| frame["type"] == "viewing" && frame["agents"].as_array().unwrap().len() == 1;
    assert_eq!(agent.find("one looks", alone).await["agents"][0]["name"], "Grace");
}

#[tokio::test]
async fn an_agent_closes_and_a_visitors_word_opens_again() {
    let server = Server::start().await;
    let (mut visitor, mut agent, chat) = watched(&server).await;
    agent.closes(&chat).await;
    assert_eq!(visitor.hears_event("closed").await["from"]["kind"], "agent");
    let rate = json!({"type": "rate", "conversation": chat, "key": fresh(), "score": 5});
    assert_eq!(agent.refusal(rate).await, "forbidden", "agents do not rate themselves");
    visitor.says(&chat, "Wait").await;
    agent.hears_event("reopened").await;
    assert_eq!(agent.watches(&chat).await["status"], "open");
}

#[tokio::test]
async fn a_viewer_looks_and_does_not_touch() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let account = server.hire_as(&server.project, "Vera", "viewer", &[]).await;
    let mut viewer = server.join(&account.token).await;
    assert_eq!(viewer.hello["role"], "viewer");
    viewer.watches(&chat).await;
    viewer.history(&chat, "desk").await;
    viewer.ask(json!({"type": "inbox"})).await;
    for command in [
        message(&chat, "x"),
        json!({"type": "note", "conversation": chat, "key": fresh(), "body": {"text": "x"}}),
        json!({"type": "close", "conversation": chat, "key": fresh()}),
        json!({"type": "assign", "conversation": chat, "key": fresh(), "to": "me"}),
        json!({"type": "availability", "status": "online"}),
        json!({"type": "open", "key": fresh(), "body": {"text": "x"}}),
    ] {
        assert_eq!(viewer.refusal(command.clone()).await, "forbidden", "{command}");
    }
    // What it reads, the team has not read; nor does it get chats.
    viewer.ask(json!({"type": "read", "conversation": chat, "seq": 1})).await;
    viewer.ask(typing(&chat, true, "")).await;
    assert!(visitor.heard().await.iter().all(|it| it["type"] != "typing" && it["event"] != "joined"));
    assert_eq!(viewer.watches(&chat).await["read"]["agent"], 0);
}
