//! Reading a client's frame: what is wrong with it decides who is told and what ends.

use std::borrow::Cow;

use serde::{Deserialize, de::DeserializeOwned};

use super::{Body, ClientFrame, Command, Send};
use crate::{domain::Key, ids::ConversationId, protocol::MAX_BATCH};

/// The deepest nesting of an inbound object. The protocol's own needs three.
const MAX_DEPTH: usize = 16;

/// What the server reads of an object before it knows what it is.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    id: Option<u32>,
}

/// A [`Send`] in its [`Envelope`].
#[derive(Deserialize)]
struct WholeSend<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    id: Option<u32>,
    conversation: ConversationId,
    key: Key,
    body: Body,
}

/// Why an inbound object is not a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not JSON, or not an object with a `type`: the socket is closed with 4500.
    #[error("the frame is no JSON object with a `type`")]
    Malformed,
    /// A `type` that this version does not know.
    #[error("there is no command `{kind}` in this version")]
    UnknownType {
        /// The number to answer.
        id: Option<u32>,
        /// What it said.
        kind: String,
    },
    /// A field is missing or of the wrong kind.
    #[error("{message}")]
    BadRequest {
        /// The number to answer.
        id: Option<u32>,
        /// Which field, and what it takes.
        message: String,
    },
}

impl ClientFrame {
    /// Reads one line of a frame.
    pub fn parse(line: &str) -> Result<Self, ParseError> {
        if is_deep(line) {
            return Err(ParseError::Malformed);
        }
        if let Some(sent) = send(line) {
            return Ok(sent);
        }
        let envelope: Envelope<'_> = serde_json::from_str(line).map_err(|_| ParseError::Malformed)?;
        let id = envelope.id;
        match Command::parse(&envelope.kind, line) {
            Some(Ok(command)) => Ok(Self { id, command }),
            Some(Err(message)) => Err(ParseError::BadRequest { id, message }),
            None => Err(ParseError::UnknownType { id, kind: envelope.kind.chars().take(40).collect() }),
        }
    }

    /// The objects of a frame, one a line; blank lines are skipped. Too many are malformed.
    pub fn lines(frame: &str) -> Result<impl Iterator<Item = &str>, ParseError> {
        let lines = || frame.split('\n').map(str::trim).filter(|line| !line.is_empty());
        match lines().take(MAX_BATCH + 1).count() {
            1..=MAX_BATCH => Ok(lines()),
            _ => Err(ParseError::Malformed),
        }
    }
}

