//! What a session reads: where it goes on, history, the inbox, the visitor's card. Every answer fits a frame.

use std::sync::{Arc, atomic::Ordering};

use super::{Caller, Desk, Failure, fresh::may_see};
use crate::{
    domain::{Conversation, Entry, Lane, Refusal, Status, access::Actor},
    ids::{AgentId, ConversationId},
    log::InboxQuery,
    protocol::{
        FRESH_ENTRIES, HISTORY_LIMIT, INBOX_LIMIT, MAX_OUTBOUND_BYTES, RESUME_BYTES, RESUME_ENTRIES,
        client::{AssigneeFilter, AssigneeWord, History, Inbox, StatusFilter},
        server::{self, Counts, Head, HistoryPage, InboxPage, PastConversation, VisitorCard},
    },
};

/// What the largest answer may hold in entries: a frame, less its envelope and the visitor's card.
const ANSWER_BYTES: usize = MAX_OUTBOUND_BYTES - 64 * 1024;

/// A client's position in one lane.
#[derive(Clone, Debug)]
pub struct Since {
    /// The epoch in which it counts.
    pub epoch: String,
    /// The last one seen.
    pub seq: u64,
}

/// Where a session goes on in one lane.
#[derive(Clone, Debug)]
pub struct CaughtUp {
    /// The conversation as it is.
    pub state: Arc<Conversation>,
    /// False: the position could not be continued, `entries` are the newest.
    pub resumed: bool,
    /// What it missed, ascending.
    pub entries: Vec<server::Entry>,
    /// The last one it has now.
    pub last: u64,
}

/// How many bytes of entries an answer may still take.
#[derive(Debug)]
pub struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(ANSWER_BYTES)
    }
}

impl Desk {
    /// The conversation as it is, if the caller may see it.
    pub async fn look(self: &Arc<Self>, caller: &Caller, id: ConversationId) -> Result<Arc<Conversation>, Failure> {
        let mut guard = self.slots.lock(id, self.clock.ticks()).await;
        if self.log_down.load(Ordering::Relaxed) {
            // What is in memory can be looked at meanwhile.
            if let Some(loaded) = guard.as_ref().filter(|loaded| may_see(caller, &loaded.state)) {
                return Ok(Arc::clone(&loaded.state));
            }
        } else {
            self.freshen(caller, id, &mut guard).await;
        }
        Ok(Arc::clone(&self.access(caller, id, &mut guard).await?.state))
    }

    /// The conversation as the log has it, whatever is in memory.
    async fn look_in_log(&self, caller: &Caller, id: ConversationId) -> Result<Arc<Conversation>, Failure> {
        let mut guard = self.slots.lock(id, self.clock.ticks()).await;
        if let Some(loaded) = guard.as_mut() {
            loaded.doubt();
        }
        Ok(Arc::clone(&self.access(caller, id, &mut guard).await?.state))
    }

    /// What a client at `since` missed of a lane, or the newest entries when it can't go on from there.
    ///
    /// Subscribe first, then call this: what is written meanwhile comes on both ways and is counted once by its `seq`.
    pub async fn catch_up(
        self: &Arc<Self>,
        caller: &Caller,
        (id, lane): (ConversationId, Lane),
        since: Option<&Since>,
        budget: &mut Budget,
    ) -> Result<CaughtUp, Failure> {
        must_see(caller, lane)?;
        let mut state = self.look(caller, id).await?;
        if since.is_some_and(|since| since.epoch == state.epoch && since.seq > state.last_seq(lane)) {
            // It has more than is known here: what other nodes wrote was not heard, and may not have been looked for.
            state = self.look_in_log(caller, id).await?;
        }
        let end = state.last_seq(lane);
        let position = since.filter(|since| since.epoch == state.epoch && since.seq <= end);
        if let Some(position) = position
            && end - position.seq <= RESUME_ENTRIES
        {
            let missed = if position.seq == end {
                Vec::new()
            } else {
                self.log.read_after(id, lane, position.seq, end - position.seq).await?
            };
            let entries = on_the_wire(&missed, &state.epoch);
            let bytes: usize = entries.iter().map(size).sum();
            if bytes <= budget.0.min(RESUME_BYTES) {
                budget.0 -= bytes;
                return Ok(CaughtUp { state, resumed: true, entries, last: end });
            }
        }
        let newest = if end == 0 { Vec::new() } else { self.log.read_before(id, lane, end + 1, FRESH_ENTRIES).await? };
        let mut entries = on_the_wire(&newest, &state.epoch);
        keep_newest(&mut entries, &mut budget.0, 0);
        Ok(CaughtUp { state, resumed: false, entries, last: end })
    }

    /// Entries before or after a `seq`.
    pub async fn history(self: &Arc<Self>, caller: &Caller, asked: &History) -> Result<HistoryPage, Failure> {
        must_see(caller, asked.lane)?;
        if asked.limit == 0 || asked.limit > HISTORY_LIMIT {
            return Err(Refusal::BadRequest(format!("`limit` takes 1 to {HISTORY_LIMIT}")).into());
        }
        let state = self.look(caller, asked.conversation).await?;
        let (limit, mut room) = (u64::from(asked.limit), ANSWER_BYTES);
        let (id, lane) = (asked.conversation, asked.lane);
        let (entries, more) = match (asked.before, asked.after) {
            (Some(_), Some(_)) => {
                return Err(Refusal::BadRequest("`before` and `after` do not go together".to_owned()).into());
            }
            (before, None) => {
                let read = self.log.read_before(id, lane, before.unwrap_or(u64::MAX), limit).await?;
                let mut entries = on_the_wire(&read, &state.epoch);
                keep_newest(&mut entries, &mut room, 1);
                let more = entries.first().is_some_and(|first| first.seq > 1);
                (entries, more)
            }
            (None, Some(after)) => {
                let read = self.log.read_after(id, lane, after, limit).await?;
                let mut entries = on_the_wire(&read, &state.epoch);
                keep_oldest(&mut entries, &mut room);
                let more = entries.last().is_some_and(|last| last.seq < state.last_seq(lane));
                (entries, more)
            }
        };
        Ok(HistoryPage { entries, more })
    }

