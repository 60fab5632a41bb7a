//! The rules of a conversation, as examples and as a property over random commands.

use proptest::prelude::*;

use super::*;
use crate::{
    domain::Role,
    ids::{ConversationId, EntryId, ProjectId, VisitorId},
};

struct Story {
    state: Conversation,
    at: i64,
}

impl Story {
    fn new() -> Self {
        let state = Conversation::new(
            ProjectId::generate(),
            ConversationId::generate(),
            VisitorId::generate(),
            "k1".to_owned(),
            1_000,
        );
        Self { state, at: 1_000 }
    }

    fn visitor(&self) -> Actor {
        Actor::Visitor { id: self.state.visitor, name: None }
    }

    /// Decides and applies `command`, and returns the events that it made.
    fn play(&mut self, actor: &Actor, command: Command) -> Result<Vec<Event>, Refusal> {
        let drafts = decide(&self.state, actor, command, None)?;
        self.at += 10;
        for draft in &drafts {
            let lane = draft.event.lane();
            let entry = Entry {
                conversation: self.state.id,
                lane,
                seq: self.state.last_seq(lane) + 1,
                id: EntryId::generate(),
                at: self.at,
                session: None,
                from: draft.from.clone(),
                key: None,
                event: draft.event.clone(),
            };
            let held = |state: &Conversation| (state.status, state.assignee.clone(), state.visitor_name.clone());
            let before = held(&self.state);
            apply(&mut self.state, &entry);
            assert!(turns(&entry.event) || held(&self.state) == before, "{:?}", entry.event);
        }
        Ok(drafts.into_iter().map(|draft| draft.event).collect())
    }
}

fn agent(name: &str) -> Actor {
    Actor::Agent { id: AgentId::generate(), name: name.to_owned(), role: Role::Agent }
}

fn say(text: &str) -> Command {
    Command::Send { text: text.to_owned() }
}

#[test]
fn a_visitor_waits_from_its_first_unanswered_message() {
    let mut story = Story::new();
    let visitor = story.visitor();
    story.play(&visitor, say("hello")).unwrap();
    story.play(&visitor, say("anyone?")).unwrap();
    assert_eq!(story.state.waiting_since, Some(1_010));
    assert!(story.state.is_queued());
    story.play(&agent("Grace"), say("here")).unwrap();
    assert_eq!(story.state.waiting_since, None);
}

#[test]
fn an_answer_to_nobodys_conversation_takes_it() {
    let mut story = Story::new();
    let events = story.play(&agent("Grace"), say("hello")).unwrap();
    assert!(matches!(events.as_slice(), [Event::Assigned { .. }, Event::Joined { .. }, Event::Message { .. }]));
    assert_eq!(story.state.assignee.as_ref().map(|holder| holder.name.as_str()), Some("Grace"));
}

#[test]
fn what_one_agent_took_another_can_not_take() {
    let mut story = Story::new();
    story.play(&agent("Grace"), Command::Take).unwrap();
    let refusal = story.play(&agent("Alan"), Command::Take).unwrap_err();
    assert_eq!(refusal, Refusal::Conflict("Grace took it first".to_owned()));
}

#[test]
fn a_message_reopens() {
    let mut story = Story::new();
    let visitor = story.visitor();
    story.play(&visitor, Command::Close).unwrap();
    assert!(matches!(story.play(&visitor, Command::Close), Err(Refusal::Conflict(_))));
    let events = story.play(&visitor, say("one more thing")).unwrap();
    assert!(matches!(events.as_slice(), [Event::Reopened {}, Event::Message { .. }]));
    assert_eq!(story.state.status, Status::Open);
}

#[test]
fn visitors_and_viewers_do_not_do_agents_work() {
    let mut story = Story::new();
    let visitor = story.visitor();
    let viewer = Actor::Agent { id: AgentId::generate(), name: "Vera".to_owned(), role: Role::Viewer };
    for actor in [&visitor, &viewer] {
        for command in [Command::Take, Command::HandBack, Command::Note { text: "x".to_owned() }] {
            assert!(matches!(story.play(actor, command), Err(Refusal::Forbidden(_))));
        }
    }
    assert!(matches!(story.play(&viewer, say("hi")), Err(Refusal::Forbidden(_))));
    let rating = Command::Rate { score: 5, comment: None };
    assert!(matches!(story.play(&agent("Grace"), rating), Err(Refusal::Forbidden(_))));
    let absurd = Command::Rate { score: 6, comment: None };
    assert!(matches!(story.play(&visitor, absurd), Err(Refusal::BadRequest(_))));
}

#[test]
fn the_key_answers_the_command_not_what_it_brings_along() {
    let story = Story::new();
    let key = Key::parse("k-1");
    let drafts = decide(&story.state, &agent("Grace"), say("hello"), key.clone()).unwrap();
    let keyed: Vec<_> = drafts.iter().filter(|draft| draft.key == key).collect();
    assert!(matches!(keyed.as_slice(), [Draft { event: Event::Message { .. }, .. }]));
}

fn any_command() -> impl Strategy<Value = (usize, Command)> {
    let command = prop_oneof![
        Just(say("x")),
        Just(Command::Note { text: "n".to_owned() }),
        Just(Command::Close),
        (0_u8..8).prop_map(|score| Command::Rate { score, comment: None }),
        Just(Command::Take),
        Just(Command::HandBack),
        (0_u8..2).prop_map(|n| Command::AssignTo(AgentRef { id: AgentId::generate(), name: format!("agent {n}") })),
    ];
    (0_usize..3, command)
}

proptest! {
    #[test]
    fn whatever_happens_the_state_stays_sound(steps in proptest::collection::vec(any_command(), 1..60)) {
        let mut story = Story::new();
        let actors = [story.visitor(), agent("Grace"), agent("Alan")];
        for (who, command) in steps {
            let before = story.state.clone();
            let Some(actor) = actors.get(who) else { continue };
            match story.play(actor, command) {
                Err(_) => prop_assert_eq!(&before, &story.state),
                Ok(events) => {
                    let count = |lane| events.iter().filter(|event| event.lane() == lane).count() as u64;
                    prop_assert_eq!(story.state.seq, before.seq + count(Lane::Thread));
                    prop_assert_eq!(story.state.desk_seq, before.desk_seq + count(Lane::Desk));
                    prop_assert!(!events.is_empty());
                }
            }
            let closed = story.state.status == Status::Closed;
            prop_assert!(!(closed && story.state.waiting_since.is_some()));
            prop_assert!(story.state.read.visitor <= story.state.seq && story.state.read.agent <= story.state.seq);
        }
    }
}
