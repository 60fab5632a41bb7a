//! `check`: a crowd that writes and reads over all nodes, both lanes, in two projects, and a judgement of every message.
//!
//! Each conversation has a visitor and an agent who write, and more readers: agents, and other tabs of the visitor. Each socket
//! goes to a node by chance, and to any node when it has to come back. Writers behave as the widget's outbox does: one message
//! under way, sent again with the same key until it is answered. When all is over an auditor reads the log itself.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use deskbell::{
    domain::Lane,
    ids::ConversationId,
    protocol::client::{Command, History},
    tasks::Tasks,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    check::Verdict,
    client::{Dialer, Link},
    flights::{LATE, Meter, micros},
    orders::Order,
    outbox::{Homes, Patience, Strangers},
    pair::{AGENT, Pair, Role, Seat, Talk, VISITOR},
    plan::{Plan, Speaker},
    procfs,
    report::{Figures, micros_as_ms, progress, remark, whole},
    returning::read_on,
    spawn::Mint,
    target::Tokens,
};

/// Two: what one has, the other may not see.
const PROJECTS: usize = 2;
/// How many conversations are set up at once.
const SETUPS_AT_ONCE: usize = 16;
/// For how long nothing may be late before a crowd counts as converged.
const CALM: Duration = Duration::from_secs(2);
/// How often an auditor tries again.
const AUDITS: usize = 5;

/// How to check.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Settings {
    /// Conversations, half of them in each of two projects. A visitor and an agent write in each, the agent in both lanes.
    #[arg(long, default_value_t = 40)]
    pub(crate) conversations: usize,
    /// More readers of each conversation: agents and other tabs of the visitor, in turn.
    #[arg(long, default_value_t = 2)]
    pub(crate) readers: usize,
    /// Messages a second, all together; without it as many as are answered.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// For how many seconds.
    #[arg(long, default_value_t = 10.0)]
    pub(crate) seconds: f64,
    /// So many messages instead, however long it takes.
    #[arg(long)]
    pub(crate) messages: Option<u32>,
    /// Bytes of each text.
    #[arg(long, default_value_t = 128)]
    pub(crate) bytes: usize,
    /// Every socket goes to another node by itself after about so many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) roam: Option<f64>,
    /// Seconds without any message after which those that are still under way are given up, once nobody sends any more.
    #[arg(long, default_value_t = 10.0)]
    pub(crate) last_call: f64,
}

impl Settings {
    pub(crate) fn validate(&self) -> Result<()> {
        if self.conversations < PROJECTS || self.readers > 24 || self.rate.is_some_and(|rate| rate <= 0.0) {
            bail!("--conversations must be 2 or more, --readers 24 or less, --rate above 0");
        }
        procfs::require_descriptors(self.sockets() as u64)
    }

    /// How many sockets the crowd has.
    pub(crate) const fn sockets(&self) -> usize {
        self.conversations * (2 + self.readers)
    }

    /// Who listens to each conversation.
    fn cast(&self) -> Vec<Role> {
        let more = [Role::Agent, Role::Visitor].into_iter().cycle().take(self.readers);
        [Role::Visitor, Role::Agent].into_iter().chain(more).collect()
    }
}

/// Where a crowd meets: all nodes, and who makes tokens for each project.
pub(crate) struct Ground {
    pub(crate) dialer: Dialer,
    pub(crate) mints: Vec<Mint>,
}

impl Ground {
    /// With two new projects in the database that `mint` knows.
    pub(crate) async fn prepare(dialer: Dialer, mint: &Mint) -> Result<Self> {
        let mut mints = Vec::new();
        for _ in 0..PROJECTS {
            mints.push(mint.with_another_project().await?);
        }
        Ok(Self { dialer, mints })
    }

    /// Tokens of each project for the crowd, and one more agent's for the audit.
    async fn tokens(&self, settings: &Settings) -> Result<Vec<Tokens>> {
        let agents = settings.cast().iter().filter(|role| **role == Role::Agent).count();
        let each = settings.conversations.div_ceil(PROJECTS);
        let mut tokens = Vec::new();
        for mint in &self.mints {
            tokens.push(mint.make(each, each * agents + 1).await?);
        }
        Ok(tokens)
    }
}

