//! A few nodes, the people who talk to them, and what befalls them: one thing at a time, by the throw of the dice.

use std::{
    path::Path,
    sync::{Arc, mpsc},
    time::Duration,
};

use deskbell::{
    clock::{Clock, Millis},
    config::{Limits, Secret},
    domain::{Lane, Role},
    ids::{AgentId, ProjectId},
    log::{AgentRecord, InboxQuery, Log, OpenAs, Options, ProjectRecord},
    tasks::Tasks,
};
use tempfile::TempDir;

use super::{
    client::Client,
    dice::Dice,
    judge::{Judge, Truth},
    network::Network,
    node::Node,
    rest::{Questions, Rest},
    trace::Trace,
};

/// When it begins: any time will do, as long as it is always the same.
const BEGINNING: Millis = 1_700_000_000_000;
const NODES: usize = 3;
/// Its tabs share a visitor: name, project, whether an agent.
const PEOPLE: [(&str, usize, bool); 8] = [
    ("ada", 0, false),
    ("ada/2", 0, false),
    ("bob", 0, false),
    ("grace", 0, true),
    ("alan", 0, true),
    ("alan/2", 0, true),
    ("eve", 1, false),
    ("mallory", 1, true),
];

/// How one run goes.
pub(super) struct Mood {
    /// Messages between nodes get lost without anybody knowing.
    pub(super) loses: bool,
    /// Nodes die.
    pub(super) kills: bool,
    /// Nodes can't hear or speak.
    pub(super) parts: bool,
}

pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) mood: Mood,
    pub(super) trace: Trace,
    pub(super) judge: Judge,
    pub(super) network: Arc<Network>,
    pub(super) questions: Arc<Questions>,
    pub(super) nodes: Vec<Node>,
    pub(super) clients: Vec<Client>,
    rest: Arc<Rest>,
    clock: Clock,
    limits: Arc<Limits>,
    log: Log,
    born: usize,
    projects: Vec<ProjectId>,
}

/// What came of a run.
pub(super) struct Outcome {
    pub(super) trace: Trace,
    pub(super) faults: Vec<String>,
}

/// Runs one seed from its beginning to its judgement.
pub(super) fn run(seed: u64) -> Outcome {
    let rest = Arc::new(Rest::default());
    let parks = Arc::clone(&rest);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).on_thread_park(move || parks.parks());
    let runtime = builder.build().unwrap();
    // Time goes on only where this module says so: as long as something blocks, the runtime does not turn its clock itself.
    let (end, ended) = mpsc::sync_channel::<()>(0);
    drop(runtime.spawn_blocking(move || ended.recv().is_ok()));
    let home = if Path::new("/dev/shm").is_dir() { TempDir::new_in("/dev/shm") } else { TempDir::new() }.unwrap();
    let outcome = runtime.block_on(async {
        let mut world = World::new(seed, rest, home.path()).await;
        world.passes().await;
        world.ends().await;
        let World { mut trace, judge, .. } = world;
        let faults = judge.faults.iter().map(|fault| trace.named(fault)).collect();
        Outcome { trace, faults }
    });
    drop(end);
    outcome
}

impl World {
    async fn new(seed: u64, rest: Arc<Rest>, home: &Path) -> Self {
        let (clock, mut dice) = (Clock::manual(BEGINNING), Dice::new(seed));
        let options = Options {
            url: Secret::new("sqlite".to_owned()),
            data_dir: home.to_owned(),
            readers: 1,
            role: OpenAs::Server,
        };
        let log = Log::open(options, clock.clone(), &Tasks::new()).await.unwrap();
        let mut limits = Limits { writes_per_second: 10_000, write_burst: 10_000, ..Limits::default() };
        if dice.percent(30) {
            limits.outbox_frames = 6;
        }
        if dice.percent(30) {
            limits.hand_back_after_ms = 1_000;
        }
        let mood = Mood { loses: dice.percent(35), kills: dice.percent(35), parts: dice.percent(70) };
        let mut world = Self {
            dice,
            mood,
            trace: Trace::default(),
            judge: Judge::default(),
            network: Arc::default(),
            questions: Arc::default(),
            nodes: Vec::new(),
            clients: Vec::new(),
            rest,
            clock,
            limits: Arc::new(limits),
            log,
            born: 0,
            projects: Vec::new(),
        };
        for _ in 0..NODES {
            world.starts_a_node().await;
        }
        world.people_come().await;
        world
    }

