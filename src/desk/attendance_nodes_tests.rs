//! Several nodes: who is here and who has what, whatever is lost, late or told twice between them.

use proptest::prelude::*;

use super::{
    agents::LEAVE_AFTER_MS,
    peers::LEASE_MS,
    tests::{HAND_BACK_AFTER_MS, NOW, account, given, ringing},
    *,
};
use crate::{
    bus::{AgentStanding, Wish},
    domain::Status,
};

/// Nodes that know the same agents, the oldest first.
fn nodes<const N: usize>(accounts: &[AgentRecord]) -> [(NodeId, Attendance); N] {
    std::array::from_fn(|_| {
        let id = NodeId::generate();
        let mut attendance = Attendance::new(id, NOW, HAND_BACK_AFTER_MS);
        attendance.know(accounts);
        (id, attendance)
    })
}

/// The first hears how the second stands.
fn tell(hearer: &mut Attendance, (node, teller): &mut (NodeId, Attendance), now: Millis) {
    teller.tell_again();
    hearer.stands(*node, &teller.standing(now).unwrap(), now);
}

fn status(attendance: &Attendance, agent: &AgentRecord, now: Millis) -> AgentStatus {
    attendance.colleagues(now).iter().find(|colleague| colleague.id == agent.id).unwrap().status
}

#[test]
fn an_agent_is_online_wherever_it_is() {
    let grace = account("Grace", 5);
    let [mut here, mut there] = nodes(std::slice::from_ref(&grace));
    there.1.arrive(grace.id);
    tell(&mut here.1, &mut there, NOW);
    assert_eq!((here.1.online(NOW), there.1.online(NOW)), (1, 1));
    assert!(here.1.reserve(ringing(NOW).id, NOW).is_some(), "and gets conversations of visitors on both");
}

#[test]
fn what_an_agent_wants_is_what_it_said_last() {
    let grace = account("Grace", 5);
    let [mut here, mut there, mut third] = nodes(std::slice::from_ref(&grace));
    here.1.arrive(grace.id);
    there.1.arrive(grace.id);
    there.1.set_online(grace.id, false, 5_000);
    tell(&mut here.1, &mut there, NOW);
    tell(&mut third.1, &mut there, NOW);
    assert_eq!(status(&here.1, &grace, NOW), AgentStatus::Away);
    // This node's clock is behind; what was said last holds all the same.
    here.1.set_online(grace.id, true, 1_000);
    tell(&mut there.1, &mut here, NOW);
    assert_eq!(status(&there.1, &grace, NOW), AgentStatus::Online);
    tell(&mut here.1, &mut there, NOW);
    assert_eq!(status(&here.1, &grace, NOW), AgentStatus::Online);
    // One that has not heard of it yet says what it knows.
    tell(&mut here.1, &mut third, NOW);
    assert_eq!(status(&here.1, &grace, NOW), AgentStatus::Online);
}

#[test]
fn who_goes_to_another_node_never_went_away() {
    let grace = account("Grace", 5);
    let [mut here, mut there] = nodes(std::slice::from_ref(&grace));
    there.1.arrive(grace.id);
    tell(&mut here.1, &mut there, NOW);
    there.1.depart(grace.id, NOW);
    tell(&mut here.1, &mut there, NOW);
    assert_eq!(status(&here.1, &grace, NOW + LEAVE_AFTER_MS - 1), AgentStatus::Online);
    here.1.arrive(grace.id);
    assert_eq!(status(&here.1, &grace, NOW + LEAVE_AFTER_MS), AgentStatus::Online);
}

#[test]
fn a_dead_node_takes_its_agents_along_and_their_conversations_come_back() {
    let grace = account("Grace", 5);
    let [mut here, mut there] = nodes(std::slice::from_ref(&grace));
    there.1.arrive(grace.id);
    tell(&mut here.1, &mut there, NOW);
    let state = ringing(NOW);
    let place = here.1.reserve(state.id, NOW).unwrap();
    here.1.observe(&given(state.clone(), &place.agent), NOW);
    let end = NOW + LEASE_MS;
    assert_eq!(here.1.expire(end - 1), []);
    assert_eq!(status(&here.1, &grace, end - 1), AgentStatus::Online);
    assert_eq!(here.1.expire(end), [there.0]);
    assert_eq!(status(&here.1, &grace, end), AgentStatus::Offline, "at once");
    assert_eq!(here.1.abandoned(end + HAND_BACK_AFTER_MS - 1), []);
    assert_eq!(here.1.abandoned(end + HAND_BACK_AFTER_MS), [(state.id, grace.id)]);
}

