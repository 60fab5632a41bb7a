//! The appends of one group commit: which of them follow each other, how they are written, and what becomes of each.
//!
//! Rows are locked in one order on every node (claimed agents, new conversations, conversations that go on, visitors; each
//! kind by its key), so that groups of several nodes wait for each other, and never crosswise.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use tokio::sync::oneshot;

use super::{
    Append, AppendError, Claim, NewConversation,
    pen::{Pen, Trouble},
    rows,
    sql::{self, Row},
};
use crate::{
    domain::{Conversation, conversation},
    ids::{AgentId, ConversationId, ProjectId},
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
    /// Whether it gets into other hands, or is closed or opened again.
    turns: bool,
    open: Option<NewConversation>,
    claim: Option<Claim>,
    entries: Vec<Row>,
    waiting: Vec<Waiting>,
    verdict: Result<(), AppendError>,
}

/// A group. Its rounds are written one after the other; in each, a conversation occurs once.
#[derive(Default)]
pub(super) struct Group {
    rounds: Vec<Vec<Unit>>,
    /// Where a conversation's latest unit is.
    latest: HashMap<ConversationId, (usize, usize)>,
}

impl Group {
    /// Takes an append in, behind those that came before it. `entries` are the append's, rendered.
    pub(super) fn add(&mut self, append: Append, entries: Vec<Row>, waiting: Waiting) {
        let from = (append.expected_seq, append.expected_desk_seq);
        let turns = append.entries.iter().any(|entry| conversation::turns(&entry.event));
        let latest = self.latest.get(&append.head.id).copied();
        if let Some(unit) = latest.and_then(|(round, place)| self.rounds.get_mut(round)?.get_mut(place))
            && append.open.is_none()
            // Whoever is refused for want of room takes nobody along.
            && append.claim.is_none()
            && unit.claim.is_none()
            && (unit.head.seq, unit.head.desk_seq) == from
        {
            unit.turns |= turns;
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
            let Append { head, open, claim, .. } = append;
            units.push(Unit { from, head, turns, open, claim, entries, waiting: vec![waiting], verdict: Ok(()) });
        }
    }

    /// Whether it holds none.
    pub(super) const fn is_empty(&self) -> bool {
        self.rounds.is_empty()
    }

    /// Writes all of it where nobody else writes, as a rule. `false`: some conversation was not where it was expected, and
    /// the transaction holds an unknown part; it must be rolled back.
    pub(super) async fn write(&mut self, pen: &mut Pen<'_>) -> Result<bool, Trouble> {
        claim(self.rounds.iter_mut().flatten(), pen).await?;
        for units in &mut self.rounds {
            // Neighbours in the tables' trees are then written one after the other.
            units.sort_unstable_by_key(|unit| unit.head.id);
            let Heads { openings, turns, advances } = heads(units, true);
            let found = pen.run(&sql::OPEN, &openings).await?
                + pen.run(&sql::TURN, &turns).await?
                + pen.run(&sql::ADVANCE, &advances).await?;
            if found != (openings.len() + turns.len() + advances.len()) as u64 {
                return Ok(false);
            }
            fill(units, pen).await?;
        }
        Ok(true)
    }

    /// Writes what is where it was expected, and leaves out the rest: the statements tell what they found. Where other nodes
    /// write, too, there is often something.
    pub(super) async fn write_found(&mut self, pen: &mut Pen<'_>) -> Result<(), Trouble> {
        claim(self.rounds.iter_mut().flatten(), pen).await?;
        let mut lost = HashSet::new();
        for units in &mut self.rounds {
            write_found(units, &mut lost, pen).await?;
        }
        Ok(())
    }

    /// Writes all of it in one statement, which is its own transaction, if each conversation occurs once and just goes on: then
    /// one journey does, and other nodes wait for no more than the disk. `false`: it is not so, and nothing was written.
    pub(super) async fn write_at_once(&mut self, pen: &mut Pen<'_>) -> Result<bool, Trouble> {
        let (Some(writer), [units]) = (pen.far(), self.rounds.as_mut_slice()) else { return Ok(false) };
        if units.iter().any(|unit| unit.open.is_some() || unit.claim.is_some() || unit.entries.is_empty()) {
            return Ok(false);
        }
        for unit in units.iter_mut() {
            unit.verdict = Ok(());
        }
        let Heads { turns, .. } = heads(units, false);
        let entries: Vec<_> = units.iter().flat_map(|unit| &unit.entries).collect();
        let found: HashSet<_> = sql::go_on(writer, &turns, &entries).await?.into_iter().collect();
        for unit in units.iter_mut().filter(|unit| !found.contains(&unit.head.id.to_string())) {
            unit.verdict = Err(AppendError::Stale);
        }
        Ok(true)
    }

