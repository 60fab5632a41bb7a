//! `chat`: pairs of visitor and agent talk at a fixed rate or as fast as they can, and every message is checked.
//!
//! At a fixed rate the model is open: a message is due when the plan says so, whether or not earlier ones have been
//! answered, and its latency counts from then (no coordinated omission). At saturation each side answers what it hears, so
//! that as many messages of a pair are under way as it began with.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use deskbell::{domain::Lane, tasks::Tasks};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::mpsc;

use crate::{
    charts::Chart,
    check::Verdict,
    client::{Buffers, Dialer},
    flights::{Latencies, Meter, micros},
    orders::Order,
    pair::{Pair, Seat, Talk, VISITOR},
    plan::{Plan, Span},
    procfs,
    report::{Figures, micros_as_ms, progress, remark, whole},
    side::Side,
    target::{Target, Tokens},
    timeline::Timeline,
    usage::Usage,
};

/// How many pairs are set up at once: enough to hide the round trips, too few to be refused.
const SETUPS_AT_ONCE: usize = 32;

/// How to chat.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Settings {
    /// Conversations, each of one visitor and one agent's socket.
    #[arg(long, default_value_t = 1000)]
    pub(crate) pairs: usize,
    /// Messages a second, all pairs together; without it as many as possible.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Messages under way in each pair, at saturation.
    #[arg(long, default_value_t = 1)]
    pub(crate) in_flight: usize,
    #[command(flatten)]
    pub(crate) span: Span,
    /// Seconds without any message after which those that are still under way are given up, once nobody sends any more.
    #[arg(long, default_value_t = 10.0)]
    pub(crate) last_call: f64,
    /// Kill the server (SIGKILL) after so many measured seconds and start it again on the same data.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) kill_after: Option<f64>,
}

impl Settings {
    pub(crate) fn validate(&self) -> Result<()> {
        if self.pairs == 0 || self.in_flight == 0 || self.rate.is_some_and(|rate| rate <= 0.0 || !rate.is_finite()) {
            bail!("--pairs, --in-flight and --rate must be above 0");
        }
        procfs::require_descriptors(self.pairs as u64 * 2)
    }
}

/// Which latencies are kept apart where there are several nodes: those of pairs on one node, and of pairs across two.
const GROUPS: [&str; 2] = ["same_node", "cross_node"];

/// Runs against a server and returns what was measured.
pub(crate) async fn run(target: &Target, settings: Settings) -> Result<Figures> {
    let mut timeline = Timeline::begin(target, &Meter::new());
    let mut figures = talk(target, settings, &mut timeline).await?;
    figures.draw(timeline.charts());
    Ok(figures)
}

/// The same, with each moment noted.
pub(crate) async fn talk(target: &Target, settings: Settings, timeline: &mut Timeline) -> Result<Figures> {
    let dialer = target.dialer(Buffers::TALKING)?;
    let meter = Arc::new(Meter::with_groups(GROUPS.len()));
    let pairs = match target.tokens(settings.pairs, settings.pairs).await? {
        Some(tokens) => open_all(&dialer, &tokens, settings, &meter).await?,
        None => relay_all(&dialer, settings, &meter).await?,
    };
    let mut figures = converse(pairs, target, settings, &meter, timeline).await?;
    if dialer.nodes() > 1 {
        set_groups(&mut figures, target, &meter);
    }
    Ok(figures)
}

/// Where the two of a pair are: visitors on all nodes in turn, every other agent on its visitor's node, the rest on the next
/// one. Also which group that makes the pair.
const fn places(index: usize, nodes: usize) -> ([usize; 2], usize) {
    let visitor = index / 2 % nodes;
    let agent = (visitor + index % 2) % nodes;
    ([visitor, agent], if visitor == agent { 0 } else { 1 })
}

fn each_node(dialer: &Dialer) -> Vec<Dialer> {
    (0..dialer.nodes()).map(|at| dialer.to_node(at)).collect()
}

async fn open_all(dialer: &Dialer, tokens: &Tokens, settings: Settings, meter: &Arc<Meter>) -> Result<Vec<Pair>> {
    let nodes = &each_node(dialer);
    let openings = (0..settings.pairs).map(|index| {
        let ([visitor, agent], group) = places(index, nodes.len());
        let talk = Talk::new(index, settings.span.bytes, Arc::clone(meter), group);
        async move {
            let seats = [
                Seat { dialer: &nodes[visitor], token: tokens.visitor(index) },
                Seat { dialer: &nodes[agent], token: tokens.agent(index) },
            ];
            let pair = Pair::open(&seats, talk, settings.kill_after.is_some()).await;
            pair.with_context(|| format!("failed to set up conversation {index}"))
        }
    });
    stream::iter(openings).buffer_unordered(SETUPS_AT_ONCE).try_collect().await
}

