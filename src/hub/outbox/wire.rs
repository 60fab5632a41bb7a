//! The write half of a session's plain socket, for the two who write to it: the session's own task, and the flusher while
//! that task sleeps.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{io::AsyncWrite as _, net::tcp::OwnedWriteHalf, time::Instant};

use super::{FLUSHED_BYTES, Outbox, Stage, joining, wake};

/// A write half, and what of the flusher's bytes the system has not taken yet: they go before any others.
#[derive(Debug)]
pub(super) struct Wire {
    half: Option<OwnedWriteHalf>,
    rest: Box<[u8]>,
    /// The session's task is in the middle of a frame.
    is_cut: bool,
    /// When the flusher last wrote.
    flushed_at: Option<Instant>,
}

impl Wire {
    pub(super) fn new(half: OwnedWriteHalf) -> Self {
        Self { half: Some(half), rest: Box::new([]), is_cut: false, flushed_at: None }
    }

    /// For the session's task: writes some of `bytes`, after the rest of the flusher's.
    pub(super) fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_rest(context))?;
        let written = ready!(self.poll_half(context, bytes))?;
        self.is_cut = written < bytes.len();
        Poll::Ready(Ok(written))
    }

    /// For the session's task: writes the rest of the flusher's bytes.
    pub(super) fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            let written = self.poll_half(context, &rest);
            let taken = if let Poll::Ready(Ok(taken)) = &written { *taken } else { 0 };
            self.rest = if taken == 0 { rest } else { rest.get(taken..).unwrap_or_default().into() };
            ready!(written)?;
        }
        Poll::Ready(Ok(()))
    }

    /// For the session's task: says that nothing more will be written.
    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.half.as_mut().map_or(Poll::Ready(Ok(())), |half| Pin::new(half).poll_shutdown(context))
    }

    fn poll_half(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(half) = &mut self.half else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        Pin::new(half).poll_write(context, bytes)
    }

    /// Whether the flusher may write now: not into the middle of something.
    pub(super) const fn is_free(&self) -> bool {
        self.rest.is_empty() && !self.is_cut
    }

    /// For the flusher: writes what the system takes of `bytes`, and keeps the rest. True when it took all.
    pub(super) fn write_now(&mut self, bytes: &[u8]) -> bool {
        // What went wrong the session's task finds when it writes the rest.
        let taken = self.half.as_ref().and_then(|half| half.try_write(bytes).ok()).unwrap_or(0);
        self.rest = bytes.get(taken..).unwrap_or_default().into();
        self.flushed_at = Some(Instant::now());
        self.rest.is_empty()
    }

    /// When the flusher last wrote.
    pub(super) const fn flushed_at(&self) -> Option<Instant> {
        self.flushed_at
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // The connection ends with its other half: this one need not say that nothing more comes.
        if let Some(half) = self.half.take() {
            half.forget();
        }
    }
}

/// The socket's write half, where there is one for others than the session's task.
impl Outbox {
    /// From now on the flusher may write while the session's task sleeps, and that task writes by way of this.
    pub fn attach(&self, half: OwnedWriteHalf) {
        *self.wire.lock() = Some(Box::new(Wire::new(half)));
        self.shelves.lock().has_wire = true;
    }

    /// The connection ends.
    pub fn detach(&self) {
        self.shelves.lock().has_wire = false;
        *self.wire.lock() = None;
    }

    /// For the session's task, as [`tokio::io::AsyncWrite::poll_write`].
    pub fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with_wire(|wire| wire.poll_write(context, bytes))
    }

    /// For the session's task, as [`tokio::io::AsyncWrite::poll_flush`]: afterwards nothing that the flusher wrote is left.
    pub fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with_wire(|wire| wire.poll_rest(context))
    }

    /// For the session's task, as [`tokio::io::AsyncWrite::poll_shutdown`].
    pub fn poll_shutdown(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with_wire(|wire| wire.poll_shutdown(context))
    }

    fn with_wire<T>(&self, act: impl FnOnce(&mut Wire) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.wire.lock().as_mut().map_or_else(|| Poll::Ready(Err(io::ErrorKind::NotConnected.into())), |wire| act(wire))
    }

    /// When the flusher last wrote.
    pub fn flushed_at(&self) -> Option<Instant> {
        self.wire.lock().as_ref().and_then(|wire| wire.flushed_at())
    }

    /// For the flusher: writes everything, as far as the system takes it at once, with `bytes` for room. What it can't do is
    /// left to the session's task.
    pub(in crate::hub) fn write_out(&self, bytes: &mut Vec<u8>) {
        let mut wire = self.wire.lock();
        let mut shelves = self.shelves.lock();
        shelves.is_called = false;
        // The task woke up meanwhile and sees to it.
        if shelves.stage != Stage::Flusher {
            return;
        }
        // A state gave way to one that did not fit.
        if !shelves.holds_something() {
            shelves.stage = Stage::Sleeps;
            return;
        }
        let is_little = shelves.bytes <= FLUSHED_BYTES;
        let Some(wire) = wire.as_mut().filter(|wire| is_little && wire.is_free()) else { return wake(shelves) };
        shelves.stage = Stage::Sleeps;
        let mut batch = shelves.take();
        drop(shelves);
        bytes.clear();
        joining::encode(batch.in_order(), bytes);
        if !wire.write_now(bytes) {
            let mut shelves = self.shelves.lock();
            shelves.has_rest = true;
            shelves.delivering.extend(batch.delivering);
            wake(shelves);
        }
    }
}
