//! `growth`: the same rate of messages over ever more conversations. Does one cost more where there are many?
//!
//! Conversations are more than sockets: a visitor has several, an agent watches many, so that a hundred thousand fit into the
//! descriptors of one process. All of them stay open and watched while the next ones are added.

mod seat;

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use futures_util::{StreamExt as _, TryStreamExt as _, future::join_all, stream};

use self::seat::Seat;
use crate::{
    charts::{Axis, Chart, Scale},
    check::Verdict,
    client::{Buffers, Dialer},
    flights::{Latencies, Meter},
    orders::Order,
    pair::{AGENT, Talk, VISITOR},
    plan::{Plan, Span, Speaker},
    procfs,
    report::{CONVERSATIONS_MISSING, Figures, progress, remark, whole},
    target::{Target, Tokens},
    usage::Usage,
};

/// How many sockets are set up at once.
const SETUPS_AT_ONCE: usize = 32;
/// Open conversations of one visitor: the server's own limit.
const MOST_OF_A_VISITOR: usize = 10;
/// After so many new conversations everybody answers heartbeats, before the server takes somebody for gone: it waits 10 s for an
/// answer, and a busy machine takes half of that for as many.
const AT_A_TIME: usize = 250;
/// Time for the server to be done with the openings.
const SETTLING: Duration = Duration::from_secs(1);
/// Without any message for so long, those that are under way are given up.
const LAST_CALL: Duration = Duration::from_secs(10);

/// How to grow.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Settings {
    /// So many conversations, one count after the other, on the same server.
    #[arg(long, value_delimiter = ',', default_value = "10,100,1000,10000")]
    pub(crate) conversations: Vec<usize>,
    /// Messages a second, all conversations together, the same at each count.
    #[arg(long, default_value_t = 1000.0)]
    pub(crate) rate: f64,
    /// Visitors' sockets, at most; they share the conversations evenly.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) visitors: usize,
    /// Agents' sockets, at most.
    #[arg(long, default_value_t = 500)]
    pub(crate) agents: usize,
    #[command(flatten)]
    pub(crate) span: Span,
}

impl Settings {
    pub(crate) fn validate(&self) -> Result<()> {
        let most = self.conversations.last().copied().unwrap_or_default();
        if self.conversations.first().is_none_or(|first| *first == 0) || !self.conversations.is_sorted() {
            bail!("--conversations must be counts above 0, each larger than the one before");
        }
        if self.rate <= 0.0 || !self.rate.is_finite() || self.visitors == 0 || self.agents == 0 {
            bail!("--rate, --visitors and --agents must be above 0");
        }
        if most > self.visitors * MOST_OF_A_VISITOR {
            bail!(
                "a visitor has at most {MOST_OF_A_VISITOR} conversations: --visitors {}",
                most.div_ceil(MOST_OF_A_VISITOR)
            );
        }
        procfs::require_descriptors((self.visitors.min(most) + self.agents.min(most)) as u64)
    }
}

/// Everybody, between two counts.
struct Office {
    dialer: Dialer,
    tokens: Tokens,
    meter: Arc<Meter>,
    talks: Vec<Arc<Talk>>,
    visitors: Vec<Seat>,
    agents: Vec<Seat>,
}

/// Runs against a server and returns what was measured.
pub(crate) async fn run(target: &Target, settings: &Settings) -> Result<Figures> {
    let most = settings.conversations.last().copied().unwrap_or_default();
    let tokens = target.tokens(settings.visitors.min(most), settings.agents.min(most)).await?;
    let mut office = Office {
        dialer: target.dialer(Buffers::TALKING)?,
        tokens: tokens.context("the baseline has no conversations")?,
        meter: Arc::new(Meter::new()),
        talks: Vec::new(),
        visitors: Vec::new(),
        agents: Vec::new(),
    };
    let (mut figures, mut curves) = (Figures::default(), Curves::default());
    for count in &settings.conversations {
        if let Err(error) = office.grow(*count, settings).await {
            if curves.ack.is_empty() {
                return Err(error);
            }
            remark(&format!("no more than {} conversations: {error:#}", office.talks.len()));
            break;
        }
        tokio::time::sleep(SETTLING).await;
        let measured = office.talk(target, settings).await?;
        curves.add(&mut figures, *count, &measured);
    }
    curves.conclude(&mut figures);
    office.judge(&mut figures);
    figures.set(CONVERSATIONS_MISSING, whole((most - office.talks.len()) as u64));
    Ok(figures)
}

