//! `idle` against a server that is no more than a socket that answers.

use super::*;
use crate::{
    fake::{self, Breach},
    spawn::Mint,
};

fn settings() -> Settings {
    Settings { sessions: 8, processes: 1, steps: 1, at: Vec::new(), seconds: 0.05 }
}

async fn target(breach: Breach) -> Target {
    let mint = Mint::ready_made(vec!["visitor.0".into()], vec!["agent.0".into()]);
    Target::at(&[fake::start(breach).await], Some(mint)).with_pid(std::process::id())
}

#[tokio::test]
async fn each_point_has_its_figures_and_nobody_is_missing() {
    let figures = run(&target(Breach::None).await, &Settings { at: vec![2, 4], ..settings() }).await.unwrap();
    assert_eq!((figures.get("sessions"), figures.get(SESSIONS_MISSING)), (Some(8.0), Some(0.0)));
    for name in ["rss_per_session_at_2_bytes", "rss_per_session_at_4_bytes", "rss_per_session_bytes"] {
        assert!(figures.get(name).is_some(), "{name}");
    }
    assert_eq!(figures.charts().len(), 3);
    assert_eq!(figures.charts()[1].lines[0].points.iter().map(|point| point.0).collect::<Vec<_>>(), [2.0, 4.0, 8.0]);
}

#[tokio::test]
async fn who_is_refused_is_missing_and_the_rest_is_measured() {
    let figures = run(&target(Breach::Full(5)).await, &Settings { at: vec![2], ..settings() }).await.unwrap();
    let (there, missing) = (figures.get("sessions").unwrap(), figures.get(SESSIONS_MISSING).unwrap());
    assert!((2.0..=5.0).contains(&there) && (there + missing - 8.0).abs() < 0.1, "{there} {missing}");
    assert!(figures.get("rss_per_session_bytes").is_some());
    let failures = crate::report::conclude(&[figures], &crate::cli::Output::default()).unwrap();
    assert!(failures[0].starts_with("sessions_missing = "), "{failures:?}");
    let error = run(&target(Breach::Full(0)).await, &settings()).await.unwrap_err().to_string();
    assert!(error.contains("there is no session") && error.contains("unavailable"), "{error}");
}

#[test]
fn points_are_equal_parts_or_those_that_are_named() {
    assert_eq!(Settings { steps: 4, ..settings() }.points(), [2, 4, 6, 8]);
    assert_eq!(Settings { at: vec![100, 4, 4], ..settings() }.points(), [4, 8]);
}
