//! The loop of an identified session.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use rand::Rng as _;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
    time::{Instant, sleep_until},
};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{
    Context,
    commands::{Outcome, carry_out},
    greeting::{Greeted, Lanes, Person},
    heartbeat::{Due, Heartbeat},
    pace::{Pace, Verdict, is_write},
    socket::{Ending, Inbound, Socket},
};
use crate::{
    protocol::{
        MAX_BATCH,
        client::{ClientFrame, Command, ParseError},
        close::CloseCode,
        server::{Error, ErrorCode, Ok as OkFrame, Ping, Reply, ServerFrame, TokenExpiring},
    },
    telemetry::refused,
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
    /// Commands in line, each with the time of its arrival.
    waiting: VecDeque<(Instant, ClientFrame)>,
    current: Option<Current>,
    /// When this session ends because the node is being stopped.
    drained_at: Option<Instant>,
    /// Commands that came in the same frame as `connect`.
    along: Vec<Utf8Bytes>,
}

/// The command that is being carried out, by a task of its own: it goes on while this session waits for its socket, and
/// is finished when the session ends before it. What was committed is published, whatever becomes of who wrote it.
struct Current {
    id: Option<u32>,
    /// When it arrived, if it writes.
    arrived: Option<Instant>,
    outcome: oneshot::Receiver<Outcome>,
}

impl Serving {
    /// Takes over from the greeting: what was subscribed goes on.
    pub(super) fn begin(context: &Arc<Context>, greeted: Greeted) -> Self {
        let Greeted { person, lanes, rest, reply: _ } = greeted;
        let now = Instant::now();
        let ttl = person.claims.expires_at() - context.clock.now();
        let serving = Self {
            context: Arc::clone(context),
            person: Arc::new(person),
            pace: Pace::new(&context.limits, now),
            heartbeat: Heartbeat::new(&context.limits, ttl, now),
            waiting: VecDeque::new(),
            current: None,
            drained_at: None,
            along: rest,
        };
        serving.go_on(&lanes);
        serving
    }

