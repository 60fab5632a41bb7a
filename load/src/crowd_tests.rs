//! `check` against nodes that keep their word, and against nodes that break it: each breach must be found and named.

use super::*;
use crate::{
    check::Fault,
    client::{Buffers, Endpoint, Sources},
    fake::{self, Breach},
};

const SHORT: Settings = Settings {
    conversations: 6,
    readers: 2,
    rate: None,
    seconds: 0.0,
    messages: Some(400),
    bytes: 32,
    roam: None,
    last_call: 0.5,
};

async fn against(breach: Breach, settings: &Settings) -> Figures {
    let nodes = fake::start_nodes(breach, 2).await;
    let nodes: Vec<_> = nodes.into_iter().map(|address| Endpoint { tls: false, address }).collect();
    let dialer = Dialer::to_any(&nodes, None, Buffers::TALKING, Sources::one()).unwrap();
    let mint = |project: usize| {
        let visitors = (0..settings.conversations).map(|number| format!("visitor.{project}.{number}")).collect();
        Mint::ready_made(visitors, vec![format!("agent.{project}")])
    };
    run(&Ground { dialer, mints: (0..PROJECTS).map(mint).collect() }, settings).await.unwrap()
}

fn faults(figures: &Figures) -> Vec<&'static str> {
    Fault::ALL.into_iter().map(Fault::as_str).filter(|name| figures.get(name).unwrap() > 0.0).collect()
}

#[tokio::test]
async fn honest_nodes_are_found_clean_whoever_comes_and_goes() {
    let settings = Settings { roam: Some(0.1), messages: Some(2_000), ..SHORT };
    let figures = against(Breach::None, &settings).await;
    assert_eq!(faults(&figures), [""; 0]);
    assert!(figures.get("acked").unwrap() >= 2_000.0);
    assert!(figures.get("returns").unwrap() > 10.0, "they did go about");
    assert_eq!(figures.get("unanswered"), Some(0.0));
}

#[tokio::test]
async fn each_breach_is_found_and_named() {
    let cases: [(Breach, &[&str]); 12] = [
        (Breach::AckOnly(5), &["lost", "disagreed"]),
        (Breach::DropForAgent(5), &["undelivered", "gap"]),
        (Breach::DropOneIn(100), &["undelivered", "gap"]),
        (Breach::Repeat(5), &["duplicated"]),
        (Breach::ForgetKey(5), &["duplicated", "disagreed"]),
        (Breach::Swap(5), &["reordered"]),
        (Breach::Invent(5), &["foreign", "lost", "duplicated", "disagreed"]),
        (Breach::RefuseAndStore(5), &["aborted"]),
        (Breach::LeakNote(3), &["leaked"]),
        (Breach::CrossTalk(5), &["leaked"]),
        (Breach::HeadAbroad(5), &["leaked"]),
        (Breach::OpenDoors, &["leaked"]),
    ];
    for (breach, expected) in cases {
        let figures = against(breach, &SHORT).await;
        let found = faults(&figures);
        assert!(found.contains(&expected[0]), "{breach:?} showed as {found:?}");
        assert!(found.iter().all(|fault| expected.contains(fault)), "{breach:?} showed as {found:?}");
    }
}

#[tokio::test]
async fn one_delivery_of_ten_thousand_is_missed() {
    let settings = Settings { messages: Some(5_000), ..SHORT };
    let figures = against(Breach::DropOneIn(10_000), &settings).await;
    let missed = figures.get("undelivered").unwrap();
    assert!(missed > 0.0 && missed <= 2.0, "{missed} of {} deliveries", figures.get("received").unwrap());
}

#[tokio::test]
async fn a_refusal_for_now_and_a_socket_that_ends_are_no_faults() {
    for (breach, sign) in [(Breach::Refuse(5), "errors"), (Breach::HangUp(5), "disconnects")] {
        let figures = against(breach, &SHORT).await;
        assert_eq!(faults(&figures), [""; 0], "{breach:?}");
        assert_eq!(figures.get("unanswered"), Some(0.0));
        assert!(figures.get(sign).unwrap() > 0.0, "{breach:?}");
    }
}

#[tokio::test]
async fn at_a_fixed_rate_as_many_are_sent_as_planned() {
    let settings = Settings { rate: Some(400.0), messages: Some(200), ..SHORT };
    let figures = against(Breach::None, &settings).await;
    assert_eq!(faults(&figures), [""; 0]);
    // Those that open the conversations come on top.
    assert_eq!((figures.get("acked"), figures.get("not_sent")), (Some(206.0), Some(0.0)));
}

#[tokio::test]
async fn a_crowd_is_calm_when_nothing_is_late() {
    let nodes = fake::start_nodes(Breach::DropForAgent(5), 1).await;
    let dialer =
        Dialer::new(Endpoint { tls: false, address: nodes[0] }, None, Buffers::TALKING, Sources::one()).unwrap();
    let mint =
        |project: usize| Mint::ready_made(vec![format!("visitor.{project}.0")], vec![format!("agent.{project}")]);
    let ground = Ground { dialer, mints: (0..PROJECTS).map(mint).collect() };
    let mut crowd = Crowd::gather(&ground, &Settings { conversations: 2, ..SHORT }).await.unwrap();
    let quiet = crowd.settle(Instant::now(), Duration::from_secs(1)).await;
    assert!(quiet.is_some_and(|took| took < Duration::from_millis(500)), "{quiet:?}");
    crowd.begin();
    tokio::time::sleep(LATE * 2).await;
    assert_eq!(crowd.settle(Instant::now(), Duration::from_secs(1)).await, None, "a message never arrives");
}
