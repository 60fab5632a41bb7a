//! `storm`: everybody is cut off at once and comes back at once. How long until all are back, and is anything missing?
//!
//! Each visitor has a conversation. While all are away an agent writes one message into each; whoever resumes must be given
//! exactly that one, no less and no more. With TLS each visitor keeps its own ticket, as browsers do.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use deskbell::{
    domain::{Key, Lane},
    ids::ConversationId,
    protocol::client::{Availability, Body, Command, Connect, Open, Position, Send, SetAvailability},
    tasks::Tasks,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use crate::{
    charts::Chart,
    client::{Buffers, Dialer, Link},
    flights::{histogram, micros},
    procfs,
    report::{Figures, NOT_RESUMED, progress, remark, whole},
    target::{Target, Tokens},
};

const SETUPS_AT_ONCE: usize = 64;
/// Sockets by which the agent writes to those who are away.
const SPEAKERS: usize = 16;
/// How many times a visitor tries before it counts as lost; between tries it waits as the widget does.
const TRIES: u32 = 6;
/// The longest first wait after a failure; it doubles, and each is left to chance, as the widget's.
const BACKOFF: Duration = Duration::from_millis(500);
/// How long the widget waits for the whole way in.
const WAY_IN: Duration = Duration::from_secs(15);

/// How to storm.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Settings {
    /// Visitors, each with one conversation.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) sessions: usize,
}

impl Settings {
    pub(crate) fn validate(self) -> Result<()> {
        procfs::require_descriptors(self.sessions as u64 + SPEAKERS as u64)?;
        procfs::require_memory(self.sessions as u64)
    }
}

/// A visitor's place, kept while it is away.
struct Place {
    index: usize,
    conversation: ConversationId,
    epoch: String,
    seq: u64,
}

/// How a return went.
struct Return {
    took: Duration,
    /// Why each try failed before the one that did not.
    failed: Vec<String>,
    /// In words, if the conversation did not go on as it should.
    wrong: Option<String>,
}

/// Runs against a server and returns what was measured.
pub(crate) async fn run(target: &Target, settings: Settings) -> Result<Figures> {
    let dialer = target.dialer(Buffers::IDLE)?.with_own_tickets(settings.sessions);
    let tokens =
        target.tokens(settings.sessions, 1).await?.context("the baseline keeps nothing that could be resumed")?;
    let before = target.read();
    let mut figures = weather(&dialer, &tokens, settings).await?;
    if let (Some(before), Some(after)) = (before, target.read()) {
        figures.set("server_cpu_s", after.cpu.saturating_sub(before.cpu).as_secs_f64());
        figures.set("server_rss_mb", whole(after.rss) / 1e6);
    }
    Ok(figures)
}

/// All come, all are cut off, and all come back.
pub(crate) async fn weather(dialer: &Dialer, tokens: &Tokens, settings: Settings) -> Result<Figures> {
    let setups = (0..settings.sessions).map(|index| open(dialer, tokens, index));
    let sessions: Vec<(Place, Link)> = stream::iter(setups).buffer_unordered(SETUPS_AT_ONCE).try_collect().await?;
    remark(&format!("{} sessions are open; cutting them", sessions.len()));
    let (mut places, links): (Vec<_>, Vec<_>) = sessions.into_iter().unzip();
    drop(links);

    speak(dialer, tokens, &mut places).await?;
    let (start, leaving) = (Instant::now(), Tasks::new());
    let mut returns: Vec<_> = places.iter().map(|place| come_back(dialer, tokens, place, &leaving)).collect();
    let mut back = stream::iter(returns.drain(..)).buffer_unordered(settings.sessions);
    let mut results = Vec::with_capacity(settings.sessions);
    while let Some(result) = back.next().await {
        results.push(result);
        if results.len().is_multiple_of(1000) {
            progress(&format!("{} of {} are back", results.len(), settings.sessions));
        }
    }
    let elapsed = start.elapsed();
    drop(back);
    leaving.stop();
    Ok(judge(&results, elapsed))
}

async fn open(dialer: &Dialer, tokens: &Tokens, index: usize) -> Result<(Place, Link)> {
    let mut link = Link::connect(dialer, index, tokens.visitor(index)).await?;
    let key = Key::parse("v-0").context("a key of letters and digits was refused")?;
    let body = Body { text: format!("{index}.0.0 hello") };
    let opened = link.ask(Command::Open(Open { key, body, fields: None, page: None })).await?;
    let conversation = opened["conversation"].as_str().context("`open` gave no conversation")?.parse()?;
    let epoch = opened["epoch"].as_str().context("`open` gave no epoch")?.to_owned();
    let seq = opened["seq"].as_u64().context("`open` gave no seq")?;
    Ok((Place { index, conversation, epoch, seq }, link))
}

/// An agent writes one message into each conversation, by several sockets at once; a place becomes the one before it, as of a
/// visitor who saw all else.
async fn speak(dialer: &Dialer, tokens: &Tokens, places: &mut [Place]) -> Result<()> {
    let each = places.len().div_ceil(SPEAKERS).max(1);
    let parts = places.chunks_mut(each).enumerate();
    let parts = parts.map(|(socket, places)| speak_in(dialer, (socket, tokens.agent(0)), places));
    futures_util::future::try_join_all(parts).await.map(drop)
}

