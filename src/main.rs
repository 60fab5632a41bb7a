//! The program: read the command line, do it, say how it went.

use std::{process::ExitCode, time::Instant};

use clap::Parser as _;

fn main() -> ExitCode {
    let begun = Instant::now();
    deskbell::cli::Cli::parse().run(begun)
}
