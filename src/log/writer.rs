//! The group commit: one task takes what many hand it, and commits it together. While one COMMIT runs, the next group
//! gathers in the queue; so the rate grows with the load, and a lone message waits for no one.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;
use parking_lot::Mutex as Guarded;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::{
    Append, AppendError, Error,
    checkpoints::Checkpoints,
    connection::Writer,
    group::{Group, Waiting},
    pen::{Pen, Trouble},
    places::Places,
    rows, sql,
    sqlite::Direct,
};
use crate::{
    domain::{Lane, Marks},
    ids::ConversationId,
    tasks::Tasks,
};

/// Jobs that wait for the group after next. A session waits for its answer before its conversation's next one, so only a
/// server with more than 2,048 busy conversations on a slow disk fills it; then appends wait [`QUEUE_WAIT`].
const QUEUE: usize = 2_048;
/// The most jobs in one group: at the measured rate some 20 ms of work (40 on PostgreSQL), so that no one waits much longer than that.
const GROUP: usize = 1_024;
/// How long an append waits for its place in the queue before it is `Unavailable`. Once in it, it waits for the outcome:
/// an answer before that would be a guess.
const QUEUE_WAIT: Duration = Duration::from_secs(5);
/// How long a probe waits: a disk that takes longer is not ready.
const PROBE_WAIT: Duration = Duration::from_secs(2);
/// How often a group that met another node's is tried again. Locks are taken in one order, so once is rare.
const TRIES: u32 = 5;
/// The longest pause before that.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// What the task is asked to write, and whom it tells.
pub(super) enum Job {
    /// Entries of a conversation.
    Append { append: Box<Append>, entries: Vec<sql::Row>, waiting: Waiting },
    /// Somebody read on, or a device got something.
    Mark { conversation: ConversationId, marks: Marks, answer: oneshot::Sender<Result<(), Error>> },
    /// Is the database writable?
    Probe { answer: oneshot::Sender<Result<(), Error>> },
    /// Nothing comes after what was handed over so far.
    Close { answer: oneshot::Sender<()> },
}

/// The way to the task.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    jobs: mpsc::Sender<Job>,
    pace: Arc<Pace>,
}

/// How long groups take.
#[derive(Debug, Default)]
struct Pace(Guarded<Measured>);

#[derive(Debug, Default)]
struct Measured {
    /// When the present group was begun.
    since: Option<Instant>,
    /// The longest since this was last asked.
    longest: Duration,
}

impl Pace {
    fn begin(&self) {
        self.0.lock().since = Some(Instant::now());
    }

    fn end(&self) {
        let mut measured = self.0.lock();
        let took = measured.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        measured.longest = measured.longest.max(took);
    }

    /// The longest that a group took since this was last asked; one that is not done counts so far.
    fn longest(&self) -> Duration {
        let mut measured = self.0.lock();
        let running = measured.since.map_or(Duration::ZERO, |since| since.elapsed());
        std::mem::take(&mut measured.longest).max(running)
    }
}

impl Queue {
    /// Starts the task. It ends with [`Queue::close`], or when nobody can hand it anything any more.
    pub(super) fn start(writer: Arc<Mutex<Writer>>, direct: Option<Direct>, tasks: &Tasks) -> Result<Self, Error> {
        let (jobs, inbox) = mpsc::channel(QUEUE);
        let pace = Arc::<Pace>::default();
        let no_thread = |error: std::io::Error| Error::Unavailable(error.to_string());
        if let Some(direct) = direct {
            let checkpoints = Checkpoints::start(direct.file().to_owned(), tasks).map_err(no_thread)?;
            let writing = run(inbox, writer, Some(Own::of(direct, checkpoints)), Arc::clone(&pace));
            tasks.spawn_thread("deskbell-log", writing).map_err(no_thread)?;
        } else {
            tasks.spawn(run(inbox, writer, None, Arc::clone(&pace)));
        }
        Ok(Self { jobs, pace })
    }

    /// See [`Pace::longest`].
    pub(super) fn longest(&self) -> Duration {
        self.pace.longest()
    }

    /// Hands over an append and waits for the COMMIT that holds it.
    pub(super) async fn append(&self, append: Box<Append>) -> Result<(), AppendError> {
        if !is_dense(&append) {
            tracing::error!(conversation = %append.head.id, "an append that leaves a gap was refused");
            return Err(AppendError::Unavailable("the entries leave a gap".to_owned()));
        }
        // Rendered here, on the caller's core: the task's own time is what limits the rate.
        let entries = append.entries.iter().map(|entry| rows::entry(entry, &append.head)).collect();
        let (answer, outcome) = oneshot::channel();
        let waiting = Waiting { answer, since: Instant::now() };
        self.hand_over(Job::Append { append, entries, waiting }).await.map_err(AppendError::Unavailable)?;
        outcome.await.unwrap_or_else(|_| Err(AppendError::Unavailable(ENDED.to_owned())))
    }

