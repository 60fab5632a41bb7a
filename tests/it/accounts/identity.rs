//! A site vouches for its visitors, and nobody else does.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{Answer, Server, Setup, fresh, until};

/// A moment `seconds` from now, as a token says it.
fn in_seconds(seconds: i64) -> i64 {
    deskbell::clock::Clock::system().now() / 1_000 + seconds
}

fn ada() -> Value {
    json!({"sub": "customer-17", "name": "Ada", "email": "ada@example.org", "exp": in_seconds(600)})
}

fn signed(algorithm: Algorithm, secret: &[u8], claims: &Value) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret)).unwrap()
}

fn hs256(secret: &str, claims: &Value) -> String {
    signed(Algorithm::HS256, secret.as_bytes(), claims)
}

async fn vouch(server: &Server, identity: &str) -> Answer {
    server.ask_session(&json!({"project": server.project.public_key, "identity": identity})).await
}

async fn must_refuse(server: &Server, identities: &[(&str, String)]) {
    for (why, identity) in identities {
        let answer = vouch(server, identity).await;
        assert_eq!(answer.status, 401, "{why}: {answer:?}");
        assert_eq!(answer.problem(), "unauthorized", "{why}");
    }
}

#[tokio::test]
async fn a_signed_identity_names_the_visitor_everywhere_the_same() {
    let server = Server::start().await;
    let identity = hs256(&server.project.identity_secret, &ada());
    let first = vouch(&server, &identity).await.with_status(201).json();
    assert_eq!((&first["visitor"]["identified"], &first["visitor"]["name"]), (&json!(true), &json!("Ada")));
    let second = vouch(&server, &identity).await.with_status(201).json();
    assert_eq!(first["visitor"]["id"], second["visitor"]["id"], "on another device, too");
    let mut visitor = server.join(first["token"].as_str().unwrap()).await;
    assert_eq!(visitor.hello["name"], "Ada");
    let chat = visitor.rings("Hello").await;
    let card = server.agent("Grace").await.watches(&chat).await["visitor"].clone();
    assert_eq!((&card["identified"], &card["email"]), (&json!(true), &json!("ada@example.org")));
}

#[tokio::test]
async fn all_of_many_earlier_conversations_are_the_identified_visitors() {
    let mut setup = Setup::new();
    setup.limit("writes_per_second", 100_000).limit("write_burst", 100_000);
    let server = setup.start().await;
    let anonymous = server.session(&server.project).await;
    let mut visitor = server.join(anonymous["token"].as_str().unwrap()).await;
    let mut chats = Vec::new();
    for n in 0..51 {
        let chat = visitor.rings(&n.to_string()).await;
        visitor.closes(&chat).await;
        chats.push(chat);
    }
    let identity = hs256(&server.project.identity_secret, &ada());
    let asked = json!({"project": server.project.public_key, "resume": anonymous["resume"], "identity": identity});
    let session = server.ask_session(&asked).await.with_status(201).json();
    let mut ada = server.join(session["token"].as_str().unwrap()).await;
    for chat in &chats {
        assert_eq!(ada.history(chat, "thread").await.len(), 2, "{chat}");
    }
    let old = json!({"type": "history", "conversation": chats[0]});
    assert_eq!(visitor.refusal(old).await, "not_found", "who it was before has none of them");
}

#[tokio::test]
async fn who_is_shut_out_does_not_get_around_it_by_signing_in() {
    let server = Server::start().await;
    let identity = hs256(&server.project.identity_secret, &ada());
    let anonymous = server.session(&server.project).await;
    let vouched = vouch(&server, &identity).await.json();
    let mut grace = server.agent("Grace").await;
    for session in [&anonymous, &vouched] {
        let mut visitor = server.join(session["token"].as_str().unwrap()).await;
        let chat = visitor.rings("Hello").await;
        grace.ask(json!({"type": "ban", "conversation": chat, "on": true})).await;
        assert_eq!(visitor.closed().await, 4503);
    }
    let bob = hs256(&server.project.identity_secret, &json!({"sub": "customer-18", "exp": in_seconds(600)}));
    let key = &server.project.public_key;
    for asked in [
        json!({"project": key, "identity": identity}),
        json!({"project": key, "resume": vouched["resume"]}),
        json!({"project": key, "resume": anonymous["resume"], "identity": bob}),
    ] {
        assert_eq!(server.ask_session(&asked).await.with_status(403).problem(), "banned", "{asked}");
    }
    vouch(&server, &bob).await.with_status(201);
}

#[tokio::test]
async fn what_a_form_says_does_not_overrule_the_site() {
    let server = Server::start().await;
    let identity = hs256(&server.project.identity_secret, &ada());
    let session = vouch(&server, &identity).await.json();
    let mut visitor = server.join(session["token"].as_str().unwrap()).await;
    let fields = json!({"name": "The Director", "email": "director@example.org"});
    let open = json!({"type": "open", "key": fresh(), "body": {"text": "x"}, "fields": fields});
    let chat = visitor.ask(open).await["conversation"].as_str().unwrap().to_owned();
    let card = server.agent("Grace").await.watches(&chat).await["visitor"].clone();
    assert_eq!((&card["name"], &card["email"]), (&json!("Ada"), &json!("ada@example.org")));
}

