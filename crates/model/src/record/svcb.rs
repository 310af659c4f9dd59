//! SVCB and HTTPS records (RFC 9460): where a service is, and what it speaks.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::parse::{Fields, number};
use super::{Field, RecordData, RecordError, RecordType};

/// `PRIORITY TARGET key=value …`.
pub(super) fn parse(record_type: RecordType, fields: &Fields<'_>) -> Result<RecordData, RecordError> {
    let [priority, target, parameters @ ..] = fields.fields else {
        return Err(RecordError::Fields("a priority, a name and parameters, like `1 . alpn=h2`"));
    };
    let priority: u16 = number(priority, "a priority from 0 to 65535")?;
    if priority == 0 && !parameters.is_empty() {
        return Err(RecordError::Fields("no parameters with the priority 0"));
    }
    let mut data = priority.to_be_bytes().to_vec();
    data.extend_from_slice(fields.name(target)?.as_wire());
    let mut parameters = parameters.iter().map(parameter).collect::<Result<Vec<_>, _>>()?;
    parameters.sort();
    complete(&parameters)?;
    for (key, value) in parameters {
        let length = u16::try_from(value.len()).map_err(|_| RecordError::Long)?;
        data.extend_from_slice(&key.to_be_bytes());
        data.extend_from_slice(&length.to_be_bytes());
        data.extend_from_slice(&value);
    }
    Ok(RecordData::Other(record_type, data.into()))
}

/// What holds between parameters (RFC 9460 §7.1, §8).
fn complete(parameters: &[(u16, Vec<u8>)]) -> Result<(), RecordError> {
    let find = |key: u16| parameters.iter().find(|(other, _)| *other == key);
    if parameters.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(RecordError::Fields("every key once"));
    }
    let mandatory = find(MANDATORY).map_or(&[][..], |(_, keys)| keys);
    if mandatory.chunks_exact(2).any(|key| find(u16::from_be_bytes([key[0], key[1]])).is_none()) {
        return Err(RecordError::Fields("every mandatory key to be there"));
    }
    if find(NO_DEFAULT_ALPN).is_some() && find(ALPN).is_none() {
        return Err(RecordError::Fields("`alpn` with `no-default-alpn`"));
    }
    Ok(())
}

fn parameter(field: &Field) -> Result<(u16, Vec<u8>), RecordError> {
    let (name, text) = field.text.split_once('=').unwrap_or((&field.text, ""));
    let key = key(name)?;
    let wrong = |expected| RecordError::Field { expected, found: text.to_owned() };
    let value =
        match key {
            MANDATORY => {
                let mut keys = text.split(',').map(self::key).collect::<Result<Vec<_>, _>>()?;
                keys.sort_unstable();
                if keys.contains(&MANDATORY) || keys.windows(2).any(|pair| pair[0] == pair[1]) {
                    return Err(wrong("other keys, each once"));
                }
                keys.into_iter().flat_map(u16::to_be_bytes).collect()
            }
            ALPN => alpn(text).ok_or_else(|| wrong("protocols, like `h2,h3`"))?,
            NO_DEFAULT_ALPN if text.is_empty() => Vec::new(),
            NO_DEFAULT_ALPN => return Err(wrong("no value")),
            PORT => text.parse::<u16>().map_err(|_| wrong("a port"))?.to_be_bytes().to_vec(),
            IPV4_HINT => addresses(text, |address: Ipv4Addr| address.octets())
                .ok_or_else(|| wrong("IPv4 addresses"))?,
            ECH => base64(text).ok_or_else(|| wrong("base64"))?,
            IPV6_HINT => addresses(text, |address: Ipv6Addr| address.octets())
                .ok_or_else(|| wrong("IPv6 addresses"))?,
            _ => Field { text: text.to_owned(), is_quoted: true }.bytes()?.into_vec(),
        };
    Ok((key, value))
}

fn key(name: &str) -> Result<u16, RecordError> {
    let named = NAMES.iter().position(|known| *known == name).map(|place| place as u16);
    let numbered =
        || name.strip_prefix("key").and_then(|number| number.parse().ok()).filter(|&key| key != u16::MAX);
    named.or_else(numbered).ok_or_else(|| RecordError::Field {
        expected: "a key of RFC 9460, like `alpn`, `port` or `key667`",
        found: name.to_owned(),
    })
}

fn alpn(text: &str) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    for protocol in text.split(',') {
        value.push(u8::try_from(protocol.len()).ok().filter(|&length| length > 0)?);
        value.extend_from_slice(protocol.as_bytes());
    }
    Some(value)
}

fn addresses<T: std::str::FromStr, const N: usize>(
    text: &str,
    octets: impl Fn(T) -> [u8; N],
) -> Option<Vec<u8>> {
    let addresses: Option<Vec<_>> =
        text.split(',').map(|address| Some(octets(address.parse().ok()?))).collect();
    Some(addresses?.concat())
}

/// RFC 4648 §4, with its padding or without.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let (mut bits, mut count, mut bytes) = (0u32, 0, Vec::new());
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

const NAMES: [&str; 7] = ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint"];
const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4_HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6_HINT: u16 = 6;
