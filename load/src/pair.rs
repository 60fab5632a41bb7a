//! A visitor and an agent who talk to each other: two sockets, one conversation, every message watched.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use deskbell::{
    domain::Key,
    ids::ConversationId,
    protocol::client::{Availability, Body, Command, Open, Send, SetAvailability, Watch},
    tasks::Tasks,
};
use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    check::{Checker, Mark, Seen},
    client::{Dialer, Link, Socket},
    flights::{Flights, Meter},
    scan::{self, Line},
};

pub(crate) const VISITOR: usize = 0;
pub(crate) const AGENT: usize = 1;

/// Orders that may wait for one side. More than this means that the side is a long way behind.
pub(crate) const ORDERS: usize = 1024;

/// What a side is told from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// Say something; it was due then.
    Say(Instant),
    /// Go away.
    Stop,
}

/// What both sides of a pair know.
pub(crate) struct Talk {
    index: usize,
    bytes: usize,
    /// Answer each message at once with one of one's own: as many stay under way as were begun with.
    answers: AtomicBool,
    meter: Arc<Meter>,
    book: Mutex<Book>,
}

struct Book {
    flights: [Flights; 2],
    checker: Checker,
}

impl Talk {
    pub(crate) fn new(index: usize, bytes: usize, meter: Arc<Meter>) -> Arc<Self> {
        let book = Mutex::new(Book { flights: Default::default(), checker: Checker::new(2, 2) });
        Arc::new(Self { index, bytes, answers: AtomicBool::new(false), meter, book })
    }

    pub(crate) fn answer(&self, on: bool) {
        self.answers.store(on, Ordering::Relaxed);
    }

    /// The judgement; call it when both sides have gone.
    pub(crate) fn verdict(&self) -> crate::check::Verdict {
        std::mem::replace(&mut self.book.lock().checker, Checker::new(0, 0)).finish()
    }

    fn depart(&self, side: usize, due: Instant) -> Mark {
        let mut book = self.book.lock();
        let mark = book.checker.sent(side);
        book.flights[side].depart(mark.count, due, &self.meter);
        mark
    }

    fn acked(&self, mark: Mark, seq: u64) {
        let mut book = self.book.lock();
        book.checker.acked(mark, seq);
        book.flights[mark.writer].acked(mark.count, &self.meter);
    }

    fn refused(&self, mark: Mark) {
        let mut book = self.book.lock();
        book.checker.refused(mark);
        book.flights[mark.writer].refused(mark.count, &self.meter);
    }

    /// Notes an entry; true when it is a message of the other side.
    fn received(&self, side: usize, seq: u64, seen: Seen) -> bool {
        let mut book = self.book.lock();
        book.checker.received(side, seq, seen);
        match seen {
            Seen::Message(mark) if mark.writer != side => {
                book.flights[mark.writer].delivered(mark.count, &self.meter);
                true
            }
            _ => false,
        }
    }

    /// The baseline's delivery is all there is: no acknowledgement, no place in a log.
    fn relayed(&self, mark: Mark) {
        let mut book = self.book.lock();
        let book = &mut *book;
        book.flights[mark.writer].delivered(mark.count, &self.meter);
        book.flights[mark.writer].acked(mark.count, &self.meter);
    }
}

/// Both sides of a pair, ready to run.
pub(crate) struct Pair {
    pub(crate) talk: Arc<Talk>,
    pub(crate) sides: [Side; 2],
}

impl Pair {
    /// A conversation: the visitor opens it, the agent watches it.
    pub(crate) async fn open(dialer: &Dialer, tokens: [&str; 2], talk: Arc<Talk>) -> Result<Self> {
        let index = talk.index * 2;
        let mut visitor = Link::connect(dialer, index, tokens[VISITOR]).await.context("the visitor")?;
        let mark = talk.depart(VISITOR, Instant::now());
        let body = Body { text: scan::compose(talk.index, mark, talk.bytes) };
        let key = key(mark)?;
        let opened = visitor
            .ask(Command::Open(Open { key, body, fields: None, page: None }))
            .await
            .context("the visitor's `open`")?;
        let conversation: ConversationId =
            opened["conversation"].as_str().context("`open` answered without a conversation")?.parse()?;
        talk.acked(mark, opened["seq"].as_u64().context("`open` answered without a seq")?);

        let mut agent = Link::connect(dialer, index + 1, tokens[AGENT]).await.context("the agent")?;
        agent.ask(Command::Availability(SetAvailability { status: Availability::Away })).await?;
        let watch = Watch { conversation, epoch: None, seq: None, desk_seq: None };
        let watched = agent.ask(Command::Watch(watch)).await.context("the agent's `watch`")?;
        let mut agent = Side::new(AGENT, Voice::Session { link: agent, conversation, waiting: HashMap::new() }, &talk);
        for entry in watched["entries"].as_array().into_iter().flatten() {
            agent.on_line(&entry_line(entry));
        }
        let visitor =
            Side::new(VISITOR, Voice::Session { link: visitor, conversation, waiting: HashMap::new() }, &talk);
        Ok(Self { talk, sides: [visitor, agent] })
    }

    /// Two sockets of the baseline.
    pub(crate) async fn relayed(dialer: &Dialer, talk: Arc<Talk>) -> Result<Self> {
        let mut sockets = [dialer.dial(talk.index * 2).await?, dialer.dial(talk.index * 2 + 1).await?];
        for socket in &mut sockets {
            socket.send(Message::text(format!("pair {}", talk.index))).await?;
        }
        for socket in &mut sockets {
            match socket.next().await {
                Some(Ok(Message::Text(ready))) if ready == "ready" => {}
                other => bail!("the baseline said {other:?}"),
            }
        }
        let [visitor, agent] = sockets.map(Voice::Bare);
        let sides = [Side::new(VISITOR, visitor, &talk), Side::new(AGENT, agent, &talk)];
        Ok(Self { talk, sides })
    }
}

