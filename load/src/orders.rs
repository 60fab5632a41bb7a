//! What a side is told to do.

use std::time::{Duration, Instant};

use deskbell::domain::Lane;

/// What a side is told from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// Say something in this lane; it was due then.
    Say(Instant, Lane),
    /// Do what is no message.
    Do(Deed),
    /// Go away.
    Stop,
}

/// What people do besides talking.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed {
    /// Begin or end to type.
    Type(bool),
    /// Read all that has come.
    Read,
    /// Look at this page of the site.
    Look(u32),
    /// Go to another page, or away for so long: the socket ends, another one goes on.
    Leave(Duration),
    /// End the conversation.
    Close,
    /// Rate it.
    Rate(u8),
}
