//! A visitor rings: the visitor, the conversation, its first message and its agent become one commit.

use std::{collections::BTreeMap, sync::Arc};

use super::{Caller, Desk, Failure, ProjectDesk, attendance::Place, slots::Slots, writing::Step};
use crate::{
    bus::{Message, Topic},
    clock::Millis,
    domain::{
        AgentRef, Author, Conversation, Draft, Entry, Event, Key, Lane, MovedBy, Queue, Refusal, Status, access::Actor,
        text,
    },
    ids::{ConversationId, VisitorId},
    log::{AppendError, NewConversation, VisitorRecord},
    protocol::client::{Fields, Page},
};

/// The epoch of a conversation that was never restored.
const FIRST_EPOCH: &str = "k1";

/// How many conversations of one visitor may be open at once.
const OPEN_AT_ONCE: usize = 10;

/// The longest name and value of a form's field, in characters.
const FIELD_CHARS: (usize, usize) = (40, 500);

/// What a visitor opens a conversation with. The text arrives cleaned.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Makes it safe to open again.
    pub key: Key,
    /// The first message.
    pub text: String,
    /// What it filled in.
    pub fields: Fields,
    /// Where it is.
    pub page: Option<Page>,
    /// What its site calls it, if its site vouches for it.
    pub subject: Option<String>,
    /// The e-mail address that its site vouches for.
    pub email: Option<String>,
}

/// A conversation that was opened, now or by an earlier command with the same key.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The conversation as it is.
    pub state: Arc<Conversation>,
    /// Its first message.
    pub first: Arc<Entry>,
    /// Whether the key was known already.
    pub duplicate: bool,
    /// Its place in line, while it waits.
    pub queue: Option<Queue>,
}

impl Desk {
    /// Opens a conversation for the calling visitor.
    pub async fn open(self: &Arc<Self>, caller: &Caller, opening: Opening) -> Result<Opened, Failure> {
        let Actor::Visitor { id: visitor, name } = &caller.actor else {
            return Err(Refusal::Forbidden("only visitors open conversations".to_owned()).into());
        };
        if let Some(known) = self.log.find_open(caller.project, *visitor, &opening.key).await? {
            return self.opened_before(caller, known).await;
        }
        self.must_have_few_open(caller, *visitor).await?;
        let project = self.project(caller.project).await?;
        let record = self.visitor_record(caller, *visitor, name.clone(), &opening).await?;
        let id = ConversationId::generate();
        let place = project.attendance.lock().reserve(id, self.clock.ticks());
        let mut outcome = self.append_opening(caller, (id, record.clone()), &opening, place).await;
        if matches!(outcome, Err(AppendError::Full)) {
            // Another node was faster. It waits in line, and the line moves at once if somebody else has room.
            project.attendance.lock().release(id);
            self.count_again(&project).await;
            outcome = self.append_opening(caller, (id, record), &opening, None).await;
        }
        match outcome {
            Ok(opened) => Ok(opened),
            Err(error) => self.not_opened(caller, (*visitor, id), &opening.key, &project, error).await,
        }
    }

    async fn append_opening(
        self: &Arc<Self>,
        caller: &Caller,
        (id, record): (ConversationId, VisitorRecord),
        opening: &Opening,
        place: Option<Place>,
    ) -> Result<Opened, AppendError> {
        let now = self.clock.now();
        let mut empty = Conversation::new(caller.project, id, record.id, FIRST_EPOCH.to_owned(), now);
        empty.visitor_name.clone_from(&record.name);
        let author = Author::Visitor { id: record.id, name: record.name.clone() };
        let (agent, claim) = place.map(|place| (place.agent, place.claim)).unzip();
        let step = Step::of(&empty, first_drafts(&author, opening, agent), caller.session, now);
        let mut guard = self.slots.lock(id, self.clock.ticks()).await;
        let (visitor, page) = (record.id, opening.page.clone());
        let open = Some(NewConversation { key: opening.key.clone(), visitor: record });
        self.append(&empty, &step, open, claim).await?;
        let mut loaded = Slots::fresh(empty);
        self.slots.remember(&mut loaded, Arc::clone(&step.after), &step.entries);
        *guard = Some(loaded);
        self.bus.publish(Topic::Visitor(caller.project, visitor), Message::Opened { conversation: id });
        self.publish(&step);
        self.observe(&step.after).await;
        drop(guard);
        if page.is_some() {
            self.set_page(caller.project, visitor, page);
        }
        let queue = self.place_in_line(caller.project, id);
        // The first draft is the message: `first_drafts`.
        let first = step.entries.first().cloned().ok_or(AppendError::Stale)?;
        Ok(Opened { state: step.after, first, duplicate: false, queue })
    }

