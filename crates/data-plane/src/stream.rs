//! A connected byte stream: the narrow seam between the engine and the transport underneath.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A stream over TCP or a unix socket.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

macro_rules! each {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($inner) => $call,
            Stream::Unix($inner) => $call,
        }
    };
}

impl Stream {
    /// Reads into `space`; 0 is the end of the stream. A short read needs no second one to learn that the socket is
    /// drained: the reactor's readiness is edge-triggered.
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(space);
        let polled = each!(self, inner => Pin::new(inner).poll_read(context, &mut buffer));
        polled.map_ok(|()| buffer.filled().len())
    }

    pub(crate) fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, inner => Pin::new(inner).poll_write(context, bytes))
    }

    pub(crate) fn poll_write_vectored(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, inner => Pin::new(inner).poll_write_vectored(context, slices))
    }

    /// Ends our direction after everything written has gone out.
    pub(crate) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, inner => Pin::new(inner).poll_shutdown(context))
    }

    /// Whether the reactor has seen data or an end: costs no system call.
    pub(crate) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, inner => inner.poll_read_ready(context))
    }

    /// Whether nothing has been received, asking the kernel: one system call.
    pub(crate) fn is_silent(&self) -> bool {
        let mut byte = [0u8];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let received = each!(self, inner => rustix::net::recv(inner, &mut byte, flags));
        matches!(received, Err(Errno::WOULDBLOCK))
    }

    /// Whether the peer has broken the connection, asking the kernel: one system call. What it has sent before may still
    /// be unread.
    pub(crate) fn is_reset(&self) -> bool {
        let mut sockets = [each!(self, inner => PollFd::new(inner, PollFlags::empty()))];
        let asked = poll(&mut sockets, Some(&Timespec::default()));
        asked.is_ok() && sockets[0].revents().contains(PollFlags::ERR)
    }

    /// Makes closing send a reset, so that what went out before cannot be taken for a whole message.
    pub(crate) fn reset_on_close(&self) {
        if let Stream::Tcp(stream) = self {
            // The connection is over either way: a failure changes only how the peer learns of it.
            let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}
