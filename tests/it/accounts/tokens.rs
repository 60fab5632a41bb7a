//! Session tokens: renewed, run out, forged, and signed by keys that change.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::{Server, fresh, until};

pub(super) fn claims_of(token: &str) -> (Value, Value) {
    let part = |at: usize| {
        let text = token.split('.').nth(at).unwrap();
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    };
    (part(0), part(1))
}

#[tokio::test]
async fn a_token_that_runs_out_is_warned_of_and_closes_with_its_own_code() {
    let server = Server::start().await;
    let token = server.visitor_token(&server.project, "5s").await;
    let mut visitor = server.join(&token).await;
    let chat = visitor.rings("Hello").await;
    let warning = visitor.hears("token_expiring").await;
    let in_ms = warning["in_ms"].as_i64().unwrap();
    assert!((1..=5_000).contains(&in_ms), "{in_ms}");
    visitor.says(&chat, "still here").await;
    assert_eq!(visitor.closed().await, 4004);
    let mut late = server.socket().await;
    assert_eq!(late.refusal(json!({"type": "connect", "token": token})).await, "unauthorized");
    assert_eq!(late.closed().await, 4004, "it gets a new token and comes back");
    let mut agent = server.agent("Grace").await;
    let said = agent.history(&chat, "thread").await;
    assert_eq!(said.iter().filter(|entry| entry["event"] == "message").count(), 2);
}

#[tokio::test]
async fn a_renewed_token_keeps_the_session() {
    let server = Server::start().await;
    let first = server.session(&server.project).await;
    let short = server.visitor_token(&server.project, "5s").await;
    let mut other = server.join(&short).await;
    let mut visitor = server.join(first["token"].as_str().unwrap()).await;
    let again = json!({"project": server.project.public_key, "resume": first["resume"]});
    let second = server.ask_session(&again).await.json();
    let renewed = visitor.ask(json!({"type": "refresh", "token": second["token"]})).await;
    assert!(renewed["token_ttl_ms"].as_i64().unwrap() > 800_000);
    for (token, code) in [
        (first["resume"].as_str().unwrap(), "unauthorized"),
        ("made.up.token", "unauthorized"),
        (short.as_str(), "forbidden"),
    ] {
        assert_eq!(visitor.refusal(json!({"type": "refresh", "token": token})).await, code, "{token}");
    }
    assert_eq!(other.closed().await, 4004);
    assert_eq!(visitor.refusal(json!({"type": "refresh", "token": short})).await, "unauthorized", "run out");
    visitor.rings("Hello").await;
}

#[tokio::test]
async fn a_renewed_token_puts_the_end_off() {
    let server = Server::start().await;
    let account = server.hire("Grace").await;
    // Ends with a second, so that "5s" are four at least: time to come in twice on a busy machine.
    let short = server.agent_token(&server.project, &account.id, "5s").await;
    let (mut renewing, mut other) = tokio::join!(server.join(&short), server.join(&short));
    renewing.ask(json!({"type": "refresh", "token": account.token})).await;
    assert_eq!(other.closed().await, 4004);
    renewing.ask(json!({"type": "inbox"})).await;
}

#[tokio::test]
async fn forged_tokens_open_nothing() {
    let server = Server::start().await;
    let other = Server::start().await;
    let token = server.session(&server.project).await["token"].as_str().unwrap().to_owned();
    let (header, mut claims) = claims_of(&token);
    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signature = token.split('.').nth(2).unwrap();
    claims["kind"] = "agent".into();
    let mut none = header.clone();
    none["alg"] = "none".into();
    let foreign = other.session(&other.project).await;
    for (why, forged) in [
        ("of another server", foreign["token"].as_str().unwrap().to_owned()),
        ("other claims", format!("{}.{}.{signature}", encode(&header), encode(&claims))),
        ("not signed", format!("{}.{}.", encode(&none), encode(&claims))),
        ("no token", fresh()),
        ("empty", String::new()),
    ] {
        let mut socket = server.socket().await;
        assert_eq!(socket.refusal(json!({"type": "connect", "token": forged})).await, "unauthorized", "{why}");
        assert_eq!(socket.closed().await, 4501, "{why}");
    }
}

#[tokio::test]
async fn a_new_signing_key_honours_what_the_old_one_signed() {
    let server = Server::start().await;
    let old = server.session(&server.project).await;
    let kid = claims_of(old["token"].as_str().unwrap()).0["kid"].clone();
    server.cli(["keys", "rotate"]).await.text();
    let new = until("the new key signs", || async {
        let session = server.session(&server.project).await;
        (claims_of(session["token"].as_str().unwrap()).0["kid"] != kid).then_some(session)
    })
    .await;
    server.join(old["token"].as_str().unwrap()).await;
    server.join(new["token"].as_str().unwrap()).await;
    let again = json!({"project": server.project.public_key, "resume": old["resume"]});
    assert_eq!(server.ask_session(&again).await.with_status(201).json()["visitor"]["id"], old["visitor"]["id"]);
    let keys = server.cli(["keys", "list", "--json"]).await.json();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
    assert!(!keys.to_string().contains("secret"), "{keys}");
}

#[tokio::test]
async fn a_token_says_for_whom_and_how_long_and_stands_in_no_log() {
    let server = Server::start().await;
    let token = server.session(&server.project).await["token"].as_str().unwrap().to_owned();
    let (header, claims) = claims_of(&token);
    assert_eq!((&header["alg"], &claims["aud"]), (&json!("HS256"), &json!("deskbell")));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
    for claim in ["jti", "sid", "sub", "project", "kind"] {
        assert!(claims[claim].is_string(), "{claim} in {claims}");
    }
    let mut visitor = server.join(&token).await;
    visitor.rings("a secret of mine").await;
    let log = server.output();
    assert!(!log.contains(&token) && !log.contains("a secret of mine"), "{log}");
}
