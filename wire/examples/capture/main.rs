//! Captures the golden frames from a running ZooKeeper server; see `golden/README.md`.
//!
//! `capture script HOST:PORT FOLDER` plays a fixed conversation against a fresh server.
//! `capture proxy LISTEN_HOST:PORT HOST:PORT FILE` writes down what another client says.

mod link;
mod proxy;
mod recorder;
mod script;

use std::io::{Error, Result};
use std::path::Path;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["script", server, folder] => script::run(server, Path::new(folder)),
        ["proxy", listen, server, file] => proxy::run(listen, server, Path::new(file)),
        _ => Err(Error::other("capture script HOST:PORT FOLDER | proxy LISTEN HOST:PORT FILE")),
    }
}
