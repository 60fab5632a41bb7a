//! What stands between the buses of the nodes: every message waits until it is let through, in whatever order between
//! channels, twice, or never.
//!
//! It promises as little as Redis does. Who subscribes is told that he missed something once he is heard; who was cut off
//! notices after a while, loses what was on the way, and subscribes anew; who could not publish says so afterwards.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    sync::Arc,
};

use deskbell::{
    bus::{Bus, Health, Link, Local, Message, Source, Topic, channel::Channel},
    clock::Millis,
    ids::{NodeId, ProjectId},
};
use parking_lot::Mutex;

/// After how long a node notices that it hears nothing, not even itself.
const DEAF_AFTER_MS: Millis = 5_000;
/// After how long it notices that it does not hear another one.
const SILENT_AFTER_MS: Millis = 3_000;

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Arrives,
    ArrivesTwice,
    IsLost,
}

/// How a node hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hearing {
    Well,
    /// Nothing comes since then, and it has not noticed.
    Stalled(Millis),
    Deaf,
}

/// From one node to another, on one channel: what is said there keeps its order.
pub(super) type Way = (usize, usize, Channel);

#[derive(Default)]
pub(super) struct Network(Mutex<State>);

#[derive(Default)]
struct State {
    now: Millis,
    ends: BTreeMap<usize, End>,
    under_way: BTreeMap<Way, VecDeque<Vec<u8>>>,
    /// What was said since somebody asked.
    said: Vec<String>,
}

/// One node's connection.
struct End {
    id: NodeId,
    local: Arc<Local>,
    wanted: BTreeMap<Channel, u32>,
    subscribed: BTreeSet<Channel>,
    hearing: Hearing,
    /// Since when nothing that it says gets out.
    mute_since: Option<Millis>,
    /// Something that it said was lost, and it knows.
    lost: bool,
    /// It knows of another one that is silent.
    doubts: bool,
    is_dead: bool,
}

/// One node's bus puts what it says here.
struct Wire {
    network: Arc<Network>,
    node: usize,
}

impl Link for Wire {
    fn publish(&self, topic: Topic, message: Message) {
        self.network.0.lock().publish(self.node, topic, &message);
    }

    fn want(&self, topic: Topic) {
        *self.network.0.lock().end(self.node).wanted.entry(Channel::of(topic)).or_default() += 1;
    }

    fn unwant(&self, topic: Topic) {
        let (mut state, channel) = (self.network.0.lock(), Channel::of(topic));
        let wanted = &mut state.end(self.node).wanted;
        let count = wanted.get_mut(&channel).unwrap();
        *count -= 1;
        if *count == 0 {
            wanted.remove(&channel);
        }
    }

    fn wanted_projects(&self) -> HashSet<ProjectId> {
        let project = |channel: &Channel| match channel {
            Channel::Project(project) => Some(*project),
            _ => None,
        };
        self.network.0.lock().end(self.node).wanted.keys().filter_map(project).collect()
    }
}

impl State {
    fn end(&mut self, node: usize) -> &mut End {
        self.ends.get_mut(&node).unwrap()
    }

    fn publish(&mut self, from: usize, topic: Topic, message: &Message) {
        let channel = Channel::of(topic);
        self.said.push(format!("{from} says {topic:?} {}", kind(message)));
        if self.end(from).mute_since.is_some() {
            self.end(from).lost = true;
            return;
        }
        let letter = serde_json::to_vec(&(topic, message)).unwrap();
        for (to, end) in &self.ends {
            let hears = end.hearing != Hearing::Deaf && (channel == Channel::All || end.subscribed.contains(&channel));
            if *to != from && hears {
                self.under_way.entry((from, *to, channel)).or_default().push_back(letter.clone());
            }
        }
    }

    fn lose_what_is_under_way_to(&mut self, node: usize) {
        self.under_way.retain(|(_, to, _), _| *to != node);
    }
}

impl Network {
    /// The bus of a new node.
    pub(super) fn join(self: &Arc<Self>, node: usize) -> Bus {
        Bus::over(|id, local| {
            let end = End {
                id,
                local,
                wanted: BTreeMap::new(),
                subscribed: BTreeSet::new(),
                hearing: Hearing::Well,
                mute_since: None,
                lost: false,
                doubts: false,
                is_dead: false,
            };
            self.0.lock().ends.insert(node, end);
            Arc::new(Wire { network: Arc::clone(self), node })
        })
    }

