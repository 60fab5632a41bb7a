//! One side of a conversation: a socket, what it says and what it makes of what it hears.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use deskbell::{
    domain::{Key, Lane},
    ids::ConversationId,
    protocol::client::{Body, Close, Command, Inbox, InboxFilter, Note, PageView, Rate, Read, Send, Typing},
    tasks::Tasks,
};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::{
    check::{Mark, Seen},
    client::Link,
    orders::{Deed, Order},
    outbox::{Outbox, Patience, SILENCE},
    pair::{AGENT, NOTES, Role, Talk, VISITOR, key, lane_of},
    relay::Relay,
    returning::{Return, read_on},
    scan::{self, Line},
};

/// Orders that may wait for one side. More than this means that the side is a long way behind.
const ORDERS: usize = 1024;

/// Returns when the alarm rings; never for a side without one.
async fn alarm(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// An entry inside an answer, in the form that a pushed one has.
fn entry_line(entry: &Value) -> String {
    entry.to_string().replacen('{', "{\"type\":\"entry\",", 1)
}

/// How a side speaks.
pub(crate) enum Voice {
    Session {
        link: Link,
        conversation: ConversationId,
        role: Role,
        /// What each unanswered command is about.
        waiting: HashMap<u32, Mark>,
        /// The last `seq` that came, of thread and desk.
        seen: [u64; 2],
        /// Up to here the log itself was asked: what is pushed of it besides, is dropped.
        read: [u64; 2],
        back: Option<Return>,
    },
    Bare(Relay),
}

/// What a frame makes a side do.
#[derive(Default)]
struct Consequence {
    /// So many messages of others came.
    heard: u32,
    /// So many of its own were answered.
    answered: u32,
    /// A message was refused and may be tried again after so long.
    pause: Option<Duration>,
    /// The server asks whether anyone is there.
    pinged: bool,
}

/// Why a side has no session any more.
enum Ended {
    /// It was told to go.
    Told,
    /// It goes to another node by itself, or comes back after so long.
    Roams(Duration),
    Broke(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Broke(error.into())
    }
}

/// One side of a conversation.
pub(crate) struct Side {
    own: usize,
    voice: Voice,
    talk: Arc<Talk>,
    outbox: Option<Outbox>,
    orders: mpsc::Receiver<Order>,
    pub(crate) orderer: mpsc::Sender<Order>,
}

impl Side {
    pub(crate) fn new(own: usize, voice: Voice, talk: &Arc<Talk>) -> Self {
        let (orderer, orders) = mpsc::channel(ORDERS);
        Self { own, voice, talk: Arc::clone(talk), outbox: None, orders, orderer }
    }

    /// The same, speaking as an outbox does.
    pub(crate) fn with_patience(mut self, patience: Patience) -> Self {
        self.outbox = Some(Outbox::new(patience));
        self
    }

    /// The conversation, once there is a session.
    pub(crate) fn conversation(&self) -> Option<ConversationId> {
        match &self.voice {
            Voice::Session { conversation, .. } => Some(*conversation),
            Voice::Bare(_) => None,
        }
    }

    /// Listens and talks until it is told to stop; comes back where that was agreed.
    pub(crate) async fn run(mut self, tasks: Tasks) {
        loop {
            let missed = match self.converse(&tasks).await {
                Ok(()) | Err(Ended::Told) => break,
                // Expected: it is missed only when what it should get comes late.
                Err(Ended::Roams(pause)) => {
                    self.stay_away(pause).await;
                    false
                }
                Err(Ended::Broke(error)) => {
                    self.talk.meter.disconnected(format!("{error:#}"));
                    true
                }
            };
            let since = Instant::now();
            let back = tokio::select! {
                back = self.come_back_at_last(&tasks) => back,
                () = tasks.stopped() => break,
            };
            if !back {
                break;
            }
            self.talk.meter.returned(since.elapsed(), missed);
        }
        if let Voice::Session { link, .. } = self.voice {
            link.close().await;
        }
    }

    /// A visitor who is away has no socket.
    async fn stay_away(&mut self, pause: Duration) {
        if let (Voice::Session { link, .. }, false) = (&mut self.voice, pause.is_zero()) {
            self.talk.stay_away(true);
            link.hang_up().await;
            tokio::time::sleep(pause).await;
            self.talk.stay_away(false);
        }
    }

    /// Comes back, however long it takes; false where nothing was agreed.
    async fn come_back_at_last(&mut self, tasks: &Tasks) -> bool {
        loop {
            match self.come_back(tasks).await {
                Ok(back) => return back,
                Err(error) => self.talk.meter.troubled(format!("{error:#}")),
            }
        }
    }

    /// Connects again, takes what was missed, and says again what was not answered, in the same order and with the same keys.
    /// False where nothing was agreed.
    async fn come_back(&mut self, tasks: &Tasks) -> Result<bool> {
        let Voice::Session { link, conversation, role, waiting, seen, back: Some(back), .. } = &mut self.voice else {
            return Ok(false);
        };
        let (again, answer) = back.connect(*conversation, *role, *seen).await?;
        *link = again;
        let mut unanswered: Vec<_> = waiting.drain().map(|(_, mark)| mark).collect();
        unanswered.sort();
        let mut consequence = Consequence::default();
        for resumed in answer["conversations"].as_array().into_iter().flatten() {
            self.resume(resumed, &mut consequence).await?;
        }
        if let Some(outbox) = &mut self.outbox {
            outbox.settle();
            unanswered.into_iter().rev().for_each(|mark| outbox.queue.push_front(mark));
            self.follow_inbox().await?;
            self.send_next().await?;
        } else {
            for mark in unanswered {
                self.send(mark).await?;
            }
        }
        if self.talk.answers() {
            self.react(consequence, tasks).await?;
        }
        Ok(true)
    }

    /// Asks for the inbox, whose heads come from then on.
    pub(crate) async fn follow_inbox(&mut self) -> Result<()> {
        let wanted = self.outbox.as_ref().is_some_and(|outbox| outbox.patience.follows_inbox);
        let (true, Voice::Session { link, .. }) = (wanted, &mut self.voice) else { return Ok(()) };
        let inbox = Inbox { filter: InboxFilter::default(), limit: 50, before: None };
        let page = link.ask(Command::Inbox(inbox)).await?;
        for head in page["heads"].as_array().into_iter().flatten() {
            self.on_head(head["conversation"].as_str().unwrap_or_default());
        }
        Ok(())
    }

    /// Goes on in one lane; where that is not possible, as the protocol says, by reading the log.
    async fn resume(&mut self, resumed: &Value, consequence: &mut Consequence) -> Result<()> {
        let Voice::Session { link, conversation, seen, .. } = &mut self.voice else { return Ok(()) };
        if resumed["resumed"] == true || resumed["conversation"] != conversation.to_string().as_str() {
            self.take_with(resumed["entries"].as_array().into_iter().flatten(), consequence);
            return Ok(());
        }
        self.talk.meter.reset();
        let lane = if resumed["lane"] == Lane::Desk.as_str() { Lane::Desk } else { Lane::Thread };
        let entries = read_on(link, *conversation, lane, seen[lane as usize]).await?;
        let last = entries.last().and_then(|entry| entry["seq"].as_u64()).unwrap_or_default();
        self.take_with(&entries, consequence);
        // Set afterwards: it is about what is pushed, and not about these.
        if let Voice::Session { read, .. } = &mut self.voice {
            read[lane as usize] = last;
        }
        Ok(())
    }

    async fn converse(&mut self, tasks: &Tasks) -> Result<(), Ended> {
        loop {
            let rings = self.outbox.as_ref().map(Outbox::alarm);
            let frame = tokio::select! {
                frame = self.voice.next() => frame?,
                order = self.orders.recv() => match order {
                    Some(Order::Say(due, lane)) => { self.say(due, lane).await?; continue }
                    Some(Order::Do(deed)) => { self.act(deed).await?; continue }
                    Some(Order::Stop) | None => return Err(Ended::Told),
                },
                () = alarm(rings) => { self.wake().await?; continue }
            };
            let mut consequence = Consequence::default();
            for line in scan::lines(&frame) {
                self.on_line_with(line, &mut consequence);
            }
            if let (true, Voice::Session { link, .. }) = (consequence.pinged, &mut self.voice) {
                link.pong().await?;
            }
            if let Some(outbox) = &mut self.outbox {
                outbox.heard = Instant::now();
                self.go_on(&consequence).await?;
            } else if self.talk.answers() {
                self.react(consequence, tasks).await?;
            }
        }
    }

    /// Something is to be done that nobody ordered.
    async fn wake(&mut self) -> Result<(), Ended> {
        let Some(outbox) = &mut self.outbox else { return Ok(()) };
        let now = Instant::now();
        if now >= outbox.heard + SILENCE {
            return Err(anyhow::anyhow!("nothing was heard for {} s", SILENCE.as_secs()).into());
        }
        if outbox.leave.is_some_and(|leave| now >= leave) {
            return Err(Ended::Roams(Duration::ZERO));
        }
        if outbox.hold.is_some_and(|hold| now >= hold) {
            outbox.hold = None;
            self.send_next().await?;
        }
        Ok(())
    }

    /// A patient side goes on after an answer.
    async fn go_on(&mut self, consequence: &Consequence) -> Result<()> {
        let Some(outbox) = &mut self.outbox else { return Ok(()) };
        if let Some(pause) = consequence.pause {
            outbox.hold = Some(Instant::now() + pause);
        }
        if consequence.answered > 0 && outbox.may_say_more() {
            return self.say(Instant::now(), self.next_lane()).await;
        }
        self.send_next().await
    }

    /// Where a side that is as fast as it can be says its next: an agent writes a note once in a while.
    fn next_lane(&self) -> Lane {
        if self.own == AGENT && rand::random_ratio(1, 4) { Lane::Desk } else { Lane::Thread }
    }

    async fn react(&mut self, consequence: Consequence, tasks: &Tasks) -> Result<()> {
        for _ in 0..consequence.heard {
            self.say(Instant::now(), Lane::Thread).await?;
        }
        if let Some(pause) = consequence.pause {
            let orderer = self.orderer.clone();
            tasks.spawn(async move {
                tokio::time::sleep(pause).await;
                // A side that has gone needs no more orders.
                orderer.send(Order::Say(Instant::now(), Lane::Thread)).await.ok();
            });
        }
        Ok(())
    }

    /// Says one message that was due at `due`; a patient side when it is its turn.
    async fn say(&mut self, due: Instant, lane: Lane) -> Result<()> {
        let writer = match (lane, self.own) {
            (Lane::Desk, _) => NOTES,
            (Lane::Thread, VISITOR) => VISITOR,
            (Lane::Thread, _) => AGENT,
        };
        let mark = self.talk.depart(writer, due);
        match &mut self.outbox {
            None => self.send(mark).await,
            Some(outbox) => {
                outbox.queue.push_back(mark);
                self.send_next().await
            }
        }
    }

    async fn act(&mut self, deed: Deed) -> Result<(), Ended> {
        let Voice::Session { link, conversation, seen, .. } = &mut self.voice else { return Ok(()) };
        let conversation = *conversation;
        let command = match deed {
            Deed::Leave(pause) => return Err(Ended::Roams(pause)),
            Deed::Type(on) => Command::Typing(Typing { conversation, on, text: None }),
            Deed::Read => Command::Read(Read { conversation, seq: seen[Lane::Thread as usize] }),
            Deed::Look(number) => Command::Page(PageView { page: scan::page(number) }),
            Deed::Close => Command::Close(Close { conversation, key: Key::parse("end").context("a word is a key")? }),
            Deed::Rate(score) => {
                let key = Key::parse("rating").context("a word is a key")?;
                Command::Rate(Rate { conversation, key, score, comment: None })
            }
        };
        let id = link.next_id();
        Ok(link.tell(Some(id), command).await?)
    }

    /// Sends the first of the queue, unless one is under way or the server asked to wait.
    async fn send_next(&mut self) -> Result<()> {
        let (Some(outbox), Voice::Session { waiting, .. }) = (&mut self.outbox, &self.voice) else { return Ok(()) };
        if !waiting.is_empty() || outbox.hold.is_some() {
            return Ok(());
        }
        match outbox.queue.pop_front() {
            Some(mark) => self.send(mark).await,
            None => Ok(()),
        }
    }

    async fn send(&mut self, mark: Mark) -> Result<()> {
        let text = scan::compose(self.talk.index, mark, self.talk.bytes);
        match &mut self.voice {
            Voice::Bare(relay) => relay.say(text).await,
            Voice::Session { link, conversation, waiting, .. } => {
                let (conversation, key, body) = (*conversation, key(mark)?, Body { text });
                let id = link.next_id();
                waiting.insert(id, mark);
                let command = match lane_of(mark.writer) {
                    Lane::Thread => Command::Send(Send { conversation, key, body }),
                    Lane::Desk => Command::Note(Note { conversation, key, body }),
                };
                link.tell(Some(id), command).await
            }
        }
    }

    /// Takes entries that came inside an answer.
    pub(crate) fn take(&mut self, entries: &[Value]) {
        self.take_with(entries, &mut Consequence::default());
    }

    fn take_with<'a>(&mut self, entries: impl IntoIterator<Item = &'a Value>, consequence: &mut Consequence) {
        for entry in entries {
            self.on_line_with(&entry_line(entry), consequence);
        }
    }

    fn on_line_with(&mut self, line: &str, consequence: &mut Consequence) {
        let Voice::Session { waiting, .. } = &mut self.voice else {
            if let Seen::Message(mark) = scan::recognise(self.talk.index, line) {
                self.talk.relayed(mark);
                consequence.heard += 1;
            }
            return;
        };
        match scan::line(line) {
            Line::Ok { id, seq } => {
                if let (Some(mark), Some(seq)) = (waiting.remove(&id), seq) {
                    self.talk.acked(mark, seq);
                    consequence.answered += 1;
                }
            }
            Line::Error { id, code, retry_ms } => {
                self.talk.meter.error(code);
                if let Some(mark) = id.and_then(|id| waiting.remove(&id)) {
                    consequence.answered += 1;
                    self.on_refusal(mark, retry_ms, consequence);
                }
            }
            Line::Entry { conversation, lane, seq, text } => self.on_entry(conversation, lane, seq, text, consequence),
            Line::Head { conversation } => self.on_head(conversation),
            Line::Ping => consequence.pinged = true,
            Line::Other => {}
        }
    }

    /// A patient side sends the very same again, if it may; others send something else instead.
    fn on_refusal(&mut self, mark: Mark, retry_ms: Option<u64>, consequence: &mut Consequence) {
        match (&mut self.outbox, retry_ms) {
            (Some(outbox), Some(_)) => {
                consequence.answered -= 1;
                outbox.queue.push_front(mark);
            }
            _ => self.talk.refused(mark),
        }
        consequence.pause = Some(Duration::from_millis(retry_ms.unwrap_or(1000)));
    }

    fn on_entry(&mut self, found: &str, lane: Lane, seq: u64, text: Option<&str>, consequence: &mut Consequence) {
        let Voice::Session { conversation, seen, read, .. } = &mut self.voice else { return };
        let seen_there = match text {
            _ if found.parse() != Ok(*conversation) => return self.on_stranger(found, lane, seq),
            _ if seq <= read[lane as usize] => return,
            Some(text) => scan::recognise(self.talk.index, text),
            None => Seen::Event,
        };
        seen[lane as usize] = seq.max(seen[lane as usize]);
        consequence.heard += u32::from(self.talk.received(self.own, lane, seq, seen_there));
    }

    /// An entry of a conversation that this side is not in.
    fn on_stranger(&self, found: &str, lane: Lane, seq: u64) {
        if self.is_stranger(found) {
            self.talk.leaked(|| format!("side {} got {seq} of another project's {found}", self.own));
        } else {
            self.talk.received(self.own, lane, seq, Seen::Unknown);
        }
    }

    fn on_head(&self, found: &str) {
        if self.is_stranger(found) {
            self.talk.leaked(|| format!("side {} got the head of another project's {found}", self.own));
        }
    }

    fn is_stranger(&self, conversation: &str) -> bool {
        let strangers = self.outbox.as_ref().and_then(|outbox| outbox.patience.strangers.as_ref());
        strangers.is_some_and(|strangers| strangers.is_one(conversation))
    }
}

impl Voice {
    pub(crate) fn session(link: Link, conversation: ConversationId, role: Role, back: Option<Return>) -> Self {
        Self::Session { link, conversation, role, waiting: HashMap::new(), seen: [0; 2], read: [0; 2], back }
    }

    /// The next frame; of a relay, what it says. May be cancelled and called again.
    pub(crate) async fn next(&mut self) -> Result<Utf8Bytes> {
        match self {
            Self::Session { link, .. } => link.next().await,
            Self::Bare(relay) => relay.next().await,
        }
    }
}
