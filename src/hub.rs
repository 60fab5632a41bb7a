//! The way up: what the bus says, brought to every session of this node that is entitled to it.
//!
//! The hub encodes each thing once and puts it into outboxes; it never waits for a session. Where an entry is missing, it
//! reads the log. It does not know the desk: the two meet in the bus.

mod channel;
mod checking;
mod flusher;
mod heads;
mod inboxes;
pub mod outbox;
mod presence;
mod viewing;

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::Utf8Bytes;

pub use self::presence::{Member, Subject};
use self::{
    channel::{Channel, Gap},
    checking::Checks,
    flusher::Flusher,
    heads::Heads,
    inboxes::Inboxes,
    outbox::{Outbox, OutboxLimits, StateOf},
    presence::Presence,
    viewing::Viewers,
};
use crate::{
    bus::{Bus, Message, Revocation, Source, Topic},
    clock::Clock,
    domain::{Entry, Lane, Who},
    ids::{ConversationId, ProjectId, SessionId},
    log::Log,
    protocol::{
        RESUME_ENTRIES,
        close::CloseCode,
        server::{self, AgentCount, ServerFrame},
    },
    tasks::Tasks,
    telemetry::hot,
};

/// How many holes are filled from the log at a time.
const REPAIRS: usize = 16;

/// The sessions of this node and what they listen to. Shared by all.
#[derive(Debug)]
pub struct Hub {
    presence: Presence,
    heads: Heads,
    checks: Checks,
    inboxes: Inboxes,
    viewers: Viewers,
    flusher: Arc<Flusher>,
    /// Who may read the log to fill a hole: after an outage all listeners may have one.
    repairs: Semaphore,
    log: Log,
    bus: Bus,
    clock: Clock,
    tasks: Tasks,
}

/// A new session's particulars.
#[derive(Debug)]
pub struct Arrival {
    /// The project it belongs to.
    pub project: ProjectId,
    /// The token's session.
    pub session: SessionId,
    /// The key that signed the token.
    pub key: Arc<str>,
    /// Who.
    pub subject: Subject,
    /// Where from.
    pub address: IpAddr,
    /// How much it may be behind.
    pub limits: OutboxLimits,
}

/// A session's stay in the hub: taken out of everything when this is dropped, also by a panic.
#[derive(Debug)]
pub struct Stay {
    hub: Arc<Hub>,
    member: Arc<Member>,
}

impl std::ops::Deref for Stay {
    type Target = Arc<Member>;
    fn deref(&self) -> &Self::Target {
        &self.member
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.hub.leave(&self.member);
    }
}

impl Hub {
    /// A hub that listens to `bus` and repairs holes from `log`.
    pub fn start(log: Log, bus: Bus, clock: Clock, tasks: Tasks) -> Arc<Self> {
        let hub = Arc::new(Self {
            presence: Presence::default(),
            heads: Heads::default(),
            checks: Checks::default(),
            inboxes: Inboxes::default(),
            viewers: Viewers::default(),
            flusher: Flusher::start(&tasks),
            repairs: Semaphore::new(REPAIRS),
            log,
            bus,
            clock,
            tasks,
        });
        let sink = Arc::clone(&hub);
        hub.bus.attach(Arc::new(move |topic, message, source| sink.receive(&topic, message, source)));
        if hub.bus.is_shared() {
            hub.check_in_background();
        }
        hub
    }

    /// Lets a session in. It listens to its subject's own topic from now on.
    pub fn enter(self: &Arc<Self>, arrival: Arrival) -> Stay {
        let member = Arc::new(Member {
            number: self.presence.number(),
            project: arrival.project,
            token: Mutex::new((arrival.session, arrival.key)),
            subject: arrival.subject,
            address: arrival.address,
            outbox: Outbox::new(arrival.limits),
            flusher: Arc::clone(&self.flusher),
            topics: Mutex::default(),
            opened: Mutex::new(Some(BTreeSet::new())),
        });
        self.presence.insert(&member);
        metrics::gauge!("deskbell_sessions", "kind" => kind(&member)).increment(1);
        self.listen(&member, own_topic(&member));
        if member.is_agent() {
            self.listen(&member, Topic::Staff(member.project));
        }
        Stay { hub: Arc::clone(self), member }
    }

    /// Adds a session to a topic without a sequence. Again for one that is in: nothing.
    pub fn listen(&self, member: &Arc<Member>, topic: Topic) {
        if self.join(topic, |channel| channel.join_new(member, 0)) {
            member.topics.lock().push(topic);
        }
    }

