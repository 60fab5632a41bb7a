//! `mixed`: a realistic day on a clock that runs fast. Visitors come as they do in a shop, look at pages, some of them ask, type,
//! go to another page in the middle, walk off and come back; agents answer, read, write notes, hand over, close; visitors rate.
//! Every message is judged, and in the end the log is read.

mod agent;
mod day;
mod office;
mod visitor;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use deskbell::{domain::Lane, tasks::Tasks};
use futures_util::{StreamExt as _, stream::FuturesUnordered};

use self::{
    agent::{Agent, colleagues},
    day::{Clock, Visit},
    office::{Office, Tally},
    visitor::Site,
};
use crate::{
    charts::{Axis, Chart, Scale},
    check::Verdict,
    client::{Buffers, Dialer, Link},
    flights::{Latencies, Meter},
    procfs,
    report::{Figures, UNFINISHED, progress, remark, whole},
    returning::read_on,
    target::Target,
    timeline::Timeline,
    usage::Usage,
};

/// How to spend the day.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Settings {
    /// Visitors of the day.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) visitors: usize,
    /// How many of a hundred visitors ask something.
    #[arg(long, default_value_t = 30)]
    pub(crate) chatting_percent: u8,
    /// Agents on duty.
    #[arg(long, default_value_t = 20)]
    pub(crate) agents: usize,
    /// Minutes that the 24 hours take.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) minutes: f64,
    /// Bytes of each text.
    #[arg(long, default_value_t = 128)]
    pub(crate) bytes: usize,
    /// Another one gives another day.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

impl Settings {
    pub(crate) fn validate(&self) -> Result<()> {
        if self.visitors == 0 || self.agents == 0 || self.chatting_percent > 100 {
            bail!("--visitors and --agents must be above 0, --chatting-percent at most 100");
        }
        if self.minutes <= 0.0 || !self.minutes.is_finite() {
            bail!("--minutes must be above 0");
        }
        // In the busiest hour comes a twelfth of them, and nobody stays for longer.
        procfs::require_descriptors((self.visitors / 12 + self.agents) as u64)
    }

    fn length(&self) -> Duration {
        Duration::from_secs_f64(self.minutes * 60.0)
    }
}

/// Spends a day with a server and returns what was measured.
pub(crate) async fn run(target: &Target, settings: Settings) -> Result<Figures> {
    let visits = day::visits(settings.visitors, f64::from(settings.chatting_percent) / 100.0, settings.seed);
    let dialer = target.dialer(Buffers::TALKING)?;
    let tokens = target.tokens(settings.visitors, 0).await?.context("the baseline has no days")?;
    let staff = target.staff(settings.agents + 1).await?;
    let (auditor, staff) = staff.split_last().context("there are no agents")?;
    let tasks = Tasks::new();
    let office = Arc::new(Office::new(Clock::new(settings.length()), Arc::new(Meter::new())));
    let (colleagues, jobs) = colleagues(staff.len());
    let mut agents = Vec::new();
    for (number, (token, jobs)) in staff.iter().zip(jobs).enumerate() {
        agents.push(Agent::begin(number, (&dialer, token), jobs, &colleagues, &office, &tasks).await?);
    }
    for agent in agents {
        tasks.spawn(agent.run());
    }
    let (usage, dawn) = (Usage::begin(target), Instant::now());
    office.meter.measure(true);
    let site = Site {
        dialer: &dialer,
        office: Arc::clone(&office),
        colleagues,
        tasks: tasks.clone(),
        bytes: settings.bytes,
        dawn,
    };
    let mut timeline = Timeline::begin(target, &office.meter);
    let mut hours = Vec::new();
    let unfinished = spend(
        &site,
        &visits,
        |index| tokens.visitor(index),
        || {
            hours.push(people(&site));
            timeline.tick(target, &office.meter);
        },
    )
    .await;
    let mut figures = Figures::default();
    figures.draw([by_hour(&hours)]);
    figures.draw(timeline.charts());
    figures.set("messages_per_s", whole(office.meter.total()) / dawn.elapsed().as_secs_f64());
    usage.tell(target, office.meter.total(), &mut figures);
    office.meter.last_call(Duration::from_secs(10)).await;
    tasks.stop();
    tasks.wait(Duration::from_secs(5)).await;
    audit(&dialer, auditor, &office).await.context("failed to read the log")?;
    tell(&office, unfinished, &mut figures);
    Ok(figures)
}

