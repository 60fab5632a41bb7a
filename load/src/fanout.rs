//! `fanout`: one visitor writes, many agents watch. How many deliveries a second, and does each watcher get everything?

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use deskbell::{
    domain::{Key, Lane},
    ids::ConversationId,
    protocol::client::{Body, Command, Open, Send, Watch},
    tasks::Tasks,
};
use futures_util::{SinkExt as _, StreamExt as _, TryStreamExt as _, stream};
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    check::{Checker, Seen},
    client::{Buffers, Dialer, Link, Socket},
    flights::{histogram, micros},
    procfs,
    report::{Figures, progress, remark, whole},
    scan::{self, Line},
    target::{Target, Tokens},
};

const SETUPS_AT_ONCE: usize = 32;
/// The writer's index among the readers; watchers follow.
const WRITER: usize = 0;
/// How long the last deliveries may take.
const LAST_CALL: Duration = Duration::from_secs(10);

/// How to fan out.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Settings {
    /// Agents' sockets that watch the conversation.
    #[arg(long, default_value_t = 1000)]
    pub(crate) watchers: usize,
    /// Messages under way; the next one is sent when one has reached every watcher.
    #[arg(long, default_value_t = 4)]
    pub(crate) in_flight: usize,
    /// Bytes of each text.
    #[arg(long, default_value_t = 128)]
    pub(crate) bytes: usize,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 10.0)]
    pub(crate) seconds: f64,
}

impl Settings {
    pub(crate) fn validate(&self) -> Result<()> {
        if self.watchers == 0 || self.in_flight == 0 {
            bail!("--watchers and --in-flight must be above 0");
        }
        procfs::require_descriptors(self.watchers as u64)
    }
}

/// What the writer and all watchers know.
struct Room {
    watchers: usize,
    /// One for each message that may be begun.
    turns: Semaphore,
    book: Mutex<Book>,
}

struct Book {
    checker: Checker,
    latencies: Histogram<u64>,
    deliveries: u64,
    /// By count: when it was sent, and how many watchers have it.
    messages: Vec<(Instant, usize)>,
    ended: u64,
    /// Nothing new is begun; what is under way arrives.
    closing: bool,
}

impl Room {
    fn new(settings: Settings) -> Arc<Self> {
        let book = Book {
            checker: Checker::new(1, std::iter::repeat_n(true, settings.watchers + 1)),
            latencies: histogram(),
            deliveries: 0,
            messages: Vec::new(),
            ended: 0,
            closing: false,
        };
        Arc::new(Self {
            watchers: settings.watchers,
            turns: Semaphore::new(settings.in_flight),
            book: Mutex::new(book),
        })
    }

    fn begin(&self, bytes: usize) -> (String, u64) {
        let mut book = self.book.lock();
        let mark = book.checker.sent(WRITER);
        book.messages.push((Instant::now(), 0));
        (scan::compose(0, mark, bytes), mark.count)
    }

    fn acked(&self, count: u64, seq: u64) {
        self.book.lock().checker.acked(crate::check::Mark { writer: WRITER, count }, seq);
    }

    /// An entry came; the baseline has no `seq`, so what it relays is not judged.
    fn received(&self, reader: usize, seq: Option<u64>, seen: Seen) {
        let mut book = self.book.lock();
        if let Some(seq) = seq {
            book.checker.received(reader, seq, seen);
        }
        let Seen::Message(mark) = seen else { return };
        let Some((sent, reached)) = book.messages.get_mut(usize::try_from(mark.count).unwrap_or(usize::MAX)) else {
            return;
        };
        if reader == WRITER {
            return;
        }
        *reached += 1;
        let (took, complete) = (sent.elapsed(), *reached == self.watchers);
        book.deliveries += 1;
        book.latencies.saturating_record(micros(took));
        if complete && !book.closing {
            self.turns.add_permits(1);
        }
    }

    fn ended(&self, error: &anyhow::Error) {
        let mut book = self.book.lock();
        book.ended += 1;
        if book.ended == 1 {
            remark(&format!("a session ended: {error:#}"));
        }
    }
}

