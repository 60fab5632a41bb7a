//! What a session's commands do: each becomes one verb of the desk or the hub, and one answer.

use std::{pin::Pin, sync::Arc};

use super::{
    Context,
    greeting::{Lanes, Person, lanes_of},
};
use crate::{
    desk::{Budget, Failure, Opening, Since, Written},
    domain::{Lane, Refusal, access::Actor, conversation, text},
    ids::ConversationId,
    protocol::{
        client::{self, AssignTarget, Command, Page},
        close::CloseCode,
        server::{
            self, Assigned, Done, ErrorCode, Opened, Refreshed, Reply, Sequenced, VisitorCard, Watched,
            Written as WrittenReply,
        },
    },
    telemetry::sparing::Sparing,
    tokens::TokenError,
    trace,
};

/// When a client may try again after the log could not be written.
const UNAVAILABLE_RETRY_MS: u64 = 1_000;

/// What came of a command.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The reply.
    Reply(Reply),
    /// The reply, and lanes that go on once it is out.
    GoOn(Reply, Vec<Lanes>),
    /// A new token holds for so long.
    Renewed(Refreshed),
    /// An error.
    Error(server::Error),
    /// The session ends.
    End(CloseCode),
}

/// A command that is being carried out. Nothing of it is done until somebody waits for its outcome.
pub(super) type Carrying = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Takes `command` up. Most are messages, which have a future of their own: each is put into memory that is cold when it comes, and
/// would take as much of it as the largest of the others.
pub(super) fn carry_out(context: Arc<Context>, person: Arc<Person>, command: Command) -> Carrying {
    match command {
        Command::Send(send) => Box::pin(say(context, person, send)),
        other => Box::pin(carry_out_other(context, person, other)),
    }
}

/// Carries out a `send`.
async fn say(context: Arc<Context>, person: Arc<Person>, send: client::Send) -> Outcome {
    let client::Send { conversation, key, body } = send;
    inject_fault(&body.text);
    let written = match text::message(&body.text) {
        Ok(text) => {
            let verb = conversation::Command::Send { text };
            context.desk.write(&person.caller, conversation, Some(key), verb).await
        }
        Err(refusal) => Err(refusal.into()),
    };
    outcome_of(&context, written.map(|written| Outcome::Reply(written_reply(&written))))
}

fn outcome_of(context: &Context, outcome: Result<Outcome, Failure>) -> Outcome {
    outcome.unwrap_or_else(|failure| Outcome::Error(error_of(context, &failure)))
}

/// Carries out any other command. What happens seldom is boxed.
async fn carry_out_other(context: Arc<Context>, person: Arc<Person>, command: Command) -> Outcome {
    let (context, person) = (&context, &*person);
    let outcome = match command {
        Command::Refresh(refresh) => refresh_token(context, person, &refresh.token),
        Command::Watch(watch) => Box::pin(self::watch(context, person, &watch)).await,
        Command::Open(open) => Box::pin(self::open(context, person, open)).await.map(Outcome::Reply),
        Command::Note(_) | Command::Close(_) | Command::Rate(_) | Command::Assign(_) => {
            write(context, person, command).await.map(Outcome::Reply)
        }
        Command::Ban(wanted) => Box::pin(ban(context, person, &wanted)).await,
        Command::History(asked) => {
            let page = Box::pin(context.desk.history(&person.caller, &asked)).await;
            page.map(|page| Outcome::Reply(Reply::History(page)))
        }
        Command::Inbox(asked) => Box::pin(inbox(context, person, &asked)).await.map(Outcome::Reply),
        other => Box::pin(small(context, person, other)).await,
    };
    outcome_of(context, outcome)
}

/// Everybody who writes is refused while the log is away.
static REFUSED: Sparing = Sparing::new();

