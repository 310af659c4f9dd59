//! From the fields of a record to its data.

use std::fmt;
use std::str::FromStr;

use super::{Field, RecordData, RecordType, Soa, svcb};
use crate::dns_name::{DnsName, DnsNameError};

/// Why something cannot be a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// There is no such type.
    Type,
    /// A type that this server cannot answer with, and why.
    Refused(RecordType, &'static str),
    /// Fields are missing or too many; what is expected.
    Fields(&'static str),
    /// A field cannot be what it should be.
    Field {
        /// What is expected.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// A name cannot be one.
    Name(DnsNameError),
    /// A digest that is not as long as those of its kind.
    Digest {
        /// Whose digest it is.
        record_type: RecordType,
        /// The number of its kind.
        kind: u8,
        /// How many bytes those have.
        expected: usize,
        /// How many it has.
        found: usize,
    },
    /// A quotation mark or a backslash without its other half.
    Quotes,
    /// One text has more than 255 bytes.
    LongText,
    /// More than 65,535 bytes of data.
    Long,
}

impl RecordData {
    /// The data of a record of this type out of its fields; names are relative to `origin`.
    pub fn parse(record_type: RecordType, fields: &[Field], origin: &DnsName) -> Result<Self, RecordError> {
        if let Some(why) = refusal(record_type) {
            return Err(RecordError::Refused(record_type, why));
        }
        let data = Fields { fields, origin }.data(record_type)?;
        let length = match &data {
            RecordData::Txt(parts) => parts.iter().map(|part| 1 + part.len()).sum(),
            RecordData::Other(_, data) => data.len(),
            _ => 0,
        };
        if length > usize::from(u16::MAX) {
            return Err(RecordError::Long);
        }
        check_digest(&data)?;
        Ok(data)
    }
}

/// Whoever validates takes a digest of another length for none, and what it speaks for as not there. Of kinds that are not
/// known here nobody can tell.
fn check_digest(data: &RecordData) -> Result<(), RecordError> {
    let RecordData::Other(record_type, data) = data else { return Ok(()) };
    let (head, kinds) = match *record_type {
        RecordType::DS => (4, DS_DIGESTS),
        RecordType::TLSA | RecordType::SMIMEA => (3, TLSA_DIGESTS),
        RecordType::SSHFP => (2, SSHFP_DIGESTS),
        _ => return Ok(()),
    };
    // The number of the kind is the last one before the digest.
    let (Some(&kind), Some(digest)) = (data.get(head - 1), data.get(head..).filter(|rest| !rest.is_empty()))
    else {
        return Err(RecordError::Fields(DIGEST));
    };
    let found = digest.len();
    match kinds.iter().find(|(number, _)| *number == kind) {
        Some(&(_, expected)) if expected != found => {
            Err(RecordError::Digest { record_type: *record_type, kind, expected, found })
        }
        _ => Ok(()),
    }
}

/// Why records of a type cannot be served.
fn refusal(record_type: RecordType) -> Option<&'static str> {
    match record_type {
        RecordType::DNAME => Some("aliases of whole trees are not served"),
        _ if record_type.is_meta() => Some("it is a type of questions"),
        _ if record_type.is_of_signatures() => Some("zones are not signed"),
        _ => None,
    }
}

/// The fields of a record, and what their names are relative to.
pub(super) struct Fields<'a> {
    pub(super) fields: &'a [Field],
    pub(super) origin: &'a DnsName,
}

