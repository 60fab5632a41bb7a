//! The checker: judges one lane of a conversation from outside, by what writers sent and were told, and by what readers received.
//!
//! It knows nothing of sockets: a scenario tells it each event as it happens, and asks for the [`Verdict`] at the end. A
//! message is named by its writer and by that writer's own count, which travels in the text, so that the judgement does not
//! rest on anything that the server made up. Costs 20 bytes a message and reader: hours of chat fit.

use std::{collections::BTreeMap, fmt, ops::AddAssign};

/// One message: who wrote it, and the how-manieth of that writer it is (from 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Mark {
    pub(crate) writer: usize,
    pub(crate) count: u64,
}

/// What a reader was given at one `seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// One of the run's messages.
    Message(Mark),
    /// An entry of the server's own: joined, closed ... It takes a `seq` like any other.
    Event,
    /// A message that does not bear a mark of this conversation.
    Unknown,
}

/// Ways to break the promise. Each is counted; all must be 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Acknowledged, and nobody ever saw it.
    Lost,
    /// Acknowledged and in the log, and a reader that was there never got it.
    Undelivered,
    /// One message at two places of the log, or one place given to a reader twice.
    Duplicated,
    /// A reader got places in falling order, or a writer's messages stand in another order than sent.
    Reordered,
    /// A reader got a later place and never an earlier one.
    Gap,
    /// A reader got what nobody sent, or what belongs to another conversation.
    Foreign,
    /// A visitor got something of the desk lane, or somebody something of another project.
    Leaked,
    /// A reader got what the writer was told is not stored.
    Aborted,
    /// Two tellings of the same place differ: two readers', or a reader's and the acknowledgement's.
    Disagreed,
}

impl Fault {
    pub(crate) const ALL: [Self; 9] = [
        Self::Lost,
        Self::Undelivered,
        Self::Duplicated,
        Self::Reordered,
        Self::Gap,
        Self::Foreign,
        Self::Leaked,
        Self::Aborted,
        Self::Disagreed,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Undelivered => "undelivered",
            Self::Duplicated => "duplicated",
            Self::Reordered => "reordered",
            Self::Gap => "gap",
            Self::Foreign => "foreign",
            Self::Leaked => "leaked",
            Self::Aborted => "aborted",
            Self::Disagreed => "disagreed",
        }
    }
}

/// What became of a run: how much was checked, and every fault by kind, with the first few in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) sent: u64,
    pub(crate) acked: u64,
    /// Sent, neither acknowledged nor refused: may or may not be in the log. Not a fault by itself.
    pub(crate) unanswered: u64,
    pub(crate) received: u64,
    faults: BTreeMap<Fault, u64>,
    examples: Vec<String>,
}

/// How many faults are told in words; more of the same do not help anyone.
const EXAMPLES: usize = 8;

impl Verdict {
    pub(crate) fn count(&self, fault: Fault) -> u64 {
        self.faults.get(&fault).copied().unwrap_or_default()
    }

    pub(crate) fn examples(&self) -> &[String] {
        &self.examples
    }

    fn add(&mut self, fault: Fault, what: impl FnOnce() -> String) {
        *self.faults.entry(fault).or_default() += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(format!("{}: {}", fault.as_str(), what()));
        }
    }
}

impl AddAssign for Verdict {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.acked += other.acked;
        self.unanswered += other.unanswered;
        self.received += other.received;
        for (fault, count) in other.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        let room = EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.into_iter().take(room));
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "message {} of writer {}", self.count, self.writer)
    }
}

/// What one writer knows of its messages, by count.
#[derive(Debug, Default)]
struct Writer {
    fates: Vec<Fate>,
    /// Where each message stands, as first told by any reader; 0: not seen yet.
    places: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Sent,
    Acked(u64),
    Refused,
}

/// What one reader got.
#[derive(Debug)]
struct Reader {
    /// Whether it may see anything here at all.
    entitled: bool,
    highest: u64,
    /// By `seq`; 0 is never given.
    got: Vec<bool>,
}

impl Reader {
    fn new(entitled: bool) -> Self {
        Self { entitled, highest: 0, got: vec![true] }
    }
}

/// One lane of one conversation under watch.
#[derive(Debug)]
pub(crate) struct Checker {
    writers: Vec<Writer>,
    readers: Vec<Reader>,
    /// By `seq`, what the first reader of it saw.
    order: Vec<Option<Seen>>,
    verdict: Verdict,
}

impl Checker {
    /// A lane with so many writers, and a reader for each element: true for those who are entitled to all of it, from 1;
    /// false for those who must get nothing of it.
    pub(crate) fn new(writers: usize, readers: impl IntoIterator<Item = bool>) -> Self {
        Self {
            writers: (0..writers).map(|_| Writer::default()).collect(),
            readers: readers.into_iter().map(Reader::new).collect(),
            order: Vec::new(),
            verdict: Verdict::default(),
        }
    }

    /// One more reader who is entitled to all of it; returns its number.
    pub(crate) fn add_reader(&mut self) -> usize {
        self.readers.push(Reader::new(true));
        self.readers.len() - 1
    }

    /// Somebody was given what is not for him.
    pub(crate) fn leaked(&mut self, what: impl FnOnce() -> String) {
        self.verdict.add(Fault::Leaked, what);
    }

    /// A writer sends its next message; returns the mark to put into it.
    pub(crate) fn sent(&mut self, writer: usize) -> Mark {
        let own = &mut self.writers[writer];
        let mark = Mark { writer, count: own.fates.len() as u64 };
        own.fates.push(Fate::Sent);
        own.places.push(0);
        self.verdict.sent += 1;
        mark
    }

