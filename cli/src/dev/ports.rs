//! Ports that nobody uses on this machine.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};

/// Finds free ports, each one once.
pub(super) struct FreePorts {
    next: u16,
    reserved: Vec<u16>,
}

/// Below the range from which systems take the near ends of outgoing connections: the port of a
/// server that is down for a moment must still be free when it comes back.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

impl FreePorts {
    /// Two processes that look at the same moment begin in different places.
    pub(super) fn new() -> Self {
        let spread = std::process::id().wrapping_mul(40) % u32::from(COUNT);
        Self { next: FIRST + spread as u16, reserved: Vec::new() }
    }

    /// Keeps a port for another use.
    pub(super) fn reserve(&mut self, port: u16) {
        self.reserved.push(port);
    }

    /// The next free port.
    pub(super) fn take(&mut self) -> Result<u16> {
        for _ in 0..COUNT {
            let port = self.next;
            self.next = if port + 1 < FIRST + COUNT { port + 1 } else { FIRST };
            if !self.reserved.contains(&port) && is_free(port) {
                return Ok(port);
            }
        }
        bail!("no port from {FIRST} to {} of 127.0.0.1 is free", FIRST + COUNT - 1)
    }
}

/// Whether a server could listen there now.
pub(super) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_and_only_if_it_is_free() {
        let from = |next| FreePorts { next, reserved: Vec::new() };
        let mut ports = from(FIRST + COUNT - 3);
        let first = ports.take().expect("some are free");
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).expect("it is free");
        assert_ne!(from(first).take().expect("others are free"), first);
        drop(taken);
        let mut reserving = from(first);
        reserving.reserve(first);
        assert_ne!(reserving.take().expect("others are free"), first);
        let more: Vec<u16> = (0..5).map(|_| ports.take().expect("some are free")).collect();
        assert!(!more.contains(&first), "{first} again in {more:?}");
        assert!(more.iter().all(|port| (FIRST..FIRST + COUNT).contains(port)), "{more:?}");
    }
}
