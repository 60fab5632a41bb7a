//! Visitors who are not let in.

use sqlx::any::AnyRow;

use super::{Error, Log, rows};
use crate::{
    clock::Millis,
    ids::{ProjectId, VisitorId},
};

impl Log {
    /// Shuts a visitor out since `at`, or lets it in again. False when there is no such visitor.
    pub async fn set_banned(&self, project: ProjectId, visitor: VisitorId, at: Option<Millis>) -> Result<bool, Error> {
        let query = sqlx::query("UPDATE visitors SET banned_ms = $1 WHERE project = $2 AND id = $3");
        let query = query.bind(at).bind(project.to_string()).bind(visitor.to_string());
        Ok(self.execute(query).await? > 0)
    }

    /// All visitors who are shut out, of all projects.
    pub async fn banned(&self) -> Result<Vec<(ProjectId, VisitorId)>, Error> {
        let query = sqlx::query("SELECT project, id FROM visitors WHERE banned_ms IS NOT NULL");
        self.readers.fetch_all(query).await?.iter().map(read).collect()
    }
}

fn read(row: &AnyRow) -> Result<(ProjectId, VisitorId), Error> {
    Ok((rows::parsed(row, "project")?, rows::parsed(row, "id")?))
}
