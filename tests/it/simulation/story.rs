//! What happens in a run: chance first, then everything heals, then judgement.

use serde_json::json;

use super::{client::Client, judge::Truth, network::Fate, world::World};

/// How many things happen before everything heals.
const STEPS: usize = 400;
/// Within how long everybody has everything when all is well again (I6).
const CONVERGED_MS: i64 = 5_000;
/// The same where something was lost and nobody knew: the log is looked at every 15 s all the same.
const FOUND_MS: i64 = 15_000;
/// How far clocks are turned at once at the end.
const SLICE_MS: u64 = 100;
/// Most conversations of one visitor.
const CHATS: usize = 2;

impl World {
    /// Things happen.
    pub(super) async fn passes(&mut self) {
        for _ in 0..STEPS {
            self.rests().await;
            self.something_happens().await;
        }
    }

    async fn something_happens(&mut self) {
        match self.dice.below(100) {
            0..44 => self.the_database_answers(),
            44..61 => self.a_message_passes(),
            61..66 => self.a_subscription_holds(),
            66..76 => self.a_client_reads(),
            76..86 => self.a_client_acts().await,
            86..91 => self.a_client_comes().await,
            91..96 => self.time_passes().await,
            96..98 => self.something_heals(),
            _ => self.something_breaks().await,
        }
    }

    fn the_database_answers(&mut self) {
        let waiting = self.questions.waiting();
        let places: Vec<usize> = (0..waiting.len()).collect();
        if let Some(place) = self.dice.mostly_first(&places) {
            let (node, what) = waiting[*place];
            self.trace.note(format_args!("node {node}: {what}"));
            self.questions.allow(*place);
        }
    }

    fn a_message_passes(&mut self) {
        let ways = self.network.ways();
        let Some(way) = self.dice.mostly_first(&ways).copied() else { return };
        let fate = match self.dice.below(100) {
            0..6 if self.mood.loses => Fate::IsLost,
            6..10 => Fate::ArrivesTwice,
            _ => Fate::Arrives,
        };
        let what = self.network.pass(way, fate);
        self.trace.note(format_args!("{} -> {}: {what} {fate:?}", way.0, way.1));
    }

    fn a_subscription_holds(&mut self) {
        let wishes = self.network.wishes();
        if let Some(wish) = self.dice.pick(&wishes) {
            self.trace.note(format_args!("{} hears {:?}", wish.0, wish.1));
            self.network.subscribe(*wish);
        }
    }

    fn a_client_reads(&mut self) {
        let connected: Vec<usize> = (0..self.clients.len()).filter(|at| self.clients[*at].is_connected()).collect();
        if let Some(at) = self.dice.pick(&connected) {
            let most = 1 + self.dice.below(6);
            self.reads(*at, most);
        }
    }

    fn reads(&mut self, at: usize, most: usize) -> bool {
        let client = &mut self.clients[at];
        let words = client.read(most, &mut self.judge);
        let any = !words.is_empty();
        self.trace.note_sorted(words.into_iter().map(|word| format!("{} < {word}", client.name)));
        client.goes_on();
        any
    }

    async fn a_client_acts(&mut self) {
        let at = self.dice.below(self.clients.len());
        if self.dice.percent(4) {
            self.trace.note(format_args!("{} is cut", self.clients[at].name));
            self.clients[at].cut();
            return;
        }
        if !self.clients[at].is_connected() {
            return self.comes(at).await;
        }
        let what = if self.clients[at].is_agent { self.an_agent_acts(at) } else { self.a_visitor_acts(at) };
        self.trace.note(format_args!("{} > {what}", self.clients[at].name));
    }

    fn a_visitor_acts(&mut self, at: usize) -> String {
        let own = self.clients[at].conversations();
        let (Some(id), false) = (self.dice.pick(&own).cloned(), own.len() < CHATS && self.dice.percent(15)) else {
            return self.clients[at].write(json!({"type": "open"}), &mut self.judge);
        };
        match self.dice.below(10) {
            0 => self.reads_on(at, &id),
            1 => {
                self.clients[at].tell(json!({"type": "typing", "conversation": id, "on": true}));
                "typing".to_owned()
            }
            _ => self.clients[at].write(json!({"type": "send", "conversation": id}), &mut self.judge),
        }
    }

    fn an_agent_acts(&mut self, at: usize) -> String {
        let known = self.clients[at].conversations();
        let Some(id) = self.dice.pick(&known).cloned() else { return "nothing".to_owned() };
        let command = match self.dice.below(20) {
            0..2 => return self.reads_on(at, &id),
            2..4 => json!({"type": "assign", "conversation": id, "to": "me"}),
            4 => json!({"type": "assign", "conversation": id, "to": null}),
            5 => json!({"type": "close", "conversation": id}),
            6..11 => json!({"type": "note", "conversation": id}),
            _ => json!({"type": "send", "conversation": id}),
        };
        self.clients[at].write(command, &mut self.judge)
    }

    fn reads_on(&mut self, at: usize, id: &str) -> String {
        let seq = self.clients[at].lanes.get(&(id.to_owned(), false)).copied().unwrap_or(0);
        self.clients[at].tell(json!({"type": "read", "conversation": id, "seq": seq}));
        format!("read {id} {seq}")
    }