    /// The heads that an agent asked for, and the counts of the whole inbox.
    pub async fn inbox(self: &Arc<Self>, caller: &Caller, asked: &Inbox) -> Result<InboxPage, Failure> {
        let Actor::Agent { id: me, .. } = caller.actor else {
            return Err(Refusal::Forbidden("only agents have an inbox".to_owned()).into());
        };
        if asked.limit == 0 || asked.limit > INBOX_LIMIT {
            return Err(Refusal::BadRequest(format!("`limit` takes 1 to {INBOX_LIMIT}")).into());
        }
        let query = InboxQuery {
            status: match asked.filter.status {
                StatusFilter::Open => Some(Status::Open),
                StatusFilter::Closed => Some(Status::Closed),
                StatusFilter::Any => None,
            },
            assignee: assignee(asked.filter.assignee, me),
            visitor: asked.filter.visitor.clone().filter(|text| !text.trim().is_empty()),
            before: asked.before.clone(),
            limit: asked.limit,
        };
        let page = self.log.inbox(caller.project, &query).await?;
        let (mine, unassigned, open) = self.log.counts(caller.project, me).await?;
        let heads = page.rows.iter().map(Head::of).collect();
        Ok(InboxPage { heads, cursor: page.cursor, counts: Counts { mine, unassigned, open } })
    }

    /// What agents see of the visitor of a conversation. Whether it is shut out, the accounts know.
    pub async fn visitor_card(self: &Arc<Self>, caller: &Caller, of: &Conversation) -> Result<VisitorCard, Failure> {
        let record = self.log.visitor(caller.project, of.visitor).await?;
        let project = self.project(caller.project).await?;
        let page = project.attendance.lock().page(of.visitor);
        let others = self.log.conversations_of(caller.project, of.visitor).await?;
        let past = others.into_iter().filter(|other| other.id != of.id);
        let conversations = past.map(|other| PastConversation {
            conversation: other.id,
            status: other.status,
            at: other.at,
            preview: other.preview,
        });
        let (name, email, identified, fields) = record.map_or_else(Default::default, |record| {
            (record.name, record.email, record.subject.is_some(), record.fields)
        });
        let name = name.or_else(|| of.visitor_name.clone());
        Ok(VisitorCard {
            id: of.visitor,
            name,
            email,
            identified,
            fields,
            banned: false,
            page,
            conversations: conversations.collect(),
        })
    }

    /// A visitor's own conversations, newest first.
    pub async fn own_conversations(self: &Arc<Self>, caller: &Caller) -> Result<Vec<ConversationId>, Failure> {
        let Actor::Visitor { id, .. } = caller.actor else { return Ok(Vec::new()) };
        let own = self.log.conversations_of(caller.project, id).await?;
        Ok(own.into_iter().map(|conversation| conversation.id).collect())
    }
}

fn must_see(caller: &Caller, lane: Lane) -> Result<(), Refusal> {
    match (&caller.actor, lane) {
        (Actor::Visitor { .. }, Lane::Desk) => Err(Refusal::Forbidden("visitors have no desk lane".to_owned())),
        _ => Ok(()),
    }
}

#[expect(clippy::option_option, reason = "no filter, nobody's, somebody's: as the log's query has it")]
fn assignee(filter: AssigneeFilter, me: AgentId) -> Option<Option<AgentId>> {
    match filter {
        AssigneeFilter::Agent(agent) => Some(Some(agent)),
        AssigneeFilter::Word(AssigneeWord::Me) => Some(Some(me)),
        AssigneeFilter::Word(AssigneeWord::None) => Some(None),
        AssigneeFilter::Word(AssigneeWord::Any) => None,
    }
}

fn on_the_wire(entries: &[Entry], epoch: &str) -> Vec<server::Entry> {
    entries.iter().map(|entry| server::Entry::of(entry, epoch)).collect()
}

/// Keeps as many of the newest as there is room for, but `at_least` so many: a single entry always fits a frame.
fn keep_newest(entries: &mut Vec<server::Entry>, room: &mut usize, at_least: usize) {
    let mut kept = 0;
    for entry in entries.iter().rev() {
        let bytes = size(entry);
        if bytes > *room && kept >= at_least {
            break;
        }
        *room = room.saturating_sub(bytes);
        kept += 1;
    }
    entries.drain(..entries.len() - kept);
}

fn keep_oldest(entries: &mut Vec<server::Entry>, room: &mut usize) {
    let mut kept = 0;
    for entry in entries.iter() {
        let bytes = size(entry);
        if bytes > *room && kept > 0 {
            break;
        }
        *room = room.saturating_sub(bytes);
        kept += 1;
    }
    entries.truncate(kept);
}

/// The bytes of an entry in a frame, comma included.
fn size(entry: &server::Entry) -> usize {
    let mut count = Count(1);
    // Counting can't fail.
    drop(serde_json::to_writer(&mut count, entry));
    count.0
}

/// A writer that only counts.
struct Count(usize);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
