//! Which agents look at a conversation, on whatever node.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;

use super::{Hub, outbox::StateOf};
use crate::{
    bus::{Message, Source, Topic},
    domain::AgentRef,
    ids::{ConversationId, NodeId},
    protocol::server::{self, ServerFrame},
};

/// Those on other nodes, of conversations that somebody looks at here.
#[derive(Debug, Default)]
pub(super) struct Viewers(Mutex<HashMap<ConversationId, HashMap<NodeId, Vec<AgentRef>>>>);

impl Viewers {
    fn set(&self, conversation: ConversationId, node: NodeId, agents: &[AgentRef]) {
        let mut all = self.0.lock();
        let there = all.entry(conversation).or_default();
        if agents.is_empty() {
            there.remove(&node);
        } else {
            there.insert(node, agents.to_vec());
        }
        if there.is_empty() {
            all.remove(&conversation);
        }
    }

    fn of(&self, conversation: ConversationId) -> Vec<AgentRef> {
        self.0.lock().get(&conversation).map(|there| there.values().flatten().cloned().collect()).unwrap_or_default()
    }

    fn forget(&self, conversation: ConversationId) {
        self.0.lock().remove(&conversation);
    }

    /// Forgets a node; where somebody of it was.
    fn forget_node(&self, node: NodeId) -> Vec<ConversationId> {
        let mut all = self.0.lock();
        let concerned = all.iter_mut().filter_map(|(id, there)| there.remove(&node).map(|_| *id)).collect();
        all.retain(|_, there| !there.is_empty());
        concerned
    }
}

impl Hub {
    /// The agents that look at a conversation, by id.
    pub fn viewing(&self, conversation: ConversationId) -> Vec<AgentRef> {
        let all = self.viewing_here(conversation).into_iter().chain(self.viewers.of(conversation));
        all.map(|agent| (agent.id, agent)).collect::<BTreeMap<_, _>>().into_values().collect()
    }

    fn viewing_here(&self, conversation: ConversationId) -> Vec<AgentRef> {
        let channel = self.presence.channel(&Topic::Desk(conversation));
        channel.map(|channel| channel.lock().agents()).unwrap_or_default()
    }

    /// Somebody came to look at a conversation here, or went.
    pub(super) fn views(&self, conversation: ConversationId, came: bool) {
        self.tell_viewing(conversation);
        if self.bus.is_shared() {
            let agents = self.viewing_here(conversation);
            if agents.is_empty() {
                self.viewers.forget(conversation);
            }
            self.bus.publish(Topic::Desk(conversation), Message::Viewing { agents, asks: came });
        }
    }

    /// Who looks at it elsewhere was perhaps said before it was heard here.
    pub(super) fn ask_viewing(&self, topic: &Topic) {
        let Topic::Thread(conversation) = topic else { return };
        let agents = self.viewing_here(*conversation);
        if !agents.is_empty() {
            self.viewers.forget(*conversation);
            self.bus.publish(Topic::Desk(*conversation), Message::Viewing { agents, asks: true });
        }
    }

    /// What another node says of its agents.
    pub(super) fn receive_viewing(&self, topic: &Topic, agents: &[AgentRef], asks: bool, source: Source) {
        let (Topic::Desk(conversation), Source::Node(node)) = (topic, source) else { return };
        let here = self.viewing_here(*conversation);
        if here.is_empty() {
            return;
        }
        self.viewers.set(*conversation, node, agents);
        self.tell_viewing(*conversation);
        if asks {
            self.bus.publish(*topic, Message::Viewing { agents: here, asks: false });
        }
    }

    /// Another node is gone, with all who looked at something there.
    pub(super) fn forget_viewers(&self, node: NodeId) {
        for conversation in self.viewers.forget_node(node) {
            self.tell_viewing(conversation);
        }
    }

    fn tell_viewing(&self, conversation: ConversationId) {
        let topic = Topic::Desk(conversation);
        let frame = ServerFrame::Viewing(server::Viewing { conversation, agents: self.viewing(conversation) });
        self.set(&topic, StateOf::Viewing(conversation.as_uuid()), &frame, |_| false);
    }
}
