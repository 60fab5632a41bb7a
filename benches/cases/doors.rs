//! Who may come in, and how often somebody may ask.

use std::{cell::Cell, hint::black_box, net::IpAddr, net::Ipv4Addr, sync::Arc};

use deskbell::{
    clock::{Clock, Millis},
    config::Limits,
    edge::limits::Gate,
    ids::{ProjectId, SessionId},
    rate::{Bucket, Rate, Rates, Windows},
    tokens::{Claims, IdentityKeys, Keyring, Kind, SigningKey, new_secret, verify_identity},
};
use serde_json::json;
use uuid::Uuid;

use super::Gauge;

/// The present of all tokens here.
const NOW: Millis = 1_750_000_000_000;
/// How many addresses are known.
const ADDRESSES: u32 = 10_000;

pub(super) fn all(gauge: &mut impl Gauge) {
    tokens(gauge);
    rates(gauge);
    gauge.plain("doors/read the clock", {
        let clock = Clock::system();
        move || clock.now()
    });
}

fn tokens(gauge: &mut impl Gauge) {
    let ring = Keyring::new(&[SigningKey { id: "k1".to_owned(), secret: new_secret(), retired_at: None }]).unwrap();
    let claims = Claims {
        project: ProjectId::generate(),
        kind: Kind::Visitor,
        subject: Uuid::now_v7(),
        session: SessionId::generate(),
        name: Some("Ada".to_owned()),
        role: None,
        sub_external: None,
        email: None,
        iat: NOW / 1_000,
        exp: NOW / 1_000 + 3_600,
        jti: Uuid::now_v7(),
        heard: 0,
        key: "".into(),
    };
    let token = ring.mint(&claims).unwrap();
    gauge.plain("doors/sign a token", || ring.mint(black_box(&claims)).unwrap());
    gauge.plain("doors/verify a token", || ring.verify(black_box(&token), NOW).unwrap());
    let secret = new_secret();
    let site = json!({ "sub": "customer-4711", "name": "Ada", "email": "ada@example.org", "exp": NOW / 1_000 + 600 });
    let signing = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    let vouched = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &site, &signing).unwrap();
    let keys = IdentityKeys { secret: Some(&secret), public_key: None };
    gauge.plain("doors/verify a site's word", || verify_identity(keys, black_box(&vouched), NOW).unwrap());
}

fn rates(gauge: &mut impl Gauge) {
    let (rate, now) = (Rate::new(1_000, 1_000, 100), Cell::new(NOW));
    let later = || now.replace(now.get() + 1);
    let mut bucket = Bucket::default();
    gauge.plain("doors/rate of one session", || bucket.take(rate, later()).unwrap());
    // They ask one after the other, each of them ten times a second.
    let asked = Cell::new(0);
    let next = || -> (IpAddr, Millis) {
        let number = asked.replace(asked.get() + 1);
        (Ipv4Addr::from_bits(number % ADDRESSES).into(), NOW + Millis::from(number / (ADDRESSES / 100)))
    };
    let (rates, windows) = (Rates::new(rate), Windows::new(10, 500));
    known_to(next, |(address, now)| rates.take(address, now).unwrap());
    gauge.plain("doors/rate of one of 10,000 addresses", || {
        let (address, now) = next();
        rates.take(address, now).unwrap();
    });
    known_to(next, |(address, now)| windows.take(address, now).unwrap());
    gauge.plain("doors/window of one of 10,000 addresses", || {
        let (address, now) = next();
        windows.take(address, now).unwrap();
    });
    let limits = Limits { handshakes_per_second: u32::MAX, handshake_burst: u32::MAX, ..Limits::default() };
    let gate = Gate::new(Arc::new(limits), Vec::new(), false, Clock::system());
    known_to(next, |(address, _)| drop(gate.admit_socket(address)));
    gauge.plain("doors/let a socket in, and go", || gate.admit_socket(next().0).is_ok());
}

/// All addresses were here before, several times.
fn known_to<T>(next: impl Fn() -> T, asked: impl Fn(T)) {
    (0..ADDRESSES * 10).for_each(|_| asked(next()));
}
