//! Counts what the WebSocket library does not: the fragments of one message.
//!
//! 200,000 empty fragments make no message, so no size limit ever sees them; here the seventeenth ends the connection. The
//! meter sits between the socket and the library and reads frame headers only (RFC 6455, section 5.2).

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The error text of a message in too many pieces.
pub(super) const TOO_MANY_FRAGMENTS: &str = "too many fragments";

/// A stream whose inbound frames are counted.
#[derive(Debug)]
pub(super) struct Meter<S> {
    stream: S,
    frames: Frames,
}

/// Where in a frame the next byte is.
#[derive(Debug)]
struct Frames {
    header: [u8; 14],
    /// Bytes of the header that are here.
    known: u8,
    /// Bytes of the payload that are still to come.
    payload: u64,
    fragments: usize,
    most: usize,
    /// Messages that were begun with their last frame, and not taken out by who reads; control frames count.
    untaken: usize,
    /// A fragment that is not the last was begun since who reads last found nothing: it may be against the rules.
    is_unlooked: bool,
}

impl<S> Meter<S> {
    pub(super) const fn new(stream: S, most_fragments: usize) -> Self {
        let frames = Frames {
            header: [0; 14],
            known: 0,
            payload: 0,
            fragments: 0,
            most: most_fragments,
            untaken: 0,
            is_unlooked: false,
        };
        Self { stream, frames }
    }

    pub(super) const fn get_ref(&self) -> &S {
        &self.stream
    }

    pub(super) const fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// One message was taken out.
    pub(super) const fn take_message(&mut self) {
        self.frames.untaken = self.frames.untaken.saturating_sub(1);
    }

    /// Who reads found no message in what came in.
    pub(super) const fn was_looked_at(&mut self) {
        self.frames.is_unlooked = false;
    }

    /// Whether some of what came in may be a message that was not taken out, or an error that was not found.
    pub(super) const fn may_hold_something(&self) -> bool {
        self.frames.untaken > 0 || self.frames.is_unlooked
    }

    /// The same count over bytes that were read before the meter was there.
    pub(super) fn count(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.frames.advance(bytes)
    }
}

impl Frames {
    fn advance(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some((first, rest)) = bytes.split_first() {
            if self.payload > 0 {
                let skipped = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
                self.payload -= skipped as u64;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            if let Some(byte) = self.header.get_mut(usize::from(self.known)) {
                *byte = *first;
            }
            self.known += 1;
            bytes = rest;
            if self.known >= 2 && self.known == self.header_length() {
                self.header_done()?;
            }
        }
        Ok(())
    }

    /// How long the present header is: 2 bytes, the extended length, and the mask that clients always send.
    const fn header_length(&self) -> u8 {
        let mask = if self.header[1] & 0x80 == 0 { 0 } else { 4 };
        mask + match self.header[1] & 0x7f {
            126 => 4,
            127 => 10,
            _ => 2,
        }
    }

    fn header_done(&mut self) -> io::Result<()> {
        let [first, second, extended @ ..] = self.header;
        self.payload = match second & 0x7f {
            126 => big_endian(extended.first_chunk::<2>()),
            127 => big_endian(extended.first_chunk::<8>()),
            short => short.into(),
        };
        self.known = 0;
        let (is_final, is_control) = (first & 0x80 != 0, first & 0x08 != 0);
        if is_control || is_final {
            self.untaken += 1;
        } else {
            self.is_unlooked = true;
        }
        if is_control {
            return Ok(());
        }
        self.fragments += 1;
        if self.fragments > self.most {
            return Err(io::Error::new(io::ErrorKind::InvalidData, TOO_MANY_FRAGMENTS));
        }
        if is_final {
            self.fragments = 0;
        }
        Ok(())
    }
}

fn big_endian<const N: usize>(bytes: Option<&[u8; N]>) -> u64 {
    bytes.into_iter().flatten().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

impl<S: AsyncRead + Unpin> AsyncRead for Meter<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => Poll::Ready(this.frames.advance(buffer.filled().get(before..).unwrap_or_default())),
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Meter<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A masked frame with `length` bytes of payload.
    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match u16::try_from(length) {
            Ok(short) if short < 126 => bytes.push(0x80 | u8::try_from(short).unwrap()),
            Ok(medium) => {
                bytes.push(0x80 | 0x7e);
                bytes.extend(medium.to_be_bytes());
            }
            Err(_) => {
                bytes.push(0x80 | 0x7f);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend([0; 4]);
        bytes.extend(vec![0xff; length]);
        bytes
    }

    fn accepts(bytes: &[u8], piece: usize) -> bool {
        let mut meter = Meter::new((), 16);
        bytes.chunks(piece).all(|piece| meter.count(piece).is_ok())
    }

    #[test]
    fn sixteen_fragments_pass_and_seventeen_do_not_however_they_arrive() {
        for length in [0, 5, 200, 70_000] {
            let mut bytes = frame(0x01, length);
            (0..14).for_each(|_| bytes.extend(frame(0x00, length)));
            let mut whole = bytes.clone();
            whole.extend(frame(0x80, length));
            whole.extend(frame(0x81, length));
            let mut broken = bytes;
            broken.extend([frame(0x00, length), frame(0x00, length)].concat());
            for piece in [1, 3, 1_000, usize::MAX] {
                assert!(accepts(&whole, piece));
                assert!(!accepts(&broken, piece));
            }
        }
    }

    #[test]
    fn what_was_not_taken_out_is_known() {
        let mut meter = Meter::new((), 16);
        assert!(!meter.may_hold_something());
        for bytes in [frame(0x01, 300), frame(0x00, 9)] {
            meter.count(&bytes).unwrap();
            assert!(meter.may_hold_something(), "an error");
            meter.was_looked_at();
            assert!(!meter.may_hold_something(), "the last fragment is missing");
        }
        let last = frame(0x80, 5);
        meter.count(&[&last[..], &frame(0x8a, 0), &frame(0x81, 70_000)].concat()).unwrap();
        for _ in 0..3 {
            assert!(meter.may_hold_something());
            meter.take_message();
        }
        assert!(!meter.may_hold_something());
    }

    #[test]
    fn control_frames_between_fragments_do_not_count() {
        let mut bytes = frame(0x01, 1);
        (0..100).for_each(|_| bytes.extend(frame(0x89, 3)));
        bytes.extend(frame(0x80, 1));
        assert!(accepts(&bytes, 7));
    }
}
