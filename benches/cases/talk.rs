//! What is said to the log: conversations begun, and messages in them.

use std::{collections::BTreeMap, sync::Arc};

use deskbell::{
    domain::{Author, Conversation, Entry, Event, Key, Lane, conversation::apply},
    ids::{ConversationId, EntryId, ProjectId, SessionId, VisitorId},
    log::{Append, Log, NewConversation, VisitorRecord},
};
use uuid::Uuid;

/// The length of a message, in bytes.
pub(super) const MESSAGE_BYTES: usize = 128;

/// A message to a conversation, on the state that its last one left.
pub(super) fn message(head: &Arc<Conversation>, open: Option<NewConversation>) -> Append {
    let mut next = Conversation::clone(head);
    let entry = Entry {
        conversation: head.id,
        lane: Lane::Thread,
        seq: head.seq + 1,
        id: EntryId::generate(),
        at: head.at + 1,
        session: Some(SessionId::generate()),
        from: Author::Visitor { id: head.visitor, name: Some("Ada".to_owned()) },
        key: Key::parse(&Uuid::now_v7().to_string()),
        event: Event::Message { text: "x".repeat(MESSAGE_BYTES) },
    };
    apply(&mut next, &entry);
    let (expected_seq, expected_desk_seq) = (head.seq, head.desk_seq);
    Append { expected_seq, expected_desk_seq, head: Arc::new(next), entries: vec![Arc::new(entry)], open, claim: None }
}

/// A new conversation with its first message; returns its state.
pub(super) async fn open(log: &Log, project: ProjectId) -> Arc<Conversation> {
    let id = VisitorId::generate();
    let visitor = VisitorRecord {
        project,
        id,
        subject: None,
        name: Some("Ada".to_owned()),
        email: None,
        fields: BTreeMap::new(),
        created_at: 0,
        seen_at: 0,
    };
    let head = Arc::new(Conversation::new(project, ConversationId::generate(), id, "e1".to_owned(), 0));
    let append = message(&head, Some(NewConversation { key: Key::parse("open").unwrap(), visitor }));
    let next = Arc::clone(&append.head);
    log.append(append).await.unwrap();
    next
}
