//! A socket that takes part in several conversations.

use std::{collections::HashMap, sync::Arc, time::Instant};

use anyhow::{Context as _, Result};
use deskbell::{
    domain::Lane,
    ids::ConversationId,
    protocol::client::{Availability, Body, Command, Open, Send, SetAvailability, Watch},
};
use tokio::sync::mpsc;

use crate::{
    check::{Mark, Seen},
    client::{Dialer, Link},
    orders::Order,
    pair::{AGENT, Talk, key},
    plan::Speaker,
    scan::{self, Line},
};

/// Orders that may wait. More than this means that the socket is a long way behind.
const ORDERS: usize = 1024;

/// One socket.
pub(super) struct Seat {
    /// Visitor or agent.
    pub(super) own: usize,
    pub(super) orderer: mpsc::Sender<Order>,
    orders: mpsc::Receiver<Order>,
    /// Until it ends.
    link: Option<Link>,
    rooms: Vec<(ConversationId, Arc<Talk>)>,
    by_name: HashMap<String, usize>,
    /// What each unanswered command is about: which room, which message.
    waiting: HashMap<u32, (usize, Mark)>,
    /// The room in which it speaks next.
    turn: usize,
}

impl Seat {
    /// The `index`th socket.
    pub(super) async fn take(own: usize, dialer: &Dialer, index: usize, token: &str) -> Result<Self> {
        let mut link = Link::connect(dialer, index, token).await?;
        if own == AGENT {
            link.ask(Command::Availability(SetAvailability { status: Availability::Away })).await?;
        }
        let (orderer, orders) = mpsc::channel(ORDERS);
        let (rooms, by_name, waiting) = (Vec::new(), HashMap::new(), HashMap::new());
        Ok(Self { own, orderer, orders, link: Some(link), rooms, by_name, waiting, turn: 0 })
    }

    /// Opens a conversation of its own.
    pub(super) async fn open(&mut self, talk: &Arc<Talk>) -> Result<()> {
        let mark = talk.depart(self.own, Instant::now());
        let body = Body { text: scan::compose(talk.index, mark, talk.bytes) };
        // Each is a conversation of its own, and so is its key.
        let key = deskbell::domain::Key::parse(&format!("open-{}", talk.index)).context("a key was refused")?;
        let link = self.link.as_mut().context("the socket has ended")?;
        let opened = link.ask(Command::Open(Open { key, body, fields: None, page: None })).await?;
        let name = opened["conversation"].as_str().context("`open` answered without a conversation")?;
        talk.acked(mark, opened["seq"].as_u64().context("`open` answered without a seq")?);
        self.enter(name.parse()?, talk);
        Ok(())
    }

    /// Watches somebody's conversation, from its beginning.
    pub(super) async fn watch(&mut self, conversation: ConversationId, talk: &Arc<Talk>) -> Result<()> {
        let watch = Watch { conversation, epoch: None, seq: None, desk_seq: None };
        let link = self.link.as_mut().context("the socket has ended")?;
        let seen = link.ask(Command::Watch(watch)).await?;
        self.enter(conversation, talk);
        for entry in seen["entries"].as_array().into_iter().flatten() {
            self.on_line(&entry.to_string().replacen('{', "{\"type\":\"entry\",", 1));
        }
        Ok(())
    }

    fn enter(&mut self, conversation: ConversationId, talk: &Arc<Talk>) {
        self.by_name.insert(conversation.to_string(), self.rooms.len());
        self.rooms.push((conversation, Arc::clone(talk)));
    }

    /// Which conversation this one is.
    pub(super) fn conversation(&self, talk: &Arc<Talk>) -> Option<ConversationId> {
        self.rooms.iter().find(|(_, own)| Arc::ptr_eq(own, talk)).map(|(conversation, _)| *conversation)
    }

    /// Whom to order to speak.
    pub(super) fn speaker(&self) -> Speaker {
        (self.orderer.clone(), Lane::Thread)
    }

    /// Listens and speaks until it is told to stop, and is itself again.
    pub(super) async fn run(mut self) -> Self {
        if let Err(error) = self.converse().await {
            if let (Some(_), Some((_, talk))) = (self.link.take(), self.rooms.first()) {
                talk.meter.disconnected(format!("{error:#}"));
            }
            // Whoever orders it about must not wait for it.
            while !matches!(self.orders.recv().await, Some(Order::Stop) | None) {}
        }
        self
    }

    async fn converse(&mut self) -> Result<()> {
        loop {
            let link = self.link.as_mut().context("the socket has ended")?;
            // What has come first: told to stop, it has read all there is.
            let frame = tokio::select! {
                biased;
                frame = link.next() => frame?,
                order = self.orders.recv() => match order {
                    Some(Order::Say(due, _)) => { self.say(due).await?; continue }
                    Some(Order::Do(_)) => continue,
                    Some(Order::Stop) | None => return Ok(()),
                },
            };
            let mut pinged = false;
            for line in scan::lines(&frame) {
                pinged |= self.on_line(line);
            }
            if let (true, Some(link)) = (pinged, &mut self.link) {
                link.pong().await?;
            }
        }
    }

    /// Says a message that was due at `due`, in each of its conversations in turn.
    async fn say(&mut self, due: Instant) -> Result<()> {
        let at = self.turn % self.rooms.len().max(1);
        self.turn = at + 1;
        let (Some((conversation, talk)), Some(link)) = (self.rooms.get(at), &mut self.link) else { return Ok(()) };
        let mark = talk.depart(self.own, due);
        let body = Body { text: scan::compose(talk.index, mark, talk.bytes) };
        let id = link.next_id();
        self.waiting.insert(id, (at, mark));
        link.tell(Some(id), Command::Send(Send { conversation: *conversation, key: key(mark)?, body })).await
    }

    /// Whether it asks for a `pong`.
    fn on_line(&mut self, line: &str) -> bool {
        match scan::line(line) {
            Line::Ping => return true,
            Line::Ok { id, seq } => {
                if let (Some((at, mark)), Some(seq)) = (self.waiting.remove(&id), seq) {
                    self.rooms[at].1.acked(mark, seq);
                }
            }
            Line::Error { id, code, .. } => {
                if let Some((at, mark)) = id.and_then(|id| self.waiting.remove(&id)) {
                    self.rooms[at].1.meter.error(code);
                    self.rooms[at].1.refused(mark);
                }
            }
            Line::Entry { conversation, lane, seq, text } => {
                if let Some((_, talk)) = self.by_name.get(conversation).and_then(|at| self.rooms.get(*at)) {
                    let seen = text.map_or(Seen::Event, |text| scan::recognise(talk.index, text));
                    talk.received(self.own, lane, seq, seen);
                } else if let Some((_, talk)) = self.rooms.first() {
                    talk.received(self.own, lane, seq, Seen::Unknown);
                }
            }
            Line::Head { .. } | Line::Other => {}
        }
        false
    }
}
