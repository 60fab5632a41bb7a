//! `drills`: every fault that a cluster must survive, with real processes, a crowd that talks meanwhile, and a judgement of
//! every message.

mod faults;
mod table;
mod watch;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use self::{table::Row, watch::Watch};
use crate::{
    cli::Output,
    cluster::{Build, Cluster, Shape},
    crowd::{Crowd, Ground, Settings as CrowdSettings},
    procfs,
    report::{Figures, progress, remark, whole},
};

/// How long a calm crowd talks before the fault.
const BEFORE: Duration = Duration::from_secs(1);
/// How much later than its limit a crowd is still waited for, to say how long it took.
const OVERTIME: Duration = Duration::from_secs(30);

/// For how long what is missing of a drill's messages may take to be said in peace.
const PEACE: Duration = Duration::from_mins(2);
/// Sockets of a storm, in the long form and the short one.
const STORM: usize = 10_000;
const SHORT_STORM: usize = 500;

/// How to drill.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Settings {
    /// The short form: two minutes in all, for every change. Without it, each fault as long as it is in the world, again and
    /// again: about 20 minutes.
    #[arg(long)]
    short: bool,
    /// Only this one; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<Fault>,
    /// What is drilled: of a smaller shape, what it has.
    #[arg(long, default_value = "cluster")]
    shape: Kind,
    /// Nodes of a cluster.
    #[arg(long, default_value_t = 2)]
    nodes: usize,
    /// Messages a second. Short: 200, else 1,000; three quarters of it for a frozen node.
    #[arg(long)]
    rate: Option<f64>,
    /// Messages in all; a fault comes again until its share of them is said. Short: each fault once, else 1,000,000.
    #[arg(long)]
    messages: Option<u64>,
    /// Conversations. Short: 16, else 100.
    #[arg(long)]
    conversations: Option<usize>,
    /// The `deskbell` program; otherwise the one beside this program.
    #[arg(long, value_name = "PATH")]
    deskbell: Option<PathBuf>,
    /// How many times its limit a fault may take until all is well. For a machine that is busy with other things; what is
    /// lost, doubled or out of order fails at any rate.
    #[arg(long, value_name = "TIMES", default_value_t = 1.0)]
    patience: f64,
    /// Keep the folder of the cluster, with the nodes' log lines, when a drill fails.
    #[arg(long)]
    keep: bool,
}

/// The shapes that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// Nodes, Redis and PostgreSQL.
    Cluster,
    /// One node on PostgreSQL.
    Single,
    /// One node on SQLite.
    Embedded,
}

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Fault {
    Nothing,
    NodeKilled,
    NodeFrozen,
    RollingRestart,
    SocketsDropped,
    Storm,
    CertificateSwapped,
    ClientToNodeLoss,
    NodeToClientLoss,
    RedisRestarted,
    RedisPaused,
    RedisPubsubKilled,
    RedisGone,
    NodeToRedisLoss,
    RedisToNodeLoss,
    PostgresRestarted,
    PostgresKilled,
    NodeToPostgresLoss,
    PostgresToNodeLoss,
}

/// How long faults last, and how often they come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) short: bool,
}

impl Scale {
    pub(crate) const fn secs(self, short: u64, long: u64) -> Duration {
        Duration::from_secs(if self.short { short } else { long })
    }

    pub(crate) const fn times(self, short: usize, long: usize) -> usize {
        if self.short { short } else { long }
    }
}

impl Fault {
    /// What must be there to break it.
    fn suits(self, shape: Shape) -> bool {
        match self {
            Self::RedisRestarted
            | Self::RedisPaused
            | Self::RedisPubsubKilled
            | Self::RedisGone
            | Self::NodeToRedisLoss
            | Self::RedisToNodeLoss => shape.redis,
            Self::PostgresRestarted | Self::PostgresKilled | Self::NodeToPostgresLoss | Self::PostgresToNodeLoss => {
                shape.postgres
            }
            _ => true,
        }
    }

