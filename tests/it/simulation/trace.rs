//! What happened, line by line, with names in the place of ids: two runs of one seed tell the same.

use std::{
    collections::HashMap,
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

/// How long an id is in its usual spelling.
const ID_CHARS: usize = 36;

#[derive(Default)]
pub(super) struct Trace {
    lines: Vec<String>,
    names: HashMap<String, String>,
}

impl Trace {
    pub(super) fn note(&mut self, line: impl fmt::Display) {
        let line = self.named(&line.to_string());
        self.lines.push(line);
    }

    /// Something of which the order does not matter.
    pub(super) fn note_sorted(&mut self, lines: impl IntoIterator<Item = String>) {
        // By their ids, which are as old as what they name: later ones come later in every run.
        let mut lines: Vec<_> = lines.into_iter().collect();
        lines.sort();
        for line in lines {
            self.note(line);
        }
    }

    /// Whether something was lost without anybody knowing.
    pub(super) fn tells_of_a_loss(&self) -> bool {
        self.lines.iter().any(|line| line.ends_with("IsLost"))
    }

    /// What tells it from others.
    pub(super) fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.lines.hash(&mut hasher);
        hasher.finish()
    }

    /// The first line in which another run differs.
    pub(super) fn first_difference(&self, other: &Self) -> Option<String> {
        let at = self.lines.iter().zip(&other.lines).position(|(one, other)| one != other)?;
        let before = self.lines[at.saturating_sub(30)..at].join("\n");
        Some(format!("line {at} is {:?} or {:?}, after\n{before}", self.lines[at], other.lines[at]))
    }

    /// A line with names in the place of ids.
    pub(super) fn named(&mut self, line: &str) -> String {
        let (mut named, mut rest) = (String::with_capacity(line.len()), line);
        while let Some((before, id, after)) = first_id(rest) {
            named.push_str(before);
            let next = self.names.len() + 1;
            named.push_str(self.names.entry(id.to_owned()).or_insert_with(|| format!("#{next}")));
            rest = after;
        }
        named + rest
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().enumerate().try_for_each(|(number, line)| writeln!(out, "{number:>5}  {line}"))
    }
}

fn first_id(text: &str) -> Option<(&str, &str, &str)> {
    let is_id = |text: &str| {
        let dashes = [8, 13, 18, 23];
        text.bytes()
            .enumerate()
            .all(|(at, byte)| if dashes.contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() })
    };
    let at = (0..text.len()).find(|at| text.get(*at..at + ID_CHARS).is_some_and(is_id))?;
    Some((&text[..at], &text[at..at + ID_CHARS], &text[at + ID_CHARS..]))
}
