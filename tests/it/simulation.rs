//! Resume and fan-out, simulated: the real sessions, desks and hubs of several nodes, over one log and a network on which
//! messages are late, doubled or lost and nodes can't hear, can't speak, or die. What happens next is thrown by dice, so a
//! seed that found something finds it again.

mod client;
mod dice;
mod judge;
mod network;
mod node;
mod rest;
mod story;
mod trace;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use self::world::run;

/// How many run at a time.
const THREADS: usize = 2;
/// How many seeds CI runs. `SIMULATION_SEEDS` says another number.
const SEEDS: u64 = 150;

/// The seeds to be run: all of `SIMULATION_SEEDS`, or the one that `SIMULATION_SEED` names.
fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIMULATION_SEEDS").unwrap_or(SEEDS),
    }
}

fn judge(seed: u64) {
    let outcome = run(seed);
    let is_well = outcome.faults.is_empty();
    assert!(is_well, "{}\nSIMULATION_SEED={seed} runs this again: {:#?}", outcome.trace, outcome.faults);
}

#[test]
fn whatever_happens_nothing_is_lost_doubled_or_reordered() {
    let (next, end) = (AtomicU64::new(seeds().start), seeds().end);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let seed = next.fetch_add(1, Ordering::Relaxed)
                    && seed < end
                {
                    judge(seed);
                }
            });
        }
    });
}

#[test]
fn a_seed_always_tells_the_same_story() {
    for seed in 0..20 {
        let (one, other) = (run(seed), run(seed));
        assert_eq!(one.trace.hash(), other.trace.hash(), "seed {seed}: {:?}", one.trace.first_difference(&other.trace));
    }
}
