//! Who may import whom. The table of rows in `docs/architecture.md` is the rule; this reads it and holds the code to it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, fail_on, read, sources};

type Rows = BTreeMap<String, Allowed>;

/// What a module may import.
enum Allowed {
    Everything,
    Only(BTreeSet<String>),
}

impl Allowed {
    fn contains(&self, module: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Only(modules) => modules.contains(module),
        }
    }
}

/// The words in backticks of a table's cell.
fn names(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

fn rows() -> Rows {
    let page = read("docs/architecture.md");
    let lines = page.lines().skip_while(|line| !line.starts_with("| row | modules | may import |")).skip(2);
    let cells = lines.take_while(|line| line.starts_with('|')).map(|line| line.split('|').collect::<Vec<_>>());
    let mut rows = Rows::new();
    for cells in cells {
        for module in names(cells[2]) {
            let everything = cells[3].trim() == "everything";
            let allowed = if everything { Allowed::Everything } else { Allowed::Only(names(cells[3]).collect()) };
            assert!(rows.insert(module.clone(), allowed).is_none(), "{module} stands in two rows");
        }
    }
    assert!(rows.len() > 5, "docs/architecture.md has lost its table of rows");
    rows
}

/// `src/log/sql.rs` belongs to `log`; `src/lib.rs` to none.
fn module_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    let module = inside.split('/').next()?.trim_end_matches(".rs");
    (module != "lib").then_some(module)
}

/// The top-level modules that a source names after `crate::`, or after the crate's name in `main.rs`.
fn imports(source: &Source) -> BTreeSet<String> {
    let code: String = source.code().map(|(_, line)| line.to_owned() + "\n").collect();
    let code = code.replace("deskbell::", "crate::");
    code.split("crate::").skip(1).flat_map(first_names).collect()
}

/// The first names of the path or the `{group}` that `rest` begins with.
fn first_names(rest: &str) -> Vec<String> {
    match rest.strip_prefix('{') {
        None => vec![identifier(rest)],
        Some(group) => group_names(group),
    }
}

fn group_names(group: &str) -> Vec<String> {
    let mut depth = 0_i32;
    let mut names = vec![String::new()];
    for letter in group.chars() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(String::new()),
            _ if depth == 0 => names.last_mut().unwrap().push(letter),
            _ => {}
        }
    }
    names.iter().map(|name| identifier(name.trim())).filter(|name| !name.is_empty()).collect()
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Lines whose `super::` leads out of the source's top-level module: the check of imports would not see them.
fn escapes(source: &Source) -> Vec<String> {
    let folders = source.path.matches('/').count();
    let tests_from = source.code().find(|(_, line)| line.starts_with("mod tests {")).map_or(usize::MAX, |(at, _)| at);
    let is_escape = |at: usize, line: &str| {
        let depth = folders + usize::from(at > tests_from && line.starts_with(' '));
        line.contains(&"super::".repeat(depth))
    };
    let found = source.code().filter(|(at, line)| is_escape(*at, line));
    found.map(|(at, line)| format!("{}:{at}: {}", source.path, line.trim())).collect()
}

#[test]
fn no_path_climbs_to_the_root_by_super() {
    let all = sources(&["src"], &["rs"]);
    let ours = all.iter().filter(|source| module_of(&source.path).is_some());
    fail_on("say `crate::`", &ours.flat_map(escapes).collect::<Vec<_>>());
}

#[test]
fn imports_are_read_from_code() {
    let text = "use crate::{\n    clock::Millis,\n    domain::{self, Key},\n    ids,\n};\n/// [`crate::hub`]\nfn a() { crate::log::b() }\n";
    let source = Source { path: "src/desk/x.rs".to_owned(), text: text.to_owned() };
    assert_eq!(imports(&source).into_iter().collect::<Vec<_>>(), ["clock", "domain", "ids", "log"]);
    assert_eq!(module_of(&source.path), Some("desk"));
}

#[test]
fn every_module_stands_in_a_row() {
    let all = sources(&["src"], &["rs"]);
    let present: BTreeSet<&str> = all.iter().filter_map(|source| module_of(&source.path)).collect();
    let rows = rows();
    let known: BTreeSet<&str> = rows.keys().map(String::as_str).collect();
    let offences: Vec<String> = present.symmetric_difference(&known).map(ToString::to_string).collect();
    fail_on("src/ and the table of rows in docs/architecture.md name different modules", &offences);
    let allowed = rows.values().filter_map(|allowed| if let Allowed::Only(set) = allowed { Some(set) } else { None });
    let strangers = allowed.flatten().filter(|name| !known.contains(name.as_str()));
    fail_on("the table lets import what does not exist", &strangers.cloned().collect::<Vec<_>>());
}

#[test]
fn nothing_imports_upwards() {
    let (all, rows) = (sources(&["src"], &["rs"]), rows());
    let mut offences = Vec::new();
    for source in &all {
        let Some((module, allowed)) = module_of(&source.path).and_then(|m| Some((m, rows.get(m)?))) else { continue };
        let others = imports(source).into_iter().filter(|name| name != module && rows.contains_key(name));
        offences.extend(
            others.filter(|name| !allowed.contains(name)).map(|name| format!("{} imports {name}", source.path)),
        );
    }
    fail_on("the table of rows in docs/architecture.md does not allow it", &offences);
}

/// Position of each row, to see that the table itself points downwards.
#[test]
fn the_table_of_rows_points_downwards() {
    let rows = rows();
    let mut settled: BTreeSet<&str> = BTreeSet::new();
    loop {
        let is_ready = |allowed: &Allowed| match allowed {
            Allowed::Everything => true,
            Allowed::Only(modules) => modules.iter().all(|module| settled.contains(module.as_str())),
        };
        let next: Vec<&str> = rows
            .iter()
            .filter(|(m, a)| !settled.contains(m.as_str()) && is_ready(a))
            .map(|(m, _)| m.as_str())
            .collect();
        if next.is_empty() {
            break;
        }
        settled.extend(next);
    }
    let circle: Vec<String> = rows.keys().filter(|module| !settled.contains(module.as_str())).cloned().collect();
    fail_on("these import each other in a circle", &circle);
}
