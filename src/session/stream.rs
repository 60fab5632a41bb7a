//! What a session runs over: a plain connection, to which the hub may write while the session's task sleeps, or one with TLS,
//! to which only the task can.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use tokio_rustls::server::TlsStream;

use crate::hub::Member;

/// A connection after its WebSocket handshake.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Lets what is put out for `member` be written by others, too, if that can be.
    fn share(&mut self, member: &Arc<Member>);

    /// Whether a read brings all that has come as far as there is room, so that after it only the system holds any more.
    const HOLDS_NOTHING_BACK: bool;

    /// Ready when a read may find something or the connection's end, after one that had to wait, or after any where nothing is
    /// held back; else whoever asks is woken then.
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()>;
}

impl Stream for Box<TlsStream<TcpStream>> {
    /// What was decrypted waits in here for the next read.
    const HOLDS_NOTHING_BACK: bool = false;

    /// What is written has to be encrypted in its turn.
    fn share(&mut self, _: &Arc<Member>) {}

    /// After a read that had to wait nothing is left that was decrypted.
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.get_ref().0.poll_read_ready(context).map(drop)
    }
}

/// What the simulation has for a connection.
#[cfg(feature = "fault-injection")]
impl Stream for tokio::io::DuplexStream {
    const HOLDS_NOTHING_BACK: bool = true;

    fn share(&mut self, _: &Arc<Member>) {}

    fn poll_readable(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// A connection without TLS.
#[derive(Debug)]
pub struct Plain {
    read: OwnedReadHalf,
    write: Write,
}

#[derive(Debug)]
enum Write {
    Own(OwnedWriteHalf),
    /// By way of the member's outbox.
    Shared(Arc<Member>),
}

impl From<TcpStream> for Plain {
    fn from(stream: TcpStream) -> Self {
        let (read, write) = stream.into_split();
        Self { read, write: Write::Own(write) }
    }
}

impl Stream for Plain {
    const HOLDS_NOTHING_BACK: bool = true;

    fn share(&mut self, member: &Arc<Member>) {
        if let Write::Own(half) = std::mem::replace(&mut self.write, Write::Shared(Arc::clone(member))) {
            member.outbox.attach(half);
        }
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.read.as_ref().poll_read_ready(context).map(drop)
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        if let Write::Shared(member) = &self.write {
            member.outbox.detach();
        }
    }
}

impl AsyncRead for Plain {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().read).poll_read(context, buffer)
    }
}

impl AsyncWrite for Plain {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().write {
            Write::Own(half) => Pin::new(half).poll_write(context, bytes),
            Write::Shared(member) => member.outbox.poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().write {
            Write::Own(half) => Pin::new(half).poll_flush(context),
            Write::Shared(member) => member.outbox.poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().write {
            Write::Own(half) => Pin::new(half).poll_shutdown(context),
            Write::Shared(member) => member.outbox.poll_shutdown(context),
        }
    }
}
