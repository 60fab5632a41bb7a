//! `POST /v1/sessions`: anonymous visitors, and the same one again.

use serde_json::{Value, json};

use crate::support::{Request, SHOP, Server};

#[tokio::test]
async fn a_session_is_all_that_a_page_needs() {
    let server = Server::start().await;
    let session = server.session(&server.project).await;
    assert_eq!(session["project"]["id"], server.project.id);
    assert_eq!((&session["project"]["name"], &session["project"]["online"]), (&json!("Shop"), &json!(false)));
    assert_eq!((&session["visitor"]["identified"], session["visitor"].get("name")), (&json!(false), None));
    assert!(session["expires_at"].as_i64().unwrap() > 1_700_000_000_000);
    let visitor = server.join(session["token"].as_str().unwrap()).await;
    assert_eq!(visitor.hello["subject"], session["visitor"]["id"]);
}

#[tokio::test]
async fn a_resume_token_brings_the_same_visitor_back() {
    let server = Server::start().await;
    let first = server.session(&server.project).await;
    let mut visitor = server.join(first["token"].as_str().unwrap()).await;
    let chat = visitor.rings("Hello").await;
    let asked = json!({"project": server.project.public_key, "resume": first["resume"]});
    let again = server.ask_session(&asked).await.with_status(201).json();
    assert_eq!(again["visitor"]["id"], first["visitor"]["id"]);
    let back = server.join(again["token"].as_str().unwrap()).await;
    assert_eq!(back.hello["conversations"][0]["conversation"], chat);
    assert_ne!(back.hello["session"], visitor.hello["session"], "another session of the same visitor");
}

#[tokio::test]
async fn a_resume_token_opens_no_socket_and_a_session_token_resumes_nothing() {
    let server = Server::start().await;
    let session = server.session(&server.project).await;
    let mut socket = server.socket().await;
    let connect = json!({"type": "connect", "token": session["resume"]});
    assert_eq!(socket.refusal(connect).await, "unauthorized");
    assert_eq!(socket.closed().await, 4501);
    let asked = json!({"project": server.project.public_key, "resume": session["token"]});
    assert_eq!(server.ask_session(&asked).await.with_status(401).problem(), "unauthorized");
}

#[tokio::test]
async fn what_is_no_good_is_a_problem_document() {
    let server = Server::start().await;
    let other = server.create_project("Other", "https://other.example").await;
    let foreign = server.session(&other).await;
    let key = &server.project.public_key;
    for (asked, status, code) in [
        (json!({"project": "nothing"}), 404, "not_found"),
        (json!({"project": key, "resume": "x.y.z"}), 401, "unauthorized"),
        (json!({"project": key, "resume": foreign["resume"]}), 401, "unauthorized"),
        (json!({"project": key, "identity": "x.y.z"}), 401, "unauthorized"),
        (json!({"project": key, "admin": true}), 400, "bad_request"),
        (json!({}), 400, "bad_request"),
        (json!({"project": 7}), 400, "bad_request"),
        (json!({"project": "x".repeat(20_000)}), 413, "too_large"),
    ] {
        let answer = server.ask_session(&asked).await;
        assert_eq!((answer.status, answer.problem().as_str()), (status, code), "{:.80}", asked.to_string());
    }
    let no_json = Request::new("POST", "/v1/sessions").header("Origin", SHOP).send(server.address).await;
    assert_eq!(no_json.with_status(415).problem(), "bad_request");
    assert_eq!(Request::get("/v1/sessions").send(server.address).await.with_status(405).problem(), "bad_request");
}

#[tokio::test]
async fn who_only_looks_leaves_no_trace() {
    let server = Server::start().await;
    let visitor = server.visitor().await;
    let mut agent = server.agent("Grace").await;
    let page = agent.ask(json!({"type": "inbox", "filter": {"status": "any"}})).await;
    assert_eq!((&page["heads"], visitor.hello.get("name")), (&json!([]), None::<&Value>));
}
