//! The wire, frozen: the exact bytes of every frame, and a round trip of arbitrary ones.
//!
//! A change of `snapshots/` is a change of the protocol: it may add, never alter. Old clients read it.

use std::collections::{BTreeMap, BTreeSet};

use deskbell::{
    domain::{
        AgentRef, AgentStatus, Author, Event, Key, Lane, MovedBy, NoticeLevel, Queue, Role, Status, Watermarks, Who,
    },
    ids::{AgentId, ConversationId, EntryId, ProjectId, SessionId, VisitorId},
    protocol::{
        client::{self, ClientFrame, Command},
        server::{self, Reply, ServerFrame},
    },
};
use proptest::prelude::*;
use uuid::Uuid;

fn id<T: From<Uuid>>(n: u128) -> T {
    T::from(Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0000 + n))
}

fn conversation() -> ConversationId {
    id(1)
}

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn grace() -> AgentRef {
    AgentRef { id: id(3), name: "Grace".to_owned() }
}

fn assign(key_text: &str, to: client::AssignTarget) -> Command {
    Command::Assign(client::Assign { conversation: conversation(), key: key(key_text), to })
}

fn commands() -> Vec<Command> {
    let body = || client::Body { text: "Hello".to_owned() };
    let page = || client::Page { url: "https://shop.example/cart".to_owned(), title: "Cart".to_owned() };
    let position = |lane| client::Position { conversation: conversation(), epoch: "k3".to_owned(), lane, seq: 41 };
    vec![
        Command::Connect(client::Connect {
            token: "t".to_owned(),
            client: Some(client::ClientInfo { name: "widget".to_owned(), version: "1.0.0".to_owned() }),
            resume: vec![position(Lane::Thread), position(Lane::Desk)],
        }),
        Command::Refresh(client::Refresh { token: "t".to_owned() }),
        Command::Pong(client::Pong {}),
        Command::Open(client::Open {
            key: key("k-1"),
            body: body(),
            fields: Some(BTreeMap::from([("email".to_owned(), "ada@example.org".to_owned())])),
            page: Some(page()),
        }),
        Command::Send(client::Send { conversation: conversation(), key: key("k-2"), body: body() }),
        Command::Note(client::Note { conversation: conversation(), key: key("k-3"), body: body() }),
        Command::Watch(client::Watch {
            conversation: conversation(),
            epoch: Some("k3".to_owned()),
            seq: Some(4),
            desk_seq: Some(2),
        }),
        Command::Unwatch(client::Unwatch { conversation: conversation() }),
        Command::History(client::History {
            conversation: conversation(),
            lane: Lane::Desk,
            before: Some(9),
            after: None,
            limit: 50,
        }),
        Command::Read(client::Read { conversation: conversation(), seq: 44 }),
        Command::Delivered(client::Delivered { conversation: conversation(), seq: 45 }),
        Command::Typing(client::Typing { conversation: conversation(), on: true, text: Some("draft".to_owned()) }),
        Command::Close(client::Close { conversation: conversation(), key: key("k-4") }),
        Command::Rate(client::Rate {
            conversation: conversation(),
            key: key("k-5"),
            score: 5,
            comment: Some("quick".to_owned()),
        }),
        Command::Page(client::PageView { page: page() }),
        Command::Inbox(client::Inbox {
            filter: client::InboxFilter {
                status: client::StatusFilter::Open,
                assignee: client::AssigneeFilter::Word(client::AssigneeWord::Me),
                visitor: Some("ada".to_owned()),
            },
            limit: 50,
            before: Some("cursor".to_owned()),
        }),
        Command::Availability(client::SetAvailability { status: client::Availability::Away }),
        assign("k-6", client::AssignTarget::Me(client::MeWord::Me)),
        assign("k-7", client::AssignTarget::Agent(id(3))),
        assign("k-8", client::AssignTarget::Nobody),
        Command::Ban(client::Ban { conversation: conversation(), on: true }),
    ]
}