#[test]
fn nobody_is_gone_because_nobody_is_heard() {
    let grace = account("Grace", 5);
    let [mut here, mut there] = nodes(std::slice::from_ref(&grace));
    there.1.arrive(grace.id);
    tell(&mut here.1, &mut there, NOW);
    let state = given(ringing(NOW), &AgentRef { id: grace.id, name: "Grace".to_owned() });
    here.1.observe(&state, NOW);
    // It left the other node just before, and came back to it unheard.
    there.1.depart(grace.id, NOW);
    tell(&mut here.1, &mut there, NOW);
    there.1.arrive(grace.id);
    here.1.listen(true, false, NOW);
    let healed = NOW + 10 * HAND_BACK_AFTER_MS;
    assert_eq!((here.1.expire(healed), here.1.abandoned(healed)), (vec![], vec![]));
    here.1.listen(false, false, healed);
    assert_eq!((here.1.expire(healed + 19_999), here.1.abandoned(healed + 19_999)), (vec![], vec![]));
    tell(&mut here.1, &mut there, healed + 19_999);
    assert_eq!((here.1.expire(healed + 20_000), here.1.abandoned(healed + 20_000)), (vec![], vec![]));
}

#[test]
fn while_nobody_is_heard_each_node_gives_to_its_own() {
    let accounts = [account("Grace", 5), account("Alan", 5)];
    let [mut first, mut second] = nodes(&accounts);
    first.1.arrive(accounts[0].id);
    second.1.arrive(accounts[1].id);
    tell(&mut second.1, &mut first, NOW);
    assert!(!second.1.leads(), "the older one does");
    second.1.listen(true, false, NOW);
    assert!(second.1.leads());
    for _ in 0..5 {
        let place = second.1.reserve(ringing(NOW).id, NOW).unwrap();
        assert_eq!(place.agent.id, accounts[1].id);
    }
    assert!(second.1.reserve(ringing(NOW).id, NOW).is_none());
}

#[test]
fn one_node_leads_and_the_next_when_it_is_gone() {
    let [mut first, mut second, mut third] = nodes::<3>(&[]);
    tell(&mut second.1, &mut first, NOW);
    tell(&mut second.1, &mut third, NOW);
    tell(&mut first.1, &mut second, NOW);
    assert_eq!((first.1.leads(), second.1.leads()), (true, false));
    second.1.listen(false, true, NOW);
    assert!(second.1.leads(), "the first may be dead: the line moves on");
    second.1.listen(false, false, NOW);
    assert!(!second.1.leads());
    second.1.bye(first.0, NOW);
    assert!(second.1.leads());
    tell(&mut second.1, &mut first, NOW);
    assert!(second.1.leads(), "what comes after the farewell is late");
}

#[test]
fn what_comes_late_changes_nothing() {
    let grace = account("Grace", 5);
    let [mut here, mut there] = nodes(std::slice::from_ref(&grace));
    let early = there.1.standing(NOW).unwrap();
    there.1.arrive(grace.id);
    tell(&mut here.1, &mut there, NOW);
    here.1.stands(there.0, &early, NOW);
    assert_eq!(here.1.online(NOW + LEAVE_AFTER_MS), 1);
    let ringing = ringing(NOW);
    let mut closed = Conversation { seq: 2, status: Status::Closed, ..ringing.clone() };
    closed.waiting_since = None;
    here.1.observe(&closed, NOW);
    here.1.observe(&Conversation { seq: 1, ..ringing.clone() }, NOW);
    assert!(here.1.place(ringing.id, NOW).is_none());
}

