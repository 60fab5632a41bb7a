//! A backup is made while many write; the server dies; what was backed up is restored elsewhere.

use std::{cell::Cell, os::unix::fs::PermissionsExt as _, path::Path, rc::Rc};

use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use sqlx::Row as _;

use super::witness::{Writer, fast, fast_server};
use crate::support::{PASSWORD, Request, Server, Setup, message, open_database, postgres, sqlite, texts_of, until};

const WRITERS: usize = 16;

/// Many old conversations of nobody: while they are copied, those who write go on. Only one snapshot holds together what they
/// write with what was copied before.
const OLD: usize = 20_000;
const OLD_CONVERSATIONS: &str = "INSERT INTO conversations (id, project, visitor, open_key, epoch, status, seq, desk_seq, \
    read_visitor, read_agent, unread, preview, at_ms, created_ms) \
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
    SELECT 'c' || i, 'p', 'v' || i, 'k', 'k1', 'closed', 0, 0, 0, 0, 0, '', 0, 0 FROM n";

fn name(path: &Path) -> &str {
    path.to_str().unwrap()
}

impl Server {
    async fn backs_up(&self, file: &Path) -> Value {
        self.cli(["backup", name(file), "--json"]).await.json()
    }

    /// A server on a new database that was filled from `file`.
    async fn restored(&self, file: &Path, setup: Setup) -> Server {
        setup.cli(["restore", name(file)]).await.text();
        setup.start_beside(self).await
    }
}

/// All write; in the middle of it a backup is made, and when that is done and all have written more, the server is killed.
/// How many messages of each were acknowledged when the backup began, and what it said.
async fn backed_up_under_load(server: &mut Server, writers: &mut [Writer], file: &Path) -> (Vec<usize>, Value) {
    let acked: Vec<Rc<Cell<usize>>> = writers.iter().map(|_| Rc::default()).collect();
    let counts = || acked.iter().map(|count| count.get()).collect::<Vec<_>>();
    let more_than = async |before: &[usize]| {
        let all = || counts().iter().zip(before).all(|(now, before)| *now > before + 10);
        until("all write on", || async { all().then_some(()) }).await;
    };
    let writing = join_all(writers.iter_mut().zip(&acked).map(|(writer, acked)| writer.writes_until_closed(acked)));
    let breaking = async {
        more_than(&[0; WRITERS]).await;
        let before = counts();
        let said = server.backs_up(file).await;
        more_than(&counts()).await;
        server.kill().await;
        (before, said)
    };
    join(writing, breaking).await.1
}

#[tokio::test]
async fn backed_up_under_load_killed_and_restored_elsewhere() {
    let mut server = fast_server().await;
    server.sql(OLD_CONVERSATIONS).await;
    let mut writers = Writer::crowd(&server, WRITERS).await;
    let file = server.path().join("deskbell.backup");
    let (kept, said) = backed_up_under_load(&mut server, &mut writers, &file).await;
    assert_eq!(said["conversations"], WRITERS + OLD);
    assert!(said["entries"].as_u64().unwrap() >= kept.iter().sum::<usize>() as u64, "{said} and {kept:?}");
    let restored = server.restored(&file, fast()).await;
    for (writer, kept) in writers.iter_mut().zip(kept) {
        writer.comes_to_another_time(&restored).await;
        assert!(writer.sends_all_again(kept).await > 0, "nothing was written after the backup: a test of nothing");
        writer.finds_all().await;
        assert!(writer.sent_all());
    }
}

#[tokio::test]
async fn nobody_is_let_in_by_what_was_signed_before() {
    let server = Server::start().await;
    let (grace, ada) = (server.hire("Grace").await, server.hire("Ada").await);
    let (cookie, other) = (server.sign_in(&grace).await, server.sign_in(&ada).await);
    let asks = async |server: &Server, cookie: &str| {
        let asked = Request::new("POST", "/v1/agents/token").header("Cookie", cookie);
        server.http(asked.header("Origin", &format!("http://{}", server.address))).await.status
    };
    assert_eq!(asks(&server, &cookie).await, 200);
    let file = server.path().join("deskbell.backup");
    server.backs_up(&file).await;
    let out = Request::new("POST", "/v1/agents/logout").header("Cookie", &cookie);
    server.http(out.header("Origin", &format!("http://{}", server.address))).await.with_status(204);
    let restored = server.restored(&file, Setup::new()).await;
    assert_eq!([asks(&restored, &cookie).await, asks(&restored, &other).await], [401; 2]);
    let mut refused = restored.socket().await;
    assert_eq!(refused.refusal(json!({"type": "connect", "token": grace.token})).await, "unauthorized");
    assert_eq!(refused.closed().await, 4501);
    let cookie = restored.sign_in(&grace).await;
    assert_eq!(asks(&restored, &cookie).await, 200, "the password is as it was");
    restored.agent("Grace").await;
}

