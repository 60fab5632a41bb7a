//! What agents see: pages of heads, and how many there are.

use deskbell::log::InboxQuery;

use super::*;

impl Story {
    /// Chats whose newest messages are `1..=count` seconds old; the last one is the newest.
    async fn chats(&self, count: i64) -> Vec<Chat> {
        let mut chats = Vec::new();
        for n in 1..=count {
            let mut chat = Chat::new(self.project);
            chat.head = Arc::new(Conversation { at: START + n * 1_000, ..Conversation::clone(&chat.head) });
            self.log.append(chat.opening("open", "Hello")).await.unwrap();
            chats.push(chat);
        }
        chats
    }

    async fn append(&self, chat: &mut Chat, event: Event) {
        self.log.append(chat.next(vec![(event, None)])).await.unwrap();
    }

    async fn shown(&self, query: InboxQuery) -> Vec<ConversationId> {
        let query = InboxQuery { limit: 100, ..query };
        self.log.inbox(self.project, &query).await.unwrap().rows.into_iter().map(|row| row.id).collect()
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap_or_a_repeat() {
    let story = Story::begin().await;
    let mut chats = story.chats(8).await;
    // Closed ones stand among open ones.
    for chat in chats.iter_mut().step_by(3) {
        story.append(chat, Event::Closed {}).await;
    }
    let newest_first: Vec<_> = chats.iter().rev().map(|chat| chat.head.id).collect();
    for limit in [1, 3, 8, 20] {
        let (mut query, mut seen) = (InboxQuery { limit, ..InboxQuery::default() }, Vec::new());
        loop {
            let page = story.log.inbox(story.project, &query).await.unwrap();
            assert!(page.rows.len() <= limit as usize);
            seen.extend(page.rows.iter().map(|row| row.id));
            query.before = page.cursor;
            if query.before.is_none() {
                break;
            }
        }
        assert_eq!(seen, newest_first, "in pages of {limit}");
    }
    assert!(
        story
            .log
            .inbox(ProjectId::generate(), &InboxQuery { limit: 9, ..InboxQuery::default() })
            .await
            .unwrap()
            .rows
            .is_empty()
    );
    story.stop().await;
}

#[tokio::test]
async fn filters_and_counts_agree() {
    let story = Story::begin().await;
    let mut chats = story.chats(5).await;
    let (mine, theirs) = (chats[0].agent.clone(), chats[1].agent.clone());
    story.append(&mut chats[0], Event::Joined { agent: mine.clone() }).await;
    story.append(&mut chats[1], Event::Joined { agent: theirs.clone() }).await;
    story.append(&mut chats[2], Event::Joined { agent: mine.clone() }).await;
    story.append(&mut chats[2], Event::Closed {}).await;
    story.append(&mut chats[3], Event::Closed {}).await;
    let ids: Vec<_> = chats.iter().map(|chat| chat.head.id).collect();

    let any = InboxQuery::default;
    assert_eq!(story.shown(InboxQuery { status: Some(Status::Open), ..any() }).await, [ids[4], ids[1], ids[0]]);
    assert_eq!(story.shown(InboxQuery { status: Some(Status::Closed), ..any() }).await, [ids[3], ids[2]]);
    assert_eq!(story.shown(InboxQuery { assignee: Some(Some(mine.id)), ..any() }).await, [ids[2], ids[0]]);
    assert_eq!(story.shown(InboxQuery { assignee: Some(None), ..any() }).await, [ids[4], ids[3]]);
    assert_eq!(story.log.counts(story.project, mine.id).await.unwrap(), (1, 1, 3));
    assert_eq!(story.log.counts(story.project, theirs.id).await.unwrap(), (1, 1, 3));
    assert_eq!(story.log.counts(ProjectId::generate(), mine.id).await.unwrap(), (0, 0, 0));

    let open = story.log.open_conversations(story.project).await.unwrap();
    assert_eq!(open.iter().map(|row| row.id).collect::<Vec<_>>(), [ids[0], ids[1], ids[4]], "longest waiting first");
    story.stop().await;
}

#[tokio::test]
async fn visitors_are_found_by_a_part_of_name_or_address() {
    let story = Story::begin().await;
    let mut ids = Vec::new();
    for (name, email) in [(Some("Ada_Lövelace"), None), (Some("Grace"), Some("g.hopper@Navy.example")), (None, None)] {
        let mut chat = Chat::new(story.project);
        chat.visitor.name = name.map(str::to_owned);
        chat.visitor.email = email.map(str::to_owned);
        chat.head =
            Arc::new(Conversation { visitor_name: chat.visitor.name.clone(), ..Conversation::clone(&chat.head) });
        story.log.append(chat.opening("open", "Hello")).await.unwrap();
        ids.push(chat.head.id);
    }
    for (wanted, found) in [
        ("LÖVE", vec![ids[0]]),
        ("navy", vec![ids[1]]),
        ("hopper@", vec![ids[1]]),
        ("a_l", vec![ids[0]]),
        ("r_c", vec![]),
        ("%", vec![]),
        ("' OR 1=1 --", vec![]),
    ] {
        let query = InboxQuery { visitor: Some(wanted.to_owned()), ..InboxQuery::default() };
        assert_eq!(story.shown(query).await, found, "{wanted}");
    }
    assert_eq!(story.shown(InboxQuery { visitor: Some("  ".to_owned()), ..InboxQuery::default() }).await.len(), 3);
    story.stop().await;
}

#[tokio::test]
async fn a_cursor_that_is_none_starts_at_the_beginning() {
    let story = Story::begin().await;
    story.chats(2).await;
    let query = InboxQuery { before: Some("nonsense".to_owned()), ..InboxQuery::default() };
    assert_eq!(story.shown(query).await.len(), 2);
    story.stop().await;
}
