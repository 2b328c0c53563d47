//! Servers inside a test's own process, and networks that break when told to.
//!
//! A [`TestServer`] is a whole Tenure server with a scratch folder and a port of its own; it can
//! expire a session, cut a connection, pause and restart. A [`Proxy`] stands before any server and
//! is the network that fails. All of it blocks for moments only, so that tests may use it from
//! async code too.
//!
//! ```
//! use tenure_testing::{Proxy, TestServer};
//!
//! let server = TestServer::start()?;
//! let network = Proxy::start(server.addr())?;
//! println!("{}, also reached through {}", server.hosts(), network.hosts());
//! network.cut();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![warn(missing_docs)]

mod proxy;
mod server;

use std::time::SystemTime;

use tenure_certs::{Authority, Validity};

pub use proxy::{Direction, Proxy};
pub use server::{TestServer, TestServerBuilder, TestServerError};
pub use tenure_server::{EndReason, Ended, OperateError};

/// Runs an async example with the connect string of a server that is there for it alone.
///
/// # Panics
/// If there is no server, or the example fails.
#[doc(hidden)]
pub fn example(example: impl AsyncFnOnce(&str) -> Result<(), Box<dyn std::error::Error>>) {
    let server = TestServer::start().expect("an example needs a server");
    finish(example(&server.hosts()));
}

/// The same with a server that takes TLS, and the certificate of its authority and a client's key
/// store as PEM.
///
/// # Panics
/// If there is no server, or the example fails.
#[doc(hidden)]
pub fn tls_example(
    example: impl AsyncFnOnce(&str, &str, &str) -> Result<(), Box<dyn std::error::Error>>,
) {
    let validity = Validity::days(SystemTime::now(), 1);
    let authority = Authority::new("example", validity).expect("an example needs an authority");
    let server = authority.server(&["127.0.0.1"], validity).expect("it vouches for servers");
    let client = authority.client("example", validity).expect("it vouches for clients").key_store();
    let builder = TestServer::builder().tls(&server.key_store(), authority.certificate());
    let server = builder.start().expect("an example needs a server");
    finish(example(&server.hosts(), authority.certificate(), &client));
}

fn finish(example: impl Future<Output = Result<(), Box<dyn std::error::Error>>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("an example needs an executor");
    if let Err(error) = runtime.block_on(example) {
        panic!("the example fails: {error}");
    }
}
