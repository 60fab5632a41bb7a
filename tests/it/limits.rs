//! Every limit holds, says so, and harms nobody else.

mod connections;
mod greetings;
mod hostile;
mod pace;
mod shedding;
mod sockets;
