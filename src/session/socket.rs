//! The WebSocket of one session: frames in, batches out, and an ending that the client gets to see.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message, Utf8Bytes,
        error::CapacityError,
        protocol::{CloseFrame, Role, WebSocketConfig},
    },
};

use super::{
    meter::{Meter, TOO_MANY_FRAGMENTS},
    stream::Stream,
};
use crate::{
    config::Limits,
    hub::{Member, outbox::joining::joined},
    protocol::{
        MAX_OUTBOUND_BYTES,
        close::{BAD_UTF8, CloseCode, MESSAGE_TOO_BIG, PROTOCOL_ERROR},
    },
    telemetry::{hot, refused},
};

/// Read buffer of a socket: two small frames; it grows where one is larger. The library's default of 128 KiB would cost 130 KB a
/// session.
const READ_BUFFER: usize = 512;
/// Bytes that gather before they are written without a flush.
const WRITE_BUFFER: usize = 4 * 1_024;
/// Most bytes that wait in the library: the largest frame and its neighbours. Its default has no end.
const MAX_WRITE_BUFFER: usize = MAX_OUTBOUND_BYTES + 64 * 1_024;
/// How long the client has to take the closing frame.
const LINGER: Duration = Duration::from_secs(1);
/// What is read and thrown away meanwhile, so that the system does not reset the connection before the client read why.
const LINGER_BYTES: usize = 1024 * 1024;

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// For a reason of the protocol's table.
    Code(CloseCode),
    /// For a reason of RFC 6455: too big, or against the rules.
    Standard(u16, &'static str),
    /// The client is gone.
    Gone,
}

impl Ending {
    /// For logs and metrics.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Code(code) => code.reason(),
            Self::Standard(_, reason) => reason,
            Self::Gone => "gone",
        }
    }

    const fn code(self) -> Option<u16> {
        match self {
            Self::Code(code) => Some(code.code()),
            Self::Standard(code, _) => Some(code),
            Self::Gone => None,
        }
    }
}

/// What came in.
#[derive(Debug)]
pub(super) enum Inbound {
    /// A text frame.
    Text(Utf8Bytes),
    /// A ping or pong of the WebSocket protocol. The library answers.
    Control,
}

/// The socket of one session.
#[derive(Debug)]
pub(super) struct Socket<S> {
    stream: WebSocketStream<Meter<S>>,
    write_timeout: Duration,
    /// Frames for which the library has no room until the client has taken some.
    waiting: VecDeque<Utf8Bytes>,
    /// Something was put in that was not written yet.
    is_unwritten: bool,
    /// The library has no frame: there is one again only after something came in.
    is_read_empty: bool,
    /// A ping was answered; the answer may not be written.
    owes_pong: bool,
}

impl<S: Stream> Socket<S> {
    /// A socket over `stream` after its handshake; `leftover` was read behind the request.
    pub(super) async fn new(stream: S, leftover: Bytes, limits: &Limits) -> Result<Self, Ending> {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_write_buffer_size(MAX_WRITE_BUFFER)
            .max_message_size(Some(limits.frame_bytes))
            .max_frame_size(Some(limits.frame_bytes));
        let mut meter = Meter::new(stream, limits.fragments);
        meter.count(&leftover).map_err(|_| Ending::Gone)?;
        // A copy: `leftover` is mostly empty, but would bring the 8 KiB that the request was read into along for good.
        let leftover = leftover.to_vec();
        let stream = WebSocketStream::from_partially_read(meter, leftover, Role::Server, Some(config)).await;
        let write_timeout = Duration::from_millis(limits.write_timeout_ms);
        Ok(Self {
            stream,
            write_timeout,
            waiting: VecDeque::new(),
            is_unwritten: false,
            is_read_empty: false,
            owes_pong: false,
        })
    }

    /// Lets what is put out for `member` be written by others, too, where that can be.
    pub(super) fn share(&mut self, member: &Arc<Member>) {
        self.stream.get_mut().get_mut().share(member);
        // The library is asked once more, and lets go of the task that greeted.
        self.is_read_empty = false;
    }

    /// Something is to be written that is not in here.
    pub(super) const fn has_rest(&mut self) {
        self.is_unwritten = true;
    }