    /// Serves until there is a reason to end.
    pub(super) async fn run<S>(mut self, socket: &mut Socket<S>) -> Ending
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let along = std::mem::take(&mut self.along);
        if let Err(ending) = self.take_lines(socket, along.iter().map(Utf8Bytes::as_str)).await {
            return ending;
        }
        loop {
            if let Err(ending) = self.step(socket).await {
                return ending;
            }
        }
    }

    /// Waits for the next thing to do, and does it.
    async fn step<S>(&mut self, socket: &mut Socket<S>) -> Result<(), Ending>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.start_next();
        let wake = self.drained_at.map_or(self.heartbeat.next(), |at| at.min(self.heartbeat.next()));
        tokio::select! {
            // Ending first, then answers, then timers; what comes in last, so that who floods waits for the rest.
            biased;
            () = self.context.drain.cancelled(), if self.drained_at.is_none() => {
                self.drained_at = Some(Instant::now() + spread(&self.context));
                Ok(())
            }
            outcome = current(&mut self.current), if self.current.is_some() => self.answer(socket, outcome).await,
            () = self.person.stay.outbox.ready() => self.deliver(socket).await,
            () = sleep_until(wake) => self.beat(socket).await,
            inbound = socket.receive(), if self.waiting.len() < BACKLOG => self.take_in(socket, inbound?).await,
        }
    }

    /// Begins the next waiting command, if none is being carried out.
    fn start_next(&mut self) {
        if self.current.is_some() {
            return;
        }
        let Some((arrived, ClientFrame { id, command })) = self.waiting.pop_front() else { return };
        let arrived = is_write(&command).then_some(arrived);
        let (context, person) = (Arc::clone(&self.context), Arc::clone(&self.person));
        let (tell, outcome) = oneshot::channel();
        let tasks = context.tasks.clone();
        tasks.spawn(async move { drop(tell.send(carry_out(&context, &person, command).await)) });
        self.current = Some(Current { id, arrived, outcome });
    }

    async fn answer<S>(&mut self, socket: &mut Socket<S>, outcome: Outcome) -> Result<(), Ending>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (id, arrived) = self.current.take().map_or((None, None), |current| (current.id, current.arrived));
        if let Some(arrived) = arrived {
            metrics::histogram!("deskbell_accept_to_ack_seconds").record(arrived.elapsed());
        }
        match outcome {
            Outcome::Reply(reply) => self.reply(socket, id, reply).await,
            Outcome::GoOn(reply, lanes) => {
                self.reply(socket, id, reply).await?;
                self.go_on(&lanes);
                Ok(())
            }
            Outcome::Renewed(refreshed) => {
                self.heartbeat.renew(refreshed.token_ttl_ms, Instant::now());
                self.reply(socket, id, Reply::Refreshed(refreshed)).await
            }
            // Who gave no number gets no answer; the error says what went wrong to who reads the frames.
            Outcome::Error(error) => self.send(socket, &ServerFrame::Error(Error { id, ..error })).await,
            Outcome::End(code) => Err(Ending::Code(code)),
        }
    }

    async fn reply<S>(&mut self, socket: &mut Socket<S>, id: Option<u32>, reply: Reply) -> Result<(), Ending>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match id {
            Some(id) => self.send(socket, &ServerFrame::Ok(OkFrame { id, reply })).await,
            None => Ok(()),
        }
    }

    async fn send<S>(&mut self, socket: &mut Socket<S>, frame: &ServerFrame) -> Result<(), Ending>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.write(socket, [Utf8Bytes::from(frame.encode())]).await
    }

    /// Writes, as long as the session may go on: who does not read is cut off as soon as who does.
    async fn write<S>(
        &mut self,
        socket: &mut Socket<S>,
        frames: impl IntoIterator<Item = Utf8Bytes>,
    ) -> Result<(), Ending>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.heartbeat.sent(Instant::now());
        tokio::select! {
            // The write first: nearly always it is done at once, and nothing else is looked at.
            biased;
            written = socket.send(frames) => written,
            ending = may_not_go_on(&self.person, self.heartbeat.token_ends()) => Err(ending),
        }
    }

    /// Writes what the hub put out.
    async fn deliver<S>(&mut self, socket: &mut Socket<S>) -> Result<(), Ending>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let batch = self.person.stay.outbox.take();
        if let Some(code) = batch.ending.filter(|code| code.shuts_out()) {
            return Err(Ending::Code(code));
        }
        let states = batch.states.into_iter().map(|(_, frame)| frame);
        if states.len() + batch.frames.len() > 0 {
            self.write(socket, states.chain(batch.frames)).await?;
        }
        batch.ending.map_or(Ok(()), |code| Err(Ending::Code(code)))
    }

    async fn beat<S>(&mut self, socket: &mut Socket<S>) -> Result<(), Ending>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let now = Instant::now();
        if self.drained_at.is_some_and(|at| now >= at) {
            return Err(Ending::Code(CloseCode::Draining));
        }
        match self.heartbeat.due(now) {
            None => Ok(()),
            Some(Due::Ping) => {
                metrics::counter!("deskbell_pings_total").increment(1);
                self.send(socket, &ServerFrame::Ping(Ping {})).await
            }
            Some(Due::Warn) => {
                let in_ms = self.heartbeat.token_left_ms(now);
                self.send(socket, &ServerFrame::TokenExpiring(TokenExpiring { in_ms })).await
            }
            Some(Due::NoPong) => {
                // A process that was frozen finds the pong in the socket: it came in time.
                if let Some(inbound) = socket.receive().now_or_never() {
                    return self.take_in(socket, inbound?).await;
                }
                refused("pong_within_ms");
                Err(Ending::Code(CloseCode::NoPong))
            }
            Some(Due::TokenEnded) => Err(Ending::Code(CloseCode::TokenExpired)),
        }
    }

    async fn take_in<S>(&mut self, socket: &mut Socket<S>, inbound: Inbound) -> Result<(), Ending>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.heartbeat.heard();
        match inbound {
            Inbound::Control if self.pace.control(Instant::now()) => Ok(()),
            Inbound::Control => Err(Ending::Code(CloseCode::RateLimited)),
            Inbound::Text(frame) => {
                let lines = ClientFrame::lines(&frame).map_err(|_| Ending::Code(CloseCode::BadProtocol))?;
                self.take_lines(socket, lines).await
            }
        }
    }

    /// Queues the commands of a frame, and answers those that are none.
    async fn take_lines<'a, S>(
        &mut self,
        socket: &mut Socket<S>,
        lines: impl Iterator<Item = &'a str>,
    ) -> Result<(), Ending>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        for line in lines {
            if let Some(error) = self.queue(line)? {
                self.send(socket, &error).await?;
            }
        }
        Ok(())
    }

    /// Puts a command in line; returns what to tell the client when it is not one, or comes too fast.
    fn queue(&mut self, line: &str) -> Result<Option<ServerFrame>, Ending> {
        let error = |id, code, message, retry_ms| Ok(Some(ServerFrame::Error(Error { id, code, message, retry_ms })));
        let parsed = ClientFrame::parse(line);
        let (id, writes) = match &parsed {
            Ok(frame) => (frame.id, is_write(&frame.command)),
            Err(ParseError::Malformed) => return Err(Ending::Code(CloseCode::BadProtocol)),
            Err(ParseError::UnknownType { id, .. } | ParseError::BadRequest { id, .. }) => (*id, false),
        };
        match self.pace.ask(writes, Instant::now()) {
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
                self.waiting.push_back((Instant::now(), frame));
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

/// Returns when a session must end though its socket takes nothing: it was shut out, or its token has ended.
pub(super) async fn may_not_go_on(person: &Person, token_ends: Instant) -> Ending {
    tokio::select! {
        code = person.stay.outbox.shut_out() => Ending::Code(code),
        () = sleep_until(token_ends) => Ending::Code(CloseCode::TokenExpired),
    }
}

/// Waits for the command that is being carried out. Cancel-safe: it stays where it is. One that panicked ends its session.
async fn current(current: &mut Option<Current>) -> Outcome {
    match current {
        Some(current) => (&mut current.outcome).await.unwrap_or(Outcome::End(CloseCode::ServerError)),
        None => std::future::pending().await,
    }
}

/// A random moment within the reconnect window, so that not all clients come back at once.
fn spread(context: &Context) -> Duration {
    let (visitors, agents) = context.hub.count();
    let sessions = u64::try_from(visitors + agents).unwrap_or(u64::MAX);
    let window = context.limits.reconnect_window_ms.min(sessions.saturating_mul(DRAIN_MS_PER_SESSION));
    Duration::from_millis(rand::rng().random_range(0..=window))
}
