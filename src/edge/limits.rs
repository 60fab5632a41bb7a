//! What one address may ask for: so many sockets, so many new ones in a second.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::http::HeaderMap;
use ipnet::IpNet;
use parking_lot::Mutex;

use super::problem::Problem;
use crate::{
    clock::Clock,
    config::Limits,
    rate::{Rate, Rates, network},
    telemetry,
};

/// Counts sockets and requests by address. An IPv6 address counts as its /64.
pub struct Gate {
    limits: Arc<Limits>,
    trusted_proxies: Vec<IpNet>,
    clock: Clock,
    handshakes: Rates<IpAddr>,
    sessions: Rates<IpAddr>,
    sockets: Mutex<HashMap<IpAddr, usize>>,
    all: AtomicUsize,
}

/// A place at the table: given back when dropped.
pub struct Seat {
    gate: Arc<Gate>,
    address: IpAddr,
}

impl Gate {
    /// Nobody is here yet.
    pub fn new(limits: Arc<Limits>, trusted_proxies: Vec<IpNet>, clock: Clock) -> Arc<Self> {
        let rate = Rate::new(limits.handshakes_per_second, 1_000, limits.handshake_burst);
        Arc::new(Self {
            limits,
            trusted_proxies,
            clock,
            handshakes: Rates::new(rate),
            sessions: Rates::new(rate),
            sockets: Mutex::default(),
            all: AtomicUsize::new(0),
        })
    }

    /// Where a request comes from: the connection's other end, or, where that is a trusted proxy, whom it names. Of a chain
    /// of proxies the last that is not trusted counts: what stands before it in the header, its sender could have made up.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let named = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let named: Vec<&str> = named.flat_map(|value| value.split(',')).map(str::trim).collect();
        let mut client = peer.to_canonical();
        for name in named.into_iter().rev() {
            if !contains(&self.trusted_proxies, client) {
                break;
            }
            let Ok(address) = name.parse::<IpAddr>() else { break };
            client = address.to_canonical();
        }
        client
    }

    /// Whether an address is counted.
    pub fn counts(&self, address: IpAddr) -> bool {
        !contains(&self.limits.exempt, address)
    }

    /// Lets a socket's handshake go on, or says when to try again.
    pub fn admit_socket(self: &Arc<Self>, address: IpAddr) -> Result<Seat, Problem> {
        if self.counts(address) {
            self.within_rate(&self.handshakes, address)?;
        }
        if self.all.fetch_add(1, Ordering::Relaxed) >= self.limits.sockets_per_node {
            self.all.fetch_sub(1, Ordering::Relaxed);
            telemetry::refused("sockets_per_node");
            return Err(Problem::busy("this node is full", 10));
        }
        if self.counts(address) {
            let mut sockets = self.sockets.lock();
            let held = sockets.entry(network(address)).or_insert(0);
            if *held >= self.limits.sockets_per_address {
                self.all.fetch_sub(1, Ordering::Relaxed);
                telemetry::refused("sockets_per_address");
                return Err(Problem::busy("too many connections from this address", 10));
            }
            *held += 1;
        }
        Ok(Seat { gate: Arc::clone(self), address })
    }

    /// Lets a request for a visitor's session go on, or says when to try again.
    pub fn admit_session(&self, address: IpAddr) -> Result<(), Problem> {
        if self.counts(address) { self.within_rate(&self.sessions, address) } else { Ok(()) }
    }

    fn within_rate(&self, rates: &Rates<IpAddr>, address: IpAddr) -> Result<(), Problem> {
        rates.take(network(address), self.clock.now()).map_err(|retry_ms| {
            telemetry::refused("handshakes_per_second");
            Problem::busy("too many requests from this address", u64::try_from(retry_ms).unwrap_or(0).div_ceil(1_000))
        })
    }

    /// How many sockets there are.
    pub fn sockets(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.gate.all.fetch_sub(1, Ordering::Relaxed);
        if !self.gate.counts(self.address) {
            return;
        }
        let mut sockets = self.gate.sockets.lock();
        let address = network(self.address);
        if let Some(held) = sockets.get_mut(&address) {
            *held -= 1;
            if *held == 0 {
                sockets.remove(&address);
            }
        }
    }
}

fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn gate(limits: Limits, trusted: &str) -> Arc<Gate> {
        Gate::new(Arc::new(limits), trusted.parse().into_iter().collect(), Clock::manual(1_000))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    fn forwarded(chain: &'static str) -> HeaderMap {
        HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), HeaderValue::from_static(chain))])
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let gate = gate(Limits::default(), "10.0.0.0/8");
        let client = |peer: &str, chain| gate.client(address(peer), &forwarded(chain));
        assert_eq!(client("203.0.113.9", "198.51.100.1"), address("203.0.113.9"));
        assert_eq!(client("10.0.0.1", "198.51.100.1"), address("198.51.100.1"));
        assert_eq!(client("10.0.0.1", "1.2.3.4, 198.51.100.1, 10.0.0.2"), address("198.51.100.1"));
        assert_eq!(client("10.0.0.1", "made up"), address("10.0.0.1"));
    }

    #[test]
    fn sockets_of_an_address_are_counted_and_given_back() {
        let gate = gate(Limits { sockets_per_address: 2, ..Limits::default() }, "10.0.0.0/8");
        let here = address("203.0.113.9");
        let mut seats: Vec<_> = (0..3).map(|_| gate.admit_socket(here)).collect();
        let refused = seats.pop().and_then(Result::err).unwrap_or_else(|| panic!("the third was let in"));
        assert_eq!((refused.status, refused.retry_after_s), (503, Some(10)));
        assert!(gate.admit_socket(address("203.0.113.10")).is_ok());
        assert_eq!(gate.sockets(), 2);
        drop(seats);
        assert_eq!(gate.sockets(), 0);
        assert!(gate.admit_socket(here).is_ok());
    }

    #[test]
    fn handshakes_come_in_bursts_and_then_slowly() {
        let gate = gate(Limits::default(), "10.0.0.0/8");
        let let_in = (0..40).filter(|_| gate.admit_socket(address("203.0.113.9")).is_ok()).count();
        assert_eq!(let_in, 20);
        let exempt = Limits { exempt: "203.0.113.0/24".parse().into_iter().collect(), ..Limits::default() };
        let gate = self::gate(exempt, "10.0.0.0/8");
        let seats: Vec<_> = (0..400).filter_map(|_| gate.admit_socket(address("203.0.113.9")).ok()).collect();
        assert_eq!(seats.len(), 400);
    }
}