/// Whether objects and arrays are nested deeper than [`MAX_DEPTH`]. Nothing in the protocol is; what is unknown could be.
fn is_deep(line: &str) -> bool {
    // Of the protocol's own none has as many, unless a text does. Counted in one go, which is many bytes at once.
    if line.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() <= MAX_DEPTH {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in line.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

/// Reads what most frames are in one go, where it begins as clients write it. What is none, or is wrong, is read as all others are:
/// the two take the same.
fn send(line: &str) -> Option<ClientFrame> {
    let begun = line.strip_prefix('{')?;
    let numbered =
        begun.strip_prefix(r#""id":"#).map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ','));
    if !numbered.unwrap_or(begun).starts_with(r#""type":"send""#) {
        return None;
    }
    let WholeSend { kind, id, conversation, key, body } = serde_json::from_str(line).ok()?;
    let command = Command::Send(Send { conversation, key, body });
    (kind == command.name()).then_some(ClientFrame { id, command })
}

/// Reads a command's body; the error names the field. It is found by reading again, so that only who errs pays for it.
pub(super) fn body<T: DeserializeOwned>(line: &str) -> Result<T, String> {
    serde_json::from_str(line).map_err(|error| {
        let mut again = serde_json::Deserializer::from_str(line);
        let field = serde_path_to_error::deserialize::<_, T>(&mut again).err().map(|error| error.path().to_string());
        match field.filter(|path| path != ".") {
            Some(field) => format!("`{field}`: {}", plain(&error)),
            None => plain(&error),
        }
    })
}

/// serde's message without the position, which means nothing to who reads the answer.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::client::{AssignTarget, MeWord, Pong};

    #[test]
    fn the_three_ways_to_be_wrong_are_told_apart() {
        assert_eq!(ClientFrame::parse("[1]"), Err(ParseError::Malformed));
        assert_eq!(ClientFrame::parse("{\"type\":"), Err(ParseError::Malformed));
        let deep = format!("{{\"type\":\"pong\",\"x\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
        assert_eq!(ClientFrame::parse(&deep), Err(ParseError::Malformed));
        let nested = |depth: usize| format!("{{\"type\":\"pong\",\"x\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(ClientFrame::parse(&nested(MAX_DEPTH - 1)).is_ok());
        assert_eq!(ClientFrame::parse(&nested(MAX_DEPTH)), Err(ParseError::Malformed));
        let brackets_in_a_text = format!("{{\"type\":\"pong\",\"x\":\"\\\"{}\"}}", "[".repeat(50));
        assert!(ClientFrame::parse(&brackets_in_a_text).is_ok());
        assert_eq!(
            ClientFrame::parse(r#"{"type":"dance","id":3}"#),
            Err(ParseError::UnknownType { id: Some(3), kind: "dance".to_owned() })
        );
        let missing = ClientFrame::parse(r#"{"type":"unwatch","id":4}"#);
        assert!(
            matches!(missing, Err(ParseError::BadRequest { id: Some(4), message }) if message.contains("conversation"))
        );
    }

    #[test]
    fn a_field_of_the_wrong_kind_is_named() {
        let message = |line: &str| match ClientFrame::parse(line) {
            Err(ParseError::BadRequest { message, .. }) => message,
            other => panic!("{other:?}"),
        };
        let history = r#"{"type":"history","conversation":"01989f00-0000-7000-8000-000000000001","limit":"many"}"#;
        assert_eq!(message(history), "`limit`: invalid type: string \"many\", expected u32");
        assert_eq!(message(r#"{"type":"open","key":"k","body":{}}"#), "`body`: missing field `text`");
        assert_eq!(message(r#"{"type":"refresh"}"#), "missing field `token`");
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let frame = ClientFrame::parse(r#"{"type":"pong","mood":"fine"}"#);
        assert_eq!(frame, Ok(ClientFrame { id: None, command: Command::Pong(Pong {}) }));
    }

    #[test]
    fn a_send_is_taken_and_refused_alike_however_it_begins() {
        let fields = [
            r#""type":"send""#,
            r#""id":7"#,
            r#""conversation":"01989f00-0000-7000-8000-000000000001""#,
            r#""key":"k-1""#,
            r#""body":{"text":"a \"quoted\" \u00e9"}"#,
            r#""more":[1,{}]"#,
        ];
        let conversation = "01989f00-0000-7000-8000-000000000001".parse().unwrap();
        let (key, body) = (Key::parse("k-1").unwrap(), Body { text: "a \"quoted\" é".to_owned() });
        let sent = ClientFrame { id: Some(7), command: Command::Send(Send { conversation, key, body }) };
        let line = |fields: &[&str]| format!("{{{}}}", fields.join(","));
        // Read in one go where type or number and type come first, as an envelope and a body elsewhere.
        for turns in 0..fields.len() {
            let mut turned = fields;
            turned.rotate_left(turns);
            assert_eq!(ClientFrame::parse(&line(&turned)).as_ref(), Ok(&sent), "{turns}");
            turned.reverse();
            assert_eq!(ClientFrame::parse(&line(&turned)).as_ref(), Ok(&sent), "{turns} reversed");
        }
        let parse = |fields: &[&str]| ClientFrame::parse(&line(fields));
        for twice in ["\"type\":\"send\"", "\"type\":\"note\"", "\"id\":8"] {
            assert_eq!(parse(&[&fields[..], &[twice]].concat()), Err(ParseError::Malformed), "{twice}");
        }
        for (missing, name) in [(2, "conversation"), (3, "key"), (4, "body")] {
            let mut rest = fields.to_vec();
            rest.remove(missing);
            let told = parse(&rest);
            assert!(
                matches!(&told, Err(ParseError::BadRequest { id: Some(7), message }) if message.contains(name)),
                "{told:?}"
            );
        }
        assert_eq!(ClientFrame::parse(&format!("{} x", line(&fields))), Err(ParseError::Malformed));
        assert!(matches!(parse(&["\"type\":\"sendx\""]), Err(ParseError::UnknownType { .. })));
    }

    #[test]
    fn assign_takes_an_id_me_or_null() {
        let target = |json: &str| serde_json::from_str::<AssignTarget>(json).ok();
        assert_eq!(target("null"), Some(AssignTarget::Nobody));
        assert_eq!(target("\"me\""), Some(AssignTarget::Me(MeWord::Me)));
        assert_eq!(target("\"you\""), None);
    }

    #[test]
    fn a_frame_holds_one_to_sixteen_objects() {
        assert!(ClientFrame::lines("\n \n").is_err());
        assert_eq!(ClientFrame::lines(&"{}\n".repeat(16)).map(Iterator::count), Ok(16));
        assert!(ClientFrame::lines(&"{}\n".repeat(17)).is_err());
    }
}
