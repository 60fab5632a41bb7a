//! Figures: gathered by name, shown as a table, written as JSON, judged by conditions.

use std::{
    fmt::Write as _,
    io::{IsTerminal as _, Write as _},
    str::FromStr,
};

use anyhow::{Context as _, Result, bail};
use hdrhistogram::Histogram;
use serde_json::json;

use crate::{
    charts::{Chart, Line, Scale},
    check::{Fault, Verdict},
    cli::Output,
    page,
};

/// Named numbers in the order in which they were found. The unit stands last in the name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    values: Vec<(String, f64)>,
    charts: Vec<Chart>,
}

impl Figures {
    pub(crate) fn set(&mut self, name: impl Into<String>, value: f64) {
        let name = name.into();
        match self.values.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.values.push((name, value)),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// Adds `other`'s figures under names that begin with `prefix`, and its distributions to those of the same title.
    pub(crate) fn absorb(&mut self, prefix: &str, other: Self) {
        for (name, value) in other.values {
            self.set(format!("{prefix}{name}"), value);
        }
        for chart in other.charts {
            // Times of another run are other times.
            let alike = |own: &&mut Chart| own.title == chart.title && chart.x.scale == Scale::Nines;
            let Some(own) = self.charts.iter_mut().find(alike) else { continue };
            let called = |line: Line| Line { name: format!("{}: {}", prefix.trim_end_matches('_'), line.name), ..line };
            own.lines.extend(chart.lines.into_iter().map(called));
        }
    }

    /// Something to be drawn.
    pub(crate) fn draw(&mut self, charts: impl IntoIterator<Item = Chart>) {
        self.charts.extend(charts);
    }

    pub(crate) fn charts(&self) -> &[Chart] {
        &self.charts
    }

    pub(crate) fn values(&self) -> &[(String, f64)] {
        &self.values
    }

    /// p50, p99, p99.9 and the maximum of a histogram of microseconds.
    pub(crate) fn set_latency(&mut self, name: &str, histogram: &Histogram<u64>) {
        for (suffix, quantile) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)] {
            self.set(format!("{name}_{suffix}_ms"), micros_as_ms(histogram.value_at_quantile(quantile)));
        }
    }

    /// What was checked, and every kind of fault.
    pub(crate) fn set_verdict(&mut self, verdict: &Verdict) {
        let counts = [("sent", verdict.sent), ("acked", verdict.acked), ("unanswered", verdict.unanswered)];
        for (name, value) in counts.into_iter().chain([("received", verdict.received)]) {
            self.set(name, whole(value));
        }
        for fault in Fault::ALL {
            self.set(fault.as_str(), whole(verdict.count(fault)));
        }
    }

    /// The median of each figure; of faults and errors the worst, since one bad run is a bad run.
    pub(crate) fn median(runs: &[Self]) -> Self {
        let mut medians = Self::default();
        for name in runs.iter().flat_map(|run| run.values.iter().map(|(name, _)| name)) {
            if medians.get(name).is_none() {
                let mut values: Vec<f64> = runs.iter().filter_map(|run| run.get(name)).collect();
                values.sort_by(f64::total_cmp);
                let at = if worst_counts(name) { values.len() - 1 } else { (values.len() - 1) / 2 };
                medians.set(name.clone(), values[at]);
            }
        }
        // Of several runs, the last one's.
        medians.charts = runs.last().map(|run| run.charts.clone()).unwrap_or_default();
        medians
    }

    /// Of the parts of one run: medians, the worst of what is rare, and the sums of what is counted.
    pub(crate) fn of_rounds(rounds: &[Self]) -> Self {
        let mut all = Self::median(rounds);
        // A distribution is of one part only.
        all.charts.retain(|chart| chart.x.scale != Scale::Nines);
        for (name, value) in &mut all.values {
            if ["_p99_ms", "_p999_ms", "_max_ms"].iter().any(|tail| name.ends_with(tail)) {
                *value = rounds.iter().filter_map(|round| round.get(name)).fold(*value, f64::max);
            }
        }
        let counts = ["sent", "acked", "unanswered", "received", "not_sent", "errors", "disconnects"];
        for name in counts.into_iter().chain(breaches()) {
            let values: Vec<f64> = rounds.iter().filter_map(|round| round.get(name)).collect();
            if !values.is_empty() {
                all.set(name, values.iter().sum());
            }
        }
        all
    }

    fn table(&self, runs: &[Self]) -> String {
        let mut table = String::new();
        let width = self.values.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        for (name, value) in &self.values {
            let values: Vec<f64> = runs.iter().filter_map(|run| run.get(name)).collect();
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let spread = if runs.len() > 1 { format!("   {} .. {}", tidy(low), tidy(high)) } else { String::new() };
            // Writing to a String does not fail.
            writeln!(table, "  {name:<width$}  {:>12}{spread}", tidy(*value)).ok();
        }
        table
    }
}

