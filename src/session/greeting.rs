//! From an unknown socket to somebody: the `connect` frame, checked, and its answer.
//!
//! A [`Greeting`] consumes itself to become a [`Person`]; nothing else can be done with a socket before.

use std::{collections::BTreeMap, sync::Arc};

use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{Context, Peer, attending::Attending, commands::trace_of, socket::Ending};
use crate::{
    desk::{Budget, Caller, CaughtUp, Failure, Since},
    domain::{AgentRef, Lane, Role, access::Actor},
    hub::{Arrival, Stay, Subject, outbox::OutboxLimits},
    ids::{AgentId, ConversationId, VisitorId},
    protocol::{
        MAX_BATCH,
        client::{ClientFrame, ClientInfo, Command, Connect, ParseError, Position},
        close::CloseCode,
        server::{
            self, AgentCount, AgentsHere, Connected, ErrorCode, ProjectInfo, Reply, Resumed, ServerFrame, SubjectKind,
        },
    },
    telemetry::refused,
    tokens::{Claims, Kind, TokenError},
};

/// Somebody whose token was good: who it is, and its stay in the hub. Held until its last command was carried out.
pub(super) struct Person {
    pub(super) stay: Stay,
    /// Dropped after the stay: it looks whether the person is still here in another session.
    _attending: Attending,
    pub(super) caller: Caller,
    pub(super) claims: Claims,
}

/// A socket that said `connect` and was let in.
pub(super) struct Greeted {
    pub(super) person: Person,
    /// The answer to `connect`, to be sent before anything else.
    pub(super) reply: Utf8Bytes,
    /// From where each lane goes on once the answer is out.
    pub(super) lanes: Vec<Lanes>,
    /// What came in the same frame.
    pub(super) rest: Vec<Utf8Bytes>,
}

/// A lane that was caught up.
#[derive(Clone, Debug)]
pub(super) struct Lanes {
    pub(super) conversation: ConversationId,
    pub(super) lane: Lane,
    pub(super) epoch: String,
    pub(super) last: u64,
}

/// A refused greeting: what to say before closing.
#[derive(Debug)]
pub(super) struct Turned {
    pub(super) error: Option<Box<ServerFrame>>,
    pub(super) ending: Ending,
}

impl From<Ending> for Turned {
    fn from(ending: Ending) -> Self {
        Self { error: None, ending }
    }
}

impl Turned {
    fn away(code: CloseCode) -> Self {
        Ending::Code(code).into()
    }

    fn with(code: CloseCode, id: Option<u32>, error: ErrorCode, message: &str, retry_ms: Option<u64>) -> Self {
        let error = server::Error { id, code: error, message: message.to_owned(), retry_ms, trace: trace_of(error) };
        Self { error: Some(Box::new(ServerFrame::Error(error))), ending: Ending::Code(code) }
    }
}

/// A socket whose first frame has arrived.
pub(super) struct Greeting<'a> {
    context: &'a Arc<Context>,
    peer: &'a Peer,
    id: Option<u32>,
    connect: Connect,
    rest: Vec<Utf8Bytes>,
}

impl<'a> Greeting<'a> {
    /// Reads the first frame.
    pub(super) fn read(context: &'a Arc<Context>, peer: &'a Peer, frame: &Utf8Bytes) -> Result<Self, Turned> {
        let mut lines = ClientFrame::lines(frame).map_err(|_| Turned::away(CloseCode::BadProtocol))?;
        let first = lines.next().unwrap_or_default();
        if first.len() > context.limits.connect_bytes {
            refused("connect_bytes");
            return Err(Turned::away(CloseCode::ConnectTimeout));
        }
        let rest = lines.take(MAX_BATCH).map(Utf8Bytes::from).collect();
        match ClientFrame::parse(first) {
            Ok(ClientFrame { id, command: Command::Connect(connect) }) => Ok(Self { context, peer, id, connect, rest }),
            Err(ParseError::Malformed) => Err(Turned::away(CloseCode::BadProtocol)),
            Err(ParseError::BadRequest { id, message }) => {
                Err(Turned::with(CloseCode::ConnectTimeout, id, ErrorCode::BadRequest, &message, None))
            }
            Ok(_) | Err(ParseError::UnknownType { .. }) => Err(Turned::away(CloseCode::ConnectTimeout)),
        }
    }

    /// Whether another frame can be kept: not while there is as much as one may bring.
    pub(super) fn has_room(&self) -> bool {
        let bytes: usize = self.rest.iter().map(|line| line.len()).sum();
        self.rest.len() < MAX_BATCH && bytes < self.context.limits.frame_bytes
    }

    /// Keeps what came after `connect`, and before its answer.
    pub(super) fn keep(&mut self, frame: &Utf8Bytes) -> Result<(), Turned> {
        let lines = ClientFrame::lines(frame).map_err(|_| Turned::away(CloseCode::BadProtocol))?;
        self.rest.extend(lines.map(Utf8Bytes::from));
        Ok(())
    }

