//! A visitor and an agent who talk to each other: two sockets, one conversation, every message watched.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use deskbell::{
    domain::Key,
    ids::ConversationId,
    protocol::client::{Availability, Body, Command, Open, SetAvailability, Watch},
};
use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    check::{Checker, Mark, Seen},
    client::{Dialer, Link},
    flights::{Flights, Meter},
    scan,
    side::{Return, Side, Voice},
};

pub(crate) const VISITOR: usize = 0;
pub(crate) const AGENT: usize = 1;

/// What both sides of a pair know.
pub(crate) struct Talk {
    pub(crate) index: usize,
    pub(crate) bytes: usize,
    /// Answer each message at once with one of one's own: as many stay under way as were begun with.
    answers: AtomicBool,
    pub(crate) meter: Arc<Meter>,
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

    pub(crate) fn answers(&self) -> bool {
        self.answers.load(Ordering::Relaxed)
    }

    /// The judgement; call it when both sides have gone.
    pub(crate) fn verdict(&self) -> crate::check::Verdict {
        std::mem::replace(&mut self.book.lock().checker, Checker::new(0, 0)).finish()
    }

    pub(crate) fn depart(&self, side: usize, due: Instant) -> Mark {
        let mut book = self.book.lock();
        let mark = book.checker.sent(side);
        book.flights[side].depart(mark.count, due, &self.meter);
        mark
    }

    pub(crate) fn acked(&self, mark: Mark, seq: u64) {
        let mut book = self.book.lock();
        book.checker.acked(mark, seq);
        book.flights[mark.writer].acked(mark.count, &self.meter);
    }

    pub(crate) fn refused(&self, mark: Mark) {
        let mut book = self.book.lock();
        book.checker.refused(mark);
        book.flights[mark.writer].refused(mark.count, &self.meter);
    }

    /// Notes an entry; true when it is a message of the other side.
    pub(crate) fn received(&self, side: usize, seq: u64, seen: Seen) -> bool {
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
    pub(crate) fn relayed(&self, mark: Mark) {
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
    /// With `resilient`, its sides come back when their sockets end.
    pub(crate) async fn open(dialer: &Dialer, tokens: [&str; 2], talk: Arc<Talk>, resilient: bool) -> Result<Self> {
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
        let epoch = opened["epoch"].as_str().unwrap_or_default();
        let back = |side: usize| {
            resilient.then(|| Return::new(dialer.clone(), index + side, tokens[side].to_owned(), epoch.to_owned()))
        };
        let mut agent = Side::new(AGENT, Voice::session(agent, conversation, back(AGENT)), &talk);
        for entry in watched["entries"].as_array().into_iter().flatten() {
            agent.on_entry(entry);
        }
        let visitor = Side::new(VISITOR, Voice::session(visitor, conversation, back(VISITOR)), &talk);
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

/// The key of a message: it is the same each time the message is sent.
pub(crate) fn key(mark: Mark) -> Result<Key> {
    let text = format!("{}-{}", if mark.writer == VISITOR { 'v' } else { 'a' }, mark.count);
    Key::parse(&text).context("a key of letters and digits was refused")
}
