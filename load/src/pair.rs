//! A visitor and an agent who talk to each other, and who else listens: one conversation, every message watched.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use anyhow::{Context as _, Result};
use deskbell::{
    domain::{Key, Lane},
    ids::ConversationId,
    protocol::client::{Availability, Body, Command, Connect, Open, SetAvailability, Watch},
};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    check::{Checker, Mark, Seen, Verdict},
    client::{Dialer, Link},
    flights::{Flights, Meter, bit},
    relay::Relay,
    returning::Return,
    scan,
    side::{Side, Voice},
};

pub(crate) const VISITOR: usize = 0;
pub(crate) const AGENT: usize = 1;
/// The agent again, as the writer of notes in the desk lane: a sequence of its own.
pub(crate) const NOTES: usize = 2;
/// How many writers a conversation has.
pub(crate) const WRITERS: usize = 3;

/// Who listens to a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Visitor,
    Agent,
}

impl Role {
    /// Whether this role may read the lane.
    pub(crate) const fn may_read(self, lane: Lane) -> bool {
        matches!((self, lane), (Self::Agent, _) | (_, Lane::Thread))
    }
}

/// The lane that a writer writes into.
pub(crate) const fn lane_of(writer: usize) -> Lane {
    if writer == NOTES { Lane::Desk } else { Lane::Thread }
}

/// What all sides of a conversation know.
pub(crate) struct Talk {
    pub(crate) index: usize,
    pub(crate) bytes: usize,
    /// Answer each message at once with one of one's own: as many stay under way as were begun with.
    answers: AtomicBool,
    pub(crate) meter: Arc<Meter>,
    /// How many messages of others the visitor has got.
    replies: watch::Sender<u64>,
    book: Mutex<Book>,
}

struct Book {
    /// Who listens, in the order of the checkers' readers.
    cast: Vec<Role>,
    /// The visitor is not there: it gets all later, and that is not the server's time.
    is_away: bool,
    flights: [Flights; WRITERS],
    thread: Checker,
    desk: Checker,
}

impl Book {
    fn lane(&mut self, lane: Lane) -> &mut Checker {
        match lane {
            Lane::Thread => &mut self.thread,
            Lane::Desk => &mut self.desk,
        }
    }

    /// Everybody who is to get what this writer writes, but the writer itself.
    fn awaited(&self, writer: usize) -> u32 {
        let own = if writer == VISITOR { VISITOR } else { AGENT };
        let readers = self.cast.iter().enumerate().filter(|(at, role)| *at != own && role.may_read(lane_of(writer)));
        let readers = readers.filter(|(at, _)| *at != VISITOR || !self.is_away);
        readers.fold(0, |all, (at, _)| all | bit(at))
    }
}

impl Talk {
    /// A conversation of one visitor and one agent, in one of the meter's groups.
    pub(crate) fn new(index: usize, bytes: usize, meter: Arc<Meter>, group: usize) -> Arc<Self> {
        Self::of(&[Role::Visitor, Role::Agent], index, bytes, meter, group)
    }

    /// A conversation to which these listen; the first is the visitor, the second the agent.
    pub(crate) fn among(cast: &[Role], index: usize, bytes: usize, meter: Arc<Meter>) -> Arc<Self> {
        Self::of(cast, index, bytes, meter, 0)
    }

    fn of(cast: &[Role], index: usize, bytes: usize, meter: Arc<Meter>, group: usize) -> Arc<Self> {
        let entitled = |lane| cast.iter().map(move |role| role.may_read(lane));
        let book = Book {
            cast: cast.to_vec(),
            is_away: false,
            flights: std::array::from_fn(|_| Flights::of_group(group)),
            // The thread knows no third writer: a note in it is nothing that anybody sent there.
            thread: Checker::new(NOTES, entitled(Lane::Thread)),
            desk: Checker::new(WRITERS, entitled(Lane::Desk)),
        };
        let (answers, replies) = (AtomicBool::new(false), watch::Sender::new(0));
        Arc::new(Self { index, bytes, answers, meter, replies, book: Mutex::new(book) })
    }

