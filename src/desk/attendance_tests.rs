//! Who gets what, who waits, and what is told.

use proptest::prelude::*;

use super::agents::LEAVE_AFTER_MS;
use super::*;
use crate::{
    domain::{Role, Status},
    ids::ProjectId,
};

pub(super) const NOW: Millis = 1_000_000;
pub(super) const HAND_BACK_AFTER_MS: Millis = 60_000;

pub(super) fn account(name: &str, capacity: u32) -> AgentRecord {
    AgentRecord {
        id: AgentId::generate(),
        project: ProjectId::generate(),
        email: format!("{name}@example.org"),
        name: name.to_owned(),
        role: Role::Agent,
        password_hash: String::new(),
        capacity,
        disabled: false,
        created_at: 0,
    }
}

pub(super) fn ringing(at: Millis) -> Conversation {
    let mut state = Conversation::new(
        ProjectId::generate(),
        ConversationId::generate(),
        VisitorId::generate(),
        "k1".to_owned(),
        at,
    );
    state.waiting_since = Some(at);
    state
}

pub(super) fn given(mut state: Conversation, to: &AgentRef) -> Conversation {
    state.assignee = Some(to.clone());
    state
}

fn staffed(accounts: &[AgentRecord]) -> Attendance {
    let mut attendance = Attendance::new(NodeId::generate(), NOW, HAND_BACK_AFTER_MS);
    attendance.know(accounts);
    for account in accounts {
        assert!(attendance.arrive(account.id));
    }
    attendance
}

#[test]
fn the_line_is_first_come_first_served() {
    let grace = account("Grace", 1);
    let mut attendance = Attendance::new(NodeId::generate(), NOW, HAND_BACK_AFTER_MS);
    attendance.know(std::slice::from_ref(&grace));
    let (late, early) = (ringing(NOW + 20), ringing(NOW + 10));
    attendance.observe(&late, NOW);
    attendance.observe(&early, NOW);
    assert_eq!(attendance.place(late.id, NOW).map(|queue| queue.position), Some(2));
    assert!(attendance.next(NOW).is_none(), "nobody is here");
    attendance.arrive(grace.id);
    let turn = attendance.next(NOW).unwrap();
    assert_eq!(turn.conversation, early.id);
    assert!(attendance.next(NOW).is_none(), "she has room for one");
    attendance.give_up(&turn);
    assert_eq!(attendance.place(early.id, NOW).map(|queue| queue.position), Some(1));
}

#[test]
fn who_waits_is_not_overtaken_by_who_comes() {
    let grace = account("Grace", 5);
    let mut attendance = Attendance::new(NodeId::generate(), NOW, HAND_BACK_AFTER_MS);
    attendance.know(std::slice::from_ref(&grace));
    attendance.observe(&ringing(NOW), NOW);
    attendance.arrive(grace.id);
    assert!(attendance.reserve(ConversationId::generate(), NOW).is_none());
}

#[test]
fn a_reload_of_the_page_is_no_departure_but_a_minute_is() {
    let grace = account("Grace", 5);
    let mut attendance = staffed(std::slice::from_ref(&grace));
    let state = ringing(NOW);
    let holder = attendance.reserve(state.id, NOW).unwrap().agent;
    attendance.observe(&given(state.clone(), &holder), NOW);
    attendance.depart(grace.id, NOW);
    assert_eq!(attendance.online(NOW + LEAVE_AFTER_MS - 1), 1);
    assert_eq!(attendance.online(NOW + LEAVE_AFTER_MS), 0);
    assert!(attendance.abandoned(NOW + HAND_BACK_AFTER_MS - 1).is_empty());
    assert_eq!(attendance.abandoned(NOW + HAND_BACK_AFTER_MS), vec![(state.id, grace.id)]);
    attendance.arrive(grace.id);
    assert!(attendance.abandoned(NOW + HAND_BACK_AFTER_MS).is_empty());
}

#[test]
fn what_was_answered_stays_with_who_answered() {
    let grace = account("Grace", 5);
    let mut attendance = staffed(std::slice::from_ref(&grace));
    let mut state = ringing(NOW);
    let holder = attendance.reserve(state.id, NOW).unwrap().agent;
    state = given(state, &holder);
    state.waiting_since = None;
    attendance.observe(&state, NOW);
    attendance.depart(grace.id, NOW);
    assert!(attendance.abandoned(NOW + 10 * HAND_BACK_AFTER_MS).is_empty());
}

fn present(status: AgentStatus, capacity: u32) -> Present {
    Present { status, load: 0, capacity }
}

#[test]
fn another_capacity_is_news() {
    let mut grace = account("Grace", 5);
    let mut attendance = staffed(std::slice::from_ref(&grace));
    attendance.news(NOW, 10);
    grace.capacity = 7;
    attendance.know(&[grace.clone()]);
    assert!(attendance.has_news(NOW));
    assert_eq!(attendance.news(NOW, 10).agents, vec![(grace.id, present(AgentStatus::Online, 7))]);
}

#[test]
fn news_is_told_once() {
    let grace = account("Grace", 5);
    let mut attendance = staffed(std::slice::from_ref(&grace));
    let news = attendance.news(NOW, 10);
    assert_eq!(news.agents, vec![(grace.id, present(AgentStatus::Online, 5))]);
    assert_eq!(news.online, Some(1));
    let again = attendance.news(NOW, 10);
    assert!(again.agents.is_empty() && again.online.is_none() && again.line.is_empty());
}

proptest! {
    #[test]
    fn nobody_gets_more_than_capacity_and_loads_add_up(steps in proptest::collection::vec((0_usize..5, 0_usize..20), 1..200)) {
        let accounts = [account("Grace", 2), account("Alan", 3)];
        let mut attendance = staffed(&accounts);
        let mut states: Vec<Conversation> = (0..20).map(|n| ringing(NOW + n)).collect();
        for (what, which) in steps {
            match what {
                0 => {
                    let state = &states[which];
                    attendance.observe(&state.clone(), NOW);
                }
                1 => {
                    if let Some(turn) = attendance.next(NOW) {
                        let state = states.iter_mut().find(|state| state.id == turn.conversation).unwrap();
                        state.assignee = Some(turn.place.agent.clone());
                        attendance.observe(&state.clone(), NOW);
                    }
                }
                2 => {
                    if let Some(turn) = attendance.next(NOW) {
                        attendance.give_up(&turn);
                    }
                }
                3 => {
                    states[which].status = Status::Closed;
                    states[which].waiting_since = None;
                    attendance.observe(&states[which].clone(), NOW);
                }
                _ => {
                    states[which].assignee = None;
                    attendance.observe(&states[which].clone(), NOW);
                }
            }
            for colleague in attendance.colleagues(NOW) {
                prop_assert!(colleague.load <= colleague.capacity);
            }
        }
    }
}

#[test]
fn what_one_session_was_shown_ahead_of_the_others_is_corrected_for_it() {
    let grace = account("Grace", 5);
    let mut attendance = staffed(std::slice::from_ref(&grace));
    assert_eq!(attendance.show_online(NOW), 1);
    assert_eq!(attendance.show_colleagues(NOW)[0].status, AgentStatus::Online);
    // Nobody else has been told that she came, and now she is gone again.
    attendance.set_online(grace.id, false, NOW);
    attendance.depart(grace.id, NOW - LEAVE_AFTER_MS);
    assert!(attendance.has_news(NOW));
    let news = attendance.news(NOW, 10);
    assert_eq!((news.online, news.agents), (Some(0), vec![(grace.id, present(AgentStatus::Offline, 5))]));
    assert!(!attendance.has_news(NOW));
}
