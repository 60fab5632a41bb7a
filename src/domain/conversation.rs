//! What may happen in a conversation, and what each entry changes.

use super::{
    AgentRef, Author, Conversation, Draft, Entry, Event, Key, Lane, MovedBy, Refusal, Status, access::Actor, text,
};
use crate::ids::AgentId;

/// What somebody wants to happen in a conversation. Texts arrive cleaned (see [`text`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Say something in the thread. Reopens a closed conversation.
    Send {
        /// The message.
        text: String,
    },
    /// Write an internal note.
    Note {
        /// The note.
        text: String,
    },
    /// End it.
    Close,
    /// Rate it.
    Rate {
        /// 1 to 5.
        score: u8,
        /// What the visitor says about it.
        comment: Option<String>,
    },
    /// Take what nobody has.
    Take,
    /// Give it to an agent, whoever has it now.
    AssignTo(AgentRef),
    /// Give it to an agent if it stands in line: routing's move.
    Route(AgentRef),
    /// Give it back to the line.
    HandBack,
    /// Give it back to the line if this agent has it and has not answered: routing's move.
    Reclaim(AgentId),
    /// Shut the visitor out, or let it in again.
    Ban {
        /// Which.
        on: bool,
    },
    /// The visitor looked at a page.
    Page {
        /// Its address.
        url: String,
        /// Its title.
        title: String,
    },
}

/// What `command` by `actor` makes happen in `state`. The draft that carries `key` is the one that answers the command.
pub fn decide(state: &Conversation, actor: &Actor, command: Command, key: Option<Key>) -> Result<Vec<Draft>, Refusal> {
    let mut drafts = Drafts { actor, list: Vec::with_capacity(2) };
    match command {
        Command::Send { text } => send(state, &mut drafts, text, key)?,
        Command::Note { text } => {
            actor.must_answer()?;
            drafts.push(Event::Note { text }, key);
        }
        Command::Close => {
            actor.must_write()?;
            if state.status == Status::Closed {
                return Err(Refusal::Conflict("the conversation is closed already".to_owned()));
            }
            drafts.push(Event::Closed {}, key);
        }
        Command::Rate { score, comment } => rate(&mut drafts, score, comment, key)?,
        Command::Take => take(state, &mut drafts, key)?,
        Command::AssignTo(agent) => assign(state, &mut drafts, agent, key)?,
        Command::Route(agent) if state.is_queued() => drafts.hand_over(None, agent, key),
        Command::Route(_) => return Err(Refusal::Conflict("it does not stand in line".to_owned())),
        Command::HandBack => hand_back(state, &mut drafts, key)?,
        Command::Reclaim(agent) if is_unanswered_by(state, agent) => hand_back(state, &mut drafts, key)?,
        Command::Reclaim(_) => return Err(Refusal::Conflict("it was answered".to_owned())),
        Command::Ban { on } => {
            actor.must_answer()?;
            drafts.push(if on { Event::Banned {} } else { Event::Unbanned {} }, key);
        }
        Command::Page { url, title } => drafts.push(Event::Page { url, title }, key),
    }
    Ok(drafts.list)
}

/// What `entry`, the next one of its lane, changes in `state`.
pub fn apply(state: &mut Conversation, entry: &Entry) {
    match entry.lane {
        Lane::Thread => state.seq = entry.seq,
        Lane::Desk => state.desk_seq = entry.seq,
    }
    match &entry.event {
        Event::Message { text } => {
            state.preview = text::preview(text);
            state.at = entry.at;
            state.waiting_since = match entry.from {
                Author::Visitor { .. } => state.waiting_since.or(Some(entry.at)),
                _ => None,
            };
            match entry.from {
                Author::Visitor { .. } => {
                    state.read.visitor = entry.seq;
                    // A mark may be heard before the message that it is about.
                    state.unread += u64::from(entry.seq > state.read.agent);
                }
                Author::Agent { .. } => {
                    state.read.agent = entry.seq;
                    state.unread = 0;
                }
                Author::System {} => {}
            }
        }
        Event::Closed {} => {
            state.status = Status::Closed;
            state.waiting_since = None;
        }
        Event::Reopened {} => state.status = Status::Open,
        Event::Joined { agent } => state.assignee = Some(agent.clone()),
        Event::Unassigned { .. } => state.assignee = None,
        Event::Assigned { .. }
        | Event::Transferred { .. }
        | Event::Left { .. }
        | Event::Rated { .. }
        | Event::Note { .. }
        | Event::Page { .. }
        | Event::Banned {}
        | Event::Unbanned {} => {}
    }
}

