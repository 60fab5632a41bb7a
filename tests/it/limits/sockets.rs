//! How many sockets there may be, and how long one may keep quiet.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, Request, Server, Setup, until};

/// The answer to one more handshake from this machine.
async fn one_more(server: &Server) -> crate::support::Answer {
    Request::handshake().header("Sec-WebSocket-Protocol", "deskbell.v1").head(server.address).await
}

async fn code_of_one_more(server: &Server, token: &str) -> u16 {
    let mut client = server.socket().await;
    client.tell(&json!({"type": "connect", "id": 1, "token": token})).await;
    client.closed().await
}

#[tokio::test]
async fn a_visitor_holds_so_many_sockets() {
    let mut setup = Setup::new();
    setup.limit("sockets_per_visitor", 2);
    let server = setup.start().await;
    let token = server.session(&server.project).await["token"].as_str().unwrap().to_owned();
    let (one, _other) = (server.join(&token).await, server.join(&token).await);
    assert_eq!(code_of_one_more(&server, &token).await, 4504);
    server.visitor().await;
    one.leave().await;
    until("there is room again", || async { can_join(&server, &token).await.then_some(()) }).await;
    server.has_refused("sockets_per_visitor").await;
}

async fn can_join(server: &Server, token: &str) -> bool {
    let mut client = server.socket().await;
    client.try_ask(json!({"type": "connect", "token": token})).await.is_ok()
}

#[tokio::test]
async fn an_agent_holds_so_many_sockets() {
    let mut setup = Setup::new();
    setup.limit("sockets_per_agent", 2);
    let server = setup.start().await;
    let account = server.hire("Grace").await;
    let _sockets = (server.join(&account.token).await, server.join(&account.token).await);
    assert_eq!(code_of_one_more(&server, &account.token).await, 4504);
    server.has_refused("sockets_per_agent").await;
}

#[tokio::test]
async fn a_project_holds_so_many_sockets() {
    let mut setup = Setup::new();
    setup.limit("sockets_per_project", 2);
    let server = setup.start().await;
    let _sockets = (server.visitor().await, server.visitor().await);
    let token = server.session(&server.project).await["token"].as_str().unwrap().to_owned();
    assert_eq!(code_of_one_more(&server, &token).await, 4006);
    server.has_refused("sockets_per_project").await;
}

#[tokio::test]
async fn an_address_holds_so_many_sockets() {
    let mut setup = Setup::new();
    setup.set("limits.exempt", "[]").limit("sockets_per_address", 3).limit("handshake_burst", 1_000);
    let server = setup.start().await;
    let sockets = [server.socket().await, server.socket().await, server.visitor().await];
    let refused = one_more(&server).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("10")));
    server.has_refused("sockets_per_address").await;
    drop(sockets);
    until("there is room again", || async { (one_more(&server).await.status == 101).then_some(()) }).await;
}

#[tokio::test]
async fn a_node_holds_so_many_sockets() {
    let mut setup = Setup::new();
    setup.limit("sockets_per_node", 2);
    let server = setup.start().await;
    let _sockets = [server.socket().await, server.socket().await];
    let refused = one_more(&server).await;
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some());
    server.has_refused("sockets_per_node").await;
}

#[tokio::test]
async fn an_address_comes_in_bursts_and_then_slowly() {
    let mut setup = Setup::new();
    setup.set("limits.exempt", "[]").limit("handshake_burst", 3).limit("handshakes_per_second", 1);
    let server = setup.start().await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(one_more(&server).await.status);
    }
    assert_eq!(statuses[..3], [101, 101, 101]);
    assert!(statuses[3..].contains(&503), "{statuses:?}");
    let asked = json!({"project": server.project.public_key});
    let mut sessions = Vec::new();
    for _ in 0..5 {
        let answer = server.ask_session(&asked).await;
        if answer.status == 429 {
            assert_eq!((answer.problem().as_str(), answer.header("retry-after")), ("rate_limited", Some("1")));
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "the widget reads when to try again");
        }
        sessions.push(answer.status);
    }
    assert!(sessions.contains(&201) && sessions.contains(&429), "{sessions:?}");
    server.has_refused("handshakes_per_second").await;
}

#[tokio::test]
async fn a_socket_that_does_not_connect_is_closed() {
    let mut setup = Setup::new();
    setup.limit("connect_timeout_ms", 300);
    let server = setup.start().await;
    let mut silent = server.socket().await;
    assert_eq!(silent.closed().await, 4502);
    server.has_refused("connect_timeout_ms").await;
    let visitor = server.visitor().await;
    let mut other = server.socket().await;
    assert_eq!(other.closed().await, 4502);
    let mut visitor = visitor;
    visitor.rings("who connected in time stays").await;
}

#[tokio::test]
async fn the_first_frame_is_connect_or_the_last() {
    let server = Server::start().await;
    for (frame, code) in [
        (json!({"type": "open", "id": 1, "key": "k", "body": {"text": "x"}}).to_string(), 4502),
        (json!({"type": "pong"}).to_string(), 4502),
        (json!({"type": "dance"}).to_string(), 4502),
        (json!({"type": "connect"}).to_string(), 4502),
        (json!({"type": "connect", "token": "x".repeat(9_000)}).to_string(), 4502),
        ("[]".to_owned(), 4500),
        ("hello".to_owned(), 4500),
    ] {
        let mut client = server.socket().await;
        client.send_frame(&frame).await;
        assert_eq!(client.closed().await, code, "{frame:.60}");
    }
    server.has_refused("connect_bytes").await;
}

async fn talker(server: &Server) -> Client {
    let mut visitor = server.visitor().await;
    visitor.rings("Hello").await;
    visitor
}

#[tokio::test]
async fn silence_is_pinged_and_an_unanswered_ping_is_the_end() {
    let mut setup = Setup::new();
    setup.limit("ping_after_ms", 200).limit("pong_within_ms", 500);
    let server = setup.start().await;
    let mut dead = talker(&server).await;
    let mut lively = talker(&server).await;
    for _ in 0..5 {
        lively.hears("ping").await;
        lively.tell(&json!({"type": "pong"})).await;
    }
    assert_eq!(dead.closed().await, 4003);
    let heard = lively.heard().await;
    assert!(heard.iter().all(|frame| frame["type"] != Value::Null));
    server.has_refused("pong_within_ms").await;
}

/// Whichever of the server's parts writes: the first to be told is who watches, and says nothing itself.
#[tokio::test]
async fn who_is_told_something_all_the_time_is_not_pinged() {
    let mut setup = Setup::new();
    setup.limit("ping_after_ms", 3_000);
    let server = setup.start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let mut agent = server.agent("Grace").await;
    agent.watches(&chat).await;
    for n in 0..30 {
        visitor.says(&chat, &n.to_string()).await;
        agent.hears_event("message").await;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let pings = agent.heard().await.iter().filter(|frame| frame["type"] == "ping").count();
    assert_eq!(pings, 0);
    agent.hears("ping").await;
}

#[tokio::test]
async fn pings_of_the_websocket_protocol_are_answered() {
    let server = Server::start().await;
    let mut visitor = server.visitor().await;
    assert!(visitor.ping().await);
    visitor.pong().await;
}
