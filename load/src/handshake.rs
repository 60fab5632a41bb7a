//! `handshake`: TLS connections a second, full and resumed, against what rustls alone can do (the baseline).

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};
use futures_util::future::try_join_all;
use rustls::ProtocolVersion;
use tokio::{
    io::{AsyncRead as _, ReadBuf},
    time::timeout,
};
use tokio_rustls::TlsStream;

use crate::{
    client::{Buffers, Dialer},
    flights::micros,
    procfs,
    report::{Figures, progress, whole},
    stream::Stream,
    target::Target,
};

/// How long a ticket may take after its handshake.
const PATIENCE: Duration = Duration::from_secs(5);

/// How to shake hands.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Settings {
    /// Connections being made at once.
    #[arg(long, default_value_t = 32)]
    pub(crate) at_once: usize,
    /// Seconds for each of the two kinds.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) seconds: f64,
}

impl Settings {
    pub(crate) fn validate(&self) -> Result<()> {
        if self.at_once == 0 {
            bail!("--at-once must be above 0");
        }
        Ok(())
    }
}

/// Runs against a server and returns what was measured.
pub(crate) async fn run(target: &Target, settings: Settings) -> Result<Figures> {
    let dialer = target.dialer(Buffers::IDLE)?;
    if !dialer.is_tls() {
        bail!("`handshake` measures TLS: give --tls, or --url wss://...");
    }
    let mut figures = Figures::default();
    let full = dialer.clone().without_tickets();
    measure(target, &full, settings, "full", &mut figures).await?;
    let resumed = dialer.with_own_tickets(settings.at_once);
    measure(target, &resumed, settings, "resumed", &mut figures).await?;
    Ok(figures)
}

async fn measure(
    target: &Target,
    dialer: &Dialer,
    settings: Settings,
    kind: &str,
    figures: &mut Figures,
) -> Result<()> {
    progress(&format!("{kind} handshakes"));
    let (start, before, own) = (Instant::now(), target.read(), procfs::read(std::process::id()));
    let end = start + Duration::from_secs_f64(settings.seconds);
    let counts = try_join_all((0..settings.at_once).map(|index| shake(dialer, index, end))).await?;
    let elapsed = start.elapsed().as_secs_f64();
    let made: u64 = counts.iter().map(|(made, _)| made).sum();
    let resumed: u64 = counts.iter().map(|(_, resumed)| resumed).sum();
    figures.set(format!("{kind}_handshakes_per_s"), whole(made) / elapsed);
    figures.set(format!("{kind}_by_ticket_percent"), 100.0 * whole(resumed) / whole(made.max(1)));
    if let (Some(before), Some(after)) = (before, target.read()) {
        let busy = after.cpu.saturating_sub(before.cpu);
        figures.set(format!("{kind}_server_cpu_us"), whole(micros(busy)) / whole(made.max(1)));
        figures.set(format!("{kind}_server_cpu_percent"), 100.0 * busy.as_secs_f64() / elapsed);
    }
    // How many there are in a second depends on this end, too: a full handshake costs it more than the server.
    if let (Some(before), Some(after)) = (own, procfs::read(std::process::id())) {
        let busy = after.cpu.saturating_sub(before.cpu);
        figures.set(format!("{kind}_harness_cpu_percent"), 100.0 * busy.as_secs_f64() / elapsed);
    }
    Ok(())
}

/// One connection after the other, each until its ticket has come: nothing is asked on it, so that a server is measured by its
/// handshakes alone. Returns how many were made, and how many of them by ticket.
async fn shake(dialer: &Dialer, index: usize, end: Instant) -> Result<(u64, u64)> {
    let (mut made, mut by_ticket) = (0, 0);
    while Instant::now() < end {
        let mut stream = dialer.dial_stream(index).await?;
        let ticket = timeout(PATIENCE, poll_fn(|context| poll_ticket(&mut stream, context))).await;
        let ticket = ticket.context("none within 5 s of a handshake").flatten();
        ticket.context("`handshake` wants a server that gives tickets (TLS 1.3)")?;
        made += 1;
        by_ticket += u64::from(is_resumed(&stream).context("this connection has no TLS")?);
        if let Stream::Tls(stream) = &stream {
            // Else its port is taken for another minute, and some hundred thousand are all there are.
            stream.get_ref().0.set_zero_linger()?;
        }
    }
    Ok((made, by_ticket))
}

/// Ready when the server's last word of the handshake is here: in TLS 1.3 its ticket, which comes after the client's last word.
fn poll_ticket(stream: &mut Stream, context: &mut Context<'_>) -> Poll<Result<()>> {
    let mut nothing = [0; 1];
    // Tickets come in no read of their own: they are taken in while data is looked for.
    let read = Pin::new(&mut *stream).poll_read(context, &mut ReadBuf::new(&mut nothing));
    let Stream::Tls(stream) = stream else { return Poll::Ready(Ok(())) };
    let TlsStream::Client(stream) = stream.as_ref() else { return Poll::Ready(Ok(())) };
    let agreed = stream.get_ref().1;
    if agreed.protocol_version() != Some(ProtocolVersion::TLSv1_3) || agreed.tls13_tickets_received() > 0 {
        return Poll::Ready(Ok(()));
    }
    match read {
        Poll::Pending => Poll::Pending,
        Poll::Ready(Ok(())) => Poll::Ready(Err(anyhow!("none before the server's first word, or its end"))),
        Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
    }
}

/// Whether a connection was made by ticket; `None` without TLS.
pub(crate) fn is_resumed(stream: &Stream) -> Option<bool> {
    match stream {
        Stream::Plain(_) => None,
        Stream::Tls(stream) => Some(stream.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed)),
    }
}

#[cfg(test)]
#[path = "handshake_tests.rs"]
mod tests;
