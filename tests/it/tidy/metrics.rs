//! What is counted is described, what is described is counted, and `docs/operations.md` lists it.

use std::collections::BTreeSet;

use super::{fail_on, sources, tables::first_column};

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
fn described() -> BTreeSet<String> {
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