    /// Within what time from the fault's end everybody is back and nothing is late: invariant I6.
    fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::PostgresRestarted | Self::PostgresKilled | Self::NodeToPostgresLoss | Self::PostgresToNodeLoss => 10,
            Self::Storm => 30,
            _ => 5,
        })
    }

    /// How many hundredths of the rate the crowd has. What a frozen node holds back comes at once when it goes on, beside what is
    /// said then: how soon that is done is what two cores can carry, which is not what is drilled.
    const fn percent_of_rate(self) -> u64 {
        if matches!(self, Self::NodeFrozen) { 75 } else { 100 }
    }

    /// How long anybody may be without a session, where that is promised.
    fn away_limit(self) -> Option<Duration> {
        (self == Self::RollingRestart).then_some(Duration::from_secs(2))
    }

    /// How many of them the short form has: a long one in a sentence of its own.
    const fn is_in_short_form(self) -> bool {
        !matches!(self, Self::Storm)
    }

    fn name(self) -> String {
        clap::ValueEnum::to_possible_value(&self).map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// A drill under way.
pub(crate) struct Scene<'a> {
    pub(crate) cluster: &'a mut Cluster,
    pub(crate) crowd: &'a Crowd,
    pub(crate) scale: Scale,
    watch: &'a Watch,
    limit: Duration,
    /// The longest that anything took to be well again; `None` as soon as it did not become so.
    converged: Option<Duration>,
}

impl Scene<'_> {
    /// The fault ended `since`: waits until all is well.
    pub(crate) async fn heal(&mut self, since: Instant) {
        self.watch.over(since);
        let took = self.crowd.settle(since, self.limit + OVERTIME).await;
        self.converged = self.converged.zip(took).map(|(before, took)| before.max(took));
    }
}

/// Runs the drills; returns in words what failed.
pub(crate) async fn run(settings: &Settings, output: &Output, program: &Path) -> Result<Vec<String>> {
    let shape = settings.shape();
    let all = <Fault as clap::ValueEnum>::value_variants().iter().copied();
    let chosen: Vec<Fault> = match settings.only.as_slice() {
        [] => all.filter(|fault| fault.suits(shape) && (!settings.short || fault.is_in_short_form())).collect(),
        only => only.to_vec(),
    };
    if let Some(fault) = chosen.iter().find(|fault| !fault.suits(shape)) {
        bail!("{} can't be drilled on {shape:?}", fault.name());
    }
    settings.validate(&chosen)?;
    let mut cluster = Cluster::start(Build { program, shape, wires: true, tls: true, pin: false, under: None }).await?;
    let ground = cluster.ground().await?;
    let mut rows = Vec::new();
    for fault in chosen.iter().copied() {
        remark(&format!("drill: {}", fault.name()));
        let row = drill(&mut cluster, &ground, settings, fault, settings.messages_of(fault, &chosen)).await;
        let row = row.unwrap_or_else(|error| Row::broken(fault.name(), format!("{error:#}")));
        for line in row.remarks() {
            remark(&format!("  {line}"));
        }
        let is_broken = row.is_broken();
        rows.push(row);
        if is_broken && !restore(&mut cluster).await {
            break;
        }
    }
    let failures = table::conclude(rows, output)?;
    if settings.keep && !failures.is_empty() {
        remark(&format!("the cluster's folder stays: {}", cluster.keep().display()));
    }
    for node in &mut cluster.nodes {
        node.stop().await?;
    }
    Ok(failures)
}

impl Settings {
    /// The program to drill, where one is named.
    pub(crate) fn deskbell(&self) -> Option<&Path> {
        self.deskbell.as_deref()
    }

    fn validate(&self, chosen: &[Fault]) -> Result<()> {
        if self.rate() <= 0.0 || !self.rate().is_finite() || self.nodes == 0 {
            bail!("--rate and --nodes must be above 0");
        }
        let crowd = self.crowd(Fault::Nothing).sockets() as u64;
        let storm = if chosen.contains(&Fault::Storm) { self.scale().times(SHORT_STORM, STORM) as u64 } else { 0 };
        // Each of the crowd has a wire with two ends.
        procfs::require_descriptors(crowd * 3 + storm)
    }

    const fn scale(&self) -> Scale {
        Scale { short: self.short }
    }

    fn shape(&self) -> Shape {
        match self.shape {
            Kind::Cluster => Shape { nodes: self.nodes, postgres: true, redis: true },
            Kind::Single => Shape { nodes: 1, postgres: true, redis: false },
            Kind::Embedded => Shape { nodes: 1, postgres: false, redis: false },
        }
    }

    fn rate(&self) -> f64 {
        self.rate.unwrap_or(if self.short { 200.0 } else { 1000.0 })
    }

