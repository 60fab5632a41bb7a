//! Several nodes on one PostgreSQL: what each was told holds for all.

use deskbell::log::{Claim, ProjectRecord};
use futures_util::future::join_all;

use super::{
    accounts::{agent, project},
    faults::meddle,
    *,
};
use crate::support::{open_database, until};

/// Two nodes on a database of their own.
async fn two_nodes() -> [Story; 2] {
    let first = Story::begin_at(postgres::database()).await;
    let second = first.another_node().await;
    [first, second]
}

impl Chat {
    /// An opening that gives the conversation to `agent`, if it has fewer than `most`.
    fn claiming(&mut self, key: &str, agent: &AgentRef, most: u32) -> Append {
        let visitor = self.visitor.clone();
        let open = Some(NewConversation { key: super::key(key), visitor });
        let assigned = Event::Assigned { to: agent.id, by: MovedBy::ROUTING };
        let events =
            vec![(message("Hello"), Some(key)), (assigned, None), (Event::Joined { agent: agent.clone() }, None)];
        Append { open, claim: Some(Claim { agent: agent.id, most }), ..self.next(events) }
    }
}

impl Story {
    async fn agents(&self) -> [AgentRef; 2] {
        self.log.create_project(&ProjectRecord { id: self.project, ..project("pk") }).await.unwrap();
        let agents = ["grace@example.org", "ada@example.org"].map(|email| agent(self.project, email));
        for agent in &agents {
            self.log.create_agent(agent).await.unwrap();
        }
        agents.map(|agent| AgentRef { id: agent.id, name: agent.name })
    }
}

