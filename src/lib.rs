//! Deskbell: the live-chat server that a company runs itself.
//!
//! The way down: [`edge`] takes a socket, [`session`] reads its commands, [`desk`] decides them with [`domain`], appends to the
//! [`log`] and publishes on the [`bus`]. The way up: the [`hub`] hears the bus and fills outboxes; sessions, or
//! while they sleep its flusher, write them out.
//! The two ways meet only in the bus. [`server`] starts and stops all of it; [`cli`] is what a person types.
//!
//! - Nothing is acknowledged or published that is not committed.
//! - Each lane of a conversation is one dense sequence; a hole heals from the log.
//! - A visitor's session is never subscribed to the desk lane.
//! - The project comes from the session, never from input.
//! - Every queue is bounded and its policy has a name; only [`tasks`] spawns, only [`clock`] reads the time.
//!
//! `docs/architecture.md` tells who may import whom; a test holds the code to it.

pub mod bus;
pub mod cli;
pub mod clock;
pub mod config;
pub mod desk;
pub mod domain;
pub mod edge;
pub mod hub;
pub mod ids;
pub mod log;
pub mod passwords;
pub mod pressure;
pub mod protocol;
pub mod rate;
pub mod session;
pub mod tasks;
pub mod telemetry;
pub mod tokens;
pub mod trace;

pub mod server;
