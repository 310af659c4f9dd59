//! Reads an answer of ours, for people.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use fulcrum_model::{DnsName, RecordType};

use crate::edns::CLIENT_SUBNET;
use crate::query::HEADER;

/// An answer as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The response code, like `NOERROR`.
    pub code: String,
    /// The records of the answer section, as in a zone file.
    pub answers: Vec<String>,
    /// Those of the authority section.
    pub authority: Vec<String>,
    /// For how many bits of the client's network it is meant; `None` where it does not say.
    pub scope: Option<u8>,
    /// Whether it did not fit into a datagram.
    pub is_truncated: bool,
    /// How long it is.
    pub bytes: usize,
}

/// A place in a message.
struct Reader<'a> {
    message: &'a [u8],
    place: usize,
}

struct Record<'a> {
    owner: DnsName,
    record_type: RecordType,
    ttl: u32,
    /// Where its data begin.
    place: usize,
    data: &'a [u8],
}

impl Told {
    pub(super) fn read(message: &[u8], code: u16, is_truncated: bool) -> Option<Self> {
        let mut reader = Reader { message, place: 4 };
        let counts = [reader.number()?, reader.number()?, reader.number()?, reader.number()?];
        debug_assert_eq!(reader.place, HEADER);
        for _ in 0..counts[0] {
            reader.name()?;
            reader.bytes(4)?;
        }
        let answers = reader.section(counts[1])?;
        let authority = reader.section(counts[2])?;
        let mut scope = None;
        for _ in 0..counts[3] {
            let record = reader.record()?;
            if record.record_type == RecordType::OPT {
                scope = scope.or_else(|| self::scope(record.data));
            }
        }
        Some(Told { code: self::code(code), answers, authority, scope, is_truncated, bytes: message.len() })
    }
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let bytes = self.message.get(self.place..self.place + count)?;
        self.place += count;
        Some(bytes)
    }

    fn number(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.bytes(2)?.try_into().ok()?))
    }

    /// A name, perhaps compressed (RFC 1035 §4.1.4). Pointers lead back, so that this ends.
    fn name(&mut self) -> Option<DnsName> {
        let (mut wire, mut place, mut end) = (Vec::new(), self.place, None);
        loop {
            let length = *self.message.get(place)?;
            match length {
                0 => break,
                0xc0.. => {
                    let low = *self.message.get(place + 1)?;
                    let target = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    end.get_or_insert(place + 2);
                    place = Some(target).filter(|target| *target < place)?;
                }
                _ => {
                    wire.extend_from_slice(self.message.get(place..=place + usize::from(length))?);
                    place += 1 + usize::from(length);
                }
            }
        }
        wire.push(0);
        self.place = end.unwrap_or(place + 1);
        wire.make_ascii_lowercase();
        DnsName::from_wire(&wire)
    }

    fn record(&mut self) -> Option<Record<'a>> {
        let owner = self.name()?;
        let record_type = RecordType(self.number()?);
        self.bytes(2)?;
        let ttl = u32::from_be_bytes(self.bytes(4)?.try_into().ok()?);
        let length = self.number()?;
        let place = self.place;
        let data = self.bytes(length.into())?;
        Some(Record { owner, record_type, ttl, place, data })
    }

    fn section(&mut self, count: u16) -> Option<Vec<String>> {
        (0..count).map(|_| self.record().map(|record| record.text(self.message))).collect()
    }
}

impl Record<'_> {
    fn text(&self, message: &[u8]) -> String {
        let Record { owner, record_type, ttl, .. } = self;
        // What is not read here is told as bytes (RFC 3597 §5).
        let data = self.data_text(message).unwrap_or_else(|| {
            let mut text = format!("\\# {}", self.data.len());
            for (place, byte) in self.data.iter().enumerate() {
                // Writing to a String cannot fail.
                let _ = write!(text, "{}{byte:02x}", if place == 0 { " " } else { "" });
            }
            text
        });
        format!("{owner} {ttl} IN {record_type} {data}")
    }

    fn data_text(&self, message: &[u8]) -> Option<String> {
        let mut reader = Reader { message, place: self.place };
        Some(match self.record_type {
            RecordType::A => Ipv4Addr::from(<[u8; 4]>::try_from(self.data).ok()?).to_string(),
            RecordType::AAAA => Ipv6Addr::from(<[u8; 16]>::try_from(self.data).ok()?).to_string(),
            RecordType::CNAME | RecordType::NS | RecordType::PTR => reader.name()?.to_string(),
            RecordType::MX => format!("{} {}", reader.number()?, reader.name()?),
            RecordType::SRV => {
                let numbers = [reader.number()?, reader.number()?, reader.number()?];
                format!("{} {} {} {}", numbers[0], numbers[1], numbers[2], reader.name()?)
            }
            RecordType::SOA => {
                let mut text = format!("{} {}", reader.name()?, reader.name()?);
                for _ in 0..5 {
                    let number = u32::from_be_bytes(reader.bytes(4)?.try_into().ok()?);
                    let _ = write!(text, " {number}");
                }
                text
            }
            RecordType::TXT => texts(self.data)?,
            _ => return None,
        })
    }
}

/// Parts of a text in quotes.
fn texts(mut data: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    while let Some((&length, rest)) = data.split_first() {
        let (part, behind) = rest.split_at_checked(length.into())?;
        let escape = |byte: &u8| match byte {
            b'"' | b'\\' => format!("\\{}", char::from(*byte)),
            b' '..=b'~' => char::from(*byte).to_string(),
            _ => format!("\\{byte:03}"),
        };
        parts.push(format!("\"{}\"", part.iter().map(escape).collect::<String>()));
        data = behind;
    }
    Some(parts.join(" "))
}

/// What an OPT record says of the client's network (RFC 7871 §6).
fn scope(mut options: &[u8]) -> Option<u8> {
    loop {
        let (&[c0, c1, l0, l1], rest) = options.split_first_chunk()?;
        let (data, behind) = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
        if u16::from_be_bytes([c0, c1]) == CLIENT_SUBNET {
            return data.get(3).copied();
        }
        options = behind;
    }
}

/// A response code as it is usually written (IANA, DNS parameters).
pub(crate) fn code(code: u16) -> String {
    let known = [
        (0, "NOERROR"),
        (1, "FORMERR"),
        (2, "SERVFAIL"),
        (3, "NXDOMAIN"),
        (4, "NOTIMP"),
        (5, "REFUSED"),
        (9, "NOTAUTH"),
        (16, "BADVERS"),
    ];
    let found = known.iter().find(|(known, _)| *known == code);
    found.map_or_else(|| format!("RCODE{code}"), |(_, word)| (*word).to_owned())
}