    /// Moves marks forward.
    pub(super) async fn mark(&self, conversation: ConversationId, marks: Marks) -> Result<(), Error> {
        let (answer, outcome) = oneshot::channel();
        self.hand_over(Job::Mark { conversation, marks, answer }).await.map_err(Error::Unavailable)?;
        outcome.await.unwrap_or_else(|_| Err(Error::Unavailable(ENDED.to_owned())))
    }

    /// Whether a write gets to the disk, now.
    pub(super) async fn probe(&self) -> bool {
        let (answer, outcome) = oneshot::channel();
        let probe =
            async { self.jobs.send(Job::Probe { answer }).await.is_ok() && matches!(outcome.await, Ok(Ok(()))) };
        tokio::time::timeout(PROBE_WAIT, probe).await.unwrap_or(false)
    }

    /// Returns when everything that was handed over is committed and the task has ended.
    pub(super) async fn close(&self) {
        let (answer, outcome) = oneshot::channel();
        if self.jobs.send(Job::Close { answer }).await.is_ok() {
            drop(outcome.await);
        }
    }

    async fn hand_over(&self, job: Job) -> Result<(), String> {
        match self.jobs.try_send(job) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(ENDED.to_owned()),
            Err(mpsc::error::TrySendError::Full(job)) => Box::pin(self.wait_for_a_place(job)).await,
        }
    }

    async fn wait_for_a_place(&self, job: Job) -> Result<(), String> {
        match self.jobs.send_timeout(job, QUEUE_WAIT).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err("too much waits to be written".to_owned()),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(ENDED.to_owned()),
        }
    }
}

/// What those hear who come after the end.
const ENDED: &str = "the log is closed";

/// Whether each lane goes on from where it was expected, one by one, to where the head says.
fn is_dense(append: &Append) -> bool {
    let mut last = (append.expected_seq, append.expected_desk_seq);
    for entry in &append.entries {
        let lane = if entry.lane == Lane::Thread { &mut last.0 } else { &mut last.1 };
        if entry.seq != *lane + 1 || entry.conversation != append.head.id {
            return false;
        }
        *lane = entry.seq;
    }
    last == (append.head.seq, append.head.desk_seq)
}

/// What the task has at hand where the database is in this process.
struct Own {
    direct: Direct,
    checkpoints: Checkpoints,
    places: Places,
}

impl Own {
    fn of(mut direct: Direct, checkpoints: Checkpoints) -> Self {
        let places = Places::find(&mut direct);
        Self { direct, checkpoints, places }
    }
}

async fn run(mut inbox: mpsc::Receiver<Job>, writer: Arc<Mutex<Writer>>, mut own: Option<Own>, pace: Arc<Pace>) {
    let mut jobs = Vec::with_capacity(GROUP);
    let (mut closing, mut is_down) = (Vec::new(), false);
    while inbox.recv_many(&mut jobs, GROUP).await > 0 {
        if own.is_some() {
            gather(&mut inbox, &mut jobs);
        } else {
            // Those who are ready on this core go first: a journey to the database takes longer than all of them.
            tokio::task::yield_now().await;
            let room = GROUP - jobs.len();
            inbox.recv_many(&mut jobs, room).now_or_never();
        }
        let (mut round, mut entered) = (Round::default(), 0);
        for job in jobs.drain(..) {
            match job {
                Job::Append { append, entries, waiting } => {
                    entered += entries.len() as u64;
                    round.group.add(*append, entries, waiting);
                }
                Job::Mark { conversation, marks, answer } => round.mark(conversation, marks, answer),
                Job::Probe { answer } => round.probes.push(answer),
                Job::Close { answer } => {
                    // What is in the queue already is still written; what comes later is refused at once.
                    inbox.close();
                    closing.push(answer);
                }
            }
        }
        pace.begin();
        let mut writer = writer.lock().await;
        // The lock is held either way: nothing else is written meanwhile.
        let mut pen = own.as_mut().map_or(Pen::Shared(&mut writer), |own| Pen::Direct(&mut own.direct));
        let failure = round.carry_out(&mut pen).await;
        if let Some(own) = &mut own {
            if failure.is_none() {
                own.places.look(&mut own.direct, entered);
            }
            own.checkpoints.look(&mut own.direct);
        }
        drop(writer);
        pace.end();
        // Once for each outage: there may be thousands of groups in it.
        if let (Some(error), false) = (&failure, is_down) {
            tracing::error!(%error, "the log can't be written; nothing that is handed to it is stored until it can");
        }
        is_down = failure.is_some();
    }
    if let Some(Own { direct, checkpoints, .. }) = own {
        drop(direct);
        checkpoints.close().await;
    }
    writer.lock().await.close().await;
    // Whoever waits for the end hears of it by the answers' end.
    drop(closing);
}

