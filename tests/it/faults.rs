//! Real things that break: the process, the disk, one session.

mod disk;
mod kill;
#[cfg(feature = "fault-injection")]
mod panic;
mod witness;
