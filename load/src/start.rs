//! `start`: from the start of the process to its being ready, and the memory of a server with nobody in it; and the same after
//! a kill, on a log that was filled through the server's own doors.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::{
    crowd::{Crowd, Settings as CrowdSettings},
    flights::micros,
    report::{Figures, micros_as_ms, progress, remark, whole},
    target::{Options, Target},
};

/// Time for the server to return what only starting needed.
const SETTLING: Duration = Duration::from_secs(1);
/// How long everybody may take to be back after a kill, for the next one to come.
const RETURNING: Duration = Duration::from_mins(1);
/// A log that does not grow for so long will not be filled.
const STALLED: Duration = Duration::from_secs(30);

/// On what to start.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Settings {
    /// Fill the log with so many messages first, as fast as the server takes them; then kill it (SIGKILL) while they talk on.
    #[arg(long)]
    pub(crate) messages: Option<u64>,
    /// How many conversations the messages are in.
    #[arg(long, default_value_t = 200)]
    pub(crate) conversations: usize,
    /// How many times it is killed and started again on that log.
    #[arg(long, default_value_t = 3)]
    pub(crate) kills: usize,
}

impl Settings {
    pub(crate) fn validate(self, target: &Options) -> Result<()> {
        if self.kills == 0 || self.conversations == 0 || self.messages == Some(0) {
            bail!("--messages, --conversations and --kills must be above 0");
        }
        if self.messages.is_some() && !target.starts_one_server() {
            bail!("--messages kills a server that was started for it: leave out --url and --cluster");
        }
        self.messages.map_or(Ok(()), |_| self.crowd().validate())
    }

    fn crowd(self) -> CrowdSettings {
        CrowdSettings {
            conversations: self.conversations,
            readers: 0,
            rate: None,
            seconds: 0.0,
            messages: None,
            bytes: 128,
            roam: None,
            last_call: 30.0,
        }
    }
}

/// Reads what the start has already shown, then starts it again as is asked.
pub(crate) async fn run(target: &Target, settings: Settings) -> Result<Figures> {
    let mut figures = Figures::default();
    let time = target.started_in().context("`start` measures a server that it starts itself: leave out --url")?;
    figures.set("start_to_ready_ms", micros_as_ms(micros(time)));
    tokio::time::sleep(SETTLING).await;
    let reading = target.read().context("failed to read the server's memory")?;
    figures.set("empty_rss_mb", whole(reading.rss) / 1e6);
    if let Some(messages) = settings.messages {
        after_kills(target, settings, messages, &mut figures).await?;
    }
    Ok(figures)
}

/// Fills the log, kills the server while everybody talks, starts it again; at the end every acknowledged message must be there.
async fn after_kills(target: &Target, settings: Settings, messages: u64, figures: &mut Figures) -> Result<()> {
    let mut crowd = Crowd::gather(&target.ground().await?, &settings.crowd()).await?;
    crowd.begin();
    let began = Instant::now();
    fill(&crowd, messages).await?;
    figures.set("filled_per_s", whole(crowd.landed()) / began.elapsed().as_secs_f64());
    let mut times = Vec::new();
    for kill in 1..=settings.kills {
        let landed = crowd.landed();
        let ready = target.kill_and_start().await?;
        let after = micros_as_ms(micros(ready));
        remark(&format!(
            "kill {kill} of {}: {landed} messages landed before it, ready {after:.1} ms after its start",
            settings.kills
        ));
        times.push(after);
        if crowd.settle(Instant::now(), RETURNING).await.is_none() {
            remark("not everybody was well again after a minute");
        }
    }
    times.sort_by(f64::total_cmp);
    figures.set("start_after_kill_ms", times[(times.len() - 1) / 2]);
    figures.set("start_after_kill_max_ms", times.last().copied().unwrap_or_default());
    figures.set("log_mb", whole(target.data_bytes()) / 1e6);
    for line in crowd.troubles() {
        remark(&line);
    }
    let (found, verdict) = crowd.finish().await?;
    for line in verdict.examples() {
        remark(line);
    }
    figures.absorb("", found);
    Ok(())
}

async fn fill(crowd: &Crowd, messages: u64) -> Result<()> {
    let (mut seen, mut since) = (0, Instant::now());
    while crowd.landed() < messages {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let landed = crowd.landed();
        progress(&format!("{landed} of {messages} messages are in the log"));
        if landed > seen {
            (seen, since) = (landed, Instant::now());
        } else if since.elapsed() > STALLED {
            bail!("the log stopped growing at {landed} messages: {}", crowd.troubles().join(", "));
        }
    }
    Ok(())
}
