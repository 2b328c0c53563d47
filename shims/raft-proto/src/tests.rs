//! Round trips of every message, broken input, and the text form of changes.

mod codec;
mod membership;
