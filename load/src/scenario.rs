//! `run FILE`: several measurements, one after the other, with the goals that they are to reach, as a TOML file.
//!
//! A step names a command and its options as on the command line, with `_` or `-`; `true` sets a flag, a list repeats an option.

use std::{fmt::Write as _, io::Write as _, path::Path};

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use serde::Deserialize;
use toml::{Table, Value};

use crate::{
    cli::{Cli, Command},
    report::{Condition, Figures, tidy},
    target::read,
};

/// What the file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    name: Option<String>,
    step: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct Step {
    command: String,
    #[serde(default)]
    goal: Vec<Goal>,
    #[serde(flatten)]
    options: Table,
}

/// Something to be reached. Missing it fails nothing: that is what `fail_if` is for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Goal {
    /// In words.
    what: String,
    /// Which figure is shown.
    figure: String,
    /// Which figure is its ratio to a yardstick.
    #[serde(default)]
    ratio: Option<String>,
    /// A condition under which it is reached, such as `ratio >= 0.5`.
    reached_if: String,
}

/// A step, ready to be carried out.
pub(crate) struct Planned {
    pub(crate) cli: Cli,
    pub(crate) goals: Vec<(Goal, Condition)>,
}

/// Reads a file; all its options are looked at before anything runs.
pub(crate) fn plan(path: &Path) -> Result<Vec<Planned>> {
    let text = read(path)?;
    steps(&text).with_context(|| format!("{} is no good", path.display()))
}

fn steps(text: &str) -> Result<Vec<Planned>> {
    let file: File = toml::from_str(text)?;
    if file.step.is_empty() {
        bail!("there is no [[step]]");
    }
    if let Some(name) = &file.name {
        crate::report::remark(name);
    }
    let plan =
        |(at, step): (usize, &Step)| planned(step).with_context(|| format!("step {} ({})", at + 1, step.command));
    file.step.iter().enumerate().map(plan).collect()
}

fn planned(step: &Step) -> Result<Planned> {
    let mut arguments = vec!["deskbell-load".to_owned(), step.command.clone()];
    for (name, value) in &step.options {
        let name = format!("--{}", name.replace('_', "-"));
        let values = if let Value::Array(values) = value { values.clone() } else { vec![value.clone()] };
        for value in &values {
            match value {
                Value::Boolean(true) => arguments.push(name.clone()),
                Value::Boolean(false) => {}
                Value::String(text) => arguments.push(format!("{name}={text}")),
                Value::Integer(_) | Value::Float(_) => arguments.push(format!("{name}={value}")),
                _ => bail!("{name} takes a number, a text, true or a list of them"),
            }
        }
    }
    let cli = Cli::try_parse_from(arguments)?;
    if matches!(cli.command, Command::Run { .. } | Command::Herd { .. } | Command::Baseline { .. }) {
        bail!("a step measures: `{}` does not", step.command);
    }
    let condition = |goal: &Goal| Ok((goal.clone(), goal.reached_if.parse()?));
    Ok(Planned { cli, goals: step.goal.iter().map(condition).collect::<Result<_>>()? })
}

/// What came of one goal.
pub(crate) struct Outcome {
    cells: [String; 5],
}

/// Holds a step's goals against its figures; without figures nothing was measured.
pub(crate) fn outcomes(goals: &[(Goal, Condition)], figures: Option<&Figures>) -> Result<Vec<Outcome>> {
    let outcome = |(goal, condition): &(Goal, Condition)| {
        let (mut shown, mut ratio, mut word) = ("not measured".to_owned(), String::new(), String::new());
        if let Some(figures) = figures {
            let value = figures.get(&goal.figure).with_context(|| format!("there is no figure {:?}", goal.figure))?;
            shown = tidy(value);
            ratio = goal.ratio.as_ref().and_then(|name| figures.get(name)).map(tidy).unwrap_or_default();
            word = if condition.verdict(figures)?.is_some() { "reached".to_owned() } else { "falls short".to_owned() };
        }
        Ok(Outcome { cells: [goal.what.clone(), goal.reached_if.clone(), shown, ratio, word] })
    };
    goals.iter().map(outcome).collect()
}

/// Prints all goals as one table.
pub(crate) fn conclude(outcomes: &[Outcome]) -> Result<()> {
    if outcomes.is_empty() {
        return Ok(());
    }
    write!(std::io::stdout(), "\n{}", table(outcomes)).context("failed to print the table")
}

fn table(outcomes: &[Outcome]) -> String {
    let headings = ["what", "goal", "figure", "ratio", ""].map(str::to_owned);
    let lines: Vec<&[String; 5]> = std::iter::once(&headings).chain(outcomes.iter().map(|one| &one.cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 5] = std::array::from_fn(width);
    let mut text = String::new();
    for [what, goal, figure, ratio, word] in &lines {
        let [first, second, third, fourth, _] = widths;
        // Writing to a String does not fail.
        let line = format!("{what:<first$}  {goal:<second$}  {figure:>third$}  {ratio:>fourth$}  {word}");
        writeln!(text, "{}", line.trim_end()).ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        [[step]]
        command = "chat"
        pairs = 10
        rate = 50.5
        tls = true
        pin = false
        fail_if = ["ack_p99_ms>10", "errors>0"]
        [[step.goal]]
        what = "acknowledged"
        figure = "ack_p99_ms"
        reached_if = "ack_p99_ms <= 5"
    "#;

    #[test]
    fn options_are_those_of_the_command_line() {
        let planned = steps(GOOD).unwrap();
        let Command::Chat { settings, target, .. } = &planned[0].cli.command else { panic!("another command") };
        assert_eq!((settings.pairs, settings.rate, target.pin), (10, Some(50.5), false));
        assert_eq!(planned[0].cli.output.fail_if.len(), 2);
    }

    #[test]
    fn mistakes_are_told_before_anything_runs() {
        let cases = [
            (GOOD.replace("pairs", "pears"), "--pears"),
            (GOOD.replace("\"chat\"", "\"run\""), "--pairs"),
            ("[[step]]\ncommand = \"baseline\"".to_owned(), "does not"),
            (GOOD.replace("\"chat\"", "\"baseline\""), "--pairs"),
            (GOOD.replace("ack_p99_ms <= 5", "ack_p99_ms = 5"), "no condition"),
            (GOOD.replace("what =", "was ="), "was"),
            (String::new(), "step"),
        ];
        for (text, expected) in cases {
            let told = format!("{:#}", steps(&text).err().unwrap());
            assert!(told.contains(expected), "{expected:?} is not in {told:?}");
        }
    }

    #[test]
    fn the_table_says_what_was_reached() {
        let planned = steps(GOOD).unwrap();
        let mut figures = Figures::default();
        figures.set("ack_p99_ms", 4.0);
        let reached = table(&outcomes(&planned[0].goals, Some(&figures)).unwrap());
        assert!(reached.lines().nth(1).unwrap().ends_with("reached"), "{reached}");
        figures.set("ack_p99_ms", 6.0);
        let short = table(&outcomes(&planned[0].goals, Some(&figures)).unwrap());
        assert!(short.lines().nth(1).unwrap().ends_with("falls short"), "{short}");
        assert!(table(&outcomes(&planned[0].goals, None).unwrap()).contains("not measured"));
    }
}