    /// The server says that the message is stored at `seq`.
    pub(crate) fn acked(&mut self, mark: Mark, seq: u64) {
        let Some(fate) = self.writers[mark.writer].fates.get_mut(slot(mark.count)) else {
            return self.verdict.add(Fault::Foreign, || format!("an acknowledgement of {mark}, which was not sent"));
        };
        match *fate {
            Fate::Acked(before) if before != seq => {
                self.verdict.add(Fault::Disagreed, || format!("{mark} acknowledged at {before} and at {seq}"));
            }
            Fate::Acked(_) => {}
            Fate::Sent | Fate::Refused => {
                *fate = Fate::Acked(seq);
                self.verdict.acked += 1;
            }
        }
    }

    /// The server says that the message is not stored.
    pub(crate) fn refused(&mut self, mark: Mark) {
        if let Some(fate) = self.writers[mark.writer].fates.get_mut(slot(mark.count)) {
            *fate = Fate::Refused;
        }
    }

    /// A reader got an entry.
    pub(crate) fn received(&mut self, reader: usize, seq: u64, seen: Seen) {
        self.verdict.received += 1;
        if !self.readers[reader].entitled {
            return self.leaked(|| format!("reader {reader} got {seen:?} at {seq}, of a lane that is not for it"));
        }
        if seq == 0 {
            return self.verdict.add(Fault::Foreign, || format!("reader {reader} got an entry at 0"));
        }
        self.arrive(reader, seq);
        self.place(reader, seq, seen);
    }

    fn arrive(&mut self, reader: usize, seq: u64) {
        let own = &mut self.readers[reader];
        let at = slot(seq);
        if own.got.len() <= at {
            own.got.resize(at + 1, false);
        }
        if std::mem::replace(&mut own.got[at], true) {
            self.verdict.add(Fault::Duplicated, || format!("reader {reader} got {seq} twice"));
        } else if seq < own.highest {
            let highest = own.highest;
            self.verdict.add(Fault::Reordered, || format!("reader {reader} got {seq} after {highest}"));
        }
        own.highest = own.highest.max(seq);
    }

    /// Compares what stands at `seq` with what others said of it.
    fn place(&mut self, reader: usize, seq: u64, seen: Seen) {
        let at = slot(seq);
        if self.order.len() <= at {
            self.order.resize(at + 1, None);
        }
        match self.order[at] {
            Some(before) if before == seen => {}
            Some(before) => self
                .verdict
                .add(Fault::Disagreed, || format!("at {seq} reader {reader} got {seen:?}, another one {before:?}")),
            None => {
                self.order[at] = Some(seen);
                self.first_sight(seq, seen);
            }
        }
    }

    fn first_sight(&mut self, seq: u64, seen: Seen) {
        let mark = match seen {
            Seen::Message(mark) => mark,
            Seen::Event => return,
            Seen::Unknown => return self.verdict.add(Fault::Foreign, || format!("an unknown message at {seq}")),
        };
        let places = self.writers.get_mut(mark.writer).map(|writer| &mut writer.places);
        let Some(places) = places.filter(|places| slot(mark.count) < places.len()) else {
            return self.verdict.add(Fault::Foreign, || format!("{mark} at {seq}, which was not sent"));
        };
        let at = slot(mark.count);
        let before = at.checked_sub(1).map_or(0, |at| places[at]);
        let after = places.get(at + 1).copied().unwrap_or_default();
        if places[at] != 0 {
            let first = places[at];
            return self.verdict.add(Fault::Duplicated, || format!("{mark} stands at {first} and at {seq}"));
        }
        places[at] = seq;
        if before > seq || (after != 0 && after < seq) {
            self.verdict.add(Fault::Reordered, || format!("{mark} stands at {seq}, beyond its neighbour"));
        }
    }

    /// The judgement, when nothing more will come.
    pub(crate) fn finish(mut self) -> Verdict {
        for writer in 0..self.writers.len() {
            self.judge_writer(writer);
        }
        for reader in 0..self.readers.len() {
            self.judge_reader(reader);
        }
        self.verdict
    }

    /// Acknowledged and nowhere is lost; acknowledged at one place and seen at another is a disagreement.
    fn judge_writer(&mut self, writer: usize) {
        for count in 0..self.writers[writer].fates.len() {
            let (fate, place) = (self.writers[writer].fates[count], self.writers[writer].places[count]);
            let mark = Mark { writer, count: count as u64 };
            match fate {
                Fate::Sent => self.verdict.unanswered += 1,
                Fate::Refused if place != 0 => {
                    self.verdict.add(Fault::Aborted, || format!("{mark} was refused and stands at {place}"));
                }
                Fate::Refused => {}
                Fate::Acked(seq) if place != 0 && place != seq => {
                    self.verdict.add(Fault::Disagreed, || format!("{mark} acknowledged at {seq} stands at {place}"));
                }
                Fate::Acked(seq) if place == 0 => {
                    self.verdict.add(Fault::Lost, || format!("{mark}, acknowledged at {seq}, was seen by nobody"));
                }
                Fate::Acked(seq) => self.judge_delivery(mark, seq),
            }
        }
    }

    fn judge_delivery(&mut self, mark: Mark, seq: u64) {
        for (index, reader) in self.readers.iter().enumerate().filter(|(_, reader)| reader.entitled) {
            if !reader.got.get(slot(seq)).copied().unwrap_or_default() {
                self.verdict
                    .add(Fault::Undelivered, || format!("{mark}, acknowledged at {seq}, never reached reader {index}"));
            }
        }
    }

    fn judge_reader(&mut self, index: usize) {
        for (seq, _) in self.readers[index].got.iter().enumerate().filter(|(_, got)| !**got) {
            self.verdict.add(Fault::Gap, || format!("reader {index} never got {seq}"));
        }
    }
}

/// A count or `seq` as an index. The program runs on 64-bit machines.
fn slot(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
