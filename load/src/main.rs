//! The load harness: what a Deskbell server bears, measured against the limit of its own stack.
//!
//! A scenario ([`chat`], [`idle`], [`start`]) runs against a [`target`] and returns [`report::Figures`]; the same scenario,
//! with the same client, runs against the [`baseline`]. [`check`] judges every message; it knows nothing of the rest.

mod baseline;
mod charts;
mod chat;
mod check;
mod cli;
mod client;
mod cluster;
mod crowd;
mod drills;
#[cfg(test)]
mod fake;
mod fanout;
mod flights;
mod growth;
mod handshake;
mod idle;
mod mixed;
mod orders;
mod outbox;
mod page;
mod pair;
mod plan;
mod procfs;
mod relay;
mod report;
mod returning;
mod scan;
mod scenario;
mod side;
mod soak;
mod spawn;
mod start;
mod storm;
mod stream;
mod target;
mod timeline;
mod usage;

use std::{path::Path, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use deskbell::tasks::Tasks;

use crate::{
    cli::{Against, Cli, Command},
    report::{Figures, remark},
    scenario::Planned,
    target::{Options, Target},
};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(failures) if failures.is_empty() => ExitCode::SUCCESS,
        Ok(failures) => {
            remark(&format!("failed: {}", failures.join(", ")));
            ExitCode::FAILURE
        }
        Err(error) => {
            remark(&format!("error: {error:#}"));
            ExitCode::from(2)
        }
    }
}

/// Runs the command, or each that a file names; returns in words what the figures fail.
fn run(cli: Cli) -> Result<Vec<String>> {
    let steps = match &cli.command {
        Command::Run { file } => scenario::plan(file)?,
        _ => vec![Planned { cli, goals: Vec::new() }],
    };
    let mut builder = match steps.iter().map(|step| step.cli.threads).max().unwrap_or_default() {
        0 => bail!("--threads must be above 0"),
        1 => tokio::runtime::Builder::new_current_thread(),
        many => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(many);
            builder
        }
    };
    builder.enable_all().build().context("failed to start the runtime")?.block_on(carry_out_all(&steps))
}

async fn carry_out_all(steps: &[Planned]) -> Result<Vec<String>> {
    let (mut failures, mut outcomes) = (Vec::new(), Vec::new());
    for (at, step) in steps.iter().enumerate() {
        if steps.len() > 1 {
            remark(&format!("step {} of {}", at + 1, steps.len()));
        }
        let pins = step.cli.command.target().is_some_and(|target| target.pin);
        if pins {
            pin(true)?;
        }
        let carried_out = carry_out(&step.cli).await;
        if pins {
            pin(false)?;
        }
        match carried_out {
            Ok((figures, failed)) => {
                failures.extend(failed);
                outcomes.extend(scenario::outcomes(&step.goals, figures.as_ref())?);
            }
            Err(error) if steps.len() == 1 => return Err(error),
            // The others may still be measured.
            Err(error) => {
                failures.push(format!("step {}: {error:#}", at + 1));
                outcomes.extend(scenario::outcomes(&step.goals, None)?);
            }
        }
    }
    scenario::conclude(&outcomes)?;
    Ok(failures)
}

/// Moves this program to the second core, since what it starts has the first one; or lets it have all again.
fn pin(on: bool) -> Result<()> {
    let own = std::process::id().to_string();
    let all = format!("0-{}", procfs::machine()["cores"].as_u64().unwrap_or(1).max(1) - 1);
    let cores = if on { "1" } else { &all };
    let taskset = std::process::Command::new("taskset").args(["-a", "-c", "-p", cores, &own]).output();
    let moved = taskset.context("--pin needs `taskset` (util-linux)")?;
    if !moved.status.success() {
        bail!("failed to pin: {}", String::from_utf8_lossy(&moved.stderr).trim());
    }
    Ok(())
}

/// Measures; returns the medians, where there are any, and in words what they fail.
async fn carry_out(cli: &Cli) -> Result<(Option<Figures>, Vec<String>)> {
    match &cli.command {
        Command::Start { target, settings } => settings.validate(target)?,
        Command::Idle { target, settings, against } => settings.validate(target, *against)?,
        Command::Chat { settings, .. } => settings.validate()?,
        Command::Growth { settings, .. } => settings.validate()?,
        Command::Fanout { settings, .. } => settings.validate()?,
        Command::Mixed { settings, .. } => settings.validate()?,
        Command::Soak { settings, .. } => settings.validate()?,
        Command::Handshake { settings, .. } => settings.validate()?,
        Command::Storm { settings, .. } => settings.validate()?,
        Command::Check { settings, .. } => settings.validate()?,
        Command::Drills { settings } => {
            let program = target::program(settings.deskbell())?;
            return Ok((None, drills::run(settings, &cli.output, &program).await?));
        }
        Command::Run { .. } => bail!("a file names no other"),
        Command::Herd { target, sessions } => {
            idle::obey(target, *sessions).await?;
            return Ok((None, Vec::new()));
        }
        Command::Baseline { listen, certificate, key } => {
            let tls = certificate.as_deref().zip(key.as_deref());
            baseline::serve(*listen, tls, &Tasks::new()).await?;
            return Ok((None, Vec::new()));
        }
    }
    let mut runs = Vec::new();
    for run in 1..=cli.output.runs.max(1) {
        if cli.output.runs > 1 {
            remark(&format!("run {run} of {}", cli.output.runs));
        }
        runs.push(once(&cli.command).await?);
    }
    let failures = report::conclude(&runs, &cli.output)?;
    Ok((Some(Figures::median(&runs)), failures))
}

