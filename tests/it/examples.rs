//! The scripts in `load/peers/` that people start from, against a server as it is: what they ask must be what it answers.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{Server, within};

/// The library `websockets` may be Debian's package, which another Python than Debian's does not see.
const PYTHONS: [&str; 2] = ["python3", "/usr/bin/python3"];

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn address_of(server: &Server) -> String {
    format!("ws://{}/v1/ws", server.address)
}

/// What the program says. It must end well, and soon.
async fn says(command: &mut Command) -> String {
    let ended = within("the script ends", command.kill_on_drop(true).output()).await.unwrap();
    let (said, why) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{said}{why}");
    said.into_owned()
}

async fn python() -> &'static str {
    for python in PYTHONS {
        let tried = Command::new(python).args(["-c", "import websockets"]).output().await;
        if tried.is_ok_and(|tried| tried.status.success()) {
            return python;
        }
    }
    panic!("no Python knows the library websockets: scripts/setup.sh test installs it");
}

#[tokio::test]
async fn the_one_for_python_talks() {
    let server = Server::start().await;
    let folder = TempDir::new().unwrap();
    let tokens = ["visitor", "agent"].map(|name| folder.path().join(name));
    std::fs::write(&tokens[0], server.visitor_token(&server.project, "15m").await).unwrap();
    std::fs::write(&tokens[1], server.hire("Grace").await.token).unwrap();
    let mut script = Command::new(python().await);
    script.arg(in_repository("load/peers/python/chat.py")).arg(address_of(&server)).args(tokens);
    let said = says(script.args(["--messages", "10"])).await;
    assert!(said.starts_with("10 messages acknowledged and delivered, ack p50 "), "{said}");
}

/// Artillery itself is too large to install for this; a stand-in of some lines calls what it would call.
#[tokio::test]
async fn the_one_for_artillery_talks() {
    let server = Server::start().await;
    let mut script = Command::new("node");
    // Node.js 20 has its WebSocket behind this flag; later ones take it as well.
    script.arg("--experimental-websocket").arg(in_repository("tests/it/examples/artillery.cjs"));
    script.arg(in_repository("load/peers/artillery")).arg(address_of(&server));
    let said = says(script.arg(server.visitor_token(&server.project, "15m").await)).await;
    let counted: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&counted["deskbell.acknowledged"], &counted["deskbell.missing"]), (&6.into(), &0.into()), "{said}");
}
