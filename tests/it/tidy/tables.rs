//! The tables in `docs/` are the code's own, told again: each is compared with what the code says.

use deskbell::protocol::{
    client::Command,
    close::CloseCode,
    server::{Error, ErrorCode},
};

use super::read;

/// The cells of the table in `page` whose first line is `head`.
fn table(page: &str, head: &str) -> Vec<Vec<String>> {
    let text = read(page);
    let lines = text.lines().skip_while(|line| *line != head).skip(2).take_while(|line| line.starts_with('|'));
    let rows: Vec<Vec<String>> = lines.map(cells).collect();
    assert!(!rows.is_empty(), "{page} has no table that begins with {head}");
    rows
}

fn cells(line: &str) -> Vec<String> {
    let inner = line.trim_start_matches('|').trim_end_matches('|');
    inner.split('|').map(|cell| cell.trim().to_owned()).collect()
}

pub(super) fn first_column(page: &str, head: &str) -> Vec<String> {
    table(page, head).into_iter().map(|row| row[0].trim_matches('`').to_owned()).collect()
}

#[test]
fn close_codes() {
    let code = CloseCode::ALL
        .iter()
        .map(|close| vec![close.code().to_string(), format!("`{}`", close.reason()), close.then().to_owned()]);
    assert_eq!(table("docs/protocol.md", "| code | reason | the client then |"), code.collect::<Vec<_>>());
}

#[test]
fn error_codes() {
    let code: Vec<&str> = ErrorCode::ALL.iter().map(|error| error.as_str()).collect();
    assert_eq!(first_column("docs/protocol.md", "| code | means |"), code);
}

#[test]
fn error_codes_are_complete_and_named_as_on_the_wire() {
    for code in ErrorCode::ALL {
        let error = Error { id: None, code: *code, message: String::new(), retry_ms: None, trace: None };
        assert_eq!(serde_json::to_value(error).unwrap()["code"], code.as_str());
    }
}

#[test]
fn commands() {
    assert_eq!(first_column("docs/protocol.md", "| command | who | `ok` brings |"), Command::NAMES);
}

/// The words that `field` may be in the schema `name` of the generated document, which another test holds to the code.
fn words_of(name: &str, field: &str) -> Vec<String> {
    let document: serde_json::Value = serde_json::from_str(&read("docs/asyncapi.json")).unwrap();
    let mut words = Vec::new();
    collect_words(&document["components"]["schemas"][name]["oneOf"], field, &mut words);
    assert!(!words.is_empty(), "docs/asyncapi.json has no {field} in {name}");
    words
}

fn collect_words(value: &serde_json::Value, field: &str, words: &mut Vec<String>) {
    match value {
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect_words(item, field, words)),
        serde_json::Value::Object(map) => {
            let named = map.get("properties").and_then(|p| p.get(field)).and_then(|f| f["enum"][0].as_str());
            words.extend(named.map(str::to_owned));
            map.get("allOf").into_iter().for_each(|parts| collect_words(parts, field, words));
        }
        _ => {}
    }
}

#[test]
fn events() {
    assert_eq!(first_column("docs/protocol.md", "| event | lane | body |"), words_of("Event", "event"));
}

#[test]
fn every_frame_of_the_server_is_shown() {
    let page = read("docs/protocol.md");
    let missing = |word: &String| !page.contains(&format!("{{\"type\":\"{word}\""));
    let missing: Vec<String> = words_of("ServerFrame", "type").into_iter().filter(missing).collect();
    assert!(missing.is_empty(), "docs/protocol.md shows no frame of these types: {missing:?}");
}
