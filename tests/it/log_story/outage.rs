//! PostgreSQL goes away in the middle of writing and comes back: nothing that was acknowledged is lost, nothing is there
//! twice, and nobody has to restart anything of ours.

use std::time::Instant;

use futures_util::future::{join, join_all};
use parking_lot::Mutex;

use super::*;
use crate::support::until;

/// How long it may take until all goes on, counted from the database's return.
const HEALS_WITHIN: Duration = Duration::from_secs(10);

/// One who writes one message after the other, each with a key, until it is told to stop.
struct Writer {
    chat: Chat,
    acked: Vec<String>,
    sent: usize,
}

impl Writer {
    /// Says `text`, again and again until it is acknowledged or found in the log: as a client with a key does.
    async fn says(&mut self, story: &Story, text: &str) {
        loop {
            match story.log.append(self.chat.clone().says(text, text)).await {
                Ok(()) => {
                    drop(self.chat.says(text, text));
                    break;
                }
                Err(AppendError::Full) => panic!("nothing was claimed"),
                Err(AppendError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(AppendError::Stale) => {}
            }
            // What came of it is not known: look.
            if let Ok(Some(state)) = story.log.head(story.project, self.chat.head.id).await
                && let Ok(past) = story.log.past(&state).await
            {
                self.chat.head = Arc::new(state);
                if past.keys.iter().any(|known| known.key.as_str() == text) {
                    break;
                }
            }
        }
        self.acked.push(text.to_owned());
    }
}

/// Ends of a database, each with how it is undone.
async fn survives(settings: &[&str], end: impl Fn(&postgres::Cluster)) {
    let cluster = postgres::Cluster::start(settings);
    let story = Story::begin_at(cluster.database()).await;
    let mut writers = Vec::new();
    for _ in 0..12 {
        let chat = story.chat().await;
        writers.push(Writer { chat, acked: Vec::new(), sent: 0 });
    }
    let (stop, acked) = (Mutex::new(false), Mutex::new(0_usize));
    let writing = join_all(writers.iter_mut().map(|writer| async {
        while !*stop.lock() {
            let text = format!("m{}", writer.sent);
            writer.sent += 1;
            writer.says(&story, &text).await;
            *acked.lock() += 1;
        }
    }));
    let breaking = async {
        for round in 1..=2 {
            until("many are acknowledged", || async { (*acked.lock() >= 300 * round).then_some(()) }).await;
            tokio::task::block_in_place(|| end(&cluster));
            until("it is said that nothing can be written", || async {
                (!story.log.is_writable().await).then_some(())
            })
            .await;
            assert!(story.log.head(story.project, ConversationId::generate()).await.is_err(), "nor read");
            tokio::task::block_in_place(|| cluster.start_again());
            let back = Instant::now();
            let before = *acked.lock();
            until("messages are stored again", || async { (*acked.lock() > before + 12).then_some(()) }).await;
            assert!(story.log.is_writable().await);
            assert!(back.elapsed() < HEALS_WITHIN, "it took {:?}", back.elapsed());
        }
        *stop.lock() = true;
    };
    join(writing, breaking).await;
    for writer in &writers {
        let entries = story.entries(&writer.chat, Lane::Thread).await;
        let kept: Vec<_> = entries.iter().skip(1).map(|entry| entry.key.as_ref().unwrap().as_str()).collect();
        assert_eq!(kept, writer.acked, "each once, in order");
        assert!((1..=story.state(&writer.chat).await.seq).eq(entries.iter().map(|entry| entry.seq)));
    }
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed() {
    survives(&[], postgres::Cluster::kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarted() {
    survives(&[], postgres::Cluster::stop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stands_still_in_the_middle_holds_nobody_up_for_long() {
    let story = Story::begin_at(postgres::database()).await;
    let mut chat = story.chat().await;
    // Somebody who began a transaction like a node's, and then says nothing more.
    let limited = format!("{}&options[idle_in_transaction_session_timeout]=2000", story.options.url.reveal());
    let mut frozen = <sqlx::AnyConnection as sqlx::Connection>::connect(&limited).await.unwrap();
    sqlx::raw_sql("BEGIN; UPDATE conversations SET seq = seq").execute(&mut frozen).await.unwrap();
    let begun = Instant::now();
    story.log.append(chat.says("k", "x")).await.unwrap();
    assert!(begun.elapsed() > Duration::from_secs(1), "it did wait");
    assert_eq!(story.state(&chat).await.seq, 2);
    story.stop().await;
}
