//! Rates: so many in a while, so many at once; and how far apart rounds are in which many are told.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use parking_lot::Mutex;

use crate::clock::Millis;

/// How many keys are remembered at most: 1,000,000 take about 40 MB. Beyond that the older ones are forgotten, and counting
/// starts anew for them.
const MOST_KEYS: usize = 1_000_000;

/// A rate: one every so often over time, and a burst after a pause.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    interval_us: i64,
    burst: i64,
}

impl Rate {
    /// `count` in every `span_ms` over time, `burst` at once.
    pub fn new(count: u32, span_ms: Millis, burst: u32) -> Self {
        Self { interval_us: (span_ms * 1_000 / i64::from(count.max(1))).max(1), burst: i64::from(burst.max(1)) }
    }

    /// After how long whoever used all of it has rested.
    const fn rest_ms(self) -> Millis {
        self.interval_us * self.burst / 1_000 + 1
    }
}

/// How far one key has used its rate: when it will be as if it had never asked (the generic cell rate algorithm).
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    rested_at_us: i64,
}

impl Bucket {
    /// Takes one. Refused: after how many milliseconds there is one again.
    pub fn take(&mut self, rate: Rate, now: Millis) -> Result<(), Millis> {
        let now_us = now * 1_000;
        let rested = self.rested_at_us.max(now_us);
        let early_us = rested - now_us - rate.interval_us * (rate.burst - 1);
        if early_us > 0 {
            return Err((early_us + 999).div_euclid(1_000));
        }
        self.rested_at_us = rested + rate.interval_us;
        Ok(())
    }
}

/// One bucket for each key.
#[derive(Debug)]
pub struct Rates<K> {
    rate: Rate,
    buckets: Mutex<Memory<K, Bucket>>,
}

impl<K: Eq + Hash> Rates<K> {
    /// Nobody has asked yet.
    pub fn new(rate: Rate) -> Self {
        Self { rate, buckets: Mutex::new(Memory::new(rate.rest_ms())) }
    }

    /// Takes one for `key`. Refused: after how many milliseconds there is one again.
    pub fn take(&self, key: K, now: Millis) -> Result<(), Millis> {
        self.buckets.lock().of(key, now).take(self.rate, now)
    }
}

/// So many in any stretch of time of a given length, for each key. What a [`Rate`] does not promise: with its burst and what
/// trickles back meanwhile, it lets nearly twice as many through in some stretches.
#[derive(Debug)]
pub struct Windows<K> {
    most: usize,
    span_ms: Millis,
    taken: Mutex<Memory<K, VecDeque<Millis>>>,
}

impl<K: Eq + Hash> Windows<K> {
    /// At most `most` in any `span_ms`.
    pub fn new(most: u32, span_ms: Millis) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Self { most, span_ms, taken: Mutex::new(Memory::new(span_ms)) }
    }

    /// Takes one for `key`. Refused: after how many milliseconds there is one again.
    pub fn take(&self, key: K, now: Millis) -> Result<(), Millis> {
        let mut memory = self.taken.lock();
        let taken = memory.of(key, now);
        while taken.front().is_some_and(|at| *at <= now - self.span_ms) {
            taken.pop_front();
        }
        match taken.front() {
            Some(first) if taken.len() >= self.most => Err(first + self.span_ms - now),
            _ => {
                taken.push_back(now);
                Ok(())
            }
        }
    }

    /// Gives back the one that was taken last.
    pub fn give_back(&self, key: &K) {
        if let Some(taken) = self.taken.lock().known(key) {
            taken.pop_back();
        }
    }
}

/// What is known of keys, in two generations: those that were used lately, and those of the time before. A key that is used
/// moves to the young; when the young have had their time, they are the old, and the old are forgotten all at once. So no
/// single use pays for looking through all.
#[derive(Debug)]
struct Memory<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    turned_at: Millis,
    /// After this long nothing need be known of a key that was not used.
    span_ms: Millis,
}

impl<K: Eq + Hash, V: Default> Memory<K, V> {
    fn new(span_ms: Millis) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), turned_at: 0, span_ms }
    }

    /// What is known of `key`, which is used now.
    fn of(&mut self, key: K, now: Millis) -> &mut V {
        if now - self.turned_at >= self.span_ms || self.young.len() >= MOST_KEYS / 2 {
            self.old = std::mem::take(&mut self.young);
            self.turned_at = now;
        }
        match self.young.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let known = self.old.remove(place.key()).unwrap_or_default();
                place.insert(known)
            }
        }
    }

    fn known(&mut self, key: &K) -> Option<&mut V> {
        self.young.get_mut(key).or_else(|| self.old.get_mut(key))
    }
}

