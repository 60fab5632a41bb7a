//! The signals that stop the program.

use std::io;

/// SIGTERM, SIGINT and, where it does not mean that certificates are to be read again, SIGHUP (elsewhere: Ctrl-C).
pub(super) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
}

impl Signals {
    #[cfg(unix)]
    pub(super) fn listen(hangup_stops: bool) -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: hangup_stops.then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    #[cfg(not(unix))]
    pub(super) fn listen(_hangup_stops: bool) -> io::Result<Self> {
        Ok(Self {})
    }

    /// Returns at the next signal.
    pub(super) async fn stop(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = next(self.hangup.as_mut()) => {}
        }
        #[cfg(not(unix))]
        drop(tokio::signal::ctrl_c().await);
    }
}

#[cfg(unix)]
async fn next(signal: Option<&mut tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