    /// Checks what is told without a look into the database: version, token, origin.
    pub(super) fn check(&self) -> Result<(Claims, Caller), Turned> {
        if self.connect.client.as_ref().is_some_and(ClientInfo::is_too_old) {
            return Err(Turned::away(CloseCode::VersionTooOld));
        }
        let claims = self.context.accounts.verify(&self.connect.token).map_err(|error| self.no_good(error))?;
        let caller = caller_of(&claims).ok_or_else(|| self.no_good(TokenError::Malformed))?;
        self.must_come_from_its_site(&claims)?;
        Ok((claims, caller))
    }

    /// Checks it, however it was before, lets the person in and answers.
    pub(super) async fn identify(self) -> Result<Greeted, Turned> {
        let (claims, caller) = self.check()?;
        let stay = self.enter(&claims, &caller)?;
        // Once more: what was revoked before it stood in the hub reached nobody.
        self.context.accounts.verify(&self.connect.token).map_err(|error| self.no_good(error))?;
        // Before the answer, which tells an agent how it is itself.
        let attending = Attending::begin(self.context, &caller, &stay).await;
        let person = Person { stay, _attending: attending, caller, claims };
        match self.answer(&person).await {
            Ok((connected, lanes)) => {
                let reply = match self.id {
                    Some(id) => {
                        ServerFrame::Ok(server::Ok { id, reply: Reply::Connected(Box::new(connected)) }).encode()
                    }
                    None => String::new(),
                };
                Ok(Greeted { person, reply: reply.into(), lanes, rest: self.rest })
            }
            Err(Failure::Unavailable(_)) => {
                let message = "the conversations can't be read now";
                Err(Turned::with(CloseCode::ServerError, self.id, ErrorCode::Unavailable, message, Some(1_000)))
            }
            Err(Failure::Refused(refusal)) => {
                Err(Turned::with(CloseCode::Unauthorized, self.id, ErrorCode::Unauthorized, &refusal.to_string(), None))
            }
        }
    }

    /// Too many came before it.
    pub(super) fn came_too_late(&self) -> Turned {
        let message = "too many come in at the same time";
        Turned::with(CloseCode::ServerError, self.id, ErrorCode::Unavailable, message, Some(1_000))
    }

    fn no_good(&self, error: TokenError) -> Turned {
        let code = match error {
            // The code says it all; a client that reads the error first would take it for something else.
            TokenError::Banned => return Turned::away(CloseCode::Banned),
            TokenError::Expired => CloseCode::TokenExpired,
            _ => CloseCode::Unauthorized,
        };
        Turned::with(code, self.id, ErrorCode::Unauthorized, &error.to_string(), None)
    }

    /// A browser's page must belong to the project, or for an agent to the server itself; programs have no origin.
    fn must_come_from_its_site(&self, claims: &Claims) -> Result<(), Turned> {
        if self.context.accounts.admits(claims, self.peer.origin.as_deref()) {
            return Ok(());
        }
        let message = "this page's origin is not on the project's list";
        Err(Turned::with(CloseCode::Unauthorized, self.id, ErrorCode::Forbidden, message, None))
    }

    fn enter(&self, claims: &Claims, caller: &Caller) -> Result<Stay, Turned> {
        let limits = &self.context.limits;
        let (subject, outbox, most, limit) = match &caller.actor {
            Actor::Agent { id, name, .. } => {
                let agent = AgentRef { id: *id, name: name.clone() };
                let outbox = (limits.outbox_agent_bytes, "outbox_agent_bytes");
                (Subject::Agent(agent), outbox, limits.sockets_per_agent, "sockets_per_agent")
            }
            Actor::Visitor { id, .. } => {
                let outbox = (limits.outbox_visitor_bytes, "outbox_visitor_bytes");
                (Subject::Visitor(*id), outbox, limits.sockets_per_visitor, "sockets_per_visitor")
            }
            Actor::Routing => return Err(self.no_good(TokenError::Malformed)),
        };
        let arrival = Arrival {
            project: claims.project,
            session: claims.session,
            key: Arc::clone(&claims.key),
            subject,
            address: self.peer.address,
            limits: OutboxLimits { frames: limits.outbox_frames, bytes: outbox.0, bytes_limit: outbox.1 },
        };
        let stay = self.context.hub.enter(arrival);
        if self.context.hub.count_like(&stay) > most {
            refused(limit);
            return Err(Turned::away(CloseCode::TooManySessions));
        }
        if self.context.hub.count_of(claims.project) > limits.sockets_per_project {
            refused("sockets_per_project");
            return Err(Turned::away(CloseCode::RateLimited));
        }
        Ok(stay)
    }

