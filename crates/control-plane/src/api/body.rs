//! What answers are made of: whole, page by page as the client reads, or an endless feed. Nothing is made before the
//! socket takes it, so that a client that does not read holds a page and no more.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use serde::Serialize;

use super::pace::Turn;

/// The body of an answer.
pub(super) struct Body {
    content: Content,
    /// Given back when the answer has been sent, or is not wanted any more.
    turn: Option<Turn>,
}

enum Content {
    Whole(Bytes),
    Pages(Box<dyn Iterator<Item = Bytes> + Send>),
    Feed(Option<Next>),
}

/// The next piece of a feed, and the feed.
pub(super) type Next = Pin<Box<dyn Future<Output = Option<(Box<dyn Feed>, Bytes)>> + Send>>;

/// Something that has always more to tell.
pub(super) trait Feed: Send {
    /// Waits for something to tell; nothing when it ends.
    fn next(self: Box<Self>) -> Next;
}

impl Body {
    pub(super) fn empty() -> Self {
        Body::whole(Bytes::new())
    }

    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Body { content: Content::Whole(bytes.into()), turn: None }
    }

    /// `open`, the items as JSON with commas between them, `close`.
    pub(super) fn list<T: Serialize>(
        open: String,
        mut items: impl Iterator<Item = T> + Send + 'static,
        close: &'static str,
    ) -> Self {
        let mut open = Some(open);
        let mut separator: &[u8] = b"";
        let mut is_over = false;
        let pages = std::iter::from_fn(move || {
            if is_over {
                return None;
            }
            let mut page = open.take().map(String::into_bytes).unwrap_or_default();
            while page.len() < PAGE {
                let Some(item) = items.next() else {
                    page.extend_from_slice(close.as_bytes());
                    is_over = true;
                    break;
                };
                page.extend_from_slice(separator);
                separator = b",\n";
                serde_json::to_writer(&mut page, &item).expect("what is shown has texts for keys");
            }
            Some(Bytes::from(page))
        });
        Body { content: Content::Pages(Box::new(pages)), turn: None }
    }

    pub(super) fn feed(feed: Box<dyn Feed>) -> Self {
        Body { content: Content::Feed(Some(feed.next())), turn: None }
    }

    /// Ends the turn together with the answer.
    pub(super) fn holding(self, turn: Turn) -> Self {
        Body { turn: Some(turn), ..self }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match &mut self.content {
            Content::Whole(bytes) if bytes.is_empty() => None,
            Content::Whole(bytes) => Some(std::mem::take(bytes)),
            Content::Pages(pages) => pages.next(),
            Content::Feed(next) => match next.as_mut().map(|future| future.as_mut().poll(context)) {
                Some(Poll::Pending) => return Poll::Pending,
                Some(Poll::Ready(Some((feed, bytes)))) => {
                    *next = Some(feed.next());
                    Some(bytes)
                }
                Some(Poll::Ready(None)) | None => {
                    *next = None;
                    None
                }
            },
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.content, Content::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Pages(_) | Content::Feed(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("turn", &self.turn).finish_non_exhaustive()
    }
}

/// A page is sent when it has so many bytes; one item may come on top.
pub(super) const PAGE: usize = 32 << 10;
