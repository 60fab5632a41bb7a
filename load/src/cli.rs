//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::{
    chat, crowd, drills, fanout, growth, handshake, idle, mixed, report::Condition, soak, start, storm, target::Options,
};

/// What a Deskbell server bears, measured against the limit of its own stack. Every run with messages is also a
/// correctness run: a message lost, duplicated, reordered or foreign makes it fail.
#[derive(Debug, Parser)]
#[command(name = "deskbell-load", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) output: Output,
    /// Threads of this program.
    #[arg(long, global = true, default_value_t = 1)]
    pub(crate) threads: usize,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What becomes of the figures.
#[derive(Debug, Default, Args)]
pub(crate) struct Output {
    /// Repeat so many times, each with a fresh server, and show the medians.
    #[arg(long, global = true, default_value_t = 1)]
    pub(crate) runs: usize,
    /// Write the figures, all runs and the machine to this file.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Draw the figures on a page of their own.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Fail when a median is so, as in `ack_p99_ms>10`. May be given several times.
    #[arg(long, global = true, value_name = "CONDITION")]
    pub(crate) fail_if: Vec<Condition>,
}

/// What to measure.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Against {
    /// Measure the baseline in the same run, and the ratio.
    #[arg(long)]
    pub(crate) with_baseline: bool,
    /// Measure the baseline and no server.
    #[arg(long, conflicts_with_all = ["with_baseline", "url"])]
    pub(crate) baseline_only: bool,
}

impl Against {
    /// Whether the baseline is measured.
    pub(crate) const fn wants_baseline(self) -> bool {
        self.with_baseline || self.baseline_only
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Time to start, and memory of an empty server; also on a long log after a kill.
    Start {
        #[command(flatten)]
        target: Options,
        #[command(flatten)]
        settings: start::Settings,
    },
    /// Sessions that say nothing: memory, CPU and heartbeats of each.
    Idle {
        #[command(flatten)]
        target: Options,
        #[command(flatten)]
        settings: idle::Settings,
        #[command(flatten)]
        against: Against,
    },
    /// Visitors and agents talk, at a fixed rate or as fast as they can.
    Chat {
        #[command(flatten)]
        target: Options,
        #[command(flatten)]
        settings: chat::Settings,
        #[command(flatten)]
        against: Against,
        /// Measure this server in the same run, too: a folder of `load/peers`. May be given several times.
        #[arg(long = "peer", value_name = "FOLDER", conflicts_with_all = ["tls", "baseline_only"])]
        peers: Vec<PathBuf>,
    },
    /// The same rate of messages over ever more conversations: does one cost more where there are many?
    Growth {
        #[command(flatten)]
        target: Options,
        #[command(flatten)]
        settings: growth::Settings,
    },
    /// A realistic day on a clock that runs fast: visitors come, look around, ask, go; agents answer, hand over, close.
    Mixed {
        #[command(flatten)]
        target: Options,
        #[command(flatten)]
        settings: mixed::Settings,
    },
    /// Hours of chat while people come and go: does memory, the count of descriptors or latency grow?
    Soak {
        #[command(flatten)]
        target: Options,
        #[command(flatten)]
        settings: soak::Settings,
    },
    /// One visitor writes, many agents watch.
    Fanout {
        #[command(flatten)]
        target: Options,
        #[command(flatten)]
        settings: fanout::Settings,
        #[command(flatten)]
        against: Against,
    },
    /// TLS connections a second, full and resumed.
    Handshake {
        #[command(flatten)]
        target: Options,
        #[command(flatten)]
        settings: handshake::Settings,
        #[command(flatten)]
        against: Against,
    },
    /// Everybody is cut off and comes back at once.
    Storm {
        #[command(flatten)]
        target: Options,
        #[command(flatten)]
        settings: storm::Settings,
    },
    /// A crowd writes and reads over all nodes; is anything lost, doubled, out of order, or told to the wrong people?
    Check {
        /// A node, as `wss://127.0.0.1:8443`; once for each. Without it a server is started for the run.
        #[arg(long = "node", value_name = "URL", requires = "config", conflicts_with_all = ["url", "tls"])]
        nodes: Vec<String>,
        #[command(flatten)]
        target: Options,
        #[command(flatten)]
        settings: crowd::Settings,
    },
    /// Every fault that a cluster must survive, with real processes and every message judged.
    Drills {
        #[command(flatten)]
        settings: drills::Settings,
    },
    /// Several of these, one after the other, as a TOML file says, and a table of the goals that it names.
    Run {
        /// The file: `[[step]]` with `command = "chat"` and its options, `[[step.goal]]` with what is to be reached.
        file: PathBuf,
    },
    /// Hold sessions as the standard input says: what `idle --processes` starts.
    #[command(hide = true)]
    Herd {
        #[command(flatten)]
        target: Options,
        /// The most sessions.
        #[arg(long)]
        sessions: usize,
    },
    /// Serve as the yardstick: relay frames between pairs of sockets, and nothing else.
    Baseline {
        /// Where to listen; the address is printed.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// A certificate, in PEM, for TLS.
        #[arg(long, value_name = "FILE", requires = "key")]
        certificate: Option<PathBuf>,
        /// Its private key.
        #[arg(long, value_name = "FILE", requires = "certificate")]
        key: Option<PathBuf>,
    },
}

impl Command {
    /// What the command measures, if it measures.
    pub(crate) fn target(&self) -> Option<&Options> {
        match self {
            Self::Start { target, .. }
            | Self::Idle { target, .. }
            | Self::Chat { target, .. }
            | Self::Growth { target, .. }
            | Self::Fanout { target, .. }
            | Self::Handshake { target, .. }
            | Self::Check { target, .. }
            | Self::Mixed { target, .. }
            | Self::Soak { target, .. }
            | Self::Herd { target, .. }
            | Self::Storm { target, .. } => Some(target),
            Self::Drills { .. } | Self::Run { .. } | Self::Baseline { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
