//! The protocol, verb by verb, as a client sees it.

mod agents;
mod assigning;
mod delivered;
mod frames;
mod inbox;
mod presence;
mod versions;
mod visitors;
