//! What a command makes happen, and what a person typed made fit to store.

use std::hint::black_box;

use deskbell::{
    domain::{
        Key,
        access::Actor,
        conversation::{self as rules, Command},
        text,
    },
    ids::EntryId,
};

use super::{Gauge, LONGEST, MESSAGE_BYTES, conversation, entry};

pub(super) fn all(gauge: &mut impl Gauge) {
    deciding(gauge);
    texts(gauge);
}

fn deciding(gauge: &mut impl Gauge) {
    let state = conversation();
    let actor = Actor::Visitor { id: state.visitor, name: Some("Ada".to_owned()) };
    let command = Command::Send { text: "x".repeat(MESSAGE_BYTES) };
    let key = Key::parse("0192f3a4-7b1c-7e11-9c5e-0a3d5f6b7c8d");
    // The desk keeps the command until it is written: it may have to be decided again.
    gauge.plain("decisions/decide send", || {
        rules::decide(black_box(&state), &actor, command.clone(), key.clone()).unwrap()
    });
    let message = entry(&state, MESSAGE_BYTES);
    gauge.plain("decisions/copy and apply message", || {
        let mut after = black_box(&*state).clone();
        rules::apply(&mut after, black_box(&message));
        after
    });
    gauge.plain("decisions/new id", EntryId::generate);
    gauge.plain("decisions/parse key", || Key::parse(black_box("0192f3a4-7b1c-7e11-9c5e-0a3d5f6b7c8d")));
}

fn texts(gauge: &mut impl Gauge) {
    let texts = [
        ("128 bytes of ASCII", "x".repeat(MESSAGE_BYTES)),
        ("8,000 bytes of ASCII", "x".repeat(LONGEST)),
        ("128 letters of Cyrillic", "ж".repeat(MESSAGE_BYTES)),
        ("128 letters to compose", "e\u{301}".repeat(MESSAGE_BYTES)),
    ];
    for (name, raw) in &texts {
        gauge.plain(&format!("decisions/clean {name}"), || text::message(black_box(raw)).unwrap());
    }
    gauge.plain("decisions/preview of 8,000 bytes", || text::preview(black_box(&texts[1].1)));
}