/// The failure as the client is told.
fn error_of(context: &Context, failure: &Failure) -> server::Error {
    let (code, message, retry_ms) = match failure {
        Failure::Refused(refusal) => (code_of(refusal), refusal.to_string(), None),
        Failure::Unavailable(_) => {
            let message = "messages can't be stored now; nothing was lost, try again".to_owned();
            (ErrorCode::Unavailable, message, Some(UNAVAILABLE_RETRY_MS))
        }
    };
    let trace = trace_of(code);
    if let Failure::Unavailable(why) = failure
        && let Some(left_out) = REFUSED.turn(context.clock.ticks())
    {
        tracing::warn!(%why, trace, left_out, "refused for now: the log is not available");
    }
    server::Error { id: None, code, message, retry_ms, trace }
}

const fn code_of(refusal: &Refusal) -> ErrorCode {
    match refusal {
        Refusal::BadRequest(_) => ErrorCode::BadRequest,
        Refusal::Forbidden(_) => ErrorCode::Forbidden,
        Refusal::NotFound => ErrorCode::NotFound,
        Refusal::Conflict(_) => ErrorCode::Conflict,
        Refusal::TooLarge(_) => ErrorCode::TooLarge,
    }
}

/// The id of the trace that an error names. What is the server's own fault has one in any case, where traces are made.
pub(super) fn trace_of(code: ErrorCode) -> Option<String> {
    if matches!(code, ErrorCode::Unavailable | ErrorCode::Internal) {
        return trace::fault(code.as_str());
    }
    trace::fail(code.as_str());
    trace::current()
}

/// Commands whose answer is only that they were done.
async fn small(context: &Arc<Context>, person: &Person, command: Command) -> Result<Outcome, Failure> {
    let (desk, caller) = (&context.desk, &person.caller);
    match command {
        Command::Unwatch(unwatch) => {
            must_be_agent(person)?;
            context.hub.unsubscribe(&person.stay, unwatch.conversation);
        }
        Command::Read(read) => {
            must_hear(context, person, read.conversation)?;
            desk.read(caller, read.conversation, read.seq).await?;
        }
        // No need to follow it: an agent's device hears of a message by the inbox, too.
        Command::Delivered(arrived) => desk.delivered(caller, arrived.conversation, arrived.seq).await?,
        Command::Typing(typing) => {
            must_hear(context, person, typing.conversation)?;
            // A draft may be unfinished in any way; what can't be shown is not shown.
            let draft = typing.text.and_then(|draft| text::message(&draft).ok());
            desk.typing(caller, typing.conversation, typing.on, draft);
        }
        Command::Page(view) => desk.page(caller, clean_page(&view.page)?).await?,
        Command::Availability(wanted) => {
            desk.set_availability(caller, wanted.status == client::Availability::Online).await?;
        }
        Command::Connect(_) => return Ok(Outcome::End(CloseCode::BadProtocol)),
        _ => {}
    }
    Ok(Outcome::Reply(Reply::Done(Done {})))
}

/// What becomes of a session that presents a token that is no good.
fn no_good(error: TokenError) -> Outcome {
    match error {
        TokenError::Revoked => Outcome::End(CloseCode::Unauthorized),
        TokenError::Banned => Outcome::End(CloseCode::Banned),
        error => Outcome::Error(server::Error {
            id: None,
            code: ErrorCode::Unauthorized,
            message: error.to_string(),
            retry_ms: None,
            trace: trace_of(ErrorCode::Unauthorized),
        }),
    }
}

fn refresh_token(context: &Context, person: &Person, token: &str) -> Result<Outcome, Failure> {
    let claims = match context.accounts.verify(token) {
        Ok(claims) => claims,
        Err(error) => return Ok(no_good(error)),
    };
    let held = &person.claims;
    let same = (claims.project, claims.kind, claims.subject) == (held.project, held.kind, held.subject);
    if !same || claims.role != held.role {
        return Err(Refusal::Forbidden("the token is for another subject, project or role".to_owned()).into());
    }
    // An agent may have signed in anew meanwhile: from now on the socket lives and ends with that sign-in.
    person.stay.renew(claims.session, Arc::clone(&claims.key));
    // Once more: what was revoked meanwhile did not find this socket by its new token.
    if let Err(error) = context.accounts.verify(token) {
        return Ok(match error {
            TokenError::Expired | TokenError::BadSignature => Outcome::End(CloseCode::TokenExpired),
            _ => Outcome::End(CloseCode::Unauthorized),
        });
    }
    Ok(Outcome::Renewed(Refreshed { token_ttl_ms: claims.expires_at() - context.clock.now() }))
}