    async fn people_come(&mut self) {
        for name in ["shop", "other"] {
            let project = project(name);
            self.log.create_project(&project).await.unwrap();
            self.projects.push(project.id);
        }
        let accounts = self.nodes[0].accounts();
        let mut tokens: Vec<(&str, String)> = Vec::new();
        for (name, project, is_agent) in PEOPLE {
            let person = name.split('/').next().unwrap();
            let known = tokens.iter().find(|(known, _)| *known == person);
            let token = match known {
                Some((_, token)) => token.clone(),
                None if is_agent => {
                    let agent = agent(person, self.projects[project]);
                    self.log.create_agent(&agent).await.unwrap();
                    accounts.bare_agent_token(&agent, 3_600).unwrap()
                }
                None => accounts.bare_visitor_token(self.projects[project], 3_600).unwrap(),
            };
            tokens.push((person, token.clone()));
            let subject = accounts.verify(&token).unwrap().subject.to_string();
            self.clients.push(Client::new(name, &subject, project, is_agent, token));
        }
    }

    pub(super) async fn starts_a_node(&mut self) {
        let number = self.born;
        self.born += 1;
        let around = (&self.log, &self.clock, &self.limits);
        self.nodes.push(Node::start(number, around, &self.network, &self.questions).await);
    }

    /// Waits until nothing moves.
    pub(super) async fn rests(&mut self) {
        self.questions.rest(&self.rest).await;
        for said in self.network.said() {
            self.trace.note(said);
        }
    }

    pub(super) fn now(&self) -> Millis {
        self.clock.now() - BEGINNING
    }

    /// Turns all clocks.
    pub(super) async fn turns_clocks(&mut self, ms: u64) {
        self.clock.set(self.clock.now() + Millis::try_from(ms).unwrap());
        tokio::time::advance(Duration::from_millis(ms)).await;
        self.network.passes_time(self.clock.now());
        self.rests().await;
    }

    /// What the log has. To be asked at rest only.
    pub(super) async fn truths(&self) -> Vec<Truth> {
        let mut truths = Vec::new();
        for project in &self.projects {
            let query = InboxQuery { status: None, assignee: None, visitor: None, before: None, limit: 1_000 };
            let mut truth = Vec::new();
            for state in self.log.inbox(*project, &query).await.unwrap().rows {
                let thread = self.log.read_after(state.id, Lane::Thread, 0, 10_000).await.unwrap();
                let desk = self.log.read_after(state.id, Lane::Desk, 0, 10_000).await.unwrap();
                truth.push((state, [thread, desk]));
            }
            truths.push(truth);
        }
        truths
    }
}

fn project(name: &str) -> ProjectRecord {
    ProjectRecord {
        id: ProjectId::generate(),
        name: name.to_owned(),
        public_key: name.to_owned(),
        identity_secret: None,
        identity_public_key: None,
        identity_required: false,
        sneak_peek: true,
        origins: Vec::new(),
        created_at: BEGINNING,
    }
}

fn agent(name: &str, project: ProjectId) -> AgentRecord {
    AgentRecord {
        id: AgentId::generate(),
        project,
        email: format!("{name}@shop.example"),
        name: name.to_owned(),
        role: Role::Agent,
        password_hash: String::new(),
        capacity: 2,
        disabled: false,
        created_at: BEGINNING,
    }
}