/// What a visitor said, an agent noted and a command changed is the same in the other engine, and back in the first.
async fn goes_over_and_back(urls: [&str; 2]) {
    let mut setup = fast();
    setup.text("database.url", urls[0]);
    let first = setup.start().await;
    let session = first.session(&first.project).await;
    let resume = session["resume"].as_str().unwrap();
    let mut visitor = first.join(session["token"].as_str().unwrap()).await;
    let chat = visitor.rings("Grüße, 你好 \u{1F44B}").await;
    let account = first.hire_as(&first.project, "Grace", "owner", &["--capacity", "3"]).await;
    let mut agent = first.join(&account.token).await;
    agent.watches(&chat).await;
    agent.notes(&chat, "between us").await;
    for n in 0..300 {
        visitor.ask(message(&chat, &n.to_string())).await;
    }
    let (thread, desk) = (agent.history(&chat, "thread").await, agent.history(&chat, "desk").await);
    let mut servers = vec![first];
    for (at, url) in [urls[1], urls[0]].into_iter().enumerate() {
        let from = servers.last().unwrap();
        let (file, mut setup) = (from.path().join("over.backup"), Setup::new());
        assert_eq!(from.backs_up(&file).await["entries"], thread.len() + desk.len());
        // The second of PostgreSQL is another database: the first is not empty.
        let url = if at == 1 && url != "sqlite" { postgres::database() } else { url.to_owned() };
        setup.text("database.url", &url);
        servers.push(from.restored(&file, setup).await);
    }
    let last = servers.last().unwrap();
    let token = last.agent_token(&last.project, &account.id, "15m").await;
    let mut agent = last.join(&token).await;
    let same = |now: &[Value], then: &[Value]| {
        let without_epoch = |entries: &[Value]| {
            let mut entries = entries.to_vec();
            for entry in &mut entries {
                entry.as_object_mut().unwrap().remove("epoch");
            }
            entries
        };
        assert_eq!(without_epoch(now), without_epoch(then));
    };
    same(&agent.history(&chat, "thread").await, &thread);
    same(&agent.history(&chat, "desk").await, &desk);
    assert_eq!(texts_of(&desk), ["between us"]);
    let asked = json!({"project": last.project.public_key, "resume": resume});
    let session = last.ask_session(&asked).await.with_status(201).json();
    assert_eq!(session["visitor"]["id"], visitor.subject(), "the visitor is known again");
    let listed = last.cli(["agent", "list", "--project", &last.project.id, "--json"]).await.json();
    assert_eq!((&listed["agents"][0]["capacity"], &listed["agents"][0]["email"]), (&json!(3), &json!(account.email)));
}

#[tokio::test]
async fn a_backup_goes_from_one_engine_to_the_other_and_back() {
    goes_over_and_back(["sqlite", &postgres::database()]).await;
}

#[tokio::test]
async fn a_backup_of_postgresql_goes_to_sqlite_and_back() {
    goes_over_and_back([&postgres::database(), "sqlite"]).await;
}

#[tokio::test]
async fn a_backup_is_one_private_file_and_overwrites_nothing() {
    let server = Server::start().await;
    let folder = server.path().join("backups");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("today");
    server.backs_up(&file).await;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let before = std::fs::read(&file).unwrap();
    let refused = server.cli(["backup", name(&file)]).await;
    assert_eq!(refused.code(), Some(1));
    assert!(refused.errors().contains("there is a file already"), "{}", refused.errors());
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert_eq!(server.cli(["backup", name(&folder.join("not/there"))]).await.code(), Some(1));
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["today"], "nothing else is left");
}

