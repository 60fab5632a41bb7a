//! When messages are due, whether or not earlier ones have been answered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use deskbell::domain::Lane;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{orders::Order, report::whole};

/// What scenarios that talk for a while are told of it.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Span {
    /// Bytes of each text.
    #[arg(long, default_value_t = 128)]
    pub(crate) bytes: usize,
    /// Seconds that are measured, at each count where there are several.
    #[arg(long, default_value_t = 10.0)]
    pub(crate) seconds: f64,
    /// Seconds before that.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) warm_up: f64,
}

impl Span {
    /// How long it is talked.
    pub(crate) fn length(&self) -> Duration {
        self.warming_up() + self.measured()
    }

    pub(crate) fn warming_up(&self) -> Duration {
        Duration::from_secs_f64(self.warm_up)
    }

    pub(crate) fn measured(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

/// Who speaks, and where.
pub(crate) type Speaker = (mpsc::Sender<Order>, Lane);

/// Messages at an even rate.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    rate: f64,
    length: Duration,
    ended: Arc<AtomicBool>,
}

impl Plan {
    pub(crate) fn new(rate: f64, length: Duration) -> Self {
        Self { rate, length, ended: Arc::default() }
    }

    /// Ends it early.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Orders each message when it is due, from all speakers in turn. Gives how many were dropped because a side was more
    /// than its whole queue behind. On a thread of its own: the runtime's timers tick in whole milliseconds.
    pub(crate) fn begin(&self, speakers: Vec<Speaker>) -> JoinHandle<u64> {
        let plan = self.clone();
        tokio::task::spawn_blocking(move || plan.carry_out(&speakers))
    }

    fn carry_out(&self, speakers: &[Speaker]) -> u64 {
        let (start, mut dropped) = (Instant::now(), 0);
        for (turn, (speaker, lane)) in speakers.iter().cycle().enumerate() {
            let after = Duration::from_secs_f64(whole(turn as u64) / self.rate);
            if after >= self.length || self.ended.load(Ordering::Relaxed) {
                break;
            }
            let due = start + after;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            dropped += u64::from(speaker.try_send(Order::Say(due, *lane)).is_err());
        }
        dropped
    }
}
