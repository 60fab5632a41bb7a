//! The integration tests, in one binary so that it links once.
#![cfg(test)]

mod accounts;
mod acme;
mod bus;
mod cli;
mod dashboard;
mod deploy;
mod examples;
mod faults;
mod frames;
mod isolation;
mod limits;
mod log_story;
mod logs;
mod nodes;
mod origins;
mod pieces;
mod resume;
#[cfg(feature = "fault-injection")]
mod simulation;
mod starting;
mod support;
mod tidy;
mod tls;
mod together;
mod traces;
mod verbs;