    /// One more agent, who is to get all that there is and will be; returns its number.
    pub(crate) fn join(&self) -> usize {
        let mut book = self.book.lock();
        book.cast.push(Role::Agent);
        for lane in [Lane::Thread, Lane::Desk] {
            book.lane(lane).add_reader();
        }
        book.cast.len() - 1
    }

    /// Whether the visitor is not there for a while.
    pub(crate) fn stay_away(&self, is_away: bool) {
        self.book.lock().is_away = is_away;
    }

    /// Tells how many messages of others the visitor has got, and whenever it gets another.
    pub(crate) fn replies(&self) -> watch::Receiver<u64> {
        self.replies.subscribe()
    }

    pub(crate) fn answer(&self, on: bool) {
        self.answers.store(on, Ordering::Relaxed);
    }

    pub(crate) fn answers(&self) -> bool {
        self.answers.load(Ordering::Relaxed)
    }

    /// The judgement; call it when all sides have gone.
    pub(crate) fn verdict(&self) -> Verdict {
        let mut book = self.book.lock();
        let mut verdict = Verdict::default();
        for lane in [Lane::Thread, Lane::Desk] {
            verdict += std::mem::replace(book.lane(lane), Checker::new(0, [])).finish();
        }
        verdict
    }

    /// When the oldest message was due that is still under way.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.book.lock().flights.iter().filter_map(Flights::oldest).min()
    }

    pub(crate) fn depart(&self, writer: usize, due: Instant) -> Mark {
        let mut book = self.book.lock();
        let mark = book.lane(lane_of(writer)).sent(writer);
        let awaited = book.awaited(writer);
        book.flights[writer].depart(mark.count, due, awaited, &self.meter);
        mark
    }

    pub(crate) fn acked(&self, mark: Mark, seq: u64) {
        let mut book = self.book.lock();
        book.lane(lane_of(mark.writer)).acked(mark, seq);
        book.flights[mark.writer].acked(mark.count, &self.meter);
    }

    pub(crate) fn refused(&self, mark: Mark) {
        let mut book = self.book.lock();
        book.lane(lane_of(mark.writer)).refused(mark);
        book.flights[mark.writer].refused(mark.count, &self.meter);
    }

    /// Notes an entry; true when it is a message of somebody else.
    pub(crate) fn received(&self, side: usize, lane: Lane, seq: u64, seen: Seen) -> bool {
        let mut book = self.book.lock();
        book.lane(lane).received(side, seq, seen);
        match seen {
            Seen::Message(mark) => {
                book.flights[mark.writer].delivered(mark.count, side, &self.meter);
                if side == VISITOR && mark.writer != VISITOR {
                    self.replies.send_modify(|count| *count += 1);
                }
                mark.writer != side
            }
            _ => false,
        }
    }

    /// Notes that somebody was given what is not for him.
    pub(crate) fn leaked(&self, what: impl FnOnce() -> String) {
        self.book.lock().thread.leaked(what);
    }

    /// Somebody comes when all is over and reads a lane in the log itself: one more reader, who must find everything.
    pub(crate) fn audit(&self, lane: Lane, entries: &[Value]) {
        let mut book = self.book.lock();
        let checker = book.lane(lane);
        let reader = checker.add_reader();
        for entry in entries {
            let seen = match entry["body"]["text"].as_str() {
                Some(text) if entry["event"] == "message" || entry["event"] == "note" => {
                    scan::recognise(self.index, text)
                }
                _ => Seen::Event,
            };
            checker.received(reader, entry["seq"].as_u64().unwrap_or_default(), seen);
        }
    }

    /// The baseline's delivery is all there is: no acknowledgement, no place in a log.
    pub(crate) fn relayed(&self, mark: Mark) {
        let mut book = self.book.lock();
        let book = &mut *book;
        let to = if mark.writer == VISITOR { AGENT } else { VISITOR };
        book.flights[mark.writer].delivered(mark.count, to, &self.meter);
        book.flights[mark.writer].acked(mark.count, &self.meter);
    }
}