    /// Adds a session to a lane. Entries are held for it until [`Hub::go_on`] says what it has.
    ///
    /// A visitor's session can't be added to a desk lane: the answer is false, and nothing happens.
    pub fn subscribe(&self, member: &Arc<Member>, conversation: ConversationId, lane: Lane) -> bool {
        if lane == Lane::Desk && !member.is_agent() {
            return false;
        }
        let topic = lane_topic(conversation, lane);
        self.join(topic, |channel| channel.join(member));
        let mut topics = member.topics.lock();
        if !topics.contains(&topic) {
            topics.push(topic);
        }
        drop(topics);
        if lane == Lane::Desk {
            self.views(conversation, true);
        }
        true
    }

    /// The answer to a session's `connect` holds the conversations in `known`. Returns those of its own that were opened
    /// meanwhile, to be added to it; if there are none, new ones are brought to the session from now on.
    pub fn greeted(&self, member: &Member, known: &[ConversationId]) -> Vec<ConversationId> {
        let mut opened = member.opened.lock();
        let new = opened.iter().flatten().filter(|conversation| !known.contains(conversation)).copied().collect();
        *opened = if Vec::is_empty(&new) { None } else { Some(BTreeSet::new()) };
        new
    }

    /// The session has everything of the lane up to `last` (it was read from the log): live entries follow.
    pub fn go_on(self: &Arc<Self>, member: &Member, lane: (ConversationId, Lane), epoch: &str, last: u64) {
        let topic = lane_topic(lane.0, lane.1);
        let Some(channel) = self.presence.channel(&topic) else { return };
        let gap = channel.lock().go_on(member.number, last);
        if let Some(gap) = gap {
            self.repair(lane, epoch, gap);
        }
    }

    /// Takes a session out of both lanes of a conversation.
    pub fn unsubscribe(&self, member: &Member, conversation: ConversationId) {
        for lane in [Lane::Thread, Lane::Desk] {
            let topic = lane_topic(conversation, lane);
            member.topics.lock().retain(|known| *known != topic);
            self.part(member, &topic);
        }
    }

    /// Whether a session listens to a conversation's thread.
    pub fn hears(&self, member: &Member, conversation: ConversationId) -> bool {
        member.topics.lock().contains(&Topic::Thread(conversation))
    }

    /// How many visitors' and agents' sessions this node holds.
    pub fn count(&self) -> (usize, usize) {
        self.presence.count()
    }

    /// How many sessions of `project` this node holds.
    pub fn count_of(&self, project: ProjectId) -> usize {
        self.presence.count_of(project)
    }

    /// How many sessions the same subject holds on this node.
    pub fn count_like(&self, member: &Member) -> usize {
        self.presence.channel(&own_topic(member)).map_or(0, |channel| channel.lock().len())
    }

    /// How many bytes wait to be written to all sessions of this node together.
    pub fn outbox_bytes(&self) -> usize {
        self.presence.total(|member| member.outbox.bytes())
    }

    /// Lets somebody join a topic; its first listener makes that other nodes are heard on it.
    fn join<T>(&self, topic: Topic, join: impl FnOnce(&mut Channel) -> T) -> T {
        self.presence.join(topic, |channel| {
            let is_first = channel.is_empty();
            let joined = join(channel);
            // Under the channel's lock, so that what is wanted changes in the order of coming and going.
            if is_first && !channel.is_empty() {
                self.bus.want(topic);
            }
            joined
        })
    }

    fn leave(&self, member: &Member) {
        self.presence.remove(member);
        metrics::gauge!("deskbell_sessions", "kind" => kind(member)).decrement(1);
        let topics = std::mem::take(&mut *member.topics.lock());
        for topic in &topics {
            self.part(member, topic);
        }
    }

    fn part(&self, member: &Member, topic: &Topic) {
        let Some(channel) = self.presence.channel(topic) else { return };
        let mut listeners = channel.lock();
        let left = listeners.leave(member.number);
        if left && listeners.is_empty() {
            self.bus.unwant(*topic);
        }
        drop(listeners);
        drop(channel);
        self.presence.prune(topic);
        if let (true, Topic::Desk(conversation)) = (left, topic) {
            self.views(*conversation, false);
        }
    }

