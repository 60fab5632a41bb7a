//! Somebody sets the system's clock while people chat: nobody is sent away, and the order of things stays.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use deskbell::clock::Clock;
use serde_json::{Value, json};

use crate::support::{Client, Request, Server, Setup, message, seqs_of, until};

/// An hour, in seconds: what a clock that was never told of summer time is wrong by.
const HOUR_S: i64 = 3_600;

/// The wall clock of one process, which a test can set. Its monotonic clock is the machine's own.
struct WallClock(PathBuf);

impl WallClock {
    /// None where libfaketime is not installed.
    fn of(setup: &mut Setup) -> Option<Self> {
        let library = library();
        if library.is_none() {
            let why = "a clock that is set was NOT tested: it takes libfaketime (`scripts/setup.sh test`)";
            assert!(std::env::var_os("CI").is_none(), "{why}");
            eprintln!("{why}");
        }
        let clock = Self(setup.path().join("clock"));
        clock.set(0);
        setup.variable("LD_PRELOAD", library?.display()).variable("FAKETIME_TIMESTAMP_FILE", clock.0.display());
        // Looked at each time, not every ten seconds; what is measured and what files say stays true.
        setup.variable("FAKETIME_NO_CACHE", 1).variable("FAKETIME_DONT_FAKE_MONOTONIC", 1).variable("NO_FAKE_STAT", 1);
        Some(clock)
    }

    /// Sets it to so many seconds after (or before) the machine's.
    fn set(&self, offset_s: i64) {
        let next = self.0.with_extension("next");
        std::fs::write(&next, format!("{offset_s:+}\n")).unwrap();
        std::fs::rename(next, &self.0).unwrap();
    }
}

/// Where Debian's package `faketime` puts it, on whatever machine.
fn library() -> Option<PathBuf> {
    let machines = std::fs::read_dir("/usr/lib").ok()?;
    let found = machines.filter_map(|entry| Some(entry.ok()?.path().join("faketime/libfaketimeMT.so.1")));
    found.into_iter().find(|path: &PathBuf| Path::exists(path))
}

async fn server_with_clock() -> Option<(Server, WallClock)> {
    start_with_clock(Setup::new()).await
}

async fn start_with_clock(mut setup: Setup) -> Option<(Server, WallClock)> {
    let clock = WallClock::of(&mut setup)?;
    Some((setup.start().await, clock))
}

