//! A signing key that was stolen: forgotten, and nothing that it signed is worth anything.

use serde_json::json;

use crate::support::{Server, until};

use super::tokens::claims_of;

#[tokio::test]
async fn what_a_forgotten_key_signed_is_refused_at_once() {
    let server = Server::start().await;
    let session = server.session(&server.project).await;
    let token = session["token"].as_str().unwrap();
    let kid = claims_of(token).0["kid"].as_str().unwrap().to_owned();
    let mut visitor = server.join(token).await;
    let account = server.hire("Grace").await;
    let cookie = server.sign_in(&account).await;
    let mut agent = server.join(&account.token).await;

    let begun = std::time::Instant::now();
    server.cli(["keys", "forget", &kid]).await.text();
    assert_eq!((visitor.closed().await, agent.closed().await), (4004, 4004), "they get a new token and come back");
    assert!(begun.elapsed().as_secs() < 3, "{:?}", begun.elapsed());

    for stolen in [token, account.token.as_str()] {
        let mut socket = server.socket().await;
        assert_eq!(socket.refusal(json!({"type": "connect", "token": stolen})).await, "unauthorized");
        assert_eq!(socket.closed().await, 4501);
    }
    let again = json!({"project": server.project.public_key, "resume": session["resume"]});
    assert_eq!(server.ask_session(&again).await.with_status(401).problem(), "unauthorized");

    let fresh = server.session(&server.project).await;
    assert_ne!(claims_of(fresh["token"].as_str().unwrap()).0["kid"], kid, "another key signs");
    server.join(fresh["token"].as_str().unwrap()).await.rings("Hello").await;
    let asked = crate::support::Request::new("POST", "/v1/agents/token").header("Cookie", &cookie);
    let given = asked.send(server.address).await.with_status(200).json();
    server.join(given["token"].as_str().unwrap()).await;
    let keys = server.cli(["keys", "list", "--json"]).await.json();
    assert!(!keys.to_string().contains(&kid), "{keys}");
}

#[tokio::test]
async fn a_retired_key_can_be_forgotten_and_what_the_new_one_signed_stays() {
    let server = Server::start().await;
    let old = server.session(&server.project).await;
    let kid = claims_of(old["token"].as_str().unwrap()).0["kid"].as_str().unwrap().to_owned();
    let rotated = server.cli(["keys", "rotate"]).await.errors();
    assert!(rotated.contains("keys forget"), "{rotated}");
    let new = until("the new key signs", || async {
        let session = server.session(&server.project).await;
        (claims_of(session["token"].as_str().unwrap()).0["kid"] != kid).then_some(session)
    })
    .await;
    let mut stays = server.join(new["token"].as_str().unwrap()).await;
    let mut goes = server.join(old["token"].as_str().unwrap()).await;
    server.cli(["keys", "forget", &kid]).await.text();
    assert_eq!(goes.closed().await, 4004);
    stays.rings("still here").await;
    let unknown = server.cli(["keys", "forget", &kid]).await;
    assert_eq!(unknown.code(), Some(1));
    assert!(unknown.errors().contains("keys list"), "{}", unknown.errors());
}
