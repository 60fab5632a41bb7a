//! How often the functions of the bench `hot` allocate, and how many bytes, each time that they run.
//! `cargo bench --bench allocations`; a word behind `--` names which. Another program, because counting takes time.
//!
//! What other threads allocate is not counted, nor what SQLite does; memory that is made larger counts once more.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people, who see when it fails")]

mod cases;

use allocation_counter::{AllocationInfo, measure};

/// So often each runs before it is counted: what is allocated once, at first, is none of what each run takes.
const WARM_UP: usize = 100;
/// So often each is counted.
const RUNS: u64 = 1_000;

/// Counts allocations.
struct Counter {
    /// What the names have in them.
    wanted: String,
}

impl cases::Gauge for Counter {
    fn plain<R>(&mut self, name: &str, run: impl FnMut() -> R) {
        let mut run = run;
        self.prepared(name, || (), |()| drop(run()));
    }

    fn prepared<T>(&mut self, name: &str, prepare: impl FnMut() -> T, run: impl FnMut(T)) {
        if !name.contains(&self.wanted) {
            return;
        }
        let (mut prepare, mut run) = (prepare, run);
        (0..WARM_UP).for_each(|_| run(prepare()));
        let mut sum = AllocationInfo::default();
        for _ in 0..RUNS {
            let input = prepare();
            sum += measure(|| run(input));
        }
        println!("{name:<46} {:>9} {:>11}", average(sum.count_total), average(sum.bytes_total));
    }
}

/// With one decimal: what happens only every so many runs is a part of each.
fn average(sum: u64) -> String {
    let tenths = (sum * 10 + RUNS / 2) / RUNS;
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn main() {
    // A test runner asks which tests there are: none.
    if std::env::args().any(|word| word == "--list") {
        return;
    }
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    println!("{:<46} {:>9} {:>11}", "each run", "allocates", "bytes");
    cases::all(&mut Counter { wanted });
}
