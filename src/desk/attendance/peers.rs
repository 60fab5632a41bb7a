//! The other nodes that serve a project, as far as was heard of them.

use std::collections::{HashMap, HashSet};

use crate::{
    bus::Standing,
    clock::Millis,
    ids::{AgentId, NodeId},
};

/// How long a node of which nothing is heard still counts: it speaks every [`super::TELL_EVERY_MS`], so two words may be lost.
pub(super) const LEASE_MS: Millis = 15_000;
/// How long after this node heard nobody it waits before it says of anybody that he is gone: by then all have spoken.
const LISTEN_AGAIN_MS: Millis = 20_000;

/// The nodes, and whether they can be heard at all.
#[derive(Debug)]
pub(super) struct Peers {
    own: NodeId,
    nodes: HashMap<NodeId, Peer>,
    is_deaf: bool,
    /// One of them may be dead, or not heard.
    is_unsure: bool,
    /// When this node was last deaf.
    heard_again_at: Option<Millis>,
}

#[derive(Debug)]
struct Peer {
    /// The number of its last word: what comes late is left out.
    number: u64,
    heard_at: Millis,
    /// It said that it stops. Remembered until its lease ends, so that what comes late does not bring it back.
    said_bye: bool,
    agents: HashSet<AgentId>,
    visitors: u32,
}

impl Peers {
    pub(super) fn new(own: NodeId) -> Self {
        Self { own, nodes: HashMap::new(), is_deaf: false, is_unsure: false, heard_again_at: None }
    }

    /// Whether an agent has a session on another node.
    pub(super) fn have(&self, agent: AgentId) -> bool {
        self.nodes.values().any(|peer| peer.agents.contains(&agent))
    }

    /// How many visitors other nodes have.
    pub(super) fn visitors(&self) -> u32 {
        self.nodes.values().map(|peer| peer.visitors).fold(0, u32::saturating_add)
    }

    /// How a node stands. Returns the agents that were there and are on no other node now.
    pub(super) fn stands(&mut self, node: NodeId, standing: &Standing, now: Millis) -> Vec<AgentId> {
        let peer = self.nodes.entry(node).or_insert_with(|| Peer {
            number: 0,
            heard_at: now,
            said_bye: false,
            agents: HashSet::new(),
            visitors: 0,
        });
        if peer.said_bye || standing.number <= peer.number {
            return Vec::new();
        }
        (peer.number, peer.heard_at, peer.visitors) = (standing.number, now, standing.visitors);
        let here = standing.agents.iter().filter(|agent| agent.is_here).map(|agent| agent.agent).collect();
        let before = std::mem::replace(&mut peer.agents, here);
        self.nowhere(before)
    }

    /// A node stops. Returns as [`Peers::stands`].
    pub(super) fn bye(&mut self, node: NodeId) -> Vec<AgentId> {
        let Some(peer) = self.nodes.get_mut(&node) else { return Vec::new() };
        peer.said_bye = true;
        peer.visitors = 0;
        let before = std::mem::take(&mut peer.agents);
        self.nowhere(before)
    }

    /// Ends the leases of those of which nothing was heard; none while that may be this node's own fault. Returns the nodes,
    /// and as [`Peers::stands`].
    pub(super) fn expire(&mut self, now: Millis) -> (Vec<NodeId>, Vec<AgentId>) {
        if !self.hears(now) {
            return (Vec::new(), Vec::new());
        }
        let is_over = |peer: &Peer| now - peer.heard_at >= LEASE_MS;
        let over: Vec<_> = self.nodes.iter().filter(|(_, peer)| is_over(peer)).map(|(node, _)| *node).collect();
        let before: HashSet<_> =
            over.iter().filter_map(|node| self.nodes.remove(node)).flat_map(|peer| peer.agents).collect();
        (over, self.nowhere(before))
    }

    /// Whether other nodes are heard: none of them, or perhaps not all.
    pub(super) const fn listen(&mut self, is_deaf: bool, is_unsure: bool, now: Millis) {
        self.is_unsure = is_deaf || is_unsure;
        if self.is_deaf && !is_deaf {
            self.heard_again_at = Some(now);
        }
        self.is_deaf = is_deaf;
    }

    /// Other nodes are not heard now.
    pub(super) const fn is_deaf(&self) -> bool {
        self.is_deaf
    }

    /// Whether this node may say of somebody that he is on no node: it has heard all of them for long enough.
    pub(super) fn hears(&self, now: Millis) -> bool {
        !self.is_deaf && self.heard_again_at.is_none_or(|at| now - at >= LISTEN_AGAIN_MS)
    }

    /// Whether it is this node that moves the line. While not all are heard each does, for the one that did may be dead: the
    /// log lets nobody have too much.
    pub(super) fn leads(&self) -> bool {
        self.is_unsure || self.nodes.iter().all(|(node, peer)| peer.said_bye || *node > self.own)
    }

    fn nowhere(&self, agents: HashSet<AgentId>) -> Vec<AgentId> {
        agents.into_iter().filter(|agent| !self.have(*agent)).collect()
    }
}