/// The fault of a storm: a conversation that did not go on where its visitor had left it.
pub(crate) const NOT_RESUMED: &str = "not_resumed";

/// The fault of a day: a visit that did not go as it should.
pub(crate) const UNFINISHED: &str = "unfinished_visits";

/// The fault of a herd: sessions that were asked for and are not there.
pub(crate) const SESSIONS_MISSING: &str = "sessions_missing";

/// The fault of growth: conversations that were asked for and are not there.
pub(crate) const CONVERSATIONS_MISSING: &str = "conversations_missing";

/// The faults of a soak: what plainly grew.
pub(crate) const GROWTH: [&str; 3] = ["rss_mb_grows", "descriptors_grows", "ack_p99_ms_grows"];

/// What must be 0, or the run fails.
fn breaches() -> impl Iterator<Item = &'static str> {
    let absences = [NOT_RESUMED, UNFINISHED, SESSIONS_MISSING, CONVERSATIONS_MISSING];
    Fault::ALL.into_iter().map(Fault::as_str).chain(absences).chain(GROWTH)
}

fn worst_counts(name: &str) -> bool {
    ["errors", "disconnects", "passing_failures"].contains(&name) || breaches().any(|breach| breach == name)
}

/// A number with as many places as matter.
pub(crate) fn tidy(value: f64) -> String {
    let magnitude = value.abs();
    match value {
        _ if value.fract() == 0.0 || magnitude >= 1000.0 => format!("{value:.0}"),
        _ if magnitude >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53: no run counts that far")]
pub(crate) fn whole(count: u64) -> f64 {
    count as f64
}

/// Microseconds as milliseconds.
pub(crate) fn micros_as_ms(micros: u64) -> f64 {
    whole(micros) / 1000.0
}

/// A condition under which the run fails, such as `ack_p99_ms>10`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    name: String,
    operator: Operator,
    limit: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Above,
    AtLeast,
    Below,
    AtMost,
}

impl FromStr for Condition {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let operators =
            [(">=", Operator::AtLeast), ("<=", Operator::AtMost), (">", Operator::Above), ("<", Operator::Below)];
        for (sign, operator) in operators {
            if let Some((name, limit)) = text.split_once(sign) {
                let limit = limit.trim().parse().with_context(|| format!("{limit:?} is no number"))?;
                return Ok(Self { name: name.trim().to_owned(), operator, limit });
            }
        }
        bail!("{text:?} is no condition like ack_p99_ms>10 (operators: > >= < <=)")
    }
}

impl Condition {
    /// In words, if it holds; a figure that was not measured is a mistake in the call.
    pub(crate) fn verdict(&self, figures: &Figures) -> Result<Option<String>> {
        let Some(value) = figures.get(&self.name) else {
            bail!("a condition names {:?}, which this scenario does not measure", self.name)
        };
        let (holds, sign) = match self.operator {
            Operator::Above => (value > self.limit, ">"),
            Operator::AtLeast => (value >= self.limit, ">="),
            Operator::Below => (value < self.limit, "<"),
            Operator::AtMost => (value <= self.limit, "<="),
        };
        Ok(holds.then(|| format!("{} = {} {sign} {}", self.name, tidy(value), tidy(self.limit))))
    }
}

