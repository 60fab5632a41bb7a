//! The loop of an identified session.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt as _, future::poll_immediate};
use rand::Rng as _;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_util::sync::WaitForCancellationFuture;

use super::{
    Context,
    commands::{Outcome, carry_out},
    greeting::{Greeted, Lanes, Person},
    heartbeat::{Due, Heartbeat},
    pace::{Pace, Verdict, is_write},
    socket::{Ending, Inbound, Socket},
    stream::Stream,
    work::Work,
};
use crate::{
    hub::outbox::Outbox,
    protocol::{
        MAX_BATCH,
        client::{ClientFrame, Command, ParseError},
        close::CloseCode,
        server::{Error, ErrorCode, Ok as OkFrame, Ping, Reply, ServerFrame, TokenExpiring},
    },
    telemetry::{hot, refused},
    tokens::Claims,
    trace::{Part, Span, Spans},
};

/// Commands that may wait behind the one being carried out; then the socket is not read until there is room.
const BACKLOG: usize = 2 * MAX_BATCH;

/// With few sessions a drain need not take the whole window: one millisecond for each.
const DRAIN_MS_PER_SESSION: u64 = 1;

/// An identified session.
pub(super) struct Serving {
    context: Arc<Context>,
    person: Arc<Person>,
    pace: Pace,
    heartbeat: Heartbeat,
    /// Commands in line.
    waiting: VecDeque<Waiting>,
    current: Option<Current>,
    /// When this session ends because the node is being stopped.
    drained_at: Option<Instant>,
    /// It ends, once what was put out is written.
    ends_with: Option<CloseCode>,
    /// What is recorded of what was put out, until that is written.
    delivering: Spans,
    begun: Instant,
}

/// A command in line.
struct Waiting {
    arrived: Instant,
    /// Recorded from its arrival to its answer.
    edge: Span,
    frame: ClientFrame,
}

/// The command that is being carried out.
struct Current {
    id: Option<u32>,
    edge: Span,
    /// When it arrived, if it writes.
    arrived: Option<Instant>,
    work: Work,
}

/// What a session waits for in every turn. Kept from turn to turn: to be put on the runtime's lists and taken off them
/// again costs more than a look.
struct Waits<'s, 'c> {
    drained: Pin<&'s mut WaitForCancellationFuture<'c>>,
    /// May ring early: what was due later meanwhile is found not to be due.
    timer: Pin<&'s mut Sleep>,
}

impl Waits<'_, '_> {
    /// Sets the timer, if it would ring too late or has rung.
    fn wake_by(&mut self, at: Instant) {
        if self.timer.is_elapsed() || at < self.timer.deadline() {
            self.timer.as_mut().reset(at);
        }
    }
}

impl Serving {
    /// Takes over from the greeting: what was subscribed goes on, and commands that came in the same frame as `connect` stand in line.
    pub(super) fn begin<S>(context: &Arc<Context>, greeted: Greeted, socket: &mut Socket<S>) -> Result<Self, Ending>
    where
        S: Stream,
    {
        let Greeted { person, lanes, rest, reply: _ } = greeted;
        let now = Instant::now();
        let ttl = person.claims.expires_at() - context.clock.now();
        let mut serving = Self {
            context: Arc::clone(context),
            person: Arc::new(person),
            pace: Pace::default(),
            heartbeat: Heartbeat::new(&context.limits, ttl, now),
            waiting: VecDeque::new(),
            current: None,
            drained_at: None,
            ends_with: None,
            delivering: Spans::default(),
            begun: now,
        };
        serving.go_on(&lanes);
        let taken = serving.take_lines(socket, rest.iter().map(Utf8Bytes::as_str));
        taken.inspect_err(|ending| serving.tell_end(*ending)).map(|()| serving)
    }

