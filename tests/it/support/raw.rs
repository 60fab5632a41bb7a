//! Frames as bytes, for what no WebSocket library would send.

/// The head of a masked frame: its first byte, and the length that it claims.
pub(crate) fn head(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first, 0x80 | 127];
    bytes.extend(length.to_be_bytes());
    bytes.extend([0; 4]);
    bytes
}

/// A masked frame; the mask is zero, so the payload stands as it is.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = head(first, payload.len() as u64);
    bytes.extend(payload);
    bytes
}

pub(crate) const TEXT: u8 = 0x81;
pub(crate) const TEXT_TO_BE_CONTINUED: u8 = 0x01;
/// The last fragment of a text.
pub(crate) const LAST: u8 = 0x80;
pub(crate) const CONTINUED: u8 = 0x00;
pub(crate) const PING: u8 = 0x89;
