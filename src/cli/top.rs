//! `deskbell top`: what a running node does, again every second.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use clap::Args;

use super::{Common, Failure, checks, print};

/// Show what the running server of this configuration does.
#[derive(Args)]
pub(super) struct Top {
    /// How many seconds between two looks
    #[arg(long, default_value_t = 1, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=3_600))]
    every: u16,
    /// Look once, print, and end
    #[arg(long)]
    once: bool,
}

impl Top {
    pub(super) async fn run(self, common: &Common) -> Result<(), Failure> {
        let every = Duration::from_secs(self.every.into());
        let mut before = Look::take(common).await?;
        loop {
            tokio::time::sleep(every).await;
            let page = match Look::take(common).await {
                Ok(now) => {
                    let page = page(&now, &before);
                    before = now;
                    page
                }
                Err(error) if self.once => return Err(error),
                // It may be starting anew.
                Err(error) => format!("deskbell     DOES NOT ANSWER\n\nfailed to {error}\n"),
            };
            if self.once {
                return print(&page);
            }
            // To the upper left, the rest of each line and of the screen emptied: without flicker.
            print(&format!("\x1b[H{}\x1b[J", page.replace('\n', "\x1b[K\n")))?;
        }
    }
}

/// All metrics at one moment, by name with labels.
struct Look {
    at: Instant,
    values: BTreeMap<String, f64>,
}

impl Look {
    async fn take(common: &Common) -> Result<Self, Failure> {
        Ok(Self::read(&checks::ask_admin(common, "/metrics").await?))
    }

    fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let values = lines.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self { at: Instant::now(), values: values.collect() }
    }

    /// All values of a metric, with the value of their first label.
    fn each<'a>(&'a self, metric: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.values.iter().filter_map(move |(name, value)| {
            let rest = name.strip_prefix(metric)?;
            let is_it = rest.is_empty() || rest.starts_with('{');
            is_it.then(|| (rest.split('"').nth(1).unwrap_or_default(), *value))
        })
    }

    fn sum(&self, metric: &str) -> f64 {
        // The sum of no floats at all is -0.
        self.each(metric).fold(0.0, |sum, (_, value)| sum + value)
    }
}

/// What happened between two looks.
struct Between<'a> {
    now: &'a Look,
    before: &'a Look,
    seconds: f64,
}

impl Between<'_> {
    /// How often a second.
    fn rate(&self, metric: &str) -> f64 {
        (self.now.sum(metric) - self.before.sum(metric)).max(0.0) / self.seconds
    }

    /// The labels that happened most, with how often a second; at most `most`.
    fn most(&self, metric: &str, most: usize) -> String {
        let before: BTreeMap<&str, f64> = self.before.each(metric).collect();
        let rates = self.now.each(metric).map(|(label, value)| (label, value - before.get(label).unwrap_or(&0.0)));
        let mut rates: Vec<(&str, f64)> = rates.filter(|(_, rate)| *rate > 0.0).collect();
        rates.sort_by(|one, other| other.1.total_cmp(&one.1));
        let told = rates.iter().take(most).map(|(label, count)| format!("{label} {:.1}", count / self.seconds));
        let told = told.collect::<Vec<_>>().join("   ");
        if told.is_empty() { "none".to_owned() } else { told }
    }

    /// Below which time so many hundredths stayed, as far as buckets tell; none when nothing happened.
    fn quantile(&self, metric: &str, hundredths: f64) -> Option<f64> {
        let name = format!("{metric}_bucket");
        let counts = |look: &Look| {
            let mut counts: Vec<(f64, f64)> =
                look.each(&name).map(|(le, count)| (le.parse().unwrap_or(f64::INFINITY), count)).collect();
            counts.sort_by(|one, other| one.0.total_cmp(&other.0));
            counts
        };
        let before: Vec<f64> = counts(self.before).iter().map(|(_, count)| *count).collect();
        let counts = counts(self.now).into_iter().enumerate();
        let counts: Vec<(f64, f64)> =
            counts.map(|(at, (le, count))| (le, count - before.get(at).unwrap_or(&0.0))).collect();
        let all = counts.last().map_or(0.0, |(_, count)| *count);
        let bound = counts.iter().find(|(_, count)| *count >= all * hundredths / 100.0);
        bound.filter(|_| all > 0.0).map(|(le, _)| *le)
    }

    fn times(&self, metric: &str) -> String {
        let told = [50.0, 95.0, 99.0].map(|hundredths| match self.quantile(metric, hundredths) {
            Some(seconds) if seconds.is_finite() => format!("{:>8}", milliseconds(seconds)),
            Some(_) => format!("{:>8}", ">10 s"),
            None => format!("{:>8}", "-"),
        });
        told.join(" ")
    }
}

