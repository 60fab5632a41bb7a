//! The signals that stop the program.

use std::io;

/// SIGTERM, SIGINT and, where it does not mean that certificates are to be read again, SIGHUP (elsewhere: Ctrl-C).
pub(super) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    /// Heard in any case: a signal that nobody listens to kills the program.
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup_stops: bool,
}

impl Signals {
    #[cfg(unix)]
    pub(super) fn listen(hangup_stops: bool) -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            hangup_stops,
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
            _ = self.hangup.recv(), if self.hangup_stops => {}
        }
        #[cfg(not(unix))]
        drop(tokio::signal::ctrl_c().await);
    }
}
