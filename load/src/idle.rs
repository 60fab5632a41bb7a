//! `idle`: sessions that are there and say nothing. What does one cost?

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use deskbell::tasks::Tasks;
use futures_util::{StreamExt as _, stream};

use crate::{
    charts::{Axis, Chart, Scale},
    client::{Buffers, Dialer, Link},
    flights::Meter,
    pair::{Pair, Talk},
    procfs,
    report::{Figures, progress, remark, whole},
    scan::{self, Line},
    target::{Target, Tokens},
};

/// How many sessions are set up at once.
const SETUPS_AT_ONCE: usize = 64;
/// Time for the server to forget what only the set-up needed.
const SETTLING: Duration = Duration::from_secs(2);

/// How to be idle.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Settings {
    /// Sessions to hold.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) sessions: usize,
    /// Points of the growth curve: figures are also taken at so many equal parts.
    #[arg(long, default_value_t = 1)]
    pub(crate) steps: usize,
    /// Seconds to hold them. More than 35 see every session's heartbeat.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) seconds: f64,
}

impl Settings {
    pub(crate) fn validate(&self) -> Result<()> {
        if self.steps == 0 || self.steps > self.sessions {
            bail!("--steps must be 1 to --sessions");
        }
        procfs::require_descriptors(self.sessions as u64)?;
        procfs::require_memory(self.sessions as u64)
    }
}

/// What the sessions have seen.
#[derive(Default)]
struct Counts {
    pings: AtomicU64,
    ended: AtomicU64,
}

/// Holds sessions against a server and returns what one costs.
pub(crate) async fn run(target: &Target, settings: Settings) -> Result<Figures> {
    let dialer = target.dialer(Buffers::IDLE)?;
    let tokens = target.tokens(settings.sessions, 0).await?;
    let (tasks, counts) = (Tasks::new(), Arc::new(Counts::default()));
    let empty = target.read().context("failed to read the server's memory: give its --pid (own user, this machine)")?;
    let kernel = procfs::kernel_bytes();

    let mut figures = Figures::default();
    figures.set("empty_rss_mb", whole(empty.rss) / 1e6);
    let (began, mut held, mut growth) = (Instant::now(), 0, Vec::new());
    for step in 1..=settings.steps {
        let until = settings.sessions * step / settings.steps;
        hold(&dialer, tokens.as_ref(), held..until, &counts, &tasks).await?;
        held = until;
        tokio::time::sleep(SETTLING).await;
        let now = target.read().context("the server has gone")?;
        growth.push((whole(held as u64), (whole(now.rss) - whole(empty.rss)) / 1e6));
        let each = (whole(now.rss) - whole(empty.rss)) / whole(held as u64);
        let name = if step == settings.steps {
            "rss_per_session_bytes".to_owned()
        } else {
            format!("rss_per_session_at_{held}_bytes")
        };
        figures.set(name, each);
    }
    figures.draw(grown(growth));
    figures.set("set_up_s", began.elapsed().as_secs_f64() - SETTLING.as_secs_f64() * whole(settings.steps as u64));
    if let (Some(before), Some(after)) = (kernel, procfs::kernel_bytes()) {
        figures.set("kernel_both_ends_per_session_bytes", (whole(after) - whole(before)) / whole(held as u64));
    }
    rest(target, settings, &counts, &mut figures).await?;
    tasks.stop();
    tasks.wait(Duration::from_secs(10)).await;
    Ok(figures)
}

/// The growth curve, of two points or more.
fn grown(points: Vec<(f64, f64)>) -> Option<Chart> {
    let note = "A straight line: each session costs the same, however many there are.";
    let (x, y) = (Axis { unit: "sessions", scale: Scale::Linear }, Axis { unit: "MB", scale: Scale::Linear });
    let chart = Chart { title: "Memory by sessions".to_owned(), note, x, y, lines: Vec::new() };
    (points.len() > 1).then(|| chart.with("memory", [vec![(0.0, 0.0)], points].concat()))
}

/// Watches the sessions do nothing: CPU, heartbeats, endings, memory at the end.
async fn rest(target: &Target, settings: Settings, counts: &Counts, figures: &mut Figures) -> Result<()> {
    let (start, before) = (Instant::now(), target.read().context("the server has gone")?);
    while start.elapsed().as_secs_f64() < settings.seconds {
        tokio::time::sleep(Duration::from_secs_f64(settings.seconds.min(1.0))).await;
        let (pings, ended) = (counts.pings.load(Ordering::Relaxed), counts.ended.load(Ordering::Relaxed));
        progress(&format!("holding {}: {pings} heartbeats, {ended} ended", settings.sessions));
    }
    let (after, elapsed) = (target.read().context("the server has gone")?, start.elapsed().as_secs_f64());
    let busy = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    figures.set("server_cpu_percent", 100.0 * busy / elapsed);
    figures.set("server_rss_mb", whole(after.rss) / 1e6);
    figures.set("server_descriptors", whole(after.descriptors));
    figures.set("heartbeats", whole(counts.pings.load(Ordering::Relaxed)));
    figures.set("disconnects", whole(counts.ended.load(Ordering::Relaxed)));
    Ok(())
}

async fn hold(
    dialer: &Dialer,
    tokens: Option<&Tokens>,
    range: std::ops::Range<usize>,
    counts: &Arc<Counts>,
    tasks: &Tasks,
) -> Result<()> {
    let total = range.end;
    // The baseline's sockets come in pairs, so it is asked for half as many of them.
    let range = if tokens.is_some() { range } else { range.start / 2..range.end / 2 };
    let mut setups =
        stream::iter(range.map(|index| sit(dialer, tokens, index, counts, tasks))).buffer_unordered(SETUPS_AT_ONCE);
    let mut done = 0_usize;
    while let Some(result) = setups.next().await {
        result.with_context(|| format!("after {done} of {total} sessions"))?;
        done += 1;
        if done.is_multiple_of(1000) {
            progress(&format!("{done} of {total} sessions set up"));
        }
    }
    Ok(())
}

/// Sets up one session (of the baseline: one pair) and leaves it to itself.
async fn sit(
    dialer: &Dialer,
    tokens: Option<&Tokens>,
    index: usize,
    counts: &Arc<Counts>,
    tasks: &Tasks,
) -> Result<()> {
    let (counts, stop) = (Arc::clone(counts), tasks.clone());
    let Some(tokens) = tokens else {
        let pair = Pair::relayed(dialer, Talk::new(index, 0, Arc::new(Meter::new()), 0)).await?;
        // Held until the end; the sides only listen if they are run, and the baseline does not ping.
        tasks.spawn(async move {
            stop.stopped().await;
            drop(pair);
        });
        return Ok(());
    };
    let link = Link::connect(dialer, index, tokens.visitor(index)).await?;
    tasks.spawn(async move {
        tokio::select! {
            () = stop.stopped() => {}
            error = listen(link, &counts) => {
                if counts.ended.fetch_add(1, Ordering::Relaxed) == 0 {
                    remark(&format!("a session ended: {error:#}"));
                }
            }
        }
    });
    Ok(())
}

/// Answers heartbeats until the session ends; returns why it did.
async fn listen(mut link: Link, counts: &Counts) -> anyhow::Error {
    loop {
        let frame = match link.next().await {
            Ok(frame) => frame,
            Err(error) => return error,
        };
        if scan::lines(&frame).any(|line| scan::line(line) == Line::Ping) {
            counts.pings.fetch_add(1, Ordering::Relaxed);
            if let Err(error) = link.pong().await {
                return error;
            }
        }
    }
}
