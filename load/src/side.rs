//! One side of a pair: a socket, what it says and what it makes of what it hears.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use deskbell::{
    domain::Lane,
    ids::ConversationId,
    protocol::client::{Body, Command, Connect, Position, Send},
    tasks::Tasks,
};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::{
    check::{Mark, Seen},
    client::{Dialer, Link, Socket},
    pair::{Talk, key},
    scan::{self, Line},
};

/// Orders that may wait for one side. More than this means that the side is a long way behind.
const ORDERS: usize = 1024;
/// How long a side goes on trying to come back.
const RETURNING: Duration = Duration::from_secs(30);
/// The wait between two tries: short, since this measures the server and not the widget's patience.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// What a side is told from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// Say something; it was due then.
    Say(Instant),
    /// Go away.
    Stop,
}

/// An entry inside an answer, in the form that a pushed one has.
fn entry_line(entry: &Value) -> String {
    entry.to_string().replacen('{', "{\"type\":\"entry\",", 1)
}

/// How a side speaks.
#[expect(clippy::large_enum_variant, reason = "the baseline's few sides may be as large as the others")]
pub(crate) enum Voice {
    Session {
        link: Link,
        conversation: ConversationId,
        /// What each unanswered command is about.
        waiting: HashMap<u32, Mark>,
        /// The last `seq` that came.
        seen: u64,
        back: Option<Return>,
    },
    Bare(Socket),
}

/// What a side needs to come back when its socket has ended.
pub(crate) struct Return {
    dialer: Dialer,
    index: usize,
    token: String,
    epoch: String,
}

impl Return {
    pub(crate) const fn new(dialer: Dialer, index: usize, token: String, epoch: String) -> Self {
        Self { dialer, index, token, epoch }
    }

    /// Dials until somebody answers, for as long as a server may take to be started again.
    async fn connect(&self, conversation: ConversationId, seq: u64) -> Result<(Link, Value)> {
        let end = Instant::now() + RETURNING;
        loop {
            match self.try_connect(conversation, seq).await {
                Ok(back) => return Ok(back),
                Err(error) if Instant::now() > end => return Err(error.context("never came back")),
                Err(_) => tokio::time::sleep(BETWEEN_TRIES).await,
            }
        }
    }

    async fn try_connect(&self, conversation: ConversationId, seq: u64) -> Result<(Link, Value)> {
        let mut link = Link::new(self.dialer.dial(self.index).await?);
        let position = Position { conversation, epoch: self.epoch.clone(), lane: Lane::Thread, seq };
        let connect = Connect { token: self.token.clone(), client: None, resume: vec![position] };
        let answer = link.ask(Command::Connect(connect)).await?;
        Ok((link, answer))
    }
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
    pub(crate) fn new(own: usize, voice: Voice, talk: &Arc<Talk>) -> Self {
        let (orderer, orders) = mpsc::channel(ORDERS);
        Self { own, voice, talk: Arc::clone(talk), orders, orderer }
    }

    /// Listens and talks until it is told to stop; comes back where that was agreed.
    pub(crate) async fn run(mut self, tasks: Tasks) {
        while let Err(error) = self.converse(&tasks).await {
            self.talk.meter.disconnected(format!("{error:#}"));
            match self.come_back(&tasks).await {
                Ok(true) => self.talk.meter.returned(),
                Ok(false) => break,
                Err(error) => self.talk.meter.disconnected(format!("{error:#}")),
            }
        }
        if let Voice::Session { link, .. } = self.voice {
            link.close().await;
        }
    }

    /// Connects again, takes what was missed, and says again what was not answered, in the same order and with the same keys.
    /// False where nothing was agreed.
    async fn come_back(&mut self, tasks: &Tasks) -> Result<bool> {
        let Voice::Session { link, conversation, waiting, seen, back: Some(back) } = &mut self.voice else {
            return Ok(false);
        };
        let (again, answer) = back.connect(*conversation, *seen).await?;
        *link = again;
        let mut unanswered: Vec<_> = waiting.drain().map(|(_, mark)| mark).collect();
        unanswered.sort();
        let mut consequence = Consequence::default();
        let resumed = answer["conversations"].as_array().into_iter().flatten();
        for entry in resumed.flat_map(|one| one["entries"].as_array().into_iter().flatten()) {
            self.on_line_with(&entry_line(entry), &mut consequence);
        }
        for mark in unanswered {
            self.send(mark).await?;
        }
        if self.talk.answers() {
            self.react(consequence, tasks).await?;
        }
        Ok(true)
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
            if self.talk.answers() {
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
        self.send(mark).await
    }

    async fn send(&mut self, mark: Mark) -> Result<()> {
        let text = scan::compose(self.talk.index, mark, self.talk.bytes);
        match &mut self.voice {
            Voice::Bare(socket) => Ok(socket.send(Message::text(text)).await?),
            Voice::Session { link, conversation, waiting, .. } => {
                let send = Send { conversation: *conversation, key: key(mark)?, body: Body { text } };
                let id = link.next_id();
                waiting.insert(id, mark);
                link.tell(Some(id), Command::Send(send)).await
            }
        }
    }

    /// Takes an entry that came inside an answer.
    pub(crate) fn on_entry(&mut self, entry: &Value) {
        self.on_line_with(&entry_line(entry), &mut Consequence::default());
    }

    fn on_line_with(&mut self, line: &str, consequence: &mut Consequence) {
        let Voice::Session { conversation, waiting, seen: last, .. } = &mut self.voice else {
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
                *last = seq.max(*last);
                consequence.heard += u32::from(self.talk.received(self.own, seq, seen));
            }
            Line::Ping => consequence.pinged = true,
            Line::Ok { .. } | Line::DeskEntry | Line::Other => {}
        }
    }
}

impl Voice {
    pub(crate) fn session(link: Link, conversation: ConversationId, back: Option<Return>) -> Self {
        Self::Session { link, conversation, waiting: HashMap::new(), seen: 0, back }
    }

    async fn next(&mut self) -> Result<Utf8Bytes> {
        match self {
            Self::Session { link, .. } => link.next().await,
            Self::Bare(socket) => match socket.next().await {
                Some(Ok(Message::Text(text))) => Ok(text),
                other => bail!("the baseline ended with {other:?}"),
            },
        }
    }
}