/// One run of a scenario, with the baseline before it where that was asked for.
async fn once(command: &Command) -> Result<Figures> {
    match command {
        Command::Check { nodes, target, settings } if !nodes.is_empty() => {
            crowd::run(&target.ground(nodes).await?, settings).await
        }
        Command::Start { target, .. }
        | Command::Storm { target, .. }
        | Command::Growth { target, .. }
        | Command::Mixed { target, .. }
        | Command::Soak { target, .. }
        | Command::Check { target, .. } => on(Target::server(target).await?, command).await,
        Command::Idle { target, settings, .. } if settings.processes > 1 => idle::run_apart(target, settings).await,
        Command::Idle { target, against, .. } => compared(target, command, *against, "rss_per_session_bytes").await,
        Command::Chat { target, against, peers, .. } => {
            let mut figures = compared(target, command, *against, "messages_per_s").await?;
            for peer in peers {
                beside(&mut figures, target, command, peer).await?;
            }
            Ok(figures)
        }
        Command::Fanout { target, against, .. } => compared(target, command, *against, "deliveries_per_s").await,
        Command::Handshake { target, against, .. } => {
            compared(target, command, *against, "full_handshakes_per_s").await
        }
        Command::Drills { .. } | Command::Run { .. } | Command::Herd { .. } | Command::Baseline { .. } => {
            bail!("this is no scenario")
        }
    }
}

/// The figures that a busy machine disturbs least, and a harness that is slower than the server does not at all; each with the
/// name of its ratio.
const CPU: [(&str, &str); 3] = [
    ("server_cpu_us_per_message", "ratio_by_server_cpu"),
    ("full_server_cpu_us", "full_ratio_by_server_cpu"),
    ("resumed_server_cpu_us", "resumed_ratio_by_server_cpu"),
];

async fn compared(options: &Options, command: &Command, against: Against, by: &str) -> Result<Figures> {
    let mut baseline = None;
    if against.with_baseline || against.baseline_only {
        baseline = Some(on(Target::baseline(options).await?, command).await.context("against the baseline")?);
    }
    if against.baseline_only {
        return Ok(baseline.unwrap_or_default());
    }
    let mut figures = on(Target::server(options).await?, command).await?;
    if let Some(baseline) = baseline {
        if let (Some(ours), Some(theirs)) = (figures.get(by), baseline.get(by)) {
            figures.set("ratio", ours / theirs);
        }
        for (cpu, ratio) in CPU {
            if let (Some(ours), Some(theirs)) = (figures.get(cpu), baseline.get(cpu)) {
                figures.set(ratio, theirs / ours);
            }
        }
        figures.absorb("baseline_", baseline);
    }
    Ok(figures)
}

/// Measures another server in the same run.
async fn beside(figures: &mut Figures, options: &Options, command: &Command, peer: &Path) -> Result<()> {
    let name = peer.file_name().map(|name| name.to_string_lossy().replace(['.', '-'], "_")).unwrap_or_default();
    let theirs = on(Target::peer(options, peer).await?, command).await;
    let theirs = theirs.with_context(|| format!("against {}", peer.display()))?;
    if let (Some(ours), Some(theirs)) = (figures.get("messages_per_s"), theirs.get("messages_per_s")) {
        figures.set(format!("ratio_to_{name}"), ours / theirs);
    }
    figures.absorb(&format!("{name}_"), theirs);
    Ok(())
}

async fn on(target: Target, command: &Command) -> Result<Figures> {
    let figures = match command {
        Command::Start { settings, .. } => start::run(&target, *settings).await,
        Command::Idle { settings, .. } => idle::run(&target, settings).await,
        Command::Chat { settings, .. } => chat::run(&target, *settings).await,
        Command::Growth { settings, .. } => growth::run(&target, settings).await,
        Command::Fanout { settings, .. } => fanout::run(&target, *settings).await,
        Command::Mixed { settings, .. } => mixed::run(&target, *settings).await,
        Command::Soak { settings, .. } => soak::run(&target, *settings).await,
        Command::Handshake { settings, .. } => handshake::run(&target, *settings).await,
        Command::Storm { settings, .. } => storm::run(&target, *settings).await,
        Command::Check { settings, .. } => check(&target, settings).await,
        Command::Drills { .. } | Command::Run { .. } | Command::Herd { .. } | Command::Baseline { .. } => {
            bail!("this is no scenario")
        }
    };
    let stopped = target.stop().await;
    let figures = figures?;
    stopped?;
    Ok(figures)
}

async fn check(target: &Target, settings: &crowd::Settings) -> Result<Figures> {
    crowd::run(&target.ground().await?, settings).await
}
