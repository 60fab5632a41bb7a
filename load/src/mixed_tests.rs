//! A short day against a server that keeps its word, and against servers that break it.

use super::*;
use crate::{
    check::Fault,
    fake::{self, Breach},
    spawn::Mint,
};

const SHORT: Settings = Settings { visitors: 60, chatting_percent: 60, agents: 3, minutes: 0.02, bytes: 64, seed: 1 };

async fn against(breach: Breach) -> Figures {
    let tokens = |who: &str, count: usize| (0..count).map(|number| format!("{who}.0.{number}")).collect();
    let mint = Mint::ready_made(tokens("visitor", SHORT.visitors), tokens("agent", SHORT.agents + 1));
    run(&Target::at(&fake::start_nodes(breach, 2).await, Some(mint)), SHORT).await.unwrap()
}

fn faults(figures: &Figures) -> Vec<&'static str> {
    Fault::ALL.into_iter().map(Fault::as_str).filter(|name| figures.get(name).unwrap() > 0.0).collect()
}

#[tokio::test]
async fn an_honest_server_has_a_day_without_faults() {
    let figures = against(Breach::None).await;
    assert_eq!(faults(&figures), [""; 0]);
    let at = |name: &str| figures.get(name).unwrap();
    assert_eq!(
        (figures.get(UNFINISHED), figures.get("errors"), figures.get("disconnects")),
        (Some(0.0), Some(0.0), Some(0.0))
    );
    assert!(at("chats") > 20.0 && figures.get("finished_chats") == figures.get("chats"), "all were ended");
    for deed in ["page_views", "typing", "reads", "navigations", "walked_off", "transfers", "notes", "ratings"] {
        assert!(at(deed) > 0.0, "nobody did {deed}");
    }
    assert_eq!(figures.get("unanswered"), Some(0.0));
}

#[tokio::test]
async fn a_breach_in_a_day_is_found() {
    for (breach, expected) in
        [(Breach::Repeat(3), "duplicated"), (Breach::LeakNote(1), "leaked"), (Breach::Invent(2), "foreign")]
    {
        let found = faults(&against(breach).await);
        assert!(found.contains(&expected), "{breach:?} showed as {found:?}");
    }
}
