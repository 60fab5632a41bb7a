//! What one address may ask for: so many connections, so many sockets, so many new ones in a second.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::http::HeaderMap;
use ipnet::IpNet;

use super::{
    crowd::{Crowd, Full, Place},
    problem::Problem,
};
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
    proxy_protocol: bool,
    clock: Clock,
    handshakes: Rates<IpAddr>,
    sessions: Rates<IpAddr>,
    sockets: Arc<Crowd>,
    connections: Arc<Crowd>,
}

/// A socket's place at the table: given back when dropped.
pub struct Seat {
    _place: Place,
}

impl Gate {
    /// Nobody is here yet.
    pub fn new(limits: Arc<Limits>, trusted_proxies: Vec<IpNet>, proxy_protocol: bool, clock: Clock) -> Arc<Self> {
        let rate = Rate::new(limits.handshakes_per_second, 1_000, limits.handshake_burst);
        Arc::new(Self {
            limits,
            trusted_proxies,
            proxy_protocol,
            clock,
            handshakes: Rates::new(rate),
            sessions: Rates::new(rate),
            sockets: Arc::default(),
            connections: Arc::default(),
        })
    }

    /// Where a request comes from: the connection's other end, or, where that is a trusted proxy, whom it names. Of a chain
    /// of proxies the last that is not trusted counts: what stands before it in the header, its sender could have made up.
    /// Where a trusted proxy passes on what is no address, the connection's other end counts.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        let named =
            headers.get_all("x-forwarded-for").iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        let named: Vec<&[u8]> = named.collect();
        let mut client = peer;
        for name in named.into_iter().rev() {
            if !contains(&self.trusted_proxies, client) {
                break;
            }
            let Some(address) = address_of(name) else { return peer };
            client = address.to_canonical();
        }
        client
    }

    /// Whether a connection from there begins with the PROXY protocol, which says whose it is.
    pub(super) fn is_told_by(&self, peer: IpAddr) -> bool {
        self.proxy_protocol && contains(&self.trusted_proxies, peer.to_canonical())
    }

    /// Whether an address is counted.
    pub fn counts(&self, address: IpAddr) -> bool {
        !contains(&self.limits.exempt, address)
    }

    /// By what a connection is counted; none for an exempt address, and for a trusted proxy, which brings many people.
    pub(super) fn counted(&self, peer: IpAddr) -> Option<IpAddr> {
        let proxy = contains(&self.trusted_proxies, peer.to_canonical());
        (!proxy && self.counts(peer.to_canonical())).then(|| network(peer))
    }

    /// Lets a connection in that was just accepted. None: it is to be closed at once.
    pub(super) fn admit_connection(&self, peer: IpAddr) -> Option<Place> {
        let (each, all) = (self.limits.connections_per_address, self.limits.connections_per_node);
        let place = self.connections.admit(self.counted(peer), each, all).map_err(|full| {
            telemetry::refused(limit_of(full, ["connections_per_address", "connections_per_node"]));
        });
        place.ok()
    }

    /// Lets a socket's handshake go on, or says when to try again.
    pub fn admit_socket(&self, address: IpAddr) -> Result<Seat, Problem> {
        let counted = self.counts(address).then(|| network(address));
        if counted.is_some() {
            self.within_rate(&self.handshakes, address).map_err(|seconds| Problem::busy(TOO_MANY, seconds))?;
        }
        let limits = &self.limits;
        let place =
            self.sockets.admit(counted, limits.sockets_per_address, limits.sockets_per_node).map_err(|full| {
                telemetry::refused(limit_of(full, ["sockets_per_address", "sockets_per_node"]));
                Problem::busy(limit_of(full, ["too many connections from this address", "this node is full"]), 10)
            })?;
        Ok(Seat { _place: place })
    }

    /// Lets a request for a visitor's session go on, or says when to try again.
    pub fn admit_session(&self, address: IpAddr) -> Result<(), Problem> {
        if !self.counts(address) {
            return Ok(());
        }
        self.within_rate(&self.sessions, address).map_err(|seconds| Problem::rate_limited(TOO_MANY, seconds))
    }

    /// Refused: after how many seconds to try again.
    fn within_rate(&self, rates: &Rates<IpAddr>, address: IpAddr) -> Result<(), u64> {
        rates.take(network(address), self.clock.ticks()).map_err(|retry_ms| {
            telemetry::refused("handshakes_per_second");
            u64::try_from(retry_ms).unwrap_or(0).div_ceil(1_000)
        })
    }

    /// How many files sockets and connections hold open.
    pub fn open_files(&self) -> usize {
        self.sockets.count() + self.connections.count()
    }

    /// How many sockets there are.
    pub fn sockets(&self) -> usize {
        self.sockets.count()
    }
}

/// What an address is told that asks too often.
const TOO_MANY: &str = "too many requests from this address";

/// One word for each way of being full.
const fn limit_of(full: Full, [address, node]: [&'static str; 2]) -> &'static str {
    match full {
        Full::Address => address,
        Full::Node => node,
    }
}

/// The address that a proxy names; some name the port with it: `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`,
/// `[2001:db8::1]`, `[2001:db8::1]:4711`.
fn address_of(name: &[u8]) -> Option<IpAddr> {
    let name = std::str::from_utf8(name).ok()?.trim();
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let with_port = || name.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || bare?.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6);
    name.parse::<IpAddr>().ok().or_else(with_port).or_else(in_brackets)
}

fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn gate(limits: Limits, trusted: &str) -> Arc<Gate> {
        Gate::new(Arc::new(limits), trusted.parse().into_iter().collect(), false, Clock::manual(1_000))
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
        for garbage in ["made up", "", ",", "[::1", "203.0.113.9:99999", "203.0.113.9:", "198.51.100.1, , 10.0.0.2"] {
            assert_eq!(client("10.0.0.1", garbage), address("10.0.0.1"), "{garbage}");
        }
        assert_eq!(client("10.0.0.1", "made up, 198.51.100.1"), address("198.51.100.1"), "not looked at");
    }

    #[test]
    fn a_proxy_may_name_the_port() {
        let gate = gate(Limits::default(), "10.0.0.0/8");
        let client = |chain| gate.client(address("10.0.0.1"), &forwarded(chain));
        assert_eq!(client("198.51.100.1:4711"), address("198.51.100.1"));
        assert_eq!(client("[2001:db8::1]:4711"), address("2001:db8::1"));
        assert_eq!(client("[2001:db8::1]"), address("2001:db8::1"));
        assert_eq!(client("2001:db8::1"), address("2001:db8::1"));
        assert_eq!(client("1.2.3.4, [2001:db8::1]:1, 10.0.0.2:80, [::ffff:10.0.0.3]:9"), address("2001:db8::1"));
    }

    #[test]
    fn sockets_of_an_address_are_counted_and_given_back() {
        let gate = gate(Limits { sockets_per_address: 2, ..Limits::default() }, "10.0.0.0/8");
        let here = address("203.0.113.9");
        let mut seats: Vec<_> = (0..3).map(|_| gate.admit_socket(here)).collect();
        let refused = seats.pop().and_then(Result::err).unwrap_or_else(|| panic!("the third was let in"));
        assert_eq!((refused.status, refused.retry_after_s), (503, Some(10)));
        assert!(gate.admit_socket(address("203.0.113.10")).is_ok());
        assert_eq!(gate.sockets(), 2, "the third place was given back");
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
