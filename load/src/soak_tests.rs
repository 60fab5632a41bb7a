//! A soak of seconds against a server that keeps its word.

use super::*;
use crate::{
    fake::{self, Breach},
    report::GROWTH,
    spawn::Mint,
};

#[tokio::test]
async fn a_soak_talks_lets_people_pass_and_judges_growth() {
    let tokens = |who: &str| (0..PASSERS_BY).map(|number| format!("{who}.0.{number}")).collect();
    let mint = Mint::ready_made(tokens("visitor"), tokens("agent"));
    // The fake is this very process: its memory can be read.
    let target = Target::at(&[fake::start(Breach::None).await], Some(mint)).with_pid(std::process::id());
    let settings = Settings {
        hours: 0.0,
        minutes: Some(0.1),
        pairs: 4,
        rate: 100.0,
        passing: 20.0,
        bytes: 32,
        tolerance_percent: 1000.0,
    };
    settings.validate().unwrap();
    let figures = run(&target, settings).await.unwrap();
    assert_eq!(figures.get("passing_failures"), Some(0.0));
    assert_eq!(figures.get("lost"), Some(0.0));
    for name in GROWTH {
        assert_eq!(figures.get(name), Some(0.0), "{name}");
    }
    assert!(figures.get("rss_mb_per_hour").is_some() && figures.get("descriptors_per_hour").is_some());
    assert!(figures.charts().iter().any(|chart| chart.title == "Memory of the server"));
}

#[test]
fn a_soak_is_bounded() {
    let settings =
        Settings { hours: 25.0, minutes: None, pairs: 1, rate: 1.0, passing: 0.0, bytes: 1, tolerance_percent: 10.0 };
    assert!(settings.validate().is_err());
    assert!(Settings { hours: 24.0, ..settings }.validate().is_ok());
}

#[test]
fn no_token_is_used_until_it_ends() {
    let soak =
        |hours| Settings { hours, minutes: None, pairs: 1, rate: 1.0, passing: 0.0, bytes: 1, tolerance_percent: 10.0 };
    for (hours, rounds) in [(0.5, 1), (1.0, 2), (24.0, 29)] {
        assert_eq!(soak(hours).rounds(), rounds);
        assert!((soak(hours).chat().span.seconds * f64::from(rounds) - hours * 3600.0).abs() < 1e-6);
    }
}
