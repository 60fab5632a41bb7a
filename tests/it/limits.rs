//! Every limit holds, says so, and harms nobody else.

mod hostile;
mod pace;
mod sockets;
