//! Sessions that this process holds, all of one server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use deskbell::tasks::Tasks;
use futures_util::{StreamExt as _, stream};

use super::{Standing, lean::Lean};
use crate::{
    client::{Buffers, Dialer},
    flights::{Meter, micros},
    pair::{Pair, Talk},
    procfs,
    report::remark,
    target::{Target, Tokens},
};

/// How many sessions are set up at once.
const SETUPS_AT_ONCE: usize = 64;
/// After so many it is looked whether there is memory for more, and told how far it is.
const LOOK_EVERY: usize = 500;

/// What the sessions have seen.
#[derive(Default)]
struct Counts {
    pings: AtomicU64,
    ended: AtomicU64,
}

/// Sessions of one server.
pub(super) struct Flock<'a> {
    target: &'a Target,
    dialer: Dialer,
    /// None for the baseline.
    tokens: Option<Tokens>,
    counts: Arc<Counts>,
    tasks: Tasks,
    held: usize,
}

impl<'a> Flock<'a> {
    /// Prepares for so many; none is there yet.
    pub(super) async fn gather(target: &'a Target, sessions: usize) -> Result<Self> {
        let (dialer, tokens) = (target.dialer(Buffers::IDLE)?, target.tokens(sessions, 0).await?);
        Ok(Self { target, dialer, tokens, counts: Arc::default(), tasks: Tasks::new(), held: 0 })
    }

    /// Sets up sessions until there are so many; says why if it comes no further.
    pub(super) async fn fill(&mut self, until: usize, told: impl Fn(usize)) -> Result<Option<String>> {
        // The baseline's sockets come in pairs, so it is asked for half as many of them.
        let (range, each) = if self.tokens.is_some() { (self.held..until, 1) } else { (self.held / 2..until / 2, 2) };
        let Self { dialer, tokens, counts, tasks, held, .. } = self;
        let (dialer, tokens, counts, tasks) = (&*dialer, tokens.as_ref(), &*counts, &*tasks);
        let mut setups =
            stream::iter(range.map(|index| sit(dialer, tokens, index, counts, tasks))).buffer_unordered(SETUPS_AT_ONCE);
        while let Some(result) = setups.next().await {
            if let Err(error) = result {
                return Ok(Some(format!("{error:#}")));
            }
            *held += each;
            if held.is_multiple_of(LOOK_EVERY) {
                told(*held);
                if let Some(why) = procfs::short_of_memory() {
                    return Ok(Some(why));
                }
            }
        }
        Ok(None)
    }

    pub(super) fn look(&self) -> Result<Standing> {
        let server = self
            .target
            .read()
            .context("failed to read the server's memory: is it there? (--pid; own user, this machine)")?;
        let own = procfs::read(std::process::id()).context("failed to read this process's memory")?;
        Ok(Standing {
            held: self.held as u64,
            server_rss: server.rss,
            server_cpu_us: micros(server.cpu),
            server_descriptors: server.descriptors,
            harness_rss: own.rss,
            harness_cpu_us: micros(own.cpu),
            pings: self.counts.pings.load(Ordering::Relaxed),
            ended: self.counts.ended.load(Ordering::Relaxed),
        })
    }

    /// Lets all of them go.
    pub(super) async fn scatter(self) {
        self.tasks.stop();
        self.tasks.wait(Duration::from_secs(10)).await;
    }
}

/// Sets up one session (of the baseline: one pair) and leaves it to itself.
async fn sit(
    dialer: &Dialer,
    tokens: Option<&Tokens>,
    index: usize,
    counts: &Arc<Counts>,
    tasks: &Tasks,
) -> Result<()> {
    let (counts, stop) = (Arc::clone(counts), tasks.clone());
    let Some(tokens) = tokens else {
        let pair = Pair::relayed([dialer, dialer], Talk::new(index, 0, Arc::new(Meter::new()), 0)).await?;
        // Held until the end; the sides only listen if they are run, and the baseline does not ping.
        tasks.spawn(async move {
            stop.stopped().await;
            drop(pair);
        });
        return Ok(());
    };
    let session = Lean::connect(dialer, index, tokens.visitor(index)).await?;
    tasks.spawn(async move {
        tokio::select! {
            () = stop.stopped() => {}
            error = session.listen(&counts.pings) => {
                if counts.ended.fetch_add(1, Ordering::Relaxed) == 0 {
                    remark(&format!("a session ended: {error:#}"));
                }
            }
        }
    });
    Ok(())
}
