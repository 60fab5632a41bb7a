//! Who gets a conversation when several nodes give them away.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{Pair, is_seen, joined, steps_back};
use crate::support::{Client, Server, assignment, within};

async fn open_heads(agent: &mut Client) -> Vec<Value> {
    let asked = json!({"type": "inbox", "filter": {"status": "open", "assignee": "any"}, "limit": 100});
    agent.ask(asked).await["heads"].as_array().unwrap().clone()
}

#[tokio::test]
async fn of_two_who_take_it_on_two_nodes_at_once_one_gets_it() {
    let pair = Pair::start().await;
    let (account, mut grace) = pair.agent_on_other("Grace").await;
    let mut alan = pair.one.agent("Alan").await;
    steps_back(&mut grace).await;
    steps_back(&mut alan).await;
    is_seen(&pair.one, &account, "away").await;
    let mut visitor = pair.one.visitor().await;
    for n in 0..8 {
        let chat = visitor.rings(&n.to_string()).await;
        if n % 2 == 0 {
            // Known on both nodes, or on one.
            grace.watches(&chat).await;
            alan.watches(&chat).await;
        }
        let (one, other) = tokio::join!(
            grace.answer_to(assignment(&chat, &json!("me"))),
            alan.answer_to(assignment(&chat, &json!("me"))),
        );
        let mut outcomes = [&one["type"], &other["type"]].map(|it| it.as_str().unwrap());
        outcomes.sort_unstable();
        assert_eq!(outcomes, ["error", "ok"], "{one} {other}");
        let refused = if one["type"] == "error" { &one } else { &other };
        assert_eq!(refused["code"], "conflict");
        let desk = grace.history(&chat, "desk").await;
        assert_eq!(desk.len(), 1, "{desk:?}");
        grace.closes(&chat).await;
    }
}

#[tokio::test]
async fn what_was_decided_elsewhere_is_known_when_something_is_refused() {
    let pair = Pair::start().await;
    let mut grace = pair.one.agent("Grace").await;
    let (account, mut alan) = pair.agent_on_other("Alan").await;
    steps_back(&mut grace).await;
    steps_back(&mut alan).await;
    is_seen(&pair.one, &account, "away").await;
    let mut visitor = pair.one.visitor().await;
    let chat = visitor.rings("Hello").await;
    for _ in 0..5 {
        // Each decides at once on what the other has just done.
        grace.takes(&chat).await;
        alan.ask(assignment(&chat, &json!(alan.subject()))).await;
        grace.ask(assignment(&chat, &Value::Null)).await;
        alan.closes(&chat).await;
        grace.says(&chat, "Still there?").await;
        alan.ask(assignment(&chat, &Value::Null)).await;
    }
}

#[tokio::test]
async fn the_line_is_one_on_all_nodes() {
    let pair = Pair::start().await;
    let (mut first, mut second) = (pair.one.visitor().await, pair.other.visitor().await);
    let chat = first.rings("First").await;
    let place = |n: u64| move |it: &Value| it["type"] == "queue" && it["position"] == n;
    let other = second.rings("Second").await;
    second.find("second in line", place(2)).await;
    let account = pair.one.hire_as(&pair.one.project, "Grace", "agent", &["--capacity", "1"]).await;
    let mut grace = pair.other.join(&account.token).await;
    first.find("Grace comes", joined("Grace")).await;
    second.find("first in line", place(1)).await;
    let heads = open_heads(&mut grace).await;
    let of = |id: &str| heads.iter().find(|head| head["conversation"] == *id).unwrap()["assignee"].clone();
    assert_eq!((of(&chat), of(&other)), (json!(grace.subject()), Value::Null));
    grace.closes(&chat).await;
    second.find("Grace comes", joined("Grace")).await;
}

#[tokio::test]
async fn an_agent_is_given_on_to_one_on_another_node() {
    let pair = Pair::start().await;
    let mut visitor = pair.other.visitor().await;
    let mut grace = pair.one.agent("Grace").await;
    let chat = visitor.rings("Hello").await;
    visitor.find("Grace has it", joined("Grace")).await;
    let (account, mut alan) = pair.agent_on_other("Alan").await;
    alan.watches(&chat).await;
    grace.ask(assignment(&chat, &json!(account.id))).await;
    alan.hears_event("transferred").await;
    visitor.find("Alan has it", joined("Alan")).await;
}

/// How many each agent has, by what the log says.
fn loads<const N: usize>(heads: &[Value], agents: &[Client; N]) -> [usize; N] {
    let count = |agent: &Client| heads.iter().filter(|head| head["assignee"] == agent.subject()).count();
    std::array::from_fn(|n| count(&agents[n]))
}

async fn agent_with(server: &Server, hired_on: &Server, name: &str, capacity: &str) -> Client {
    let account = hired_on.hire_as(&hired_on.project, name, "agent", &["--capacity", capacity]).await;
    server.join(&account.token).await
}

#[tokio::test]
async fn two_nodes_give_nobody_more_than_it_takes() {
    const VISITORS: usize = 24;
    let pair = Pair::start().await;
    let mut agents =
        [agent_with(&pair.one, &pair.one, "Grace", "2").await, agent_with(&pair.other, &pair.one, "Alan", "3").await];
    let sessions = (0..VISITORS).map(|n| if n % 2 == 0 { pair.one.visitor() } else { pair.other.visitor() });
    let mut visitors = join_all(sessions).await;
    join_all(visitors.iter_mut().map(|visitor| visitor.rings("Hello"))).await;
    let mut served = 0;
    while served < VISITORS {
        let taken = all_given(&mut agents, [2, 3], VISITORS - served).await;
        for (n, chat) in taken.iter().enumerate() {
            agents[n % 2].closes(chat).await;
            served += 1;
        }
    }
}

/// Waits until of the `left` conversations each agent has as many as it takes, or nobody waits; none ever has more. What they
/// have.
async fn all_given(agents: &mut [Client; 2], most: [usize; 2], left: usize) -> Vec<String> {
    within("as many are given as are taken", async {
        loop {
            for n in 0..2 {
                let heads = open_heads(&mut agents[n]).await;
                let loads = loads(&heads, agents);
                assert!(loads[0] <= most[0] && loads[1] <= most[1], "{loads:?}");
                if loads == most || loads[0] + loads[1] == left {
                    let taken = heads.iter().filter(|head| !head["assignee"].is_null());
                    return taken.map(|head| head["conversation"].as_str().unwrap().to_owned()).collect();
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

#[tokio::test]
async fn who_is_online_on_one_node_is_online_for_a_node_that_starts() {
    let mut pair = Pair::start().await;
    let (account, _grace) = pair.agent_on_other("Grace").await;
    pair.one.signal("TERM").await;
    pair.one.ended().await;
    pair.one.start_again().await;
    is_seen(&pair.one, &account, "online").await;
}
