//! Who types at this moment. Never stored; ends by itself, also when the link of who typed was cut.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::{Caller, Desk};
use crate::{
    bus::{Message, Topic},
    clock::Millis,
    domain::{Who, access::Actor},
    ids::{ConversationId, SessionId},
    protocol::TYPING_ENDS_MS,
};

/// After how long a `typing` that is not said again is ended: the protocol's time, less the second between two looks.
const ENDS_AFTER_MS: Millis = TYPING_ENDS_MS - 1_000;

/// Marks that are shown somewhere now. An entry lives for [`ENDS_AFTER_MS`], and a session may not make many a second.
#[derive(Debug, Default)]
pub(super) struct Typists(Mutex<BTreeMap<(ConversationId, Who), Typist>>);

#[derive(Clone, Copy, Debug)]
struct Typist {
    /// Who types in two tabs stops when the one that typed last goes.
    session: Option<SessionId>,
    ends_at: Millis,
}

impl Typists {
    fn begin(&self, mark: (ConversationId, Who), session: Option<SessionId>, now: Millis) {
        self.0.lock().insert(mark, Typist { session, ends_at: now + ENDS_AFTER_MS });
    }

    fn end(&self, mark: (ConversationId, Who)) {
        self.0.lock().remove(&mark);
    }

    /// Takes out the marks that `is_over` says.
    fn take(&self, is_over: impl Fn(&Typist) -> bool) -> Vec<(ConversationId, Who)> {
        let mut marks = self.0.lock();
        let over: Vec<_> = marks.iter().filter(|(_, typist)| is_over(typist)).map(|(mark, _)| *mark).collect();
        for mark in &over {
            marks.remove(mark);
        }
        over
    }
}

impl Desk {
    /// Somebody types. A visitor's draft reaches agents only, and only where the project shows drafts.
    pub fn typing(&self, caller: &Caller, conversation: ConversationId, on: bool, text: Option<String>) {
        let (by, text) = match &caller.actor {
            Actor::Visitor { id, .. } => {
                let shown = self.known(caller.project).is_some_and(|desk| desk.record.lock().sneak_peek);
                (Who::Visitor(*id), text.filter(|_| shown))
            }
            Actor::Agent { id, role, .. } if role.answers() => (Who::Agent(*id), None),
            Actor::Agent { .. } | Actor::Routing => return,
        };
        if on {
            self.typists.begin((conversation, by), caller.session, self.clock.ticks());
        } else {
            self.typists.end((conversation, by));
        }
        self.tell_typing((conversation, by), on, text);
    }

    /// A session ended: it types no more.
    pub fn stops_typing(&self, session: Option<SessionId>) {
        for mark in self.typists.take(|typist| typist.session == session) {
            self.tell_typing(mark, false, None);
        }
    }

    /// Ends what was not said again for long: a link may be cut without anybody noticing.
    pub(super) fn end_old_typing(&self, now: Millis) {
        for mark in self.typists.take(|typist| typist.ends_at <= now) {
            self.tell_typing(mark, false, None);
        }
    }

    fn tell_typing(&self, (conversation, by): (ConversationId, Who), on: bool, text: Option<String>) {
        let topic = match by {
            Who::Visitor(_) => Topic::Desk(conversation),
            Who::Agent(_) => Topic::Thread(conversation),
        };
        self.bus.publish(topic, Message::Typing { conversation, by, on, text });
    }
}
