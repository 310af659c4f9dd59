//! Where bodies begin and end, and which are none.

use super::*;

/// Payload, trailers, what was left of the input, and whether the body is done; or what is wrong.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    payload: Vec<u8>,
    rest: Vec<u8>,
    is_done: bool,
}

fn read(framing: Framing, input: &[u8], decoder: &mut BodyDecoder) -> Result<Read, ParseError> {
    let (mut payload, mut at) = (Vec::new(), 0);
    decoder.start(framing);
    loop {
        let found = decoder.find(&input[at..])?;
        at += found.skip;
        if found.payload == 0 {
            return Ok(Read { payload, rest: input[at..].to_vec(), is_done: decoder.is_done() });
        }
        payload.extend_from_slice(&input[at..at + found.payload]);
        at += found.payload;
        decoder.consume(found.payload);
    }
}

/// Reads a body; `Ok` is payload and rest of a whole one, `Err(None)` one that needs more input.
fn check(framing: Framing, input: &[u8], expected: Result<(&str, &str), Option<ParseError>>) {
    let read = match read(framing, input, &mut BodyDecoder::default()) {
        Ok(Read { payload, rest, is_done: true }) => Ok((payload, rest)),
        Ok(Read { is_done: false, .. }) => Err(None),
        Err(error) => Err(Some(error)),
    };
    let expected = expected.map(|(payload, rest)| (payload.as_bytes().to_vec(), rest.as_bytes().to_vec()));
    assert_eq!(read, expected, "{framing:?} {}", input.escape_ascii());
}

#[test]
fn lengths() {
    check(Framing::None, b"next", Ok(("", "next")));
    check(Framing::Length(0), b"next", Ok(("", "next")));
    check(Framing::Length(4), b"bodynext", Ok(("body", "next")));
    check(Framing::Length(4), b"bod", Err(None));
    check(Framing::Length(4), b"", Err(None));
    check(Framing::Length(u64::MAX), b"body", Err(None));
}

#[test]
fn chunks() {
    check(Framing::Chunked, b"0\r\n\r\nnext", Ok(("", "next")));
    check(Framing::Chunked, b"4\r\nbody\r\n0\r\n\r\nnext", Ok(("body", "next")));
    check(Framing::Chunked, b"2\r\nbo\r\n00002\r\ndy\r\n000\r\n\r\n", Ok(("body", "")));
    check(
        Framing::Chunked,
        b"A\r\n0123456789\r\na\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n",
        Ok(("0123456789\r\n\r\n\r\n\r\n\r\n", "")),
    );
    check(Framing::Chunked, b"0000000000000004\r\nbody\r\n0\r\n\r\n", Ok(("body", "")));
    check(Framing::Chunked, b"4;a=b\r\nbody\r\n0;c\r\n\r\n", Ok(("body", "")));
    check(Framing::Chunked, b"4;a=\"b\\\"; c\"\r\nbody\r\n0\r\n\r\n", Ok(("body", "")));
    check(Framing::Chunked, b"4;\tx\xff\r\nbody\r\n0\r\n\r\n", Ok(("body", "")));
    check(Framing::Chunked, b"4\r\nbody\r\n0\r\na: b\r\n\r\nnext", Ok(("body", "next")));
}

#[test]
fn chunked_bodies_that_need_more() {
    let whole = b"4;x\r\nbody\r\n0\r\na: b\r\n\r\n";
    for end in 0..whole.len() {
        check(Framing::Chunked, &whole[..end], Err(None));
        let mut decoder = BodyDecoder::default();
        assert!(read(Framing::Chunked, &whole[..end], &mut decoder).is_ok());
        assert!(!decoder.end_of_input(), "cut at {end}");
    }
    check(Framing::Chunked, b"7fffffffffffffff\r\nbody", Err(None));
}

