//! The checker against histories that are broken on purpose: a judge that never finds anything is worth nothing.

use super::*;

/// A log in one conversation with two writers and two readers, as a server should keep it. Tests break it.
struct Story {
    checker: Checker,
    log: Vec<Mark>,
}

fn all_faults(verdict: &Verdict) -> u64 {
    Fault::ALL.into_iter().map(|fault| verdict.count(fault)).sum()
}

impl Story {
    /// `count` messages, alternating writers, all stored and acknowledged, none delivered yet.
    fn told(count: u64) -> Self {
        let mut story = Self { checker: Checker::new(2, [true, true]), log: Vec::new() };
        for turn in 0..count {
            let mark = story.checker.sent(usize::from(turn % 2 == 1));
            story.log.push(mark);
            story.checker.acked(mark, turn + 1);
        }
        story
    }

    fn deliver(&mut self, reader: usize, seqs: impl IntoIterator<Item = u64>) {
        for seq in seqs {
            let mark = self.log[usize::try_from(seq - 1).unwrap()];
            self.checker.received(reader, seq, Seen::Message(mark));
        }
    }

    fn verdict(self) -> Verdict {
        self.checker.finish()
    }

    /// Asserts that exactly these kinds of fault are found.
    fn shows(self, expected: &[(Fault, u64)]) {
        let verdict = self.verdict();
        let found: Vec<_> =
            Fault::ALL.into_iter().map(|fault| (fault, verdict.count(fault))).filter(|(_, count)| *count > 0).collect();
        assert_eq!(found, expected, "{:?}", verdict.examples());
    }
}

#[test]
fn an_honest_log_is_found_clean() {
    let mut story = Story::told(100);
    story.deliver(0, 1..=100);
    story.deliver(1, 1..=100);
    let verdict = story.verdict();
    assert_eq!((verdict.sent, verdict.acked, verdict.received, verdict.unanswered), (100, 100, 200, 0));
    assert_eq!(all_faults(&verdict), 0);
}

#[test]
fn an_acknowledged_message_that_nobody_gets_is_lost_and_leaves_a_gap() {
    let mut story = Story::told(10);
    story.deliver(0, (1..=10).filter(|seq| *seq != 4));
    story.deliver(1, (1..=10).filter(|seq| *seq != 4));
    story.shows(&[(Fault::Lost, 1), (Fault::Gap, 2)]);
}

#[test]
fn a_tail_that_one_reader_misses_is_undelivered_though_no_gap_shows() {
    let mut story = Story::told(10);
    story.deliver(0, 1..=10);
    story.deliver(1, 1..=9);
    story.shows(&[(Fault::Undelivered, 1)]);
}

#[test]
fn an_acknowledgement_before_a_commit_that_fails_is_a_loss() {
    let mut story = Story::told(4);
    let early = story.checker.sent(0);
    story.checker.acked(early, 5);
    story.deliver(0, 1..=4);
    story.deliver(1, 1..=4);
    // The server came back without it and gave its place away.
    let other = story.checker.sent(1);
    story.checker.acked(other, 5);
    story.checker.received(0, 5, Seen::Message(other));
    story.checker.received(1, 5, Seen::Message(other));
    let verdict = story.verdict();
    assert!(all_faults(&verdict) > 0);
    assert_eq!(verdict.count(Fault::Lost), 1);
}

#[test]
fn the_same_place_twice_is_a_duplicate() {
    let mut story = Story::told(5);
    story.deliver(0, [1, 2, 3, 3, 4, 5]);
    story.deliver(1, 1..=5);
    story.shows(&[(Fault::Duplicated, 1)]);
}

#[test]
fn one_message_at_two_places_is_a_duplicate() {
    let mut story = Story::told(2);
    let twice = story.log[0];
    for reader in 0..2 {
        story.deliver(reader, 1..=2);
        story.checker.received(reader, 3, Seen::Message(twice));
    }
    story.shows(&[(Fault::Duplicated, 1)]);
}

#[test]
fn swapped_deliveries_are_reordered() {
    let mut story = Story::told(5);
    story.deliver(0, [1, 3, 2, 4, 5]);
    story.deliver(1, 1..=5);
    story.shows(&[(Fault::Reordered, 1)]);
}

