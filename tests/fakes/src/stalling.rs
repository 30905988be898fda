//! A connection whose kernel still acknowledges what arrives, but which nothing reads or writes any more.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A stream that is stalled while a flag is set.
pub struct Stalling {
    stream: TcpStream,
    is_stalled: Arc<AtomicBool>,
}

impl Stalling {
    /// A stream with its flag.
    pub fn new(stream: TcpStream, is_stalled: Arc<AtomicBool>) -> Self {
        Self { stream, is_stalled }
    }

    fn stream(&mut self) -> Poll<Pin<&mut TcpStream>> {
        if self.is_stalled.load(Ordering::SeqCst) { Poll::Pending } else { Poll::Ready(Pin::new(&mut self.stream)) }
    }
}

impl AsyncRead for Stalling {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        ready!(self.stream()).poll_read(cx, into)
    }
}

impl AsyncWrite for Stalling {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<std::io::Result<usize>> {
        ready!(self.stream()).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        ready!(self.stream()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        ready!(self.stream()).poll_shutdown(cx)
    }
}
