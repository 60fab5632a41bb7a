//! One socket's life: greeted, served, closed. One task owns the socket; while it sleeps, what is put out for it may be written by
//! the hub ([`stream`]).
//!
//! A session that has said `connect` consumes itself to become an identified one; the code for commands can't be reached
//! before. Commands of one session are carried out one after the other, in the order sent. What is being written when the
//! session ends is finished in the background: it is published if it was committed.

mod attending;
mod commands;
mod greeting;
mod heartbeat;
pub mod line;
mod meter;
mod pace;
mod serving;
mod socket;
pub mod stream;
mod work;

use std::{future::pending, net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use self::{
    greeting::{Greeted, Greeting, Turned},
    line::Lines,
    pace::Pace,
    serving::{Serving, may_not_go_on},
    socket::{Ending, Inbound, Socket},
    stream::Stream,
};
use crate::{
    clock::Clock,
    config::Limits,
    desk::{Desk, accounts::Accounts},
    hub::Hub,
    pressure::Pressure,
    protocol::close::CloseCode,
    tasks::Tasks,
    telemetry::refused,
    trace::{Part, Span},
};

/// What every session needs.
pub struct Context {
    /// The verbs.
    pub desk: Arc<Desk>,
    /// What comes up.
    pub hub: Arc<Hub>,
    /// Who a token is.
    pub accounts: Arc<Accounts>,
    /// The limits it lives under.
    pub limits: Arc<Limits>,
    /// Where those wait who said `connect`.
    pub greetings: Arc<Lines>,
    /// How near this node is to what it can bear.
    pub pressure: Arc<Pressure>,
    /// The present time.
    pub clock: Clock,
    /// What outlives a session.
    pub tasks: Tasks,
    /// Cancelled when the node is being stopped: sessions say `draining` and end, spread over the reconnect window.
    pub drain: CancellationToken,
}

/// Where a socket comes from.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The client's address, proxies considered.
    pub address: IpAddr,
    /// The page's origin, when a browser said one.
    pub origin: Option<String>,
}

