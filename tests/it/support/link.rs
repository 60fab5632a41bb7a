//! A link between a client and the server that a test can break.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::{Client, Server, Stream};

/// How a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Whole,
    /// Nothing passes, and nobody is told.
    Silent,
    /// Reset, on both sides.
    Cut,
}

/// A link to one server. Gone when dropped.
pub(crate) struct Link {
    address: SocketAddr,
    state: watch::Sender<State>,
    _carriers: JoinSet<()>,
}

impl Link {
    pub(crate) async fn to(server: &Server) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, there) = (listener.local_addr().unwrap(), server.address);
        let (state, seen) = watch::channel(State::Whole);
        let mut carriers = JoinSet::new();
        carriers.spawn(async move {
            let mut carried = JoinSet::new();
            while let Ok((here, _)) = listener.accept().await {
                carried.spawn(carry(here, there, seen.clone()));
            }
        });
        Self { address, state, _carriers: carriers }
    }

    /// A session by this token, over this link.
    pub(crate) async fn join(&self, token: &str) -> Client {
        let stream = Stream::dial(self.address, None).await.unwrap();
        let mut client = Client::over(stream, self.address, None).await.unwrap();
        client.connect(token, serde_json::json!([])).await;
        client
    }

    /// Cuts every connection; both ends are told so by a reset.
    pub(crate) fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// From now on nothing passes, as when a cable is pulled: neither end is told.
    pub(crate) fn falls_silent(&self) {
        self.state.send_replace(State::Silent);
    }
}

async fn carry(mut here: TcpStream, there: SocketAddr, mut state: watch::Receiver<State>) {
    let mut there = TcpStream::connect(there).await.unwrap();
    tokio::select! {
        biased;
        // A sender that is gone ends the test, and with it this.
        _ = state.wait_for(|state| *state != State::Whole) => {}
        _ = copy_bidirectional(&mut here, &mut there) => return,
    }
    drop(state.wait_for(|state| *state == State::Cut).await);
    for end in [here, there] {
        end.set_zero_linger().unwrap();
    }
}