    async fn a_client_comes(&mut self) {
        let away: Vec<usize> = (0..self.clients.len()).filter(|at| !self.clients[*at].is_connected()).collect();
        if let Some(at) = self.dice.pick(&away) {
            self.comes(*at).await;
        }
    }

    async fn comes(&mut self, at: usize) {
        let node = self.dice.below(self.nodes.len());
        let node = &self.nodes[node];
        self.trace.note(format_args!("{} connects to {}", self.clients[at].name, node.number));
        let stream = node.answer();
        self.clients[at].connect(stream, node.number).await;
    }

    async fn time_passes(&mut self) {
        let ms = [5, 25, 50, 200, 700, 1_500][self.dice.below(6)];
        self.trace.note(format_args!("{ms} ms pass"));
        self.turns_clocks(ms).await;
    }

    fn something_heals(&mut self) {
        let node = self.nodes[self.dice.below(self.nodes.len())].number;
        self.network.let_go();
        if self.dice.percent(50) {
            self.trace.note(format_args!("{node} is heard"));
            self.network.unmute(node);
        } else {
            self.trace.note(format_args!("{node} hears"));
            self.network.hear(node);
        }
    }

    async fn something_breaks(&mut self) {
        let at = self.dice.below(self.nodes.len());
        let node = self.nodes[at].number;
        match self.dice.below(4) {
            0 if self.mood.parts => {
                self.trace.note(format_args!("{node} is mute"));
                self.network.mute(node);
            }
            1 if self.mood.parts => {
                self.trace.note(format_args!("nothing comes to {node}"));
                self.network.stall(node);
            }
            2 if self.mood.parts => {
                self.trace.note(format_args!("{node} is deaf"));
                self.network.deafen(node);
            }
            3 if self.mood.kills => self.a_node_dies(at).await,
            _ => {}
        }
    }

    async fn a_node_dies(&mut self, at: usize) {
        let node = self.nodes.remove(at);
        self.trace.note(format_args!("{} dies", node.number));
        self.network.kill(node.number);
        self.questions.kill(node.number);
        self.clients.iter_mut().filter(|client| client.node == Some(node.number)).for_each(Client::cut);
        node.dies();
        self.rests().await;
        self.starts_a_node().await;
    }

    /// Everything is well again, and everybody gets everything soon.
    pub(super) async fn ends(&mut self) {
        self.rests().await;
        self.trace.note("everything heals");
        self.network.heal();
        self.mood.loses = false;
        let limit = if self.trace.tells_of_a_loss() { CONVERGED_MS + FOUND_MS } else { CONVERGED_MS };
        let begun = self.now();
        loop {
            self.everything_moves().await;
            let truths = self.truths().await;
            let missing = self.missing(&truths);
            let is_late = self.now() - begun >= limit;
            if missing.is_empty() || is_late {
                self.trace.note(format_args!("at the end after {} ms", self.now() - begun));
                for what in missing {
                    self.judge.must(false, || format!("{what} after {limit} ms"));
                }
                self.judge.compare(&truths);
                return;
            }
            self.turns_clocks(SLICE_MS).await;
        }
    }

    /// Whatever can move does, in the order in which it came.
    async fn everything_moves(&mut self) {
        loop {
            self.rests().await;
            if !self.questions.waiting().is_empty() {
                self.questions.allow(0);
                continue;
            }
            let mut moved = false;
            for way in self.network.ways() {
                let what = self.network.pass(way, Fate::Arrives);
                self.trace.note(format_args!("{} -> {}: {what}", way.0, way.1));
                moved = true;
            }
            for wish in self.network.wishes() {
                self.network.subscribe(wish);
                moved = true;
            }
            for at in 0..self.clients.len() {
                if !self.clients[at].is_connected() {
                    self.comes(at).await;
                    moved = true;
                }
                moved |= self.reads(at, usize::MAX);
            }
            if !moved {
                return;
            }
        }
    }

    /// What somebody should have, and has not.
    fn missing(&self, truths: &[Truth]) -> Vec<String> {
        let mut missing = Vec::new();
        for client in &self.clients {
            if !client.is_settled() {
                missing.push(format!("{} is not settled", client.name));
            }
            for (state, lanes) in &truths[client.project] {
                let id = state.id.to_string();
                if !client.is_agent && state.visitor.to_string() != client.person {
                    continue;
                }
                for (is_desk, entries) in
                    [false, true].into_iter().zip(lanes).filter(|(desk, _)| client.is_agent || !desk)
                {
                    let has = client.lanes.get(&(id.clone(), is_desk)).copied().unwrap_or(0);
                    if has != entries.len() as u64 {
                        missing.push(format!(
                            "{} has {has} of {} of {id}, desk: {is_desk}",
                            client.name,
                            entries.len()
                        ));
                    }
                }
                let head =
                    (state.seq, state.desk_seq, json!(state.assignee.as_ref().map(|it| it.id)), json!(state.status));
                if client.is_agent && client.heads.get(&id) != Some(&head) {
                    missing.push(format!("{} sees {:?}, not {head:?}", client.name, client.heads.get(&id)));
                }
            }
        }
        missing
    }
}
