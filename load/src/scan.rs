//! Reads the server's frames with as little work as possible: the harness must not be what limits the measurement.
//!
//! A field is found by its quoted name. That name can't be met inside a string, where a quote has a backslash before it;
//! among equal names the first one counts, which in every frame of the protocol is the outermost.

use std::sync::LazyLock;

use deskbell::{domain::Lane, protocol::client::Page};
use memchr::memmem::Finder;

use crate::{
    check::{Mark, Seen},
    pair::WRITERS,
};

/// What is looked for in frames, made ready once: the search of the standard library took nearly a tenth of the CPU of a `fanout`.
struct Names {
    r#type: Finder<'static>,
    id: Finder<'static>,
    seq: Finder<'static>,
    code: Finder<'static>,
    retry_ms: Finder<'static>,
    conversation: Finder<'static>,
    event: Finder<'static>,
    text: Finder<'static>,
    /// Not a name: an entry of the desk lane.
    of_desk: Finder<'static>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| Names {
    r#type: Finder::new("\"type\":\""),
    id: Finder::new("\"id\":"),
    seq: Finder::new("\"seq\":"),
    code: Finder::new("\"code\":\""),
    retry_ms: Finder::new("\"retry_ms\":"),
    conversation: Finder::new("\"conversation\":\""),
    event: Finder::new("\"event\":\""),
    text: Finder::new("\"text\":\""),
    of_desk: Finder::new("\"lane\":\"desk\""),
});

/// One object of a frame, as far as scenarios care.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// A command was carried out; `seq` where the answer has one.
    Ok { id: u32, seq: Option<u64> },
    /// A command was not carried out.
    Error { id: Option<u32>, code: &'a str, retry_ms: Option<u64> },
    /// An entry; `text` where it is a message or a note.
    Entry { conversation: &'a str, lane: Lane, seq: u64, text: Option<&'a str> },
    /// A conversation's head, for an agent's inbox.
    Head { conversation: &'a str },
    /// Asks for a `pong`.
    Ping,
    /// Anything else: presence, inbox, typing ...
    Other,
}

/// The objects of a frame.
pub(crate) fn lines(frame: &str) -> impl Iterator<Item = &str> {
    frame.split('\n').filter(|line| !line.is_empty())
}

/// Reads one object.
pub(crate) fn line(line: &str) -> Line<'_> {
    match string(line, &NAMES.r#type) {
        Some("ok") => match number(line, &NAMES.id) {
            Some(id) => Line::Ok { id: u32::try_from(id).unwrap_or(u32::MAX), seq: number(line, &NAMES.seq) },
            None => Line::Other,
        },
        Some("error") => Line::Error {
            id: number(line, &NAMES.id).and_then(|id| u32::try_from(id).ok()),
            code: string(line, &NAMES.code).unwrap_or("unknown"),
            retry_ms: number(line, &NAMES.retry_ms),
        },
        Some("entry") => entry(line),
        Some("inbox") => match string(line, &NAMES.conversation) {
            Some(conversation) => Line::Head { conversation },
            None => Line::Other,
        },
        Some("ping") => Line::Ping,
        _ => Line::Other,
    }
}

fn entry(line: &str) -> Line<'_> {
    let of_desk = NAMES.of_desk.find(line.as_bytes()).is_some();
    let of_lane = if of_desk { Lane::Desk } else { Lane::Thread };
    let is_text = matches!(string(line, &NAMES.event), Some("message" | "note"));
    let text = is_text.then(|| string(line, &NAMES.text)).flatten();
    match (string(line, &NAMES.conversation), number(line, &NAMES.seq)) {
        (Some(conversation), Some(seq)) => Line::Entry { conversation, lane: of_lane, seq, text },
        _ => Line::Other,
    }
}

/// What stands behind a name.
fn behind<'a>(line: &'a str, name: &Finder<'_>) -> Option<&'a str> {
    let start = name.find(line.as_bytes())? + name.needle().len();
    line.get(start..)
}

fn string<'a>(line: &'a str, name: &Finder<'_>) -> Option<&'a str> {
    let rest = behind(line, name)?;
    Some(&rest[..rest.find('"')?])
}

