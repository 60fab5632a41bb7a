//! What goes through Redis: who says it, that it is one of us, and what.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version: 1 |
//! | 16 | the sending node |
//! | 32 | HMAC-SHA256 with the installation's secret, over all other bytes |
//! | 1 | kind: `s` said, `p` probe, `b` beat, `g` goodbye |
//! | rest | said: JSON of topic and message, of a trace's word where there is one; probe: its number, 8 bytes; beat and goodbye: nothing |
//!
//! A newer version and an unknown kind are skipped, so that two versions can run side by side while one replaces the other.

use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    bus::{Message, Topic},
    ids::NodeId,
};

const VERSION: u8 = 1;
const NODE: usize = 1;
const MAC: usize = NODE + 16;
const KIND: usize = MAC + 32;
const BODY: usize = KIND + 1;
const SAID: u8 = b's';
const PROBE: u8 = b'p';
const BEAT: u8 = b'b';
const GOODBYE: u8 = b'g';

/// Seals what this installation's nodes say to each other, and tells what is none of it.
#[derive(Clone)]
pub struct Seal {
    mac: Hmac<Sha256>,
    node: NodeId,
    /// What the names of all channels begin with.
    pub prefix: String,
}

/// What an envelope holds.
#[derive(Debug)]
pub enum Content {
    /// A message of another node.
    Said(Topic, Box<Message>, Option<Box<str>>),
    /// This node's own probe.
    Probe(u64),
    /// Another node is there.
    Beat,
    /// Another node stops.
    Goodbye,
}

/// Why an envelope is skipped; the words stand in a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// This node said it, and has heard itself.
    Own,
    /// A version that this one does not know.
    Newer,
    /// Not from a node of this installation.
    Forged,
    /// A kind of message that this version does not know.
    Unknown,
}

impl Skip {
    /// The word in the metric.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Newer => "newer",
            Self::Forged => "forged",
            Self::Unknown => "unknown",
        }
    }
}

#[derive(Serialize)]
struct Letter<'a> {
    topic: Topic,
    message: &'a Message,
    /// Where this belongs to a trace: what the other node's part of it goes on from.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<&'a str>,
}

#[derive(Deserialize)]
struct Opened {
    topic: Topic,
    message: Message,
    #[serde(default)]
    trace: Option<Box<str>>,
}

impl Seal {
    /// A seal with the installation's secret.
    pub fn new(secret: &[u8], node: NodeId) -> Option<Self> {
        let mac = Hmac::new_from_slice(secret).ok()?;
        let digest = Sha256::new().chain_update(b"deskbell channels").chain_update(secret).finalize();
        let deployment = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
        Some(Self { mac, node, prefix: format!("deskbell:{deployment:08x}:") })
    }

