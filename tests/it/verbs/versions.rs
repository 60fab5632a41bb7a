//! Pages that are older than the server can talk to.

use deskbell::protocol::OLDEST_CLIENTS;
use serde_json::{Value, json};

use crate::support::Server;

#[tokio::test]
async fn an_old_page_is_told_to_reload_and_strangers_are_not_judged() {
    let server = Server::start().await;
    let token = server.session(&server.project).await["token"].as_str().unwrap().to_owned();
    let connect = |name: &str, version: &str| json!({"type": "connect", "id": 1, "token": token, "client": {"name": name, "version": version}});
    for (name, oldest) in OLDEST_CLIENTS {
        let mut old = server.socket().await;
        old.tell(&connect(name, "0.0.9")).await;
        assert_eq!(old.closed().await, 4505, "{name}");
        for version in [oldest, "0.10.0", "10.0.0", "nightly", ""] {
            let mut new = server.socket().await;
            new.tell(&connect(name, version)).await;
            assert_eq!(new.answer(1).await["type"], "ok", "{name} {version}");
        }
    }
    for client in [connect("bot", "0.0.1"), json!({"type": "connect", "id": 1, "token": token})] {
        let mut other = server.socket().await;
        other.tell(&client).await;
        let hello: Value = other.answer(1).await;
        assert_eq!(hello["type"], "ok", "{client}");
    }
    assert!(server.metric("deskbell_closes_total{reason=\"version_too_old\"}").await >= 2.0);
}
