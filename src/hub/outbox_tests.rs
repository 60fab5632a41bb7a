//! What waits, what gives way and what ends a session.

use std::net::Ipv4Addr;

use futures_util::FutureExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;

fn outbox() -> Outbox {
    Outbox::new(OutboxLimits { frames: 3, bytes: 100, bytes_limit: "outbox_visitor_bytes" })
}

#[test]
fn a_frame_that_does_not_fit_ends_the_session() {
    let by_count = outbox();
    for _ in 0..4 {
        by_count.push("x".into());
    }
    assert_eq!(by_count.take().ending, Some(CloseCode::SlowConsumer));
    let by_bytes = outbox();
    by_bytes.push("x".repeat(60).into());
    by_bytes.push("x".repeat(60).into());
    let batch = by_bytes.take();
    assert_eq!((batch.ending, batch.frames.len()), (Some(CloseCode::SlowConsumer), 0));
}

#[test]
fn of_a_state_only_the_newest_is_kept() {
    let outbox = outbox();
    let of = StateOf::Queue(Uuid::nil());
    outbox.set(of, "old".into());
    outbox.set(of, "new".into());
    let batch = outbox.take();
    assert_eq!(batch.states, vec![(of, "new".into())]);
    assert_eq!(outbox.bytes(), 0);
}

#[test]
fn of_a_state_with_an_order_the_furthest_is_kept_whichever_comes_last() {
    let (outbox, id) = (outbox(), Uuid::nil());
    for (seq, desk_seq) in [(2, 1), (3, 0), (2, 2)] {
        outbox.set(StateOf::Head(id, (seq, desk_seq)), seq.to_string().into());
    }
    for seq in [1, 3, 2] {
        outbox.set(StateOf::Read(id, id, seq), seq.to_string().into());
    }
    let states: Vec<_> = outbox.take().states.into_iter().map(|(_, frame)| frame.as_str().to_owned()).collect();
    assert_eq!(states, ["3", "3"]);
}

#[test]
fn several_states_come_each_in_the_place_of_its_older_one() {
    let outbox = outbox();
    let [a, b, c] = [1, 2, 3].map(Uuid::from_u128);
    let head = |of, seq: u64, text: &str| (StateOf::Head(of, (seq, 0)), Utf8Bytes::from(text.to_owned()));
    outbox.set(StateOf::Head(a, (1, 0)), "a1".into());
    outbox.set_all(&[head(b, 1, "b1"), head(a, 2, "a2")]);
    outbox.set_all(&[head(a, 1, "a1"), head(c, 1, "c1"), head(b, 2, "b2")]);
    assert_eq!(outbox.bytes(), 6);
    let mut states: Vec<_> = outbox.take().states.into_iter().map(|(_, frame)| frame.as_str().to_owned()).collect();
    states.sort();
    assert_eq!(states, ["a2", "b2", "c1"]);
    let many: Vec<_> = (0..60).map(|n| head(Uuid::from_u128(n), 1, "xx")).collect();
    outbox.set_all(&many);
    let batch = outbox.take();
    assert_eq!((batch.ending, batch.states.len()), (Some(CloseCode::SlowConsumer), 0), "a head is not left out");
}

#[test]
fn typing_that_does_not_fit_is_dropped_but_a_head_is_not() {
    let outbox = outbox();
    outbox.push("x".repeat(99).into());
    outbox.set(StateOf::Typing(Uuid::nil(), Uuid::nil()), "typing".into());
    assert_eq!(outbox.take().ending, None);
    outbox.push("x".repeat(99).into());
    outbox.set(StateOf::Head(Uuid::nil(), (1, 0)), "head".into());
    assert_eq!(outbox.take().ending, Some(CloseCode::SlowConsumer));
}

#[test]
fn the_first_ending_counts_and_nothing_follows_it() {
    let outbox = outbox();
    outbox.end(CloseCode::Unauthorized);
    outbox.end(CloseCode::Draining);
    outbox.push("late".into());
    let batch = outbox.take();
    assert_eq!((batch.ending, batch.frames.len()), (Some(CloseCode::Unauthorized), 0));
}

