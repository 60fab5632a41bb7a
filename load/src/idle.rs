//! `idle`: sessions that are there and say nothing. What does one cost?
//!
//! A process has only so many descriptors, so a large herd is held by several: each with a server of its own and, beside it, a
//! process of this program that holds its part ([`member`]) and is driven from here.

mod flock;
mod lean;
mod member;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

pub(crate) use self::member::obey;
use self::{flock::Flock, member::Members};
use crate::{
    charts::{Axis, Chart, Scale},
    cli::Against,
    procfs,
    report::{Figures, SESSIONS_MISSING, progress, remark, whole},
    target::{Options, Target},
};

/// Time for the server to forget what only the set-up needed.
const SETTLING: Duration = Duration::from_secs(2);

/// How to be idle.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Settings {
    /// Sessions to hold.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) sessions: usize,
    /// Start so many servers, each with its own part of the sessions and a process of this program to hold them: for more
    /// than one process has descriptors for.
    #[arg(long, default_value_t = 1)]
    pub(crate) processes: usize,
    /// Points of the growth curve: figures are also taken at so many equal parts.
    #[arg(long, default_value_t = 1)]
    pub(crate) steps: usize,
    /// Points of the growth curve by name, as in `1000,10000,100000`, instead of equal parts.
    #[arg(long, value_delimiter = ',', conflicts_with = "steps")]
    pub(crate) at: Vec<usize>,
    /// Seconds to hold them, at each point of the curve. More than 35 see every session's heartbeat.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) seconds: f64,
}

impl Settings {
    pub(crate) fn validate(&self, target: &Options, against: Against) -> Result<()> {
        if self.steps == 0 || self.steps > self.sessions {
            bail!("--steps must be 1 to --sessions");
        }
        if self.processes == 0 || self.processes > member::MOST || self.processes > self.sessions {
            bail!("--processes must be 1 to {} and at most --sessions", member::MOST);
        }
        if self.processes > 1 && (!target.starts_one_server() || against.wants_baseline()) {
            bail!("with --processes each has a server of its own: leave out --url, --cluster and the baseline");
        }
        let each = self.sessions.div_ceil(self.processes) as u64;
        procfs::require_descriptors(each).map_err(|error| match member::enough_for(self.sessions) {
            Some(processes) if target.starts_one_server() => {
                error.context(format!("one process can't hold {each} sessions; several can: --processes {processes}"))
            }
            _ => error,
        })
    }

    /// At how many sessions figures are taken; the last one is all of them.
    fn points(&self) -> Vec<usize> {
        let mut points = match self.at.as_slice() {
            [] => (1..=self.steps).map(|step| self.sessions * step / self.steps).collect(),
            named => named.to_vec(),
        };
        points.push(self.sessions);
        points.retain(|point| *point > 0 && *point <= self.sessions);
        points.sort_unstable();
        points.dedup();
        points
    }
}

/// What sessions take at one moment: of one server and its clients, or of all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Standing {
    held: u64,
    server_rss: u64,
    server_cpu_us: u64,
    server_descriptors: u64,
    harness_rss: u64,
    harness_cpu_us: u64,
    pings: u64,
    ended: u64,
}

impl std::iter::Sum for Standing {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            held: sum.held + one.held,
            server_rss: sum.server_rss + one.server_rss,
            server_cpu_us: sum.server_cpu_us + one.server_cpu_us,
            server_descriptors: sum.server_descriptors + one.server_descriptors,
            harness_rss: sum.harness_rss + one.harness_rss,
            harness_cpu_us: sum.harness_cpu_us + one.harness_cpu_us,
            pings: sum.pings + one.pings,
            ended: sum.ended + one.ended,
        })
    }
}

/// All sessions, wherever they are.
enum Herd<'a> {
    /// In this process.
    Here(Flock<'a>),
    /// In several.
    Apart(Members),
}

impl Herd<'_> {
    /// Sets up sessions until there are so many; says why if it comes no further.
    async fn fill(&mut self, until: usize) -> Result<Option<String>> {
        match self {
            Self::Here(flock) => {
                flock.fill(until, |done| progress(&format!("{done} of {until} sessions set up"))).await
            }
            Self::Apart(members) => members.fill(until).await,
        }
    }

    async fn look(&mut self) -> Result<Standing> {
        match self {
            Self::Here(flock) => flock.look(),
            Self::Apart(members) => members.look().await,
        }
    }
}

/// Holds sessions against a server and returns what one costs.
pub(crate) async fn run(target: &Target, settings: &Settings) -> Result<Figures> {
    let mut herd = Herd::Here(Flock::gather(target, settings.sessions).await?);
    let figures = measure(&mut herd, settings).await;
    if let Herd::Here(flock) = herd {
        flock.scatter().await;
    }
    figures
}

/// The same against several servers, each with a part of the sessions.
pub(crate) async fn run_apart(options: &Options, settings: &Settings) -> Result<Figures> {
    let members = Members::start(options, settings).await?;
    let mut herd = Herd::Apart(members);
    let mut figures = measure(&mut herd, settings).await?;
    figures.set("processes", whole(settings.processes as u64));
    if let Herd::Apart(members) = herd {
        members.dismiss().await;
    }
    Ok(figures)
}

/// The machine before there was anybody.
struct Before {
    empty: Standing,
    kernel: Option<u64>,
    available: Option<u64>,
    /// What has been set up since, without the pauses.
    setting_up: Duration,
}

/// What was seen at each point.
#[derive(Default)]
struct Growth {
    server: Vec<(f64, f64)>,
    harness: Vec<(f64, f64)>,
    each: Vec<(f64, f64)>,
    cpu: Vec<(f64, f64)>,
}

