//! Heads and body framing as bytes (RFC 9112). Framing is always our own, never copied from the other side.

use crate::http::field::{self, Known};
use crate::http::message::{Fields, Framing};

/// Appends `name: value`.
pub(crate) fn field(output: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    output.extend_from_slice(name);
    output.extend_from_slice(b": ");
    output.extend_from_slice(value);
    output.extend_from_slice(b"\r\n");
}

/// Appends the framing fields of a message.
pub(crate) fn framing(output: &mut Vec<u8>, framing: Framing) {
    match framing {
        Framing::Length(length) => {
            output.extend_from_slice(b"content-length: ");
            decimal(output, length);
            output.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => output.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Framing::None | Framing::UntilClose => {}
    }
}

/// Appends a number.
pub(crate) fn decimal(output: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    output.extend_from_slice(&digits[start..]);
}

/// Appends one chunk (RFC 9112 §7.1).
pub(crate) fn chunk(output: &mut Vec<u8>, payload: &[u8]) {
    debug_assert!(!payload.is_empty(), "an empty chunk ends the body");
    let mut digits = [0; 16];
    let mut start = digits.len();
    let mut size = payload.len();
    while size > 0 {
        start -= 1;
        digits[start] = b"0123456789abcdef"[size & 15];
        size >>= 4;
    }
    output.extend_from_slice(&digits[start..]);
    output.extend_from_slice(b"\r\n");
    output.extend_from_slice(payload);
    output.extend_from_slice(b"\r\n");
}

/// Appends the last chunk and the trailer section.
pub(crate) fn last_chunk(output: &mut Vec<u8>, trailers: &Fields) {
    output.extend_from_slice(b"0\r\n");
    for (name, value, _) in trailers.iter() {
        field(output, name, value);
    }
    output.extend_from_slice(b"\r\n");
}

/// Appends the fields of a head that are forwarded: neither hop-by-hop nor nominated by `Connection`, and not dropped
/// by `drops`.
pub(crate) fn forwarded_fields(
    output: &mut Vec<u8>,
    fields: &Fields,
    drops: impl Fn(&[u8], &[u8], Known) -> bool,
) {
    for (name, value, known) in fields.iter() {
        let dropped = known.is_hop_by_hop()
            || drops(name, value, known)
            || (fields.nominates && is_nominated(fields, name, known));
        if !dropped {
            field(output, name, value);
        }
    }
}

/// Whether `Connection` names this field (RFC 9110 §7.6.1) and may.
fn is_nominated(fields: &Fields, name: &[u8], known: Known) -> bool {
    field::can_be_nominated(name, known)
        && fields
            .known(Known::Connection)
            .any(|options| field::list_elements(options).any(|option| option.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_chunks() {
        let mut output = Vec::new();
        for number in [0, 7, 10, 65_536, u64::MAX] {
            output.clear();
            decimal(&mut output, number);
            assert_eq!(String::from_utf8_lossy(&output), number.to_string());
        }
        output.clear();
        chunk(&mut output, &[b'x'; 26]);
        assert!(output.starts_with(b"1a\r\nxxx") && output.ends_with(b"x\r\n"));
        output.clear();
        last_chunk(&mut output, &Fields::default());
        assert_eq!(output, b"0\r\n\r\n");
    }
}
