//! Types of records by name and number.

use std::fmt;
use std::str::FromStr;

use super::RecordError;

/// The type of a record, or of a question.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordType(pub u16);

macro_rules! types {
    ($($name:ident = $number:literal),* $(,)?) => {
        #[allow(missing_docs)]
        impl RecordType {
            $(pub const $name: RecordType = RecordType($number);)*

            /// Those that have a name here (IANA, DNS parameters).
            const NAMED: &[(RecordType, &str)] = &[$((RecordType::$name, stringify!($name))),*];
        }
    };
}

types! {
    A = 1, NS = 2, CNAME = 5, SOA = 6, PTR = 12, MX = 15, TXT = 16, AAAA = 28, SRV = 33, NAPTR = 35, DNAME = 39, OPT = 41, DS = 43,
    SSHFP = 44, RRSIG = 46, NSEC = 47, DNSKEY = 48, NSEC3 = 50, NSEC3PARAM = 51, TLSA = 52, SMIMEA = 53, CDS = 59, CDNSKEY = 60,
    OPENPGPKEY = 61, SVCB = 64, HTTPS = 65, NXNAME = 128, TKEY = 249, TSIG = 250, IXFR = 251, AXFR = 252, MAILB = 253, MAILA = 254,
    ANY = 255, CAA = 257,
}

impl RecordType {
    /// What only questions and transports use (RFC 6895 §3.1): 0, 41 and 128 to 255.
    pub fn is_meta(self) -> bool {
        matches!(self.0, 0 | 41 | 128..=255)
    }

    /// What only a signed zone has.
    pub fn is_of_signatures(self) -> bool {
        [RecordType::RRSIG, RecordType::NSEC, RecordType::DNSKEY, RecordType::NSEC3, RecordType::NSEC3PARAM]
            .contains(&self)
    }
}

impl FromStr for RecordType {
    type Err = RecordError;

    /// A name in any case, or `TYPE` and a number (RFC 3597 §5).
    fn from_str(text: &str) -> Result<Self, RecordError> {
        let named = RecordType::NAMED.iter().find(|(_, name)| name.eq_ignore_ascii_case(text));
        let numbered = || match text.split_at_checked(4) {
            Some((word, number)) if word.eq_ignore_ascii_case("TYPE") => number.parse().ok().map(RecordType),
            _ => None,
        };
        named.map(|(named, _)| *named).or_else(numbered).ok_or(RecordError::Type)
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match RecordType::NAMED.iter().find(|(named, _)| named == self) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

impl fmt::Debug for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_parse_and_print() {
        fn check(text: &str, expected: Result<(u16, &str), RecordError>) {
            let parsed = text.parse::<RecordType>().map(|parsed| (parsed.0, parsed.to_string()));
            assert_eq!(parsed, expected.map(|(number, name)| (number, name.to_owned())), "{text}");
        }
        check("A", Ok((1, "A")));
        check("https", Ok((65, "HTTPS")));
        check("TYPE666", Ok((666, "TYPE666")));
        check("type1", Ok((1, "A")));
        check("TYPE65536", Err(RecordError::Type));
        check("TYPE", Err(RecordError::Type));
        check("NOPE", Err(RecordError::Type));
        check("", Err(RecordError::Type));
    }
}