impl Fields<'_> {
    fn data(&self, record_type: RecordType) -> Result<RecordData, RecordError> {
        if self.fields.first().is_some_and(|field| field.text == "\\#" && !field.is_quoted) {
            return self.unknown(record_type);
        }
        match record_type {
            RecordType::A => self.only("an IPv4 address").map(RecordData::A),
            RecordType::AAAA => self.only("an IPv6 address").map(RecordData::Aaaa),
            RecordType::NS => self.only_name().map(RecordData::Ns),
            RecordType::CNAME => self.only_name().map(RecordData::Cname),
            RecordType::PTR => self.only_name().map(RecordData::Ptr),
            RecordType::MX => self.mx(),
            RecordType::TXT => self.txt(),
            RecordType::SOA => self.soa(),
            RecordType::SRV => self.srv(),
            RecordType::CAA => self.caa(),
            RecordType::SVCB | RecordType::HTTPS => svcb::parse(record_type, self),
            RecordType::TLSA | RecordType::SMIMEA => self.digest(record_type, &[1, 1, 1]),
            RecordType::SSHFP => self.digest(record_type, &[1, 1]),
            RecordType::DS => self.digest(record_type, &[2, 1, 1]),
            RecordType::NAPTR => self.naptr(),
            _ => Err(RecordError::Fields(
                "`\\#`, the number of bytes, and the bytes in hexadecimal (RFC 3597)",
            )),
        }
    }

    fn exactly<const N: usize>(&self, expected: &'static str) -> Result<&[Field; N], RecordError> {
        self.fields.try_into().map_err(|_| RecordError::Fields(expected))
    }

    fn only<T: FromStr>(&self, expected: &'static str) -> Result<T, RecordError> {
        let [field] = self.exactly(expected)?;
        number(field, expected)
    }

    fn only_name(&self) -> Result<DnsName, RecordError> {
        let [field] = self.exactly("one name")?;
        self.name(field)
    }

    pub(super) fn name(&self, field: &Field) -> Result<DnsName, RecordError> {
        DnsName::relative(&field.text, self.origin).map_err(RecordError::Name)
    }

    fn mx(&self) -> Result<RecordData, RecordError> {
        let [preference, exchange] = self.exactly("a preference and a name, like `10 mail`")?;
        let preference = number(preference, "a preference from 0 to 65535")?;
        Ok(RecordData::Mx { preference, exchange: self.name(exchange)? })
    }

    fn txt(&self) -> Result<RecordData, RecordError> {
        if self.fields.is_empty() {
            return Err(RecordError::Fields("a text"));
        }
        self.fields.iter().map(Field::bytes).collect::<Result<_, _>>().map(RecordData::Txt)
    }

    fn soa(&self) -> Result<RecordData, RecordError> {
        let expected = "primary, contact, serial, refresh, retry, expire and minimum";
        let [primary, contact, serial, times @ ..] = self.exactly::<7>(expected)?;
        let mut times = times.iter().map(seconds);
        let mut time = || times.next().unwrap_or(Err(RecordError::Fields(expected)));
        Ok(RecordData::Soa(Box::new(Soa {
            primary: self.name(primary)?,
            contact: self.name(contact)?,
            serial: number(serial, "a serial from 0 to 4294967295")?,
            refresh: time()?,
            retry: time()?,
            expire: time()?,
            minimum: time()?,
        })))
    }

    fn srv(&self) -> Result<RecordData, RecordError> {
        let expected = "priority, weight, port and a name, like `0 5 5060 sip`";
        let [priority, weight, port, target] = self.exactly(expected)?;
        Ok(RecordData::Srv {
            priority: number(priority, "a priority from 0 to 65535")?,
            weight: number(weight, "a weight from 0 to 65535")?,
            port: number(port, "a port from 0 to 65535")?,
            target: self.name(target)?,
        })
    }

    /// RFC 8659 §4.1.
    fn caa(&self) -> Result<RecordData, RecordError> {
        let [flags, tag, value] = self.exactly("flags, a tag and a value, like `0 issue \"ca.example\"`")?;
        let is_tag =
            (1..=15).contains(&tag.text.len()) && tag.text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_tag {
            return Err(field("a tag of letters and digits", tag));
        }
        let mut data = vec![number::<u8>(flags, "flags from 0 to 255")?, tag.text.len() as u8];
        data.extend_from_slice(tag.text.as_bytes());
        data.extend_from_slice(&value.bytes()?);
        Ok(RecordData::Other(RecordType::CAA, data.into()))
    }

    /// Numbers of so many bytes, and a hexadecimal digest.
    fn digest(&self, record_type: RecordType, numbers: &[usize]) -> Result<RecordData, RecordError> {
        let (heads, digest) =
            self.fields.split_at_checked(numbers.len()).ok_or(RecordError::Fields(DIGEST))?;
        let mut data = Vec::new();
        for (head, length) in heads.iter().zip(numbers) {
            match length {
                1 => data.push(number(head, "a number from 0 to 255")?),
                _ => data.extend_from_slice(&number::<u16>(head, "a number from 0 to 65535")?.to_be_bytes()),
            }
        }
        data.extend(hexadecimal(digest)?);
        Ok(RecordData::Other(record_type, data.into()))
    }

    /// RFC 3403 §4.1.
    fn naptr(&self) -> Result<RecordData, RecordError> {
        let expected = "order, preference, flags, services, an expression and a name";
        let [order, preference, flags, services, expression, replacement] = self.exactly(expected)?;
        let mut data = Vec::new();
        for short in [order, preference] {
            data.extend_from_slice(&number::<u16>(short, "a number from 0 to 65535")?.to_be_bytes());
        }
        for text in [flags, services, expression] {
            let bytes = text.bytes()?;
            data.push(bytes.len() as u8);
            data.extend_from_slice(&bytes);
        }
        data.extend_from_slice(self.name(replacement)?.as_wire());
        Ok(RecordData::Other(RecordType::NAPTR, data.into()))
    }

    /// `\# LENGTH HEX` (RFC 3597 §5), of any type. What has names in it is told apart by its own fields.
    fn unknown(&self, record_type: RecordType) -> Result<RecordData, RecordError> {
        let expected = "`\\#`, the number of bytes, and the bytes in hexadecimal";
        let [_, length, bytes @ ..] = self.fields else { return Err(RecordError::Fields(expected)) };
        let length: u16 = number(length, "the number of bytes, to 65535")?;
        let data = hexadecimal(bytes)?;
        if data.len() != usize::from(length) {
            return Err(RecordError::Fields("as many bytes as the length says"));
        }
        match (record_type, &data[..]) {
            (RecordType::A, &[a, b, c, d]) => Ok(RecordData::A([a, b, c, d].into())),
            (RecordType::AAAA, data) => <[u8; 16]>::try_from(data)
                .map(|octets| RecordData::Aaaa(octets.into()))
                .map_err(|_| RecordError::Fields("16 bytes")),
            _ if KNOWN.contains(&record_type) => Err(RecordError::Fields("the fields of its type")),
            _ => Ok(RecordData::Other(record_type, data.into())),
        }
    }
}

