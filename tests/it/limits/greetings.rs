//! How many are let in at once: the others wait in line, and who leaves it is passed over.

use std::{collections::BTreeSet, pin::pin, time::Duration};

use deskbell::protocol::MAX_BATCH;
use rustls::version::TLS13;
use serde_json::{Value, json};
use sqlx::AnyConnection;
use tokio::time::timeout;

use crate::{
    support::{Client, Server, Setup, Stream, fresh, message, open_database, postgres, sqlite, tls_client, until},
    tls,
};

const WAITING: &str = "deskbell_greetings_waiting";
const HELD_BACK: &str = "deskbell_handshakes_held_back";
const RESUMED: &str = "deskbell_resumes_total{outcome=\"resumed\"}";

/// How long after somebody was let in a line still counts as one that moves.
const MOVES: Duration = Duration::from_secs(1);
/// So many are stuck in the line, each for two seconds: then somebody goes on without its turn.
const STUCK: usize = 5;

/// A server that lets one in at a time, and a line of sockets of one visitor, of whose conversation it can't be told how it is, because
/// what is just being said there can't be written.
struct Scene {
    server: Server,
    /// Holds the database's lock.
    lock: AnyConnection,
    _says: Client,
    stuck: Vec<(Client, u32)>,
}

impl Scene {
    async fn begin(prepare: impl AsyncFnOnce(&Server)) -> Self {
        let mut setup = Setup::new();
        setup.text("database.url", "sqlite").limit("greetings_at_once", 1).limit("write_burst", 100);
        let server = setup.start().await;
        prepare(&server).await;
        let token = token(&server).await;
        let mut says = server.join(&token).await;
        let chat = says.rings("Hello").await;
        let mut lock = open_database(&sqlite(&server.path().join("data"))).await;
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut lock).await.unwrap();
        says.say(message(&chat, &fresh())).await;
        let mut stuck = Vec::new();
        for _ in 0..STUCK {
            let mut client = server.socket().await;
            let asked = client.say(connect(&token, &json!([]))).await;
            stuck.push((client, asked));
        }
        let scene = Self { server, lock, _says: says, stuck };
        scene.have_lined_up(STUCK - 1).await;
        scene
    }

    /// So many wait their turn.
    async fn have_lined_up(&self, count: usize) {
        until(format!("{count} wait"), || async { (self.waiting().await == count).then_some(()) }).await;
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
    async fn waiting(&self) -> usize {
        self.server.metric(WAITING).await as usize
    }

    /// What waited is written, and those who were stuck are let in.
    async fn goes_on(&mut self) {
        sqlx::raw_sql("ROLLBACK").execute(&mut self.lock).await.unwrap();
        for (client, asked) in &mut self.stuck {
            assert_eq!(client.answer(*asked).await["type"], "ok");
        }
    }
}

async fn token(server: &Server) -> String {
    server.session(&server.project).await["token"].as_str().unwrap().to_owned()
}

fn connect(token: &str, resume: &Value) -> Value {
    json!({"type": "connect", "token": token, "resume": resume})
}

#[tokio::test]
async fn who_comes_in_waits_its_turn() {
    let mut agent = String::new();
    let mut scene = Scene::begin(async |server| agent = server.hire("Grace").await.token).await;
    let mut second = scene.server.socket().await;
    let asked = second.say(connect(&token(&scene.server).await, &json!([]))).await;
    scene.have_lined_up(STUCK).await;
    scene.server.join(&agent).await;
    assert!(scene.waiting().await > 0, "an agent waited for visitors");
    scene.goes_on().await;
    assert_eq!(second.answer(asked).await["type"], "ok");
    scene.have_lined_up(0).await;
}

/// It may say things before it is let in, as before it is answered: more than is kept of it stays in its connection.
#[tokio::test]
async fn what_is_said_in_line_is_carried_out_after_it() {
    let mut scene = Scene::begin(async |_| {}).await;
    let mut second = scene.server.socket().await;
    second.say(connect(&token(&scene.server).await, &json!([]))).await;
    scene.have_lined_up(STUCK).await;
    let open = json!({"type": "open", "key": fresh(), "body": {"text": "Hello"}});
    let mut asked = Vec::new();
    for _ in 0..2 * MAX_BATCH {
        asked.push(second.say(open.clone()).await);
    }
    scene.goes_on().await;
    let mut conversations = BTreeSet::new();
    for said in asked {
        let answer = second.answer(said).await;
        assert_eq!(answer["type"], "ok", "{answer}");
        conversations.insert(answer["conversation"].to_string());
    }
    assert_eq!(conversations.len(), 1, "one key opens one");
}

