//! One command into one conversation: decide, append, publish.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Caller, Desk, Failure,
    slots::{Guard, Loaded, sender_of},
};
use crate::{
    bus::{Message, Topic},
    clock::Millis,
    domain::{
        AgentRef, Author, Conversation, Draft, Entry, Key, Lane, Refusal,
        access::Actor,
        conversation::{self, Command},
    },
    ids::{AgentId, ConversationId, EntryId, SessionId},
    log::{Append, AppendError, Claim, NewConversation},
    protocol::client::Page,
    telemetry::hot,
};

/// How long a command is decided anew because somebody else wrote in between. On one node it never is; with more, the one
/// that has just written is ahead by the time that reading takes, and may be first many times in a row.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a command wrote, or what the first command with its key wrote.
#[derive(Clone, Debug)]
pub struct Written {
    /// The entry that answers the command.
    pub entry: Arc<Entry>,
    /// Whether the key was known already.
    pub duplicate: bool,
}

/// Entries about to be appended, and the state after them.
#[derive(Debug)]
pub(super) struct Step {
    begun: Instant,
    pub(super) entries: Vec<Arc<Entry>>,
    pub(super) after: Arc<Conversation>,
}

impl Step {
    /// Numbers `drafts`, dates them `at` and applies them to `state`.
    pub(super) fn of(state: &Conversation, drafts: Vec<Draft>, session: Option<SessionId>, at: Millis) -> Self {
        let mut after = state.clone();
        let mut entries = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let lane = draft.event.lane();
            let entry = Entry {
                conversation: state.id,
                lane,
                seq: after.last_seq(lane) + 1,
                id: EntryId::generate(),
                at,
                session: session.filter(|_| !matches!(draft.from, Author::System {})),
                from: draft.from,
                key: draft.key,
                event: draft.event,
            };
            conversation::apply(&mut after, &entry);
            entries.push(Arc::new(entry));
        }
        Self { begun: Instant::now(), entries, after: Arc::new(after) }
    }
}

impl Desk {
    /// Carries out `command` in a conversation of the caller's.
    pub fn write(
        self: &Arc<Self>,
        caller: &Caller,
        id: ConversationId,
        key: Option<Key>,
        command: Command,
    ) -> impl Future<Output = Result<Written, Failure>> + Send {
        let unclaimed = || Failure::Unavailable("the conversation could not be given away".to_owned());
        self.write_claiming(caller, id, key, command, None).map(move |written| written?.ok_or_else(unclaimed))
    }

    /// As [`Desk::write`], if an agent has room for what the command gives it; none if it has not.
    pub(super) async fn write_claiming(
        self: &Arc<Self>,
        caller: &Caller,
        id: ConversationId,
        key: Option<Key>,
        command: Command,
        claim: Option<Claim>,
    ) -> Result<Option<Written>, Failure> {
        let mut guard = self.slots.lock(id, self.clock.ticks()).await;
        // What another node wrote may not have been heard: nothing is refused because of a state that was not just read.
        let mut is_fresh = guard.is_none() || !self.bus.is_shared();
        // Of what waits to be heard, the newest may be last: every other time the log itself is asked.
        let (begun, mut hears) = (Instant::now(), true);
        while begun.elapsed() < PATIENCE {
            let loaded = self.access(caller, id, &mut guard).await?;
            self.recall(loaded).await?;
            if let Some(first) = self.first_with(loaded, &caller.actor, key.as_ref()).await? {
                return Ok(Some(Written { entry: first, duplicate: true }));
            }
            let actor = named(&caller.actor, &loaded.state);
            let drafts = match conversation::decide(&loaded.state, &actor, command.clone(), key.clone()) {
                Err(_) if !is_fresh => {
                    is_fresh = true;
                    Box::pin(self.freshen(caller, id, &mut guard)).await;
                    continue;
                }
                decided => decided?,
            };
            let before = Arc::clone(&loaded.state);
            // Never before the entry that it follows, whatever the clock says.
            let at = self.clock.now().max(loaded.last_at());
            let step = Step::of(&before, drafts, caller.session, at);
            match self.append(&before, &step, None, claim).await {
                Ok(()) => return self.done(caller, &mut guard, step, key.as_ref()).await.map(Some),
                Err(AppendError::Full) => return Ok(None),
                Err(AppendError::Stale) => {
                    is_fresh = Box::pin(self.reload(caller, id, &mut guard, hears)).await;
                    hears = !hears;
                }
                Err(AppendError::Unavailable(why)) => {
                    // Whether it was written is not known for sure: to be read anew, as soon as that can be done.
                    if let Some(loaded) = guard.as_mut() {
                        loaded.doubt();
                    }
                    return Err(self.log_failed(why));
                }
            }
        }
        Err(Failure::Unavailable("others write into this conversation at the same time".to_owned()))
    }

    /// Gives a conversation to an agent, or takes it: `Take` and `AssignTo` with the name looked up.
    pub async fn assign(
        self: &Arc<Self>,
        caller: &Caller,
        id: ConversationId,
        key: Key,
        to: AgentId,
    ) -> Result<Written, Failure> {
        let agent = self.assignable(caller, to).await?;
        self.write(caller, id, Some(key), Command::AssignTo(agent)).await
    }