const DIGEST: &str = "numbers, and a digest in hexadecimal";

/// Kinds of digests and their bytes: SHA-1, SHA-256, SHA-384 (RFC 4034 §5.1.3, RFC 4509 §2.2, RFC 6605 §2).
const DS_DIGESTS: &[(u8, usize)] = &[(1, 20), (2, 32), (4, 48)];

/// SHA-256, SHA-512; 0 is no digest but the whole (RFC 6698 §2.1.3, RFC 8162 §2).
const TLSA_DIGESTS: &[(u8, usize)] = &[(1, 32), (2, 64)];

/// SHA-1, SHA-256 (RFC 4255 §3.1.2, RFC 6594 §4.1).
const SSHFP_DIGESTS: &[(u8, usize)] = &[(1, 20), (2, 32)];

/// Of these the fields are needed: names in them are compressed, aliases followed.
const KNOWN: [RecordType; 8] = [
    RecordType::A,
    RecordType::NS,
    RecordType::CNAME,
    RecordType::SOA,
    RecordType::PTR,
    RecordType::MX,
    RecordType::TXT,
    RecordType::SRV,
];

pub(super) fn number<T: FromStr>(found: &Field, expected: &'static str) -> Result<T, RecordError> {
    found.text.parse().map_err(|_| field(expected, found))
}

fn field(expected: &'static str, found: &Field) -> RecordError {
    RecordError::Field { expected, found: found.text.chars().take(100).collect() }
}

/// Seconds, or with the units that name servers take: `1h30m`, `1d`, `2w`.
fn seconds(found: &Field) -> Result<u32, RecordError> {
    parse_seconds(&found.text).ok_or_else(|| field("seconds from 0 to 2147483647, or like 1h30m", found))
}

/// A time of a zone file in seconds, at most 2^31 − 1 (RFC 2181 §8): `3600` or `1h`.
pub fn parse_seconds(text: &str) -> Option<u32> {
    let (mut total, mut digits) = (0u64, String::new());
    for character in text.chars() {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        let unit = match character.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(digits.parse::<u64>().ok()?.checked_mul(unit)?)?;
        digits.clear();
    }
    if !digits.is_empty() {
        // A number without a unit stands alone.
        total = digits.parse::<u64>().ok().filter(|_| digits.len() == text.len())?;
    } else if text.is_empty() {
        return None;
    }
    u32::try_from(total).ok().filter(|&seconds| seconds <= i32::MAX as u32)
}

fn hexadecimal(fields: &[Field]) -> Result<Vec<u8>, RecordError> {
    let digits: Vec<u8> = fields.iter().flat_map(|field| field.text.bytes()).collect();
    let nibble = |digit: u8| (digit as char).to_digit(16).map(|value| value as u8);
    let byte = |pair: &[u8]| Some(nibble(pair[0])? << 4 | nibble(*pair.get(1)?)?);
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    let bytes = bytes.ok_or(RecordError::Fields("pairs of hexadecimal digits"))?;
    if bytes.len() > usize::from(u16::MAX) { Err(RecordError::Long) } else { Ok(bytes) }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::Type => f.write_str("there is no such type of records"),
            RecordError::Refused(record_type, why) => write!(f, "{record_type} cannot be served: {why}"),
            RecordError::Fields(expected) => write!(f, "expected {expected}"),
            RecordError::Field { expected, found } => write!(f, "expected {expected}, found {found:?}"),
            RecordError::Name(error) => error.fmt(f),
            RecordError::Digest { record_type, kind, expected, found } => {
                write!(f, "a {record_type} digest of type {kind} has {expected} bytes, not {found}")
            }
            RecordError::Quotes => f.write_str("a quotation mark or backslash without its other half"),
            RecordError::LongText => f.write_str("a text has at most 255 bytes"),
            RecordError::Long => f.write_str("data has at most 65535 bytes"),
        }
    }
}

impl std::error::Error for RecordError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RecordError::Name(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