/// Asserts that a lane is dense and that its times never run backwards.
fn is_in_order(entries: &[Value]) {
    assert_eq!(seqs_of(entries), (1..=entries.len() as u64).collect::<Vec<_>>());
    let times: Vec<i64> = entries.iter().map(|entry| entry["at"].as_i64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
}

/// The time that the server's answer to a message says.
async fn said_at(client: &mut Client, chat: &str, words: &str) -> i64 {
    client.ask(message(chat, words)).await["at"].as_i64().unwrap()
}

#[tokio::test]
async fn set_back_and_forward_in_the_middle_of_a_chat_nobody_is_sent_away() {
    let Some((server, clock)) = server_with_clock().await else { return };
    let mut grace = server.agent("Grace").await;
    let mut visitor = server.visitor().await;
    let mut other = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    let others = other.rings("Me, too").await;
    grace.watches(&chat).await;
    let mut before = said_at(&mut visitor, &chat, "before").await;
    for (offset_s, when) in
        [(-HOUR_S, "an hour back"), (0, "right again"), (HOUR_S, "an hour ahead"), (0, "back again")]
    {
        clock.set(offset_s);
        for (client, words) in [(&mut visitor, "I am here"), (&mut grace, "so am I")] {
            let at = said_at(client, &chat, words).await;
            assert!(at >= before, "{when}: {at} is before {before}");
            before = at;
        }
        grace.notes(&chat, when).await;
        other.says(&others, when).await;
    }
    let ahead_ms = before - Clock::system().now();
    assert!(ahead_ms > HOUR_S * 1_000 - 60_000, "the clock was never set: {ahead_ms} ms");
    for lane in ["thread", "desk"] {
        is_in_order(&grace.history(&chat, lane).await);
    }
    is_in_order(&other.history(&others, "thread").await);
}

#[tokio::test]
async fn a_server_that_starts_with_an_older_clock_writes_nothing_into_the_past() {
    let Some((mut server, clock)) = server_with_clock().await else { return };
    let account = server.hire("Grace").await;
    let cookie = server.sign_in(&account).await;
    let mut grace = server.join(&account.token).await;
    let session = server.session(&server.project).await;
    let mut visitor = server.join(session["token"].as_str().unwrap()).await;
    let chat = visitor.rings("Hello").await;
    visitor.says(&chat, "one").await;
    grace.closes(&chat).await;
    grace.notes(&chat, "done").await;
    server.kill().await;
    clock.set(-HOUR_S);
    server.start_again().await;
    let mut visitor = back(&server, &session).await;
    visitor.says(&chat, "an hour ago").await;
    let asked = Request::post("/v1/agents/token", &json!({})).header("Cookie", &cookie);
    let token = server.http(asked).await.with_status(200).json();
    let mut grace = server.join(token["token"].as_str().unwrap()).await;
    for lane in ["thread", "desk"] {
        is_in_order(&grace.history(&chat, lane).await);
    }
}

/// A visitor comes back by its resume token, as its page does.
async fn back(server: &Server, session: &Value) -> Client {
    let again = json!({"project": server.project.public_key, "resume": session["resume"]});
    let session = server.ask_session(&again).await.with_status(201).json();
    server.join(session["token"].as_str().unwrap()).await
}

async fn is_refused_with(server: &Server, token: &str, code: u16) {
    let mut late = server.socket().await;
    assert_eq!(late.refusal(json!({"type": "connect", "token": token})).await, "unauthorized");
    assert_eq!(late.closed().await, code);
}

#[tokio::test]
async fn tokens_run_out_whatever_is_done_to_the_clock() {
    let Some((server, clock)) = server_with_clock().await else { return };
    let session = server.session(&server.project).await;
    let token = session["token"].as_str().unwrap();
    let mut visitor = server.join(token).await;
    let chat = visitor.rings("Hello").await;
    clock.set(HOUR_S);
    visitor.says(&chat, "a session that is there stays").await;
    is_refused_with(&server, token, 4004).await;
    let mut again = back(&server, &session).await;
    again.says(&chat, "who comes back is the same visitor").await;
    clock.set(0);
    again.says(&chat, "and stays").await;
    is_refused_with(&server, token, 4004).await;
}

#[tokio::test]
async fn set_back_a_token_runs_out_within_twice_its_time_and_not_an_hour_later() {
    let Some((server, clock)) = server_with_clock().await else { return };
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    clock.set(-HOUR_S);
    let begun = Instant::now();
    let short = server.visitor_token(&server.project, "3s").await;
    until("the token has run out", || async {
        let mut socket = server.socket().await;
        let answer = socket.answer_to(json!({"type": "connect", "token": short})).await;
        (answer["code"] == "unauthorized").then_some(())
    })
    .await;
    let took = begun.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(15)).contains(&took), "{took:?}");
    visitor.says(&chat, "still here").await;
}

#[tokio::test]
async fn what_a_wrong_clock_signed_does_not_hold_until_that_time_comes() {
    let Some((mut server, clock)) = server_with_clock().await else { return };
    clock.set(30 * 24 * HOUR_S);
    let session = server.session(&server.project).await;
    let token = session["token"].as_str().unwrap();
    server.join(token).await.rings("Hello").await;
    server.kill().await;
    clock.set(0);
    server.start_again().await;
    is_refused_with(&server, token, 4004).await;
    assert_eq!(back(&server, &session).await.hello["conversations"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_departed_agent_is_waited_for_as_long_as_ever() {
    let mut setup = Setup::new();
    setup.limit("hand_back_after_ms", 1_500);
    let Some((server, clock)) = start_with_clock(setup).await else { return };
    let grace = server.agent("Grace").await;
    let mut visitor = server.visitor().await;
    let chat = visitor.rings("Hello").await;
    visitor.hears_event("joined").await;
    clock.set(-HOUR_S);
    let left = Instant::now();
    grace.leave().await;
    let mut alan = server.agent("Alan").await;
    visitor.find("Alan has it", |it| it["event"] == "joined" && it["body"]["agent"]["name"] == "Alan").await;
    assert!(left.elapsed() >= Duration::from_millis(1_500), "{:?}", left.elapsed());
    alan.watches(&chat).await;
    // The other way: an hour ahead is no absence of an hour.
    clock.set(0);
    alan.leave().await;
    let left = Instant::now();
    clock.set(HOUR_S);
    visitor.find("Alan has lost it", |it| it["event"] == "left" && it["body"]["agent"]["name"] == "Alan").await;
    assert!(left.elapsed() >= Duration::from_millis(1_500), "{:?}", left.elapsed());
}
