//! A second reading of a message, as naive and as strict as can be: it splits at CRLF and panics at everything that is
//! not exactly as expected. It shares nothing with the parser that it is compared with.

/// A message, read.
#[derive(Debug)]
pub(super) struct Message {
    /// The first line, split at spaces: at most three parts.
    pub(super) first_line: Vec<Vec<u8>>,
    /// Lower-case names, and values.
    pub(super) fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) payload: Vec<u8>,
    /// What is behind the message.
    pub(super) rest: Vec<u8>,
}

impl Message {
    /// The values of all fields with this lower-case name.
    pub(super) fn named(&self, name: &str) -> Vec<&[u8]> {
        self.fields
            .iter()
            .filter(|(other, _)| other == name.as_bytes())
            .map(|(_, value)| value.as_slice())
            .collect()
    }
}

/// Reads a message that must be whole. `has_body` is false where there is none whatever the fields say.
pub(super) fn message(bytes: &[u8], has_body: bool) -> Message {
    let (mut lines, mut rest) = (Vec::new(), bytes);
    loop {
        let (line, after) = line(rest);
        rest = after;
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let (first_line, field_lines) = lines.split_first().expect("a first line");
    let fields: Vec<_> = field_lines.iter().map(|line| field(line)).collect();
    let mut message = Message {
        first_line: first_line.splitn(3, |&byte| byte == b' ').map(<[u8]>::to_vec).collect(),
        fields,
        payload: Vec::new(),
        rest: Vec::new(),
    };
    let (lengths, codings) = (message.named("content-length"), message.named("transfer-encoding"));
    assert!(lengths.len() + codings.len() <= 1, "more than one framing field");
    let (payload, rest) = match (lengths.first(), codings.first()) {
        _ if !has_body => (Vec::new(), rest),
        (Some(length), _) => {
            let length: usize = text(length).parse().expect("a length");
            (rest[..length].to_vec(), &rest[length..])
        }
        (_, Some(coding)) => {
            assert_eq!(**coding, *b"chunked");
            chunks(rest)
        }
        (None, None) => (Vec::new(), rest),
    };
    (message.payload, message.rest) = (payload, rest.to_vec());
    message
}

/// The bytes before the first CRLF, which hold nothing that could end a line elsewhere, and those behind it.
fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n").expect("a line ends with CRLF");
    let line = &bytes[..end];
    assert!(!line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "in a line: {}", line.escape_ascii());
    (line, &bytes[end + 2..])
}

fn field(line: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let colon = line.iter().position(|&byte| byte == b':').expect("a colon");
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let is_token_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    assert!(!name.is_empty() && name.iter().all(is_token_byte), "a name: {}", line.escape_ascii());
    assert!(
        !value.iter().any(|&byte| byte < b' ' && byte != b'\t' || byte == 0x7f),
        "a value: {}",
        line.escape_ascii()
    );
    let value = value.strip_prefix(b" ").expect("one space behind the colon");
    assert_eq!(value, value.trim_ascii(), "whitespace around a value");
    (name.to_ascii_lowercase(), value.to_vec())
}

fn chunks(mut bytes: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut payload = Vec::new();
    loop {
        let (size, after) = line(bytes);
        assert!(size.iter().all(u8::is_ascii_hexdigit), "a chunk size: {}", size.escape_ascii());
        let size = usize::from_str_radix(text(size), 16).expect("a chunk size");
        bytes = after;
        if size == 0 {
            break;
        }
        payload.extend_from_slice(&bytes[..size]);
        bytes = bytes[size..].strip_prefix(b"\r\n").expect("CRLF behind a chunk");
    }
    loop {
        let (trailer, after) = line(bytes);
        bytes = after;
        if trailer.is_empty() {
            return (payload, bytes);
        }
        let (name, _) = field(trailer);
        assert!(!FORBIDDEN_TRAILERS.contains(&text(&name)), "a trailer: {}", trailer.escape_ascii());
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("ASCII")
}

/// What a careless recipient would merge into the head (RFC 9110 §6.5.1).
const FORBIDDEN_TRAILERS: &[&str] = &[
    "content-length",
    "transfer-encoding",
    "host",
    "connection",
    "authorization",
    "cookie",
    "content-type",
    "te",
];
