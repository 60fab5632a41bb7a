//! Who may do what.

use super::{Author, Refusal, Role};
use crate::ids::{AgentId, VisitorId};

/// The person on whose behalf a command is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A visitor.
    Visitor {
        /// Who.
        id: VisitorId,
        /// The name it gave, or its site vouched for.
        name: Option<String>,
    },
    /// An agent.
    Agent {
        /// Who.
        id: AgentId,
        /// Its name.
        name: String,
        /// What it may do.
        role: Role,
    },
    /// Deskbell itself.
    Routing,
}

impl Actor {
    /// The actor as an entry's author.
    pub fn author(&self) -> Author {
        match self {
            Self::Visitor { id, name } => Author::Visitor { id: *id, name: name.clone() },
            Self::Agent { id, name, .. } => Author::Agent { id: *id, name: name.clone() },
            Self::Routing => Author::System {},
        }
    }

    /// Refuses what only agents who may write do.
    pub fn must_answer(&self) -> Result<(), Refusal> {
        match self {
            Self::Visitor { .. } => Err(Refusal::Forbidden("only agents may do that".to_owned())),
            Self::Agent { role: Role::Viewer, .. } => {
                Err(Refusal::Forbidden("your role, viewer, may read and not write".to_owned()))
            }
            Self::Agent { .. } | Self::Routing => Ok(()),
        }
    }

    /// Refuses a viewer; visitors and writing agents pass.
    pub fn must_write(&self) -> Result<(), Refusal> {
        match self {
            Self::Visitor { .. } => Ok(()),
            _ => self.must_answer(),
        }
    }
}

impl Role {
    /// The name in the database and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Agent => "agent",
            Self::Viewer => "viewer",
        }
    }

    /// Reads the name back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Owner, Self::Admin, Self::Agent, Self::Viewer].into_iter().find(|role| role.as_str() == text)
    }

    /// Whether routing may give it conversations.
    pub const fn answers(self) -> bool {
        !matches!(self, Self::Viewer)
    }
}
