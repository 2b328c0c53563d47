//! One replica of the service as a pure state machine.
//!
//! `Replica::step` takes one input and the time and appends what it wants done. There is no clock,
//! socket, thread, operating-system randomness or hash-iteration order inside.

pub mod input;
pub mod output;
pub mod session;
