//! The tables in `docs/` are the code's own, told again: each is compared with what the code says.

use deskbell::{
    config::{Limit, Limits},
    protocol::{
        client::Command,
        close::CloseCode,
        server::{Error, ErrorCode},
    },
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

fn first_column(page: &str, head: &str) -> Vec<String> {
    table(page, head).into_iter().map(|row| row[0].trim_matches('`').to_owned()).collect()
}

#[test]
fn close_codes() {
    let code = CloseCode::ALL.iter().map(|close| {
        vec![close.code().to_string(), format!("`{}`", close.reason()), close.then().to_owned()]
    });
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
        let error = Error { id: None, code: *code, message: String::new(), retry_ms: None };
        assert_eq!(serde_json::to_value(error).unwrap()["code"], code.as_str());
    }
}

#[test]
fn commands() {
    assert_eq!(first_column("docs/protocol.md", "| command | who | `ok` brings |"), Command::NAMES);
}

fn limit_row(limit: &Limit) -> String {
    format!("| `{}` | {} | {} | {} |", limit.name, limit.default, limit.unit, limit.what.trim())
}

#[test]
fn limits() {
    let expected: Vec<String> = Limits::TABLE.iter().map(limit_row).collect();
    let told = table("docs/operations.md", "| `limits.` | default | unit | what it bounds |");
    let told: Vec<String> = told.iter().map(|row| format!("| {} |", row.join(" | "))).collect();
    assert_eq!(told, expected, "docs/operations.md should say:\n{}", expected.join("\n"));
}
