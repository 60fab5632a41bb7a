//! A wire between two programs that can be held, one way or both, and cut: what a network does when it fails.
//!
//! Held, it takes no bytes in that direction and ends no connection: each end sees what it would see of packets that get
//! lost. Whatever was held arrives when the wire is let go, as TCP would send it again.

use std::{io, net::SocketAddr, path::PathBuf};

use anyhow::{Context as _, Result};
use deskbell::tasks::Tasks;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
};

/// Where a wire leads.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From whoever dialled to whoever is dialled.
    There,
    /// And the other way.
    Back,
}

/// What every connection of a wire looks at.
#[derive(Clone, Debug)]
struct State {
    there: watch::Receiver<bool>,
    back: watch::Receiver<bool>,
    cuts: watch::Receiver<u64>,
}

/// Listens on a port of its own and leads to one end.
pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    there: watch::Sender<bool>,
    back: watch::Sender<bool>,
    cuts: watch::Sender<u64>,
    tasks: Tasks,
}

impl Wire {
    /// A wire to `end`, which need not be there yet.
    pub(crate) async fn to(end: End) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("failed to find a free port")?;
        let address = listener.local_addr()?;
        let ((there, there_seen), (back, back_seen), (cuts, cuts_seen)) =
            (watch::channel(false), watch::channel(false), watch::channel(0));
        let state = State { there: there_seen, back: back_seen, cuts: cuts_seen };
        let (tasks, connections) = (Tasks::new(), Tasks::new());
        let stop = tasks.clone();
        tasks.spawn(async move {
            loop {
                let stream = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = stop.stopped() => return,
                };
                if let Ok((stream, _)) = stream {
                    connections.spawn(carry(stream, end.clone(), state.clone()));
                }
            }
        });
        Ok(Self { address, there, back, cuts, tasks })
    }

    /// Lets nothing through in this direction from now on.
    pub(crate) fn hold(&self, way: Way) {
        self.set(way, true);
    }

    /// Lets everything through again.
    pub(crate) fn release(&self) {
        self.set(Way::There, false);
        self.set(Way::Back, false);
    }

    fn set(&self, way: Way, held: bool) {
        match way {
            Way::There => self.there.send_replace(held),
            Way::Back => self.back.send_replace(held),
        };
    }

    /// Ends every connection that there is.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.cut();
        self.tasks.stop();
    }
}

async fn carry(near: TcpStream, end: End, state: State) {
    // A wire to nothing ends at once, as a refused connection does.
    drop(near.set_nodelay(true));
    let mut cuts = state.cuts.clone();
    cuts.mark_unchanged();
    let connection = async {
        match end {
            End::Tcp(address) => {
                let far = TcpStream::connect(address).await?;
                far.set_nodelay(true)?;
                join(near, far, state).await
            }
            End::Unix(path) => join(near, UnixStream::connect(path).await?, state).await,
        }
    };
    tokio::select! {
        _ = connection => {}
        _ = cuts.changed() => {}
    }
}

async fn join(near: TcpStream, far: impl AsyncRead + AsyncWrite, state: State) -> io::Result<()> {
    let ((near_in, near_out), (far_in, far_out)) = (tokio::io::split(near), tokio::io::split(far));
    tokio::select! {
        done = copy(near_in, far_out, state.there) => done,
        done = copy(far_in, near_out, state.back) => done,
    }
}

/// Carries bytes one way until that end hangs up.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut held: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        // The wire itself is gone when nobody can hold it any more.
        if held.wait_for(|held| !held).await.is_err() {
            return Ok(());
        }
        to.write_all(&buffer[..count]).await?;
        to.flush().await?;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// An echo behind a wire, and a connection through it.
    async fn echo() -> (Wire, TcpStream, Tasks) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let end = End::Tcp(listener.local_addr().unwrap());
        let tasks = Tasks::new();
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (mut from, mut to) = stream.split();
                drop(tokio::io::copy(&mut from, &mut to).await);
            }
        });
        let wire = Wire::to(end).await.unwrap();
        let stream = TcpStream::connect(wire.address).await.unwrap();
        (wire, stream, tasks)
    }

    async fn hears(stream: &mut TcpStream) -> bool {
        tokio::time::timeout(Duration::from_millis(200), stream.read_u8()).await.is_ok_and(|read| read.is_ok())
    }

    #[tokio::test]
    async fn what_is_held_comes_when_it_is_let_go() {
        for way in [Way::There, Way::Back] {
            let (wire, mut stream, _tasks) = echo().await;
            stream.write_u8(1).await.unwrap();
            assert!(hears(&mut stream).await);
            wire.hold(way);
            stream.write_u8(2).await.unwrap();
            assert!(!hears(&mut stream).await, "{way:?}");
            wire.release();
            assert_eq!(stream.read_u8().await.unwrap(), 2, "late, and not lost");
        }
    }

    #[tokio::test]
    async fn a_cut_ends_connections_and_new_ones_go_through() {
        let (wire, mut stream, _tasks) = echo().await;
        stream.write_u8(1).await.unwrap();
        assert!(hears(&mut stream).await);
        wire.cut();
        assert!(stream.read_u8().await.is_err());
        let mut again = TcpStream::connect(wire.address).await.unwrap();
        again.write_u8(3).await.unwrap();
        assert_eq!(again.read_u8().await.unwrap(), 3);
    }
}
