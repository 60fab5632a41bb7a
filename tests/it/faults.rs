//! Real things that break: the process, the disk, one session.

mod backup;
mod clock;
mod departure;
mod disk;
mod kill;
#[cfg(feature = "fault-injection")]
mod panic;
mod typing;
mod witness;
