//! Bytes, numbers and addresses as text that stays on its line, whatever a client sends.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const LOWER_HEX: &[u8; 16] = b"0123456789abcdef";
const UPPER_HEX: &[u8; 16] = b"0123456789ABCDEF";

/// A JSON string with its quotes (RFC 8259 section 7). Valid UTF-8 stays readable; a byte that is no part of it
/// becomes the escape of its value, so that the record always parses and the byte can still be told.
pub(super) fn json_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let plain = bytes.iter().position(|&byte| !is_plain(byte)).unwrap_or(bytes.len());
    out.extend_from_slice(&bytes[..plain]);
    for chunk in bytes[plain..].utf8_chunks() {
        json_text(chunk.valid(), out);
        for &byte in chunk.invalid() {
            json_escape(byte.into(), out);
        }
    }
    out.push(b'"');
}

/// Text for the common log format and templates: quotes, backslashes, control characters and everything that is not
/// ASCII become `\xHH`.
pub(super) fn plain_text(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|&byte| !is_plain(byte)) {
        out.extend_from_slice(&rest[..at]);
        hex_escape(rest[at], out);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// `\xHH`.
fn hex_escape(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\x");
    out.push(UPPER_HEX[usize::from(byte >> 4)]);
    out.push(UPPER_HEX[usize::from(byte & 15)]);
}

/// A decimal number.
pub(super) fn number(value: u64, out: &mut Vec<u8>) {
    padded(value, 1, out);
}

/// A decimal number of at least `width` digits, at most 20, with leading zeros.
pub(super) fn padded(mut value: u64, width: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20]; // u64::MAX has 20
    let mut start = digits.len();
    while value > 0 {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    out.extend_from_slice(&digits[start.min(digits.len() - width)..]);
}

/// Seconds with six decimals.
pub(super) fn seconds(duration: Duration, out: &mut Vec<u8>) {
    number(duration.as_secs(), out);
    out.push(b'.');
    padded(duration.subsec_micros().into(), 6, out);
}

/// An address without port.
pub(super) fn ip(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            number(a.into(), out);
            for octet in [b, c, d] {
                out.push(b'.');
                number(octet.into(), out);
            }
        }
        IpAddr::V6(v6) => write!(out, "{v6}").expect("a Vec takes every write"),
    }
}

/// `address:port`, an IPv6 address in brackets.
pub(super) fn socket(address: SocketAddr, out: &mut Vec<u8>) {
    match address {
        SocketAddr::V4(v4) => ip((*v4.ip()).into(), out),
        SocketAddr::V6(v6) => write!(out, "[{}]", v6.ip()).expect("a Vec takes every write"),
    }
    out.push(b':');
    number(address.port().into(), out);
}

/// Printable ASCII without the two bytes that have a meaning inside quotes.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

fn json_text(text: &str, out: &mut Vec<u8>) {
    let mut utf8 = [0; 4];
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend_from_slice(&[b'\\', character as u8]),
            _ if is_unsafe(character) => json_escape(character as u32, out),
            _ => out.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes()),
        }
    }
}

/// JSON allows C1 controls, the line separators of Unicode and the marks that reorder text to stand unescaped;
/// terminals and viewers act on them.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}')
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `\uXXXX` of a code point of the basic plane.
fn json_escape(code: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.push(LOWER_HEX[(code >> shift & 15) as usize]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("every encoder writes UTF-8")
    }

    #[test]
    fn json_strings() {
        let check =
            |input: &[u8], expected: &str| assert_eq!(written(|out| json_string(input, out)), expected);
        check(b"", r#""""#);
        check(b"/a?b=c", r#""/a?b=c""#);
        check(b"a\"b\\c", r#""a\"b\\c""#);
        check(b"a\r\nb\0\x1b[31m\x7f", r#""a\u000d\u000ab\u0000\u001b[31m\u007f""#);
        check("grün 🦀".as_bytes(), "\"grün 🦀\"");
        check(b"gr\xfcn \xff", r#""gr\u00fcn \u00ff""#);
        check("\u{85}\u{2028}\u{202e}".as_bytes(), r#""\u0085\u2028\u202e""#);
    }

    #[test]
    fn plain_strings() {
        let check =
            |input: &[u8], expected: &str| assert_eq!(written(|out| plain_text(input, out)), expected);
        check(b"GET", "GET");
        check(b"a\"b\\c d", r"a\x22b\x5Cc d");
        check(b"\n\x1b\x7f\xff", r"\x0A\x1B\x7F\xFF");
        check("ü".as_bytes(), r"\xC3\xBC");
    }

    #[test]
    fn numbers() {
        assert_eq!(written(|out| number(0, out)), "0");
        assert_eq!(written(|out| number(1_234_567_890, out)), "1234567890");
        assert_eq!(written(|out| number(u64::MAX, out)), u64::MAX.to_string());
        assert_eq!(written(|out| padded(42, 6, out)), "000042");
        assert_eq!(written(|out| padded(1234, 3, out)), "1234");
        assert_eq!(written(|out| seconds(Duration::from_micros(1_000_042), out)), "1.000042");
        assert_eq!(written(|out| seconds(Duration::from_nanos(999), out)), "0.000000");
    }

    #[test]
    fn addresses_are_written_as_std_does() {
        for address in ["127.0.0.1:80", "255.1.20.0:65535", "[::1]:443", "[2001:db8::ff00:42]:1"] {
            let parsed: SocketAddr = address.parse().expect("an address");
            assert_eq!(written(|out| socket(parsed, out)), address);
            assert_eq!(written(|out| ip(parsed.ip(), out)), parsed.ip().to_string());
        }
    }
}