#[tokio::test]
async fn nodes_that_start_at_once_make_one_schema() {
    let url = postgres::database();
    let nodes = join_all((0..6).map(|_| Story::begin_at(url.clone()))).await;
    let chat = nodes[0].chat().await;
    for node in &nodes {
        let node = Story { project: nodes[0].project, ..node.another_node().await };
        assert_eq!(node.state(&chat).await, *chat.head);
        node.stop().await;
    }
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_are_dense_whoever_writes() {
    const WRITERS: usize = 8;
    const EACH: usize = 40;
    let nodes = two_nodes().await;
    let mut chats = Vec::new();
    for _ in 0..6 {
        chats.push(nodes[0].chat().await);
    }
    // Each writer goes through the conversations in an order of its own; many meet, and none in the same order.
    let writers = (0..WRITERS).map(|writer| {
        let (node, mut held) = (&nodes[writer % 2], chats.clone());
        async move {
            for n in 0..EACH {
                let at = (n * (writer + 1) + writer) % held.len();
                loop {
                    let said = format!("{writer}-{n}");
                    match node.log.append(held[at].says(&said, &said)).await {
                        Ok(()) => break,
                        Err(AppendError::Stale) => held[at].head = Arc::new(node.state(&held[at]).await),
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }
    });
    join_all(writers).await;
    let mut said = Vec::new();
    for chat in &chats {
        let entries = nodes[0].entries(chat, Lane::Thread).await;
        assert!((1..=nodes[1].state(chat).await.seq).eq(entries.iter().map(|entry| entry.seq)), "there is a hole");
        said.extend(entries.into_iter().skip(1).map(|entry| entry.key.unwrap().as_str().to_owned()));
    }
    let mut wanted: Vec<_> = (0..WRITERS).flat_map(|w| (0..EACH).map(move |n| format!("{w}-{n}"))).collect();
    said.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(said, wanted, "each is there once");
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test]
async fn one_stale_conversation_fails_no_other() {
    let nodes = two_nodes().await;
    let mut chats = Vec::new();
    for _ in 0..40 {
        chats.push(nodes[0].chat().await);
    }
    // The other node was faster in every tenth.
    for chat in chats.iter().step_by(10) {
        nodes[1].log.append(chat.clone().says("first", "x")).await.unwrap();
    }
    let appends: Vec<_> = chats.iter_mut().map(|chat| chat.says("mine", "y")).collect();
    let written = join_all(appends.into_iter().map(|append| nodes[0].log.append(append))).await;
    for (number, written) in written.into_iter().enumerate() {
        let wanted = if number.is_multiple_of(10) { Err(AppendError::Stale) } else { Ok(()) };
        assert_eq!(written, wanted, "{number}");
    }
    for chat in &chats {
        assert_eq!(nodes[1].entries(chat, Lane::Thread).await.len(), 2);
    }
}

#[tokio::test]
async fn a_key_opens_one_conversation_on_whatever_nodes() {
    let nodes = two_nodes().await;
    for round in 0..10 {
        let mut one = Chat::new(nodes[0].project);
        let mut two = Chat { visitor: one.visitor.clone(), ..Chat::new(nodes[0].project) };
        two.head = Arc::new(Conversation { visitor: one.visitor.id, ..Conversation::clone(&two.head) });
        let (first, second) =
            tokio::join!(nodes[0].log.append(one.opening("same", "a")), nodes[1].log.append(two.opening("same", "b")));
        let (won, lost) = if first.is_ok() { (&one, &two) } else { (&two, &one) };
        assert!(
            matches!((&first, &second), (Ok(()), Err(AppendError::Stale)) | (Err(AppendError::Stale), Ok(()))),
            "{round}: {first:?}, {second:?}"
        );
        for node in &nodes {
            let found = node.log.find_open(node.project, one.visitor.id, &key("same")).await.unwrap();
            assert_eq!(found, Some(won.head.id));
            assert!(node.entries(lost, Lane::Thread).await.is_empty());
        }
    }
}

#[tokio::test]
async fn nodes_together_give_no_agent_more_than_it_takes() {
    for capacity in [1, 3] {
        let nodes = two_nodes().await;
        let agents = nodes[0].agents().await;
        let openings = (0..24).map(|n| {
            let mut chat = Chat::new(nodes[0].project);
            let append = chat.claiming("open", &agents[n % 2], capacity);
            nodes[n / 2 % 2].log.append(append)
        });
        let outcomes = join_all(openings).await;
        let given = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(()) | Err(AppendError::Full))), "{outcomes:?}");
        assert_eq!(given, 2 * capacity as usize, "as many as there is room for");
        for agent in &agents {
            let (mine, _, open) = nodes[1].log.counts(nodes[0].project, agent.id).await.unwrap();
            assert_eq!((mine, open), (u64::from(capacity), 2 * u64::from(capacity)), "what was refused left nothing");
        }
    }
}

#[tokio::test]
async fn words_of_several_nodes_have_numbers_of_their_own() {
    let nodes = two_nodes().await;
    let told = join_all((0..20).map(|n| nodes[n % 2].log.control_append("agent", None, "x"))).await;
    let mut numbers: Vec<_> = told.into_iter().map(Result::unwrap).collect();
    numbers.sort_unstable();
    assert!((1..=20).eq(numbers));
    assert_eq!(nodes[0].log.control_last().await.unwrap(), 20);
}

#[tokio::test]
async fn a_conversation_that_changed_hands_is_not_written_by_its_old_owner() {
    let nodes = two_nodes().await;
    let mut chat = nodes[0].chat().await;
    let identified = VisitorRecord {
        id: VisitorId::for_subject(nodes[0].project, "ada"),
        subject: Some("ada".to_owned()),
        ..chat.visitor.clone()
    };
    assert_eq!(nodes[1].log.adopt(chat.visitor.id, &identified).await.unwrap(), [chat.head.id]);
    // The first node has not heard of it.
    assert_eq!(nodes[0].log.append(chat.says("late", "x")).await, Err(AppendError::Stale));
    assert_eq!(nodes[1].state(&chat).await.seq, 1);
}

/// Asks whatever can be asked, on all connections at once, and writes.
async fn uses_everything(node: &Story, chat: &mut Chat, agent: &AgentRef) {
    let (log, id, project) = (&node.log, chat.head.id, node.project);
    join_all((0..16).map(|_| async move {
        let state = log.head(project, id).await.unwrap().unwrap();
        log.past(&state).await.unwrap();
        log.entry(id, Lane::Thread, 1).await.unwrap().unwrap();
        log.read_after(id, Lane::Thread, 0, 10).await.unwrap();
        log.read_before(id, Lane::Thread, u64::MAX, 10).await.unwrap();
        log.open_conversations(project).await.unwrap();
        log.agent_session("none").await.unwrap();
        log.signing_keys().await.unwrap();
        log.control_after(0).await.unwrap();
        log.project(project).await.unwrap().unwrap();
        log.project_by_public_key("pk").await.unwrap().unwrap();
        log.projects().await.unwrap();
        log.agent(agent.id).await.unwrap().unwrap();
        log.agent_by_email("ada@example.org").await.unwrap().unwrap();
        log.agents(project).await.unwrap();
    }))
    .await;
    log.visitor(project, chat.visitor.id).await.unwrap().unwrap();
    log.control_append("word", None, "x").await.unwrap();
    let key = format!("k{}", chat.head.seq);
    log.append(chat.says(&key, "x")).await.unwrap();
}

#[tokio::test]
async fn a_column_that_a_newer_node_adds_fails_no_question_of_an_older_one() {
    let node = Story::begin_at(postgres::database()).await;
    let [_, agent] = node.agents().await;
    let mut chat = node.chat().await;
    uses_everything(&node, &mut chat, &agent).await;
    for table in
        ["projects", "agents", "agent_sessions", "signing_keys", "control", "visitors", "conversations", "entries"]
    {
        meddle(&node, &format!("ALTER TABLE {table} ADD COLUMN of_tomorrow BIGINT NOT NULL DEFAULT 0")).await;
    }
    uses_everything(&node, &mut chat, &agent).await;
    node.stop().await;
}

/// What PostgreSQL has read of the two large tables: how often one of them as a whole, and how many conversations by their keys. It
/// knows a little later, or when a connection ends: `written` are the conversations and the entries that it knows of then.
async fn reads(url: &str, written: [i64; 2]) -> (Vec<i64>, i64) {
    let asked = "SELECT n_tup_ins::BIGINT, seq_scan::BIGINT, idx_tup_fetch::BIGINT FROM pg_stat_user_tables \
                 WHERE relname IN ('conversations', 'entries') ORDER BY relname";
    until("PostgreSQL tells what was written", || async {
        let mut connection = open_database(url).await;
        let told: Vec<(i64, i64, i64)> = sqlx::query_as(asked).fetch_all(&mut connection).await.unwrap();
        let rows: Vec<_> = told.iter().map(|(rows, ..)| *rows).collect();
        (rows == written).then(|| (told.iter().map(|(_, whole, _)| *whole).collect(), told[0].2))
    })
    .await
}

/// A small table is soonest read as a whole; and the plan for that would be kept while the table grows.
#[tokio::test]
async fn a_message_is_written_without_reading_other_conversations() {
    const CHATS: usize = 200;
    const SAID: usize = 20;
    let url = postgres::database();
    let node = Story::begin_at(url.clone()).await;
    let mut chats = vec![node.chat().await];
    node.stop().await;
    // Making the tables' indices has read them.
    let (whole, _) = reads(&url, [1, 1]).await;
    let node = node.another_node().await;
    // It knows now that there is one conversation, and makes its plans for that.
    meddle(&node, "ANALYZE conversations").await;
    node.log.append(chats[0].says("first", "x")).await.unwrap();
    for _ in 1..CHATS {
        chats.push(node.chat().await);
    }
    for (said, chat) in chats.iter_mut().step_by(CHATS / SAID).enumerate() {
        node.log.append(chat.says(&format!("key-{said}"), "x")).await.unwrap();
    }
    node.stop().await;
    let (whole_now, by_key) = reads(&url, [200, 221]).await;
    assert_eq!(whole_now, whole);
    // To lock it, and to change it; and some to begin with.
    assert!(by_key < 100, "{by_key} conversations were read for {SAID} messages");
}
