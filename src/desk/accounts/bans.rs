//! Visitors who are not let in, and what becomes of those who are here.

use std::collections::HashSet;

use super::{Accounts, Error, changes::Word};
use crate::{
    bus::{Message, Revocation, Topic},
    ids::{ProjectId, VisitorId},
    log,
};

/// Who is shut out, as last read. Kept in memory: everyone who comes in is looked for in it.
pub(super) type Bans = HashSet<(ProjectId, VisitorId)>;

impl Accounts {
    /// Whether a visitor is shut out.
    pub fn is_banned(&self, project: ProjectId, visitor: VisitorId) -> bool {
        self.bans.lock().contains(&(project, visitor))
    }

    /// Shuts a visitor out, or lets it in again. Its sockets close, on a running server within two seconds.
    pub async fn ban(&self, project: ProjectId, visitor: VisitorId, on: bool) -> Result<(), Error> {
        let since = on.then(|| self.clock.now());
        if !self.log.set_banned(project, visitor, since).await? {
            return Err(Error::Invalid("there is no such visitor in this project".to_owned()));
        }
        self.tell(Word::Visitor, Some(project), &visitor.to_string()).await
    }

    /// Takes up who is shut out now; the sockets of those who were not before close.
    pub(super) async fn read_bans(&self) -> Result<(), log::Error> {
        let now: Bans = self.log.banned().await?.into_iter().collect();
        let before = std::mem::replace(&mut *self.bans.lock(), now.clone());
        for (project, visitor) in now.difference(&before) {
            self.bus.publish_here(Topic::Control, Message::Revoked(Revocation::Visitor(*project, *visitor)));
        }
        Ok(())
    }
}