/// Runs against a server and returns what was measured.
pub(crate) async fn run(target: &Target, settings: Settings) -> Result<Figures> {
    let dialer = target.dialer(Buffers::TALKING)?;
    let (room, tasks) = (Room::new(settings), Tasks::new());
    match target.tokens(1, settings.watchers).await? {
        Some(tokens) => begin_session(&dialer, &tokens, settings, &room, &tasks).await?,
        None => begin_relay(&dialer, settings, &room, &tasks).await?,
    }
    let figures = measure(target, settings, &room).await;
    room.book.lock().closing = true;
    last_call(&room).await;
    tasks.stop();
    tasks.wait(Duration::from_secs(5)).await;
    Ok(judge(figures, target, &room))
}

async fn begin_session(
    dialer: &Dialer,
    tokens: &Tokens,
    settings: Settings,
    room: &Arc<Room>,
    tasks: &Tasks,
) -> Result<()> {
    let mut writer = Link::connect(dialer, 0, tokens.visitor(0)).await?;
    let (text, count) = room.begin(settings.bytes);
    room.book.lock().messages[0].1 = settings.watchers;
    let key = Key::parse("v-0").context("a key of letters and digits was refused")?;
    let opened = writer.ask(Command::Open(Open { key, body: Body { text }, fields: None, page: None })).await?;
    let conversation: ConversationId =
        opened["conversation"].as_str().context("`open` gave no conversation")?.parse()?;
    room.acked(count, opened["seq"].as_u64().context("`open` gave no seq")?);
    let watchers = (1..=settings.watchers).map(|reader| watch(dialer, tokens.agent(reader), reader, conversation));
    let watchers: Vec<_> = stream::iter(watchers).buffer_unordered(SETUPS_AT_ONCE).try_collect().await?;
    for (reader, link, entries) in watchers {
        for entry in entries.as_array().into_iter().flatten().filter(|entry| entry["lane"] != "desk") {
            let text = entry["body"]["text"].as_str();
            let seen = text.map_or(Seen::Event, |text| scan::recognise(0, text));
            room.book.lock().checker.received(reader, entry["seq"].as_u64().unwrap_or_default(), seen);
        }
        spawn_until_stop(tasks, room, listen(link, reader, Arc::clone(room)));
    }
    spawn_until_stop(tasks, room, write(writer, conversation, settings, Arc::clone(room)));
    Ok(())
}

async fn watch(
    dialer: &Dialer,
    token: &str,
    reader: usize,
    conversation: ConversationId,
) -> Result<(usize, Link, serde_json::Value)> {
    let mut link = Link::connect(dialer, reader, token).await?;
    let watch = Watch { conversation, epoch: None, seq: None, desk_seq: None };
    let mut watched = link.ask(Command::Watch(watch)).await?;
    Ok((reader, link, watched["entries"].take()))
}

fn spawn_until_stop(
    tasks: &Tasks,
    room: &Arc<Room>,
    work: impl Future<Output = Result<()>> + std::marker::Send + 'static,
) {
    let (stop, room) = (tasks.clone(), Arc::clone(room));
    tasks.spawn(async move {
        tokio::select! {
            () = stop.stopped() => {}
            result = work => if let Err(error) = result { room.ended(&error) },
        }
    });
}

async fn listen(mut link: Link, reader: usize, room: Arc<Room>) -> Result<()> {
    loop {
        let frame = link.next().await?;
        for line in scan::lines(&frame) {
            match scan::line(line) {
                // The desk lane, in which a conversation may be assigned, has a count of its own.
                Line::Entry { lane: Lane::Thread, seq, text, .. } => {
                    room.received(reader, Some(seq), text.map_or(Seen::Event, |text| scan::recognise(0, text)));
                }
                Line::Ping => link.pong().await?,
                _ => {}
            }
        }
    }
}