fn events() -> Vec<(Author, Event)> {
    let visitor = || Author::Visitor { id: id(2), name: Some("Ada".to_owned()) };
    let agent = || Author::Agent { id: id(3), name: "Grace".to_owned() };
    let text = || "Hello".to_owned();
    let by = MovedBy::Agent(id(3));
    vec![
        (visitor(), Event::Message { text: text() }),
        (Author::System {}, Event::Joined { agent: grace() }),
        (agent(), Event::Left { agent: grace() }),
        (Author::Visitor { id: id(2), name: None }, Event::Closed {}),
        (visitor(), Event::Reopened {}),
        (visitor(), Event::Rated { score: 4, comment: None }),
        (agent(), Event::Note { text: text() }),
        (Author::System {}, Event::Assigned { to: id(3), by: MovedBy::ROUTING }),
        (agent(), Event::Unassigned { from: id(3), by }),
        (agent(), Event::Transferred { from: id(3), to: id(4), by }),
        (visitor(), Event::Page { url: "https://shop.example/".to_owned(), title: "Shop".to_owned() }),
        (agent(), Event::Banned {}),
        (agent(), Event::Unbanned {}),
    ]
}

fn entry(from: Author, event: Event) -> server::Entry {
    server::Entry {
        lane: event.lane(),
        conversation: conversation(),
        epoch: "k3".to_owned(),
        seq: 45,
        prev: 44,
        entry: id(5),
        at: 1_764_000_000_000,
        key: Some(key("k-2")),
        from,
        event,
    }
}

fn queue() -> Queue {
    Queue { position: 3, eta_ms: Some(90_000) }
}

fn head() -> server::Head {
    server::Head {
        conversation: conversation(),
        epoch: "k3".to_owned(),
        status: Status::Open,
        seq: 44,
        desk_seq: 7,
        visitor: server::VisitorName { id: id(2), name: Some("Ada".to_owned()) },
        assignee: None,
        waiting_since: Some(1_764_000_000_000),
        unread: 2,
        preview: "Hello".to_owned(),
        at: 1_764_000_000_000,
    }
}

fn connected(kind: server::SubjectKind) -> Reply {
    let is_agent = kind == server::SubjectKind::Agent;
    let colleague = server::Colleague {
        id: id(3),
        name: "Grace".to_owned(),
        role: Role::Owner,
        status: AgentStatus::Online,
        load: 3,
        capacity: 5,
    };
    let project = server::ProjectInfo { id: id(8), name: "Shop".to_owned(), public_key: "pk_1".to_owned() };
    Reply::Connected(Box::new(server::Connected {
        session: id(6),
        kind,
        subject: id::<VisitorId>(2).to_string(),
        name: Some("Ada".to_owned()),
        heartbeat_ms: 25_000,
        token_ttl_ms: 899_000,
        max_frame_bytes: 65_536,
        reconnect_window_ms: 5_000,
        conversations: vec![server::Resumed {
            conversation: conversation(),
            epoch: "k3".to_owned(),
            lane: if is_agent { Lane::Desk } else { Lane::Thread },
            seq: 44,
            status: Status::Open,
            resumed: true,
            entries: Vec::new(),
            read: Watermarks { visitor: 40, agent: 41 },
            delivered: Watermarks { visitor: 43, agent: 44 },
            assignee: Some(grace()),
            queue: Some(queue()),
        }],
        role: is_agent.then_some(Role::Owner),
        project: is_agent.then_some(project),
        agents: if is_agent {
            server::AgentsHere::List(vec![colleague])
        } else {
            server::AgentsHere::Count(server::AgentCount { online: 2 })
        },
    }))
}

fn watched() -> Reply {
    Reply::Watched(Box::new(server::Watched {
        conversation: conversation(),
        epoch: "k3".to_owned(),
        status: Status::Open,
        seq: 44,
        desk_seq: 7,
        resumed: false,
        entries: vec![entry(Author::System {}, Event::Joined { agent: grace() })],
        visitor: server::VisitorCard {
            id: id(2),
            name: Some("Ada".to_owned()),
            email: Some("ada@example.org".to_owned()),
            identified: true,
            fields: BTreeMap::from([("order".to_owned(), "1815".to_owned())]),
            banned: false,
            page: Some(client::Page { url: "https://shop.example/".to_owned(), title: "Shop".to_owned() }),
            conversations: vec![server::PastConversation {
                conversation: id(9),
                status: Status::Closed,
                at: 1_763_000_000_000,
                preview: "Thanks".to_owned(),
            }],
        },
        assignee: None,
        read: Watermarks { visitor: 40, agent: 41 },
        delivered: Watermarks { visitor: 43, agent: 44 },
        viewing: vec![grace()],
    }))
}