impl Office {
    /// Opens conversations, a part at a time, until there are so many. After an error nobody is left, and what was said before
    /// can still be judged.
    async fn grow(&mut self, count: usize, settings: &Settings) -> Result<()> {
        while self.talks.len() < count {
            let whole = self.talks.len();
            progress(&format!("{whole} of {count} conversations are open"));
            let opened = self.open((whole + AT_A_TIME).min(count), settings).await;
            if opened.is_err() {
                self.talks.truncate(whole);
                return opened;
            }
            self.breathe().await;
        }
        Ok(())
    }

    /// Opens conversations until there are so many, each watched by an agent.
    async fn open(&mut self, count: usize, settings: &Settings) -> Result<()> {
        let new = self.talks.len()..count;
        let talk = |index| Talk::new(index, settings.span.bytes, Arc::clone(&self.meter), 0);
        self.talks.extend(new.clone().map(talk));
        let (dialer, tokens, talks) = (&self.dialer, &self.tokens, &self.talks);
        // Whose a conversation is, does not change: by its number.
        let of = |seat: usize, seats: usize| new.clone().filter(move |index| index % seats == seat);

        let seats = fill_up(std::mem::take(&mut self.visitors), settings.visitors.min(count));
        let opening = seats.map(|(at, seat)| async move {
            let mut seat = match seat {
                Some(seat) => seat,
                None => Seat::take(VISITOR, dialer, at, tokens.visitor(at)).await?,
            };
            for index in of(at, settings.visitors) {
                seat.open(&talks[index]).await.with_context(|| format!("conversation {index}"))?;
            }
            anyhow::Ok(seat)
        });
        self.visitors = stream::iter(opening).buffered(SETUPS_AT_ONCE).try_collect().await?;

        let visitors = &self.visitors;
        let seats = fill_up(std::mem::take(&mut self.agents), settings.agents.min(count));
        let watching = seats.map(|(at, seat)| async move {
            let mut seat = match seat {
                Some(seat) => seat,
                None => Seat::take(AGENT, dialer, settings.visitors + at, tokens.agent(at)).await?,
            };
            for index in of(at, settings.agents) {
                let conversation = visitors[index % settings.visitors].conversation(&talks[index]);
                let conversation = conversation.context("a conversation that nobody opened")?;
                seat.watch(conversation, &talks[index]).await.with_context(|| format!("conversation {index}"))?;
            }
            anyhow::Ok(seat)
        });
        self.agents = stream::iter(watching).buffered(SETUPS_AT_ONCE).try_collect().await?;
        Ok(())
    }

    /// Lets everybody take in what has come, and answer heartbeats.
    async fn breathe(&mut self) {
        let seats: Vec<_> =
            std::mem::take(&mut self.visitors).into_iter().chain(std::mem::take(&mut self.agents)).collect();
        for seat in &seats {
            // The queue is empty: nobody has been told to speak.
            seat.orderer.try_send(Order::Stop).ok();
        }
        let seats = join_all(seats.into_iter().map(Seat::run)).await;
        (self.visitors, self.agents) = seats.into_iter().partition(|seat| seat.own == VISITOR);
    }

    /// Talks at the fixed rate, everybody in turn.
    async fn talk(&mut self, target: &Target, settings: &Settings) -> Result<Measured> {
        let count = self.talks.len();
        let length = settings.span.length();
        let plan = Plan::new(settings.rate, length);
        let pacer = plan.begin(self.speakers(settings));
        let orderers: Vec<_> = self.visitors.iter().chain(&self.agents).map(|seat| seat.orderer.clone()).collect();
        let meter = Arc::clone(&self.meter);
        let watching = async {
            progress(&format!("{count} conversations: warming up"));
            tokio::time::sleep(settings.span.warming_up()).await;
            let (latencies, total, usage) = (meter.latencies(), meter.total(), Usage::begin(target));
            meter.measure(true);
            progress(&format!("{count} conversations: measuring"));
            tokio::time::sleep(settings.span.measured()).await;
            meter.measure(false);
            let mut figures = Figures::default();
            let landed = meter.total() - total;
            usage.tell(target, landed, &mut figures);
            figures.set("messages_per_s", whole(landed) / settings.span.seconds);
            let late = pacer.await.context("the pacer broke")?;
            meter.last_call(LAST_CALL).await;
            for orderer in &orderers {
                // An error says that this one has ended already.
                orderer.send(Order::Stop).await.ok();
            }
            anyhow::Ok(Measured { figures, latencies: meter.latencies().since(&latencies), late })
        };
        let seats = std::mem::take(&mut self.visitors).into_iter().chain(std::mem::take(&mut self.agents));
        let (measured, seats) = tokio::join!(watching, join_all(seats.map(Seat::run)));
        (self.visitors, self.agents) = seats.into_iter().partition(|seat| seat.own == VISITOR);
        measured
    }

