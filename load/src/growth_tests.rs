//! `growth` against servers that keep their word, and against one that breaks it.

use super::*;
use crate::{
    fake::{self, Breach},
    spawn::Mint,
};

async fn against(breach: Breach) -> Figures {
    attempt(breach).await.unwrap()
}

async fn attempt(breach: Breach) -> Result<Figures> {
    let mint = Mint::ready_made(
        ["visitor.0.1", "visitor.0.2", "visitor.0.3"].map(String::from).to_vec(),
        vec!["agent.0".into()],
    );
    let target = Target::at(&[fake::start(breach).await], Some(mint)).with_pid(std::process::id());
    let settings = Settings {
        conversations: vec![2, 9],
        rate: 200.0,
        visitors: 3,
        agents: 2,
        span: Span { bytes: 64, seconds: 0.4, warm_up: 0.1 },
    };
    settings.validate().unwrap();
    run(&target, &settings).await
}

#[tokio::test]
async fn all_conversations_are_talked_in_and_judged() {
    let figures = against(Breach::None).await;
    // Two counts of half a second, and those that open the nine conversations.
    assert_eq!((figures.get("sent"), figures.get("acked")), (Some(209.0), Some(209.0)));
    assert_eq!(figures.get("received"), Some(418.0), "both sides read everything");
    for fault in crate::check::Fault::ALL {
        assert_eq!(figures.get(fault.as_str()), Some(0.0), "{fault:?}");
    }
    assert!(figures.get("server_cpu_us_per_message_at_2").is_some() && figures.get("ack_p99_ms_at_9").is_some());
    assert_eq!(figures.get(CONVERSATIONS_MISSING), Some(0.0));
    assert_eq!(figures.charts()[0].lines[0].points.len(), 2);
}

#[tokio::test]
async fn what_is_not_passed_on_is_found() {
    let figures = against(Breach::DropForAgent(5)).await;
    assert!(figures.get("undelivered").unwrap() > 0.0);
}

#[tokio::test]
async fn what_was_measured_before_a_step_failed_is_kept() {
    // Two visitors and two agents at the first count; the second one needs a third visitor.
    let figures = against(Breach::Full(4)).await;
    assert!(figures.get("ack_p99_ms_at_2").is_some() && figures.get("ack_p99_ms_at_9").is_none());
    assert_eq!((figures.get("sent"), figures.get("received")), (Some(102.0), Some(204.0)));
    for fault in crate::check::Fault::ALL {
        assert_eq!(figures.get(fault.as_str()), Some(0.0), "{fault:?}");
    }
    let failures = crate::report::conclude(&[figures], &crate::cli::Output::default()).unwrap();
    assert_eq!(failures, ["conversations_missing = 7"]);
    assert!(attempt(Breach::Full(0)).await.is_err(), "nothing was measured");
}