    /// What the bus says. Called in the order of publication; must not block.
    fn receive(self: &Arc<Self>, topic: &Topic, message: &Message, source: Source) {
        hot::BUS_RECEIVES.increment(1);
        match message {
            Message::Entries { epoch, entries } => self.receive_entries(topic, epoch, entries),
            Message::Head(head) => self.receive_head(head, source),
            Message::Read { conversation, by, seq } => {
                let update = server::ReadUpdate { conversation: *conversation, by: *by, seq: *seq };
                let of = StateOf::Read(conversation.as_uuid(), who_uuid(*by), *seq);
                self.set(topic, of, &ServerFrame::Read(update), |_| false);
            }
            Message::Delivered { conversation, by, seq } => {
                let update = server::DeliveredUpdate { conversation: *conversation, by: *by, seq: *seq };
                let of = StateOf::Delivered(conversation.as_uuid(), who_uuid(*by), *seq);
                self.set(topic, of, &ServerFrame::Delivered(update), |member| member.is(*by));
            }
            Message::Typing { conversation, by, on, text } => {
                let update = server::TypingUpdate { conversation: *conversation, by: *by, on: *on, text: text.clone() };
                let of = StateOf::Typing(conversation.as_uuid(), who_uuid(*by));
                self.set(topic, of, &ServerFrame::Typing(update), |member| member.is(*by));
            }
            Message::AgentPresence { agent, status, load, capacity } => {
                let (agent, status, load, capacity) = (*agent, *status, *load, Some(*capacity));
                let frame = ServerFrame::Presence(server::Presence::Agent { agent, status, load, capacity });
                self.set(topic, StateOf::Presence(Some(agent.as_uuid())), &frame, |_| false);
            }
            Message::Queue { conversation, queue } => {
                let update = server::QueueUpdate { conversation: *conversation, queue: *queue };
                self.set(topic, StateOf::Queue(conversation.as_uuid()), &ServerFrame::Queue(update), |_| false);
            }
            Message::AgentsOnline { online } => self.tell_visitors(topic, *online),
            Message::Opened { conversation } => self.join_opened(topic, *conversation),
            Message::Moved { conversation } => self.part_moved(topic, *conversation),
            Message::Notice { level, text } => self.notify(topic, server::Notice { level: *level, text: text.clone() }),
            Message::Revoked(revocation) => self.revoke(revocation),
            Message::Missed => {
                self.check(topic);
                self.ask_viewing(topic);
            }
            Message::Viewing { agents, asks } => self.receive_viewing(topic, agents, *asks, source),
            Message::Gone(node) => self.forget_viewers(*node),
            // What nodes say among themselves.
            Message::Told | Message::Hello | Message::Standing(_) | Message::Pages(_) | Message::Bye => {}
        }
    }

    fn receive_entries(self: &Arc<Self>, topic: &Topic, epoch: &str, entries: &[Arc<Entry>]) {
        let (Some(channel), Some(lane)) = (self.presence.channel(topic), lane_of(topic)) else { return };
        let mut gaps = Vec::new();
        let mut listeners = channel.lock();
        for entry in entries {
            gaps.extend(listeners.deliver(entry.seq, &encode_entry(entry, epoch)));
        }
        drop(listeners);
        for gap in gaps {
            self.repair(lane, epoch, gap);
        }
    }

    fn set(&self, topic: &Topic, of: StateOf, frame: &ServerFrame, except: impl Fn(&Member) -> bool) {
        if let Some(channel) = self.presence.channel(topic) {
            channel.lock().set(of, &frame.encode().into(), except);
        }
    }

    fn set_all(&self, topic: &Topic, states: &[(StateOf, Utf8Bytes)]) {
        let members = self.presence.channel(topic).map(|channel| channel.lock().members());
        for member in members.unwrap_or_default() {
            member.set_all(states);
        }
    }

    fn notify(&self, topic: &Topic, notice: server::Notice) {
        let frame: Utf8Bytes = ServerFrame::Notice(notice).encode().into();
        if let Some(channel) = self.presence.channel(topic) {
            for member in channel.lock().members() {
                member.push(frame.clone());
            }
        }
    }

    /// A visitor opened a conversation in one of its sessions: all of them hear it from its first entry.
    fn join_opened(&self, topic: &Topic, conversation: ConversationId) {
        let Some(own) = self.presence.channel(topic) else { return };
        let members = own.lock().members();
        let thread = Topic::Thread(conversation);
        let mut is_news = false;
        for member in members {
            if let Some(opened) = member.opened.lock().as_mut() {
                opened.insert(conversation);
                continue;
            }
            if self.join(thread, |channel| channel.join_new(&member, 0)) {
                member.topics.lock().push(thread);
                is_news = true;
            }
            if !self.presence.contains(member.number) {
                // It left after it was copied: nobody would take it out again.
                self.part(&member, &thread);
            }
        }
        if is_news && self.bus.is_shared() {
            // What was said in it may have come before: by another channel, for somebody else who listens to it here.
            self.check(&thread);
        }
    }