async fn write(mut link: Link, conversation: ConversationId, settings: Settings, room: Arc<Room>) -> Result<()> {
    // The answer to the command with number `n` is about message `n - skipped`: one number for each message from here on.
    let skipped = link.next_id();
    loop {
        tokio::select! {
            turn = room.turns.acquire() => {
                turn.context("no more turns")?.forget();
                let (text, count) = room.begin(settings.bytes);
                let key = Key::parse(&format!("v-{count}")).context("a key of letters and digits was refused")?;
                let id = link.next_id();
                link.tell(Some(id), Command::Send(Send { conversation, key, body: Body { text } })).await?;
            }
            frame = link.next() => for line in scan::lines(&frame?) {
                match scan::line(line) {
                    Line::Ok { id, seq: Some(seq) } => room.acked(u64::from(id - skipped), seq),
                    Line::Entry { seq, text, .. } => {
                        room.received(WRITER, Some(seq), text.map_or(Seen::Event, |text| scan::recognise(0, text)));
                    }
                    Line::Error { code, .. } => bail!("a message was refused: {code}"),
                    Line::Ping => link.pong().await?,
                    _ => {}
                }
            }
        }
    }
}

async fn begin_relay(dialer: &Dialer, settings: Settings, room: &Arc<Room>, tasks: &Tasks) -> Result<()> {
    let mut writer = enter(dialer, 0).await?;
    let watchers =
        stream::iter((1..=settings.watchers).map(|index| enter(dialer, index))).buffer_unordered(SETUPS_AT_ONCE);
    for (at, mut watcher) in watchers.try_collect::<Vec<_>>().await?.into_iter().enumerate() {
        let shared = Arc::clone(room);
        spawn_until_stop(tasks, room, async move {
            while let Some(frame) = watcher.next().await {
                shared.received(at + 1, None, scan::recognise(0, frame?.to_text()?));
            }
            bail!("the baseline ended")
        });
    }
    let shared = Arc::clone(room);
    spawn_until_stop(tasks, room, async move {
        loop {
            shared.turns.acquire().await?.forget();
            writer.send(Message::text(shared.begin(settings.bytes).0)).await?;
        }
    });
    Ok(())
}

/// Joins the baseline's room.
async fn enter(dialer: &Dialer, index: usize) -> Result<Socket> {
    let mut socket = dialer.dial(index).await?;
    socket.send(Message::text(crate::baseline::ROOM)).await?;
    match socket.next().await {
        Some(Ok(Message::Text(ready))) if ready == "ready" => Ok(socket),
        other => bail!("the baseline said {other:?}"),
    }
}

async fn measure(target: &Target, settings: Settings, room: &Room) -> Figures {
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (start, before) = (Instant::now(), target.read());
    let from = {
        let mut book = room.book.lock();
        book.latencies.reset();
        book.deliveries
    };
    while start.elapsed().as_secs_f64() < settings.seconds {
        tokio::time::sleep(Duration::from_secs_f64(settings.seconds.min(1.0))).await;
        progress(&format!("{} deliveries", room.book.lock().deliveries));
    }
    let (elapsed, book) = (start.elapsed().as_secs_f64(), room.book.lock());
    let deliveries = whole(book.deliveries - from);
    let mut figures = Figures::default();
    figures.set("deliveries_per_s", deliveries / elapsed);
    figures.set_latency("delivered", &book.latencies);
    if let (Some(before), Some(after)) = (before, target.read()) {
        let busy = after.cpu.saturating_sub(before.cpu);
        figures.set("server_cpu_percent", 100.0 * busy.as_secs_f64() / elapsed);
        figures.set("server_cpu_us_per_delivery", whole(micros(busy)) / deliveries.max(1.0));
    }
    figures
}

async fn last_call(room: &Room) {
    let end = Instant::now() + LAST_CALL;
    while Instant::now() < end && room.book.lock().messages.iter().any(|(_, reached)| *reached < room.watchers) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
}

fn judge(mut figures: Figures, target: &Target, room: &Room) -> Figures {
    let mut book = room.book.lock();
    figures.set("disconnects", whole(book.ended));
    if target.is_baseline() {
        return figures;
    }
    let verdict = std::mem::replace(&mut book.checker, Checker::new(0, [])).finish();
    figures.set_verdict(&verdict);
    for example in verdict.examples() {
        remark(example);
    }
    figures
}