    /// The next frame, or why there is none. Cancel-safe.
    pub(super) async fn receive(&mut self) -> Result<Inbound, Ending> {
        match poll_fn(|wake| self.poll_next(wake)).await {
            Some(Ok(Message::Text(text))) => {
                hot::FRAMES_RECEIVED.increment(1);
                hot::RECEIVED_BYTES.increment(text.len() as u64);
                Ok(Inbound::Text(text))
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(Inbound::Control),
            Some(Ok(Message::Binary(_))) => Err(Ending::Code(CloseCode::BadProtocol)),
            Some(Ok(Message::Close(_))) | None => Err(Ending::Gone),
            Some(Err(error)) => Err(ending_of(&error)),
        }
    }

    /// The library clears room and looks at what it has each time that it is asked, which is whenever the session's task wakes: not
    /// while nothing has come in.
    fn poll_next(&mut self, wake: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        if self.owes_pong {
            // What goes wrong is found by who reads or writes next.
            self.owes_pong = self.stream.poll_flush_unpin(wake).is_pending();
        }
        if self.is_read_empty {
            ready!(self.stream.get_ref().get_ref().poll_readable(wake));
        }
        let next = self.stream.poll_next_unpin(wake);
        let meter = self.stream.get_mut();
        self.is_read_empty = match &next {
            Poll::Pending => {
                meter.was_looked_at();
                true
            }
            Poll::Ready(message) => {
                meter.take_message();
                self.owes_pong |= matches!(message, Some(Ok(Message::Ping(_))));
                S::HOLDS_NOTHING_BACK && !meter.may_hold_something()
            }
        };
        next
    }

    /// Puts `frames` in, small neighbours joined. Nothing is waited for: they are written by the next
    /// [`Socket::poll_written`].
    pub(super) fn put(&mut self, frames: impl IntoIterator<Item = Utf8Bytes>) -> Result<(), Ending> {
        joined(frames.into_iter()).try_for_each(|frame| self.put_frame(frame))
    }

    fn put_frame(&mut self, frame: Utf8Bytes) -> Result<(), Ending> {
        hot::FRAMES_SENT.increment(1);
        hot::SENT_BYTES.increment(frame.len() as u64);
        self.is_unwritten = true;
        // Who writes comes back with a task to be woken; here nobody waits.
        let nobody = &mut Context::from_waker(Waker::noop());
        if self.waiting.is_empty()
            && self.stream.poll_ready_unpin(nobody).map_err(|error| ending_of(&error))?.is_ready()
        {
            return self.stream.start_send_unpin(Message::Text(frame)).map_err(|error| ending_of(&error));
        }
        self.waiting.push_back(frame);
        Ok(())
    }

    /// Whether something was put in that was not written yet.
    pub(super) const fn is_unwritten(&self) -> bool {
        self.is_unwritten
    }

    /// Writes all that was put in. Cancel-safe.
    pub(super) fn poll_written(&mut self, wake: &mut Context<'_>) -> Poll<Result<(), Ending>> {
        let written = ready!(self.poll_all(wake));
        self.is_unwritten = false;
        Poll::Ready(written.map_err(|error| ending_of(&error)))
    }

    fn poll_all(&mut self, wake: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.waiting.is_empty() {
            ready!(self.stream.poll_ready_unpin(wake))?;
            if let Some(frame) = self.waiting.pop_front() {
                self.stream.start_send_unpin(Message::Text(frame))?;
            }
        }
        if self.waiting.capacity() > 0 {
            self.waiting = VecDeque::new();
        }
        self.stream.poll_flush_unpin(wake)
    }

    /// Writes all that was put in, or gives up when the client takes nothing for too long.
    pub(super) async fn written(&mut self) -> Result<(), Ending> {
        let written = timeout(self.write_timeout, poll_fn(|wake| self.poll_written(wake))).await;
        written.unwrap_or_else(|_| {
            refused("write_timeout_ms");
            Err(Ending::Code(CloseCode::SlowConsumer))
        })
    }

    /// Tells the client why, waits a moment until it has read that, and closes the connection.
    pub(super) async fn close(mut self, ending: Ending) {
        if let Some(code) = ending.code() {
            let frame = CloseFrame { code: code.into(), reason: Utf8Bytes::from_static(ending.reason()) };
            if !matches!(timeout(LINGER, self.stream.close(Some(frame))).await, Ok(Ok(()))) {
                return;
            }
        } else {
            // Where the client closed first, the library holds the answer that RFC 6455 asks for.
            drop(timeout(LINGER, self.stream.flush()).await);
        }
        drop(timeout(LINGER, linger(self.stream.get_mut())).await);
    }
}

/// Ends our side and reads until the client ended its own.
async fn linger<S: Stream>(stream: &mut Meter<S>) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut thrown_away = [0_u8; 1_024];
    let mut total = 0;
    while let Ok(read @ 1..) = stream.read(&mut thrown_away).await {
        total += read;
        if total > LINGER_BYTES {
            return;
        }
    }
}

fn ending_of(error: &Error) -> Ending {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => {
            refused("frame_bytes");
            Ending::Standard(MESSAGE_TOO_BIG, "too_large")
        }
        Error::Utf8(_) => Ending::Standard(BAD_UTF8, "bad_utf8"),
        Error::Protocol(_) => Ending::Standard(PROTOCOL_ERROR, "protocol_error"),
        Error::WriteBufferFull(_) => Ending::Code(CloseCode::SlowConsumer),
        Error::Io(error) if error.to_string() == TOO_MANY_FRAGMENTS => {
            refused("fragments");
            Ending::Code(CloseCode::BadProtocol)
        }
        _ => Ending::Gone,
    }
}