fn replies() -> Vec<Reply> {
    vec![
        connected(server::SubjectKind::Visitor),
        connected(server::SubjectKind::Agent),
        watched(),
        Reply::Opened(Box::new(server::Opened {
            conversation: conversation(),
            epoch: "k1".to_owned(),
            seq: 1,
            entry: id(5),
            at: 1_764_000_000_000,
            status: Status::Open,
            duplicate: false,
            read: Watermarks { visitor: 1, agent: 0 },
            delivered: Watermarks { visitor: 1, agent: 0 },
            queue: Some(queue()),
            assignee: None,
        })),
        Reply::Inbox(server::InboxPage {
            heads: vec![head()],
            cursor: Some("c".to_owned()),
            counts: server::Counts { mine: 3, unassigned: 2, open: 17 },
        }),
        Reply::History(server::HistoryPage { entries: Vec::new(), more: true }),
        Reply::Written(server::Written { seq: 45, entry: id(5), at: 1_764_000_000_000, duplicate: true }),
        Reply::Refreshed(server::Refreshed { token_ttl_ms: 899_000 }),
        Reply::Assigned(server::Assigned { desk_seq: 8 }),
        Reply::Sequenced(server::Sequenced { seq: 46 }),
        Reply::Done(server::Done {}),
    ]
}

fn server_frames() -> Vec<ServerFrame> {
    let by = Who::Visitor(id(2));
    let mut frames: Vec<_> = replies().into_iter().map(|reply| ServerFrame::Ok(server::Ok { id: 7, reply })).collect();
    frames.extend(server::ErrorCode::ALL.iter().map(|code| {
        let message = "why".to_owned();
        ServerFrame::Error(server::Error { id: Some(7), code: *code, message, retry_ms: None, trace: None })
    }));
    frames.push(ServerFrame::Error(server::Error {
        id: None,
        code: server::ErrorCode::RateLimited,
        message: "why".to_owned(),
        retry_ms: Some(800),
        trace: None,
    }));
    frames.push(ServerFrame::Error(server::Error {
        id: Some(7),
        code: server::ErrorCode::Unavailable,
        message: "why".to_owned(),
        retry_ms: Some(1_000),
        trace: Some("0af7651916cd43dd8448eb211c80319c".to_owned()),
    }));
    frames.extend(events().into_iter().map(|(from, event)| ServerFrame::Entry(Box::new(entry(from, event)))));
    frames.extend([
        ServerFrame::Read(server::ReadUpdate { conversation: conversation(), by, seq: 45 }),
        ServerFrame::Delivered(server::DeliveredUpdate { conversation: conversation(), by, seq: 45 }),
        ServerFrame::Typing(server::TypingUpdate {
            conversation: conversation(),
            by: Who::Agent(id(3)),
            on: true,
            text: None,
        }),
        ServerFrame::Typing(server::TypingUpdate {
            conversation: conversation(),
            by,
            on: true,
            text: Some("draft".to_owned()),
        }),
        ServerFrame::Presence(server::Presence::Agents { agents: server::AgentCount { online: 2 } }),
        ServerFrame::Presence(server::Presence::Agent {
            agent: id(3),
            status: AgentStatus::Away,
            load: 3,
            capacity: Some(5),
        }),
        ServerFrame::Viewing(server::Viewing { conversation: conversation(), agents: vec![grace()] }),
        ServerFrame::Queue(server::QueueUpdate { conversation: conversation(), queue: queue() }),
        ServerFrame::Inbox(server::InboxUpdate { conversation: head() }),
        ServerFrame::Notice(server::Notice { level: NoticeLevel::Info, text: "why".to_owned() }),
        ServerFrame::TokenExpiring(server::TokenExpiring { in_ms: 30_000 }),
        ServerFrame::Ping(server::Ping {}),
    ]);
    frames
}

fn encode(command: &Command) -> String {
    serde_json::to_string(&ClientFrame { id: Some(7), command: command.clone() }).unwrap()
}

#[test]
fn the_bytes_of_every_client_frame() {
    let lines: Vec<_> = commands().iter().map(encode).collect();
    insta::assert_snapshot!("client_frames", lines.join("\n"));
}

#[test]
fn the_bytes_of_every_server_frame() {
    let lines: Vec<_> = server_frames().iter().map(ServerFrame::encode).collect();
    insta::assert_snapshot!("server_frames", lines.join("\n"));
}

#[test]
fn every_command_is_among_the_examples() {
    let shown: BTreeSet<String> = commands().iter().map(|command| type_of(&encode(command))).collect();
    let known: BTreeSet<String> = Command::NAMES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(shown, known);
}

