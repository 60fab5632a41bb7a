//! Deskbell: the live-chat server that a company runs itself.

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
pub mod protocol;
pub mod rate;
pub mod session;
pub mod tasks;
pub mod telemetry;
pub mod tokens;

pub mod server;