/// People who talk, under watch.
pub(crate) struct Crowd {
    settings: Settings,
    dialer: Dialer,
    tokens: Vec<Tokens>,
    rooms: Vec<Room>,
    meter: Arc<Meter>,
    tasks: Tasks,
    quota: Arc<AtomicI64>,
    pacer: Option<(Plan, JoinHandle<u64>)>,
    began: Instant,
}

struct Room {
    talk: Arc<Talk>,
    conversation: ConversationId,
    orderers: Vec<mpsc::Sender<Order>>,
}

impl Crowd {
    /// Opens all conversations and lets everybody listen.
    pub(crate) async fn gather(ground: &Ground, settings: &Settings) -> Result<Self> {
        let (meter, tasks, homes) = (Arc::new(Meter::new()), Tasks::new(), Arc::new(Homes::default()));
        let quota = Arc::new(AtomicI64::new(0));
        let tokens = ground.tokens(settings).await?;
        let cast = settings.cast();
        let openings = (0..settings.conversations).map(|index| {
            let talk = Talk::among(&cast, index, settings.bytes, Arc::clone(&meter));
            let tokens = tokens_of(&tokens[index % PROJECTS], &cast, index / PROJECTS);
            async move {
                let seats: Vec<_> = tokens.into_iter().map(|token| Seat { dialer: &ground.dialer, token }).collect();
                Pair::open(&seats, talk, true).await.with_context(|| format!("conversation {index}"))
            }
        });
        let pairs: Vec<Pair> = stream::iter(openings).buffered(SETUPS_AT_ONCE).try_collect().await?;
        let mut rooms = Vec::new();
        for pair in pairs {
            let own = pair.talk.index % PROJECTS;
            let strangers = Arc::new(Strangers { own, homes: Arc::clone(&homes) });
            let conversation = pair.sides[VISITOR].conversation().context("no conversation")?;
            homes.write().insert(conversation.to_string(), own);
            let mut orderers = Vec::new();
            for (at, side) in pair.sides.into_iter().enumerate() {
                let patience = Patience {
                    roam: settings.roam.map(Duration::from_secs_f64),
                    quota: Some(Arc::clone(&quota)).filter(|_| settings.rate.is_none() && at <= AGENT),
                    strangers: Some(Arc::clone(&strangers)),
                    follows_inbox: at == AGENT && pair.talk.index < PROJECTS,
                };
                let mut side = side.with_patience(patience);
                side.follow_inbox().await?;
                orderers.push(side.orderer.clone());
                tasks.spawn(side.run(tasks.clone()));
            }
            rooms.push(Room { talk: pair.talk, conversation, orderers });
        }
        let (dialer, settings) = (ground.dialer.clone(), settings.clone());
        Ok(Self { settings, dialer, tokens, rooms, meter, tasks, quota, pacer: None, began: Instant::now() })
    }

    /// Sets the talking going; it goes on until [`Crowd::finish`].
    pub(crate) fn begin(&mut self) {
        self.began = Instant::now();
        self.meter.measure(true);
        if let Some(rate) = self.settings.rate {
            let ever = Duration::MAX;
            let length = self.settings.messages.map_or(ever, |count| Duration::from_secs_f64(f64::from(count) / rate));
            let plan = Plan::new(rate, length);
            let pacer = plan.begin(self.speakers());
            self.pacer = Some((plan, pacer));
            return;
        }
        self.quota.store(self.settings.messages.map_or(i64::MAX, i64::from), Ordering::Relaxed);
        for orderer in self.rooms.iter().flat_map(|room| room.orderers.iter().take(2)) {
            // The queue is empty; a side that has ended shows among the disconnects.
            orderer.try_send(Order::Say(Instant::now(), Lane::Thread)).ok();
        }
    }