fn type_of(frame: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(frame).unwrap();
    value["type"].as_str().unwrap().to_owned()
}

#[test]
fn every_example_reads_back() {
    for command in commands() {
        let frame = ClientFrame::parse(&encode(&command)).unwrap();
        assert_eq!(frame, ClientFrame { id: Some(7), command });
    }
    for frame in server_frames() {
        let read: ServerFrame = serde_json::from_str(&frame.encode()).unwrap();
        assert_eq!(read, frame);
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    let text = ".{0,40}";
    prop_oneof![
        text.prop_map(|text| Event::Message { text }),
        text.prop_map(|text| Event::Note { text }),
        (1_u8..=5, proptest::option::of(text)).prop_map(|(score, comment)| Event::Rated { score, comment }),
        (text, text).prop_map(|(url, title)| Event::Page { url, title }),
        Just(Event::Closed {}),
        any::<u128>().prop_map(|n| Event::Assigned { to: AgentId::from(Uuid::from_u128(n)), by: MovedBy::ROUTING }),
    ]
}

fn any_author() -> impl Strategy<Value = Author> {
    let uuid = any::<u128>().prop_map(Uuid::from_u128);
    prop_oneof![
        (uuid, proptest::option::of(".{0,20}"))
            .prop_map(|(id, name)| Author::Visitor { id: VisitorId::from(id), name }),
        (any::<u128>(), ".{0,20}")
            .prop_map(|(id, name)| Author::Agent { id: AgentId::from(Uuid::from_u128(id)), name }),
        Just(Author::System {}),
    ]
}

proptest! {
    #[test]
    fn any_entry_reads_back_and_stays_on_one_line(
        event in any_event(),
        from in any_author(),
        (seq, at) in (1_u64.., any::<i64>()),
        ids in (any::<u128>(), any::<u128>()),
    ) {
        let frame = ServerFrame::Entry(Box::new(server::Entry {
            lane: event.lane(),
            conversation: ConversationId::from(Uuid::from_u128(ids.0)),
            epoch: "k1".to_owned(),
            seq,
            prev: seq - 1,
            entry: EntryId::from(Uuid::from_u128(ids.1)),
            at,
            key: None,
            from,
            event,
        }));
        let bytes = frame.encode();
        prop_assert!(!bytes.contains('\n'));
        prop_assert_eq!(serde_json::from_str::<ServerFrame>(&bytes).unwrap(), frame);
    }

    #[test]
    fn any_mark_reads_back(seq in any::<u64>(), ids in (any::<u128>(), any::<u128>()), of_agent in any::<bool>()) {
        let (conversation, person) = (ConversationId::from(Uuid::from_u128(ids.0)), Uuid::from_u128(ids.1));
        let by = if of_agent { Who::Agent(person.into()) } else { Who::Visitor(person.into()) };
        for frame in [
            ServerFrame::Read(server::ReadUpdate { conversation, by, seq }),
            ServerFrame::Delivered(server::DeliveredUpdate { conversation, by, seq }),
        ] {
            prop_assert_eq!(serde_json::from_str::<ServerFrame>(&frame.encode()).unwrap(), frame);
        }
        for command in [
            Command::Read(client::Read { conversation, seq }),
            Command::Delivered(client::Delivered { conversation, seq }),
        ] {
            let frame = ClientFrame { id: None, command };
            prop_assert_eq!(ClientFrame::parse(&serde_json::to_string(&frame).unwrap()), Ok(frame));
        }
    }

    #[test]
    fn any_text_and_key_reads_back(text in ".{0,80}", key_text in "[A-Za-z0-9_-]{1,64}", number in any::<Option<u32>>()) {
        let command = Command::Send(client::Send {
            conversation: conversation(),
            key: key(&key_text),
            body: client::Body { text },
        });
        let frame = ClientFrame { id: number, command };
        let bytes = serde_json::to_string(&frame).unwrap();
        prop_assert_eq!(ClientFrame::parse(&bytes), Ok(frame));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in ".{0,200}") {
        drop(ClientFrame::parse(&bytes));
        drop(ClientFrame::lines(&bytes).map(Iterator::count));
    }
}

/// The ids used here are of the types that the wire names, so that a mix-up does not compile.
const _: fn() -> (ProjectId, SessionId) = || (id(8), id(6));
