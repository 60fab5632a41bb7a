//! How a side comes back when its session has ended: to any of the nodes, from where it was.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use deskbell::{
    domain::Lane,
    ids::ConversationId,
    protocol::client::{Command, Connect, History, Position},
};
use serde_json::Value;

use crate::{
    client::{Dialer, Link},
    pair::Role,
};

/// How long a side goes on trying to come back before it says so.
const RETURNING: Duration = Duration::from_secs(30);
/// How long the first try may take: a node that is frozen takes the connection and says nothing.
const TRY: Duration = Duration::from_secs(5);
/// How long a later one may. Each may take twice as long as the one before: when thousands come back to a busy machine, tries that are
/// given up are work for it, too, and everybody may give up over and over.
const LONGEST_TRY: Duration = Duration::from_secs(20);
/// The wait between two tries: short, since this measures the server and not the widget's patience.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);
/// Entries that one `history` asks for: the most there are.
const PAGE: u32 = 200;

/// What a side needs to come back when its socket has ended.
pub(crate) struct Return {
    dialer: Dialer,
    index: usize,
    token: String,
    epoch: String,
}

impl Return {
    pub(crate) const fn new(dialer: Dialer, index: usize, token: String, epoch: String) -> Self {
        Self { dialer, index, token, epoch }
    }

    /// Dials until somebody answers, for as long as a server may take to be started again. `seen` is the last one of each
    /// lane. Returns the answer to `connect` with the session.
    pub(crate) async fn connect(
        &self,
        conversation: ConversationId,
        role: Role,
        seen: [u64; 2],
    ) -> Result<(Link, Value)> {
        let (end, mut patience) = (Instant::now() + RETURNING, TRY);
        loop {
            let tried = tokio::time::timeout(patience, self.try_connect(conversation, role, seen)).await;
            if tried.is_err() {
                patience = LONGEST_TRY.min(patience * 2);
            }
            match tried.context("nobody answers").flatten() {
                Ok(back) => return Ok(back),
                Err(error) if Instant::now() > end => return Err(error.context("never came back")),
                Err(_) => tokio::time::sleep(BETWEEN_TRIES).await,
            }
        }
    }

    async fn try_connect(&self, conversation: ConversationId, role: Role, seen: [u64; 2]) -> Result<(Link, Value)> {
        let mut link = Link::new(self.dialer.dial(self.index).await?);
        let lanes = [Lane::Thread, Lane::Desk].into_iter().zip(seen).filter(|(lane, _)| role.may_read(*lane));
        let position = |(lane, seq)| Position { conversation, epoch: self.epoch.clone(), lane, seq };
        let connect = Connect { token: self.token.clone(), client: None, resume: lanes.map(position).collect() };
        let answer = link.ask(Command::Connect(connect)).await?;
        Ok((link, answer))
    }
}

/// Everything of a lane after `seq`, by as many questions as it takes.
pub(crate) async fn read_on(
    link: &mut Link,
    conversation: ConversationId,
    lane: Lane,
    mut seq: u64,
) -> Result<Vec<Value>> {
    let mut entries = Vec::new();
    loop {
        let history = History { conversation, lane, before: None, after: Some(seq), limit: PAGE };
        let mut page = link.ask(Command::History(history)).await.context("failed to read on")?;
        let more = page["more"] == true;
        let found = page["entries"].as_array_mut().map(std::mem::take).unwrap_or_default();
        seq = found.last().and_then(|entry| entry["seq"].as_u64()).unwrap_or(seq);
        let is_end = found.is_empty() || !more;
        entries.extend(found);
        if is_end {
            return Ok(entries);
        }
    }
}
