//! Reads settings one by one out of what was given, and collects every mistake on the way.

use std::{collections::BTreeMap, fmt::Display, ops::RangeInclusive, str::FromStr};

use ipnet::IpNet;
use toml::{Table, Value};

/// What environment variables begin with.
const PREFIX: &str = "DESKBELL_";
/// Names the configuration file; no setting itself.
const CONFIG_VARIABLE: &str = "DESKBELL_CONFIG";

/// The environment's name for `key`.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"))
}

/// One given value, and where it was given.
struct Given {
    value: Value,
    from: String,
    /// Environment and flags give text, which stands for numbers and lists as well.
    is_text: bool,
}

/// The given settings, read by key. What nobody reads is unknown.
pub(super) struct Reader {
    given: BTreeMap<String, Given>,
    mistakes: Vec<String>,
}

impl Reader {
    /// Settings from `file`, then from the environment, then from flags; the later ones win.
    pub(super) fn new(
        file: Option<(&str, Table)>,
        environment: impl Iterator<Item = (String, String)>,
        flags: &[(String, String)],
    ) -> Self {
        let mut reader = Self { given: BTreeMap::new(), mistakes: Vec::new() };
        if let Some((name, table)) = file {
            reader.flatten("", table, name);
        }
        for (variable, text) in environment {
            if let Some(key) = variable.strip_prefix(PREFIX).filter(|_| variable != CONFIG_VARIABLE) {
                let key = key.to_lowercase().replace("__", ".");
                reader.give(key, Given { value: Value::String(text), from: variable, is_text: true });
            }
        }
        for (key, text) in flags {
            let given =
                Given { value: Value::String(text.clone()), from: "the command line".to_owned(), is_text: true };
            reader.give(key.clone(), given);
        }
        reader
    }

    fn flatten(&mut self, prefix: &str, table: Table, from: &str) {
        for (name, value) in table {
            let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            match value {
                Value::Table(inner) => self.flatten(&key, inner, from),
                value => self.give(key, Given { value, from: from.to_owned(), is_text: false }),
            }
        }
    }

    fn give(&mut self, key: String, given: Given) {
        self.given.insert(key, given);
    }

    /// Notes a mistake that is not about one key's form.
    pub(super) fn mistake(&mut self, text: impl Display) {
        self.mistakes.push(text.to_string());
    }

    fn read<T>(&mut self, key: &str, read: impl FnOnce(&Given) -> Result<T, String>) -> Option<T> {
        let given = self.given.remove(key)?;
        read(&given).map_err(|wrong| self.mistake(format!("{key} {wrong} ({})", given.from))).ok()
    }

    /// A text; `None` when missing.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        self.read(key, |given| {
            given.value.as_str().map(str::to_owned).ok_or_else(|| "takes a text in quotes".to_owned())
        })
    }

    /// A value that is written as text.
    pub(super) fn parsed<T: FromStr>(&mut self, key: &str, takes: &str) -> Option<T> {
        self.read(key, |given| {
            given.value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| format!("takes {takes}"))
        })
    }

    /// Yes or no; no where nothing is said.
    pub(super) fn flag(&mut self, key: &str) -> bool {
        let read = self.read(key, |given| {
            let spoken = given.value.as_str().and_then(|text| text.parse().ok());
            given.value.as_bool().or(spoken).ok_or_else(|| "takes true or false".to_owned())
        });
        read.unwrap_or(false)
    }

    /// As [`Reader::parsed`]; an empty text means that it is not set.
    pub(super) fn optional<T: FromStr>(&mut self, key: &str, takes: &str) -> Option<T> {
        if self.given.get(key).and_then(|given| given.value.as_str()).is_some_and(str::is_empty) {
            self.given.remove(key);
        }
        self.parsed(key, takes)
    }

    /// A whole number in `range`.
    pub(super) fn number(&mut self, key: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let number = self.read(key, |given| {
            let number = match &given.value {
                Value::Integer(number) => u64::try_from(*number).ok(),
                Value::String(text) if given.is_text => text.trim().parse().ok(),
                _ => None,
            };
            number
                .filter(|number| range.contains(number))
                .ok_or_else(|| format!("takes a whole number from {} to {}", range.start(), range.end()))
        });
        number.unwrap_or(default)
    }

    /// A share of 1.
    pub(super) fn share(&mut self, key: &str, default: f64) -> f64 {
        let share = self.read(key, |given| {
            let share = match &given.value {
                Value::Float(share) => Some(*share),
                Value::Integer(0) => Some(0.0),
                Value::Integer(1) => Some(1.0),
                Value::String(text) if given.is_text => text.trim().parse().ok(),
                _ => None,
            };
            share.filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| "takes a number from 0 to 1".to_owned())
        });
        share.unwrap_or(default)
    }

    /// A list of texts; text from environment and flags is split at commas.
    pub(super) fn list<T: FromStr>(&mut self, key: &str, takes: &str) -> Vec<T> {
        let list = self.read(key, |given| {
            let texts: Option<Vec<&str>> = match &given.value {
                Value::Array(items) => items.iter().map(Value::as_str).collect(),
                Value::String(text) if given.is_text => {
                    Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect())
                }
                _ => None,
            };
            let texts = texts.ok_or_else(|| format!("takes a list of {takes}"))?;
            texts
                .into_iter()
                .map(|text| text.parse().map_err(|_| format!("takes a list of {takes}; {text:?} is none")))
                .collect()
        });
        list.unwrap_or_default()
    }

    /// A list of networks in CIDR notation.
    pub(super) fn networks(&mut self, key: &str) -> Vec<IpNet> {
        self.list(key, "networks such as \"10.0.0.0/8\"")
    }

    /// Every mistake, what nobody read included. `known` are all keys there are.
    pub(super) fn finish(mut self, known: &[String]) -> Vec<String> {
        let unknown = std::mem::take(&mut self.given);
        for (key, given) in unknown {
            let hint = nearest(&key, known).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            self.mistake(format!("{key} is no setting ({}){hint}", given.from));
        }
        self.mistakes
    }
}

/// The known key that is at most three edits away.
fn nearest<'a>(key: &str, known: &'a [String]) -> Option<&'a str> {
    known
        .iter()
        .map(|name| (distance(key, name), name.as_str()))
        .filter(|(edits, _)| *edits <= 3)
        .min()
        .map(|(_, name)| name)
}

/// The Levenshtein distance.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}