    /// The visitor looks at a page: noted for agents, and logged in its open conversations.
    pub async fn page(self: &Arc<Self>, caller: &Caller, page: Page) -> Result<(), Failure> {
        let Actor::Visitor { id, .. } = caller.actor else {
            return Err(Refusal::Forbidden("only visitors look at pages".to_owned()).into());
        };
        let project = self.project(caller.project).await?;
        let last = project.attendance.lock().page(id);
        if last.as_ref() == Some(&page) {
            return Ok(());
        }
        self.set_page(caller.project, id, Some(page.clone()));
        for conversation in self.log.conversations_of(caller.project, id).await? {
            if conversation.status == crate::domain::Status::Open {
                let command = Command::Page { url: page.url.clone(), title: page.title.clone() };
                self.write(caller, conversation.id, None, command).await?;
            }
        }
        Ok(())
    }

    pub(super) fn append(
        &self,
        before: &Conversation,
        step: &Step,
        open: Option<NewConversation>,
        claim: Option<Claim>,
    ) -> impl Future<Output = Result<(), AppendError>> + Send {
        let append = Append {
            expected_seq: before.seq,
            expected_desk_seq: before.desk_seq,
            head: Arc::clone(&step.after),
            entries: step.entries.clone(),
            open,
            claim,
        };
        self.log.append(append)
    }

    /// Publishes what is in the log now. Still under the conversation's lock, so that all hear it in order.
    pub(super) fn publish(&self, step: &Step) {
        let state = &step.after;
        for lane in [Lane::Thread, Lane::Desk] {
            let of_lane = step.entries.iter().filter(|entry| entry.lane == lane);
            let entries: Vec<_> = of_lane.cloned().collect();
            if entries.is_empty() {
                continue;
            }
            let topic = match lane {
                Lane::Thread => Topic::Thread(state.id),
                Lane::Desk => Topic::Desk(state.id),
            };
            self.bus.publish(topic, Message::Entries { epoch: state.epoch.clone(), entries });
        }
        self.bus.publish(Topic::Inbox(state.project), Message::Head(Arc::clone(state)));
        // The bus delivers before it returns: the entries are in the outboxes of this node now.
        hot::ACCEPT_TO_DELIVERED.record(step.begun.elapsed());
    }

    /// Tells routing of a conversation's new state.
    pub(super) async fn observe(self: &Arc<Self>, state: &Conversation) {
        // A project that can't be read now is read when it is next used; it then sees this state in the log.
        if let Ok(project) = self.project(state.project).await {
            let moved = project.attendance.lock().observe(state, self.clock.ticks());
            if moved {
                project.kick.notify_one();
            }
        }
    }

    async fn done(
        self: &Arc<Self>,
        caller: &Caller,
        guard: &mut Guard,
        step: Step,
        key: Option<&Key>,
    ) -> Result<Written, Failure> {
        if let Some(loaded) = guard.as_mut() {
            self.slots.remember(loaded, Arc::clone(&step.after), &step.entries);
        }
        self.publish(&step);
        self.observe(&step.after).await;
        let sender = actor_id(&caller.actor);
        let answering =
            step.entries.iter().find(|entry| key.is_some() && entry.key.as_ref() == key && sender_of(entry) == sender);
        let entry = answering.or(step.entries.last()).ok_or(Refusal::NotFound)?;
        Ok(Written { entry: Arc::clone(entry), duplicate: false })
    }

    /// The entry that the same sender wrote with the same key before.
    async fn first_with(
        &self,
        loaded: &Loaded,
        actor: &Actor,
        key: Option<&Key>,
    ) -> Result<Option<Arc<Entry>>, Failure> {
        let (Some(key), Some(sender)) = (key, actor_id(actor)) else { return Ok(None) };
        let Some((lane, seq)) = self.slots.find(loaded, sender, key) else { return Ok(None) };
        let entry = Box::pin(self.log.entry(loaded.state.id, lane, seq)).await?;
        // A visitor whom its site vouched for later goes on with what it wrote before: a conversation has one visitor.
        let is_own = |entry: &Entry| match (actor, &entry.from) {
            (Actor::Visitor { .. }, Author::Visitor { .. }) => true,
            _ => sender_of(entry) == Some(sender),
        };
        Ok(entry.filter(|entry| entry.key.as_ref() == Some(key) && is_own(entry)).map(Arc::new))
    }

    async fn assignable(self: &Arc<Self>, caller: &Caller, to: AgentId) -> Result<AgentRef, Failure> {
        caller.actor.must_answer()?;
        let project = self.project(caller.project).await?;
        let agent = project.attendance.lock().assignable(to);
        Ok(agent
            .ok_or_else(|| Refusal::Conflict("no agent of this project with that id takes conversations".to_owned()))?)
    }
}

/// The actor with the name that it is known by in this conversation: a visitor may have given one when it opened it.
fn named(actor: &Actor, state: &Conversation) -> Actor {
    match actor {
        Actor::Visitor { id, name: None } => Actor::Visitor { id: *id, name: state.visitor_name.clone() },
        known => known.clone(),
    }
}

/// The id under which an actor's keys are unique.
fn actor_id(actor: &Actor) -> Option<Uuid> {
    match actor {
        Actor::Visitor { id, .. } => Some(id.as_uuid()),
        Actor::Agent { id, .. } => Some(id.as_uuid()),
        Actor::Routing => None,
    }
}
