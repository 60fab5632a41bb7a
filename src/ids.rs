//! Identifiers: one type for each kind of thing, so that a visitor's id can't be passed for an agent's.
//!
//! All are UUIDs, written as the 36-character lower-case string on the wire and in the database. New ones are version 7
//! (they sort by the time they were made); an identified visitor's is derived from its project and subject, so that two
//! devices agree on it before either has written a word (RFC 9562 version 8).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = String, format = "uuid")]
        pub struct $name(Uuid);

        impl $name {
            /// A new id of version 7: unique, and sorted by the time it was made.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The bare UUID.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, out)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

id!(
    /// A project: one site, with its own visitors, agents and conversations.
    ProjectId
);
id!(
    /// A visitor of a project's site.
    VisitorId
);
id!(
    /// An agent: a person who answers.
    AgentId
);
id!(
    /// A conversation between one visitor and the project's agents.
    ConversationId
);
id!(
    /// One entry of a conversation's log, in either lane.
    EntryId
);
id!(
    /// A session: what one token stands for. Several sockets may present the same one (tabs, reconnects).
    SessionId
);
id!(
    /// A node: one run of the server, among those that serve the same database.
    NodeId
);

impl VisitorId {
    /// The id of the visitor whom the site itself calls `subject`. The same pair always gives the same id.
    pub fn for_subject(project: ProjectId, subject: &str) -> Self {
        let digest = Sha256::new().chain_update(project.0.as_bytes()).chain_update(subject.as_bytes()).finalize();
        let mut bytes = [0_u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_one_id_in_a_project_and_another_elsewhere() {
        let (here, there) = (ProjectId::generate(), ProjectId::generate());
        assert_eq!(VisitorId::for_subject(here, "ada"), VisitorId::for_subject(here, "ada"));
        assert_ne!(VisitorId::for_subject(here, "ada"), VisitorId::for_subject(there, "ada"));
        assert_ne!(VisitorId::for_subject(here, "ada"), VisitorId::for_subject(here, "bob"));
    }

    #[test]
    fn ids_read_back_from_their_text() {
        let id = ConversationId::generate();
        assert_eq!(id.to_string().parse::<ConversationId>().ok(), Some(id));
        assert!("not-an-id".parse::<ConversationId>().is_err());
    }
}
