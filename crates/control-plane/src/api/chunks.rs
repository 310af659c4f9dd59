//! Where a body in chunks ends (RFC 9112 §7.1). What comes behind it is the next request, and is looked at as one.

/// How far a body in chunks has come.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    at: At,
    /// Of the data of a chunk: what is to come of it.
    left: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// Before the first digit of a size.
    #[default]
    Chunk,
    Size,
    /// Blanks behind a size.
    Blank,
    Extension,
    SizeReturn,
    Data,
    DataEnd,
    DataReturn,
    /// The beginning of a line behind the last chunk.
    Line,
    Trailer,
    TrailerReturn,
    LastReturn,
    /// This is no chunk, and nobody knows where the next request would begin.
    Broken,
}

impl Chunks {
    /// Where the body ends in what comes now; nothing when it goes on, or when it has broken and has no end any more.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut rest = bytes;
        while self.at != At::Broken {
            rest = self.skip_data(rest);
            let (byte, behind) = rest.split_first()?;
            rest = behind;
            if self.ends(*byte) {
                return Some(bytes.len() - rest.len());
            }
        }
        None
    }

    fn skip_data<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if self.at != At::Data {
            return bytes;
        }
        let skipped = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        self.left -= skipped as u64;
        if self.left == 0 {
            self.at = At::DataEnd;
        }
        &bytes[skipped..]
    }

    fn ends(&mut self, byte: u8) -> bool {
        self.at = match (self.at, byte) {
            (At::Chunk | At::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.sized(byte),
            (At::Size | At::Blank, b' ' | b'\t') => At::Blank,
            (At::Size | At::Blank, b';') => At::Extension,
            (At::Size | At::Blank | At::Extension, b'\r') => At::SizeReturn,
            // Who takes it for the end of a line sees another chunk (RFC 9112 §11.2).
            (At::Extension, b'\n') => At::Broken,
            (At::Extension, _) => At::Extension,
            (At::SizeReturn, b'\n') if self.left == 0 => At::Line,
            (At::SizeReturn, b'\n') => At::Data,
            (At::DataEnd, b'\r') => At::DataReturn,
            (At::DataReturn, b'\n') => At::Chunk,
            (At::Line, b'\r') => At::LastReturn,
            (At::Trailer, b'\r') => At::TrailerReturn,
            (At::Line | At::Trailer, _) => At::Trailer,
            (At::TrailerReturn, b'\n') => At::Line,
            (At::LastReturn, b'\n') => {
                *self = Chunks::default();
                return true;
            }
            _ => At::Broken,
        };
        false
    }

    fn sized(&mut self, digit: u8) -> At {
        let value = char::from(digit).to_digit(16).map(u64::from);
        let left = value.and_then(|value| self.left.checked_mul(16)?.checked_add(value));
        left.map_or(At::Broken, |left| {
            self.left = left;
            At::Size
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Where it ends when it comes in these pieces.
    fn end<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<usize> {
        let (mut chunks, mut before) = (Chunks::default(), 0);
        for piece in pieces {
            if let Some(end) = chunks.end(piece) {
                return Some(before + end);
            }
            before += piece.len();
        }
        None
    }

    fn check(text: &str, expected: Option<usize>) {
        let bytes = text.as_bytes();
        assert_eq!(end([bytes]), expected, "{text:?}");
        assert_eq!(end(bytes.chunks(1)), expected, "{text:?}, byte by byte");
        let behind = format!("{text}0\r\n\r\nGET / HTTP/1.1\r\n\r\n");
        if expected.is_some() {
            assert_eq!(end([behind.as_bytes()]), expected, "{text:?}, with more behind it");
        }
    }

    #[test]
    fn a_body_ends_behind_the_empty_line_behind_its_last_chunk() {
        check("0\r\n\r\n", Some(5));
        check("3\r\nabc\r\n0\r\n\r\n", Some(13));
        check("3\r\n\r\n0\r\n0\r\n\r\n", Some(13));
        check("5\r\n0\r\n\r\n\r\n000\r\n\r\n", Some(17));
        check("00A\r\n0123456789\r\n1\r\n\n\r\n00\r\n\r\n", Some(29));
        check("3;name=value;\"x\"\r\nabc\r\n0 \t; last\r\n\r\n", Some(36));
        check("0\r\nTrailer: 1\r\n X\nY: 2\r\n\r\n", Some(26));
        check("ffffffffffffffff\r\nabc", None);
        check("00000000000000000000000000000001\r\na\r\n0\r\n\r\n", Some(42));
        check("3\r\nabc\r\n", None);
        check("0\r\n", None);
        check("0\r\n\r", None);
        check("", None);
    }

    #[test]
    fn what_is_broken_has_no_end() {
        for broken in [
            "\r\n",
            "x\r\n",
            " 3\r\nabc\r\n",
            ";\r\n",
            "-1\r\n",
            "0x1\r\na\r\n",
            "3 3\r\n",
            "3\nabc\r\n",
            "3\r\r\nabc\r\n",
            "3;x\nabc\r\n",
            "3\r\nabcd\r\n",
            "3\r\nabc\n",
            "3\r\nabc\r\r\n",
            "10000000000000000\r\n",
            "ffffffffffffffff0\r\n",
            "0\nX: y\r\n",
            "0\r\nX: y\r\r\n",
            "0\r\n\r\r\n",
        ] {
            check(&format!("{broken}0\r\n\r\n0\r\n\r\n"), None);
        }
    }

    fn any_chunk() -> impl Strategy<Value = Vec<u8>> {
        let data = prop::collection::vec(prop::sample::select(b"0a\r\n;".to_vec()), 1..40);
        (data, "0{0,3}", "([ \t]{0,2};[ -~]{0,8})?").prop_map(|(data, zeros, extension)| {
            let mut chunk = format!("{zeros}{:x}{extension}\r\n", data.len()).into_bytes();
            chunk.extend_from_slice(&data);
            chunk.extend_from_slice(b"\r\n");
            chunk
        })
    }

    proptest! {
        #[test]
        fn it_ends_where_it_was_ended_however_it_is_cut(
            chunks in prop::collection::vec(any_chunk(), 0..5),
            trailers in prop::collection::vec("[!-~][ -~]{0,8}", 0..3),
            behind in prop::collection::vec(any::<u8>(), 0..20),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let mut bytes = chunks.concat();
            bytes.extend_from_slice(b"0\r\n");
            bytes.extend(trailers.iter().flat_map(|line| [line.as_bytes(), b"\r\n"]).flatten());
            bytes.extend_from_slice(b"\r\n");
            let expected = bytes.len();
            bytes.extend_from_slice(&behind);
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            prop_assert_eq!(end(cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]])), Some(expected));
        }

        #[test]
        fn cuts_change_nothing_of_what_is_none(
            bytes in prop::collection::vec(prop::sample::select(b"013af \r\n;x".to_vec()), 0..40),
        ) {
            prop_assert_eq!(end([&bytes[..]]), end(bytes.chunks(1)));
        }
    }
}