fn number(line: &str, name: &Finder<'_>) -> Option<u64> {
    let rest = behind(line, name)?;
    let end = rest.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// The text of a message: who it is, in which conversation, and filling up to `bytes`.
pub(crate) fn compose(pair: usize, mark: Mark, bytes: usize) -> String {
    let mut text = format!("{pair}.{}.{} ", mark.writer, mark.count);
    text.extend(std::iter::repeat_n('x', bytes.saturating_sub(text.len())));
    text
}

/// One of a site's pages.
pub(crate) fn page(number: u32) -> Page {
    Page { url: format!("https://shop.example.org/page/{number}"), title: format!("Page {number}") }
}

/// What a text says it is, if it belongs to conversation `pair`.
pub(crate) fn recognise(pair: usize, text: &str) -> Seen {
    let mut parts = text.split(' ').next().unwrap_or_default().split('.');
    let mut next = || parts.next()?.parse::<u64>().ok();
    match (next(), next(), next()) {
        (Some(home), Some(writer), Some(count)) if home == pair as u64 && writer < WRITERS as u64 => {
            Seen::Message(Mark { writer: usize::try_from(writer).unwrap_or_default(), count })
        }
        _ => Seen::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use deskbell::{
        domain::{Author, Event},
        ids::{ConversationId, EntryId},
        protocol::server::{Entry, Error, ErrorCode, Ok, Ping, Reply, ServerFrame, Written},
    };

    use super::*;

    fn sample(lane: Lane, event: Event, conversation: ConversationId) -> String {
        ServerFrame::Entry(Box::new(Entry {
            lane,
            conversation,
            epoch: "k3".to_owned(),
            seq: 45,
            prev: 44,
            entry: EntryId::generate(),
            at: 1,
            key: None,
            from: Author::System {},
            event,
        }))
        .encode()
    }

    #[test]
    fn what_the_server_encodes_is_read() {
        let written = Written { seq: 9, entry: EntryId::generate(), at: 1, duplicate: false };
        let ok = ServerFrame::Ok(Ok { id: 7, reply: Reply::Written(written) }).encode();
        assert_eq!(line(&ok), Line::Ok { id: 7, seq: Some(9) });
        let error = Error {
            id: Some(8),
            code: ErrorCode::RateLimited,
            message: "\"id\":1".into(),
            retry_ms: Some(40),
            trace: None,
        };
        let error = ServerFrame::Error(error).encode();
        assert_eq!(line(&error), Line::Error { id: Some(8), code: "rate_limited", retry_ms: Some(40) });
        assert_eq!(line(&ServerFrame::Ping(Ping {}).encode()), Line::Ping);
    }

    #[test]
    fn entries_are_read_by_lane_and_kind() {
        let id = ConversationId::generate();
        let text = "3.1.17 {\"seq\":1}".to_owned();
        let message = sample(Lane::Thread, Event::Message { text }, id);
        let Line::Entry { conversation, lane: Lane::Thread, seq, text } = line(&message) else { panic!("{message}") };
        assert_eq!((conversation, seq), (id.to_string().as_str(), 45));
        assert_eq!(recognise(3, text.unwrap()), Seen::Message(Mark { writer: 1, count: 17 }));
        assert!(matches!(line(&sample(Lane::Thread, Event::Closed {}, id)), Line::Entry { text: None, .. }));
        let note = sample(Lane::Desk, Event::Note { text: "3.2.5 x".into() }, id);
        let Line::Entry { lane: Lane::Desk, text: Some(text), .. } = line(&note) else { panic!("{note}") };
        assert_eq!(recognise(3, text), Seen::Message(Mark { writer: 2, count: 5 }));
    }

    #[test]
    fn a_text_says_where_it_belongs() {
        let mark = Mark { writer: 1, count: 900 };
        let text = compose(12, mark, 128);
        assert_eq!(text.len(), 128);
        assert_eq!(recognise(12, &text), Seen::Message(mark));
        assert_eq!(recognise(13, &text), Seen::Unknown);
        assert_eq!(recognise(12, "hello"), Seen::Unknown);
    }
}
