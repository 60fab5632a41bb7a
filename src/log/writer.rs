//! The group commit: one task takes what many hand it, and commits it together. While one COMMIT runs, the next group
//! gathers in the queue; so the rate grows with the load, and a lone message waits for no one.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::error::ErrorKind;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::{
    Append, AppendError, Error,
    connection::Writer,
    group::{Group, Waiting},
    rows, sql,
};
use crate::{
    domain::{Lane, Marks},
    ids::ConversationId,
    tasks::Tasks,
};

/// Jobs that wait for the group after next. A session waits for its answer before its conversation's next one, so only a
/// server with more than 2,048 busy conversations on a slow disk fills it; then appends wait [`QUEUE_WAIT`].
const QUEUE: usize = 2_048;
/// The most jobs in one group: at the measured rate some 20 ms of work, so that no one waits much longer than that.
const GROUP: usize = 1_024;
/// How long an append waits for its place in the queue before it is `Unavailable`. Once in it, it waits for the outcome:
/// an answer before that would be a guess.
const QUEUE_WAIT: Duration = Duration::from_secs(5);
/// How long a probe waits: a disk that takes longer is not ready.
const PROBE_WAIT: Duration = Duration::from_secs(2);

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
}

impl Queue {
    /// Starts the task. It ends with [`Queue::close`], or when nobody can hand it anything any more.
    pub(super) fn start(writer: Arc<Mutex<Writer>>, tasks: &Tasks) -> Self {
        let (jobs, inbox) = mpsc::channel(QUEUE);
        tasks.spawn(run(inbox, writer));
        Self { jobs }
    }

    /// Hands over an append and waits for the COMMIT that holds it.
    pub(super) async fn append(&self, append: Append) -> Result<(), AppendError> {
        if !is_dense(&append) {
            tracing::error!(conversation = %append.head.id, "an append that leaves a gap was refused");
            return Err(AppendError::Unavailable("the entries leave a gap".to_owned()));
        }
        // Rendered here, on the caller's core: the task's own time is what limits the rate.
        let entries = append.entries.iter().map(|entry| rows::entry(entry, &append.head)).collect();
        let (answer, outcome) = oneshot::channel();
        let (append, waiting) = (Box::new(append), Waiting { answer, since: Instant::now() });
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

async fn run(mut inbox: mpsc::Receiver<Job>, writer: Arc<Mutex<Writer>>) {
    let mut jobs = Vec::with_capacity(GROUP);
    let mut closing = Vec::new();
    while inbox.recv_many(&mut jobs, GROUP).await > 0 {
        let mut round = Round::default();
        for job in jobs.drain(..) {
            match job {
                Job::Append { append, entries, waiting } => round.group.add(*append, entries, waiting),
                Job::Mark { conversation, marks, answer } => round.mark(conversation, marks, answer),
                Job::Probe { answer } => round.probes.push(answer),
                Job::Close { answer } => {
                    // What is in the queue already is still written; what comes later is refused at once.
                    inbox.close();
                    closing.push(answer);
                }
            }
        }
        if !round.is_empty() {
            round.carry_out(&mut *writer.lock().await).await;
        }
    }
    writer.lock().await.close().await;
    // Whoever waits for the end hears of it by the answers' end.
    drop(closing);
}

/// What one transaction holds.
#[derive(Default)]
struct Round {
    group: Group,
    /// The furthest of each, because one statement sets a row once.
    marks: HashMap<ConversationId, Marks>,
    marked: Vec<oneshot::Sender<Result<(), Error>>>,
    probes: Vec<oneshot::Sender<Result<(), Error>>>,
}

impl Round {
    fn mark(&mut self, conversation: ConversationId, marks: Marks, answer: oneshot::Sender<Result<(), Error>>) {
        let furthest = self.marks.entry(conversation).or_default();
        *furthest = furthest.furthest(marks);
        self.marked.push(answer);
    }

    fn is_empty(&self) -> bool {
        self.group.is_empty() && self.marked.is_empty() && self.probes.is_empty()
    }

    /// Writes all of it in one transaction and tells everyone what came of it.
    async fn carry_out(mut self, writer: &mut Writer) {
        let mut outcome = self.write(writer).await;
        if outcome.as_ref().is_err_and(is_about_data) {
            tracing::error!("the database refused a group of appends; each is now written on its own");
            self.group.commit_each(writer).await;
            let appends = std::mem::take(&mut self.group);
            outcome = self.write(writer).await;
            appends.answer(None);
        }
        if let Err(error) = &outcome {
            tracing::error!(%error, appends = self.group.len(), "the log could not be written; nothing of it was stored");
        }
        let failure = outcome.err().map(|error| error.to_string());
        if !self.group.is_empty() {
            self.group.answer(failure.as_deref());
        }
        for answer in self.marked.into_iter().chain(self.probes) {
            drop(answer.send(failure.clone().map_or(Ok(()), |failure| Err(Error::Unavailable(failure)))));
        }
    }

    async fn write(&mut self, writer: &mut Writer) -> Result<(), sqlx::Error> {
        let written = self.try_write(writer).await;
        if written.is_err() {
            writer.roll_back().await;
        }
        written
    }

    async fn try_write(&mut self, writer: &mut Writer) -> Result<(), sqlx::Error> {
        writer.begin().await?;
        if !self.group.write(writer.connection()?).await? {
            // Somebody's expectation was wrong. Begin again, and find out whose.
            writer.roll_back().await;
            writer.begin().await?;
            self.group.write_each(writer.connection()?).await?;
        }
        let marks: Vec<_> = self.marks.iter().map(|(conversation, marks)| rows::mark(*conversation, *marks)).collect();
        sql::MARK.run(writer.connection()?, &marks).await?;
        if !self.probes.is_empty() {
            let probe = sqlx::query("UPDATE probe SET written = written + 1 WHERE id = 1");
            probe.execute(writer.connection()?).await?;
        }
        let started = Instant::now();
        writer.commit().await?;
        metrics::histogram!("deskbell_commit_seconds").record(started.elapsed());
        Ok(())
    }
}

/// Whether the database refuses the rows themselves, which trying again would not change.
fn is_about_data(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.kind() != ErrorKind::Other)
}