/// An entry inside an answer, in the form that a pushed one has.
fn entry_line(entry: &serde_json::Value) -> String {
    let text = entry.to_string();
    text.replacen('{', "{\"type\":\"entry\",", 1)
}

fn key(mark: Mark) -> Result<Key> {
    let text = format!("{}-{}", if mark.writer == VISITOR { 'v' } else { 'a' }, mark.count);
    Key::parse(&text).context("a key of letters and digits was refused")
}

/// How a side speaks.
enum Voice {
    Session {
        link: Link,
        conversation: ConversationId,
        /// What each unanswered command is about.
        waiting: HashMap<u32, Mark>,
    },
    Bare(Socket),
}

/// What a frame makes a side do.
#[derive(Default)]
struct Consequence {
    /// So many messages of the other side came.
    heard: u32,
    /// A message was refused and another may be tried after so long.
    pause: Option<Duration>,
    /// The server asks whether anyone is there.
    pinged: bool,
}

/// One side of a pair.
pub(crate) struct Side {
    own: usize,
    voice: Voice,
    talk: Arc<Talk>,
    orders: mpsc::Receiver<Order>,
    pub(crate) orderer: mpsc::Sender<Order>,
}

impl Side {
    fn new(own: usize, voice: Voice, talk: &Arc<Talk>) -> Self {
        let (orderer, orders) = mpsc::channel(ORDERS);
        Self { own, voice, talk: Arc::clone(talk), orders, orderer }
    }

    /// Listens and talks until it is told to stop.
    pub(crate) async fn run(mut self, tasks: Tasks) {
        if let Err(error) = self.converse(&tasks).await {
            self.talk.meter.disconnected(format!("{error:#}"));
        }
        if let Voice::Session { link, .. } = self.voice {
            link.close().await;
        }
    }

    async fn converse(&mut self, tasks: &Tasks) -> Result<()> {
        loop {
            let frame = tokio::select! {
                frame = self.voice.next() => frame?,
                order = self.orders.recv() => match order {
                    Some(Order::Say(due)) => { self.say(due).await?; continue }
                    Some(Order::Stop) | None => return Ok(()),
                },
            };
            let mut consequence = Consequence::default();
            for line in scan::lines(&frame) {
                self.on_line_with(line, &mut consequence);
            }
            if let (true, Voice::Session { link, .. }) = (consequence.pinged, &mut self.voice) {
                link.pong().await?;
            }
            if self.talk.answers.load(Ordering::Relaxed) {
                self.react(consequence, tasks).await?;
            }
        }
    }

    async fn react(&mut self, consequence: Consequence, tasks: &Tasks) -> Result<()> {
        for _ in 0..consequence.heard {
            self.say(Instant::now()).await?;
        }
        if let Some(pause) = consequence.pause {
            let orderer = self.orderer.clone();
            tasks.spawn(async move {
                tokio::time::sleep(pause).await;
                // A side that has gone needs no more orders.
                orderer.send(Order::Say(Instant::now())).await.ok();
            });
        }
        Ok(())
    }

    /// Sends one message that was due at `due`.
    async fn say(&mut self, due: Instant) -> Result<()> {
        let mark = self.talk.depart(self.own, due);
        let text = scan::compose(self.talk.index, mark, self.talk.bytes);
        match &mut self.voice {
            Voice::Bare(socket) => Ok(socket.send(Message::text(text)).await?),
            Voice::Session { link, conversation, waiting } => {
                let send = Send { conversation: *conversation, key: key(mark)?, body: Body { text } };
                let id = link.next_id();
                waiting.insert(id, mark);
                link.tell(Some(id), Command::Send(send)).await
            }
        }
    }

    fn on_line(&mut self, line: &str) {
        self.on_line_with(line, &mut Consequence::default());
    }

    fn on_line_with(&mut self, line: &str, consequence: &mut Consequence) {
        let Voice::Session { conversation, waiting, .. } = &mut self.voice else {
            if let Seen::Message(mark) = scan::recognise(self.talk.index, line) {
                self.talk.relayed(mark);
                consequence.heard += 1;
            }
            return;
        };
        match scan::line(line) {
            Line::Ok { id, seq: Some(seq) } => {
                if let Some(mark) = waiting.remove(&id) {
                    self.talk.acked(mark, seq);
                }
            }
            Line::Error { id, code, retry_ms } => {
                self.talk.meter.error(code);
                if let Some(mark) = id.and_then(|id| waiting.remove(&id)) {
                    self.talk.refused(mark);
                    consequence.pause = Some(Duration::from_millis(retry_ms.unwrap_or(1000)));
                }
            }
            Line::Entry { conversation: found, seq, text } => {
                let home = found.parse() == Ok(*conversation);
                let seen = match text {
                    _ if !home => Seen::Unknown,
                    Some(text) => scan::recognise(self.talk.index, text),
                    None => Seen::Event,
                };
                consequence.heard += u32::from(self.talk.received(self.own, seq, seen));
            }
            Line::Ping => consequence.pinged = true,
            Line::Ok { .. } | Line::DeskEntry | Line::Other => {}
        }
    }
}

impl Voice {
    async fn next(&mut self) -> Result<tokio_tungstenite::tungstenite::Utf8Bytes> {
        match self {
            Self::Session { link, .. } => link.next().await,
            Self::Bare(socket) => match socket.next().await {
                Some(Ok(Message::Text(text))) => Ok(text),
                other => bail!("the baseline ended with {other:?}"),
            },
        }
    }
}
