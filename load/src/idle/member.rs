//! A part of a large herd: another process of this program, with a server of its own, told what to do line by line.

use std::{io::Write as _, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{Settings, Standing, flock::Flock};
use crate::{
    procfs,
    report::progress,
    target::{Options, Target},
};

/// The most processes: each has a network of source addresses of its own, 127.0.N.0/24.
pub(super) const MOST: usize = 250;
/// How long a process may take to end when it is told to.
const ENDING: Duration = Duration::from_secs(30);

/// What a member is told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    /// Set up sessions until there are so many.
    Fill(usize),
    /// Say how it stands.
    Look,
}

/// What a member says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    /// So many are set up, and it goes on.
    Holding(usize),
    /// It has done what it was told; or why it came no further.
    Filled(Option<String>),
    Standing(Standing),
}

/// With how many processes so many sessions can be held, each server taking no more than it takes before it sends visitors
/// away: nine tenths of its descriptors. `None` when the limit is not known, or too low to be of use.
pub(super) fn enough_for(sessions: usize) -> Option<usize> {
    let each = usize::try_from(procfs::descriptor_limit()?).ok()?.checked_sub(200)? / 10 * 9;
    Some(sessions.div_ceil(each.max(1))).filter(|processes| *processes <= MOST)
}

/// Holds sessions of a server of its own, as the standard input says, until that ends.
pub(crate) async fn obey(options: &Options, sessions: usize) -> Result<()> {
    let target = Target::server(options).await?;
    let mut flock = Flock::gather(&target, sessions).await?;
    say(&Said::Standing(flock.look()?))?;
    // Sessions answer heartbeats meanwhile.
    while let Some(line) = tokio::task::spawn_blocking(|| std::io::stdin().lines().next().transpose()).await?? {
        let answer = match serde_json::from_str(&line).with_context(|| format!("{line:?} is nothing to be told"))? {
            Told::Fill(until) => {
                // Who asked has gone if this can't be said, which shows at the next line.
                let told = |done| say(&Said::Holding(done)).unwrap_or_default();
                Said::Filled(flock.fill(until, told).await?)
            }
            Told::Look => Said::Standing(flock.look()?),
        };
        say(&answer)?;
    }
    // The server ends as this process does, at once: an orderly goodbye to everybody would take minutes.
    Ok(())
}

fn say(what: &Said) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{}", serde_json::to_string(what)?)?)
}

/// One of the processes, as who drives it sees it.
struct Member {
    child: Child,
    to: Option<ChildStdin>,
    from: Lines<BufReader<ChildStdout>>,
    capacity: usize,
    held: usize,
}

impl Member {
    async fn start(options: &Options, at: usize, capacity: usize) -> Result<Self> {
        let own = std::env::current_exe().context("failed to find this program")?;
        let mut command = Command::new(own);
        command.arg("herd").arg("--sessions").arg(capacity.to_string()).args(options.for_member(at)?);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("failed to start another process of this program")?;
        let to = child.stdin.take();
        let from = BufReader::new(child.stdout.take().context("a process has no output")?).lines();
        let mut member = Self { child, to, from, capacity, held: 0 };
        // It is there: the next one may look for free ports.
        member.hear().await?;
        Ok(member)
    }

    async fn tell(&mut self, what: &Told) -> Result<()> {
        let line = format!("{}\n", serde_json::to_string(what)?);
        let to = self.to.as_mut().context("it was dismissed")?;
        to.write_all(line.as_bytes()).await.context("a process has gone; the lines above say why")
    }

    async fn hear(&mut self) -> Result<Said> {
        let line = self.from.next_line().await?.context("a process has ended; the lines above say why")?;
        serde_json::from_str(&line).with_context(|| format!("a process said {line:?}"))
    }
}

/// All the processes.
pub(super) struct Members {
    all: Vec<Member>,
}

impl Members {
    /// Starts them one after the other, with nobody in them.
    pub(super) async fn start(options: &Options, settings: &Settings) -> Result<Self> {
        let mut all = Vec::new();
        for (at, capacity) in parts(settings.sessions, settings.processes).enumerate() {
            let member = Member::start(options, at, capacity).await;
            all.push(member.with_context(|| format!("process {} of {}", at + 1, settings.processes))?);
            progress(&format!("process {} of {} started", at + 1, settings.processes));
        }
        Ok(Self { all })
    }

    /// Fills one after the other until there are so many in all; says why if it comes no further.
    pub(super) async fn fill(&mut self, until: usize) -> Result<Option<String>> {
        let (mut before, count) = (0, self.all.len());
        for (at, member) in self.all.iter_mut().enumerate() {
            let share = until.saturating_sub(before).min(member.capacity);
            if share > member.held {
                member.tell(&Told::Fill(share)).await?;
                loop {
                    match member.hear().await? {
                        Said::Holding(done) => {
                            progress(&format!(
                                "{} of {until} sessions set up, process {} of {count}",
                                before + done,
                                at + 1
                            ));
                        }
                        Said::Filled(None) => break,
                        Said::Filled(Some(why)) => return Ok(Some(why)),
                        Said::Standing(_) => bail!("a process said what it was not asked"),
                    }
                }
                member.held = share;
            }
            before += member.capacity;
        }
        Ok(None)
    }

    /// How all of them stand together.
    pub(super) async fn look(&mut self) -> Result<Standing> {
        let mut standings = Vec::new();
        for member in &mut self.all {
            member.tell(&Told::Look).await?;
            match member.hear().await? {
                Said::Standing(standing) => standings.push(standing),
                other => bail!("a process said {other:?}"),
            }
        }
        Ok(standings.into_iter().sum())
    }

    /// Ends them all; one that does not go by itself is ended.
    pub(super) async fn dismiss(mut self) {
        progress("letting all sessions go");
        for member in &mut self.all {
            member.to = None;
        }
        for member in &mut self.all {
            if tokio::time::timeout(ENDING, member.child.wait()).await.is_err() {
                member.child.kill().await.ok();
            }
        }
    }
}

/// So many, dealt out as evenly as can be.
fn parts(sessions: usize, processes: usize) -> impl Iterator<Item = usize> {
    (0..processes).map(move |at| sessions * (at + 1) / processes - sessions * at / processes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_even_and_make_the_whole() {
        assert_eq!(parts(10, 4).collect::<Vec<_>>(), [2, 3, 2, 3]);
        assert_eq!(parts(1_000_000, 57).sum::<usize>(), 1_000_000);
    }
}
