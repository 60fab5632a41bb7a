//! Who may have a session, and when it ends.

mod agents;
mod control;
mod identity;
mod keys;
mod tokens;
mod visitors;
