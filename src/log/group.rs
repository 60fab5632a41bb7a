//! The appends of one group commit: which of them follow each other, how they are written, and what becomes of each.

use std::{collections::HashMap, sync::Arc, time::Instant};

use sqlx::AnyConnection;
use tokio::sync::oneshot;

use super::{
    Append, AppendError, NewConversation,
    connection::Writer,
    rows,
    sql::{self, Row},
};
use crate::{
    domain::Conversation,
    ids::{ConversationId, ProjectId, VisitorId},
};

/// The one who waits for an append, and since when.
pub(super) struct Waiting {
    pub(super) answer: oneshot::Sender<Result<(), AppendError>>,
    pub(super) since: Instant,
}

/// Appends to one conversation of which each was decided on the state that the one before left: all hold, or none.
struct Unit {
    /// The two lanes' last `seq`s before.
    from: (u64, u64),
    head: Arc<Conversation>,
    open: Option<NewConversation>,
    entries: Vec<Row>,
    waiting: Vec<Waiting>,
    verdict: Result<(), AppendError>,
}

impl Unit {
    /// Writes the unit alone; `Stale` where the conversation is not where it was expected.
    async fn write(&mut self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let changed = match &self.open {
            Some(open) => sql::OPEN.run(connection, &[rows::opening(&self.head, open)]).await?,
            None => sql::ADVANCE.run(connection, &[rows::advance(&self.head, self.from)]).await?,
        };
        if changed != 1 {
            self.verdict = Err(AppendError::Stale);
            return Ok(());
        }
        if let Some(open) = &self.open {
            sql::GREET.run(connection, &[rows::greeting(&open.visitor)]).await?;
        }
        sql::ENTER.run(connection, &self.entries).await.map(drop)
    }
}

/// A group. Its rounds are written one after the other; in each, a conversation occurs once.
#[derive(Default)]
pub(super) struct Group {
    rounds: Vec<Vec<Unit>>,
    /// Where a conversation's latest unit is.
    latest: HashMap<ConversationId, (usize, usize)>,
    appends: usize,
}

impl Group {
    /// Takes an append in, behind those that came before it. `entries` are the append's, rendered.
    pub(super) fn add(&mut self, append: Append, entries: Vec<Row>, waiting: Waiting) {
        self.appends += 1;
        let from = (append.expected_seq, append.expected_desk_seq);
        let latest = self.latest.get(&append.head.id).copied();
        if let Some(unit) = latest.and_then(|(round, place)| self.rounds.get_mut(round)?.get_mut(place))
            && append.open.is_none()
            && (unit.head.seq, unit.head.desk_seq) == from
        {
            unit.head = append.head;
            unit.entries.extend(entries);
            unit.waiting.push(waiting);
            return;
        }
        let round = latest.map_or(0, |(round, _)| round + 1);
        if self.rounds.len() <= round {
            self.rounds.push(Vec::new());
        }
        if let Some(units) = self.rounds.get_mut(round) {
            self.latest.insert(append.head.id, (round, units.len()));
            let Append { head, open, .. } = append;
            units.push(Unit { from, head, open, entries, waiting: vec![waiting], verdict: Ok(()) });
        }
    }

    /// How many appends it holds.
    pub(super) const fn len(&self) -> usize {
        self.appends
    }

    /// Whether it holds none.
    pub(super) const fn is_empty(&self) -> bool {
        self.appends == 0
    }

    /// Writes all of it, in a few statements. `false`: some conversation was not where it was expected, and the
    /// transaction holds an unknown part; it must be rolled back.
    pub(super) async fn write(&self, connection: &mut AnyConnection) -> Result<bool, sqlx::Error> {
        for units in &self.rounds {
            let (mut openings, mut advances, mut visitors) = (Vec::new(), Vec::new(), HashMap::new());
            for unit in units {
                match &unit.open {
                    Some(open) => {
                        openings.push(rows::opening(&unit.head, open));
                        // One row each: a statement may not change a row twice.
                        let visitor: (ProjectId, VisitorId) = (open.visitor.project, open.visitor.id);
                        visitors.insert(visitor, rows::greeting(&open.visitor));
                    }
                    None => advances.push(rows::advance(&unit.head, unit.from)),
                }
            }
            let mut found = sql::OPEN.run(connection, &openings).await?;
            found += sql::ADVANCE.run(connection, &advances).await?;
            if found != units.len() as u64 {
                return Ok(false);
            }
            let visitors: Vec<_> = visitors.into_values().collect();
            sql::GREET.run(connection, &visitors).await?;
            sql::ENTER.run(connection, units.iter().flat_map(|unit| &unit.entries)).await?;
        }
        Ok(true)
    }

    /// Writes all of it, one conversation after the other, and leaves out those that are not where they were expected.
    pub(super) async fn write_each(&mut self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        for unit in self.rounds.iter_mut().flatten() {
            unit.write(connection).await?;
        }
        Ok(())
    }

    /// Writes each conversation in a transaction of its own, so that one whose rows the database refuses harms no other.
    pub(super) async fn commit_each(&mut self, writer: &mut Writer) {
        for unit in self.rounds.iter_mut().flatten() {
            unit.verdict = Ok(());
            if let Err(error) = commit_alone(unit, writer).await {
                writer.roll_back().await;
                unit.verdict = Err(AppendError::Unavailable(error.to_string()));
            }
        }
    }

    /// Tells everyone what became of the append: what `failure` says of all, else each its own.
    pub(super) fn answer(self, failure: Option<&str>) {
        let (mut entries, append_seconds) = (0_u32, metrics::histogram!("deskbell_append_seconds"));
        for unit in self.rounds.into_iter().flatten() {
            let verdict = failure.map_or(unit.verdict, |failure| Err(AppendError::Unavailable(failure.to_owned())));
            if verdict.is_ok() {
                entries += u32::try_from(unit.entries.len()).unwrap_or(u32::MAX);
            }
            for waiting in unit.waiting {
                append_seconds.record(waiting.since.elapsed());
                drop(waiting.answer.send(verdict.clone()));
            }
        }
        metrics::counter!("deskbell_entries_appended_total").increment(u64::from(entries));
        metrics::histogram!("deskbell_commit_group_entries").record(f64::from(entries));
    }
}

async fn commit_alone(unit: &mut Unit, writer: &mut Writer) -> Result<(), sqlx::Error> {
    writer.begin().await?;
    unit.write(writer.connection()?).await?;
    writer.commit().await
}
