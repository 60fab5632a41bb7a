//! One node: the desk, the hub and the sessions that the server runs, over the simulated bus and a log whose questions wait.

use std::{net::Ipv4Addr, sync::Arc};

use bytes::Bytes;
use deskbell::{
    clock::Clock,
    config::Limits,
    desk::{
        Desk,
        accounts::{Accounts, Options},
    },
    hub::Hub,
    log::Log,
    pressure::{Pressure, Usage},
    session::{self, Context, Peer},
    tasks::Tasks,
};
use tokio::io::DuplexStream;
use tokio_util::sync::CancellationToken;

use super::{network::Network, rest::Questions};

/// How many bytes are on the way between a session and its client.
const WIRE_BYTES: usize = 64 * 1024;

pub(super) struct Node {
    pub(super) number: usize,
    context: Arc<Context>,
}

impl Node {
    pub(super) async fn start(
        number: usize,
        (log, clock, limits): (&Log, &Clock, &Arc<Limits>),
        network: &Arc<Network>,
        questions: &Arc<Questions>,
    ) -> Self {
        let (bus, tasks) = (network.join(number), Tasks::new());
        let options = Options { token_ttl_s: 3_600, own_origins: Vec::new(), limits: Arc::clone(limits) };
        // Who may come in is not what is simulated: it is read at once.
        let accounts = Accounts::open(log.clone(), bus.clone(), clock.clone(), options).await.unwrap();
        let log = log.clone().in_turns(questions.of(number));
        let hub = Hub::start(log.clone(), bus.clone(), clock.clone(), tasks.clone());
        // Nothing ever gets near a bound: what a node leaves out then is not simulated.
        let pressure = Arc::new(Pressure::new(Usage::bounds(limits, Usage::default())));
        let desk = Desk::start(log, bus, clock.clone(), tasks.clone(), limits, Arc::clone(&pressure));
        let context = Context {
            desk,
            hub,
            accounts: Arc::new(accounts),
            limits: Arc::clone(limits),
            greetings: Arc::new(session::line::Lines::new(limits)),
            pressure,
            clock: clock.clone(),
            tasks,
            drain: CancellationToken::new(),
        };
        Self { number, context: Arc::new(context) }
    }

    pub(super) fn accounts(&self) -> &Accounts {
        &self.context.accounts
    }

    /// A client's end of a new session's stream.
    pub(super) fn answer(&self) -> DuplexStream {
        let (theirs, ours) = tokio::io::duplex(WIRE_BYTES);
        let peer = Peer { address: Ipv4Addr::LOCALHOST.into(), origin: None };
        self.context.tasks.spawn(session::run(Arc::clone(&self.context), (ours, Bytes::new()), peer, ()));
        theirs
    }

    /// Ends what runs. What waits for an answer of the database waits for ever.
    pub(super) fn dies(self) {
        self.context.tasks.stop();
    }
}
