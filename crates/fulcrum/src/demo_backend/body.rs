//! The body of a demo backend's answer: a text, or any number of bytes made while they are sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// A body that never fails and never waits.
#[derive(Debug)]
pub(crate) struct DemoBody {
    content: Content,
    /// A body of unknown length is sent in chunks.
    chunked: bool,
}

#[derive(Debug)]
enum Content {
    Text(Bytes),
    /// This much of the repeated alphabet is left.
    Pattern {
        sent: u64,
        left: u64,
    },
}

impl DemoBody {
    /// A text of known length.
    pub(crate) fn text(text: String) -> Self {
        DemoBody { content: Content::Text(text.into()), chunked: false }
    }

    /// So many bytes of `abc…zabc…`: byte number `i` is letter `i % 26`.
    pub(crate) fn pattern(bytes: u64) -> Self {
        DemoBody { content: Content::Pattern { sent: 0, left: bytes }, chunked: false }
    }

    /// The same bytes without telling their number beforehand.
    pub(crate) fn into_chunked(self) -> Self {
        DemoBody { chunked: true, ..self }
    }

    fn left(&self) -> u64 {
        match &self.content {
            Content::Text(text) => text.len() as u64,
            Content::Pattern { left, .. } => *left,
        }
    }

    fn next_piece(&mut self) -> Bytes {
        match &mut self.content {
            Content::Text(text) => std::mem::take(text),
            Content::Pattern { sent, left } => {
                let offset = (*sent % ALPHABET) as usize;
                let room = PATTERN.len() - offset;
                let length = usize::try_from(*left).map_or(room, |left| left.min(room));
                *sent += length as u64;
                *left -= length as u64;
                Bytes::from_static(&PATTERN[offset..offset + length])
            }
        }
    }
}

impl Body for DemoBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = (self.left() > 0).then(|| Ok(Frame::data(self.next_piece())));
        Poll::Ready(piece)
    }

    fn is_end_stream(&self) -> bool {
        !self.chunked && self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        if self.chunked { SizeHint::default() } else { SizeHint::with_exact(self.left()) }
    }
}

const ALPHABET: u64 = 26;

/// About 32 KiB of the alphabet, the piece that is sent at a time.
static PATTERN: [u8; 32 * 1024] = {
    let mut pattern = [0; 32 * 1024];
    let mut index = 0;
    while index < pattern.len() {
        pattern[index] = b'a' + (index % 26) as u8;
        index += 1;
    }
    pattern
};

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut body: DemoBody) -> Vec<u8> {
        let mut bytes = Vec::new();
        while body.left() > 0 {
            bytes.extend_from_slice(&body.next_piece());
        }
        bytes
    }

    #[test]
    fn patterns_go_on_across_pieces() {
        fn check(length: u64) {
            let expected: Vec<u8> = (0..length).map(|index| b'a' + (index % 26) as u8).collect();
            assert!(all(DemoBody::pattern(length)) == expected, "{length} bytes");
        }
        check(0);
        check(1);
        check(26);
        check(32 * 1024);
        check(100_000);
    }

    #[test]
    fn lengths_are_told_unless_chunked() {
        assert_eq!(DemoBody::text("abc".to_owned()).size_hint().exact(), Some(3));
        assert_eq!(DemoBody::pattern(1 << 40).size_hint().exact(), Some(1 << 40));
        assert_eq!(DemoBody::pattern(7).into_chunked().size_hint().exact(), None);
        assert!(DemoBody::pattern(0).is_end_stream());
        assert!(!DemoBody::pattern(0).into_chunked().is_end_stream());
    }
}
