//! Who may have a session, and when it ends.

mod agents;
mod bans;
mod control;
mod identity;
mod keys;
mod tokens;
mod visitors;