#[test]
fn a_writers_messages_stored_in_another_order_are_reordered() {
    let mut checker = Checker::new(1, [true]);
    let (first, second) = (checker.sent(0), checker.sent(0));
    checker.acked(second, 1);
    checker.acked(first, 2);
    checker.received(0, 1, Seen::Message(second));
    checker.received(0, 2, Seen::Message(first));
    assert_eq!(checker.finish().count(Fault::Reordered), 1);
}

#[test]
fn two_readers_with_different_logs_disagree() {
    let mut story = Story::told(4);
    story.deliver(0, 1..=4);
    story.deliver(1, 1..=2);
    let (third, fourth) = (story.log[2], story.log[3]);
    story.checker.received(1, 3, Seen::Message(fourth));
    story.checker.received(1, 4, Seen::Message(third));
    story.shows(&[(Fault::Disagreed, 2)]);
}

#[test]
fn an_acknowledgement_with_the_wrong_place_disagrees() {
    let mut checker = Checker::new(1, [true]);
    let mark = checker.sent(0);
    checker.acked(mark, 7);
    checker.received(0, 1, Seen::Message(mark));
    assert_eq!(checker.finish().count(Fault::Disagreed), 1);
}

#[test]
fn a_refused_message_that_is_stored_is_an_aborted_read() {
    let mut checker = Checker::new(1, [true]);
    let mark = checker.sent(0);
    checker.refused(mark);
    checker.received(0, 1, Seen::Message(mark));
    assert_eq!(checker.finish().count(Fault::Aborted), 1);
}

#[test]
fn what_nobody_sent_is_foreign() {
    let mut story = Story::told(2);
    for reader in 0..2 {
        story.deliver(reader, 1..=2);
        story.checker.received(reader, 3, Seen::Unknown);
        story.checker.received(reader, 4, Seen::Message(Mark { writer: 0, count: 99 }));
    }
    story.shows(&[(Fault::Foreign, 2)]);
}

#[test]
fn the_servers_own_entries_take_places_and_may_not_be_missing_either() {
    let mut checker = Checker::new(1, [true]);
    let mark = checker.sent(0);
    checker.acked(mark, 3);
    checker.received(0, 1, Seen::Event);
    checker.received(0, 3, Seen::Message(mark));
    let verdict = checker.finish();
    assert_eq!((verdict.count(Fault::Gap), all_faults(&verdict)), (1, 1));
}

#[test]
fn an_unanswered_message_may_be_there_or_not() {
    let mut checker = Checker::new(1, [true]);
    let (stored, _gone) = (checker.sent(0), checker.sent(0));
    checker.received(0, 1, Seen::Message(stored));
    let verdict = checker.finish();
    assert_eq!((all_faults(&verdict), verdict.unanswered), (0, 2));
}

#[test]
fn what_is_not_for_a_reader_leaks_and_is_not_missed_by_it() {
    let story = |leak: bool| {
        let mut checker = Checker::new(1, [false, true]);
        let mark = checker.sent(0);
        checker.acked(mark, 1);
        checker.received(1, 1, Seen::Message(mark));
        if leak {
            checker.received(0, 1, Seen::Message(mark));
        }
        checker.finish()
    };
    assert_eq!(all_faults(&story(false)), 0);
    let verdict = story(true);
    assert_eq!((verdict.count(Fault::Leaked), all_faults(&verdict)), (1, 1));
}

#[test]
fn who_reads_the_log_afterwards_tells_lost_from_undelivered() {
    let mut story = Story::told(3);
    story.deliver(0, 1..=2);
    story.deliver(1, 1..=3);
    let auditor = story.checker.add_reader();
    story.deliver(auditor, 1..=3);
    story.shows(&[(Fault::Undelivered, 1)]);
}

#[test]
fn verdicts_add_up() {
    let mut story = Story::told(3);
    story.deliver(0, 1..=3);
    let mut sum = Verdict::default();
    sum += story.verdict();
    sum += Story::told(1).verdict();
    assert_eq!((sum.sent, sum.count(Fault::Undelivered), sum.count(Fault::Lost)), (4, 3, 1));
    assert!(sum.examples().len() <= EXAMPLES);
}
