//! Between bytes and meaning: the clients' frames, the server's, and what nodes say to each other.

use std::{hint::black_box, sync::Arc};

use deskbell::{
    bus::{Message, Topic, envelope::Seal},
    domain::Who,
    ids::{AgentId, EntryId, NodeId},
    protocol::{
        client::ClientFrame,
        server::{self, Head, InboxUpdate, ReadUpdate, Reply, ServerFrame, Written},
    },
};

use super::{Gauge, LONGEST, MESSAGE_BYTES, conversation, entry};

pub(super) fn all(gauge: &mut impl Gauge) {
    inbound(gauge);
    outbound(gauge);
    between_nodes(gauge);
}

fn inbound(gauge: &mut impl Gauge) {
    let id = conversation().id;
    let send = |text: &str| {
        let key = "0192f3a4-7b1c-7e11-9c5e-0a3d5f6b7c8d";
        format!(r#"{{"id":7,"type":"send","conversation":"{id}","key":"{key}","body":{{"text":"{text}"}}}}"#)
    };
    let (short, long) = (send(&"x".repeat(MESSAGE_BYTES)), send(&"x".repeat(LONGEST)));
    let escaped = send(&r"x\ny ".repeat(MESSAGE_BYTES / 5));
    let read = format!(r#"{{"id":8,"type":"read","conversation":"{id}","seq":1234}}"#);
    gauge.plain("frames/parse send, 128 bytes", || ClientFrame::parse(black_box(&short)).unwrap());
    gauge.plain("frames/parse send, 128 bytes with escapes", || ClientFrame::parse(black_box(&escaped)).unwrap());
    gauge.plain("frames/parse send, 8,000 bytes", || ClientFrame::parse(black_box(&long)).unwrap());
    gauge.plain("frames/parse read", || ClientFrame::parse(black_box(&read)).unwrap());
    let batch = [short.as_str(); 8].join("\n");
    gauge.plain("frames/parse eight sends in a frame", || {
        let lines = ClientFrame::lines(black_box(&batch)).unwrap();
        lines.filter(|line| ClientFrame::parse(line).is_ok()).count()
    });
}

fn outbound(gauge: &mut impl Gauge) {
    let head = conversation();
    gauge.plain("frames/encode ok of a send", || {
        let written = Written { seq: 1234, entry: EntryId::from(head.id.as_uuid()), at: head.at, duplicate: false };
        ServerFrame::Ok(server::Ok { id: 7, reply: Reply::Written(written) }).encode()
    });
    for (name, bytes) in [("128", MESSAGE_BYTES), ("8,000", LONGEST)] {
        let entry = entry(&head, bytes);
        gauge.plain(&format!("frames/encode entry, {name} bytes"), || server::encode_entry(black_box(&entry), "e1"));
    }
    gauge.plain("frames/encode read", || {
        let by = Who::Visitor(head.visitor);
        ServerFrame::Read(ReadUpdate { conversation: head.id, by, seq: 1234 }).encode()
    });
    gauge.plain("frames/encode head", || {
        ServerFrame::Inbox(InboxUpdate { conversation: Head::of(black_box(&head)) }).encode()
    });
}

fn between_nodes(gauge: &mut impl Gauge) {
    let head = conversation();
    let [here, there] = [NodeId::generate(), NodeId::generate()].map(|node| Seal::new(&[7; 32], node).unwrap());
    let entries = vec![Arc::new(entry(&head, MESSAGE_BYTES))];
    let by = Who::Agent(AgentId::generate());
    let said = [
        ("entry, 128 bytes", Topic::Thread(head.id), Message::Entries { epoch: head.epoch.clone(), entries }),
        ("head", Topic::Inbox(head.project), Message::Head(Arc::clone(&head))),
        ("read", Topic::Thread(head.id), Message::Read { conversation: head.id, by, seq: 1234 }),
    ];
    for (name, topic, message) in said {
        let envelope = here.said(topic, &message, None).unwrap();
        gauge.plain(&format!("frames/seal {name}"), || here.said(topic, black_box(&message), None).unwrap());
        gauge.plain(&format!("frames/open {name}"), || there.open(black_box(&envelope)).unwrap());
    }
}
