//! CPU and memory that a part of a run took: of the server, of each of a cluster's processes, of this program.

use std::time::{Duration, Instant};

use crate::{
    flights::micros,
    procfs::{self, Reading, Readings},
    report::{Figures, whole},
    target::Target,
};

/// What was read of processes when it began.
pub(crate) struct Usage {
    began: Instant,
    server: Option<Reading>,
    /// Where there are several: each, by name.
    each: Readings,
    own: Option<Reading>,
    machine: Option<Duration>,
}

/// How long it went on, and how many messages there were.
struct Span {
    seconds: f64,
    messages: f64,
}

impl Usage {
    pub(crate) fn begin(target: &Target) -> Self {
        Self {
            began: Instant::now(),
            server: target.read(),
            each: target.read_each(),
            own: procfs::read(std::process::id()),
            machine: procfs::machine_cpu(),
        }
    }

    /// Sets what has been used since, in percent of a core and for each of so many messages.
    pub(crate) fn tell(self, target: &Target, messages: u64, figures: &mut Figures) {
        let span = Span { seconds: self.began.elapsed().as_secs_f64(), messages: whole(messages).max(1.0) };
        let mut ours = Duration::ZERO;
        if let (Some(before), Some(after)) = (self.server, target.read()) {
            ours += span.tell("server", before, after, figures);
            figures.set("server_rss_mb", whole(after.rss) / 1e6);
        }
        for ((name, before), (_, after)) in self.each.iter().zip(target.read_each()) {
            let busy = span.tell(name, *before, after, figures);
            // The nodes are the server.
            ours += if name.starts_with("node_") { Duration::ZERO } else { busy };
        }
        if let (Some(before), Some(after)) = (self.own, procfs::read(std::process::id())) {
            ours += span.tell("harness", before, after, figures);
        }
        if let (Some(before), Some(after)) = (self.machine, procfs::machine_cpu()) {
            // Interrupts and the disk are in it too; much more than 10 says that the machine was not ours alone.
            let others = after.saturating_sub(before).saturating_sub(ours);
            figures.set("others_cpu_percent", 100.0 * others.as_secs_f64() / span.seconds);
        }
    }
}

impl Span {
    fn tell(&self, who: &str, before: Reading, after: Reading, figures: &mut Figures) -> Duration {
        let busy = after.cpu.saturating_sub(before.cpu);
        figures.set(format!("{who}_cpu_percent"), 100.0 * busy.as_secs_f64() / self.seconds);
        figures.set(format!("{who}_cpu_us_per_message"), whole(micros(busy)) / self.messages);
        busy
    }
}
