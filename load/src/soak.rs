//! `soak`: hours of chat at an even rate while people come and go. Does memory, the count of descriptors or latency grow?

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use deskbell::{
    protocol::client::{Command, PageView},
    tasks::Tasks,
};

use crate::{
    chat,
    client::{Buffers, Dialer, Link},
    flights::Meter,
    plan::Span,
    report::{Figures, remark, whole},
    scan,
    target::{Target, Tokens},
    timeline::{Fit, Timeline},
};

/// The most hours that a run may take.
const MOST_HOURS: f64 = 24.0;
/// How much of a run is not judged: caches fill, pools grow to their size.
const WARMING: f64 = 0.2;
/// How long one token is used, of the hour that it holds.
const MOST_OF_A_TOKEN_S: f64 = 3000.0;
/// Different visitors among those who come and go.
const PASSERS_BY: usize = 500;

/// How to soak.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Settings {
    /// For how many hours; at most 24.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) hours: f64,
    /// For how many minutes instead.
    #[arg(long, conflicts_with = "hours")]
    pub(crate) minutes: Option<f64>,
    /// Conversations.
    #[arg(long, default_value_t = 200)]
    pub(crate) pairs: usize,
    /// Messages a second, all together.
    #[arg(long, default_value_t = 200.0)]
    pub(crate) rate: f64,
    /// Visitors a second who come, look at a page and go.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) passing: f64,
    /// Bytes of each text.
    #[arg(long, default_value_t = 128)]
    pub(crate) bytes: usize,
    /// By how many percent something may have grown in the judged time.
    #[arg(long, default_value_t = 10.0)]
    pub(crate) tolerance_percent: f64,
}

impl Settings {
    pub(crate) fn validate(&self) -> Result<()> {
        let hours = self.seconds() / 3600.0;
        if !(hours > 0.0 && hours <= MOST_HOURS) {
            bail!("--hours must be above 0 and at most {MOST_HOURS}");
        }
        if !(self.passing >= 0.0 && self.passing <= 1000.0) {
            bail!("--passing must be 0 to 1,000");
        }
        self.chat().validate()
    }

    fn seconds(&self) -> f64 {
        self.minutes.map_or(self.hours * 3600.0, |minutes| minutes * 60.0)
    }

    /// How many rounds there are: a session token holds for an hour, so after a while others talk.
    fn rounds(&self) -> u32 {
        (1..100).find(|rounds| self.seconds() / f64::from(*rounds) <= MOST_OF_A_TOKEN_S).unwrap_or(100)
    }

    fn chat(&self) -> chat::Settings {
        chat::Settings {
            pairs: self.pairs,
            rate: Some(self.rate),
            in_flight: 1,
            span: Span { bytes: self.bytes, seconds: self.seconds() / f64::from(self.rounds()), warm_up: 2.0 },
            last_call: 10.0,
            kill_after: None,
        }
    }
}

/// Soaks a server and returns what was measured.
pub(crate) async fn run(target: &Target, settings: Settings) -> Result<Figures> {
    let (failures, mut rounds) = (Arc::new(AtomicU64::new(0)), Vec::new());
    let mut timeline = Timeline::begin(target, &Meter::new());
    for round in 1..=settings.rounds() {
        if settings.rounds() > 1 {
            remark(&format!("round {round} of {}: new conversations", settings.rounds()));
        }
        let tasks = Tasks::new();
        if settings.passing > 0.0 {
            let tokens = target.tokens(PASSERS_BY, 0).await?.context("the baseline can't be soaked")?;
            let dialer = target.dialer(Buffers::IDLE)?;
            tasks.spawn(pass_by(dialer, tokens, settings.passing, (tasks.clone(), Arc::clone(&failures))));
        }
        rounds.push(chat::talk(target, settings.chat(), &mut timeline).await?);
        tasks.stop();
        tasks.wait(Duration::from_secs(5)).await;
    }
    let mut figures = Figures::of_rounds(&rounds);
    figures.draw(timeline.charts());
    figures.set("passing_failures", whole(failures.load(Ordering::Relaxed)));
    judge(&timeline, settings, &mut figures);
    Ok(figures)
}

/// What grew, and how fast.
fn judge(timeline: &Timeline, settings: Settings, figures: &mut Figures) {
    let from = settings.seconds() * WARMING;
    let tolerance = settings.tolerance_percent / 100.0;
    let series =
        [("rss_mb", timeline.rss_mb()), ("descriptors", timeline.descriptors()), ("ack_p99_ms", timeline.ack_p99_ms())];
    for (name, points) in series {
        let judged: Vec<_> = points.into_iter().filter(|(at, _)| *at >= from).collect();
        let Some(fit) = Fit::through(&judged) else { continue };
        figures.set(format!("{name}_per_hour"), fit.slope * 3600.0);
        figures.set(format!("{name}_grows"), f64::from(u8::from(fit.grows(tolerance))));
    }
}

/// Visitors come, look and go, evenly, until it is over.
async fn pass_by(dialer: Dialer, tokens: Tokens, rate: f64, (tasks, failures): (Tasks, Arc<AtomicU64>)) {
    let (tokens, mut ticks) = (Arc::new(tokens), tokio::time::interval(Duration::from_secs_f64(1.0 / rate)));
    for index in 0.. {
        tokio::select! {
            _ = ticks.tick() => {}
            () = tasks.stopped() => return,
        }
        let (dialer, tokens, failures) = (dialer.clone(), Arc::clone(&tokens), Arc::clone(&failures));
        tasks.spawn(async move {
            if let Err(error) = look_in(&dialer, tokens.visitor(index), index).await
                && failures.fetch_add(1, Ordering::Relaxed) == 0
            {
                remark(&format!("a passer-by: {error:#}"));
            }
        });
    }
}

async fn look_in(dialer: &Dialer, token: &str, index: usize) -> Result<()> {
    let mut link = Link::connect(dialer, index, token).await?;
    link.ask(Command::Page(PageView { page: scan::page(0) })).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    link.close().await;
    Ok(())
}

#[cfg(test)]
#[path = "soak_tests.rs"]
mod tests;
