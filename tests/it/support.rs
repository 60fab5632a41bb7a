//! The words in which the stories are told: a server of one's own, and people who talk to it.
//!
//! Nothing here sleeps for luck: what is awaited is awaited by name, with a limit.

mod client;
mod collector;
mod http;
mod link;
mod people;
pub(crate) mod postgres;
pub(crate) mod raw;
mod redis;
mod server;
mod stream;

use std::{fmt::Display, future::Future, time::Duration};

pub(crate) use self::{
    client::{Client, assignment, entries_of, message, seqs_of, texts_of},
    collector::{Collector, Recorded},
    http::{Answer, Request},
    link::Link,
    people::{Agent, PASSWORD, Project},
    redis::Redis,
    server::{Server, Setup, open_database, sqlite},
    stream::{Stream, certificate, certificate_for, own_address, tls_client},
};

/// How long anything that is awaited may take. Long, because a loaded machine is slow; a test that passes never waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The page that the project of every server lists.
pub(crate) const SHOP: &str = "https://shop.example";

/// What `future` gives, in time.
pub(crate) async fn within<T>(what: impl Display, future: impl Future<Output = T>) -> T {
    let timed = tokio::time::timeout(PATIENCE, future).await;
    timed.unwrap_or_else(|late| panic!("{what}: {late}, not within {PATIENCE:?}"))
}

/// Asks again until `look` finds something: for what has no event to wait for.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: impl Display, mut look: impl FnMut() -> F) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(what, looking).await
}

/// A key or name that nobody used before.
pub(crate) fn fresh() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