    /// A conversation is another visitor's now: this one's sessions hear no more of it.
    fn part_moved(&self, topic: &Topic, conversation: ConversationId) {
        let Some(own) = self.presence.channel(topic) else { return };
        let members = own.lock().members();
        for member in members {
            self.unsubscribe(&member, conversation);
        }
    }

    fn tell_visitors(&self, topic: &Topic, online: u32) {
        let Topic::Lobby(project) = *topic else { return };
        let presence = server::Presence::Agents { agents: AgentCount { online } };
        let frame: Utf8Bytes = ServerFrame::Presence(presence).encode().into();
        for member in self.presence.members(|member| member.project == project && !member.is_agent()) {
            member.set(StateOf::Presence(None), frame.clone());
        }
    }

    fn revoke(&self, revocation: &Revocation) {
        let is_meant = |member: &Member| match revocation {
            Revocation::Session(session) => member.session() == *session,
            Revocation::Agent(agent) => member.agent() == Some(*agent),
            Revocation::Visitor(project, visitor) => {
                member.project == *project && member.subject == Subject::Visitor(*visitor)
            }
            Revocation::Key(key) => member.holds_token_of(key),
        };
        let code = match revocation {
            Revocation::Session(_) | Revocation::Agent(_) => CloseCode::Unauthorized,
            Revocation::Visitor(..) => CloseCode::Banned,
            // Who holds nothing else than a token of that key gets no new one; all others do, and come back.
            Revocation::Key(_) => CloseCode::TokenExpired,
        };
        for member in self.presence.members(is_meant) {
            member.outbox.end(code);
        }
    }

    /// Fills a listener's hole from the log, in the background. Further behind than a resume reaches: it starts over.
    fn repair(self: &Arc<Self>, lane: (ConversationId, Lane), epoch: &str, gap: Gap) {
        metrics::counter!("deskbell_gaps_repaired_total").increment(1);
        let (hub, epoch) = (Arc::clone(self), epoch.to_owned());
        self.tasks.spawn(async move {
            let Some(entries) = hub.read_missed(lane, &gap).await else { return };
            if entries.len() as u64 >= RESUME_ENTRIES {
                return gap.member.outbox.end(CloseCode::Resync);
            }
            let mut last = gap.last;
            for entry in &entries {
                gap.member.push(encode_entry(entry, &epoch));
                last = entry.seq;
            }
            hub.go_on(&gap.member, lane, &epoch, last);
        });
    }
}

impl Hub {
    /// What the log has after a gap's last entry; asked until it answers, or the listener is gone.
    async fn read_missed(&self, lane: (ConversationId, Lane), gap: &Gap) -> Option<Vec<Entry>> {
        while self.presence.contains(gap.member.number) && !self.tasks.is_stopping() {
            let turn = self.repairs.acquire().await.ok()?;
            match self.log.read_after(lane.0, lane.1, gap.last, RESUME_ENTRIES).await {
                Ok(entries) => return Some(entries),
                Err(error) => tracing::debug!(%error, "a hole can't be filled now; tried again"),
            }
            drop(turn);
            tokio::time::sleep(checking::RETRY).await;
        }
        None
    }
}

/// The word for a session's kind in metrics.
const fn kind(member: &Member) -> &'static str {
    if member.is_agent() { "agent" } else { "visitor" }
}

/// The topic that brings a session what is for its subject alone.
fn own_topic(member: &Member) -> Topic {
    match &member.subject {
        Subject::Visitor(visitor) => Topic::Visitor(member.project, *visitor),
        Subject::Agent(agent) => Topic::Agent(member.project, agent.id),
    }
}

const fn lane_topic(conversation: ConversationId, lane: Lane) -> Topic {
    match lane {
        Lane::Thread => Topic::Thread(conversation),
        Lane::Desk => Topic::Desk(conversation),
    }
}

const fn lane_of(topic: &Topic) -> Option<(ConversationId, Lane)> {
    match topic {
        Topic::Thread(conversation) => Some((*conversation, Lane::Thread)),
        Topic::Desk(conversation) => Some((*conversation, Lane::Desk)),
        _ => None,
    }
}

fn encode_entry(entry: &Entry, epoch: &str) -> Utf8Bytes {
    server::encode_entry(entry, epoch).into()
}

const fn who_uuid(who: Who) -> uuid::Uuid {
    match who {
        Who::Visitor(id) => id.as_uuid(),
        Who::Agent(id) => id.as_uuid(),
    }
}