#[tokio::test]
async fn only_a_whole_backup_goes_into_only_an_empty_database() {
    let server = fast_server().await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    for n in 0..100 {
        visitor.ask(message(&chat, &n.to_string().repeat(500))).await;
    }
    let file = server.path().join("deskbell.backup");
    server.backs_up(&file).await;
    let refuses = async |setup: &Setup, file: &Path, why: &str| {
        let refused = setup.cli(["restore", name(file)]).await;
        assert_eq!(refused.code(), Some(1));
        assert!(refused.errors().contains(why), "{why}: {}", refused.errors());
    };
    let (mut whole, target) = (std::fs::read(&file).unwrap(), Setup::new());
    let damaged = server.path().join("damaged");
    let middle = whole.len() / 2;
    whole[middle..middle + 8_192].fill(7);
    std::fs::write(&damaged, &whole).unwrap();
    refuses(&target, &damaged, "this backup is damaged").await;
    std::fs::write(&damaged, b"a shopping list").unwrap();
    refuses(&target, &damaged, "this is no backup").await;
    let mut other = Setup::new();
    other.text("database.url", "sqlite");
    other.cli(["migrate"]).await.text();
    refuses(&target, &other.path().join("data/deskbell.db"), "this is no backup").await;
    refuses(&other, &file, "the database is not empty").await;
    // Nothing of the refused ones was left behind.
    target.cli(["restore", name(&file)]).await.text();
    refuses(&target, &file, "the database is not empty").await;
}

#[tokio::test]
async fn a_backup_does_not_serve_as_a_database_and_no_database_makes_no_backup() {
    let mut setup = Setup::new();
    setup.text("database.url", "sqlite");
    let file = setup.path().join("deskbell.backup");
    let refused = setup.cli(["backup", name(&file)]).await;
    assert!(refused.errors().contains("there is no deskbell.db"), "{}", refused.errors());
    assert!(!setup.path().join("data").exists(), "nothing is made by the way");
    setup.cli(["migrate"]).await.text();
    setup.cli(["backup", name(&file)]).await.text();
    let data = setup.path().join("data");
    for old in std::fs::read_dir(&data).unwrap() {
        std::fs::remove_file(old.unwrap().path()).unwrap();
    }
    std::fs::copy(&file, data.join("deskbell.db")).unwrap();
    let refused = setup.cli(["serve"]).await;
    assert_eq!(refused.code(), Some(1));
    assert!(refused.errors().contains("this file is a backup: `deskbell restore`"), "{}", refused.errors());
    let mut empty = Setup::new();
    empty.text("database.url", &postgres::database());
    let refused = empty.cli(["backup", name(&empty.path().join("b"))]).await;
    assert!(refused.errors().contains("there is no Deskbell in that database yet"), "{}", refused.errors());
}

/// As an earlier version left it: the first two versions of the schema, and a project.
async fn old_database(data: &Path) {
    std::fs::create_dir(data).unwrap();
    std::fs::write(data.join("deskbell.db"), b"").unwrap();
    let mut database = open_database(&sqlite(data)).await;
    let schema = [
        include_str!("../../../src/log/schema/0001_start.sql"),
        include_str!("../../../src/log/schema/0002_delivered.sql"),
        "CREATE TABLE deskbell_schema (version BIGINT NOT NULL PRIMARY KEY, applied_ms BIGINT NOT NULL); \
         INSERT INTO deskbell_schema (version, applied_ms) VALUES (1, 0), (2, 0); \
         INSERT INTO projects (id, name, public_key, identity_required, sneak_peek, origins, created_ms) \
         VALUES ('0198c0de-0000-7000-8000-000000000001', 'Old', 'pk', 0, 1, '[]', 0);",
    ];
    for text in schema {
        sqlx::raw_sql(sqlx::AssertSqlSafe(text.to_owned())).execute(&mut database).await.unwrap();
    }
}

#[tokio::test]
async fn a_backup_before_an_upgrade_needs_none_and_restores_into_the_new() {
    let mut setup = Setup::new();
    setup.text("database.url", "sqlite");
    let (data, file) = (setup.path().join("data"), setup.path().join("deskbell.backup"));
    old_database(&data).await;
    setup.cli(["backup", name(&file)]).await.text();
    let mut database = open_database(&sqlite(&data)).await;
    let versions = sqlx::query("SELECT COUNT(*) FROM deskbell_schema").fetch_one(&mut database).await.unwrap();
    assert_eq!(versions.get::<i64, _>(0), 2, "a backup changes nothing");
    let target = Setup::new();
    target.cli(["restore", name(&file)]).await.text();
    let projects = target.cli(["project", "list", "--json"]).await.json();
    assert_eq!(projects["projects"][0]["name"], "Old");
    let made = ["agent", "create", "--project", "0198c0de-0000-7000-8000-000000000001", "--email", "g@example.org"];
    let server = target.start().await;
    let made = [&made[..], &["--name", "Grace", "--password-stdin"]].concat();
    server.cli_with(&made, PASSWORD).await.text();
    server.visitor().await.rings("Hello").await;
}
