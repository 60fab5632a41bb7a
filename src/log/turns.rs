//! Whose turn it is to ask the database.
//!
//! Of many nodes' questions the database answers now this one first, now that one. In builds for the fault tests a test may
//! be the one who chooses, one question at a time; in others nobody waits here.

use std::fmt;
#[cfg(feature = "fault-injection")]
use std::{pin::Pin, sync::Arc};

/// Who says when a question may be asked.
#[cfg(feature = "fault-injection")]
pub trait Turnstile: Send + Sync {
    /// Waits until `what` may be done. It is over when what is returned is dropped.
    fn pass(&self, what: &'static str) -> Passing;
}

/// The wait for a turn.
#[cfg(feature = "fault-injection")]
pub type Passing = Pin<Box<dyn Future<Output = Box<dyn Send>> + Send>>;

/// Where those wait who want to ask.
#[derive(Clone, Default)]
pub(super) struct Turns {
    #[cfg(feature = "fault-injection")]
    turnstile: Option<Arc<dyn Turnstile>>,
}

/// Held while a question is being answered.
#[must_use]
pub(super) struct Turn {
    #[cfg(feature = "fault-injection")]
    passed: Option<(Box<dyn Send>, Arc<dyn Turnstile>)>,
}

impl Turn {
    /// The answer is there, and on its way to who asked: much may happen before it has come.
    #[cfg(feature = "fault-injection")]
    pub(super) async fn brings_answer(self) {
        if let Some((passed, turnstile)) = self.passed {
            drop(passed);
            drop(turnstile.pass("answer").await);
        }
    }

    /// Goes on at once.
    #[cfg(not(feature = "fault-injection"))]
    pub(super) fn brings_answer(self) -> std::future::Ready<()> {
        std::future::ready(())
    }
}

impl Turns {
    #[cfg(feature = "fault-injection")]
    pub(super) const fn by(turnstile: Arc<dyn Turnstile>) -> Self {
        Self { turnstile: Some(turnstile) }
    }

    /// Waits for one's turn.
    #[cfg(feature = "fault-injection")]
    pub(super) async fn take(&self, what: &'static str) -> Turn {
        let Some(turnstile) = &self.turnstile else { return Turn { passed: None } };
        Turn { passed: Some((turnstile.pass(what).await, Arc::clone(turnstile))) }
    }

    /// Goes on at once.
    #[cfg(not(feature = "fault-injection"))]
    pub(super) fn take(&self, _what: &'static str) -> std::future::Ready<Turn> {
        std::future::ready(Turn {})
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Turns")
    }
}