    /// Another tab opened with the same key at the same time, or the log is down.
    async fn not_opened(
        self: &Arc<Self>,
        caller: &Caller,
        (visitor, id): (VisitorId, ConversationId),
        key: &Key,
        project: &ProjectDesk,
        error: AppendError,
    ) -> Result<Opened, Failure> {
        project.attendance.lock().release(id);
        project.kick.notify_one();
        match error {
            AppendError::Unavailable(why) => Err(self.log_failed(why)),
            AppendError::Stale | AppendError::Full => match self.log.find_open(caller.project, visitor, key).await? {
                Some(known) => self.opened_before(caller, known).await,
                None => Err(Failure::Unavailable("the conversation could not be opened".to_owned())),
            },
        }
    }

    async fn opened_before(self: &Arc<Self>, caller: &Caller, id: ConversationId) -> Result<Opened, Failure> {
        let state = self.look(caller, id).await?;
        let first = self.log.entry(id, Lane::Thread, 1).await?.ok_or(Refusal::NotFound)?;
        let queue = self.place_in_line(caller.project, id);
        Ok(Opened { state, first: Arc::new(first), duplicate: true, queue })
    }

    async fn must_have_few_open(&self, caller: &Caller, visitor: VisitorId) -> Result<(), Failure> {
        let known = self.log.conversations_of(caller.project, visitor).await?;
        let open = known.iter().filter(|conversation| conversation.status == Status::Open).count();
        if open < OPEN_AT_ONCE {
            return Ok(());
        }
        Err(Refusal::Conflict(format!("you have {OPEN_AT_ONCE} open conversations; go on in one of them")).into())
    }

    /// The visitor as it is after what it filled in. What its site vouches for wins over what it says.
    async fn visitor_record(
        &self,
        caller: &Caller,
        id: VisitorId,
        name: Option<String>,
        opening: &Opening,
    ) -> Result<VisitorRecord, Failure> {
        let now = self.clock.now();
        let known = self.log.visitor(caller.project, id).await?;
        let mut record = known.unwrap_or_else(|| blank(caller, id, now));
        let fields = clean_fields(&opening.fields)?;
        record.name = name.or_else(|| fields.get("name").cloned()).or(record.name);
        record.email = opening.email.clone().or_else(|| fields.get("email").cloned()).or(record.email);
        record.subject = opening.subject.clone().or(record.subject);
        record.fields = text::merge_fields(fields, record.fields);
        record.seen_at = now;
        Ok(record)
    }
}

fn blank(caller: &Caller, id: VisitorId, now: Millis) -> VisitorRecord {
    VisitorRecord {
        project: caller.project,
        id,
        subject: None,
        name: None,
        email: None,
        fields: BTreeMap::new(),
        created_at: now,
        seen_at: now,
    }
}

/// The message first, then where the visitor is and who got it.
fn first_drafts(visitor: &Author, opening: &Opening, agent: Option<AgentRef>) -> Vec<Draft> {
    let by_visitor = |event, key| Draft { from: visitor.clone(), event, key };
    let by_routing = |event| Draft { from: Author::System {}, event, key: None };
    let mut drafts = vec![by_visitor(Event::Message { text: opening.text.clone() }, Some(opening.key.clone()))];
    if let Some(page) = &opening.page {
        drafts.push(by_visitor(Event::Page { url: page.url.clone(), title: page.title.clone() }, None));
    }
    if let Some(agent) = agent {
        drafts.push(by_routing(Event::Assigned { to: agent.id, by: MovedBy::ROUTING }));
        drafts.push(by_routing(Event::Joined { agent }));
    }
    drafts
}

fn clean_fields(fields: &Fields) -> Result<Fields, Refusal> {
    let (name_chars, value_chars) = FIELD_CHARS;
    if fields.len() > text::FIELDS {
        return Err(Refusal::BadRequest(format!("`fields` takes at most {} fields", text::FIELDS)));
    }
    let mut clean = Fields::new();
    for (name, value) in fields {
        let name = text::line(Some(name), "fields", name_chars)?;
        let value = text::line(Some(value), "fields", value_chars)?;
        if let (Some(name), Some(value)) = (name, value) {
            let value = if name == "name" {
                text::line(Some(&value), "fields.name", text::NAME_CHARS)?.unwrap_or(value)
            } else {
                value
            };
            clean.insert(name, value);
        }
    }
    Ok(clean)
}