    /// Both sides of each conversation in turn; every fourth message is a note.
    fn speakers(&self) -> Vec<Speaker> {
        let turns = [(VISITOR, Lane::Thread), (AGENT, Lane::Thread), (VISITOR, Lane::Thread), (AGENT, Lane::Desk)];
        let of = |(side, lane): (usize, Lane)| self.rooms.iter().map(move |room| (room.orderers[side].clone(), lane));
        turns.into_iter().flat_map(of).collect()
    }

    /// Whether everything that was to be said is said.
    fn is_done(&self) -> bool {
        match &self.pacer {
            Some((_, pacer)) => pacer.is_finished(),
            None => self.quota.load(Ordering::Relaxed) <= 0,
        }
    }

    /// Waits through the time, or until all is said.
    async fn talk_it_out(&self) {
        let length = Duration::from_secs_f64(self.settings.seconds);
        let goes_on = || if self.settings.messages.is_some() { !self.is_done() } else { self.began.elapsed() < length };
        while goes_on() {
            tokio::time::sleep(Duration::from_millis(500)).await;
            progress(&format!(
                "{} landed, {} under way, {} away",
                self.meter.total(),
                self.meter.under_way(),
                self.meter.away()
            ));
        }
    }

    /// How many messages are acknowledged and delivered to everybody.
    pub(crate) fn landed(&self) -> u64 {
        self.meter.total()
    }

