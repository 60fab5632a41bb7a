//! Messages under way, and what is measured of them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use parking_lot::Mutex;

/// One message: when it was due to be sent, and what has come of it.
#[derive(Clone, Copy, Debug)]
struct Flight {
    due: Instant,
    acked: bool,
    /// Who has yet to get it: a bit for each reader.
    awaited: u32,
}

impl Flight {
    fn has_landed(&self) -> bool {
        self.acked && self.awaited == 0
    }
}

/// A message that takes longer than this shows that something is wrong.
pub(crate) const LATE: Duration = Duration::from_secs(1);

/// One writer's messages under way, in the order of their counts.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    /// Among which latencies theirs count.
    group: usize,
    first: u64,
    queue: VecDeque<Flight>,
}

impl Flights {
    /// Whose latencies are kept apart from those of other groups.
    pub(crate) fn of_group(group: usize) -> Self {
        Self { group, ..Self::default() }
    }

    /// `awaited` has a bit for each reader that is to get it.
    pub(crate) fn depart(&mut self, count: u64, due: Instant, awaited: u32, meter: &Meter) {
        if self.queue.is_empty() {
            self.first = count;
        }
        self.queue.push_back(Flight { due, acked: false, awaited });
        meter.under_way.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn acked(&mut self, count: u64, meter: &Meter) {
        let Some(flight) = self.find(count).filter(|flight| !flight.acked) else { return };
        flight.acked = true;
        let due = flight.due;
        meter.record(self.group, due, |latencies| &mut latencies.ack);
        self.land(count, meter);
    }

    /// One reader has it; it is delivered when the last one has.
    pub(crate) fn delivered(&mut self, count: u64, reader: usize, meter: &Meter) {
        let Some(flight) = self.find(count).filter(|flight| flight.awaited & bit(reader) != 0) else { return };
        flight.awaited &= !bit(reader);
        if flight.awaited == 0 {
            let due = flight.due;
            meter.record(self.group, due, |latencies| &mut latencies.delivered);
            self.land(count, meter);
        }
    }

    /// It will not arrive: the server said so.
    pub(crate) fn refused(&mut self, count: u64, meter: &Meter) {
        let Some(flight) = self.find(count).filter(|flight| !flight.has_landed()) else { return };
        (flight.acked, flight.awaited) = (true, 0);
        meter.under_way.fetch_sub(1, Ordering::Relaxed);
        self.forget();
    }

    fn find(&mut self, count: u64) -> Option<&mut Flight> {
        let at = count.checked_sub(self.first)?;
        self.queue.get_mut(usize::try_from(at).ok()?)
    }

    fn land(&mut self, count: u64, meter: &Meter) {
        if self.find(count).is_some_and(|flight| flight.has_landed()) {
            meter.landed();
            self.forget();
        }
    }

    /// When the oldest message was due that is still under way.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.queue.front().map(|flight| flight.due)
    }

    /// Drops what has landed, from the front.
    fn forget(&mut self) {
        while self.queue.front().is_some_and(Flight::has_landed) {
            self.queue.pop_front();
            self.first += 1;
        }
    }
}

/// A reader's place in a set of them.
pub(crate) fn bit(reader: usize) -> u32 {
    u32::try_from(reader).ok().and_then(|reader| 1_u32.checked_shl(reader)).unwrap_or_default()
}

/// How long messages took, in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    /// Until the acknowledgement.
    pub(crate) ack: Histogram<u64>,
    /// Until the last of the others had it.
    pub(crate) delivered: Histogram<u64>,
}

impl Latencies {
    fn new() -> Self {
        Self { ack: histogram(), delivered: histogram() }
    }

    /// What has come since an earlier state.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let mut rest = self.clone();
        // All that was in the earlier one is in this one.
        rest.ack.subtract(&earlier.ack).ok();
        rest.delivered.subtract(&earlier.delivered).ok();
        rest
    }

    fn add(&mut self, other: &Self) {
        // They have the same bounds.
        self.ack.add(&other.ack).ok();
        self.delivered.add(&other.delivered).ok();
    }
}

