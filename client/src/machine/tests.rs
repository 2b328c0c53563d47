//! The machine on virtual time, against a server that does exactly what a test says.

mod lab;
mod links;
mod requests;
mod sessions;
mod watches;