#[test]
fn bad_chunks() {
    let invalid = Err(Some(ParseError::InvalidChunk));
    let bare = Err(Some(ParseError::BareLineEnding));
    for size in [
        "",
        "x",
        "+4",
        "-4",
        "0x4",
        " 4",
        "4 ",
        "4\t",
        "4_0",
        "4,4",
        "4h",
        "\r",
        ";a",
        "00000000000000004",
        "10000000000000000",
        "ffffffffffffffff",
        "8000000000000000",
        "4 ;a",
        "4;a\0b",
        "4;a\x7fb",
        "4;a\x01",
        "4\r",
        "4;a\rb",
    ] {
        check(Framing::Chunked, format!("{size}\r\nbody\r\n0\r\n\r\n").as_bytes(), invalid);
    }
    check(Framing::Chunked, b"4\nbody\r\n0\r\n\r\n", invalid);
    check(Framing::Chunked, b"4;a\nbody\r\n0\r\n\r\n", bare);
    check(Framing::Chunked, b"4;a=\"\n\"\r\nbody\r\n0\r\n\r\n", bare);
    check(Framing::Chunked, b"4\r\nbody\n0\r\n\r\n", bare);
    check(Framing::Chunked, b"4\r\nbody\r0\r\n\r\n", invalid);
    check(Framing::Chunked, b"4\r\nbodyX\r\n0\r\n\r\n", invalid);
    check(Framing::Chunked, b"4\r\nbody0\r\n\r\n", invalid);
    check(Framing::Chunked, b"4\r\nbo\r\n0\r\n\r\n", invalid);
    check(Framing::Chunked, b"4\r\nbody\r\n\r\n", invalid);
    check(Framing::Chunked, b"4\r\nbody\r\n0\n\r\n", invalid);
    check(Framing::Chunked, b"\n4\r\nbody\r\n", invalid);
}

#[test]
fn chunk_extensions_have_a_budget_per_body() {
    let chunk = |extension: usize| format!("1;{}\r\nx\r\n", "e".repeat(extension));
    let whole = |extensions: &[usize]| {
        let chunks: String = extensions.iter().map(|extension| chunk(*extension)).collect();
        format!("{chunks}0\r\n\r\n")
    };
    check(Framing::Chunked, whole(&[MAX_EXTENSION_BYTES]).as_bytes(), Ok(("x", "")));
    check(Framing::Chunked, whole(&[MAX_EXTENSION_BYTES / 2; 2]).as_bytes(), Ok(("xx", "")));
    let invalid = Err(Some(ParseError::InvalidChunk));
    check(Framing::Chunked, whole(&[MAX_EXTENSION_BYTES + 1]).as_bytes(), invalid);
    check(
        Framing::Chunked,
        whole(&[MAX_EXTENSION_BYTES / 2, MAX_EXTENSION_BYTES / 2 + 1]).as_bytes(),
        invalid,
    );
    // The next body has one of its own.
    let mut decoder = BodyDecoder::default();
    for _ in 0..2 {
        let body = whole(&[MAX_EXTENSION_BYTES]);
        assert!(read(Framing::Chunked, body.as_bytes(), &mut decoder).is_ok_and(|read| read.is_done));
    }
}

/// The trailers that are passed on of a chunked body with this trailer section.
fn trailers(section: &str) -> Result<Vec<String>, ParseError> {
    let mut decoder = BodyDecoder::default();
    let input = format!("0\r\n{section}\r\n");
    let done = read(Framing::Chunked, input.as_bytes(), &mut decoder)?;
    assert_eq!((done.is_done, done.rest.as_slice()), (true, &b""[..]), "{section:?}");
    assert_eq!(decoder.has_trailers(), !section.is_empty());
    let fields = decoder.trailers()?;
    Ok(fields
        .iter()
        .map(|(name, value, _)| format!("{}={}", name.escape_ascii(), value.escape_ascii()))
        .collect())
}

