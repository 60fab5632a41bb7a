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

/// Frames being joined into one.
#[derive(Debug, Default)]
pub struct Joining {
    first: Option<Utf8Bytes>,
    joined: String,
    objects: usize,
}

impl Joining {
    /// Adds a frame; returns the batch before it when it does not fit in.
    pub fn add(&mut self, frame: Utf8Bytes) -> Option<Utf8Bytes> {
        let fits = self.objects < MAX_BATCH && self.bytes() + frame.len() < JOIN_BYTES;
        let full = if fits { None } else { self.end() };
        match self.first.take() {
            None if self.joined.is_empty() => self.first = Some(frame),
            first => {
                for text in first.iter().chain([&frame]) {
                    if !self.joined.is_empty() {
                        self.joined.push('\n');
                    }
                    self.joined.push_str(text.as_str());
                }
            }
        }
        self.objects += 1;
        full
    }

    fn bytes(&self) -> usize {
        self.first.as_ref().map_or(self.joined.len(), |first| first.len())
    }

    /// A single frame goes out as it is, shared with the other sessions.
    pub fn end(&mut self) -> Option<Utf8Bytes> {
        self.objects = 0;
        let joined = std::mem::take(&mut self.joined);
        self.first.take().or_else(|| (!joined.is_empty()).then(|| joined.into()))
    }
}

/// Puts `frames` into `bytes` as they go over the wire, small neighbours joined.
pub(super) fn encode(frames: impl Iterator<Item = Utf8Bytes>, bytes: &mut Vec<u8>) {
    let mut joining = Joining::default();
    for frame in frames {
        if let Some(full) = joining.add(frame) {
            encode_one(&full, bytes);
        }
    }
    if let Some(last) = joining.end() {
        encode_one(&last, bytes);
    }
}

fn encode_one(frame: &Utf8Bytes, bytes: &mut Vec<u8>) {
    hot::FRAMES_SENT.increment(1);
    hot::SENT_BYTES.increment(frame.len() as u64);
    let header = FrameHeader { opcode: OpCode::Data(Data::Text), ..FrameHeader::default() };
    // Into memory; nothing there can fail.
    header.format(frame.len() as u64, bytes).ok();
    bytes.extend_from_slice(frame.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(frames: Vec<String>) -> Vec<String> {
        let mut joining = Joining::default();
        let mut out: Vec<_> = frames.into_iter().filter_map(|frame| joining.add(frame.into())).collect();
        out.extend(joining.end());
        out.iter().map(|frame| frame.as_str().to_owned()).collect()
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
    }

    #[test]
    fn nothing_is_nothing() {
        assert!(batches(Vec::new()).is_empty());
    }
}