    /// Serves until there is a reason to end.
    pub(super) async fn run<S>(&mut self, socket: &mut Socket<S>) -> Ending
    where
        S: Stream,
    {
        // At once, also where nothing is to be written: the socket lets go of the task that greeted, which stays in memory for
        // as long as something could wake it.
        if let Err(ending) = self.write(socket).await {
            return ending;
        }
        let context = Arc::clone(&self.context);
        let drained = pin!(context.drain.cancelled());
        let timer = pin!(sleep_until(self.heartbeat.next()));
        let mut waits = Waits { drained, timer };
        loop {
            if let Err(ending) = self.step(socket, &mut waits).await {
                // From here on nobody else writes; what waited for the flusher, answers above all, goes before the closing frame.
                if self.person.stay.outbox.rouse() && ending != Ending::Gone {
                    self.deliver(socket).ok();
                }
                return ending;
            }
        }
    }

    /// Says in the server's own log how the session ended.
    pub(super) fn tell_end(&self, ending: Ending) {
        let Claims { session, project, kind, .. } = &self.person.claims;
        let lasted_s = self.begun.elapsed().as_secs();
        tracing::info!(reason = ending.reason(), %session, %project, kind = kind.as_str(), lasted_s, "session ended");
    }

    /// One turn: what is there is taken and answered, and what came of it is written in one go.
    async fn step<S>(&mut self, socket: &mut Socket<S>, waits: &mut Waits<'_, '_>) -> Result<(), Ending>
    where
        S: Stream,
    {
        self.start_next();
        waits.wake_by(self.drained_at.map_or(self.heartbeat.next(), |at| at.min(self.heartbeat.next())));
        tokio::select! {
            // Ending first, then answers, then timers; what comes in last, so that who floods waits for the rest.
            biased;
            () = &mut waits.drained, if self.drained_at.is_none() => {
                self.drained_at = Some(Instant::now() + spread(&self.context));
            }
            outcome = current(&mut self.current, &self.person.stay.outbox), if self.current.is_some() => {
                self.answer(socket, outcome)?;
            }
            () = self.person.stay.outbox.ready() => self.deliver(socket)?,
            () = &mut waits.timer => self.beat(socket)?,
            inbound = socket.receive(), if self.waiting.len() < BACKLOG => self.take_in(socket, inbound?)?,
        }
        if socket.is_unwritten() {
            let written = self.write(socket).await;
            if written.is_err() {
                self.delivering.fail("not_written");
            }
            written?;
        }
        self.delivering = Spans::default();
        self.ends_with.map_or(Ok(()), |code| Err(Ending::Code(code)))
    }

    /// Begins the next waiting command, if none is being carried out.
    fn start_next(&mut self) {
        if self.current.is_some() {
            return;
        }
        let Some(Waiting { arrived, edge, frame: ClientFrame { id, command } }) = self.waiting.pop_front() else {
            return;
        };
        let arrived = is_write(&command).then_some(arrived);
        let (context, person) = (Arc::clone(&self.context), Arc::clone(&self.person));
        let recorded = self.record(&edge, &command);
        let mut outcome = carry_out(context, person, command);
        if recorded.is_some() {
            outcome = Box::pin(async move { recorded.around(outcome).await });
        }
        self.current = Some(Current { id, edge, arrived, work: Work::new(&self.context.tasks, outcome) });
    }

    /// The part of a command's trace in which it is carried out.
    fn record(&self, edge: &Span, command: &Command) -> Span {
        edge.note("deskbell.command", &command.name());
        edge.note("deskbell.session", &self.person.claims.session);
        let _entered = edge.enter();
        let session = Span::part(Part::Session);
        session.note("deskbell.project", &self.person.claims.project);
        session
    }

    fn answer<S>(&mut self, socket: &mut Socket<S>, outcome: Outcome) -> Result<(), Ending>
    where
        S: Stream,
    {
        let current = self.current.take();
        let (id, arrived) = current.as_ref().map_or((None, None), |current| (current.id, current.arrived));
        let answered = current.map(|current| current.edge).unwrap_or_default();
        if let Some(arrived) = arrived {
            hot::ACCEPT_TO_ACK.record(arrived.elapsed());
        }
        // Who gave no number gets no answer; the error says what went wrong to who reads the frames.
        let answer = |reply| id.map(|id| ServerFrame::Ok(OkFrame { id, reply }));
        let (frame, lanes) = match outcome {
            Outcome::Reply(reply) => (answer(reply), Vec::new()),
            Outcome::GoOn(reply, lanes) => (answer(reply), lanes),
            Outcome::Renewed(refreshed) => {
                self.heartbeat.renew(refreshed.token_ttl_ms, Instant::now());
                (answer(Reply::Refreshed(refreshed)), Vec::new())
            }
            Outcome::Error(error) => {
                answered.fail(error.code.as_str());
                (Some(ServerFrame::Error(Error { id, ..error })), Vec::new())
            }
            Outcome::End(code) => return Err(Ending::Code(code)),
        };
        let stay = &self.person.stay;
        if let Some(frame) = frame {
            stay.outbox.answer(frame.encode().into(), answered);
        }
        if socket.is_unwritten() || !stay.leave() {
            self.deliver(socket)?;
        }
        self.go_on(&lanes);
        Ok(())
    }

