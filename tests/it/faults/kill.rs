//! The process is killed, or told to stop, while many write.

use std::{
    cell::Cell,
    collections::{BTreeMap, btree_map::Entry},
    rc::Rc,
    time::Instant,
};

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use super::witness::{Writer, fast_server};
use crate::support::{Client, Server, until};

/// Enough to write 500 messages a second, each waiting for its acknowledgement.
const WRITERS: usize = 16;

/// Lets all write until `count` messages were acknowledged, then does `deed` in the middle of it. The codes of the ends.
async fn write_until(writers: &mut [Writer], count: usize, deed: impl AsyncFnOnce()) -> Vec<u16> {
    let acked = Rc::new(Cell::new(0));
    let begun = Instant::now();
    let writing = join_all(writers.iter_mut().map(|writer| writer.writes_until_closed(&acked)));
    let breaking = async {
        until(format!("{count} are acknowledged"), || async { (acked.get() >= count).then_some(()) }).await;
        println!(
            "{} messages a second",
            (acked.get() as u128 * 1_000).checked_div(begun.elapsed().as_millis()).unwrap_or(0)
        );
        deed().await;
    };
    join(writing, breaking).await.0
}

/// An agent that watches every conversation.
async fn onlooker(server: &Server, writers: &[Writer]) -> Client {
    let mut agent = server.agent("Grace").await;
    for writer in writers {
        agent.watches(&writer.chat).await;
    }
    agent
}

/// Everything that was delivered to the onlooker is in the log as it was delivered.
async fn find_delivered(client: &mut Client, delivered: &[Value]) {
    let mut logs = BTreeMap::new();
    for entry in delivered.iter().filter(|frame| frame["type"] == "entry") {
        let chat = entry["conversation"].as_str().unwrap();
        let lane = entry["lane"].as_str().unwrap_or("thread");
        if let Entry::Vacant(log) = logs.entry((chat, lane)) {
            log.insert(client.history(chat, lane).await);
        }
        let seq = usize::try_from(entry["seq"].as_u64().unwrap()).unwrap();
        let kept = logs[&(chat, lane)].get(seq - 1).unwrap_or_else(|| panic!("delivered and not kept: {entry}"));
        assert_eq!(kept["entry"], entry["entry"]);
    }
}

#[tokio::test]
async fn killed_in_the_middle_of_writing_nothing_acknowledged_is_lost() {
    let mut server = fast_server().await;
    let mut writers = Writer::crowd(&server, WRITERS).await;
    for _ in 0..2 {
        let agent = onlooker(&server, &writers).await;
        let (codes, (delivered, _)) = {
            let killed = async || server.kill().await;
            join(write_until(&mut writers, 500, killed), agent.listens_to_the_end()).await
        };
        assert!(codes.iter().all(|code| *code == 1006), "{codes:?}");
        let acked: usize = writers.iter().map(Writer::count_acked).sum();
        assert!(acked >= 500);
        server.start_again().await;
        for writer in &mut writers {
            writer.comes_back(&server).await;
            writer.finds_all().await;
            assert!(writer.sent_all());
        }
        let mut agent = onlooker(&server, &writers).await;
        find_delivered(&mut agent, &delivered).await;
    }
}

#[tokio::test]
async fn told_to_stop_it_says_goodbye_to_all_and_loses_nothing() {
    let mut server = fast_server().await;
    let mut writers = Writer::crowd(&server, WRITERS).await;
    let mut idle = server.visitor().await;
    let mut stranger = server.socket().await;
    let agent = onlooker(&server, &writers).await;
    let (codes, (delivered, code)) = {
        let told = async || server.signal("TERM").await;
        join(write_until(&mut writers, 200, told), agent.listens_to_the_end()).await
    };
    assert!(codes.iter().all(|code| *code == 4001), "{codes:?}");
    assert_eq!([code, idle.closed().await, stranger.closed().await], [4001; 3]);
    assert_eq!(server.ended().await.code(), Some(0));
    assert!(server.output().contains("cut=0"), "nobody was cut off: {}", server.output());
    server.start_again().await;
    for writer in &mut writers {
        writer.comes_back(&server).await;
        writer.finds_all().await;
    }
    find_delivered(&mut onlooker(&server, &writers).await, &delivered).await;
}

#[tokio::test]
async fn a_stopping_server_takes_nobody_in() {
    let mut setup = crate::support::Setup::new();
    setup.limit("reconnect_window_ms", 1_500).limit("drain_ms", 1_500);
    let mut server = setup.start().await;
    let mut sessions = Vec::new();
    for _ in 0..40 {
        sessions.push(server.visitor().await);
    }
    server.signal("TERM").await;
    until("it is not ready any more", || async {
        let ready = crate::support::Request::get("/readyz").send(server.admin).await;
        (ready.status == 503).then(|| assert_eq!(ready.json()["draining"], true))
    })
    .await;
    assert_eq!(server.ended().await.code(), Some(0));
    for mut session in sessions {
        assert_eq!(session.closed().await, 4001);
    }
}

#[tokio::test]
async fn routing_begins_anew_where_it_ended() {
    let mut server = fast_server().await;
    let mut waiting = Writer::begin(&server).await;
    let account = server.hire("Grace").await;
    let mut agent = server.join(&account.token).await;
    waiting.client.hears_event("joined").await;
    let mut second = Writer::begin(&server).await;
    agent.ask(json!({"type": "availability", "status": "away"})).await;
    let third = Writer::begin(&server).await;
    server.kill().await;
    server.start_again().await;
    waiting.comes_back(&server).await;
    second.comes_back(&server).await;
    let alan = server.hire("Alan").await;
    let mut alan = server.join(&alan.token).await;
    let assigned = alan.ask(json!({"type": "inbox", "filter": {"assignee": account.id}})).await;
    assert_eq!(assigned["heads"].as_array().unwrap().len(), 2, "whose they were, theirs they are");
    let mine = until_assigned(&mut alan).await;
    assert_eq!(mine["conversation"], third.chat, "who waited is given to who came");
}

/// The one conversation that the agent is given.
async fn until_assigned(agent: &mut Client) -> Value {
    for _ in 0..200 {
        let page = agent.ask(json!({"type": "inbox", "filter": {"assignee": "me"}})).await;
        if let [head] = page["heads"].as_array().unwrap().as_slice() {
            return head.clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("it is given none");
}
