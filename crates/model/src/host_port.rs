//! A DNS name and a port: a place whose addresses have yet to be asked for.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

/// A DNS name and a port, like `app.internal:8080`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// A lower-case DNS name of at most 253 bytes, never an IP address. A final dot makes it absolute: resolvers then
    /// leave their search list alone.
    pub host: String,
    /// Where to connect to, at each of its addresses.
    pub port: NonZeroU16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Why a text is not a DNS name and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseHostPortError {
    /// What stands before the port, or the whole text, is not a DNS name.
    Host,
    /// A DNS name without a port from 1 to 65535.
    Port,
}

impl fmt::Display for ParseHostPortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParseHostPortError::Host => "expected a DNS name and a port, like `app.internal:8080`",
            ParseHostPortError::Port => "expected a port from 1 to 65535 after the name",
        })
    }
}

impl std::error::Error for ParseHostPortError {}

impl FromStr for HostPort {
    type Err = ParseHostPortError;

    /// Parses `app.internal:8080`; upper-case letters are brought to lower case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
        if !is_name(host) {
            return Err(ParseHostPortError::Host);
        }
        // `u16` would also take `+80`.
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|_| digits).ok_or(ParseHostPortError::Port)?;
        Ok(HostPort { host: host.to_ascii_lowercase(), port })
    }
}

/// Labels of 1 to 63 letters, digits, `-` and `_`, the last of them no number (RFC 1123 §2.1).
pub(crate) fn is_name(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253 && name.split('.').all(is_label) && !is_number(last)
}

/// Resolvers of the C library take names that end in a number, decimal or hexadecimal, for an IPv4 address.
fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x").or(label.strip_prefix("0X")) {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_ports_parse_and_print() {
        fn check(text: &str, expected: Result<&str, ParseHostPortError>) {
            let parsed = text.parse::<HostPort>().map(|host| host.to_string());
            assert_eq!(parsed.as_deref(), expected.as_ref().map(|text| *text), "{text:?}");
        }
        let longest = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
        check("app.internal:8080", Ok("app.internal:8080"));
        check("App.Internal:8080", Ok("app.internal:8080"));
        check("localhost:80", Ok("localhost:80"));
        check("app.internal.:80", Ok("app.internal.:80"));
        check("my_app-1.x2:65535", Ok("my_app-1.x2:65535"));
        check("10.0.0.1.nip.example:80", Ok("10.0.0.1.nip.example:80"));
        check(&format!("{longest}:80"), Ok(&format!("{longest}:80")));
        check(&format!("{longest}.:80"), Ok(&format!("{longest}.:80")));
        check(&format!("{longest}e:80"), Err(ParseHostPortError::Host));
        check(&format!("{}:80", "a".repeat(64)), Err(ParseHostPortError::Host));
        check("10.0.0.1:80", Err(ParseHostPortError::Host));
        check("10.0.0.0x1:80", Err(ParseHostPortError::Host));
        check("22:22", Err(ParseHostPortError::Host));
        check("[2001:db8::1]:80", Err(ParseHostPortError::Host));
        check("::1", Err(ParseHostPortError::Host));
        check("a..b:80", Err(ParseHostPortError::Host));
        check(".:80", Err(ParseHostPortError::Host));
        check(":80", Err(ParseHostPortError::Host));
        check("", Err(ParseHostPortError::Host));
        check("a b:80", Err(ParseHostPortError::Host));
        check("bücher.example:80", Err(ParseHostPortError::Host));
        check("http://app:80", Err(ParseHostPortError::Host));
        check("app.internal", Err(ParseHostPortError::Port));
        check("app.internal:", Err(ParseHostPortError::Port));
        check("app.internal:0", Err(ParseHostPortError::Port));
        check("app.internal:65536", Err(ParseHostPortError::Port));
        check("app.internal:+80", Err(ParseHostPortError::Port));
        check("app.internal:http", Err(ParseHostPortError::Port));
    }
}