#[tokio::test]
async fn forged_expired_and_endless_identities_are_refused() {
    let server = Server::start().await;
    let other = server.create_project("Other", "https://other.example").await;
    let secret = server.project.identity_secret.as_str();
    let with = |field: &str, value: Value| {
        let mut claims = ada();
        claims[field] = value;
        hs256(secret, &claims)
    };
    let mut no_exp = ada();
    no_exp.as_object_mut().unwrap().remove("exp");
    let mut no_sub = ada();
    no_sub.as_object_mut().unwrap().remove("sub");
    let good = hs256(secret, &ada());
    let parts: Vec<&str> = good.split('.').collect();
    let claims = |claims: &Value| BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
    let none = |alg: &str| BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{alg}","typ":"JWT"}}"#));
    must_refuse(
        &server,
        &[
            ("another secret", hs256("guessed", &ada())),
            ("no secret", hs256("", &ada())),
            ("another project's secret", hs256(&other.identity_secret, &ada())),
            ("expired", with("exp", json!(in_seconds(-1)))),
            ("holds for longer than a day", with("exp", json!(in_seconds(25 * 3_600)))),
            ("no end", hs256(secret, &no_exp)),
            ("nobody", hs256(secret, &no_sub)),
            ("an empty name", with("sub", json!(""))),
            ("HS384", signed(Algorithm::HS384, secret.as_bytes(), &ada())),
            ("HS512", signed(Algorithm::HS512, secret.as_bytes(), &ada())),
            ("not signed", format!("{}.{}.", none("none"), claims(&ada()))),
            ("not signed, spelt otherwise", format!("{}.{}.", none("nOnE"), claims(&ada()))),
            ("a signature less", format!("{}.{}.", parts[0], parts[1])),
            ("other claims", format!("{}.{}.{}", parts[0], claims(&json!({"sub": "boss"})), parts[2])),
            ("an algorithm without a key", format!("{}.{}.{}", none("ES256"), parts[1], parts[2])),
            ("too long", format!("{good}{}", "x".repeat(5_000))),
        ],
    )
    .await;
    vouch(&server, &good).await.with_status(201);
}

#[tokio::test]
async fn a_public_key_verifies_es256_and_is_no_secret() {
    let server = Server::start().await;
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let file = server.path().join("identity.pem");
    std::fs::write(&file, pair.public_key_pem()).unwrap();
    let id = server.project.id.clone();
    server.cli(["project", "set", "--project", &id, "--identity-public-key-file", file.to_str().unwrap()]).await.text();
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
    let identity = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &ada(), &key).unwrap();
    until("the key is taken up", || async { (vouch(&server, &identity).await.status == 201).then_some(()) }).await;
    let stranger = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let stranger = EncodingKey::from_ec_pem(stranger.serialize_pem().as_bytes()).unwrap();
    must_refuse(
        &server,
        &[
            ("another pair", jsonwebtoken::encode(&Header::new(Algorithm::ES256), &ada(), &stranger).unwrap()),
            ("the public key as a secret", hs256(&pair.public_key_pem(), &ada())),
            ("the public key as a secret, trimmed", hs256(pair.public_key_pem().trim(), &ada())),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_project_may_take_only_visitors_that_its_site_knows() {
    let server = Server::start().await;
    let id = server.project.id.clone();
    server.cli(["project", "set", "--project", &id, "--identity-required", "true"]).await.text();
    let anonymous = json!({"project": server.project.public_key});
    let refused = until("strangers are refused", || async {
        let answer = server.ask_session(&anonymous).await;
        (answer.status != 201).then_some(answer)
    })
    .await;
    assert_eq!((refused.status, refused.problem().as_str()), (401, "unauthorized"));
    vouch(&server, &hs256(&server.project.identity_secret, &ada())).await.with_status(201);
}

#[tokio::test]
async fn what_a_stranger_wrote_is_its_own_once_its_site_knows_it() {
    let server = Server::start().await;
    let anonymous = server.session(&server.project).await;
    let mut visitor = server.join(anonymous["token"].as_str().unwrap()).await;
    let chat = visitor.rings("before signing in").await;
    let identity = hs256(&server.project.identity_secret, &ada());
    let asked = json!({"project": server.project.public_key, "resume": anonymous["resume"], "identity": identity});
    let session = server.ask_session(&asked).await.with_status(201).json();
    assert_ne!(session["visitor"]["id"], anonymous["visitor"]["id"]);
    assert_eq!(session["visitor"]["was"], anonymous["visitor"]["id"], "so that the client keeps what it shows");
    let mut known = server.join(session["token"].as_str().unwrap()).await;
    assert_eq!(known.hello["conversations"][0]["conversation"], chat);
    known.says(&chat, "after signing in").await;
    let card = server.agent("Grace").await.watches(&chat).await["visitor"].clone();
    assert_eq!((&card["name"], &card["identified"]), (&json!("Ada"), &json!(true)));
    let back = json!({"project": server.project.public_key, "resume": session["resume"]});
    let without = server.ask_session(&back).await.with_status(201).json();
    assert_eq!(without["visitor"]["identified"], false, "who signed out on the site is a stranger again");
    assert_ne!(without["visitor"]["id"], session["visitor"]["id"]);
    assert_eq!(without["visitor"].get("was"), None);
    // The next person at the same browser: the one before was somebody of its own.
    let bob = hs256(&server.project.identity_secret, &json!({"sub": "bob", "exp": ada()["exp"]}));
    let asked = json!({"project": server.project.public_key, "resume": session["resume"], "identity": bob});
    let next = server.ask_session(&asked).await.with_status(201).json();
    assert_eq!((&next["visitor"]["identified"], next["visitor"].get("was")), (&json!(true), None));
}

#[tokio::test]
async fn a_rotated_secret_vouches_for_nobody() {
    let server = Server::start().await;
    let old = hs256(&server.project.identity_secret, &ada());
    vouch(&server, &old).await.with_status(201);
    let id = server.project.id.clone();
    let made = server.cli(["project", "rotate-key", "--project", &id, "--json"]).await.json();
    until("the old secret is refused", || async { (vouch(&server, &old).await.status == 401).then_some(()) }).await;
    vouch(&server, &hs256(made["identity_secret"].as_str().unwrap(), &ada())).await.with_status(201);
}