    /// The node that seals.
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// An envelope with a message.
    pub fn said(&self, topic: Topic, message: &Message, trace: Option<&str>) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = self.begun(SAID);
        serde_json::to_writer(&mut bytes, &Letter { topic, message, trace })?;
        self.sign(&mut bytes);
        Ok(bytes)
    }

    /// An envelope with a probe.
    pub fn probe(&self, number: u64) -> Vec<u8> {
        let mut bytes = self.begun(PROBE);
        bytes.extend_from_slice(&number.to_be_bytes());
        self.sign(&mut bytes);
        bytes
    }

    /// An envelope that says that this node is there.
    pub fn beat(&self) -> Vec<u8> {
        self.bare(BEAT)
    }

    /// An envelope that says that this node stops.
    pub fn goodbye(&self) -> Vec<u8> {
        self.bare(GOODBYE)
    }

    fn bare(&self, kind: u8) -> Vec<u8> {
        let mut bytes = self.begun(kind);
        self.sign(&mut bytes);
        bytes
    }

    fn begun(&self, kind: u8) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1_024);
        bytes.push(VERSION);
        bytes.extend_from_slice(self.node.as_uuid().as_bytes());
        bytes.extend_from_slice(&[0; 32]);
        bytes.push(kind);
        bytes
    }

    fn sign(&self, bytes: &mut [u8]) {
        let mac = self.mac_of(bytes).finalize().into_bytes();
        bytes[MAC..KIND].copy_from_slice(&mac);
    }

    fn mac_of(&self, bytes: &[u8]) -> Hmac<Sha256> {
        self.mac.clone().chain_update(&bytes[..MAC]).chain_update(&bytes[KIND..])
    }

    /// Whether this node says that it sent it: cheap, and enough to leave it aside.
    pub fn is_own_message(&self, bytes: &[u8]) -> bool {
        bytes.get(NODE..MAC) == Some(self.node.as_uuid().as_bytes().as_slice()) && bytes.get(KIND) == Some(&SAID)
    }

    /// Opens an envelope. Nothing of it is looked at before its seal, but the version.
    pub fn open(&self, bytes: &[u8]) -> Result<(NodeId, Content), Skip> {
        if bytes.first().is_some_and(|version| *version != VERSION) {
            return Err(Skip::Newer);
        }
        if bytes.len() < BODY || self.mac_of(bytes).verify_slice(&bytes[MAC..KIND]).is_err() {
            return Err(Skip::Forged);
        }
        let node = Uuid::from_slice(&bytes[NODE..MAC]).map(NodeId::from).map_err(|_| Skip::Forged)?;
        let body = &bytes[BODY..];
        let content = match (bytes[KIND], node == self.node) {
            (PROBE, true) => Content::Probe(u64::from_be_bytes(body.try_into().map_err(|_| Skip::Unknown)?)),
            (SAID | BEAT | GOODBYE, true) => return Err(Skip::Own),
            (SAID, false) => {
                let letter: Opened = serde_json::from_slice(body).map_err(|_| Skip::Unknown)?;
                Content::Said(letter.topic, Box::new(letter.message), letter.trace)
            }
            (BEAT, false) => Content::Beat,
            (GOODBYE, false) => Content::Goodbye,
            _ => return Err(Skip::Unknown),
        };
        Ok((node, content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ProjectId;

    fn seal(secret: u8) -> Seal {
        Seal::new(&[secret; 32], NodeId::generate()).unwrap()
    }

    fn sealed(by: &Seal) -> Vec<u8> {
        by.said(Topic::Lobby(ProjectId::generate()), &Message::AgentsOnline { online: 3 }, None).unwrap()
    }

    fn why(reader: &Seal, bytes: &[u8]) -> Option<Skip> {
        reader.open(bytes).err()
    }

    #[test]
    fn another_node_reads_what_was_said_and_the_same_one_leaves_it_aside() {
        let (one, other) = (seal(1), seal(1));
        let bytes = sealed(&one);
        let (node, content) = other.open(&bytes).unwrap();
        assert_eq!(node, one.node);
        assert!(
            matches!(content, Content::Said(Topic::Lobby(_), message, None) if *message == Message::AgentsOnline { online: 3 })
        );
        assert_eq!(why(&one, &bytes), Some(Skip::Own));
        assert!(one.is_own_message(&bytes) && !other.is_own_message(&bytes));
    }

    #[test]
    fn a_bit_that_was_changed_and_another_secret_are_seen() {
        let (one, other) = (seal(1), seal(1));
        let bytes = sealed(&one);
        for at in 1..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(why(&other, &changed), Some(Skip::Forged), "byte {at}");
        }
        assert_eq!(why(&seal(2), &bytes), Some(Skip::Forged));
        assert_eq!(why(&other, &bytes[..40]), Some(Skip::Forged));
        assert_eq!(why(&other, b""), Some(Skip::Forged));
    }

    #[test]
    fn what_a_newer_version_says_is_skipped() {
        let (one, other) = (seal(1), seal(1));
        let mut newer = sealed(&one);
        newer[0] = 2;
        assert_eq!(why(&other, &newer), Some(Skip::Newer));
        let mut kind = one.begun(b'z');
        one.sign(&mut kind);
        assert_eq!(why(&other, &kind), Some(Skip::Unknown));
        let mut message = one.begun(SAID);
        message.extend_from_slice(br#"{"topic":"control","message":{"kind":"not_yet_invented","body":{"a":1}}}"#);
        one.sign(&mut message);
        assert_eq!(why(&other, &message), Some(Skip::Unknown));
    }

    #[test]
    fn a_probe_counts_for_its_own_node_only() {
        let (one, other) = (seal(1), seal(1));
        let bytes = one.probe(7);
        assert!(matches!(one.open(&bytes), Ok((_, Content::Probe(7)))));
        assert_eq!(why(&other, &bytes), Some(Skip::Unknown));
    }
}
