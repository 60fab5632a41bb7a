//! What the command line tells a running server, when something is in the way.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Client, Request, Server, Setup, Stream, until, within};

use super::tokens::claims_of;

/// Within this time a revocation must have ended an agent's sessions.
const SHUT_OUT_WITHIN: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_word_that_can_not_be_read_keeps_back_none_after_it() {
    let server = Server::start().await;
    let account = server.hire("Grace").await;
    let mut agent = server.join(&account.token).await;
    server
        .sql(
            "INSERT INTO control (n, kind, project, subject, at_ms) \
             SELECT MAX(n) + 1, 'project', 'no project at all', 'x', 0 FROM control",
        )
        .await;
    server.cli(["agent", "disable", "--agent", &account.id]).await.text();
    assert_eq!(agent.closed().await, 4501);
}

/// A key that is too short can't be taken up, and the word of it is tried again; meanwhile others are heard.
#[tokio::test]
async fn a_word_that_fails_is_tried_again_and_keeps_back_none_after_it() {
    let server = Server::start().await;
    let account = server.hire("Grace").await;
    let mut agent = server.join(&account.token).await;
    let kid = claims_of(&account.token).0["kid"].clone();
    server
        .sql(
            "INSERT INTO signing_keys (kid, secret, created_ms, retired_ms) VALUES ('short', 'short', 0, 0); \
             INSERT INTO control (n, kind, project, subject, at_ms) SELECT MAX(n) + 1, 'keys', NULL, '', 0 FROM control; \
             INSERT INTO control (n, kind, project, subject, at_ms) \
             SELECT MAX(n) + 1, 'agent', (SELECT project FROM agents), (SELECT id FROM agents), \
             (SELECT MAX(at_ms) FROM control) FROM control",
        )
        .await;
    assert_eq!(agent.closed().await, 4501);
    // No word tells of this: the one that failed is tried until it succeeds.
    server
        .sql(
            "DELETE FROM signing_keys WHERE kid = 'short'; \
             INSERT INTO signing_keys (kid, secret, created_ms, retired_ms) \
             SELECT 'another', secret, created_ms + 1, NULL FROM signing_keys",
        )
        .await;
    until("the new key signs", || async {
        let session = server.session(&server.project).await;
        (claims_of(session["token"].as_str().unwrap()).0["kid"] != kid).then_some(())
    })
    .await;
}

/// What can't be read must not keep alive what was taken away.
#[tokio::test]
async fn a_key_is_forgotten_even_where_the_others_can_not_be_read() {
    let server = Server::start().await;
    let token = server.session(&server.project).await["token"].as_str().unwrap().to_owned();
    let mut visitor = server.join(&token).await;
    server
        .sql(
            "INSERT INTO control (n, kind, project, subject, at_ms) \
             SELECT MAX(n) + 1, 'key_forgotten', NULL, (SELECT kid FROM signing_keys), 0 FROM control; \
             INSERT INTO signing_keys (kid, secret, created_ms, retired_ms) VALUES ('short', 'short', 0, 0)",
        )
        .await;
    assert_eq!(visitor.closed().await, 4004);
    let mut socket = server.socket().await;
    assert_eq!(socket.refusal(json!({"type": "connect", "token": token})).await, "unauthorized");
}

/// An agent whose machine sleeps: what it is sent stays in the system's buffers, then in the server's.
async fn asleep(server: &Server, token: &str, chat: &str) -> Client {
    let stream = Stream::dial_narrow(server.address).await.unwrap();
    let mut agent = Client::over(stream, server.address, None).await.unwrap();
    agent.connect(token, json!([])).await;
    agent.watches(chat).await;
    agent
}

#[tokio::test]
async fn who_is_shut_out_is_cut_off_even_while_it_does_not_read() {
    let mut setup = Setup::new();
    setup.limit("writes_per_second", 100_000).limit("write_burst", 100_000).limit("write_timeout_ms", 120_000);
    setup.limit("outbox_frames", 65_536).limit("outbox_agent_bytes", 67_108_864);
    let server = setup.start().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let account = server.hire("Grace").await;
    let _agent = asleep(&server, &account.token, &chat).await;
    // It is measured every five seconds.
    let waiting = || async {
        let all = Request::get("/metrics").send(server.admin).await.body;
        let bytes = all.lines().find_map(|line| line.strip_prefix("deskbell_outbox_bytes ")?.parse::<f64>().ok());
        bytes.unwrap_or(0.0)
    };
    within("a write to the agent is stuck", async {
        while waiting().await < 100_000.0 {
            for _ in 0..50 {
                visitor.says(&chat, &"x".repeat(8_000)).await;
            }
        }
    })
    .await;
    assert!(server.metric("deskbell_sessions{kind=\"agent\"}").await > 0.0);
    server.cli(["agent", "disable", "--agent", &account.id]).await.text();
    let begun = Instant::now();
    let ended = "deskbell_closes_total{reason=\"unauthorized\"}";
    until("the session is cut", || async { (server.metric(ended).await > 0.0).then_some(()) }).await;
    assert!(begun.elapsed() < SHUT_OUT_WITHIN, "{:?}", begun.elapsed());
    assert!(server.metric("deskbell_sessions{kind=\"agent\"}").await < 1.0);
}