/// A database that does not answer: each has its turn for two seconds, one after the other, and 15 s are over before the last one's.
#[tokio::test]
async fn who_waits_too_long_is_told() {
    let (mut setup, url) = (Setup::new(), postgres::database());
    setup.text("database.url", &url).limit("greetings_at_once", 1);
    let server = setup.start().await;
    let token = token(&server).await;
    let mut database = open_database(&url).await;
    sqlx::raw_sql("BEGIN; LOCK TABLE conversations IN ACCESS EXCLUSIVE MODE").execute(&mut database).await.unwrap();
    let mut before = Vec::new();
    for _ in 0..12 {
        let mut client = server.socket().await;
        client.say(connect(&token, &json!([]))).await;
        before.push(client);
    }
    let mut last = server.socket().await;
    let asked = last.say(connect(&token, &json!([]))).await;
    let answer = last.answer(asked).await;
    let told = [&answer["code"], &answer["message"], &answer["retry_ms"]];
    assert_eq!(told, [&json!("unavailable"), &json!("too many come in at the same time"), &json!(1_000)]);
    assert_eq!(last.closed().await, 4000);
    server.has_refused("greetings_at_once").await;
}

/// A line that stood still for a second holds nobody back: a machine that takes so long for a few words begins again.
#[tokio::test]
async fn who_comes_upon_a_crowd_waits_before_its_handshake() {
    until("somebody is held back", || Box::pin(held_back_by_a_crowd())).await;
}

async fn held_back_by_a_crowd() -> Option<()> {
    let more = |setup: &mut Setup| _ = setup.text("database.url", "sqlite").limit("greetings_at_once", 1);
    let (server, made) = tls::start(more).await;
    let (busy, other) = (token(&server).await, token(&server).await);
    let mut says = server.join(&busy).await;
    let chat = says.rings("Hello").await;
    let mut passes = server.socket().await;
    let mut crowd = Vec::new();
    for _ in 0..STUCK {
        crowd.push(server.socket().await);
    }
    let mut lock = open_database(&sqlite(&server.path().join("data"))).await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut lock).await.unwrap();
    says.say(message(&chat, &fresh())).await;
    // The line moves, and those behind this one stand.
    passes.connect(&other, json!([])).await;
    for client in &mut crowd {
        client.say(connect(&busy, &json!([]))).await;
    }
    let rises = async |metric, to| while server.metric(metric).await < to {};
    timeout(MOVES, rises(WAITING, 2.0)).await.ok()?;
    let config = tls_client(&[&made], &[&TLS13]);
    let mut comes = pin!(Stream::dial(server.address, Some(&config)));
    tokio::select! {
        _ = &mut comes => return None,
        held_back = timeout(MOVES, rises(HELD_BACK, 1.0)) => held_back.ok()?,
    }
    sqlx::raw_sql("ROLLBACK").execute(&mut lock).await.unwrap();
    comes.await.unwrap();
    Some(())
}

#[tokio::test]
async fn who_has_no_good_token_is_told_before_the_line() {
    let mut scene = Scene::begin(async |_| {}).await;
    let mut second = scene.server.socket().await;
    second.say(connect("nonsense", &json!([]))).await;
    assert_eq!(second.closed().await, 4501);
    assert!(scene.waiting().await > 0, "it was told after its turn");
    scene.goes_on().await;
}

#[tokio::test]
async fn who_leaves_the_line_is_passed_over() {
    let (mut known, mut position) = (String::new(), Value::Null);
    let mut scene = Scene::begin(async |server| {
        known = token(server).await;
        let mut client = server.join(&known).await;
        let opened = client.ask(json!({"type": "open", "key": fresh(), "body": {"text": "Hello"}})).await;
        position =
            json!([{"conversation": opened["conversation"], "epoch": opened["epoch"], "lane": "thread", "seq": 1}]);
        server.socket().await.connect(&known, position.clone()).await;
    })
    .await;
    assert!((scene.server.metric(RESUMED).await - 1.0).abs() < 0.1);
    let mut second = scene.server.socket().await;
    second.say(connect(&known, &position)).await;
    scene.have_lined_up(STUCK).await;
    // As browsers do: they say so, and wait for the server's own word before they hang up.
    second.says_goodbye().await;
    scene.have_lined_up(STUCK - 1).await;
    let mut third = scene.server.socket().await;
    let asked = third.say(connect(&token(&scene.server).await, &json!([]))).await;
    scene.goes_on().await;
    assert_eq!(third.answer(asked).await["type"], "ok");
    assert!((scene.server.metric(RESUMED).await - 1.0).abs() < 0.1, "the database was asked for somebody who had left");
}