#[test]
fn trailer_sections() {
    let check = |section: &str, expected: Result<&[&str], ParseError>| {
        let expected =
            expected.map(|fields| fields.iter().map(|&field| field.to_owned()).collect::<Vec<_>>());
        assert_eq!(trailers(section), expected, "{section:?}");
    };
    let invalid = Err(ParseError::InvalidChunk);
    let bare = Err(ParseError::BareLineEnding);
    check("", Ok(&[]));
    check("grpc-status: 0\r\n", Ok(&["grpc-status=0"]));
    check("A: b\r\nA:c\r\nd:\r\n", Ok(&["A=b", "A=c", "d="]));
    for refused in [
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "Connection",
        "TE",
        "Trailer",
        "Upgrade",
        "Authorization",
        "Proxy-Authorization",
        "Cookie",
        "Set-Cookie",
        "Content-Type",
        "Content-Range",
        "Expect",
        "X-Forwarded-For",
        "X-Request-Id",
        "Cache-Control",
        "Max-Forwards",
    ] {
        check(&format!("x: y\r\n{refused}: 1\r\n"), Ok(&["x=y"]));
    }
    check("a : b\r\n", invalid);
    check(": b\r\n", invalid);
    check("a\r\n", invalid);
    check("a: b\0c\r\n", invalid);
    check(" a: b\r\n", Err(ParseError::ObsoleteFold));
    check("a: b\r\n c\r\n", Err(ParseError::ObsoleteFold));
    check("a: b\r\n\tc\r\n", Err(ParseError::ObsoleteFold));
    check("a: b\n", bare);
    check("a: b\rc: d\r\n", bare);
    check("\n", bare);
    check("\r\r\n", bare);
    let many = |count: usize| trailers(&"a: b\r\n".repeat(count)).map(|fields| fields.len());
    assert_eq!((many(100), many(101)), (Ok(100), invalid.map(|_: &[&str]| 0)));
}

#[test]
fn trailer_sections_are_bounded() {
    let section = |length: usize| format!("a: {}\r\n", "b".repeat(length - 5));
    // The empty line counts too.
    assert_eq!(trailers(&section(MAX_TRAILER_BYTES - 2)).map(|fields| fields.len()), Ok(1));
    assert_eq!(trailers(&section(MAX_TRAILER_BYTES - 1)), Err(ParseError::HeadersTooLarge));
    let mut decoder = BodyDecoder::default();
    decoder.start(Framing::Chunked);
    let endless = [b"0\r\na: ".as_slice(), &vec![b'b'; 100_000]].concat();
    assert_eq!(decoder.find(&endless), Err(ParseError::HeadersTooLarge));
    assert_eq!(decoder.trailer.len(), MAX_TRAILER_BYTES);
}

#[test]
fn ends_of_connections() {
    for (framing, input, expected) in [
        (Framing::UntilClose, "", true),
        (Framing::UntilClose, "body", true),
        (Framing::Length(4), "body", true),
        (Framing::Length(4), "bod", false),
        (Framing::Chunked, "4\r\nbody\r\n0\r\n\r\n", true),
        (Framing::Chunked, "4\r\nbody\r\n0\r\n", false),
        (Framing::Chunked, "4\r\nbody\r\n", false),
        (Framing::None, "", true),
    ] {
        let mut decoder = BodyDecoder::default();
        let read = read(framing, input.as_bytes(), &mut decoder).expect("no violation");
        assert_eq!(read.is_done, expected && framing != Framing::UntilClose, "{framing:?} {input:?}");
        assert_eq!(decoder.end_of_input(), expected, "{framing:?} {input:?}");
        assert_eq!(decoder.is_done(), expected, "{framing:?} {input:?}");
    }
}

#[test]
fn remaining_bytes_are_told_where_known() {
    let mut decoder = BodyDecoder::default();
    for (framing, expected) in [
        (Framing::None, Some(0)),
        (Framing::Length(9), Some(9)),
        (Framing::Chunked, None),
        (Framing::UntilClose, None),
    ] {
        decoder.start(framing);
        assert_eq!(decoder.remaining(), expected, "{framing:?}");
    }
    decoder.start(Framing::Length(9));
    decoder.consume(4);
    assert_eq!(decoder.remaining(), Some(5));
}

#[test]
fn payload_waits_until_it_is_taken() {
    let mut decoder = BodyDecoder::default();
    decoder.start(Framing::Chunked);
    assert_eq!(decoder.find(b"4\r\nbo"), Ok(Found { skip: 3, payload: 2 }));
    assert_eq!(decoder.find(b"body\r\n"), Ok(Found { skip: 0, payload: 4 }));
    decoder.consume(1);
    assert_eq!(decoder.find(b"ody\r\n"), Ok(Found { skip: 0, payload: 3 }));
    decoder.consume(3);
    assert_eq!(decoder.find(b"\r\n0\r\n\r\nGET"), Ok(Found { skip: 7, payload: 0 }));
    assert!(decoder.is_done());
}