#[test]
fn answers_come_first_and_in_order() {
    let outbox = Outbox::new(OutboxLimits { frames: 9, bytes: 100, bytes_limit: "outbox_visitor_bytes" });
    outbox.push("entry 1".into());
    outbox.answer("answer 1".into(), Span::default());
    outbox.push("entry 2".into());
    outbox.answer("answer 2".into(), Span::default());
    assert_eq!(texts(outbox.take().frames), ["answer 1", "answer 2", "entry 1", "entry 2"]);
    outbox.push("entry 3".into());
    outbox.answer("answer 3".into(), Span::default());
    assert_eq!(texts(outbox.take().frames), ["answer 3", "entry 3"]);
}

#[test]
fn states_come_behind_answers_which_may_be_older() {
    let outbox = outbox();
    outbox.push("entry".into());
    outbox.set(StateOf::Queue(Uuid::nil()), "queue".into());
    outbox.answer("answer".into(), Span::default());
    assert_eq!(texts(outbox.take().in_order()), ["answer", "queue", "entry"]);
}

#[test]
fn answers_count_against_no_limit() {
    let outbox = outbox();
    for _ in 0..3 {
        outbox.answer("x".repeat(200).into(), Span::default());
    }
    for text in ["1", "2", "3"] {
        outbox.push(text.into());
    }
    let batch = outbox.take();
    assert_eq!((batch.ending, batch.answers, batch.frames.len()), (None, 3, 6));
    for _ in 0..4 {
        outbox.push("x".into());
    }
    assert_eq!(outbox.take().ending, Some(CloseCode::SlowConsumer));
}

fn texts(frames: impl IntoIterator<Item = Utf8Bytes>) -> Vec<String> {
    frames.into_iter().map(|frame| frame.as_str().to_owned()).collect()
}

/// An outbox with a wire, and the client at its other end.
async fn wired() -> (Outbox, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let outbox = Outbox::new(OutboxLimits { frames: 100_000, bytes: 100_000_000, bytes_limit: "outbox_visitor_bytes" });
    outbox.attach(accepted.unwrap().0.into_split().1);
    (outbox, client.unwrap())
}

/// The session's task looks, finds nothing and sleeps.
fn sleeps(outbox: &Outbox) -> bool {
    outbox.ready().now_or_never().is_none()
}

async fn reads(client: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let mut read = vec![0; bytes];
    client.read_exact(&mut read).await.unwrap();
    read
}

#[tokio::test]
async fn while_the_task_sleeps_the_flusher_is_called_once_and_writes_all() {
    let (outbox, mut client) = wired().await;
    assert!(!outbox.push("early".into()), "the task is at work");
    assert_eq!(texts(outbox.take().frames), ["early"]);
    assert!(sleeps(&outbox));
    assert!(outbox.push("one".into()) && !outbox.push("two".into()));
    outbox.write_out(&mut Vec::new());
    assert_eq!(reads(&mut client, 9).await, b"\x81\x07one\ntwo");
    assert!(outbox.push("three".into()), "it is called anew");
    outbox.write_out(&mut Vec::new());
    assert_eq!(reads(&mut client, 7).await, b"\x81\x05three");
    assert!(outbox.flushed_at().is_some() && outbox.take().frames.is_empty());
}

#[tokio::test]
async fn what_the_task_comes_to_first_it_writes_itself() {
    let (outbox, client) = wired().await;
    assert!(sleeps(&outbox) && outbox.push("one".into()));
    // A frame from the client woke it.
    outbox.rouse();
    outbox.write_out(&mut Vec::new());
    assert_eq!(texts(outbox.take().frames), ["one"]);
    assert!(client.try_read(&mut [0; 9]).is_err(), "it would stand there twice");
    assert!(sleeps(&outbox) && outbox.push("two".into()));
    outbox.end(CloseCode::Draining);
    outbox.write_out(&mut Vec::new());
    let batch = outbox.take();
    assert_eq!((texts(batch.frames), batch.ending), (vec!["two".to_owned()], Some(CloseCode::Draining)));
}