/// Whether an event may change who has the conversation, or whether it is open.
pub const fn turns(event: &Event) -> bool {
    matches!(event, Event::Closed {} | Event::Reopened {} | Event::Joined { .. } | Event::Unassigned { .. })
}

/// The drafts of one command, all by the same actor.
struct Drafts<'a> {
    actor: &'a Actor,
    list: Vec<Draft>,
}

impl Drafts<'_> {
    fn push(&mut self, event: Event, key: Option<Key>) {
        self.list.push(Draft { from: self.actor.author(), event, key });
    }

    fn moved_by(&self) -> MovedBy {
        match self.actor {
            Actor::Agent { id, .. } => MovedBy::Agent(*id),
            Actor::Visitor { .. } | Actor::Routing => MovedBy::ROUTING,
        }
    }

    /// Writes down that the conversation, nobody's or `from`'s, is now `to`'s.
    fn hand_over(&mut self, from: Option<&AgentRef>, to: AgentRef, key: Option<Key>) {
        let by = self.moved_by();
        let moved = match from {
            Some(from) => Event::Transferred { from: from.id, to: to.id, by },
            None => Event::Assigned { to: to.id, by },
        };
        self.push(moved, key);
        if let Some(from) = from {
            self.push(Event::Left { agent: from.clone() }, None);
        }
        self.push(Event::Joined { agent: to }, None);
    }
}

fn send(state: &Conversation, drafts: &mut Drafts<'_>, text: String, key: Option<Key>) -> Result<(), Refusal> {
    drafts.actor.must_write()?;
    if state.status == Status::Closed {
        drafts.push(Event::Reopened {}, None);
    }
    if let (None, Actor::Agent { id, name, .. }) = (&state.assignee, drafts.actor) {
        drafts.hand_over(None, AgentRef { id: *id, name: name.clone() }, None);
    }
    drafts.push(Event::Message { text }, key);
    Ok(())
}

fn rate(drafts: &mut Drafts<'_>, score: u8, comment: Option<String>, key: Option<Key>) -> Result<(), Refusal> {
    if !matches!(drafts.actor, Actor::Visitor { .. }) {
        return Err(Refusal::Forbidden("only the visitor rates a conversation".to_owned()));
    }
    if !(1..=5).contains(&score) {
        return Err(Refusal::BadRequest("`score` takes 1 to 5".to_owned()));
    }
    drafts.push(Event::Rated { score, comment }, key);
    Ok(())
}

fn take(state: &Conversation, drafts: &mut Drafts<'_>, key: Option<Key>) -> Result<(), Refusal> {
    drafts.actor.must_answer()?;
    let Actor::Agent { id, name, .. } = drafts.actor else {
        return Err(Refusal::Forbidden("only an agent takes a conversation".to_owned()));
    };
    if let Some(holder) = &state.assignee {
        let whose =
            if holder.id == *id { "you have it already".to_owned() } else { format!("{} took it first", holder.name) };
        return Err(Refusal::Conflict(whose));
    }
    drafts.hand_over(None, AgentRef { id: *id, name: name.clone() }, key);
    Ok(())
}

fn assign(state: &Conversation, drafts: &mut Drafts<'_>, to: AgentRef, key: Option<Key>) -> Result<(), Refusal> {
    drafts.actor.must_answer()?;
    if state.assignee.as_ref().is_some_and(|holder| holder.id == to.id) {
        return Err(Refusal::Conflict(format!("{} has it already", to.name)));
    }
    drafts.hand_over(state.assignee.as_ref(), to, key);
    Ok(())
}

fn hand_back(state: &Conversation, drafts: &mut Drafts<'_>, key: Option<Key>) -> Result<(), Refusal> {
    drafts.actor.must_answer()?;
    let Some(holder) = &state.assignee else {
        return Err(Refusal::Conflict("nobody has it; it stands in line already".to_owned()));
    };
    let by = drafts.moved_by();
    drafts.push(Event::Unassigned { from: holder.id, by }, key);
    drafts.push(Event::Left { agent: holder.clone() }, None);
    Ok(())
}

/// Whether `state` is in the care of `agent` and its visitor waits: what goes back to the line when the agent leaves.
fn is_unanswered_by(state: &Conversation, agent: AgentId) -> bool {
    state.status == Status::Open
        && state.waiting_since.is_some()
        && state.assignee.as_ref().is_some_and(|holder| holder.id == agent)
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
