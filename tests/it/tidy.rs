//! The rules of this repository, executed: what imports what, how long things are, what may be named where, and that the
//! tables in `docs/` say what the code says. A rule that nothing checks is not a rule.

mod metrics;
mod pages;
mod rows;
mod tables;

use std::{
    fs,
    path::{Path, PathBuf},
};

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;

/// A file that people wrote.
struct Source {
    /// From the repository's root, with `/`.
    path: String,
    text: String,
}

impl Source {
    fn extension(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }

    /// Its lines without those that are only a comment, each with its number.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.text.lines().enumerate().map(|(at, line)| (at + 1, line));
        numbered.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// `path:line` of each line of code that names one of `words`.
    fn naming(&self, words: &[&str]) -> Vec<String> {
        let named = self.code().filter(|(_, line)| words.iter().any(|word| line.contains(word)));
        named.map(|(at, line)| format!("{}:{at}: {}", self.path, line.trim())).collect()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What nobody wrote by hand, or what is not ours.
fn is_skipped(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let folders = ["node_modules", "target", "dist", "test-results", "playwright-report", "snapshots"];
    folders.contains(&name) || name.starts_with('.') || path.ends_with("web/client/src/api.d.ts")
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()).filter(|path| !is_skipped(path)) {
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// All files under `folders` with one of `extensions`, sorted.
fn sources(folders: &[&str], extensions: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for folder in folders {
        walk(&root().join(folder), &mut found);
    }
    found.sort();
    let ours = found.into_iter().filter(|path| path.extension().is_some_and(|e| extensions.iter().any(|x| e == *x)));
    let sources: Vec<Source> = ours.map(|path| source(&path)).collect();
    assert!(!sources.is_empty(), "there are no {extensions:?} under {folders:?}: this test looks at nothing");
    sources
}

fn source(path: &Path) -> Source {
    let text = fs::read_to_string(path).unwrap();
    Source { path: path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/"), text }
}

fn fail_on(rule: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

/// The lines of code of each function that starts on a line of its own, with where it starts. Both formatters put a
/// function's closing brace at the indentation of its first line, so that no parser is needed.
fn functions(source: &Source) -> Vec<(usize, usize)> {
    let starts_function = match source.extension() {
        "rs" => starts_rust_function,
        _ => starts_script_function,
    };
    let lines: Vec<&str> = source.text.lines().collect();
    let starts = (0..lines.len()).filter(|at| starts_function(lines[*at]));
    starts.filter_map(|at| Some((at + 1, body_lines(&lines[at..])?))).collect()
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn body_lines(lines: &[&str]) -> Option<usize> {
    let indent = indentation(lines[0]);
    let is_end = |line: &str| indentation(line) == indent && line.trim_start().starts_with('}');
    let opens = lines.iter().position(|line| line.trim_end().ends_with('{') && indentation(line) == indent)?;
    let body = lines[opens + 1..].iter().take_while(|line| !is_end(line));
    Some(body.filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//")).count())
}

fn starts_rust_function(line: &str) -> bool {
    let words = ["pub", "pub(crate)", "pub(super)", "pub(in", "const", "async", "fn"];
    let mut spoken = line.trim_start().split(' ');
    spoken.next().is_some_and(|first| words.contains(&first)) && line.contains("fn ")
}

fn starts_script_function(line: &str) -> bool {
    let line = line.trim_start();
    let is_function = line.split('(').next().is_some_and(|head| head.split(' ').any(|word| word == "function"));
    let is_arrow = ["const ", "export const "].iter().any(|word| line.starts_with(word)) && line.ends_with("=> {");
    is_function || is_arrow || starts_method(line)
}

/// `  async connect(token: string): Promise<void> {` and the like.
fn starts_method(line: &str) -> bool {
    let name = line.split(['(', '<']).next().unwrap_or_default();
    let keywords = ["if", "for", "while", "switch", "catch", "return", "else", "do", "try", "}", "with"];
    let is_name = |word: &str| word.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '#' | '$'));
    let words: Vec<&str> = name.split(' ').collect();
    line.ends_with('{') && line.contains(')') && words.iter().all(|word| is_name(word)) && !keywords.contains(&words[0])
}

#[test]
fn no_file_is_longer_than_its_reader_can_hold() {
    let all = sources(&["src", "tests", "load", "web", "scripts"], &["rs", "ts", "tsx", "mjs", "js", "css", "sh"]);
    let long = all.iter().map(|source| (source.text.lines().count(), &source.path)).filter(|(n, _)| *n > FILE_LINES);
    let offences: Vec<String> = long.map(|(lines, path)| format!("{path}: {lines} lines")).collect();
    fail_on(&format!("a file has at most {FILE_LINES} lines"), &offences);
}

#[test]
fn no_function_is_longer_than_a_page() {
    let all = sources(&["src", "tests", "load", "web"], &["rs", "ts", "tsx", "mjs"]);
    let lengths = all.iter().flat_map(|source| functions(source).into_iter().map(move |found| (source, found)));
    let long = lengths.filter(|(source, (_, lines))| *lines > FUNCTION_LINES && !is_test_list(source));
    let offences: Vec<String> = long.map(|(source, (at, n))| format!("{}:{at}: {n} lines", source.path)).collect();
    fail_on(&format!("a function has at most {FUNCTION_LINES} lines of code"), &offences);
}

/// In scripts' tests, `describe` wraps the whole file in one function: that is a list, not a function.
fn is_test_list(source: &Source) -> bool {
    source.path.contains(".test.") || source.path.contains(".spec.")
}

#[test]
fn functions_are_found_and_measured() {
    let text = "impl X {\n    pub(crate) async fn a(\n        b: u8,\n    ) -> u8 {\n        // why\n        1;\n\n        2\n    }\n}\n";
    let rust = Source { path: "a.rs".to_owned(), text: text.to_owned() };
    assert_eq!(functions(&rust), [(2, 2)]);
    let text = "export function f() {\n  if (x) {\n    y();\n  }\n}\nclass A {\n  async #b(c: string): Promise<void> {\n    d();\n  }\n}\n";
    let script = Source { path: "a.ts".to_owned(), text: text.to_owned() };
    assert_eq!(functions(&script), [(1, 3), (7, 1)]);
}

#[test]
fn nothing_is_left_for_later() {
    // Spelt in halves, so that this file does not name them.
    let words = ["TO", "FIX", "XX", "db", "to", "unimple"];
    let ends = ["DO", "ME", "X", "g!(", "do!(", "mented!("];
    let words: Vec<String> = words.iter().zip(ends).map(|(start, end)| format!("{start}{end}")).collect();
    let all = sources(
        &["src", "tests", "load", "web", "scripts", "docs", "deploy"],
        &["rs", "ts", "tsx", "mjs", "css", "sh", "md", "html", "toml"],
    );
    let lines = all.iter().flat_map(|source| source.text.lines().enumerate().map(move |line| (source, line)));
    let found = lines.filter(|(_, (_, line))| words.iter().any(|word| line.contains(word.as_str())));
    let offences: Vec<String> = found.map(|(source, (at, _))| format!("{}:{}", source.path, at + 1)).collect();
    fail_on("what is to be done is an issue, not a comment", &offences);
}

/// Names that only the listed files may use, and why.
const ONLY_IN: &[(&[&str], &[&str], &str)] = &[
    (
        &["DashMap", "dashmap"],
        &["src/hub/presence.rs"],
        "a guard held across a second call on its map freezes a server: one file takes care",
    ),
    (
        &["tokio::spawn", "task::spawn", "thread::spawn", "spawn_blocking"],
        &["src/tasks.rs"],
        "what runs in the background is counted and awaited at stop",
    ),
    (&["SystemTime::now", "Utc::now"], &["src/clock.rs"], "time is injected"),
    (&["unbounded_channel"], &[], "every queue has a size and a policy when full"),
];

#[test]
fn some_names_stand_in_one_file_only() {
    let all = sources(&["src"], &["rs"]);
    for (names, files, why) in ONLY_IN {
        let others = all.iter().filter(|source| !files.contains(&source.path.as_str()));
        let offences: Vec<String> = others.flat_map(|source| source.naming(names)).collect();
        fail_on(&format!("{names:?} only in {files:?}, because {why}"), &offences);
        let unused = files
            .iter()
            .filter(|file| all.iter().all(|source| source.path != **file || source.naming(names).is_empty()));
        let unused: Vec<String> = unused.map(ToString::to_string).collect();
        fail_on(&format!("these no longer name {names:?}: correct the list"), &unused);
    }
}

#[test]
fn every_make_target_that_a_page_names_exists() {
    let makefile = read("Makefile");
    let pages = ["README.md", "CONTRIBUTING.md", "docs/operations.md"].map(|name| source(&root().join(name)));
    let named = pages
        .iter()
        .flat_map(|page| page.text.split("`make ").skip(1))
        .filter_map(|rest| rest.split(['`', ' ']).next());
    let missing: Vec<String> = named
        .filter(|target| !makefile.contains(&format!("\n{target}:")))
        .map(|target| format!("make {target}"))
        .collect();
    fail_on("a page names a target that the Makefile does not have", &missing);
}