async fn relay_all(dialer: &Dialer, settings: Settings, meter: &Arc<Meter>) -> Result<Vec<Pair>> {
    let nodes = &each_node(dialer);
    let openings = (0..settings.pairs).map(|index| {
        let (places, group) = places(index, nodes.len());
        let talk = Talk::new(index, settings.span.bytes, Arc::clone(meter), group);
        async move { Pair::relayed(places.map(|at| &nodes[at]), talk).await }
    });
    stream::iter(openings).buffer_unordered(SETUPS_AT_ONCE).try_collect().await
}

/// The latencies of each group, and what the way through the bus adds.
fn set_groups(figures: &mut Figures, target: &Target, meter: &Meter) {
    let latencies = [0, 1].map(|group| meter.latencies_of(group));
    for (name, latencies) in GROUPS.iter().zip(&latencies) {
        if !target.is_baseline() {
            figures.set_latency(&format!("{name}_ack"), &latencies.ack);
        }
        figures.set_latency(&format!("{name}_delivered"), &latencies.delivered);
    }
    let (same, cross) = (&latencies[0].delivered, &latencies[1].delivered);
    figures.draw([Chart::distribution("On one node, and across two", &[("across", cross), ("on one node", same)])]);
    for (name, quantile) in [("cross_node_extra_p50_ms", 0.5), ("cross_node_extra_p99_ms", 0.99)] {
        let [same, cross] = [0, 1].map(|at| latencies[at].delivered.value_at_quantile(quantile));
        figures.set(name, micros_as_ms(cross) - micros_as_ms(same));
    }
}

async fn converse(
    pairs: Vec<Pair>,
    target: &Target,
    settings: Settings,
    meter: &Arc<Meter>,
    timeline: &mut Timeline,
) -> Result<Figures> {
    let background = Tasks::new();
    let (mut talks, mut orderers) = (Vec::new(), [Vec::new(), Vec::new()]);
    for pair in pairs {
        talks.push(pair.talk);
        for (side, orderers) in pair.sides.into_iter().zip(&mut orderers) {
            start_side(side, orderers, &background);
        }
    }
    let pacer = begin(&talks, &orderers, settings);
    let figures = measure(target, settings, meter, timeline).await?;
    answer(&talks, false);
    let late = match pacer {
        Some(pacer) => pacer.await.context("the pacer broke")?,
        None => 0,
    };
    meter.last_call(Duration::from_secs_f64(settings.last_call)).await;
    for orderer in orderers.iter().flatten() {
        // An error says that the side has ended already, which is what is asked for.
        orderer.send(Order::Stop).await.ok();
    }
    background.stop();
    background.wait(Duration::from_secs(5)).await;
    Ok(judge(figures, &talks, target, meter, late))
}

fn start_side(side: Side, orderers: &mut Vec<mpsc::Sender<Order>>, tasks: &Tasks) {
    orderers.push(side.orderer.clone());
    tasks.spawn(side.run(tasks.clone()));
}

fn answer(talks: &[Arc<Talk>], on: bool) {
    for talk in talks {
        talk.answer(on);
    }
}

/// Sets the talking going: by a plan of due times, or by the first words of pairs that answer each other.
fn begin(
    talks: &[Arc<Talk>],
    orderers: &[Vec<mpsc::Sender<Order>>; 2],
    settings: Settings,
) -> Option<tokio::task::JoinHandle<u64>> {
    if let Some(rate) = settings.rate {
        let length = settings.span.length();
        let speakers = orderers.iter().flatten().map(|orderer| (orderer.clone(), Lane::Thread)).collect();
        return Some(Plan::new(rate, length).begin(speakers));
    }
    answer(talks, true);
    for visitor in &orderers[VISITOR] {
        for _ in 0..settings.in_flight {
            // The queue is empty and longer than this; a side that has ended shows among the disconnects.
            visitor.try_send(Order::Say(Instant::now(), Lane::Thread)).ok();
        }
    }
    None
}

