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
    delivered: bool,
}

/// One writer's messages under way, in the order of their counts.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    first: u64,
    queue: VecDeque<Flight>,
}

impl Flights {
    pub(crate) fn depart(&mut self, count: u64, due: Instant, meter: &Meter) {
        if self.queue.is_empty() {
            self.first = count;
        }
        self.queue.push_back(Flight { due, acked: false, delivered: false });
        meter.under_way.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn acked(&mut self, count: u64, meter: &Meter) {
        let Some(flight) = self.find(count).filter(|flight| !flight.acked) else { return };
        flight.acked = true;
        meter.record(&meter.ack, flight.due);
        self.land(count, meter);
    }

    pub(crate) fn delivered(&mut self, count: u64, meter: &Meter) {
        let Some(flight) = self.find(count).filter(|flight| !flight.delivered) else { return };
        flight.delivered = true;
        meter.record(&meter.delivered, flight.due);
        self.land(count, meter);
    }

    /// It will not arrive: the server said so.
    pub(crate) fn refused(&mut self, count: u64, meter: &Meter) {
        let Some(flight) = self.find(count).filter(|flight| !(flight.acked && flight.delivered)) else { return };
        (flight.acked, flight.delivered) = (true, true);
        meter.under_way.fetch_sub(1, Ordering::Relaxed);
        self.forget();
    }

    fn find(&mut self, count: u64) -> Option<&mut Flight> {
        let at = count.checked_sub(self.first)?;
        self.queue.get_mut(usize::try_from(at).ok()?)
    }

    fn land(&mut self, count: u64, meter: &Meter) {
        if self.find(count).is_some_and(|flight| flight.acked && flight.delivered) {
            meter.landed();
            self.forget();
        }
    }

    /// Drops what has landed, from the front.
    fn forget(&mut self) {
        while self.queue.front().is_some_and(|flight| flight.acked && flight.delivered) {
            self.queue.pop_front();
            self.first += 1;
        }
    }
}

/// What all pairs of a run add to.
#[derive(Debug)]
pub(crate) struct Meter {
    ack: Mutex<Histogram<u64>>,
    delivered: Mutex<Histogram<u64>>,
    /// Whether this is the part of the run that counts: not the warm-up, not the end.
    measuring: AtomicBool,
    under_way: AtomicI64,
    landed: AtomicU64,
    errors: Mutex<BTreeMap<String, u64>>,
    disconnects: Mutex<BTreeMap<String, u64>>,
    /// How many sides came back, and when the last one did.
    returns: Mutex<(u64, Option<Instant>)>,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            ack: Mutex::new(histogram()),
            delivered: Mutex::new(histogram()),
            measuring: AtomicBool::new(false),
            under_way: AtomicI64::new(0),
            landed: AtomicU64::new(0),
            errors: Mutex::default(),
            disconnects: Mutex::default(),
            returns: Mutex::default(),
        }
    }

    pub(crate) fn measure(&self, on: bool) {
        self.measuring.store(on, Ordering::Relaxed);
    }

    fn record(&self, into: &Mutex<Histogram<u64>>, since: Instant) {
        if self.measuring.load(Ordering::Relaxed) {
            into.lock().saturating_record(micros(since.elapsed()));
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
        *self.disconnects.lock().entry(why).or_default() += 1;
    }

    /// A side is back.
    pub(crate) fn returned(&self) {
        let mut returns = self.returns.lock();
        *returns = (returns.0 + 1, Some(Instant::now()));
    }

    /// How many sides came back, and when the last one did.
    pub(crate) fn returns(&self) -> (u64, Option<Instant>) {
        *self.returns.lock()
    }

    /// Refusals by code and endings by reason.
    pub(crate) fn troubles(&self) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
        (self.errors.lock().clone(), self.disconnects.lock().clone())
    }

    /// Send to acknowledgement, and send to the other side's receipt, in microseconds.
    pub(crate) fn latencies(&self) -> (Histogram<u64>, Histogram<u64>) {
        (self.ack.lock().clone(), self.delivered.lock().clone())
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
        (0..3).for_each(|count| flights.depart(count, due, &meter));
        flights.delivered(1, &meter);
        flights.acked(0, &meter);
        assert_eq!((meter.total(), meter.under_way()), (0, 3));
        flights.acked(1, &meter);
        flights.acked(1, &meter);
        flights.refused(2, &meter);
        assert_eq!((meter.total(), meter.under_way()), (1, 1));
        flights.delivered(0, &meter);
        assert_eq!((meter.total(), meter.under_way(), flights.queue.len()), (2, 0, 0));
    }

    #[test]
    fn only_the_measured_part_is_in_the_histogram() {
        let (meter, mut flights) = (Meter::new(), Flights::default());
        flights.depart(0, Instant::now(), &meter);
        flights.acked(0, &meter);
        meter.measure(true);
        flights.delivered(0, &meter);
        let (ack, delivered) = meter.latencies();
        assert_eq!((ack.len(), delivered.len()), (0, 1));
    }
}
