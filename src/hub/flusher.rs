//! Writes out what is put out for sessions whose task sleeps, one after the other in one go: to wake each session's task
//! for it costs more than the writing.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::{runtime::Handle, sync::Notify};

use super::presence::Member;
use crate::{protocol::close::CloseCode, tasks::Tasks};

/// After so many sessions others have a turn: a write takes some microseconds.
const AT_ONCE: usize = 32;

/// Multiplied with this, numbers in sequence have no pattern in their upper half: 2^64 over the golden ratio.
const STREW: u64 = 0x9e37_79b9_7f4a_7c15;

/// Whose outbox is to be written out. One line for each of the runtime's threads; a session is always in the same.
#[derive(Debug, Default)]
pub(super) struct Flusher {
    lines: Vec<Arc<Line>>,
}

/// Each session stands in it once at most: an outbox calls only when it did not before.
#[derive(Debug, Default)]
struct Line {
    members: Mutex<Vec<Arc<Member>>>,
    ring: Notify,
}

impl Flusher {
    /// Begins to write, until the tasks are told to stop.
    pub(super) fn start(tasks: &Tasks) -> Arc<Self> {
        let lines: Vec<_> = (0..Handle::current().metrics().num_workers()).map(|_| Arc::<Line>::default()).collect();
        for line in &lines {
            let (line, stop) = (Arc::clone(line), tasks.clone());
            tasks.spawn(async move {
                tokio::select! {
                    () = stop.stopped() => {}
                    () = line.write_out() => {}
                }
            });
        }
        Arc::new(Self { lines })
    }

    /// Has the member's outbox written out soon.
    pub(super) fn call(&self, member: &Arc<Member>) {
        // Strewn: where visitors and agents come by turns, all agents would stand in every other line.
        let strewn = usize::try_from(member.number.wrapping_mul(STREW) >> 32).unwrap_or(0);
        let turn = strewn % self.lines.len().max(1);
        let Some(line) = self.lines.get(turn) else { return };
        let mut members = line.members.lock();
        members.push(Arc::clone(member));
        let is_first = members.len() == 1;
        drop(members);
        if is_first {
            line.ring.notify_one();
        }
    }
}

impl Line {
    async fn write_out(&self) {
        let mut bytes = Vec::new();
        loop {
            self.ring.notified().await;
            // Behind what is ready to run: more may come together.
            tokio::task::yield_now().await;
            let members = std::mem::take(&mut *self.members.lock());
            for (written, member) in members.iter().enumerate() {
                if written % AT_ONCE == AT_ONCE - 1 {
                    tokio::task::yield_now().await;
                }
                let write = AssertUnwindSafe(|| member.outbox.write_out(&mut bytes));
                if catch_unwind(write).is_err() {
                    // One session's trouble: all others of the line still want their frames.
                    member.outbox.end(CloseCode::ServerError);
                }
            }
        }
    }
}
