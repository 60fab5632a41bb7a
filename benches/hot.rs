//! How long the single functions take that run for each message, session or request. `cargo bench --bench hot`; a word behind
//! `--` names which, and `-- --save-baseline NAME` and `-- --baseline NAME` compare two builds. How often each of them
//! allocates: `cargo bench --bench allocations`. What whole parts do: the benches `log` and `bus`, and `deskbell-load`.
#![expect(clippy::unwrap_used, reason = "a program for people, who see when it fails")]

mod cases;

use std::time::Duration;

use criterion::{BatchSize, Criterion};

/// The server's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures time.
struct Stopwatch(Criterion);

impl cases::Gauge for Stopwatch {
    fn plain<R>(&mut self, name: &str, run: impl FnMut() -> R) {
        let mut run = run;
        self.0.bench_function(name, |bencher| bencher.iter(&mut run));
    }

    fn prepared<T>(&mut self, name: &str, prepare: impl FnMut() -> T, run: impl FnMut(T)) {
        let (mut prepare, mut run) = (prepare, run);
        self.0.bench_function(name, |bencher| bencher.iter_batched(&mut prepare, &mut run, BatchSize::SmallInput));
    }
}

fn main() {
    let criterion =
        Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(1));
    let mut stopwatch = Stopwatch(criterion.sample_size(50).configure_from_args());
    cases::all(&mut stopwatch);
    stopwatch.0.final_summary();
}
