//! The integration tests, in one binary so that it links once.
#![cfg(test)]

mod frames;
mod log_story;
mod tidy;
mod support;
mod verbs;