/// Rounds are this far apart for each socket that is told. To write to one takes some 6 µs, so telling all of them takes a fortieth of
/// a core, for up to two thousand.
const ROUND_FOR_EACH: Duration = Duration::from_micros(250);

/// The longest round.
const ROUND_AT_MOST: Duration = Duration::from_millis(500);

/// How long news for so many sockets gather until they are told; at least so long.
pub fn round(sockets: usize, least: Duration) -> Duration {
    let sockets = u32::try_from(sockets).unwrap_or(u32::MAX);
    ROUND_FOR_EACH.saturating_mul(sockets).min(ROUND_AT_MOST).max(least)
}

/// By what an address is counted: an IPv6 address by its /64, which is what one household is given.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_in_one_household_count_as_one() {
        let network_of = |text: &str| text.parse().map(network);
        assert_eq!(network_of("2001:db8:1:2::7"), network_of("2001:db8:1:2:ffff::1"));
        assert_ne!(network_of("2001:db8:1:2::7"), network_of("2001:db8:1:3::7"));
        assert_eq!(network_of("::ffff:10.0.0.1"), network_of("10.0.0.1"));
    }

    #[test]
    fn a_team_is_told_at_once_and_a_crowd_in_rounds() {
        let least = Duration::from_millis(20);
        assert_eq!([1, 40, 80].map(|sockets| round(sockets, least)), [least; 3]);
        assert_eq!(round(1_000, least), Duration::from_millis(250));
        assert_eq!(round(usize::MAX, least), Duration::from_millis(500));
    }

    #[test]
    fn a_burst_and_then_one_at_a_time() {
        let rate = Rate::new(5, 1_000, 20);
        let mut bucket = Bucket::default();
        let now = 1_000_000;
        assert_eq!((0..30).filter(|_| bucket.take(rate, now).is_ok()).count(), 20);
        assert_eq!(bucket.take(rate, now), Err(200));
        assert_eq!(bucket.take(rate, now + 200), Ok(()));
        assert!(bucket.take(rate, now + 201).is_err());
        assert_eq!((0..30).filter(|_| bucket.take(rate, now + 60_000).is_ok()).count(), 20);
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let windows = Windows::new(1, 60_000);
        assert_eq!(windows.take("a", 1), Ok(()));
        assert_eq!(windows.take("a", 2), Err(59_999));
        assert_eq!(windows.take("b", 1), Ok(()));
        windows.give_back(&"a");
        assert_eq!(windows.take("a", 1), Ok(()));
    }

    #[test]
    fn no_stretch_of_time_has_more_than_its_window() {
        let windows = Windows::new(10, 900_000);
        let let_in: Vec<Millis> = (0..4_000).map(|n| n * 1_000).filter(|now| windows.take("a", *now).is_ok()).collect();
        assert!(let_in.len() > 40, "it goes on: {}", let_in.len());
        for (from, at) in let_in.iter().zip(let_in.iter().skip(10)) {
            assert!(at - from >= 900_000, "eleven from {from} to {at}");
        }
    }

    #[test]
    fn who_has_rested_is_forgotten() {
        let rates = Rates::new(Rate::new(1, 1_000, 1));
        for key in 0..1_024 {
            assert_eq!(rates.take(key, 5_000), Ok(()));
        }
        assert!(rates.take(7, 5_900).is_err());
        assert_eq!((rates.take(5_000, 10_000), rates.take(5_000, 20_000)), (Ok(()), Ok(())));
        let buckets = rates.buckets.lock();
        assert_eq!(buckets.young.len() + buckets.old.len(), 1);
    }

    /// With a sweep of all keys each time that there are too many, this took minutes.
    #[test]
    fn a_million_keys_cost_each_use_no_more() {
        let rates = Rates::new(Rate::new(1, 4_000_000, 1));
        let begun = std::time::Instant::now();
        for key in 0..1_020_000_i64 {
            assert_eq!(rates.take(key, key * 4), Ok(()));
        }
        assert!(rates.take(1_019_999, 1_019_999 * 4).is_err(), "who has just come is known");
        let buckets = rates.buckets.lock();
        assert!(buckets.young.len() + buckets.old.len() <= MOST_KEYS);
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }
}
