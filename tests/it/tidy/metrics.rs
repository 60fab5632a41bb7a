//! What is counted is described, what is described is counted, and `docs/operations.md` lists it.

use std::collections::BTreeSet;

use super::{fail_on, read, sources, tables::first_column};

const TELEMETRY: &str = "src/telemetry.rs";

/// Code with all white space as one blank: the formatter may break a call anywhere.
fn flat(path: Option<&str>) -> String {
    let all = sources(&["src"], &["rs"]);
    let wanted = all.iter().filter(|source| path.is_none_or(|path| source.path == path));
    let code: String = wanted.flat_map(|source| source.code().map(|(_, line)| format!("{line}\n"))).collect();
    code.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The metrics' names that follow `before` in `code`.
fn names_after(code: &str, before: &str) -> BTreeSet<String> {
    let found = code.split(before).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
    found.filter(|name| name.starts_with("deskbell_")).map(str::to_owned).collect()
}

fn counted() -> BTreeSet<String> {
    let code = flat(None);
    ["counter!(", "gauge!(", "histogram!("].iter().flat_map(|call| names_after(&code, call)).collect()
}

/// The tables in `src/telemetry.rs`: `("deskbell_sessions", Unit::Count, "..."),`
pub(super) fn described() -> BTreeSet<String> {
    let code = flat(Some(TELEMETRY));
    names_after(&code, "(").into_iter().filter(|name| code.contains(&format!("\"{name}\", Unit::"))).collect()
}

#[test]
fn what_is_counted_is_described_and_the_other_way_round() {
    let (counted, described) = (counted(), described());
    assert!(described.len() > 10, "{TELEMETRY} has lost its tables");
    let offences: Vec<String> = counted.symmetric_difference(&described).cloned().collect();
    fail_on("counted and not described, or described and not counted", &offences);
}

#[test]
fn the_page_lists_all_metrics() {
    let told: BTreeSet<String> = first_column("docs/operations.md", "| metric | what |").into_iter().collect();
    let offences: Vec<String> = told.symmetric_difference(&described()).cloned().collect();
    fail_on("docs/operations.md and src/telemetry.rs list different metrics", &offences);
}

/// The metrics that alerts and dashboard ask for, without what a histogram adds to its name.
fn asked_for(path: &str) -> BTreeSet<String> {
    let text = read(path);
    let words = text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
    let names = words.filter(|word| word.starts_with("deskbell_"));
    names.map(|name| name.strip_suffix("_bucket").unwrap_or(name).to_owned()).collect()
}

#[test]
fn alerts_and_dashboard_ask_for_what_there_is() {
    for path in ["deploy/prometheus/deskbell.rules.yaml", "deploy/grafana/deskbell.json"] {
        let asked = asked_for(path);
        assert!(asked.len() > 8, "{path} asks for {asked:?}");
        let offences: Vec<String> = asked.difference(&described()).cloned().collect();
        fail_on(&format!("{path} asks for metrics that there are not"), &offences);
    }
}

#[test]
fn every_alert_has_its_page() {
    let (rules, page) = (read("deploy/prometheus/deskbell.rules.yaml"), read("docs/operations.md"));
    let tested = read("deploy/prometheus/deskbell.rules.test.yaml");
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 8, "{alerts:?}");
    for alert in alerts {
        assert!(page.contains(&format!("\n### {alert}\n")), "docs/operations.md does not say what to do about {alert}");
        assert!(rules.contains(&format!("docs/operations.md#{}\"", alert.to_lowercase())), "{alert} names no page");
        assert!(tested.contains(&format!("alertname: {alert}\n")), "nobody has seen {alert} fire");
    }
}
