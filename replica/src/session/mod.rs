//! Sessions: who is still there.

pub mod ended;
