//! A listener gets each entry once and in order, whatever the order of arrival.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::{
    hub::outbox::{Outbox, OutboxLimits},
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
                    member.outbox.push(frame(missed));
                }
                prop_assert!(channel.go_on(1, seq - 1).is_none());
            }
        }
        let got = received(&member);
        let expected: Vec<u64> = (start + 1..start + 1 + got.len() as u64).collect();
        prop_assert_eq!(got, expected);
    }
}