async fn open(context: &Arc<Context>, person: &Person, open: client::Open) -> Result<Reply, Failure> {
    let opening = Opening {
        key: open.key,
        text: text::message(&open.body.text)?,
        fields: open.fields.unwrap_or_default(),
        page: open.page.as_ref().map(clean_page).transpose()?,
        subject: person.claims.sub_external.clone(),
        email: person.claims.email.clone(),
    };
    let opened = context.desk.open(&person.caller, opening).await?;
    let state = opened.state;
    Ok(Reply::Opened(Box::new(Opened {
        conversation: state.id,
        epoch: state.epoch.clone(),
        seq: opened.first.seq,
        entry: opened.first.id,
        at: opened.first.at,
        status: state.status,
        duplicate: opened.duplicate,
        read: state.read,
        delivered: state.marks().delivered,
        queue: opened.queue,
        assignee: state.assignee.clone(),
    })))
}

/// The commands that write one thing into one conversation.
async fn write(context: &Arc<Context>, person: &Person, command: Command) -> Result<Reply, Failure> {
    let (desk, caller) = (&context.desk, &person.caller);
    match command {
        Command::Note(note) => {
            let verb = conversation::Command::Note { text: text::message(&note.body.text)? };
            desk.write(caller, note.conversation, Some(note.key), verb).await.map(|written| written_reply(&written))
        }
        Command::Close(close) => {
            let verb = conversation::Command::Close;
            desk.write(caller, close.conversation, Some(close.key), verb).await.map(|written| sequenced(&written))
        }
        Command::Rate(rate) => {
            let comment = text::line(rate.comment.as_deref(), "comment", text::COMMENT_CHARS)?;
            let verb = conversation::Command::Rate { score: rate.score, comment };
            desk.write(caller, rate.conversation, Some(rate.key), verb).await.map(|written| sequenced(&written))
        }
        Command::Assign(assign) => {
            let (id, key) = (assign.conversation, assign.key);
            let written = match assign.to {
                AssignTarget::Me(_) => desk.write(caller, id, Some(key), conversation::Command::Take).await?,
                AssignTarget::Nobody => desk.write(caller, id, Some(key), conversation::Command::HandBack).await?,
                AssignTarget::Agent(agent) => Box::pin(desk.assign(caller, id, key, agent)).await?,
            };
            Ok(Reply::Assigned(Assigned { desk_seq: written.entry.seq }))
        }
        _ => Ok(Reply::Done(Done {})),
    }
}

/// Shuts the visitor of a conversation out, or lets it in again. That it is shut out is written down first: colleagues see who
/// did it, whatever follows. That it is let in is written when it is: who reads it may count on it.
async fn ban(context: &Arc<Context>, person: &Person, wanted: &client::Ban) -> Result<Outcome, Failure> {
    let (caller, id) = (&person.caller, wanted.conversation);
    caller.actor.must_answer()?;
    let state = context.desk.look(caller, id).await?;
    if context.accounts.is_banned(state.project, state.visitor) != wanted.on {
        let command = conversation::Command::Ban { on: wanted.on };
        let put_down = context.accounts.ban(state.project, state.visitor, wanted.on);
        let put_down = async { put_down.await.map_err(|error| Failure::Unavailable(error.to_string())) };
        let say = context.desk.write(caller, id, None, command);
        if wanted.on {
            say.await?;
            put_down.await?;
        } else {
            put_down.await?;
            say.await?;
        }
    }
    Ok(Outcome::Reply(Reply::Done(Done {})))
}

/// In builds for the fault tests, one message takes down the session that sends it.
#[cfg(feature = "fault-injection")]
fn inject_fault(text: &str) {
    assert!(text != "!panic", "injected");
}

#[cfg(not(feature = "fault-injection"))]
const fn inject_fault(_text: &str) {}

async fn inbox(context: &Arc<Context>, person: &Person, asked: &client::Inbox) -> Result<Reply, Failure> {
    // First listen, then read: a head that changes in between is pushed.
    if person.stay.is_agent() {
        context.hub.listen(&person.stay, crate::bus::Topic::Inbox(person.caller.project));
    }
    context.desk.inbox(&person.caller, asked).await.map(Reply::Inbox)
}

