//! A day of a shop: who comes when, and what each has in mind. The same seed gives the same day.

use std::time::Duration;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

/// How many of a day's visitors come in each hour, in thousandths: a quiet night, a peak before noon, another after work.
const HOURS: [u32; 24] = [8, 5, 3, 3, 4, 8, 18, 34, 54, 70, 78, 72, 58, 60, 64, 62, 58, 60, 66, 68, 58, 44, 29, 16];

/// A day that is over in `length`: everything that people do takes less time by the same factor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    factor: f64,
}

const DAY_S: f64 = 86_400.0;

impl Clock {
    pub(crate) fn new(length: Duration) -> Self {
        Self { factor: length.as_secs_f64() / DAY_S }
    }

    /// How long something takes here that takes so many seconds in the world.
    pub(crate) fn secs(self, world: f64) -> Duration {
        Duration::from_secs_f64(world * self.factor)
    }
}

/// What one visitor has in mind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Visit {
    /// When it comes, in seconds of the day.
    pub(crate) at_s: f64,
    /// How long it looks at each page, in seconds.
    pub(crate) pages_s: Vec<f64>,
    pub(crate) chat: Option<Chat>,
}

/// What one conversation is to be like.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chat {
    /// How long the visitor types each of its messages, in seconds.
    pub(crate) turns_s: Vec<f64>,
    /// Before this turn it goes to another page, and its socket with it.
    pub(crate) navigates_at: Option<usize>,
    /// After this turn it goes away for so many seconds and does not wait for the answer.
    pub(crate) walks_off: Option<(usize, f64)>,
    /// The agent gives it to another one instead of answering this turn.
    pub(crate) transferred_at: Option<usize>,
    /// The agent writes a note before it answers this turn.
    pub(crate) note_at: Option<usize>,
    /// How long the agent takes to answer, in seconds.
    pub(crate) answer_s: f64,
    /// The visitor ends it, otherwise the agent.
    pub(crate) visitor_closes: bool,
    pub(crate) rating: Option<u8>,
}

/// The visits of a day, in the order in which they begin.
pub(crate) fn visits(count: usize, chatting: f64, seed: u64) -> Vec<Visit> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut visits: Vec<Visit> = (0..count).map(|_| visit(&mut random, chatting)).collect();
    visits.sort_by(|one, other| one.at_s.total_cmp(&other.at_s));
    visits
}

fn visit(random: &mut StdRng, chatting: f64) -> Visit {
    let pages = 1 + random.random_range(0..5_usize);
    Visit {
        at_s: moment(random),
        pages_s: (0..pages).map(|_| random.random_range(10.0..90.0)).collect(),
        chat: random.random_bool(chatting).then(|| chat(random)),
    }
}

/// A moment of the day: by how many come in each hour.
fn moment(random: &mut StdRng) -> f64 {
    let mut left = random.random_range(0..HOURS.iter().sum::<u32>());
    for (hour, share) in (0_u32..).zip(HOURS) {
        match left.checked_sub(share) {
            Some(rest) => left = rest,
            None => return 3600.0 * (f64::from(hour) + random.random_range(0.0..1.0)),
        }
    }
    0.0
}

fn chat(random: &mut StdRng) -> Chat {
    let turns = random.random_range(1..=7_usize);
    let mut at = |chance| random.random_bool(chance).then(|| random.random_range(0..turns));
    let (navigates_at, walks_off, transferred_at, note_at) = (at(0.25), at(0.06), at(0.1), at(0.3));
    Chat {
        turns_s: (0..turns).map(|_| random.random_range(4.0..40.0)).collect(),
        navigates_at,
        walks_off: walks_off.map(|turn| (turn, random.random_range(60.0..1800.0))),
        transferred_at,
        note_at,
        answer_s: random.random_range(5.0..45.0),
        visitor_closes: random.random_bool(0.3),
        rating: random.random_bool(0.5).then(|| random.random_range(1..=5)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_its_nights_and_the_same_seed_gives_the_same_one() {
        let day = visits(4_000, 0.5, 7);
        assert_eq!(day, visits(4_000, 0.5, 7));
        assert_ne!(day, visits(4_000, 0.5, 8));
        let between = |from: f64, to: f64| day.iter().filter(|visit| (from..to).contains(&visit.at_s)).count();
        assert_eq!(between(0.0, DAY_S), 4_000);
        assert!(between(0.0, 18_000.0) * 5 < between(32_400.0, 50_400.0), "five hours at night, five by day");
        let chats = day.iter().filter(|visit| visit.chat.is_some()).count();
        assert!((1_800..2_200).contains(&chats), "{chats}");
    }

    #[test]
    fn a_clock_shortens_everything_alike() {
        assert_eq!(Clock::new(Duration::from_mins(5)).secs(DAY_S), Duration::from_mins(5));
        assert_eq!(Clock::new(Duration::from_hours(24)).secs(7.0), Duration::from_secs(7));
    }
}
