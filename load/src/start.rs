//! `start`: from the start of the process to its being ready, and the memory of a server with nobody in it.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::{
    flights::micros,
    report::{Figures, micros_as_ms, whole},
    target::Target,
};

/// Time for the server to return what only starting needed.
const SETTLING: Duration = Duration::from_secs(1);

/// Reads what the start has already shown.
pub(crate) async fn run(target: &Target) -> Result<Figures> {
    let mut figures = Figures::default();
    let time = target.started_in().context("`start` measures a server that it starts itself: leave out --url")?;
    figures.set("start_to_ready_ms", micros_as_ms(micros(time)));
    tokio::time::sleep(SETTLING).await;
    let reading = target.read().context("failed to read the server's memory")?;
    figures.set("empty_rss_mb", whole(reading.rss) / 1e6);
    Ok(figures)
}
