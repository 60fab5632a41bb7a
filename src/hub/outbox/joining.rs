//! Small frames joined into one, and frames as bytes: what sessions and the flusher write.

use tokio_tungstenite::tungstenite::{
    Utf8Bytes,
    protocol::frame::{
        FrameHeader,
        coding::{Data, OpCode},
    },
};

use crate::{protocol::MAX_BATCH, telemetry::hot};

/// Up to this size, small frames are joined into one batch: a browser wakes once instead of sixteen times.
const JOIN_BYTES: usize = 16 * 1_024;

/// Neighbours that go out as one frame.
#[derive(Debug)]
struct Joined {
    first: Utf8Bytes,
    /// Each goes behind a newline.
    rest: Vec<Utf8Bytes>,
    bytes: usize,
}

impl Joined {
    fn of(first: Utf8Bytes) -> Self {
        let bytes = first.len();
        Self { first, rest: Vec::new(), bytes }
    }

    fn has_room_for(&self, frame: &Utf8Bytes) -> bool {
        self.rest.len() + 1 < MAX_BATCH && self.bytes + frame.len() < JOIN_BYTES
    }

    fn add(&mut self, frame: Utf8Bytes) {
        self.bytes += 1 + frame.len();
        self.rest.push(frame);
    }

    /// As one frame. A single one is as it was, shared with other sessions.
    fn into_frame(self) -> Utf8Bytes {
        if self.rest.is_empty() {
            return self.first;
        }
        let mut joined = String::with_capacity(self.bytes);
        joined.push_str(&self.first);
        for frame in &self.rest {
            joined.push('\n');
            joined.push_str(frame);
        }
        joined.into()
    }

    /// Puts it into `bytes` as it goes over the wire.
    fn write(&self, bytes: &mut Vec<u8>) {
        hot::FRAMES_SENT.increment(1);
        hot::SENT_BYTES.increment(self.bytes as u64);
        let header = FrameHeader { opcode: OpCode::Data(Data::Text), ..FrameHeader::default() };
        // Into memory; nothing there can fail.
        header.format(self.bytes as u64, bytes).ok();
        bytes.extend_from_slice(self.first.as_bytes());
        for frame in &self.rest {
            bytes.push(b'\n');
            bytes.extend_from_slice(frame.as_bytes());
        }
    }
}

/// `frames` with small neighbours joined.
fn join(frames: impl Iterator<Item = Utf8Bytes>) -> impl Iterator<Item = Joined> {
    let mut frames = frames.peekable();
    std::iter::from_fn(move || {
        let mut joined = Joined::of(frames.next()?);
        while let Some(frame) = frames.next_if(|frame| joined.has_room_for(frame)) {
            joined.add(frame);
        }
        Some(joined)
    })
}

/// `frames` with small neighbours joined into one.
pub fn joined(frames: impl Iterator<Item = Utf8Bytes>) -> impl Iterator<Item = Utf8Bytes> {
    join(frames).map(Joined::into_frame)
}

/// Puts `frames` into `bytes` as they go over the wire, small neighbours joined.
pub(super) fn encode(frames: impl Iterator<Item = Utf8Bytes>, bytes: &mut Vec<u8>) {
    join(frames).for_each(|joined| joined.write(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(frames: Vec<String>) -> Vec<String> {
        let frames: Vec<Utf8Bytes> = frames.into_iter().map(Utf8Bytes::from).collect();
        let out: Vec<_> = joined(frames.clone().into_iter()).map(|frame| frame.as_str().to_owned()).collect();
        let mut bytes = Vec::new();
        encode(frames.into_iter(), &mut bytes);
        assert_eq!(bytes, out.iter().flat_map(|text| over_the_wire(text)).collect::<Vec<_>>());
        out
    }

    /// A text frame of RFC 6455, as a server sends it.
    fn over_the_wire(text: &str) -> Vec<u8> {
        let mut bytes = match u16::try_from(text.len()) {
            Ok(short) if short < 126 => vec![0x81, u8::try_from(short).unwrap()],
            Ok(medium) => [&[0x81, 126], &medium.to_be_bytes()[..]].concat(),
            Err(_) => [&[0x81, 127], &(text.len() as u64).to_be_bytes()[..]].concat(),
        };
        bytes.extend(text.bytes());
        bytes
    }

    #[test]
    fn small_frames_are_joined_in_order_sixteen_at_most() {
        let frames: Vec<_> = (0..40).map(|n| n.to_string()).collect();
        let out = batches(frames.clone());
        assert_eq!(out.len(), 3);
        assert_eq!(out.join("\n").split('\n').collect::<Vec<_>>(), frames);
    }

    #[test]
    fn a_large_frame_stays_alone() {
        let out = batches(vec!["a".to_owned(), "x".repeat(JOIN_BYTES), "b".to_owned(), "c".to_owned()]);
        assert_eq!(out.iter().map(String::len).collect::<Vec<_>>(), vec![1, JOIN_BYTES, 3]);
        let out = batches(vec!["x".repeat(70_000)]);
        assert_eq!(out.iter().map(String::len).collect::<Vec<_>>(), vec![70_000]);
    }

    #[test]
    fn nothing_is_nothing() {
        assert!(batches(Vec::new()).is_empty());
    }
}
