//! `chat` against servers that keep their word, and against servers that break it.

use super::*;
use crate::{
    check::Fault,
    fake::{self, Breach},
    spawn::Mint,
};

const SHORT: Settings = Settings {
    pairs: 4,
    rate: None,
    in_flight: 2,
    span: Span { bytes: 64, seconds: 0.3, warm_up: 0.05 },
    last_call: 0.5,
    kill_after: None,
};

async fn against(breach: Breach, settings: Settings) -> Figures {
    let mint = Mint::ready_made(vec!["visitor.0".into()], vec!["agent.0".into()]);
    let target = Target::at(&[fake::start(breach).await], Some(mint));
    run(&target, settings).await.unwrap()
}

fn faults(figures: &Figures) -> Vec<&'static str> {
    let names = Fault::ALL.into_iter().map(Fault::as_str);
    names.filter(|name| figures.get(name).unwrap() > 0.0).collect()
}

#[tokio::test]
async fn an_honest_server_is_found_clean_at_saturation() {
    let figures = against(Breach::None, SHORT).await;
    assert_eq!(faults(&figures), [""; 0]);
    assert!(figures.get("messages_per_s").unwrap() > 100.0);
    assert_eq!(figures.get("unanswered"), Some(0.0));
    let (sent, received) = (figures.get("sent").unwrap(), figures.get("received").unwrap());
    assert!((received - 2.0 * sent).abs() < 0.5, "both sides read everything: {sent} sent, {received} received");
}

#[tokio::test]
async fn at_a_fixed_rate_as_many_are_sent_as_planned() {
    let figures = against(
        Breach::None,
        Settings { rate: Some(200.0), span: Span { seconds: 0.5, warm_up: 0.5, ..SHORT.span }, ..SHORT },
    )
    .await;
    assert_eq!(faults(&figures), [""; 0]);
    // The four that open the conversations come on top.
    assert_eq!((figures.get("sent"), figures.get("not_sent")), (Some(204.0), Some(0.0)));
}

#[tokio::test]
async fn each_breach_is_found_and_named() {
    let cases: [(Breach, &[&str]); 5] = [
        (Breach::AckOnly(5), &["lost", "disagreed"]),
        (Breach::DropForAgent(5), &["undelivered", "gap"]),
        (Breach::Repeat(5), &["duplicated"]),
        (Breach::Swap(5), &["reordered"]),
        (Breach::Invent(5), &["lost", "duplicated", "foreign", "disagreed"]),
    ];
    for (breach, expected) in cases {
        let figures = against(breach, SHORT).await;
        let found = faults(&figures);
        assert!(expected.iter().any(|fault| found.contains(fault)), "{breach:?} showed as {found:?}");
        assert!(found.iter().all(|fault| expected.contains(fault)), "{breach:?} showed as {found:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_an_error_and_no_fault() {
    let figures = against(Breach::Refuse(5), SHORT).await;
    assert_eq!(faults(&figures), [""; 0]);
    assert_eq!(figures.get("errors"), Some(4.0));
}

#[tokio::test]
async fn a_socket_that_ends_is_counted() {
    let figures = against(Breach::HangUp(5), SHORT).await;
    assert!(figures.get("disconnects").unwrap() > 0.0);
}

#[tokio::test]
async fn with_several_nodes_the_way_between_them_is_measured_apart() {
    const WAY_MS: u64 = 40;
    let mint = Mint::ready_made(vec!["visitor.0".into()], vec!["agent.0".into()]);
    let target = Target::at(&fake::start_nodes(Breach::SlowBus(WAY_MS), 2).await, Some(mint));
    let settings = Settings { pairs: 8, rate: Some(200.0), span: Span { seconds: 0.5, ..SHORT.span }, ..SHORT };
    let figures = run(&target, settings).await.unwrap();
    assert_eq!(faults(&figures), [""; 0]);
    let at = |name: &str| figures.get(name).unwrap();
    assert!(at("cross_node_delivered_p50_ms") >= whole(WAY_MS) && at("same_node_delivered_p50_ms") < whole(WAY_MS));
    assert!(at("same_node_delivered_p50_ms") > 0.0, "both were measured");
    let extra = at("cross_node_delivered_p99_ms") - at("same_node_delivered_p99_ms");
    assert!((at("cross_node_extra_p99_ms") - extra).abs() < 1e-9);
}

#[test]
fn half_of_the_pairs_are_on_one_node_and_every_node_has_as_many_of_both_sides() {
    for nodes in [2, 3] {
        let places: Vec<_> = (0..nodes * 4).map(|index| places(index, nodes)).collect();
        assert_eq!(places.iter().filter(|(_, group)| *group == 0).count(), places.len() / 2);
        for side in [VISITOR, 1] {
            assert!((0..nodes).all(|node| places.iter().filter(|(at, _)| at[side] == node).count() == 4));
        }
    }
    assert_eq!(places(1, 1), ([0, 0], 0), "one node has no other");
}

#[tokio::test]
async fn the_baseline_relays_between_pairs() {
    let tasks = Tasks::new();
    let address = relay(&tasks).await;
    let figures = run(&Target::at(&[address], None), SHORT).await.unwrap();
    assert!(figures.get("messages_per_s").unwrap() > 100.0);
    assert!(figures.get("delivered_p50_ms").unwrap() > 0.0);
}

/// A listener that joins pairs as the baseline does.
async fn relay(tasks: &Tasks) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, relays) = (listener.local_addr().unwrap(), tasks.clone());
    tasks.spawn(async move { crate::baseline::relay_all(listener, None, &relays).await.unwrap() });
    address
}

/// A peer that does this.
async fn peer(commands: &str) -> Result<(tempfile::TempDir, Target)> {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: crate::target::Options,
    }
    let folder = tempfile::tempdir().unwrap();
    let (plain, script) = (folder.path().join("plain"), folder.path().join("start.sh"));
    std::fs::write(&plain, format!("#!/bin/sh\n{commands}\n")).unwrap();
    // Copied by another program: what this one has written cannot be run while any child of it still has it open.
    let copied = std::process::Command::new("install").arg("--mode=755").args([&plain, &script]).status().unwrap();
    assert!(copied.success());
    let line = <Line as clap::Parser>::parse_from(["load"]);
    let target = Target::peer(&line.options, folder.path()).await?;
    Ok((folder, target))
}

#[tokio::test]
async fn a_peer_of_several_nodes_has_half_of_its_pairs_across_them() {
    let tasks = Tasks::new();
    let address = relay(&tasks).await;
    // It has a process besides, which ends with it.
    let commands =
        format!("sleep 60 &\ntrap 'kill $!; exit 1' TERM\necho listening {address} {address} websocket\nwait");
    let (_folder, target) = peer(&commands).await.unwrap();
    let figures = run(&target, Settings { pairs: 8, ..SHORT }).await.unwrap();
    let at = |name: &str| figures.get(name).unwrap();
    assert!(at("same_node_delivered_p50_ms") > 0.0 && at("cross_node_delivered_p50_ms") > 0.0);
    assert_eq!((at("not_delivered"), figures.get("same_node_ack_p50_ms")), (0.0, None));
    assert!(target.read().unwrap().rss > 0);
    target.stop().await.unwrap();
}

#[tokio::test]
async fn a_peer_that_does_not_say_where_it_listens_is_refused() {
    let error = peer("echo listening websocket\nexec sleep 60").await.err().unwrap();
    assert!(error.to_string().contains("did not say where"), "{error:#}");
}