#[test]
fn a_recount_ends_what_was_closed_unheard_and_nothing_newer() {
    let [mut here, _] = nodes(&[]);
    let [closed, open, reopened] = [1, 2, 3].map(|n| Conversation { seq: 1, ..ringing(NOW + n) });
    for state in [&closed, &open, &reopened] {
        here.1.observe(state, NOW);
    }
    let before = here.1.positions();
    here.1.observe(&Conversation { seq: 3, ..reopened.clone() }, NOW);
    let new = ringing(NOW + 4);
    here.1.observe(&new, NOW);
    here.1.recount(&before, std::slice::from_ref(&open), NOW);
    let waits = |state: &Conversation| here.1.place(state.id, NOW).is_some();
    assert_eq!([&closed, &open, &reopened, &new].map(waits), [false, true, true, true]);
}

#[test]
fn a_node_tells_what_changed_at_once_and_the_rest_in_time() {
    let grace = account("Grace", 5);
    let [mut here] = nodes(std::slice::from_ref(&grace));
    assert_eq!(here.1.standing(NOW).unwrap().agents, []);
    assert_eq!(here.1.standing(NOW + TELL_EVERY_MS - 1), None);
    here.1.arrive(grace.id);
    let told = here.1.standing(NOW + 1).unwrap();
    assert_eq!(told.agents, [AgentStanding { agent: grace.id, is_here: true, wish: Wish::default() }]);
    here.1.arrive(grace.id);
    assert_eq!(here.1.standing(NOW + 2), None, "a second tab is no news");
    assert_eq!(here.1.standing(NOW + 1 + TELL_EVERY_MS).unwrap().number, told.number + 1);
}

/// What two nodes share: the log, and a network that loses, delays and reorders.
struct World {
    now: Millis,
    accounts: Vec<AgentRecord>,
    log: Vec<Conversation>,
    nodes: [(NodeId, Attendance); 2],
    /// What is on its way, and to whom.
    underway: Vec<(usize, Word)>,
}

#[derive(Clone)]
enum Word {
    Head(Box<Conversation>),
    Standing(Standing),
}

impl World {
    fn new() -> Self {
        let accounts = vec![account("Grace", 2), account("Alan", 1)];
        let nodes = nodes(&accounts);
        Self { now: NOW, accounts, log: Vec::new(), nodes, underway: Vec::new() }
    }

    fn say(&mut self, to: usize, word: Word) {
        self.underway.push((to, word));
    }

    fn hear(&mut self, at: usize) {
        let (to, word) = self.underway.remove(at);
        let (from, now) = (self.nodes[1 - to].0, self.now);
        let node = &mut self.nodes[to].1;
        match word {
            Word::Head(head) => drop(node.observe(&head, now)),
            Word::Standing(standing) => node.stands(from, &standing, now),
        }
    }

    /// Commits a new state decided by `node` on `before`, as the log does: none when somebody else was there first, or when
    /// the agent who is to get it is full.
    fn commit(&mut self, node: usize, before: u64, after: Conversation, claim: Option<Claim>) -> bool {
        let held = |agent| self.log.iter().filter(|state| has(state, agent)).count();
        if claim.is_some_and(|claim| held(claim.agent) >= claim.most as usize) {
            return false;
        }
        match self.log.iter_mut().find(|state| state.id == after.id) {
            Some(known) if known.seq != before => return false,
            Some(known) => known.clone_from(&after),
            None => self.log.push(after.clone()),
        }
        self.nodes[node].1.observe(&after, self.now);
        self.say(1 - node, Word::Head(Box::new(after)));
        true
    }

    fn recount(&mut self, node: usize) {
        let open: Vec<_> = self.log.iter().filter(|state| state.status == Status::Open).cloned().collect();
        let node = &mut self.nodes[node].1;
        let before = node.positions();
        node.recount(&before, &open, self.now);
    }

    fn open(&mut self, node: usize) {
        let mut state = Conversation { seq: 1, ..ringing(self.now) };
        let place = self.nodes[node].1.reserve(state.id, self.now);
        let claim = place.as_ref().map(|place| place.claim);
        let given = place.map_or_else(|| state.clone(), |place| given(state.clone(), &place.agent));
        if !self.commit(node, 0, given, claim) {
            self.nodes[node].1.release(state.id);
            self.recount(node);
            state.assignee = None;
            assert!(self.commit(node, 0, state, None));
        }
    }