/// Waits through warm-up and measured time, showing progress; returns rates and CPU.
async fn measure(target: &Target, settings: Settings, meter: &Meter, timeline: &mut Timeline) -> Result<Figures> {
    let warm_up = settings.span.warming_up();
    watch("warming up", target, warm_up, meter, &mut Timeline::begin(target, meter)).await;
    timeline.go_on(target, meter);
    let (start, from) = (Instant::now(), meter.total());
    let usage = Usage::begin(target);
    meter.measure(true);
    let watching = watch("measuring", target, settings.span.measured(), meter, timeline);
    let ((), killed) = tokio::join!(watching, kill(target, settings));
    meter.measure(false);
    let (elapsed, landed) = (start.elapsed().as_secs_f64(), whole(meter.total() - from));

    let mut figures = Figures::default();
    figures.set("messages_per_s", landed / elapsed);
    if let Some((at, ready)) = killed? {
        let (returns, last) = meter.returns();
        figures.set("killed_to_ready_ms", micros_as_ms(micros(ready)));
        figures.set("returns", whole(returns));
        figures.set("killed_to_all_back_ms", last.map_or(f64::NAN, |last| micros_as_ms(micros(last - at))));
        return Ok(figures);
    }
    usage.tell(target, meter.total() - from, &mut figures);
    Ok(figures)
}

/// Kills the server when it is time and starts it again; returns when that was, and how long until it was ready again.
async fn kill(target: &Target, settings: Settings) -> Result<Option<(Instant, Duration)>> {
    let Some(after) = settings.kill_after else { return Ok(None) };
    tokio::time::sleep(Duration::from_secs_f64(after)).await;
    let at = Instant::now();
    target.kill_and_start().await?;
    Ok(Some((at, at.elapsed())))
}

/// Waits, showing progress and noting each moment: every second, in a long run less often.
async fn watch(what: &str, target: &Target, length: Duration, meter: &Meter, timeline: &mut Timeline) {
    const MOST_MOMENTS: u32 = 600;
    let (end, step) = (Instant::now() + length, Duration::from_secs(1).max(length / MOST_MOMENTS));
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        tokio::time::sleep(left.min(step)).await;
        let rate = timeline.tick(target, meter);
        let (left, under_way) = (end.saturating_duration_since(Instant::now()).as_secs(), meter.under_way());
        progress(&format!("{what}: {rate:.0} messages/s, {under_way} under way, {left} s left"));
    }
}

fn judge(mut figures: Figures, talks: &[Arc<Talk>], target: &Target, meter: &Meter, late: u64) -> Figures {
    let Latencies { ack, delivered } = meter.latencies();
    let title = "How long a message takes";
    if target.is_baseline() {
        figures.set_latency("delivered", &delivered);
        figures.draw([Chart::distribution(title, &[("delivered", &delivered)])]);
        // What a relay drops is nobody's fault, as it promises nothing; it is told all the same.
        figures.set("not_delivered", whole(u64::try_from(meter.under_way()).unwrap_or_default()));
        return figures;
    }
    figures.set_latency("ack", &ack);
    figures.set_latency("delivered", &delivered);
    figures.draw([Chart::distribution(title, &[("delivered", &delivered), ("acknowledged", &ack)])]);
    figures.set("ack_mean_ms", ack.mean() / 1000.0);
    figures.set("delivered_mean_ms", delivered.mean() / 1000.0);
    let extra = micros_as_ms(delivered.value_at_quantile(0.99)) - micros_as_ms(ack.value_at_quantile(0.99));
    figures.set("delivered_extra_p99_ms", extra);
    if let Some(disk) = target.disk_sync_p99() {
        let (disk, own) = (micros_as_ms(micros(disk)), micros_as_ms(ack.value_at_quantile(0.99)));
        figures.set("disk_sync_p99_ms", disk);
        // What the goal allows: two syncs and 2 ms.
        figures.set("ack_p99_of_allowed", own / (2.0 * disk + 2.0));
    }
    let mut verdict = Verdict::default();
    for talk in talks {
        verdict += talk.verdict();
    }
    figures.set_verdict(&verdict);
    let (errors, disconnects) = meter.troubles();
    figures.set("not_sent", whole(late));
    figures.set("errors", whole(errors.values().sum()));
    figures.set("disconnects", whole(disconnects.values().sum()));
    for example in verdict.examples() {
        remark(example);
    }
    for (what, count) in errors.iter().chain(&disconnects) {
        remark(&format!("{count} x {what}"));
    }
    figures
}

#[cfg(test)]
#[path = "chat_tests.rs"]
mod tests;
