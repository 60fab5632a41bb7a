//! The way up: from the bus through the hub into outboxes, and sessions that come and go there.

use std::{cell::Cell, net::Ipv4Addr, sync::Arc};

use deskbell::{
    bus::{Bus, Message, Topic},
    clock::Clock,
    domain::{AgentRef, Conversation, Entry, Lane, Who},
    hub::{
        Arrival, Hub, Stay, Subject,
        outbox::{Outbox, OutboxLimits, StateOf},
    },
    ids::{AgentId, SessionId},
};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{Gauge, MESSAGE_BYTES, Store, conversation, entry};

/// More than ever waits here.
const LIMITS: OutboxLimits = OutboxLimits { frames: 1_024, bytes: 1 << 20, bytes_limit: "outbox_agent_bytes" };

pub(super) fn all(gauge: &mut impl Gauge) {
    outbox(gauge);
    let store = Store::open();
    let bus = Bus::local();
    let hub = Hub::start(store.log.clone(), bus.clone(), Clock::system(), store.tasks.clone());
    for (name, count) in [("1 outbox", 1), ("10 outboxes", 10), ("1,000 outboxes", 1_000)] {
        fan_out(gauge, (&hub, &bus), name, count);
    }
    coming_and_going(gauge, &hub);
}

fn outbox(gauge: &mut impl Gauge) {
    let (outbox, frame) = (Outbox::new(LIMITS), Utf8Bytes::from("x".repeat(400)));
    gauge.plain("delivery/put a frame out and take it", || {
        outbox.push(frame.clone());
        outbox.take()
    });
    let heads = [(); 100].map(|()| (StateOf::Head(uuid::Uuid::new_v4(), (1, 1)), frame.clone()));
    gauge.plain("delivery/put 100 states out and take them", || {
        outbox.set_all(&heads);
        outbox.take()
    });
    let of = StateOf::Head(uuid::Uuid::nil(), (1, 1));
    gauge.plain("delivery/put a state out and take it", || {
        outbox.set(of, frame.clone());
        outbox.take()
    });
}

/// An agent's session in the hub.
fn enter(hub: &Arc<Hub>, head: &Conversation) -> Stay {
    hub.enter(Arrival {
        project: head.project,
        session: SessionId::generate(),
        key: "k1".into(),
        subject: Subject::Agent(AgentRef { id: AgentId::generate(), name: "Grace".to_owned() }),
        address: Ipv4Addr::LOCALHOST.into(),
        limits: LIMITS,
    })
}

/// It has everything until now, and hears what comes.
fn watch(hub: &Arc<Hub>, stay: &Stay, head: &Conversation) {
    hub.subscribe(stay, head.id, Lane::Thread);
    hub.go_on(stay, (head.id, Lane::Thread), &head.epoch, head.seq);
}

fn fan_out(gauge: &mut impl Gauge, (hub, bus): (&Arc<Hub>, &Bus), name: &str, count: usize) {
    let head = conversation();
    let stays: Vec<Stay> = (0..count).map(|_| enter(hub, &head)).collect();
    for stay in &stays {
        watch(hub, stay, &head);
    }
    let (first, seq) = (entry(&head, MESSAGE_BYTES), Cell::new(head.seq));
    let said = || {
        seq.set(seq.get() + 1);
        let entry = Entry { seq: seq.get(), ..first.clone() };
        Message::Entries { epoch: head.epoch.clone(), entries: vec![Arc::new(entry)] }
    };
    gauge.prepared(&format!("delivery/an entry into {name}, and out"), said, |message| {
        bus.publish(Topic::Thread(head.id), message);
        let taken: usize = stays.iter().map(|stay| stay.outbox.take().frames.len()).sum();
        assert_eq!(taken, count, "each has it");
    });
    let read = || {
        seq.set(seq.get() + 1);
        Message::Read { conversation: head.id, by: Who::Visitor(head.visitor), seq: seq.get() }
    };
    gauge.prepared(&format!("delivery/a mark into {name}, and out"), read, |message| {
        bus.publish(Topic::Thread(head.id), message);
        let taken: usize = stays.iter().map(|stay| stay.outbox.take().states.len()).sum();
        assert_eq!(taken, count, "each has it");
    });
}

fn coming_and_going(gauge: &mut impl Gauge, hub: &Arc<Hub>) {
    let head = conversation();
    let there: Vec<Stay> = (0..1_000).map(|_| enter(hub, &conversation())).collect();
    gauge.plain("delivery/enter among 1,000, watch and leave", || {
        let stay = enter(hub, &head);
        watch(hub, &stay, &head);
    });
    watch(hub, &there[0], &head);
    gauge.plain("delivery/does it hear a conversation", || hub.hears(&there[0], head.id));
    gauge.plain("delivery/count a project's sessions", || hub.count_of(head.project));
}