    /// As if both led: the worst case.
    fn route(&mut self, node: usize) {
        let Some(turn) = self.nodes[node].1.next(self.now) else { return };
        let known = self.log.iter().find(|state| state.id == turn.conversation).unwrap().clone();
        if !known.is_queued() {
            self.nodes[node].1.release(known.id);
            self.nodes[node].1.observe(&known, self.now);
            return;
        }
        let after = Conversation { seq: known.seq + 1, ..given(known.clone(), &turn.place.agent) };
        if self.commit(node, known.seq, after, Some(turn.place.claim)) {
            self.nodes[node].1.turn_taken(self.now);
        } else {
            self.nodes[node].1.give_up(&turn);
            self.recount(node);
        }
    }

    fn change(&mut self, node: usize, which: usize, change: impl FnOnce(&mut Conversation)) {
        let Some(known) = self.log.get(which % self.log.len().max(1)).cloned() else { return };
        let mut after = Conversation { seq: known.seq + 1, ..known.clone() };
        change(&mut after);
        assert!(self.commit(node, known.seq, after, None));
    }

    fn step(&mut self, what: u8, node: usize, which: usize) {
        let agent = self.accounts[which % self.accounts.len()].id;
        match what {
            0 => self.open(node),
            1 => self.route(node),
            2 => self.change(node, which, |state| (state.status, state.waiting_since) = (Status::Closed, None)),
            3 => self.change(node, which, |state| state.assignee = None),
            4 => drop(self.nodes[node].1.arrive(agent)),
            5 => self.nodes[node].1.depart(agent, self.now),
            6 => self.nodes[node].1.set_online(agent, which.is_multiple_of(3), self.now),
            7 => self.tell(node),
            8 if !self.underway.is_empty() => drop(self.underway.remove(which % self.underway.len())),
            9 => self.now += 1_000,
            _ if !self.underway.is_empty() => self.hear(which % self.underway.len()),
            _ => {}
        }
    }

    fn tell(&mut self, node: usize) {
        if let Some(standing) = self.nodes[node].1.standing(self.now) {
            self.say(1 - node, Word::Standing(standing));
        }
    }

    /// Everybody has told everybody, and looked at the log.
    fn settle(&mut self) {
        while !self.underway.is_empty() {
            self.hear(0);
        }
        for node in 0..2 {
            self.recount(node);
            self.nodes[node].1.tell_again();
            self.tell(node);
        }
        while !self.underway.is_empty() {
            self.hear(0);
        }
        self.now += LEAVE_AFTER_MS;
    }

    fn view(&self, node: usize) -> Vec<(AgentId, AgentStatus, u32)> {
        let colleagues = self.nodes[node].1.colleagues(self.now);
        colleagues.iter().map(|colleague| (colleague.id, colleague.status, colleague.load)).collect()
    }
}

fn has(state: &Conversation, agent: AgentId) -> bool {
    state.status == Status::Open && state.assignee.as_ref().is_some_and(|holder| holder.id == agent)
}

proptest! {
    #[test]
    fn nodes_never_give_too_much_and_end_up_agreed(
        steps in proptest::collection::vec((0_u8..14, 0_usize..2, 0_usize..100), 1..300),
    ) {
        let mut world = World::new();
        for (what, node, which) in steps {
            world.step(what, node, which);
            for account in &world.accounts {
                let held = world.log.iter().filter(|state| has(state, account.id)).count();
                prop_assert!(held <= account.capacity as usize, "{} has {held}", account.name);
            }
        }
        world.settle();
        prop_assert_eq!(world.view(0), world.view(1));
        for (agent, _, load) in world.view(0) {
            prop_assert_eq!(load as usize, world.log.iter().filter(|state| has(state, agent)).count());
        }
        for state in &world.log {
            let places = [0, 1].map(|node| world.nodes[node].1.place(state.id, world.now).map(|queue| queue.position));
            prop_assert_eq!(places[0], places[1]);
            prop_assert_eq!(places[0].is_some(), state.is_queued());
        }
    }
}