fn milliseconds(seconds: f64) -> String {
    let ms = seconds * 1_000.0;
    if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

fn mebibytes(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / 1_048_576.0)
}

fn page(now: &Look, before: &Look) -> String {
    let between = Between { now, before, seconds: (now.at - before.at).as_secs_f64().max(0.001) };
    let sessions: Vec<String> =
        now.each("deskbell_sessions").map(|(kind, count)| format!("{count:.0} {kind}")).collect();
    let state = match (now.sum("deskbell_draining"), now.sum("deskbell_log_down"), now.sum("deskbell_bus_deaf")) {
        (draining, _, _) if draining > 0.0 => "is being stopped",
        (_, down, _) if down > 0.0 => "CAN'T STORE MESSAGES",
        (_, _, deaf) if deaf > 0.0 => "DOES NOT HEAR THE OTHER NODES",
        _ => "serves",
    };
    let left_out = match now.sum("deskbell_shedding") {
        step if step >= 2.0 => "NEW VISITORS",
        step if step >= 1.0 => "places in line",
        _ => "nothing",
    };
    let mut lines = Vec::new();
    let mut line = |name: &str, text: String| lines.push(format!("{name:<12} {text}").trim_end().to_owned() + "\n");
    line("deskbell", state.to_owned());
    line("sessions", if sessions.is_empty() { "none".to_owned() } else { sessions.join("   ") });
    line("in line", format!("{:.0}", now.sum("deskbell_conversations_waiting")));
    line("connections", format!("{:.0}", now.sum("deskbell_connections")));
    line("memory", mebibytes(now.sum("deskbell_resident_bytes")));
    line("open files", format!("{:.0}", now.sum("deskbell_open_file_descriptors")));
    line("outboxes", mebibytes(now.sum("deskbell_outbox_bytes")));
    line("left out", left_out.to_owned());
    line("", String::new());
    line("a second", format!("{:>8.1} entries stored", between.rate("deskbell_entries_appended_total")));
    line(
        "",
        format!(
            "{:>8.1} frames in, {:.1} out",
            between.rate("deskbell_frames_received_total"),
            between.rate("deskbell_frames_sent_total")
        ),
    );
    line("", format!("{:>8.1} sockets opened", between.rate("deskbell_handshakes_total")));
    line(
        "",
        format!(
            "{:>8.1} messages on the bus, {:.1} of other nodes",
            between.rate("deskbell_bus_publishes_total"),
            between.rate("deskbell_bus_remote_total")
        ),
    );
    line("", String::new());
    line("within", format!("{:>8} {:>8} {:>8}", "p50", "p95", "p99"));
    line("answered", between.times("deskbell_accept_to_ack_seconds"));
    line("delivered", between.times("deskbell_accept_to_delivered_seconds"));
    line("committed", between.times("deskbell_commit_seconds"));
    line("", String::new());
    line("ended", between.most("deskbell_closes_total", 4));
    line("refused", between.most("deskbell_refusals_total", 4));
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_times_are_what_happened_between_two_looks() {
        let text = |count: u32, fast: u32, slow: u32| {
            format!(
                "# HELP x y\ndeskbell_entries_appended_total {count}\ndeskbell_closes_total{{reason=\"gone\"}} {count}\n\
                 deskbell_commit_seconds_bucket{{le=\"0.001\"}} {fast}\n\
                 deskbell_commit_seconds_bucket{{le=\"0.01\"}} {slow}\n\
                 deskbell_commit_seconds_bucket{{le=\"+Inf\"}} {slow}\n\
                 deskbell_sessions{{kind=\"agent\"}} 3\ndeskbell_sessions{{kind=\"visitor\"}} 4\n"
            )
        };
        let (before, now) = (Look::read(&text(10, 100, 100)), Look::read(&text(50, 190, 200)));
        let between = Between { now: &now, before: &before, seconds: 2.0 };
        assert!((between.rate("deskbell_entries_appended_total") - 20.0).abs() < 0.001);
        assert_eq!(between.most("deskbell_closes_total", 4), "gone 20.0");
        assert_eq!(between.quantile("deskbell_commit_seconds", 50.0), Some(0.001));
        assert_eq!(between.quantile("deskbell_commit_seconds", 99.0), Some(0.01));
        assert_eq!(between.quantile("deskbell_append_seconds", 50.0), None);
        let page = page(&now, &before);
        assert!(page.contains("sessions     3 agent   4 visitor"), "{page}");
    }
}