    /// Of each conversation the visitor, then of each the agent.
    fn speakers(&self, settings: &Settings) -> Vec<Speaker> {
        let of = |seats: &[Seat], most: usize| -> Vec<Speaker> {
            (0..self.talks.len()).map(|index| seats[index % most].speaker()).collect()
        };
        [of(&self.visitors, settings.visitors), of(&self.agents, settings.agents)].concat()
    }

    fn judge(&self, figures: &mut Figures) {
        let mut verdict = Verdict::default();
        for talk in &self.talks {
            verdict += talk.verdict();
        }
        figures.set_verdict(&verdict);
        let (errors, disconnects) = self.meter.troubles();
        figures.set("errors", whole(errors.values().sum()));
        figures.set("disconnects", whole(disconnects.values().sum()));
        for example in verdict.examples() {
            remark(example);
        }
        for (what, count) in errors.iter().chain(&disconnects) {
            remark(&format!("{count} x {what}"));
        }
    }
}

/// The seats that there are, and places for more until there are so many.
fn fill_up(seats: Vec<Seat>, count: usize) -> impl Iterator<Item = (usize, Option<Seat>)> {
    let more = count.saturating_sub(seats.len());
    seats.into_iter().map(Some).chain(std::iter::repeat_with(|| None).take(more)).enumerate()
}

/// What was measured at one count.
struct Measured {
    figures: Figures,
    latencies: Latencies,
    late: u64,
}

/// The figures of all counts.
#[derive(Default)]
struct Curves {
    cpu: Vec<(f64, f64)>,
    ack: Vec<(f64, f64)>,
    delivered: Vec<(f64, f64)>,
    memory: Vec<(f64, f64)>,
}

impl Curves {
    fn add(&mut self, figures: &mut Figures, count: usize, measured: &Measured) {
        let conversations = whole(count as u64);
        let named = [
            ("messages_per_s", "messages_per_s", None),
            ("server_cpu_us_per_message", "server_cpu_us_per_message", Some(&mut self.cpu)),
            ("server_rss_mb", "server_rss_mb", Some(&mut self.memory)),
            ("others_cpu_percent", "others_cpu_percent", None),
        ];
        for (name, own, curve) in named {
            let Some(value) = measured.figures.get(own) else { continue };
            figures.set(format!("{name}_at_{count}"), value);
            if let Some(curve) = curve {
                curve.push((conversations, value));
            }
        }
        for (name, times, curve) in [
            ("ack", &measured.latencies.ack, &mut self.ack),
            ("delivered", &measured.latencies.delivered, &mut self.delivered),
        ] {
            let p99 = crate::report::micros_as_ms(times.value_at_quantile(0.99));
            figures.set(format!("{name}_p99_ms_at_{count}"), p99);
            curve.push((conversations, p99));
        }
        figures.set(format!("not_sent_at_{count}"), whole(measured.late));
    }

    /// How much dearer a message is at the end than at the beginning, and the curves.
    fn conclude(self, figures: &mut Figures) {
        if let (Some((_, first)), Some((_, last))) = (self.cpu.first(), self.cpu.last()) {
            figures.set("cpu_growth", last / first);
        }
        let by = |title: &str, note, unit, scale| {
            let (x, y) = (Axis { unit: "conversations", scale: Scale::Log }, Axis { unit, scale });
            Chart { title: title.to_owned(), note, x, y, lines: Vec::new() }
        };
        let level = "A level line: a message costs the same, however many conversations are open and watched.";
        let times = "At the same rate of messages, spread evenly over all conversations.";
        let memory = "What the kernel counts as the server's resident memory.";
        figures.draw([
            by("CPU of a message", level, "µs", Scale::Linear).with("server", self.cpu),
            by("Latency by conversations", times, "ms", Scale::Log)
                .with("delivered p99", self.delivered)
                .with("ack p99", self.ack),
            by("Memory of the server", memory, "MB", Scale::Linear).with("memory", self.memory),
        ]);
    }
}

#[cfg(test)]
#[path = "growth_tests.rs"]
mod tests;
