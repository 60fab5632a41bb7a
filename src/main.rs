//! The program: read the command line, do it, say how it went.

use std::{process::ExitCode, time::Instant};

use clap::Parser as _;

/// With the C library's a message costs nearly a fifth more CPU, in its own code and by scattering what belongs together.
/// SQLite keeps that one: all of the process on this one would not start under libfaketime.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let begun = Instant::now();
    deskbell::cli::Cli::parse().run(begun)
}