/// How this program was called.
pub(crate) fn command() -> String {
    std::env::args().skip(1).collect::<Vec<_>>().join(" ")
}

/// Shows the medians, writes the files, and returns in words whatever makes the run a failure.
pub(crate) fn conclude(runs: &[Figures], output: &Output) -> Result<Vec<String>> {
    let medians = Figures::median(runs);
    let heading =
        if runs.len() > 1 { format!("medians of {} runs   lowest .. highest", runs.len()) } else { "figures".into() };
    write!(std::io::stdout(), "{heading}\n{}", medians.table(runs))?;
    if let Some(path) = &output.json {
        let document = json!({
            "command": command(),
            "machine": crate::procfs::machine(),
            "medians": object(&medians),
            "runs": runs.iter().map(object).collect::<Vec<_>>(),
        });
        std::fs::write(path, format!("{document:#}\n"))
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    let mut failures = Vec::new();
    for condition in &output.fail_if {
        failures.extend(condition.verdict(&medians)?);
    }
    for fault in breaches() {
        if medians.get(fault).is_some_and(|count| count > 0.0) {
            failures.push(format!("{fault} = {}", tidy(medians.get(fault).unwrap_or_default())));
        }
    }
    if let Some(path) = &output.html {
        page::write(path, &medians, runs, &failures)?;
    }
    Ok(failures)
}

/// Figures as a JSON object.
pub(crate) fn object(figures: &Figures) -> serde_json::Value {
    figures.values.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<serde_json::Map<_, _>>().into()
}

/// The line that moves while a run goes on; on a terminal it is overwritten, in a file each stands alone.
pub(crate) fn progress(text: &str) {
    let mut out = std::io::stderr();
    let ending = if out.is_terminal() { "\x1b[K\r" } else { "\n" };
    drop(write!(out, "{text}{ending}"));
}

/// A remark that stays.
pub(crate) fn remark(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(pairs: &[(&str, f64)]) -> Figures {
        let mut figures = Figures::default();
        for (name, value) in pairs {
            figures.set(*name, *value);
        }
        figures
    }

    #[test]
    fn a_condition_reads_and_judges() {
        let slow: Condition = "ack_p99_ms > 10".parse().unwrap();
        assert!(slow.verdict(&figures(&[("ack_p99_ms", 10.0)])).unwrap().is_none());
        assert!(slow.verdict(&figures(&[("ack_p99_ms", 10.1)])).unwrap().is_some());
        assert!(slow.verdict(&figures(&[])).is_err());
        assert!("ratio<=0.5".parse::<Condition>().unwrap().verdict(&figures(&[("ratio", 0.5)])).unwrap().is_some());
        assert!("ratio=1".parse::<Condition>().is_err());
    }

    #[test]
    fn medians_are_of_each_figure_but_one_bad_run_is_a_bad_run() {
        let runs = [("x", 3.0, 0.0), ("x", 1.0, 2.0), ("x", 2.0, 0.0)]
            .map(|(x, value, lost)| figures(&[(x, value), ("lost", lost)]));
        let medians = Figures::median(&runs);
        assert_eq!((medians.get("x"), medians.get("lost")), (Some(2.0), Some(2.0)));
    }

    #[test]
    fn what_is_counted_in_rounds_is_summed() {
        let rounds = [(1.0, 10.0, 0.0), (3.0, 20.0, 1.0), (2.0, 30.0, 1.0)]
            .map(|(x, sent, lost)| figures(&[("x", x), ("sent", sent), ("lost", lost), ("ack_p99_ms", x)]));
        let all = Figures::of_rounds(&rounds);
        assert_eq!((all.get("x"), all.get("sent"), all.get("lost")), (Some(2.0), Some(60.0), Some(2.0)));
        assert_eq!(all.get("ack_p99_ms"), Some(3.0), "one bad part is a bad run");
        assert_eq!(all.get("errors"), None, "what was not counted stays so");
    }

    #[test]
    fn a_fault_fails_the_run_unasked() {
        let failures = conclude(&[figures(&[("gap", 1.0)])], &Output::default()).unwrap();
        assert_eq!(failures, ["gap = 1"]);
    }
}
