//! Rates: so many in a while, so many at once.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
};

use parking_lot::Mutex;

use crate::clock::Millis;

/// How many keys are remembered at most: 1,000,000 take about 40 MB. Beyond that all are forgotten, and counting starts anew.
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

    /// Gives one back.
    pub const fn give_back(&mut self, rate: Rate) {
        self.rested_at_us -= rate.interval_us;
    }
}

/// One bucket for each key.
#[derive(Debug)]
pub struct Rates<K> {
    rate: Rate,
    buckets: Mutex<Buckets<K>>,
}

#[derive(Debug)]
struct Buckets<K> {
    map: HashMap<K, Bucket>,
    /// At this size, those that have rested are forgotten.
    sweep_at: usize,
}

impl<K: Eq + Hash> Rates<K> {
    /// Nobody has asked yet.
    pub fn new(rate: Rate) -> Self {
        Self { rate, buckets: Mutex::new(Buckets { map: HashMap::new(), sweep_at: 1_024 }) }
    }

    /// Takes one for `key`. Refused: after how many milliseconds there is one again.
    pub fn take(&self, key: K, now: Millis) -> Result<(), Millis> {
        let mut buckets = self.buckets.lock();
        if buckets.map.len() >= buckets.sweep_at {
            buckets.sweep(now);
        }
        buckets.map.entry(key).or_default().take(self.rate, now)
    }

    /// Gives one back.
    pub fn give_back(&self, key: &K) {
        if let Some(bucket) = self.buckets.lock().map.get_mut(key) {
            bucket.give_back(self.rate);
        }
    }
}

impl<K> Buckets<K> {
    fn sweep(&mut self, now: Millis) {
        self.map.retain(|_, bucket| bucket.rested_at_us > now * 1_000);
        if self.map.len() >= MOST_KEYS {
            self.map.clear();
        }
        self.sweep_at = (self.map.len() * 2).clamp(1_024, MOST_KEYS);
    }
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
        let rates = Rates::new(Rate::new(1, 60_000, 1));
        assert_eq!(rates.take("a", 1), Ok(()));
        assert!(rates.take("a", 1).is_err());
        assert_eq!(rates.take("b", 1), Ok(()));
        rates.give_back(&"a");
        assert_eq!(rates.take("a", 1), Ok(()));
    }

    #[test]
    fn who_has_rested_is_forgotten() {
        let rates = Rates::new(Rate::new(1, 1_000, 1));
        for key in 0..1_024 {
            assert_eq!(rates.take(key, 0), Ok(()));
        }
        assert_eq!(rates.take(5_000, 10_000), Ok(()));
        assert_eq!(rates.buckets.lock().map.len(), 1);
    }
}
