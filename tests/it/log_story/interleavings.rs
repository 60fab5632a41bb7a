//! Whatever runs at the same time, in whatever order: each lane is 1, 2, 3 ..., and holds what was acknowledged.

use proptest::{collection::vec, prelude::*};

use super::*;

/// One writer's step: which conversation, which lane, how many entries, and whether it forgot to look first.
#[derive(Clone, Debug)]
struct Step {
    chat: usize,
    lane: Lane,
    entries: usize,
    forgetful: bool,
}

fn steps() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let lane = prop_oneof![Just(Lane::Thread), Just(Lane::Desk)];
    let step = (0..3_usize, lane, 1..4_usize, prop::bool::weighted(0.3))
        .prop_map(|(chat, lane, entries, forgetful)| Step { chat, lane, entries, forgetful });
    vec(vec(step, 1..8), 1..6)
}

fn event(lane: Lane, text: String) -> Event {
    match lane {
        Lane::Thread => Event::Message { text },
        Lane::Desk => Event::Note { text },
    }
}

impl Story {
    /// A writer carries out its steps; a stale one looks and decides again. Returns the texts that were acknowledged.
    async fn write(&self, chats: &[Chat], writer: usize, steps: Vec<Step>) -> Vec<(usize, Lane, String)> {
        let (mut held, mut acknowledged) = (chats.to_vec(), Vec::new());
        for (number, step) in steps.into_iter().enumerate() {
            let texts: Vec<_> = (0..step.entries).map(|n| format!("{writer}-{number}-{n}")).collect();
            let mut looked = step.forgetful;
            loop {
                let chat = &mut held[step.chat];
                if !looked {
                    chat.head = Arc::new(self.state(chat).await);
                }
                let events = texts.iter().map(|text| (event(step.lane, text.clone()), None)).collect();
                match self.log.append(chat.next(events)).await {
                    Ok(()) => break,
                    Err(AppendError::Stale) => looked = false,
                    Err(error) => panic!("{error}"),
                }
            }
            acknowledged.extend(texts.into_iter().map(|text| (step.chat, step.lane, text)));
        }
        acknowledged
    }

    async fn check(&self, chats: &[Chat], acknowledged: &[(usize, Lane, String)]) {
        for (number, chat) in chats.iter().enumerate() {
            let state = self.state(chat).await;
            for lane in [Lane::Thread, Lane::Desk] {
                let entries = self.entries(chat, lane).await;
                assert!((1..=state.last_seq(lane)).eq(entries.iter().map(|entry| entry.seq)), "{lane:?} has a hole");
                let opening = usize::from(lane == Lane::Thread);
                let mut stored: Vec<_> = entries.iter().skip(opening).map(|entry| text_of(&entry.event)).collect();
                let mut wanted: Vec<_> = acknowledged
                    .iter()
                    .filter(|(chat, of, _)| (*chat, *of) == (number, lane))
                    .map(|(_, _, text)| text.as_str())
                    .collect();
                stored.sort_unstable();
                wanted.sort_unstable();
                assert_eq!(stored, wanted, "what is stored is what was acknowledged, once");
            }
        }
    }
}

fn text_of(event: &Event) -> &str {
    match event {
        Event::Message { text } | Event::Note { text } => text,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn lanes_are_dense_under_any_interleaving(writers in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut story = Story::begin().await;
            let chats = [story.chat().await, story.chat().await, story.chat().await];
            let writers = writers.into_iter().enumerate();
            let done = futures_util::future::join_all(writers.map(|(writer, steps)| story.write(&chats, writer, steps)));
            let acknowledged = done.await.concat();
            story.check(&chats, &acknowledged).await;
            story.restart().await;
            story.check(&chats, &acknowledged).await;
            story.stop().await;
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_write_to_many_conversations_and_to_one() {
    const TASKS: usize = 40;
    const EACH: usize = 25;
    let story = Arc::new(Story::begin().await);
    let shared = story.chat().await;
    let (tasks, finished) = (Tasks::new(), Arc::new(parking_lot::Mutex::new(Vec::new())));
    for writer in 0..TASKS {
        let (story, finished, chats) =
            (Arc::clone(&story), Arc::clone(&finished), [shared.clone(), story.chat().await]);
        tasks.spawn(async move {
            let step = |n: usize| Step {
                chat: usize::from(!n.is_multiple_of(5)),
                lane: Lane::Thread,
                entries: 1,
                forgetful: true,
            };
            let acknowledged = story.write(&chats, writer, (0..EACH).map(step).collect()).await;
            story.check(&chats[1..], &own(&acknowledged)).await;
            finished.lock().extend(acknowledged.into_iter().filter(|(chat, ..)| *chat == 0));
        });
    }
    assert_eq!(tasks.wait(Duration::from_mins(1)).await, 0);
    let to_the_shared = std::mem::take(&mut *finished.lock());
    assert_eq!(to_the_shared.len(), TASKS * EACH / 5);
    story.check(&[shared], &to_the_shared).await;
    story.stop().await;
}

/// The texts to a writer's own conversation, numbered as the only one.
fn own(acknowledged: &[(usize, Lane, String)]) -> Vec<(usize, Lane, String)> {
    let own = acknowledged.iter().filter(|(chat, ..)| *chat == 1);
    own.map(|(_, lane, text)| (0, *lane, text.clone())).collect()
}