async fn measure(herd: &mut Herd<'_>, settings: &Settings) -> Result<Figures> {
    let mut before = Before {
        empty: herd.look().await?,
        kernel: procfs::kernel_bytes(),
        available: procfs::available_bytes(),
        setting_up: Duration::ZERO,
    };
    let mut figures = Figures::default();
    figures.set("empty_rss_mb", whole(before.empty.server_rss) / 1e6 / whole(settings.processes as u64));
    let (mut growth, mut last) = (Growth::default(), before.empty);
    for point in settings.points() {
        let began = Instant::now();
        let why = herd.fill(point).await?;
        before.setting_up += began.elapsed();
        tokio::time::sleep(SETTLING).await;
        let is_last = point == settings.sessions || why.is_some();
        let now = herd.look().await?;
        if now.held == 0 {
            bail!("there is no session: {}", why.unwrap_or_default());
        }
        note(&mut figures, &mut growth, &before, now, is_last);
        last = rest(herd, settings, &mut figures, &mut growth, is_last).await?;
        if let Some(why) = why {
            remark(&format!("no more than {} sessions: {why}", now.held));
            break;
        }
    }
    let there = last.held.saturating_sub(last.ended);
    figures.set("sessions", whole(there));
    figures.set(SESSIONS_MISSING, whole((settings.sessions as u64).saturating_sub(there)));
    figures.draw(growth.charts());
    Ok(figures)
}

/// What each session takes, with so many there.
fn note(figures: &mut Figures, growth: &mut Growth, before: &Before, now: Standing, is_last: bool) {
    let held = whole(now.held);
    let (server, harness) =
        (grown(before.empty.server_rss, now.server_rss), grown(before.empty.harness_rss, now.harness_rss));
    growth.server.push((held, server / 1e6));
    growth.harness.push((held, harness / 1e6));
    growth.each.push((held, server / held / 1000.0));
    if !is_last {
        figures.set(format!("rss_per_session_at_{}_bytes", now.held), server / held);
        return;
    }
    figures.set("rss_per_session_bytes", server / held);
    figures.set("harness_rss_per_session_bytes", harness / held);
    if let (Some(kernel), Some(later)) = (before.kernel, procfs::kernel_bytes()) {
        figures.set("kernel_both_ends_per_session_bytes", grown(kernel, later) / held);
    }
    if let (Some(available), Some(later)) = (before.available, procfs::available_bytes()) {
        figures.set("machine_per_session_bytes", grown(later, available) / held);
        figures.set("machine_available_mb", whole(later) / 1e6);
    }
    let seconds = before.setting_up.as_secs_f64();
    figures.set("set_up_s", seconds);
    figures.set("set_up_per_s", held / seconds);
}

fn grown(before: u64, after: u64) -> f64 {
    whole(after) - whole(before)
}

/// Watches the sessions do nothing: CPU, heartbeats, endings, memory at the end.
async fn rest(
    herd: &mut Herd<'_>,
    settings: &Settings,
    figures: &mut Figures,
    growth: &mut Growth,
    is_last: bool,
) -> Result<Standing> {
    let (start, before) = (Instant::now(), herd.look().await?);
    let end = start + Duration::from_secs_f64(settings.seconds);
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        progress(&format!("holding {}, {:.0} s left", before.held, left.as_secs_f64()));
        tokio::time::sleep(left.min(Duration::from_secs(5))).await;
    }
    let (elapsed, after) = (start.elapsed().as_secs_f64(), herd.look().await?);
    let busy = grown(before.server_cpu_us, after.server_cpu_us) / elapsed;
    let each = busy / whole(after.held);
    growth.cpu.push((whole(after.held), each));
    if !is_last {
        figures.set(format!("server_cpu_us_per_session_s_at_{}", after.held), each);
        return Ok(after);
    }
    figures.set("server_cpu_us_per_session_s", each);
    figures.set("server_cpu_percent", busy / 1e4);
    figures.set("harness_cpu_percent", grown(before.harness_cpu_us, after.harness_cpu_us) / elapsed / 1e4);
    figures.set("server_rss_mb", whole(after.server_rss) / 1e6);
    figures.set("server_descriptors", whole(after.server_descriptors));
    figures.set("heartbeats", whole(after.pings));
    figures.set("heartbeats_per_s", grown(before.pings, after.pings) / elapsed);
    figures.set("disconnects", whole(after.ended));
    Ok(after)
}

impl Growth {
    /// The curves, of two points or more.
    fn charts(self) -> Vec<Chart> {
        if self.server.len() < 2 {
            return Vec::new();
        }
        let all = "A straight line: each session costs the same, however many there are.";
        let each =
            "What one session takes of the server, by how many there are. Few share what the server itself grows by.";
        let cpu = "A level line: a session that says nothing costs the same, however many there are. 1 µs is a millionth of a core.";
        let by = |title: &str, note, unit, scale| {
            let (x, y) = (Axis { unit: "sessions", scale }, Axis { unit, scale: Scale::Linear });
            Chart { title: title.to_owned(), note, x, y, lines: Vec::new() }
        };
        let from_none = |points| [vec![(0.0, 0.0)], points].concat();
        vec![
            by("Memory by sessions", all, "MB", Scale::Linear)
                .with("servers", from_none(self.server))
                .with("the clients of this program", from_none(self.harness)),
            by("Memory of one session", each, "kB", Scale::Log).with("memory", self.each),
            by("CPU of one session", cpu, "µs/s", Scale::Log).with("CPU", self.cpu),
        ]
    }
}

#[cfg(test)]
#[path = "idle_tests.rs"]
mod tests;
