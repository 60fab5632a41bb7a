//! Who gets the next conversation, and how long the others wait.

use crate::{clock::Millis, ids::AgentId};

/// How many conversations an agent has at once unless its account says otherwise.
pub const DEFAULT_CAPACITY: u32 = 5;

/// What the first visitors of the day are told before anything was measured: two minutes a conversation.
const FIRST_GUESS_MS: Millis = 120_000;

/// An agent as routing sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub agent: AgentId,
    /// Open conversations it has now.
    pub load: u32,
    /// How many it takes at once.
    pub capacity: u32,
    /// When it was last given one; the longest idle comes first among equals.
    pub last_given: Millis,
}

/// The least busy of those with room, by share of their capacity; among equals the one who has waited longest.
pub fn choose(candidates: impl IntoIterator<Item = Candidate>) -> Option<Candidate> {
    candidates.into_iter().filter(|candidate| candidate.load < candidate.capacity).min_by(|a, b| {
        // load/capacity compared without division
        let (left, right) = (u64::from(a.load) * u64::from(b.capacity), u64::from(b.load) * u64::from(a.capacity));
        left.cmp(&right).then(a.last_given.cmp(&b.last_given)).then(a.agent.cmp(&b.agent))
    })
}

/// How fast the line moves: an exponentially weighted mean of the time between two that left it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    last_left: Option<Millis>,
    mean_ms: Option<Millis>,
}

impl Pace {
    /// Someone left the line for an agent.
    pub fn left_line(&mut self, now: Millis) {
        if let Some(last) = self.last_left {
            let gap = (now - last).clamp(0, 30 * 60_000);
            // Weight 1/4: follows the hour of the day, not a single long chat.
            self.mean_ms = Some(self.mean_ms.map_or(gap, |mean| mean + (gap - mean) / 4));
        }
        self.last_left = Some(now);
    }

    /// How long the one at `position` (1 is next) will wait, in ms, with `online` agents at work; `None` when nobody is.
    pub fn eta_ms(&self, position: u64, online: u32) -> Option<Millis> {
        if online == 0 {
            return None;
        }
        let step = self.mean_ms.unwrap_or(FIRST_GUESS_MS / Millis::from(online));
        // Whole tens of seconds: the figure is an estimate and should look like one.
        let eta = step.saturating_mul(i64::try_from(position).unwrap_or(i64::MAX));
        Some(eta.saturating_add(9_999) / 10_000 * 10_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(load: u32, capacity: u32, last_given: Millis) -> Candidate {
        Candidate { agent: AgentId::generate(), load, capacity, last_given }
    }

    #[test]
    fn the_least_busy_with_room_gets_it() {
        let (busy, free) = (candidate(3, 5, 0), candidate(1, 5, 9));
        assert_eq!(choose([busy, free]), Some(free));
        let (half_of_ten, two_of_three) = (candidate(5, 10, 0), candidate(2, 3, 0));
        assert_eq!(choose([two_of_three, half_of_ten]), Some(half_of_ten));
        assert_eq!(choose([candidate(5, 5, 0), candidate(0, 0, 0)]), None);
    }

    #[test]
    fn among_equals_the_longest_idle() {
        let (early, late) = (candidate(1, 5, 100), candidate(1, 5, 200));
        assert_eq!(choose([late, early]), Some(early));
    }

    #[test]
    fn the_wait_grows_with_the_position_and_follows_the_pace() {
        let mut pace = Pace::default();
        assert_eq!(pace.eta_ms(1, 0), None);
        assert_eq!(pace.eta_ms(1, 2), Some(60_000));
        for at in [0, 30_000, 60_000] {
            pace.left_line(at);
        }
        assert_eq!(pace.eta_ms(3, 2), Some(90_000));
    }
}
