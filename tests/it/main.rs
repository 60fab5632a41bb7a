//! The integration tests, in one binary so that it links once.
#![cfg(test)]

mod accounts;
mod frames;
mod isolation;
mod log_story;
mod origins;
mod resume;
mod support;
mod tidy;
mod verbs;