/// All visits; gives how many did not go as they should.
async fn spend<'a>(site: &Site<'_>, visits: &[Visit], token: impl Fn(usize) -> &'a str, mut note: impl FnMut()) -> u64 {
    let visit = |(index, visit)| site.visit(index, token(index), visit);
    let mut going: FuturesUnordered<_> = visits.iter().enumerate().map(visit).collect();
    let (mut unfinished, mut ticks) = (0, tokio::time::interval(Duration::from_secs(1)));
    loop {
        tokio::select! {
            ended = going.next() => match ended {
                None => return unfinished,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    unfinished += 1;
                    if unfinished <= 5 {
                        remark(&format!("a visit went wrong: {error:#}"));
                    }
                }
            },
            _ = ticks.tick() => {
                note();
                show(site, going.len());
            }
        }
    }
}

fn show(site: &Site<'_>, left: usize) {
    let tally = &site.office.tally;
    let day = site.dawn.elapsed().as_secs_f64() / site.office.clock.secs(1.0).as_secs_f64();
    let (hour, minute) = ((day / 3600.0).floor(), (day / 60.0).floor() % 60.0);
    progress(&format!(
        "{hour:02.0}:{minute:02.0}  {} visitors here, {} chats open, {} messages, {left} visits left",
        tally.visitors_here.load(Ordering::Relaxed),
        tally.chats_open.load(Ordering::Relaxed),
        site.office.meter.total(),
    ));
}

/// The hour of the day, and how many visitors and open chats there are.
fn people(site: &Site<'_>) -> (f64, f64, f64) {
    let hour = site.dawn.elapsed().as_secs_f64() / site.office.clock.secs(3600.0).as_secs_f64();
    let count = |of: &AtomicI64| whole(of.load(Ordering::Relaxed).unsigned_abs());
    (hour, count(&site.office.tally.visitors_here), count(&site.office.tally.chats_open))
}

fn by_hour(hours: &[(f64, f64, f64)]) -> Chart {
    let note = "On the site, and in a conversation.";
    let (x, y) = (Axis { unit: "", scale: Scale::Clock }, Axis { unit: "people", scale: Scale::Linear });
    let chart = Chart { title: "The day".to_owned(), note, x, y, lines: Vec::new() };
    let line = |of: fn(&(f64, f64, f64)) -> f64| hours.iter().map(|now| (now.0, of(now))).collect();
    chart.with("visitors", line(|now| now.1)).with("chats", line(|now| now.2))
}

/// Reads both lanes of all conversations, as one more reader.
async fn audit(dialer: &Dialer, token: &str, office: &Office) -> Result<()> {
    let mut link = Link::connect(dialer, 0, token).await?;
    for room in office.all() {
        for lane in [Lane::Thread, Lane::Desk] {
            room.talk.audit(lane, &read_on(&mut link, room.conversation, lane, 0).await?);
        }
    }
    link.close().await;
    Ok(())
}

fn tell(office: &Office, unfinished: u64, figures: &mut Figures) {
    let Latencies { ack, delivered } = office.meter.latencies();
    figures.set_latency("ack", &ack);
    figures.set_latency("delivered", &delivered);
    figures.set_latency("in_line", &office.waits.lock());
    let lines = [("delivered", &delivered), ("acknowledged", &ack), ("waiting for an agent", &*office.waits.lock())];
    figures.draw([Chart::distribution("How long a message takes", &lines)]);
    tell_deeds(&office.tally, figures);
    let (rooms, mut verdict) = (office.all(), Verdict::default());
    figures.set("chats", whole(rooms.len() as u64));
    for room in &rooms {
        verdict += room.talk.verdict();
    }
    figures.set_verdict(&verdict);
    let (errors, disconnects) = office.meter.troubles();
    figures.set(UNFINISHED, whole(unfinished));
    figures.set("errors", whole(errors.values().sum()));
    figures.set("disconnects", whole(disconnects.values().sum()));
    let troubles = errors.iter().chain(&disconnects).map(|(what, count)| format!("{count} x {what}"));
    for line in verdict.examples().iter().cloned().chain(troubles) {
        remark(&line);
    }
}

fn tell_deeds(tally: &Tally, figures: &mut Figures) {
    let counts = [
        ("finished_chats", &tally.finished),
        ("page_views", &tally.page_views),
        ("typing", &tally.typing),
        ("reads", &tally.reads),
        ("navigations", &tally.navigations),
        ("walked_off", &tally.walked_off),
        ("transfers", &tally.transfers),
        ("notes", &tally.notes),
        ("ratings", &tally.ratings),
    ];
    for (name, count) in counts {
        figures.set(name, whole(count.load(Ordering::Relaxed)));
    }
    for (name, most) in [("most_visitors", &tally.most_visitors), ("most_chats", &tally.most_chats)] {
        figures.set(name, whole(most.load(Ordering::Relaxed).unsigned_abs()));
    }
}

#[cfg(test)]
#[path = "mixed_tests.rs"]
mod tests;