    /// What was said since this was last asked, in order.
    pub(super) fn said(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().said)
    }

    /// Where something is under way to who hears.
    pub(super) fn ways(&self) -> Vec<Way> {
        let state = self.0.lock();
        let hears = |node: &usize| state.ends[node].hearing == Hearing::Well;
        state.under_way.keys().filter(|(_, to, _)| hears(to)).copied().collect()
    }

    /// The first message on `way` arrives, or not. What it was.
    pub(super) fn pass(&self, way: Way, fate: Fate) -> String {
        let mut state = self.0.lock();
        let queue = state.under_way.get_mut(&way).unwrap();
        let letter = queue.pop_front().unwrap();
        if queue.is_empty() {
            state.under_way.remove(&way);
        }
        let (source, local) = (Source::Node(state.ends[&way.0].id), Arc::clone(&state.ends[&way.1].local));
        drop(state);
        let (topic, message): (Topic, Message) = serde_json::from_slice(&letter).unwrap();
        let times = match fate {
            Fate::Arrives => 1,
            Fate::ArrivesTwice => 2,
            Fate::IsLost => 0,
        };
        for _ in 0..times {
            local.deliver(topic, &message, source);
        }
        format!("{topic:?} {}", kind(&message))
    }

    /// What is wanted and not subscribed to yet.
    pub(super) fn wishes(&self) -> Vec<(usize, Channel)> {
        let state = self.0.lock();
        let well = state.ends.iter().filter(|(_, end)| end.hearing == Hearing::Well);
        let new = |(node, end): (&usize, &End)| {
            let wanted = end.wanted.keys().filter(|channel| !end.subscribed.contains(channel));
            wanted.map(|channel| (*node, *channel)).collect::<Vec<_>>()
        };
        well.flat_map(new).collect()
    }

    /// A subscription is acknowledged: what is said from now on is heard.
    pub(super) fn subscribe(&self, (node, channel): (usize, Channel)) {
        let mut state = self.0.lock();
        let end = state.end(node);
        end.subscribed.insert(channel);
        let local = Arc::clone(&end.local);
        drop(state);
        channel.topic().into_iter().for_each(|topic| local.missed(topic));
    }

    /// Nobody wants these any more.
    pub(super) fn let_go(&self) {
        for end in self.0.lock().ends.values_mut() {
            end.subscribed.retain(|channel| end.wanted.contains_key(channel));
        }
    }

    /// Nothing that the node says gets out.
    pub(super) fn mute(&self, node: usize) {
        let mut state = self.0.lock();
        let now = state.now;
        state.end(node).mute_since.get_or_insert(now);
    }

    /// It is heard again, and says if something was lost.
    pub(super) fn unmute(&self, node: usize) {
        let mut state = self.0.lock();
        let end = state.end(node);
        if !end.is_dead && end.mute_since.take().is_some() && std::mem::take(&mut end.lost) {
            state.publish(node, Topic::Control, &Message::Missed);
        }
    }

    /// Nothing comes to the node. It is not lost, unless the node loses patience.
    pub(super) fn stall(&self, node: usize) {
        let mut state = self.0.lock();
        let now = state.now;
        let end = state.end(node);
        if end.hearing == Hearing::Well {
            end.hearing = Hearing::Stalled(now);
        }
    }

    /// The node's connection is cut, and it knows.
    pub(super) fn deafen(&self, node: usize) {
        let mut state = self.0.lock();
        let now = state.now;
        state.lose_what_is_under_way_to(node);
        let end = state.end(node);
        (end.hearing, end.doubts) = (Hearing::Deaf, false);
        end.subscribed.clear();
        let local = Arc::clone(&end.local);
        drop(state);
        local.set_health(Health::Deaf { since: now });
    }

    /// The node hears again.
    pub(super) fn hear(&self, node: usize) {
        let mut state = self.0.lock();
        let end = state.end(node);
        let was = std::mem::replace(&mut end.hearing, if end.is_dead { Hearing::Deaf } else { Hearing::Well });
        if was != Hearing::Deaf || end.is_dead {
            return;
        }
        end.subscribed = end.wanted.keys().copied().collect();
        let (local, missed) = (Arc::clone(&end.local), end.subscribed.clone());
        drop(state);
        for topic in missed.into_iter().filter_map(Channel::topic) {
            local.missed(topic);
        }
        local.set_health(Health::Listening);
    }

    /// The node is dead. Nobody is told.
    pub(super) fn kill(&self, node: usize) {
        self.mute(node);
        let mut state = self.0.lock();
        state.lose_what_is_under_way_to(node);
        let end = state.end(node);
        (end.is_dead, end.hearing) = (true, Hearing::Deaf);
    }

    /// Everything is well again.
    pub(super) fn heal(&self) {
        let nodes: Vec<usize> = self.0.lock().ends.keys().copied().collect();
        for node in nodes {
            self.unmute(node);
            self.hear(node);
        }
    }

    /// It is `now`: who hears nothing notices it.
    pub(super) fn passes_time(&self, now: Millis) {
        let mut state = self.0.lock();
        state.now = now;
        let is_over = |since: Millis, limit| now - since >= limit;
        let mutes = state.ends.iter().filter(|(_, end)| end.mute_since.is_some_and(|at| is_over(at, SILENT_AFTER_MS)));
        let mutes: BTreeSet<usize> = mutes.map(|(node, _)| *node).collect();
        let (mut deaf, mut news) = (Vec::new(), Vec::new());
        for (node, end) in &mut state.ends {
            let doubts = match end.hearing {
                Hearing::Deaf => continue,
                Hearing::Stalled(since) if is_over(since, DEAF_AFTER_MS) => {
                    deaf.push(*node);
                    continue;
                }
                Hearing::Stalled(since) => is_over(since, SILENT_AFTER_MS),
                Hearing::Well => mutes.iter().any(|mute| mute != node),
            };
            if std::mem::replace(&mut end.doubts, doubts) != doubts {
                news.push((Arc::clone(&end.local), if doubts { Health::Doubtful } else { Health::Listening }));
            }
        }
        drop(state);
        for (local, health) in news {
            local.set_health(health);
        }
        for node in deaf {
            self.deafen(node);
        }
    }
}

/// The word for a message's kind.
fn kind(message: &Message) -> String {
    let text = serde_json::to_value(message).unwrap();
    text["kind"].as_str().unwrap_or_default().to_owned()
}
