//! Who may have a session, and when it ends.

mod agents;
mod identity;
mod tokens;
mod visitors;
