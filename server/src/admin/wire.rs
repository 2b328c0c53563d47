//! What an admin HTTP connection speaks: plain HTTP, TLS, or whichever its client begins with.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use crate::tls::{HANDSHAKE, Live};

/// TLS of admin HTTP.
#[derive(Clone)]
pub(crate) struct AdminTls {
    /// Keys and certificates.
    pub(crate) live: Arc<Live<rustls::ServerConfig>>,
    /// Plain HTTP is refused (`admin.forceHttps`).
    pub(crate) is_forced: bool,
}

/// A connection, before and after it is known what it speaks.
pub(super) enum Wire {
    Plain(TcpStream),
    /// Its first byte tells.
    Undecided(TcpStream, Arc<rustls::ServerConfig>),
    Handshake(Accept<TcpStream>),
    Tls(TlsStream<TcpStream>),
    /// The handshake failed.
    Over,
}

impl Wire {
    pub(super) fn new(socket: TcpStream, tls: Option<&AdminTls>) -> Self {
        match tls {
            None => Wire::Plain(socket),
            Some(tls) if tls.is_forced => Wire::Handshake(accept(tls.live.get(), socket)),
            Some(tls) => Wire::Undecided(socket, tls.live.get()),
        }
    }

    /// What to read from and write to, once it is known and the handshake is over.
    fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut Self>> {
        loop {
            match self {
                Wire::Plain(_) | Wire::Tls(_) => return Poll::Ready(Ok(self)),
                Wire::Over => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
                Wire::Undecided(socket, _) => {
                    let mut first = [0];
                    let mut first = ReadBuf::new(&mut first);
                    ready!(socket.poll_peek(cx, &mut first))?;
                    let speaks_tls = first.filled() == [HANDSHAKE];
                    let Wire::Undecided(socket, config) = std::mem::replace(self, Wire::Over)
                    else {
                        continue;
                    };
                    *self = match speaks_tls {
                        true => Wire::Handshake(accept(config, socket)),
                        false => Wire::Plain(socket),
                    };
                }
                Wire::Handshake(handshake) => {
                    let done = ready!(Pin::new(handshake).poll(cx));
                    *self = Wire::Over;
                    match done {
                        Ok(stream) => *self = Wire::Tls(stream),
                        Err(error) => {
                            tracing::debug!(%error, "admin HTTP: TLS handshake failed");
                            return Poll::Ready(Err(error));
                        }
                    }
                }
            }
        }
    }
}

fn accept(config: Arc<rustls::ServerConfig>, socket: TcpStream) -> Accept<TcpStream> {
    TlsAcceptor::from(config).accept(socket)
}

/// Has the stream behind a wire do what the wire is asked for, once it is known which it is.
macro_rules! settled {
    ($wire:expr, $cx:expr, $stream:ident => $do:expr) => {
        match ready!($wire.get_mut().poll_settled($cx))? {
            Wire::Plain($stream) => $do,
            Wire::Tls($stream) => $do,
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    };
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        settled!(self, cx, stream => Pin::new(stream).poll_read(cx, into))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        settled!(self, cx, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        settled!(self, cx, stream => Pin::new(stream).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        settled!(self, cx, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A client that never said what it speaks is not waited for.
        match self.get_mut() {
            Wire::Plain(socket) | Wire::Undecided(socket, _) => Pin::new(socket).poll_shutdown(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Wire::Handshake(_) | Wire::Over => Poll::Ready(Ok(())),
        }
    }
}