/// What all pairs of a run add to.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Of each group.
    latencies: Vec<Mutex<Latencies>>,
    /// Whether this is the part of the run that counts: not the warm-up, not the end.
    measuring: AtomicBool,
    under_way: AtomicI64,
    landed: AtomicU64,
    errors: Mutex<BTreeMap<String, u64>>,
    disconnects: Mutex<BTreeMap<String, u64>>,
    /// How many sides came back, and when the last one did.
    returns: Mutex<(u64, Option<Instant>)>,
    /// The longest time that a side was without a session, in microseconds.
    longest_away: AtomicU64,
    /// Sides without a session just now.
    away: AtomicI64,
    /// Positions that could not be continued: the server said so, and the client read again.
    resets: AtomicU64,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self::with_groups(1)
    }

    /// Keeps the latencies of so many groups apart.
    pub(crate) fn with_groups(count: usize) -> Self {
        Self {
            latencies: (0..count).map(|_| Mutex::new(Latencies::new())).collect(),
            measuring: AtomicBool::new(false),
            under_way: AtomicI64::new(0),
            landed: AtomicU64::new(0),
            errors: Mutex::default(),
            disconnects: Mutex::default(),
            returns: Mutex::default(),
            longest_away: AtomicU64::new(0),
            away: AtomicI64::new(0),
            resets: AtomicU64::new(0),
        }
    }

    pub(crate) fn measure(&self, on: bool) {
        self.measuring.store(on, Ordering::Relaxed);
    }

    fn record(&self, group: usize, since: Instant, which: fn(&mut Latencies) -> &mut Histogram<u64>) {
        if self.measuring.load(Ordering::Relaxed) {
            which(&mut self.latencies[group].lock()).saturating_record(micros(since.elapsed()));
        }
    }

    fn landed(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        self.landed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many have been acknowledged and delivered since the start.
    pub(crate) fn total(&self) -> u64 {
        self.landed.load(Ordering::Relaxed)
    }

    /// How many are neither there nor refused.
    pub(crate) fn under_way(&self) -> i64 {
        self.under_way.load(Ordering::Relaxed)
    }

    /// A command was refused.
    pub(crate) fn error(&self, code: &str) {
        *self.errors.lock().entry(code.to_owned()).or_default() += 1;
    }

    /// A session ended that should not have.
    pub(crate) fn disconnected(&self, why: String) {
        self.away.fetch_add(1, Ordering::Relaxed);
        self.troubled(why);
    }

    /// Something went wrong with a session, or with getting one.
    pub(crate) fn troubled(&self, why: String) {
        *self.disconnects.lock().entry(why).or_default() += 1;
    }

    /// A side is back, after so long; it was missed unless it had gone by itself.
    pub(crate) fn returned(&self, after: Duration, missed: bool) {
        self.longest_away.fetch_max(micros(after), Ordering::Relaxed);
        self.away.fetch_sub(i64::from(missed), Ordering::Relaxed);
        let mut returns = self.returns.lock();
        *returns = (returns.0 + 1, Some(Instant::now()));
    }

    /// How many sides came back, and when the last one did.
    pub(crate) fn returns(&self) -> (u64, Option<Instant>) {
        *self.returns.lock()
    }

    /// How many sides have no session now.
    pub(crate) fn away(&self) -> i64 {
        self.away.load(Ordering::Relaxed)
    }

    /// The longest that a side was without a session.
    pub(crate) fn longest_away(&self) -> Duration {
        Duration::from_micros(self.longest_away.load(Ordering::Relaxed))
    }

    /// A position could not be continued.
    pub(crate) fn reset(&self) {
        self.resets.fetch_add(1, Ordering::Relaxed);
    }

    /// How many positions could not be continued.
    pub(crate) fn resets(&self) -> u64 {
        self.resets.load(Ordering::Relaxed)
    }

    /// Lets what is under way arrive: until nothing has come for so long. A server that is far behind gets on, and is waited for.
    pub(crate) async fn last_call(&self, limit: Duration) {
        let (end, mut seen) = (Instant::now() + limit * 10, (Instant::now(), self.total()));
        while self.under_way() > 0 && Instant::now() < end && seen.0.elapsed() < limit {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if self.total() > seen.1 {
                seen = (Instant::now(), self.total());
            }
        }
        // What is not awaited (a second delivery, an entry nobody sent) gets a moment to show itself.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    /// Refusals by code and endings by reason.
    pub(crate) fn troubles(&self) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
        (self.errors.lock().clone(), self.disconnects.lock().clone())
    }

    /// The latencies of all groups.
    pub(crate) fn latencies(&self) -> Latencies {
        let mut all = Latencies::new();
        self.latencies.iter().for_each(|one| all.add(&one.lock()));
        all
    }

    /// The latencies of one group.
    pub(crate) fn latencies_of(&self, group: usize) -> Latencies {
        self.latencies[group].lock().clone()
    }
}

/// 1 µs to a minute, three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    let made = Histogram::new_with_bounds(1, 60_000_000, 3);
    made.unwrap_or_else(|_| unreachable!("the bounds are constants that the crate accepts"))
}

pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_landed_when_it_is_acknowledged_and_delivered() {
        let (meter, mut flights) = (Meter::new(), Flights::default());
        let due = Instant::now();
        (0..3).for_each(|count| flights.depart(count, due, bit(1), &meter));
        flights.delivered(1, 1, &meter);
        flights.acked(0, &meter);
        assert_eq!((meter.total(), meter.under_way()), (0, 3));
        flights.acked(1, &meter);
        flights.acked(1, &meter);
        flights.refused(2, &meter);
        assert_eq!((meter.total(), meter.under_way()), (1, 1));
        flights.delivered(0, 1, &meter);
        assert_eq!((meter.total(), meter.under_way(), flights.queue.len()), (2, 0, 0));
    }

    #[test]
    fn it_is_delivered_when_the_last_reader_has_it() {
        let (meter, mut flights) = (Meter::new(), Flights::default());
        let due = Instant::now();
        flights.depart(0, due, bit(0) | bit(2), &meter);
        flights.acked(0, &meter);
        flights.delivered(0, 2, &meter);
        flights.delivered(0, 2, &meter);
        assert_eq!((meter.total(), flights.oldest()), (0, Some(due)));
        flights.delivered(0, 0, &meter);
        assert_eq!((meter.total(), flights.oldest()), (1, None));
    }

    #[test]
    fn only_the_measured_part_is_in_the_histogram() {
        let (meter, mut flights) = (Meter::new(), Flights::default());
        flights.depart(0, Instant::now(), bit(0), &meter);
        flights.acked(0, &meter);
        meter.measure(true);
        flights.delivered(0, 0, &meter);
        let latencies = meter.latencies();
        assert_eq!((latencies.ack.len(), latencies.delivered.len()), (0, 1));
    }
}
