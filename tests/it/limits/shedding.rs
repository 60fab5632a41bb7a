//! A node that is near what it can bear: new visitors wait outside, and who is in conversation notices nothing.

use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

use crate::support::{Server, Setup, fresh, message, open_database, sqlite, until};

const SHEDDING: &str = "deskbell_shedding";

async fn reaches(server: &Server, step: f64) {
    let what = format!("{SHEDDING} is {step}");
    until(what, || async { ((server.metric(SHEDDING).await - step).abs() < 0.1).then_some(()) }).await;
}

/// A new visitor is refused with a time to come again; who came before, and who has a conversation elsewhere, comes in.
async fn refuses_only_new_visitors(server: &Server, resume: &str) {
    let asked = json!({"project": server.project.public_key});
    let refused = server.ask_session(&asked).await.with_status(503);
    assert_eq!(refused.header("retry-after"), Some("10"));
    assert_eq!((&refused.json()["code"], &refused.json()["retry_after_s"]), (&json!("unavailable"), &json!(10)));
    server.ask_session(&json!({"project": server.project.public_key, "resume": resume})).await.with_status(201);
}

#[tokio::test]
async fn too_many_open_files_keep_new_visitors_out_and_nobody_else() {
    let mut setup = Setup::new();
    setup.limit("shed_open_files", 30);
    let server = setup.start().await;
    let session = server.session(&server.project).await;
    let mut visitor = server.join(session["token"].as_str().unwrap()).await;
    let chat = visitor.rings("Hello").await;
    let mut agent = server.agent("Grace").await;
    let mut crowd = Vec::new();
    for _ in 0..30 {
        crowd.push(server.socket().await);
    }
    reaches(&server, 2.0).await;
    refuses_only_new_visitors(&server, session["resume"].as_str().unwrap()).await;
    server.has_refused("shed_open_files").await;
    visitor.says(&chat, "Are you there?").await;
    agent.watches(&chat).await;
    agent.says(&chat, "Yes").await;
    drop(crowd);
    reaches(&server, 0.0).await;
    server.session(&server.project).await;
}

#[tokio::test]
async fn memory_that_runs_short_keeps_new_visitors_out() {
    let mut setup = Setup::new();
    setup.limit("shed_memory_bytes", 1_048_576);
    let server = setup.start().await;
    let token = server.visitor_token(&server.project, "15m").await;
    let mut visitor = server.join(&token).await;
    reaches(&server, 2.0).await;
    let refused = server.ask_session(&json!({"project": server.project.public_key})).await.with_status(503);
    assert!(refused.body.contains("no room for new visitors"), "{}", refused.body);
    server.has_refused("shed_memory_bytes").await;
    // Nobody is here to answer: it waits in line, and is told its place in the answer, but no news of it.
    visitor.rings("Hello").await;
}

/// By what the server's site vouches for a visitor.
fn identity(server: &Server, subject: &str) -> String {
    let claims = json!({"sub": subject, "exp": deskbell::clock::Clock::system().now() / 1_000 + 600});
    let secret = EncodingKey::from_secret(server.project.identity_secret.as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &secret).unwrap()
}

/// A visitor for whom its site vouches has a conversation on another device.
#[tokio::test]
async fn who_is_known_by_its_site_comes_to_its_conversation() {
    let mut setup = Setup::new();
    setup.limit("shed_open_files", 12);
    let server = setup.start().await;
    let known = json!({"project": server.project.public_key, "identity": identity(&server, "ada")});
    let session = server.ask_session(&known).await.with_status(201).json();
    let mut ada = server.join(session["token"].as_str().unwrap()).await;
    ada.rings("Hello").await;
    let mut crowd = Vec::new();
    for _ in 0..12 {
        crowd.push(server.socket().await);
    }
    reaches(&server, 2.0).await;
    server.ask_session(&known).await.with_status(201);
    let stranger = json!({"project": server.project.public_key, "identity": identity(&server, "eve")});
    server.ask_session(&stranger).await.with_status(503);
}

/// Somebody else holds the file's lock: what is to be written waits.
#[tokio::test]
async fn a_log_that_writes_slowly_keeps_new_visitors_out_and_loses_nothing() {
    let mut setup = Setup::new();
    setup.text("database.url", "sqlite").limit("shed_commit_ms", 300);
    let server = setup.start().await;
    let session = server.session(&server.project).await;
    let mut visitor = server.join(session["token"].as_str().unwrap()).await;
    let chat = visitor.rings("Hello").await;
    let mut lock = open_database(&sqlite(&server.path().join("data"))).await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut lock).await.unwrap();
    let said = visitor.say(message(&chat, &fresh())).await;
    reaches(&server, 2.0).await;
    refuses_only_new_visitors(&server, session["resume"].as_str().unwrap()).await;
    server.has_refused("shed_commit_ms").await;
    sqlx::raw_sql("ROLLBACK").execute(&mut lock).await.unwrap();
    assert_eq!(visitor.answer(said).await["type"], "ok");
    reaches(&server, 0.0).await;
}

/// Places in line go first: they are told in answers, and not each time that they change.
#[tokio::test]
async fn places_in_line_are_left_out_first() {
    let mut setup = Setup::new();
    setup.limit("shed_open_files", 20);
    let server = setup.start().await;
    let mut first = server.visitor().await;
    let chat = first.rings("Hello").await;
    let mut second = server.visitor().await;
    second.rings("Me too").await;
    let mut crowd = Vec::new();
    while crowd.len() < 15 {
        crowd.push(server.socket().await);
    }
    reaches(&server, 1.0).await;
    server.session(&server.project).await;
    second.heard().await;
    first.closes(&chat).await;
    server.has_refused("shed_open_files").await;
    assert!(second.heard().await.iter().all(|frame| frame["type"] != "queue"));
}