    /// Waits until so many have landed, or the time is over.
    pub(crate) async fn talk_on(&self, until: u64, limit: Duration) {
        let end = Instant::now() + limit;
        while self.landed() < until && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How old the oldest message is that is under way.
    pub(crate) fn oldest(&self) -> Option<Duration> {
        self.rooms.iter().filter_map(|room| room.talk.oldest()).min().map(|due| due.elapsed())
    }

    /// Whether everybody is there and nothing has been under way for long.
    fn is_calm(&self) -> bool {
        let late = |talk: &Talk| talk.oldest().is_some_and(|due| due.elapsed() > LATE);
        self.meter.away() == 0 && !self.rooms.iter().any(|room| late(&room.talk))
    }

    /// How long after `since` all was well again, and stayed so for a moment; `None` when it did not within `limit`.
    pub(crate) async fn settle(&self, since: Instant, limit: Duration) -> Option<Duration> {
        let mut calm_from = None;
        while since.elapsed() < limit + CALM {
            let calm = *calm_from.get_or_insert_with(Instant::now);
            if !self.is_calm() {
                calm_from = None;
            } else if calm.elapsed() >= CALM {
                return Some(calm.saturating_duration_since(since));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        None
    }

    /// Lets the last messages arrive, sends everybody home, reads the log, and judges.
    pub(crate) async fn finish(mut self) -> Result<(Figures, Verdict)> {
        self.meter.measure(false);
        let elapsed = self.began.elapsed();
        self.quota.store(0, Ordering::Relaxed);
        let mut not_sent = 0;
        if let Some((plan, pacer)) = self.pacer.take() {
            plan.end();
            not_sent = pacer.await.context("the pacer broke")?;
        }
        self.meter.last_call(Duration::from_secs_f64(self.settings.last_call)).await;
        for orderer in self.rooms.iter().flat_map(|room| &room.orderers) {
            // An error says that the side has ended already, which is what is asked for.
            orderer.try_send(Order::Stop).ok();
        }
        self.tasks.stop();
        self.tasks.wait(Duration::from_secs(5)).await;
        for project in 0..PROJECTS {
            self.audit(project).await.context("failed to read the log")?;
            self.probe(project).await?;
        }
        let mut verdict = Verdict::default();
        for room in &self.rooms {
            verdict += room.talk.verdict();
        }
        Ok((self.figures(&verdict, elapsed, not_sent), verdict))
    }

    /// Reads both lanes of all conversations of a project, as one more reader.
    async fn audit(&self, project: usize) -> Result<()> {
        let rooms: Vec<&Room> = self.rooms.iter().filter(|room| room.talk.index % PROJECTS == project).collect();
        let mut read = HashSet::new();
        for attempt in 1..=AUDITS {
            match self.read_all(project, &rooms, &mut read).await {
                Ok(()) => return Ok(()),
                Err(error) if attempt == AUDITS => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
        Ok(())
    }

    async fn read_all(&self, project: usize, rooms: &[&Room], read: &mut HashSet<(usize, Lane)>) -> Result<()> {
        let mut link = self.auditor(project).await?;
        for room in rooms {
            for lane in [Lane::Thread, Lane::Desk] {
                if read.contains(&(room.talk.index, lane)) {
                    continue;
                }
                let entries = read_on(&mut link, room.conversation, lane, 0).await?;
                room.talk.audit(lane, &entries);
                read.insert((room.talk.index, lane));
            }
        }
        link.close().await;
        Ok(())
    }

    async fn auditor(&self, project: usize) -> Result<Link> {
        let last = self.tokens[project].agents.last().context("no token for the audit")?;
        Link::connect(&self.dialer, project, last).await
    }

    /// Asks for what must not be told: another project's conversation, and a visitor for the desk lane.
    async fn probe(&self, project: usize) -> Result<()> {
        let ask = |conversation, lane| {
            Command::History(History { conversation, lane, before: None, after: Some(0), limit: 1 })
        };
        let mut agent = self.auditor(project).await?;
        for other in self.rooms.iter().filter(|room| room.talk.index % PROJECTS != project) {
            if agent.ask(ask(other.conversation, Lane::Thread)).await.is_ok() {
                other.talk.leaked(|| format!("an agent of another project may read {}", other.conversation));
            }
        }
        agent.close().await;
        let Some(own) = self.rooms.get(project) else { return Ok(()) };
        let mut visitor = Link::connect(&self.dialer, project, self.tokens[project].visitor(0)).await?;
        if visitor.ask(ask(own.conversation, Lane::Desk)).await.is_ok() {
            own.talk.leaked(|| format!("the visitor may read the desk lane of {}", own.conversation));
        }
        visitor.close().await;
        Ok(())
    }

    fn figures(&self, verdict: &Verdict, elapsed: Duration, not_sent: u64) -> Figures {
        let mut figures = Figures::default();
        let latencies = self.meter.latencies();
        figures.set("messages_per_s", whole(self.meter.total()) / elapsed.as_secs_f64());
        figures.set_latency("ack", &latencies.ack);
        figures.set_latency("delivered", &latencies.delivered);
        figures.set_verdict(verdict);
        let (errors, disconnects) = self.meter.troubles();
        let (returns, last) = self.meter.returns();
        figures.set("not_sent", whole(not_sent));
        figures.set("errors", whole(errors.values().sum()));
        figures.set("disconnects", whole(disconnects.values().sum()));
        figures.set("returns", whole(returns));
        if let Some(last) = last {
            figures.set("last_return_after_ms", micros_as_ms(micros(last.duration_since(self.began))));
        }
        figures.set("longest_away_ms", micros_as_ms(micros(self.meter.longest_away())));
        figures.set("resets", whole(self.meter.resets()));
        figures
    }

    /// Refusals and endings, in words.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let (errors, disconnects) = self.meter.troubles();
        errors.iter().chain(&disconnects).map(|(what, count)| format!("{count} x {what}")).collect()
    }
}

/// A token for each of the cast of the `index`th conversation of a project.
fn tokens_of<'a>(tokens: &'a Tokens, cast: &[Role], index: usize) -> Vec<&'a str> {
    let agents = cast.iter().filter(|role| **role == Role::Agent).count();
    let mut next = (index * agents)..;
    let of = |role: &Role| match role {
        Role::Visitor => tokens.visitor(index),
        Role::Agent => tokens.agent(next.next().unwrap_or_default()),
    };
    cast.iter().map(of).collect()
}

/// Runs against all nodes and returns what was found.
pub(crate) async fn run(ground: &Ground, settings: &Settings) -> Result<Figures> {
    let mut crowd = Crowd::gather(ground, settings).await?;
    crowd.begin();
    crowd.talk_it_out().await;
    let troubles = crowd.troubles();
    let (figures, verdict) = crowd.finish().await?;
    for line in verdict.examples().iter().chain(&troubles) {
        remark(line);
    }
    Ok(figures)
}

#[cfg(test)]
#[path = "crowd_tests.rs"]
mod tests;
