//! What must hold, whatever happens: I1 to I5 of docs/security.md's list, as far as clients and the log can tell.

use std::collections::{BTreeMap, BTreeSet};

use deskbell::domain::{Conversation, Entry, Event, Lane as Half};
use serde_json::Value;

use super::client::Lane;

/// All that the log has of one project: each conversation with its entries of both lanes.
pub(super) type Truth = Vec<(Conversation, [Vec<Entry>; 2])>;

/// A command with a key.
struct Written {
    by: String,
    project: usize,
    number: usize,
    /// Where and at which place of its lane it is, as the client was told.
    acknowledged: Option<(Option<String>, u64)>,
    is_refused: bool,
}

#[derive(Default)]
pub(super) struct Judge {
    pub(super) faults: Vec<String>,
    written: BTreeMap<String, Written>,
    /// Who had to send something again: his later words may have overtaken it.
    put_off: BTreeSet<String>,
    /// The entry, and its key, that somebody saw at a place.
    seen: BTreeMap<(usize, Lane, u64), (String, Value)>,
}

impl Judge {
    pub(super) fn must(&mut self, holds: bool, fault: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(fault());
        }
    }

    pub(super) fn is_written(&mut self, by: &str, project: usize, key: &str, command: &Value) {
        let acknowledged = None;
        let (by, number, conversation) = (by.to_owned(), self.written.len(), command["conversation"].as_str());
        let by = format!("{by} in {}", conversation.unwrap_or_default());
        let written = Written { by, project, number, acknowledged, is_refused: false };
        self.written.insert(key.to_owned(), written);
    }

    pub(super) fn is_acknowledged(&mut self, key: &str, conversation: Option<String>, answer: &Value) {
        let seq = answer["seq"].as_u64().or(answer["desk_seq"].as_u64()).unwrap();
        let written = self.written.get_mut(key).unwrap();
        if let Some(before) = written.acknowledged.replace((conversation.clone(), seq)) {
            self.must(before == (conversation, seq), || format!("{key} was acknowledged at {before:?} and at {seq}"));
        }
    }

    pub(super) fn is_refused(&mut self, key: &str) {
        self.written.get_mut(key).unwrap().is_refused = true;
    }

    pub(super) fn is_put_off(&mut self, client: &str) {
        self.put_off.insert(client.to_owned());
    }

    /// Somebody saw `entry` in `lane`.
    pub(super) fn witnesses(&mut self, project: usize, is_agent: bool, lane: &Lane, entry: &Value) {
        self.must(is_agent || (!lane.1 && entry["lane"] != "desk"), || format!("a visitor was sent {entry}"));
        let seq = entry["seq"].as_u64().unwrap();
        let what = (entry["entry"].as_str().unwrap().to_owned(), entry["key"].clone());
        let before = self.seen.entry((project, lane.clone(), seq)).or_insert_with(|| what.clone()).clone();
        self.must(before == what, || format!("{seq} of {lane:?} is {what:?} to one and {before:?} to another"));
    }

    /// Holds all that clients said and saw against the log.
    pub(super) fn compare(&mut self, truths: &[Truth]) {
        let mut stored = BTreeMap::new();
        let mut places = BTreeMap::new();
        for (project, truth) in truths.iter().enumerate() {
            for (state, lanes) in truth {
                for (half, entries) in [Half::Thread, Half::Desk].into_iter().zip(lanes) {
                    let seqs: Vec<u64> = entries.iter().map(|entry| entry.seq).collect();
                    let end = state.last_seq(half);
                    self.must(seqs.iter().copied().eq(1..=end), || format!("{}: {seqs:?} up to {end}", state.id));
                    for entry in entries {
                        let lane = (state.id.to_string(), half == Half::Desk);
                        self.keep(project, entry, &mut stored);
                        places.insert((project, lane, entry.seq), entry);
                    }
                }
            }
        }
        self.compare_seen(&places);
        self.compare_written(&stored);
    }

    /// Takes note of what has a key: nobody else's, and once.
    fn keep<'a>(&mut self, project: usize, entry: &'a Entry, stored: &mut BTreeMap<String, &'a Entry>) {
        let Some(key) = entry.key.as_ref().map(|key| key.as_str().to_owned()) else { return };
        let is_own = self.written.get(&key).is_some_and(|written| written.project == project);
        self.must(is_own, || format!("nobody in this project wrote {key}"));
        if let Event::Message { text } | Event::Note { text } = &entry.event {
            self.must(*text == key, || format!("{key} became {text}"));
        }
        let twice = stored.insert(key.clone(), entry);
        self.must(twice.is_none(), || format!("{key} is stored twice"));
    }

    fn compare_seen(&mut self, places: &BTreeMap<(usize, Lane, u64), &Entry>) {
        for (place, (id, _)) in std::mem::take(&mut self.seen) {
            let there = places.get(&place).map(|entry| entry.id.to_string());
            self.must(there.as_ref() == Some(&id), || format!("somebody saw {id} at {place:?}, where {there:?} is"));
        }
    }

    fn compare_written(&mut self, stored: &BTreeMap<String, &Entry>) {
        let mut last: BTreeMap<(String, bool), (usize, u64)> = BTreeMap::new();
        for (key, written) in std::mem::take(&mut self.written) {
            let entry = stored.get(&key);
            if written.is_refused {
                self.must(entry.is_none(), || format!("{key} was refused, and is stored"));
                continue;
            }
            let told = written.acknowledged.as_ref();
            self.must(told.is_some(), || format!("{key} was never acknowledged"));
            let (Some(entry), Some((conversation, seq))) = (entry, told) else {
                self.must(entry.is_some(), || format!("{key} is lost"));
                continue;
            };
            self.must(entry.seq == *seq, || format!("{key} was acknowledged as {seq} and is {}", entry.seq));
            let there = entry.conversation.to_string();
            self.must(conversation.as_ref().is_none_or(|id| *id == there), || format!("{key} is in {there}"));
            // The first word of a conversation is the first in any case.
            if conversation.is_some() || self.put_off.iter().any(|client| written.by.starts_with(client.as_str())) {
                continue;
            }
            let lane = (written.by.clone(), entry.lane == Half::Desk);
            let mut now = (written.number, entry.seq);
            if let Some(before) = last.get(&lane) {
                let in_order = (before.0 < now.0) == (before.1 < now.1);
                self.must(in_order, || format!("{key} of {} is out of order: {before:?}, {now:?}", written.by));
                now = now.max(*before);
            }
            last.insert(lane, now);
        }
    }
}