/// Begins a session on a socket after its WebSocket handshake; with the stream comes what was read behind the request. `seat`
/// is kept until the session's end.
///
/// Returns when the client was greeted. The session then goes on in a task of its own: what was needed until there, which is
/// several times as much as an idle session needs, is gone with this one.
pub async fn run<S>(context: Arc<Context>, (stream, leftover): (S, Bytes), peer: Peer, seat: impl Send + 'static)
where
    S: Stream,
{
    let Ok(mut socket) = Socket::new(stream, leftover, &context.limits).await else { return };
    let greeted = tokio::select! {
        biased;
        () = context.drain.cancelled() => Err(Ending::Code(CloseCode::Draining)),
        greeted = greet(&context, &peer, &mut socket) => greeted,
    };
    let serving = match greeted {
        Ok(greeted) => {
            socket.share(&greeted.person.stay);
            Serving::begin(&context, greeted, &mut socket)
        }
        Err(ending) => {
            tracing::debug!(reason = ending.reason(), address = %peer.address, "a socket ended before it was a session");
            Err(ending)
        }
    };
    match serving {
        Ok(serving) => context.tasks.spawn(serve(serving, socket, seat)),
        Err(ending) => close(socket, ending).await,
    }
}

/// The task of an identified session. All idle ones together are most of what the program holds in memory, so nothing is
/// kept here that is needed seldom: such things are boxed where they happen.
#[expect(clippy::manual_async_fn, reason = "an `async fn` keeps room for its arguments twice: 800 bytes a session")]
fn serve<S, T>(mut serving: Serving, mut socket: Socket<S>, seat: T) -> impl Future<Output = ()> + Send
where
    T: Send,
    S: Stream,
{
    async move {
        let ending = serving.run(&mut socket).await;
        serving.tell_end(ending);
        // Whoever is still being told why is no longer here.
        drop(serving);
        Box::pin(close(socket, ending)).await;
        drop(seat);
    }
}

async fn close<S: Stream>(socket: Socket<S>, ending: Ending) {
    metrics::counter!("deskbell_closes_total", "reason" => ending.reason()).increment(1);
    socket.close(ending).await;
}

/// Waits for `connect`, checks it and answers.
async fn greet<S>(context: &Arc<Context>, peer: &Peer, socket: &mut Socket<S>) -> Result<Greeted, Ending>
where
    S: Stream,
{
    let limit = Duration::from_millis(context.limits.connect_timeout_ms);
    let Ok(first) = timeout(limit, first_frame(context, socket)).await else {
        refused("connect_timeout_ms");
        return Err(Ending::Code(CloseCode::ConnectTimeout));
    };
    let frame = first?;
    let edge = Span::root(Part::Edge);
    edge.note("deskbell.command", &"connect");
    let identified = async {
        match Greeting::read(context, peer, &frame) {
            Ok(greeting) => in_turn(context, socket, greeting).await,
            Err(turned) => Err(turned),
        }
    };
    let greeted = match edge.around(identified).await {
        Ok(greeted) => greeted,
        Err(Turned { error, ending }) => {
            if let Some(error) = error {
                socket.put([error.encode().into()])?;
                socket.written().await?;
            }
            return Err(ending);
        }
    };
    if !greeted.reply.is_empty() {
        let ttl_ms = greeted.person.claims.expires_at() - context.clock.now();
        let token_ends = Instant::now() + Duration::from_millis(u64::try_from(ttl_ms).unwrap_or(0));
        socket.put([greeted.reply.clone()])?;
        tokio::select! {
            biased;
            written = socket.written() => written?,
            ending = may_not_go_on(&greeted.person, token_ends) => return Err(ending),
        }
    }
    Ok(greeted)
}

/// Lets somebody in when it is its turn. Who leaves before leaves the line at once: what is asked of the database for those who are
/// gone would only keep back those who are not.
async fn in_turn<S>(context: &Context, socket: &mut Socket<S>, mut greeting: Greeting<'_>) -> Result<Greeted, Turned>
where
    S: Stream,
{
    let (_, caller) = greeting.check()?;
    let line = context.greetings.of(&caller.actor);
    let turn = if let Some(turn) = line.free() {
        turn
    } else {
        tokio::select! {
            biased;
            turned = leaves(context, socket, &mut greeting) => return Err(turned),
            turn = line.turn() => turn.ok_or_else(|| greeting.came_too_late())?,
        }
    };
    // Behind a pointer: it takes several KiB, which those who wait need not have.
    line.take(turn, Box::pin(greeting.identify())).await
}

/// Waits until the client leaves, or does what no client may. What it says meanwhile is kept, as far as there is room.
async fn leaves<S>(context: &Context, socket: &mut Socket<S>, greeting: &mut Greeting<'_>) -> Turned
where
    S: Stream,
{
    let mut pace = Pace::default();
    while greeting.has_room() {
        match socket.receive().await {
            Err(ending) => return ending.into(),
            Ok(Inbound::Text(frame)) => match greeting.keep(&frame) {
                Ok(()) => {}
                Err(turned) => return turned,
            },
            Ok(Inbound::Control) if pace.control(&context.limits, context.clock.ticks()) => {}
            Ok(Inbound::Control) => return Ending::Code(CloseCode::RateLimited).into(),
        }
    }
    pending().await
}

/// The first text frame. Pings may come before it, a few.
async fn first_frame<S>(
    context: &Context,
    socket: &mut Socket<S>,
) -> Result<tokio_tungstenite::tungstenite::Utf8Bytes, Ending>
where
    S: Stream,
{
    for _ in 0..=context.limits.control_frames_per_10s {
        match socket.receive().await? {
            Inbound::Text(frame) => return Ok(frame),
            Inbound::Control => {}
        }
    }
    refused("control_frames_per_10s");
    Err(Ending::Code(CloseCode::RateLimited))
}

#[cfg(test)]
mod tests {
    use super::{stream::Plain, *};

    fn size_of_future<A, B, C, F>(_: fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// Twice it had grown to several times that because something was added that happens seldom.
    #[test]
    fn an_idle_session_needs_little_room() {
        let size = size_of_future(serve::<Plain, ()>);
        assert!(size <= 1_152, "{size}");
    }
}
