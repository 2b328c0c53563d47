//! What stands for TLS where the feature `tls` is off: nobody can have any of it.

use std::io::{self, Read, Write};

/// How links would be encrypted.
#[derive(Clone, Debug)]
pub(crate) enum Tls {}

/// The records of a link that would be.
pub(crate) enum Records {}

impl Tls {
    pub(crate) fn begin(&self, _host: &str) -> io::Result<Records> {
        match *self {}
    }

    pub(crate) fn blocking<S: Read + Write>(&self, _host: &str, _socket: S) -> io::Result<S> {
        match *self {}
    }
}

impl Records {
    pub(crate) fn shake_hands(&mut self, _socket: &mut (impl Read + Write)) -> io::Result<bool> {
        match *self {}
    }

    pub(crate) fn read(
        &mut self,
        _socket: &mut (impl Read + Write),
        _buffer: &mut [u8],
    ) -> io::Result<usize> {
        match *self {}
    }

    pub(crate) fn has_ended(&self) -> bool {
        match *self {}
    }

    pub(crate) fn write(&mut self, _socket: &mut impl Write, _bytes: &[u8]) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn wants_write(&self) -> bool {
        match *self {}
    }

    pub(crate) fn flush(&mut self, _socket: &mut impl Write) -> io::Result<bool> {
        match *self {}
    }
}