    /// Writes each conversation in a transaction of its own, so that one whose rows the database refuses harms no other.
    pub(super) async fn commit_each(&mut self, pen: &mut Pen<'_>) {
        let mut lost = HashSet::new();
        for unit in self.rounds.iter_mut().flatten() {
            if let Err(error) = commit_alone(unit, &mut lost, pen).await {
                pen.roll_back().await;
                lost.insert(unit.head.id);
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

/// Locks the agents who are to get a conversation, and refuses what one of them has no room for.
async fn claim<'u>(units: impl Iterator<Item = &'u mut Unit>, pen: &mut Pen<'_>) -> Result<(), Trouble> {
    let mut units: Vec<_> = units.collect();
    for unit in &mut units {
        unit.verdict = Ok(());
    }
    let claims = units.iter().filter_map(|unit| Some((unit.claim?.agent, unit.head.project)));
    let claimed: BTreeMap<AgentId, ProjectId> = claims.collect();
    if claimed.is_empty() {
        return Ok(());
    }
    let claimed: Vec<_> = claimed.into_iter().map(|(agent, project)| rows::agent(project, agent)).collect();
    // Counted by a statement of its own: it sees what those committed for whom the first one waited.
    pen.fetch(&sql::LOCK_AGENTS, &claimed).await?;
    let mut loads: HashMap<String, i64> = pen.fetch(&sql::LOADS, &claimed).await?.into_iter().collect();
    for unit in units {
        let Some(claim) = unit.claim else { continue };
        let held = loads.entry(claim.agent.to_string()).or_default();
        if *held < i64::from(claim.most) {
            // Taken even if the unit turns out to be stale: routing asks again.
            *held += 1;
        } else {
            unit.verdict = Err(AppendError::Full);
        }
    }
    Ok(())
}

/// The rows of a round's conversations, each kind in the order of its locks.
#[derive(Default)]
struct Heads {
    /// Those that begin.
    openings: Vec<Row>,
    /// Those that go on, in whatever way.
    turns: Vec<Row>,
    /// Those that go on as they are.
    advances: Vec<Row>,
}

/// `sorts` says that those that go on as they are have a statement of their own.
fn heads(units: &[Unit], sorts: bool) -> Heads {
    let (mut openings, mut going_on) = (Vec::new(), Vec::new());
    for unit in units.iter().filter(|unit| unit.verdict.is_ok()) {
        match &unit.open {
            Some(open) => openings.push(((unit.head.project, unit.head.visitor, open.key.as_str()), (unit, open))),
            None => going_on.push(unit),
        }
    }
    openings.sort_unstable_by_key(|(order, _)| *order);
    going_on.sort_unstable_by_key(|unit| unit.head.id);
    let openings = openings.into_iter().map(|(_, (unit, open))| rows::opening(&unit.head, open)).collect();
    let mut heads = Heads { openings, ..Heads::default() };
    for unit in going_on {
        if unit.turns || !sorts {
            heads.turns.push(rows::turn(&unit.head, unit.from));
        } else {
            heads.advances.push(rows::advance(&unit.head, unit.from));
        }
    }
    heads
}

/// Writes the visitors and entries of a round whose heads were written.
async fn fill(units: &[Unit], pen: &mut Pen<'_>) -> Result<(), Trouble> {
    let written = || units.iter().filter(|unit| unit.verdict.is_ok());
    // One row each: a statement may not change a row twice.
    let opened = written().filter_map(|unit| unit.open.as_ref());
    let visitors: BTreeMap<_, _> =
        opened.map(|open| ((open.visitor.project, open.visitor.id), rows::greeting(&open.visitor))).collect();
    pen.run(&sql::GREET, visitors.values()).await?;
    pen.run(&sql::ENTER, written().flat_map(|unit| &unit.entries)).await.map(drop)
}

/// Writes what is found of a round. `lost` are the conversations of which something was left out: what follows there was
/// decided on what is not.
async fn write_found(units: &mut [Unit], lost: &mut HashSet<ConversationId>, pen: &mut Pen<'_>) -> Result<(), Trouble> {
    for unit in units.iter_mut() {
        if unit.verdict.is_ok() && lost.contains(&unit.head.id) {
            unit.verdict = Err(AppendError::Stale);
        }
    }
    let Heads { openings, turns, .. } = heads(units, false);
    let told = [pen.fetch(&sql::OPEN_AND_TELL, &openings).await?, pen.fetch(&sql::TURN_AND_TELL, &turns).await?];
    let found: HashSet<String> = told.into_iter().flatten().map(|(id, _)| id).collect();
    for unit in units.iter_mut() {
        if unit.verdict.is_ok() && !found.contains(&unit.head.id.to_string()) {
            unit.verdict = Err(AppendError::Stale);
        }
        if unit.verdict.is_err() {
            lost.insert(unit.head.id);
        }
    }
    fill(units, pen).await
}

async fn commit_alone(unit: &mut Unit, lost: &mut HashSet<ConversationId>, pen: &mut Pen<'_>) -> Result<(), Trouble> {
    pen.begin().await?;
    claim(std::iter::once(&mut *unit), pen).await?;
    write_found(std::slice::from_mut(unit), lost, pen).await?;
    pen.commit().await
}
