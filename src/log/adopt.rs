//! An anonymous visitor turns out to be an identified one.

use sqlx::AssertSqlSafe;

use super::{Error, Log, VisitorRecord, connection::Writer, rows, sql};
use crate::{
    domain::text,
    ids::{ConversationId, VisitorId},
};

/// Moves the conversations. A key of an `open` that the new owner used, too, gives way to the conversation's own id.
const MOVE: &str = "UPDATE conversations SET visitor = $1, visitor_name = COALESCE($2, visitor_name), \
     open_key = CASE WHEN EXISTS (SELECT 1 FROM conversations AS other WHERE other.project = $3 \
         AND other.visitor = $1 AND other.open_key = conversations.open_key) THEN id ELSE open_key END \
     WHERE project = $3 AND visitor = $4 RETURNING id";

/// Their rows, locked in the order in which all lock them.
const OWN: &str = "SELECT id FROM conversations WHERE project = $1 AND visitor = $2 ORDER BY id /*for update*/";

impl Log {
    /// The anonymous visitor `from` turned out to be the identified one `to`: its conversations move over, and what was
    /// known of it fills what is not known of `to`. Returns the conversations that moved; whoever holds a state of one
    /// must load it again.
    pub async fn adopt(&self, from: VisitorId, to: &VisitorRecord) -> Result<Vec<ConversationId>, Error> {
        // Without a row it never wrote. One that its site vouched for is a person of its own: on a shared device, the next
        // one to sign in must not get its conversations.
        let earlier = self.visitor(to.project, from).await?.filter(|earlier| earlier.subject.is_none());
        let Some(earlier) = earlier.filter(|earlier| earlier.id != to.id) else { return Ok(Vec::new()) };
        let merged = merge(to, self.visitor(to.project, to.id).await?, earlier);
        let _turn = self.turns.take("adopt").await;
        let mut writer = self.writer.lock().await;
        writer.begin().await?;
        let moved = move_over(&mut writer, from, &merged).await;
        writer.end(moved).await
    }
}

async fn move_over(writer: &mut Writer, from: VisitorId, to: &VisitorRecord) -> Result<Vec<ConversationId>, Error> {
    let own = sqlx::query(AssertSqlSafe(writer.dialect().complete(OWN)));
    writer.fetch(own.bind(to.project.to_string()).bind(from.to_string())).await?;
    sql::GREET.run(writer, &[rows::greeting(to)]).await?;
    let moved = sqlx::query(MOVE)
        .bind(to.id.to_string())
        .bind(to.name.clone())
        .bind(to.project.to_string())
        .bind(from.to_string());
    let moved = writer.fetch(moved).await?;
    let moved = moved.iter().map(|row| rows::parsed(row, "id")).collect::<Result<_, _>>()?;
    // Nothing stays behind under a name that nobody bears any more.
    let emptied = sqlx::query("DELETE FROM visitors WHERE project = $1 AND id = $2");
    writer.change(emptied.bind(to.project.to_string()).bind(from.to_string())).await?;
    Ok(moved)
}

/// What the site says now, before what it said earlier, before what the visitor said of itself.
fn merge(to: &VisitorRecord, known: Option<VisitorRecord>, earlier: VisitorRecord) -> VisitorRecord {
    let mut merged = to.clone();
    let mut fields = to.fields.clone();
    for past in known.iter().chain([&earlier]) {
        fields = text::merge_fields(fields, past.fields.clone());
        merged.created_at = merged.created_at.min(past.created_at);
    }
    for past in known.into_iter().chain([earlier]) {
        merged.name = merged.name.or(past.name);
        merged.email = merged.email.or(past.email);
    }
    merged.fields = fields;
    merged
}
