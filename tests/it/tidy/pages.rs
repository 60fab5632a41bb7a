//! What the pages for readers name is there: where links lead, settings, variables, metrics.

use std::collections::BTreeSet;

use super::{fail_on, metrics::described, read, root, sources, tables::first_column};

/// What stands in the environment of a balancer, or of `docker compose`, and is no setting of a node.
const OTHERS: [&str; 8] = [
    "DESKBELL_CONFIG",
    "DESKBELL_BIND",
    "DESKBELL_A",
    "DESKBELL_A_ADMIN_PORT",
    "DESKBELL_B",
    "DESKBELL_B_ADMIN_PORT",
    "DESKBELL_SEND_PROXY",
    "DESKBELL_TLS",
];

/// Every page, with its path.
fn pages() -> Vec<(String, String)> {
    let mut pages: Vec<_> =
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|path| (path.to_owned(), read(path))).into();
    let folders = sources(&["docs", "load", "web", "tests"], &["md"]);
    pages.extend(folders.into_iter().map(|source| (source.path, source.text)));
    pages
}

/// The words that begin with `start`, as long as letters are those of names.
fn words<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '.';
    let words = text.split(move |letter| !is_name(letter)).map(|word| word.trim_end_matches(['.', '_']));
    words.filter(move |word| word.starts_with(start) && word.len() > start.len())
}

/// The name that a heading is linked by.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

fn has_anchor(text: &str, wanted: &str) -> bool {
    text.lines().any(|line| line.starts_with('#') && anchor(line) == wanted)
}

fn leads_somewhere(page: &str, text: &str, target: &str) -> bool {
    let (path, wanted) = target.split_once('#').unwrap_or((target, ""));
    if path.is_empty() {
        return has_anchor(text, wanted);
    }
    let found = root().join(page).parent().unwrap().join(path);
    found.exists() && (wanted.is_empty() || has_anchor(&std::fs::read_to_string(&found).unwrap_or_default(), wanted))
}

#[test]
fn links_lead_somewhere() {
    let mut offences = Vec::new();
    let mut count = 0;
    for (page, text) in pages() {
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:")) {
            count += 1;
            if !leads_somewhere(&page, &text, target) {
                offences.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(count > 60, "only {count} links were found");
    fail_on("links that lead nowhere", &offences);
}

#[test]
fn settings_and_their_variables_are_there() {
    let keys = ["## Settings", "## Limits"].map(|part| {
        let page = read("docs/configuration.md");
        let rows =
            page.split(part).nth(1).unwrap().lines().skip_while(|line| !line.starts_with("| `")).map(str::to_owned);
        rows.take_while(|line| line.starts_with('|')).collect::<Vec<_>>()
    });
    let rows = keys.concat();
    let cell = |row: &String, at: usize| row.split(" | ").nth(at).unwrap().trim_matches(['|', ' ', '`']).to_owned();
    let keys: Vec<String> = rows.iter().map(|row| cell(row, 0)).collect();
    let variables: Vec<String> = rows.iter().map(|row| cell(row, 5)).collect();
    assert!(keys.len() > 50 && variables.iter().all(|name| name.starts_with("DESKBELL_")), "{variables:?}");
    let sections: BTreeSet<&str> =
        keys.iter().filter_map(|key| key.split_once('.')).map(|(section, _)| section).collect();
    let mut offences = Vec::new();
    for (page, text) in pages() {
        let quoted = text.split('`').skip(1).step_by(2).collect::<Vec<_>>().join(" ");
        for section in &sections {
            let start = format!("{section}.");
            let unknown = words(&quoted, &start)
                .filter(|word| !keys.iter().any(|key| key == word || key.starts_with(&format!("{word}."))));
            offences.extend(
                unknown
                    .filter(|word| ![".md", ".css"].iter().any(|end| word.ends_with(end)))
                    .map(|word| format!("{page}: {word}")),
            );
        }
        let unknown = words(&text, "DESKBELL_")
            .filter(|word| !variables.iter().any(|name| name == word) && !OTHERS.contains(word));
        offences.extend(unknown.map(|word| format!("{page}: {word}")));
    }
    fail_on("settings that there are not", &offences);
}

#[test]
fn metrics_are_there() {
    let described = described();
    assert!(first_column("docs/operations.md", "| metric | what |").len() > 20);
    let mut offences = Vec::new();
    for (page, text) in pages() {
        let unknown = words(&text, "deskbell_").filter(|word| !described.contains(*word));
        offences.extend(unknown.map(|word| format!("{page}: {word}")));
    }
    fail_on("metrics that there are not", &offences);
}
