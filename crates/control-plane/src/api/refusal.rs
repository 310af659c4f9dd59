//! What is said to who sends no request: the word of the HTTP library for it, said as a problem document.

use super::problem::{Code, Problem};

/// Why a head is refused, by how the library begins to say so.
pub(super) fn reason(said: &[u8], is_in_request_line: bool) -> Code {
    match said.get(STATUS) {
        Some(b"431") if is_in_request_line => Code::TargetTooLong,
        Some(b"431") => Code::HeadTooLarge,
        Some(b"414") => Code::TargetTooLong,
        _ => Code::Malformed,
    }
}

/// The whole answer. The date is that of what the library says.
pub(super) fn answer(code: Code, said: &[u8]) -> Vec<u8> {
    let (status, document) = (code.status(), Problem::new(code, detail(code)).document());
    let date = said.split_inclusive(|byte| *byte == b'\n').find(|line| line.starts_with(b"date: "));
    let mut answer = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n\
         connection: close\r\ncontent-length: {}\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        document.len(),
    )
    .into_bytes();
    answer.extend_from_slice(date.unwrap_or_default());
    answer.extend_from_slice(b"\r\n");
    answer.extend_from_slice(document.as_bytes());
    answer
}

/// A head whose body has two lengths.
pub(super) fn two_lengths() -> Problem {
    let text = "a request has either Content-Length or Transfer-Encoding (RFC 9112 §6.3)";
    Problem::new(Code::Malformed, text).closing()
}

fn detail(code: Code) -> &'static str {
    match code {
        Code::TargetTooLong => "a request line has at most 16 KiB, with all its fields",
        Code::HeadTooLarge => "a request has at most 100 fields, and its head 16 KiB",
        _ => "this is no request of HTTP/1.1 or HTTP/1.0 (RFC 9112)",
    }
}

/// Behind `HTTP/1.1 `.
const STATUS: std::ops::Range<usize> = 9..12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_the_library_becomes_a_problem() {
        let said = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n";
        assert_eq!(reason(said, true), Code::TargetTooLong);
        assert_eq!(reason(said, false), Code::HeadTooLarge);
        assert_eq!(reason(b"HTTP/1.1 414 URI Too Long\r\n\r\n", false), Code::TargetTooLong);
        assert_eq!(reason(b"HTTP/1.1 400 Bad Request\r\n\r\n", true), Code::Malformed);
        assert_eq!(reason(b"", false), Code::Malformed);
        let text = String::from_utf8(answer(Code::HeadTooLarge, said)).expect("UTF-8");
        let (head, document) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains("\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT"), "{head}");
        assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", document.len())), "{head}");
    }
}