    async fn answer(&self, person: &Person) -> Result<(Connected, Vec<Lanes>), Failure> {
        let (context, caller) = (self.context, &person.caller);
        let (kind, subject, name, role) = match &caller.actor {
            Actor::Agent { id, name, role } => (SubjectKind::Agent, id.to_string(), Some(name.clone()), Some(*role)),
            Actor::Visitor { id, name } => (SubjectKind::Visitor, id.to_string(), name.clone(), None),
            Actor::Routing => (SubjectKind::Visitor, String::new(), None, None),
        };
        let agents = match &caller.actor {
            Actor::Agent { id, .. } => AgentsHere::List(context.desk.colleagues(caller.project, *id).await?),
            _ => AgentsHere::Count(AgentCount { online: context.desk.agents_online(caller.project).await? }),
        };
        let project = match kind {
            SubjectKind::Visitor => None,
            SubjectKind::Agent => {
                let settings = context.desk.settings(caller.project).await?;
                Some(ProjectInfo { id: settings.id, name: settings.name, public_key: settings.public_key })
            }
        };
        let (conversations, lanes) = self.resume(person).await?;
        let connected = Connected {
            session: person.claims.session,
            kind,
            subject,
            name,
            heartbeat_ms: context.limits.ping_after_ms,
            token_ttl_ms: person.claims.expires_at() - context.clock.now(),
            max_frame_bytes: context.limits.frame_bytes,
            reconnect_window_ms: context.limits.reconnect_window_ms,
            conversations,
            role,
            project,
            agents,
        };
        Ok((connected, lanes))
    }

    /// Subscribes to what the person is entitled to, and reads what it missed. In this order: nothing falls between.
    async fn resume(&self, person: &Person) -> Result<(Vec<Resumed>, Vec<Lanes>), Failure> {
        let (context, caller) = (self.context, &person.caller);
        let named: BTreeMap<_, _> =
            self.connect.resume.iter().map(|position| ((position.conversation, position.lane), position)).collect();
        // A visitor's own, and of those it names older ones, too, where it still holds them.
        let own = context.desk.own_conversations(caller).await?;
        let may_name = |lane: Lane| lane.is_thread() || !matches!(caller.actor, Actor::Visitor { .. });
        let others = named.keys().copied().filter(|(id, lane)| may_name(*lane) && !own.contains(id));
        let mut wanted: Vec<_> = own.iter().map(|id| (*id, Lane::Thread)).chain(others).collect();
        let (mut conversations, mut lanes, mut budget) = (Vec::new(), Vec::new(), Budget::default());
        let mut tried = Vec::new();
        loop {
            for at in std::mem::take(&mut wanted) {
                tried.push(at.0);
                // Looked at before it is subscribed to: what is not the caller's can't be listened to, not even for a moment.
                // An agent may name what was purged or never was its project's: it is told by the absence.
                let seen = if own.contains(&at.0) { Ok(()) } else { context.desk.look(caller, at.0).await.map(drop) };
                match seen {
                    Err(Failure::Refused(_)) => continue,
                    Err(failure) => return Err(failure),
                    Ok(()) if !context.hub.subscribe(&person.stay, at.0, at.1) => continue,
                    Ok(()) => {}
                }
                let since = named.get(&at).map(|position| since_of(position));
                let caught_up = match context.desk.catch_up(caller, at, since.as_ref(), &mut budget).await {
                    // It has just become somebody else's.
                    Err(Failure::Refused(_)) => {
                        context.hub.unsubscribe(&person.stay, at.0);
                        continue;
                    }
                    caught_up => caught_up?,
                };
                count_resume(since.is_some(), caught_up.resumed);
                lanes.push(lanes_of(at, &caught_up));
                conversations.push(self.resumed(caller, at, caught_up));
            }
            let opened = context.hub.greeted(&person.stay, &tried);
            if opened.is_empty() {
                return Ok((conversations, lanes));
            }
            wanted = opened.into_iter().map(|conversation| (conversation, Lane::Thread)).collect();
        }
    }

    fn resumed(&self, caller: &Caller, (conversation, lane): (ConversationId, Lane), caught_up: CaughtUp) -> Resumed {
        let CaughtUp { state, resumed, entries, last } = caught_up;
        Resumed {
            conversation,
            epoch: state.epoch.clone(),
            lane,
            seq: last,
            status: state.status,
            resumed,
            entries,
            read: state.read,
            delivered: state.marks().delivered,
            assignee: state.assignee.clone(),
            queue: self.context.desk.place_in_line(caller.project, conversation),
        }
    }
}

pub(super) fn since_of(position: &Position) -> Since {
    Since { epoch: position.epoch.clone(), seq: position.seq }
}

pub(super) fn lanes_of((conversation, lane): (ConversationId, Lane), caught_up: &CaughtUp) -> Lanes {
    Lanes { conversation, lane, epoch: caught_up.state.epoch.clone(), last: caught_up.last }
}

fn count_resume(asked: bool, resumed: bool) {
    let outcome = match (asked, resumed) {
        (false, _) => "fresh",
        (true, true) => "resumed",
        (true, false) => "reset",
    };
    metrics::counter!("deskbell_resumes_total", "outcome" => outcome).increment(1);
}

/// On whose behalf a token speaks.
fn caller_of(claims: &Claims) -> Option<Caller> {
    let actor = match claims.kind {
        Kind::Visitor => Actor::Visitor { id: VisitorId::from(claims.subject), name: claims.name.clone() },
        Kind::Agent => Actor::Agent {
            id: AgentId::from(claims.subject),
            name: claims.name.clone()?,
            role: claims.role.unwrap_or(Role::Viewer),
        },
        Kind::Resume => return None,
    };
    Some(Caller { project: claims.project, session: Some(claims.session), actor })
}