#[tokio::test]
async fn answers_are_left_to_the_flusher_unless_they_are_much() {
    let (outbox, mut client) = wired().await;
    let mut calls = 0;
    outbox.answer("ok".into(), Span::default());
    outbox.push("entry".into());
    assert!(outbox.leave(|| calls += 1) && outbox.leave(|| calls += 1));
    assert_eq!(calls, 1);
    assert!(sleeps(&outbox), "the task leaves it there");
    outbox.write_out(&mut Vec::new());
    assert_eq!(reads(&mut client, 10).await, b"\x81\x08ok\nentry");
    outbox.answer("x".repeat(FLUSHED_BYTES + 1).into(), Span::default());
    assert!(!outbox.leave(|| panic!("it is too much")));
}

#[tokio::test]
async fn where_a_mark_gave_way_to_one_that_does_not_fit_nothing_is_written() {
    let (mut outbox, client) = wired().await;
    outbox.limits.bytes = 100;
    let typing = |text: String| outbox.set(StateOf::Typing(Uuid::nil(), Uuid::nil()), text.into());
    assert!(sleeps(&outbox) && typing("draft".to_owned()) && !typing("x".repeat(101)));
    outbox.write_out(&mut Vec::new());
    assert!(outbox.flushed_at().is_none() && client.try_read(&mut [0; 9]).is_err());
    assert!(sleeps(&outbox) && !typing("x".repeat(101)), "nobody is called for nothing");
    assert!(outbox.push("entry".into()), "and is for something");
}

#[tokio::test]
async fn much_is_left_to_the_task_which_waits_for_its_client() {
    let (outbox, client) = wired().await;
    assert!(sleeps(&outbox) && outbox.push("x".repeat(FLUSHED_BYTES).into()) && !outbox.push("x".into()));
    outbox.write_out(&mut Vec::new());
    assert!(!sleeps(&outbox) && client.try_read(&mut [0; 9]).is_err());
    assert_eq!(outbox.take().frames.len(), 2);
}

#[tokio::test]
async fn what_the_system_does_not_take_the_task_writes_before_all_else() {
    let (outbox, mut client) = wired().await;
    let filler = "x".repeat(50_000);
    let mut written = 0;
    while sleeps(&outbox) {
        outbox.push(filler.as_str().into());
        outbox.write_out(&mut Vec::new());
        written += 1;
    }
    assert!(outbox.take().has_rest, "the task is told");
    let wake = &mut Context::from_waker(Waker::noop());
    assert!(outbox.poll_flush(wake).is_pending() && outbox.poll_write(wake, b"behind").is_pending());
    outbox.push("later".into());
    outbox.write_out(&mut Vec::new());
    assert_eq!(texts(outbox.take().frames), ["later"], "nobody writes in between");
    let frame = [b"\x81\x7e", &50_000_u16.to_be_bytes()[..], filler.as_bytes()].concat();
    let all = async {
        for _ in 0..written {
            assert!(reads(&mut client, frame.len()).await == frame);
        }
        assert_eq!(reads(&mut client, 6).await, b"behind");
    };
    tokio::join!(all, async {
        assert_eq!(poll_fn(|wake| outbox.poll_write(wake, b"behind")).await.unwrap(), 6);
    });
}

#[tokio::test]
async fn nothing_is_written_into_the_middle_of_a_frame() {
    let (outbox, _client) = wired().await;
    let half = vec![0; 50_000_000];
    let taken = poll_fn(|wake| outbox.poll_write(wake, &half)).await.unwrap();
    assert!(taken < half.len());
    assert!(sleeps(&outbox) && outbox.push("between".into()));
    outbox.write_out(&mut Vec::new());
    assert_eq!(texts(outbox.take().frames), ["between"]);
}

#[tokio::test]
async fn without_a_connection_nobody_writes() {
    let (outbox, mut client) = wired().await;
    assert!(sleeps(&outbox) && outbox.push("late".into()));
    outbox.detach();
    outbox.write_out(&mut Vec::new());
    let mut read = Vec::new();
    assert!(poll_fn(|wake| outbox.poll_write(wake, b"later")).await.is_err());
    drop(client.write_all(b"x").await);
    drop(client.read_to_end(&mut read).await);
    assert_eq!(read, b"");
}