/// How one of the cast gets in: by which nodes, as whom.
#[derive(Clone, Copy)]
pub(crate) struct Seat<'a> {
    pub(crate) dialer: &'a Dialer,
    pub(crate) token: &'a str,
}

/// The sides of a conversation, ready to run.
pub(crate) struct Pair {
    pub(crate) talk: Arc<Talk>,
    pub(crate) sides: Vec<Side>,
}

impl Pair {
    /// A conversation: the visitor opens it, agents watch it, and the visitor's other tabs come back to it.
    /// There is a seat for each of the cast. With `resilient`, its sides come back when their sockets end.
    pub(crate) async fn open(seats: &[Seat<'_>], talk: Arc<Talk>, resilient: bool) -> Result<Self> {
        let cast = talk.book.lock().cast.clone();
        let first = talk.index * cast.len();
        let Seat { dialer, token } = seats[VISITOR];
        let mut visitor = Link::connect(dialer, first, token).await.context("the visitor")?;
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

        let epoch = opened["epoch"].as_str().unwrap_or_default();
        let back = |side: usize| {
            let Seat { dialer, token } = seats[side];
            resilient.then(|| Return::new(dialer.clone(), first + side, token.to_owned(), epoch.to_owned()))
        };
        let voice = Voice::session(visitor, conversation, Role::Visitor, back(VISITOR));
        let mut sides = vec![Side::new(VISITOR, voice, &talk)];
        for (at, role) in cast.iter().enumerate().skip(1) {
            let (link, entries) = join(seats[at], first + at, *role, conversation).await?;
            let mut side = Side::new(at, Voice::session(link, conversation, *role, back(at)), &talk);
            side.take(&entries);
            sides.push(side);
        }
        Ok(Self { talk, sides })
    }

    /// Two sockets of the baseline, or of another server that relays: each by the dialer of its node.
    pub(crate) async fn relayed(dialers: [&Dialer; 2], talk: Arc<Talk>) -> Result<Self> {
        let mut relays = Vec::new();
        for (own, dialer) in dialers.into_iter().enumerate() {
            let socket = dialer.dial(talk.index * 2 + own).await?;
            let mut relay = Relay::new(socket, dialer.dialect, talk.index, own);
            relay.greet(talk.index).await?;
            relays.push(relay);
        }
        for relay in &mut relays {
            relay.ready().await?;
        }
        let voices = relays.into_iter().map(Voice::Bare).enumerate();
        let sides = voices.map(|(own, voice)| Side::new(own, voice, &talk)).collect();
        Ok(Self { talk, sides })
    }
}

/// Somebody more who listens to a conversation: connects, and returns what has been said so far.
async fn join(seat: Seat<'_>, index: usize, role: Role, conversation: ConversationId) -> Result<(Link, Vec<Value>)> {
    let mut link = Link::new(seat.dialer.dial(index).await?);
    let connect = Connect { token: seat.token.to_owned(), client: None, resume: Vec::new() };
    let mut entries = link.ask(Command::Connect(connect)).await.context("failed to connect a session")?;
    if role == Role::Agent {
        link.ask(Command::Availability(SetAvailability { status: Availability::Away })).await?;
        let watch = Watch { conversation, epoch: None, seq: None, desk_seq: None };
        entries = link.ask(Command::Watch(watch)).await.context("an agent's `watch`")?;
    }
    let own = if role == Role::Agent { &entries } else { &entries["conversations"][0] };
    Ok((link, own["entries"].as_array().cloned().unwrap_or_default()))
}

/// The key of a message: it is the same each time the message is sent.
pub(crate) fn key(mark: Mark) -> Result<Key> {
    let who = ['v', 'a', 'n'].get(mark.writer).copied().unwrap_or('x');
    Key::parse(&format!("{who}-{}", mark.count)).context("a key of letters and digits was refused")
}
