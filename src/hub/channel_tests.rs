//! A listener gets each entry once and in order, whatever the order of arrival.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::{
    hub::{
        flusher::Flusher,
        outbox::{Outbox, OutboxLimits},
    },
    ids::{ProjectId, SessionId, VisitorId},
};

fn member(number: u64) -> Arc<Member> {
    Arc::new(Member {
        number,
        project: ProjectId::generate(),
        token: parking_lot::Mutex::new((SessionId::generate(), Arc::default())),
        subject: Subject::Visitor(VisitorId::generate()),
        address: Ipv4Addr::LOCALHOST.into(),
        outbox: Outbox::new(OutboxLimits { frames: 10_000, bytes: 1_000_000, bytes_limit: "outbox_visitor_bytes" }),
        flusher: Arc::<Flusher>::default(),
        topics: parking_lot::Mutex::default(),
        opened: parking_lot::Mutex::default(),
    })
}

fn received(member: &Member) -> Vec<u64> {
    member.outbox.take().frames.iter().map(|frame| frame.as_str().parse().unwrap()).collect()
}

fn frame(seq: u64) -> Utf8Bytes {
    seq.to_string().into()
}

#[test]
fn what_comes_while_the_log_is_read_is_held_and_follows() {
    let (mut channel, member) = (Channel::default(), member(1));
    channel.join(&member);
    assert!(channel.deliver(8, &frame(8)).is_empty());
    assert_eq!(received(&member), Vec::<u64>::new());
    assert!(channel.go_on(1, 7).is_none());
    assert!(channel.deliver(9, &frame(9)).is_empty());
    assert_eq!(received(&member), vec![8, 9]);
}

#[test]
fn a_hole_is_told_once_and_heals() {
    let (mut channel, member) = (Channel::default(), member(1));
    channel.join_new(&member, 3);
    let gaps = channel.deliver(6, &frame(6));
    assert_eq!(gaps.iter().map(|gap| gap.last).collect::<Vec<_>>(), vec![3]);
    assert!(channel.deliver(7, &frame(7)).is_empty());
    assert!(channel.go_on(1, 5).is_none());
    assert_eq!(received(&member), vec![6, 7]);
}

#[test]
fn who_is_behind_the_log_is_told_once_and_heals() {
    let (mut channel, here, there) = (Channel::default(), member(1), member(2));
    channel.join_new(&here, 3);
    channel.join_new(&there, 5);
    let lasts = |gaps: Vec<Gap>| gaps.iter().map(|gap| (gap.member.number, gap.last)).collect::<Vec<_>>();
    assert_eq!(lasts(channel.behind(5)), vec![(1, 3)]);
    assert_eq!(lasts(channel.behind(5)), vec![]);
    assert!(channel.go_on(1, 5).is_none());
    assert_eq!(lasts(channel.behind(5)), vec![]);
}

#[test]
fn one_that_read_the_log_before_a_check_did_reads_it_again() {
    let (mut channel, member) = (Channel::default(), member(1));
    channel.join(&member);
    assert!(channel.behind(6).is_empty());
    assert_eq!(channel.go_on(1, 5).map(|gap| gap.last), Some(5));
    assert!(channel.go_on(1, 6).is_none());
}

#[test]
fn one_that_holds_too_much_starts_over() {
    let (mut channel, member) = (Channel::default(), member(1));
    channel.join(&member);
    for seq in 0..=MAX_HELD as u64 {
        channel.deliver(seq + 100, &frame(seq));
    }
    assert_eq!(member.outbox.take().ending, Some(CloseCode::Resync));
}

proptest! {
    #[test]
    fn any_order_with_repeats_gives_each_entry_once_in_order(
        arrivals in proptest::collection::vec(1_u64..30, 1..200),
        start in 0_u64..10,
    ) {
        let (mut channel, member) = (Channel::default(), member(1));
        channel.join_new(&member, start);
        for seq in arrivals {
            for gap in channel.deliver(seq, &frame(seq)) {
                // Repair reads the log up to what is there: everything before the one that just came.
                for missed in gap.last + 1..seq {
                    member.push(frame(missed));
                }
                prop_assert!(channel.go_on(1, seq - 1).is_none());
            }
        }
        let got = received(&member);
        let expected: Vec<u64> = (start + 1..start + 1 + got.len() as u64).collect();
        prop_assert_eq!(got, expected);
    }
}

/// A listener, and the reading of the log for it: asked, answered, and come, with anything in between.
struct Listening {
    channel: Channel,
    member: Arc<Member>,
    /// How far the log is.
    end: u64,
    /// From where it is read for the listener, and how far it was when it answered.
    reading: Option<(u64, Option<u64>)>,
}

impl Listening {
    fn from(start: u64) -> Self {
        let (mut channel, member) = (Channel::default(), member(1));
        channel.join(&member);
        Self { channel, member, end: start, reading: Some((start, None)) }
    }

    fn asks(&mut self, gaps: Vec<Gap>) {
        for gap in gaps {
            assert!(self.reading.is_none(), "the log is read twice for one listener");
            self.reading = Some((gap.last, None));
        }
    }

    fn step(&mut self, what: u8, seq: u64) {
        match what {
            0 => self.end += 1,
            1 if seq <= self.end => {
                let gaps = self.channel.deliver(seq, &frame(seq));
                self.asks(gaps);
            }
            2 => {
                let gaps = self.channel.behind(self.end);
                self.asks(gaps);
            }
            3 => self.reading = self.reading.map(|(from, answer)| (from, answer.or(Some(self.end)))),
            4 => self.answer_comes(),
            _ => {}
        }
    }

    fn answer_comes(&mut self) {
        let Some((from, Some(answer))) = self.reading else { return };
        self.reading = None;
        for seq in from + 1..=answer {
            self.member.push(frame(seq));
        }
        let gap = self.channel.go_on(1, answer);
        self.asks(gap.into_iter().collect());
    }
}

proptest! {
    #[test]
    fn whatever_comes_while_the_log_is_read_each_entry_comes_once_in_order(
        steps in proptest::collection::vec((0_u8..5, 1_u64..60), 1..400),
        start in 0_u64..10,
    ) {
        let mut listening = Listening::from(start);
        for (what, seq) in steps {
            listening.step(what, seq);
        }
        // A look at the log, and what it asks for, bring the rest.
        for what in [2, 3, 4, 3, 4] {
            listening.step(what, 0);
        }
        prop_assert_eq!(listening.reading, None);
        prop_assert_eq!(received(&listening.member), (start + 1..=listening.end).collect::<Vec<_>>());
    }
}