async fn speak_in(dialer: &Dialer, (socket, token): (usize, &str), places: &mut [Place]) -> Result<()> {
    let mut agent = Link::connect(dialer, socket, token).await?;
    agent.ask(Command::Availability(SetAvailability { status: Availability::Away })).await?;
    for place in places {
        place.seq = say(&mut agent, place).await? - 1;
    }
    agent.close().await;
    Ok(())
}

/// Says one thing, again with the same key while the server is too busy; gives its `seq`.
async fn say(agent: &mut Link, place: &Place) -> Result<u64> {
    let mut tries = 1;
    loop {
        let key = Key::parse("a-0").context("a key of letters and digits was refused")?;
        let body = Body { text: format!("{}.1.0 while you were away", place.index) };
        match agent.ask(Command::Send(Send { conversation: place.conversation, key, body })).await {
            Ok(sent) => return sent["seq"].as_u64().context("`send` gave no seq"),
            Err(error) if tries == TRIES => return Err(error),
            Err(_) => tokio::time::sleep(BACKOFF).await,
        }
        tries += 1;
    }
}

/// Comes back, trying again as a client does; the link is dropped only when everybody has tried.
async fn come_back(dialer: &Dialer, tokens: &Tokens, place: &Place, leaving: &Tasks) -> (Return, Option<Link>) {
    let (start, mut failed) = (Instant::now(), Vec::new());
    for tries in 1..=TRIES {
        match resume(dialer, tokens, place, leaving).await {
            Ok((link, wrong)) => return (Return { took: start.elapsed(), failed, wrong }, Some(link)),
            Err(error) => failed.push(format!("{error:#}")),
        }
        tokio::time::sleep((BACKOFF * 2_u32.pow(tries - 1)).mul_f64(rand::random())).await;
    }
    let wrong = failed.last().map(|why| format!("never came back: {why}"));
    (Return { took: start.elapsed(), failed, wrong }, None)
}

/// Who has waited too long leaves in the background, as one of `leaving`.
async fn resume(dialer: &Dialer, tokens: &Tokens, place: &Place, leaving: &Tasks) -> Result<(Link, Option<String>)> {
    let end = Instant::now() + WAY_IN;
    let dialled = tokio::time::timeout_at(end.into(), dialer.dial(place.index)).await;
    let mut link = Link::new(dialled.context("no WebSocket within 15 s")??);
    let position =
        Position { conversation: place.conversation, epoch: place.epoch.clone(), lane: Lane::Thread, seq: place.seq };
    let token = tokens.visitor(place.index).to_owned();
    let connect = Command::Connect(Connect { token, client: None, resume: vec![position] });
    let connected = tokio::time::timeout_at(end.into(), link.ask(connect)).await;
    // An answer that was found together with the end came too late for a browser, which looks at its clock first.
    let Some(connected) = connected.ok().filter(|_| Instant::now() < end) else {
        let stopped = leaving.clone();
        leaving.spawn(async move {
            tokio::select! {
                () = link.give_up() => {}
                () = stopped.stopped() => {}
            }
        });
        bail!("no answer within 15 s");
    };
    Ok((link, amiss(&connected?, place)))
}

/// What is wrong with how a conversation goes on, in words.
fn amiss(connected: &Value, place: &Place) -> Option<String> {
    let name = place.conversation.to_string();
    let resumed = connected["conversations"].as_array()?.iter().find(|one| one["conversation"] == name.as_str());
    let Some(resumed) = resumed else { return Some("the conversation is not there".to_owned()) };
    let entries: Vec<_> = resumed["entries"].as_array().into_iter().flatten().map(|entry| &entry["seq"]).collect();
    let goes_on = resumed["resumed"] == true && entries.len() == 1 && *entries[0] == place.seq + 1;
    (!goes_on).then(|| format!("after {} came {entries:?}, resumed: {}", place.seq, resumed["resumed"]))
}

fn judge(results: &[(Return, Option<Link>)], elapsed: Duration) -> Figures {
    let (mut times, mut retried, mut wrong) = (histogram(), 0, 0);
    let (mut tls, mut by_ticket, mut reasons) = (0, 0, BTreeMap::<_, u64>::new());
    for (result, link) in results {
        times.saturating_record(micros(result.took));
        retried += u64::from(!result.failed.is_empty());
        for why in &result.failed {
            *reasons.entry(why).or_default() += 1;
        }
        if let Some(what) = &result.wrong {
            wrong += 1;
            if wrong <= 5 {
                remark(what);
            }
        }
        if let Some(resumed) = link.as_ref().and_then(Link::is_resumed) {
            tls += 1;
            by_ticket += u64::from(resumed);
        }
    }
    for (why, count) in reasons {
        remark(&format!("{count} x a try failed: {why}"));
    }
    let mut figures = Figures::default();
    figures.set("all_back_s", elapsed.as_secs_f64());
    figures.set_latency("back", &times);
    figures.draw([Chart::distribution("How long until a visitor is back", &[("back", &times)])]);
    figures.set("returns_per_s", whole(results.len() as u64) / elapsed.as_secs_f64());
    figures.set("retried", whole(retried));
    if tls > 0 {
        figures.set("tls_resumed_percent", 100.0 * whole(by_ticket) / whole(tls));
    }
    figures.set(NOT_RESUMED, whole(wrong));
    figures
}
