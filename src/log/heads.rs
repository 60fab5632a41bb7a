//! Where many conversations are: what a node asks that may not have heard all that others said.

use sqlx::AssertSqlSafe;

use super::{Error, Log, rows};
use crate::{
    clock::Millis,
    domain::Conversation,
    ids::{ConversationId, ProjectId},
};

/// The most conversations that one query of [`Log::heads_of`] asks for.
pub const HEADS: usize = 500;
/// The sizes of its lists: a statement's text depends on the size, and a text that was seen before is prepared already.
const SIZES: [usize; 4] = [1, 16, 128, HEADS];

/// Where an open conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which.
    pub id: ConversationId,
    /// The last `seq` of its thread.
    pub seq: u64,
    /// The last `seq` of its desk lane.
    pub desk_seq: u64,
    /// When its last message was.
    pub at: Millis,
}

impl Log {
    /// The states of those among `conversations`, at most [`HEADS`], that there are; in any order.
    pub async fn heads_of(&self, conversations: &[ConversationId]) -> Result<Vec<Conversation>, Error> {
        let (Some(last), Some(size)) = (conversations.last(), SIZES.iter().find(|size| **size >= conversations.len()))
        else {
            return Ok(Vec::new());
        };
        let places: Vec<String> = (1..=*size).map(|n| format!("${n}")).collect();
        let text = format!("SELECT {} FROM conversations WHERE id IN ({})", rows::CONVERSATION, places.join(", "));
        // The list is filled up with its last one.
        let filled = conversations.iter().chain(std::iter::repeat(last)).take(*size);
        let query = filled.fold(sqlx::query(AssertSqlSafe(text)), |query, id| query.bind(id.to_string()));
        self.readers.fetch_all(query).await?.iter().map(rows::conversation).collect()
    }

    /// Where all open conversations of a project are.
    pub async fn open_positions(&self, project: ProjectId) -> Result<Vec<Position>, Error> {
        let query = "SELECT id, seq, desk_seq, at_ms FROM conversations WHERE project = $1 AND status = 'open'";
        let rows = self.readers.fetch_all(sqlx::query(query).bind(project.to_string())).await?;
        let positions = rows.iter().map(|row| {
            Ok(Position {
                id: rows::parsed(row, "id")?,
                seq: rows::count(row, "seq")?,
                desk_seq: rows::count(row, "desk_seq")?,
                at: rows::number(row, "at_ms")?,
            })
        });
        positions.collect()
    }
}