    /// Takes what is put out to the socket.
    fn deliver<S>(&mut self, socket: &mut Socket<S>) -> Result<(), Ending>
    where
        S: Stream,
    {
        let mut batch = self.person.stay.outbox.take();
        if batch.has_rest {
            socket.has_rest();
        }
        if let Some(code) = batch.ending.filter(|code| code.shuts_out()) {
            return Err(Ending::Code(code));
        }
        let frames = batch.in_order();
        (self.ends_with, self.delivering) = (batch.ending, batch.delivering);
        socket.put(frames)
    }

    /// Writes what was put out, as long as the session may go on: who does not read is cut off as soon as who does.
    async fn write<S>(&mut self, socket: &mut Socket<S>) -> Result<(), Ending>
    where
        S: Stream,
    {
        self.heartbeat.sent(Instant::now());
        // Nearly always it is done at once, and nothing else is looked at.
        if let Some(written) = poll_immediate(poll_fn(|wake| socket.poll_written(wake))).await {
            return written;
        }
        if let Some(current) = &mut self.current {
            current.work.hand_over();
        }
        Box::pin(written_while_it_may_go_on(socket, &self.person, self.heartbeat.token_ends())).await
    }

    fn beat<S>(&mut self, socket: &mut Socket<S>) -> Result<(), Ending>
    where
        S: Stream,
    {
        let now = Instant::now();
        let outbox = &self.person.stay.outbox;
        outbox.rouse();
        if let Some(at) = outbox.flushed_at() {
            self.heartbeat.sent(at);
        }
        if self.drained_at.is_some_and(|at| now >= at) {
            return Err(Ending::Code(CloseCode::Draining));
        }
        match self.heartbeat.due(now) {
            None => Ok(()),
            Some(Due::Ping) => {
                metrics::counter!("deskbell_pings_total").increment(1);
                put(socket, &ServerFrame::Ping(Ping {}))
            }
            Some(Due::Warn) => {
                let in_ms = self.heartbeat.token_left_ms(now);
                put(socket, &ServerFrame::TokenExpiring(TokenExpiring { in_ms }))
            }
            Some(Due::NoPong) => {
                // A process that was frozen finds the pong in the socket: it came in time.
                if let Some(inbound) = socket.receive().now_or_never() {
                    return self.take_in(socket, inbound?);
                }
                refused("pong_within_ms");
                Err(Ending::Code(CloseCode::NoPong))
            }
            Some(Due::TokenEnded) => Err(Ending::Code(CloseCode::TokenExpired)),
        }
    }

    fn take_in<S>(&mut self, socket: &mut Socket<S>, inbound: Inbound) -> Result<(), Ending>
    where
        S: Stream,
    {
        if self.person.stay.outbox.rouse() {
            // What was put out before the client asked comes before what it is told now.
            self.deliver(socket)?;
        }
        self.heartbeat.heard();
        match inbound {
            Inbound::Control if self.pace.control(&self.context.limits, self.context.clock.ticks()) => Ok(()),
            Inbound::Control => Err(Ending::Code(CloseCode::RateLimited)),
            Inbound::Text(frame) => {
                let lines = ClientFrame::lines(&frame).map_err(|_| Ending::Code(CloseCode::BadProtocol))?;
                self.take_lines(socket, lines)
            }
        }
    }

