//! Visitors who are shut out: at once, everywhere, until they are let in again.

use serde_json::{Value, json};

use crate::support::{Answer, Client, Server, Setup, message, until};

fn ban(chat: &str, on: bool) -> Value {
    json!({"type": "ban", "conversation": chat, "on": on})
}

/// What the visitor of `session` gets when its page asks for another.
async fn asks_again(server: &Server, session: &Value) -> Answer {
    let asked = json!({"project": server.project.public_key, "resume": session["resume"]});
    server.ask_session(&asked).await
}

async fn is_shut_out(server: &Server, session: &Value) {
    let problem = asks_again(server, session).await.with_status(403).json();
    assert_eq!(problem["code"], "banned", "{problem}");
    let mut socket = server.socket().await;
    socket.tell(&json!({"type": "connect", "id": 1, "token": session["token"]})).await;
    assert_eq!(socket.closed().await, 4503, "a token that still holds opens nothing");
}

async fn rings(server: &Server) -> (Value, Client, String) {
    let session = server.session(&server.project).await;
    let mut visitor = server.join(session["token"].as_str().unwrap()).await;
    let chat = visitor.rings("Hello").await;
    (session, visitor, chat)
}

#[tokio::test]
async fn an_agent_shuts_a_visitor_out_at_once_and_colleagues_see_who_did() {
    let server = Server::start().await;
    let (session, mut visitor, chat) = rings(&server).await;
    let mut tab = server.join(session["token"].as_str().unwrap()).await;
    let mut bystander = server.visitor().await;
    let (mut grace, mut alan) = (server.agent("Grace").await, server.agent("Alan").await);
    assert_eq!(alan.watches(&chat).await["visitor"]["banned"], false);
    grace.ask(ban(&chat, true)).await;
    assert_eq!((visitor.closed().await, tab.closed().await), (4503, 4503));
    let entry = alan.hears_event("banned").await;
    assert_eq!((&entry["lane"], &entry["from"]["name"]), (&json!("desk"), &json!("Grace")));
    is_shut_out(&server, &session).await;
    let mut vera = server.agent("Vera").await;
    assert_eq!(vera.watches(&chat).await["visitor"]["banned"], true);
    grace.ask(ban(&chat, true)).await;
    bystander.rings("others go on").await;
    grace.says(&chat, "and agents, too").await;
    grace.ask(ban(&chat, false)).await;
    let again = asks_again(&server, &session).await.with_status(201).json();
    assert_eq!(again["visitor"]["id"], session["visitor"]["id"]);
    let mut visitor = server.join(again["token"].as_str().unwrap()).await;
    visitor.says(&chat, "I am back").await;
    let desk = grace.history(&chat, "desk").await;
    let bans: Vec<_> = desk.iter().filter_map(|entry| entry["event"].as_str()?.strip_suffix("banned")).collect();
    assert_eq!(bans, ["", "un"], "what is so already is not written again");
    let thread = grace.history(&chat, "thread").await;
    assert!(!Value::from(thread).to_string().contains("banned"), "the visitor's lane says nothing of it");
}

/// From now on, nobody is shut out or let in.
const STUCK: &str = "CREATE TRIGGER stuck BEFORE UPDATE OF banned_ms ON visitors \
    BEGIN SELECT RAISE(ABORT, 'a disk that breaks half way'); END";

async fn desk_says(grace: &mut Client, chat: &str) -> Vec<String> {
    let entries = grace.history(chat, "desk").await;
    entries
        .iter()
        .filter_map(|entry| entry["event"].as_str())
        .filter(|event| event.ends_with("banned"))
        .map(str::to_owned)
        .collect()
}

/// Who reads that the visitor is let in counts on it, and who reads that it is shut out learns who did that, whatever follows.
#[tokio::test]
async fn it_is_said_first_that_somebody_is_shut_out_and_last_that_it_is_let_in() {
    let mut setup = Setup::new();
    setup.text("database.url", "sqlite");
    let server = setup.start().await;
    let (session, _visitor, chat) = rings(&server).await;
    let mut grace = server.agent("Grace").await;
    grace.watches(&chat).await;
    server.sql(STUCK).await;
    assert_eq!(grace.refusal(ban(&chat, true)).await, "unavailable");
    assert_eq!(desk_says(&mut grace, &chat).await, ["banned"], "it is known who wanted it");
    server.sql("DROP TRIGGER stuck").await;
    grace.ask(ban(&chat, true)).await;
    is_shut_out(&server, &session).await;
    let before = desk_says(&mut grace, &chat).await;
    server.sql(STUCK).await;
    assert_eq!(grace.refusal(ban(&chat, false)).await, "unavailable");
    assert_eq!(desk_says(&mut grace, &chat).await, before, "nobody is let in, and nobody says so");
    is_shut_out(&server, &session).await;
    server.sql("DROP TRIGGER stuck").await;
    grace.ask(ban(&chat, false)).await;
    assert_eq!(desk_says(&mut grace, &chat).await.last().map(String::as_str), Some("unbanned"));
    asks_again(&server, &session).await.with_status(201);
}

#[tokio::test]
async fn a_ban_outlives_a_restart() {
    let mut server = Server::start().await;
    let (session, _visitor, chat) = rings(&server).await;
    server.agent("Grace").await.ask(ban(&chat, true)).await;
    server.kill().await;
    server.start_again().await;
    is_shut_out(&server, &session).await;
}

#[tokio::test]
async fn who_may_ban() {
    let server = Server::start().await;
    let (_, mut visitor, chat) = rings(&server).await;
    let vera = server.hire_as(&server.project, "Vera", "viewer", &[]).await;
    let mut vera = server.join(&vera.token).await;
    for client in [&mut visitor, &mut vera] {
        assert_eq!(client.refusal(ban(&chat, true)).await, "forbidden");
    }
    let other = server.create_project("Other", "https://other.example").await;
    let stranger = server.hire_as(&other, "Eve", "owner", &[]).await;
    assert_eq!(server.join(&stranger.token).await.refusal(ban(&chat, true)).await, "not_found");
    visitor.ask(message(&chat, "still here")).await;
}

#[tokio::test]
async fn the_command_line_reaches_a_running_server() {
    let server = Server::start().await;
    let (session, mut visitor, _chat) = rings(&server).await;
    let (project, id) = (server.project.id.as_str(), session["visitor"]["id"].as_str().unwrap());
    let told = server.cli(["visitor", "ban", "--project", project, id, "--json"]).await.json();
    assert_eq!(told, json!({"visitor": id, "banned": true}));
    assert_eq!(visitor.closed().await, 4503);
    is_shut_out(&server, &session).await;
    server.cli(["visitor", "unban", "--project", project, id]).await.text();
    until("it is let in again", || async { (asks_again(&server, &session).await.status == 201).then_some(()) }).await;
    let nobody = server.cli(["visitor", "ban", "--project", project, &uuid::Uuid::new_v4().to_string()]).await;
    assert_eq!(nobody.code(), Some(1));
    assert!(nobody.errors().contains("no such visitor"), "{}", nobody.errors());
}
