//! What came of the drills: one row each, one table, one verdict.

use std::{fmt::Write as _, io::Write as _, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::Measured;
use crate::{
    charts::Chart,
    check::Fault as Breach,
    cli::Output,
    page::board::{self, Part},
    report::{Figures, object},
};

/// One drill.
pub(crate) struct Row {
    name: String,
    took: Duration,
    figures: Figures,
    converged: Option<Duration>,
    failures: Vec<String>,
    remarks: Vec<String>,
    charts: Vec<Chart>,
    broken: bool,
}

impl Row {
    pub(super) fn new(
        name: String,
        took: Duration,
        figures: Figures,
        converged: Option<Duration>,
        limit: Duration,
        away_limit: Option<Duration>,
    ) -> Self {
        let mut row = Self {
            name,
            took,
            figures,
            converged,
            failures: Vec::new(),
            remarks: Vec::new(),
            charts: Vec::new(),
            broken: false,
        };
        for name in Breach::ALL.map(Breach::as_str).into_iter().chain(["unanswered", "not_sent"]) {
            let count = row.count(name);
            if count > 0.0 {
                row.fail(format!("{name}: {count}"));
            }
        }
        match converged {
            None => row.fail(format!("not well again within {} s and more", limit.as_secs())),
            Some(took) if took > limit => row.fail(format!("well again after {:.1} s", took.as_secs_f64())),
            Some(_) => {}
        }
        let away = row.count("longest_away_ms") / 1000.0;
        if away_limit.is_some_and(|limit| away > limit.as_secs_f64()) {
            row.fail(format!("somebody was without service for {away:.1} s"));
        }
        row
    }

    /// A drill that could not be carried out.
    pub(super) fn broken(name: String, why: String) -> Self {
        Self {
            name,
            took: Duration::ZERO,
            figures: Figures::default(),
            converged: None,
            failures: vec![why],
            remarks: Vec::new(),
            charts: Vec::new(),
            broken: true,
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// What goes wrong in it fails the run.
    pub(super) fn fail(&mut self, why: String) {
        self.failures.push(why);
    }

    pub(super) fn remark(&mut self, lines: &[String]) {
        self.remarks.extend_from_slice(lines);
    }

    /// What it looked like.
    pub(super) fn draw(&mut self, charts: Vec<Chart>) {
        self.charts = charts;
    }

    pub(super) fn absorb(&mut self, more: Measured) {
        self.figures.absorb("", more);
    }

    pub(super) fn holds(&self) -> bool {
        self.failures.is_empty()
    }

    /// Everything to be said of it.
    pub(super) fn remarks(&self) -> impl Iterator<Item = &String> {
        self.failures.iter().chain(&self.remarks)
    }

    /// How many messages a second were due.
    pub(super) fn talked_at(&mut self, rate: f64) {
        self.figures.set("rate", rate);
    }

    fn count(&self, name: &str) -> f64 {
        self.figures.get(name).unwrap_or_default()
    }

    fn sum(&self, breaches: &[Breach]) -> f64 {
        breaches.iter().map(|breach| self.count(breach.as_str())).sum()
    }

    fn cells(&self) -> [String; 12] {
        use Breach::{Aborted, Disagreed, Duplicated, Foreign, Gap, Leaked, Lost, Reordered, Undelivered};
        let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        [
            self.name.clone(),
            format!("{:.0}", self.count("rounds")),
            seconds(self.took),
            format!("{:.0}", self.count("acked")),
            self.figures.get("rate").map_or_else(String::new, |rate| format!("{rate:.0}/s")),
            format!("{:.0}", self.sum(&[Lost, Undelivered])),
            format!("{:.0}", self.sum(&[Duplicated])),
            format!("{:.0}", self.sum(&[Reordered, Gap])),
            format!("{:.0}", self.sum(&[Foreign, Leaked, Aborted, Disagreed])),
            self.converged.map_or_else(|| "never".to_owned(), seconds),
            format!("{:.1} s", self.count("longest_away_ms") / 1000.0),
            if self.holds() { "held".to_owned() } else { "FAILED".to_owned() },
        ]
    }

    fn to_json(&self) -> Value {
        json!({
            "fault": self.name,
            "holds": self.holds(),
            "seconds": self.took.as_secs_f64(),
            "converged_ms": self.converged.map(|time| time.as_secs_f64() * 1000.0),
            "failures": self.failures,
            "figures": object(&self.figures),
        })
    }
}

const HEADINGS: [&str; 12] =
    ["fault", "rounds", "time", "messages", "rate", "lost", "doubled", "reordered", "wrong", "converged", "away", ""];

/// Prints the table and writes the files; returns in words what failed.
pub(super) fn conclude(rows: Vec<Row>, output: &Output) -> Result<Vec<String>> {
    write!(std::io::stdout(), "{}", table(&rows)).context("failed to print the table")?;
    if let Some(path) = &output.json {
        let document = json!({
            "machine": crate::procfs::machine(),
            "drills": rows.iter().map(Row::to_json).collect::<Vec<_>>(),
        });
        std::fs::write(path, format!("{document:#}\n"))
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    let failed = rows.iter().filter(|row| !row.holds());
    let failures = failed.map(|row| format!("{} ({})", row.name, row.failures.join("; "))).collect();
    if let Some(path) = &output.html {
        let total = total(&rows).cells();
        let part = |row: Row| Part {
            cells: row.cells().to_vec(),
            holds: row.holds(),
            notes: row.failures,
            charts: row.charts,
        };
        let parts: Vec<Part> = rows.into_iter().map(part).collect();
        let legend = "Below, each drill over its seconds. From a green line on all should be well again; `converged` is the longest time \
             until it was.";
        board::write(path, legend, &HEADINGS, &parts, &total)?;
    }
    Ok(failures)
}

/// All of them as one.
fn total(rows: &[Row]) -> Row {
    let mut total = Row::broken("total".to_owned(), String::new());
    total.took = rows.iter().map(|row| row.took).sum();
    total.converged =
        rows.iter().map(|row| row.converged).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
    for name in Breach::ALL.map(Breach::as_str).into_iter().chain(["acked", "rounds"]) {
        total.figures.set(name, rows.iter().map(|row| row.count(name)).sum());
    }
    total.figures.set("longest_away_ms", rows.iter().map(|row| row.count("longest_away_ms")).fold(0.0, f64::max));
    if rows.iter().all(Row::holds) {
        total.failures.clear();
    }
    total
}

fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEADINGS.map(str::to_owned)];
    lines.extend(rows.iter().map(Row::cells));
    lines.push(total(rows).cells());
    let mut text = String::new();
    for line in &lines {
        for (column, cell) in line.iter().enumerate() {
            let width = lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
            // Writing to a String does not fail.
            if column == 0 {
                write!(text, "{cell:<width$}").ok()
            } else {
                write!(text, "  {cell:>width$}").ok()
            };
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(figures: &[(&str, f64)], converged: Option<u64>, away_limit: Option<u64>) -> Row {
        let mut all = Figures::default();
        for (name, value) in figures {
            all.set(*name, *value);
        }
        let seconds = Duration::from_secs;
        Row::new("x".into(), seconds(9), all, converged.map(seconds), seconds(5), away_limit.map(seconds))
    }

    #[test]
    fn whatever_is_wrong_fails_a_row() {
        assert!(row(&[("acked", 10.0)], Some(5), None).holds());
        assert!(!row(&[], Some(6), None).holds(), "too late");
        assert!(!row(&[], None, None).holds(), "never");
        for breach in Breach::ALL {
            assert!(!row(&[(breach.as_str(), 1.0)], Some(0), None).holds(), "{breach:?}");
        }
        assert!(!row(&[("unanswered", 1.0)], Some(0), None).holds());
        assert!(!row(&[("longest_away_ms", 2_100.0)], Some(0), Some(2)).holds());
        assert!(row(&[("longest_away_ms", 1_900.0)], Some(0), Some(2)).holds());
    }

    #[test]
    fn the_table_adds_up_and_a_failure_is_named() {
        let rows = [
            row(&[("acked", 10.0), ("rounds", 2.0), ("lost", 1.0)], Some(1), None),
            row(&[("acked", 5.0)], Some(2), None),
        ];
        let table = table(&rows);
        let last = table.lines().last().unwrap();
        assert_eq!(last.split_whitespace().collect::<Vec<_>>()[..6], ["total", "2", "18.0", "s", "15", "1"]);
        assert!(last.ends_with("FAILED"), "{table}");
        assert_eq!(conclude(rows.into(), &Output::default()).unwrap(), ["x (lost: 1)"]);
    }
}