async fn watch(context: &Arc<Context>, person: &Person, watch: &client::Watch) -> Result<Outcome, Failure> {
    must_be_agent(person)?;
    let (id, caller) = (watch.conversation, &person.caller);
    // Looked at before anything is subscribed to: what is not the caller's can't be listened to, not even for a moment.
    let seen = context.desk.look(caller, id).await?;
    let banned = context.accounts.is_banned(seen.project, seen.visitor);
    let card = VisitorCard { banned, ..context.desk.visitor_card(caller, &seen).await? };
    let heard_before = context.hub.hears(&person.stay, id);
    context.hub.subscribe(&person.stay, id, Lane::Thread);
    context.hub.subscribe(&person.stay, id, Lane::Desk);
    let watched = catch_up_both(context, person, watch, card).await;
    if watched.is_err() && heard_before {
        // It was cut off from lanes that it believes to follow: it must come back and resume.
        return Ok(Outcome::End(CloseCode::Resync));
    }
    if watched.is_err() {
        context.hub.unsubscribe(&person.stay, id);
    }
    watched
}

/// Reads what a watching agent missed of both lanes. Both are subscribed to already.
async fn catch_up_both(
    context: &Arc<Context>,
    person: &Person,
    watch: &client::Watch,
    visitor: VisitorCard,
) -> Result<Outcome, Failure> {
    let (id, caller) = (watch.conversation, &person.caller);
    let since = |seq: Option<u64>| Some(Since { epoch: watch.epoch.clone()?, seq: seq? });
    let mut budget = Budget::default();
    let thread = context.desk.catch_up(caller, (id, Lane::Thread), since(watch.seq).as_ref(), &mut budget).await?;
    let desk = context.desk.catch_up(caller, (id, Lane::Desk), since(watch.desk_seq).as_ref(), &mut budget).await?;
    let lanes = vec![lanes_of((id, Lane::Thread), &thread), lanes_of((id, Lane::Desk), &desk)];
    let state = &desk.state;
    let reply = Watched {
        conversation: id,
        epoch: state.epoch.clone(),
        status: state.status,
        seq: thread.last,
        desk_seq: desk.last,
        resumed: thread.resumed && desk.resumed,
        visitor,
        assignee: state.assignee.clone(),
        read: state.read,
        delivered: state.marks().delivered,
        viewing: context.hub.viewing(id),
        entries: thread.entries.into_iter().chain(desk.entries).collect(),
    };
    Ok(Outcome::GoOn(Reply::Watched(Box::new(reply)), lanes))
}

fn must_be_agent(person: &Person) -> Result<(), Refusal> {
    match person.caller.actor {
        Actor::Agent { .. } => Ok(()),
        _ => Err(Refusal::Forbidden("only agents may do that".to_owned())),
    }
}

/// Watermarks and typing are for those who follow the conversation.
fn must_hear(context: &Context, person: &Person, conversation: ConversationId) -> Result<(), Refusal> {
    if context.hub.hears(&person.stay, conversation) { Ok(()) } else { Err(Refusal::NotFound) }
}

fn clean_page(page: &Page) -> Result<Page, Refusal> {
    let title = text::line(Some(&page.title), "page.title", text::TITLE_CHARS)?;
    Ok(Page { url: text::page_url(&page.url)?, title: title.unwrap_or_default() })
}

fn written_reply(written: &Written) -> Reply {
    let entry = &written.entry;
    Reply::Written(WrittenReply { seq: entry.seq, entry: entry.id, at: entry.at, duplicate: written.duplicate })
}

fn sequenced(written: &Written) -> Reply {
    Reply::Sequenced(Sequenced { seq: written.entry.seq })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, B, C, F>(_: fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// Each message waits in one of these, in memory that is cold when it comes: once it had grown to twice as much by what
    /// happens seldom.
    #[test]
    fn what_a_message_waits_in_needs_little_room() {
        let size = size_of_future(say);
        assert!(size <= 900, "{size}");
    }
}