    /// Queues the commands of a frame, and answers those that are none.
    fn take_lines<'a, S>(&mut self, socket: &mut Socket<S>, lines: impl Iterator<Item = &'a str>) -> Result<(), Ending>
    where
        S: Stream,
    {
        for line in lines {
            if let Some(error) = self.queue(line)? {
                put(socket, &error)?;
            }
        }
        Ok(())
    }

    /// Puts a command in line; returns what to tell the client when it is not one, or comes too fast.
    fn queue(&mut self, line: &str) -> Result<Option<ServerFrame>, Ending> {
        let parsed = ClientFrame::parse(line);
        let edge = match &parsed {
            Ok(ClientFrame { command: Command::Pong(_), .. }) => Span::default(),
            _ => Span::root(Part::Edge),
        };
        let error = |id, code: ErrorCode, message, retry_ms| {
            edge.fail(code.as_str());
            Ok(Some(ServerFrame::Error(Error { id, code, message, retry_ms, trace: edge.trace() })))
        };
        let (id, writes) = match &parsed {
            Ok(frame) => (frame.id, is_write(&frame.command)),
            Err(ParseError::Malformed) => return Err(Ending::Code(CloseCode::BadProtocol)),
            Err(ParseError::UnknownType { id, .. } | ParseError::BadRequest { id, .. }) => (*id, false),
        };
        match self.pace.ask(&self.context.limits, writes, self.context.clock.ticks()) {
            Verdict::Granted => {}
            Verdict::Refused { retry_ms } => {
                let message = format!("{} writes a second at most", self.context.limits.writes_per_second);
                return error(id, ErrorCode::RateLimited, message, Some(retry_ms));
            }
            Verdict::Exhausted => return Err(Ending::Code(CloseCode::RateLimited)),
        }
        match parsed {
            Ok(ClientFrame { command: Command::Pong(_), .. }) | Err(ParseError::Malformed) => Ok(None),
            Ok(frame) => {
                self.waiting.push_back(Waiting { arrived: Instant::now(), edge, frame });
                Ok(None)
            }
            Err(unknown @ ParseError::UnknownType { .. }) => {
                error(id, ErrorCode::UnknownType, unknown.to_string(), None)
            }
            Err(ParseError::BadRequest { message, .. }) => error(id, ErrorCode::BadRequest, message, None),
        }
    }

    fn go_on(&self, lanes: &[Lanes]) {
        for Lanes { conversation, lane, epoch, last } in lanes {
            self.context.hub.go_on(&self.person.stay, (*conversation, *lane), epoch, *last);
        }
    }
}

fn put<S: Stream>(socket: &mut Socket<S>, frame: &ServerFrame) -> Result<(), Ending> {
    socket.put([frame.encode().into()])
}

/// Waits until the client has taken what was put out, if the session may go on for so long.
async fn written_while_it_may_go_on<S>(
    socket: &mut Socket<S>,
    person: &Person,
    token_ends: Instant,
) -> Result<(), Ending>
where
    S: Stream,
{
    tokio::select! {
        biased;
        written = socket.written() => written,
        ending = may_not_go_on(person, token_ends) => Err(ending),
    }
}

/// Returns when a session must end though its socket takes nothing: it was shut out, or its token has ended.
pub(super) async fn may_not_go_on(person: &Person, token_ends: Instant) -> Ending {
    tokio::select! {
        code = person.stay.outbox.shut_out() => Ending::Code(code),
        () = sleep_until(token_ends) => Ending::Code(CloseCode::TokenExpired),
    }
}

/// Goes on with the command that is being carried out. Cancel-safe: it stays where it is.
async fn current(current: &mut Option<Current>, outbox: &Outbox) -> Outcome {
    let Some(current) = current else { return std::future::pending().await };
    poll_fn(|wake| {
        // What it publishes comes to this session, too, which looks there next.
        outbox.rouse();
        current.work.poll_outcome(wake)
    })
    .await
}

/// A random moment within the reconnect window, so that not all clients come back at once.
fn spread(context: &Context) -> Duration {
    let (visitors, agents) = context.hub.count();
    let sessions = u64::try_from(visitors + agents).unwrap_or(u64::MAX);
    let window = context.limits.reconnect_window_ms.min(sessions.saturating_mul(DRAIN_MS_PER_SESSION));
    Duration::from_millis(rand::rng().random_range(0..=window))
}