/// Lets those go first who are about to hand something over and wait for this core, until no one is left or the group is full:
/// a larger one writes fewer pages for each of its appends. Where no one waits for this core, nothing is lost.
fn gather(inbox: &mut mpsc::Receiver<Job>, jobs: &mut Vec<Job>) {
    let mut before = 0;
    while before < jobs.len() && jobs.len() < GROUP {
        before = jobs.len();
        std::thread::yield_now();
        while jobs.len() < GROUP
            && let Ok(job) = inbox.try_recv()
        {
            jobs.push(job);
        }
    }
}

/// What is written in one go: the appends in one transaction, marks and probes in another.
///
/// They are apart because of other nodes: what is marked as read are other conversations than those that go on, and rows
/// are locked in one order only within each kind; and a probe changes one row that all nodes have in common.
#[derive(Default)]
struct Round {
    group: Group,
    /// The furthest of each, because one statement sets a row once; in the order of their locks.
    marks: BTreeMap<ConversationId, Marks>,
    marked: Vec<oneshot::Sender<Result<(), Error>>>,
    probes: Vec<oneshot::Sender<Result<(), Error>>>,
}

impl Round {
    fn mark(&mut self, conversation: ConversationId, marks: Marks, answer: oneshot::Sender<Result<(), Error>>) {
        let furthest = self.marks.entry(conversation).or_default();
        *furthest = furthest.furthest(marks);
        self.marked.push(answer);
    }

    /// Writes all of it and tells everyone what came of it. Returns why it could not be written.
    async fn carry_out(mut self, pen: &mut Pen<'_>) -> Option<String> {
        let mut failure = None;
        if !self.group.is_empty() {
            failure = carry_out_group(self.group, pen).await;
        }
        if !self.marked.is_empty() || !self.probes.is_empty() {
            let marks: Vec<_> = self.marks.iter().map(|(id, marks)| rows::mark(*id, *marks)).collect();
            let is_probed = !self.probes.is_empty();
            let mut tries = TRIES;
            let outcome = loop {
                let outcome = note(&marks, is_probed, pen).await;
                if !goes_again(&outcome, &mut tries, pen).await {
                    break outcome;
                }
            };
            let failed = outcome.err().map(|error| error.to_string());
            self.marked.append(&mut self.probes);
            for answer in self.marked {
                drop(answer.send(failed.clone().map_or(Ok(()), |failed| Err(Error::Unavailable(failed)))));
            }
            failure = failure.or(failed);
        }
        failure
    }
}

/// Writes the appends in one transaction, or each in its own if the database refuses some of the rows.
async fn carry_out_group(mut group: Group, pen: &mut Pen<'_>) -> Option<String> {
    let mut tries = TRIES;
    let outcome = loop {
        let outcome = enter(&mut group, pen).await;
        if !goes_again(&outcome, &mut tries, pen).await {
            break outcome;
        }
    };
    if outcome.as_ref().is_err_and(Trouble::is_about_data) {
        tracing::error!("the database refused a group of appends; each is now written on its own");
        group.commit_each(pen).await;
        group.answer(None);
        return None;
    }
    let failure = outcome.err().map(|error| error.to_string());
    group.answer(failure.as_deref());
    failure
}

/// Cleans up after a failure. True when it came of others who write, and the same is worth another try.
async fn goes_again(outcome: &Result<(), Trouble>, tries: &mut u32, pen: &mut Pen<'_>) -> bool {
    let Err(error) = outcome else { return false };
    pen.roll_back().await;
    *tries = tries.saturating_sub(1);
    if *tries == 0 || !error.is_conflict() {
        return false;
    }
    metrics::counter!("deskbell_commit_conflicts_total").increment(1);
    tokio::time::sleep(TRY_AGAIN.mul_f64(rand::random_range(0.1..1.0))).await;
    true
}

async fn enter(group: &mut Group, pen: &mut Pen<'_>) -> Result<(), Trouble> {
    let mut started = Instant::now();
    if !group.write_at_once(pen).await? {
        pen.begin().await?;
        if !pen.is_direct() {
            group.write_found(pen).await?;
        } else if !group.write(pen).await? {
            // Somebody's expectation was wrong. Begin again, and find out whose.
            pen.roll_back().await;
            pen.begin().await?;
            group.write_found(pen).await?;
        }
        started = Instant::now();
        pen.commit().await?;
    }
    metrics::histogram!("deskbell_commit_seconds").record(started.elapsed());
    Ok(())
}

async fn note(marks: &[sql::Row], is_probed: bool, pen: &mut Pen<'_>) -> Result<(), Trouble> {
    pen.begin().await?;
    pen.run(&sql::MARK, marks).await?;
    if is_probed {
        pen.say("UPDATE probe SET written = written + 1 WHERE id = 1").await?;
    }
    pen.commit().await
}