    /// In the short form nothing is held back for long.
    const fn percent_of_rate(&self, fault: Fault) -> u64 {
        if self.short { 100 } else { fault.percent_of_rate() }
    }

    /// Messages a second of a drill's crowd.
    fn rate_of(&self, fault: Fault) -> f64 {
        self.rate() * whole(self.percent_of_rate(fault)) / 100.0
    }

    /// How many messages `fault` is to have, at least: of all, what its rate is of all rates.
    fn messages_of(&self, fault: Fault, chosen: &[Fault]) -> u64 {
        let all = self.messages.unwrap_or(if self.short { 0 } else { 1_000_000 });
        let percents: u64 = chosen.iter().map(|fault| self.percent_of_rate(*fault)).sum();
        (all * self.percent_of_rate(fault)).div_ceil(percents)
    }

    fn crowd(&self, fault: Fault) -> CrowdSettings {
        let scale = self.scale();
        CrowdSettings {
            conversations: self.conversations.unwrap_or(scale.times(16, 100)),
            readers: 2,
            rate: Some(self.rate_of(fault)),
            seconds: 0.0,
            messages: None,
            bytes: 128,
            // New handshakes must meet the new certificate; and all drills see people come and go a little.
            roam: Some(if fault == Fault::CertificateSwapped { 2.0 } else { 30.0 }),
            last_call: 30.0,
        }
    }
}

/// One drill: a crowd, the fault in the middle, again until so many messages are said, the judgement.
async fn drill(cluster: &mut Cluster, ground: &Ground, settings: &Settings, fault: Fault, each: u64) -> Result<Row> {
    let mut crowd = Crowd::gather(ground, &settings.crowd(fault)).await.context("failed to gather a crowd")?;
    let began = Instant::now();
    crowd.begin();
    let limit = fault.limit().mul_f64(settings.patience);
    let away_limit = fault.away_limit().map(|limit| limit.mul_f64(settings.patience));
    let (watch, scale, converged) = (Watch::begin(), settings.scale(), Some(Duration::ZERO));
    let mut scene = Scene { cluster, crowd: &crowd, scale, watch: &watch, limit, converged };
    let injected = tokio::select! {
        injected = async {
            tokio::time::sleep(BEFORE).await;
            again_and_again(fault, &mut scene, each).await
        } => injected,
        never = watch.go_on(&crowd) => match never {},
    };
    let converged = scene.converged;
    let took = began.elapsed();
    let troubles = crowd.troubles();
    let (figures, verdict) = crowd.finish().await?;
    let mut row = Row::new(fault.name(), took, figures, converged, limit, away_limit);
    row.talked_at(settings.rate_of(fault));
    row.draw(watch.charts());
    row.remark(verdict.examples());
    match injected {
        Ok(more) => row.absorb(more),
        Err(error) => row.fail(format!("{error:#}")),
    }
    for (at, node) in cluster.nodes.iter_mut().enumerate() {
        if let Err(error) = node.lives() {
            row.fail(format!("{error:#}"));
        }
        if !row.holds() {
            row.remark(&node.last_lines(12).iter().map(|line| format!("node {}: {line}", at + 1)).collect::<Vec<_>>());
        }
    }
    if !row.holds() {
        row.remark(&troubles);
    }
    Ok(row)
}

/// Breaks the same thing until so many messages are said, or it does not heal; what little is missing then is said in peace.
async fn again_and_again(fault: Fault, scene: &mut Scene<'_>, each: u64) -> Result<Measured> {
    let mut rounds = 0;
    loop {
        let mut measured = faults::inject(fault, scene).await?;
        rounds += 1;
        let said = scene.crowd.landed();
        progress(&format!("{}: {rounds} times, {said} messages", fault.name()));
        let (half_a_round, healed) = (said / rounds / 2, scene.converged.is_some());
        if said + half_a_round >= each || !healed {
            if healed {
                scene.crowd.talk_on(each, PEACE).await;
            }
            measured.set("rounds", whole(rounds));
            return Ok(measured);
        }
    }
}

/// After a drill that broke off: everything runs again, or there is no point in going on.
async fn restore(cluster: &mut Cluster) -> bool {
    for node in &mut cluster.nodes {
        node.release_all();
        // A node that was not frozen does not mind.
        node.signal("CONT").await.ok();
        if node.lives().is_err() && node.start().await.is_err() {
            return false;
        }
    }
    true
}

/// What a fault itself has measured besides.
pub(crate) type Measured = Figures;
