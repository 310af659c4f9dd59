//! Asking a server of the DNS: one question, and what is answered, for those who look from outside.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fulcrum_model::{DnsName, RecordType};
use ipnet::IpNet;

use crate::edns;
use crate::query::{HEADER, RESPONSE};

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is asked for.
    pub name: DnsName,
    /// And of which type.
    pub record_type: RecordType,
    /// For a client of this network (RFC 7871).
    pub subnet: Option<IpNet>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The response code.
    pub code: u16,
    /// The data of the records, as zone files write it; nothing of types other than A, AAAA, CNAME and SRV.
    pub records: Vec<String>,
}

impl Question {
    /// The message that asks.
    pub fn message(&self, id: u16) -> Vec<u8> {
        let mut message = vec![0; HEADER];
        message[..2].copy_from_slice(&id.to_be_bytes());
        // One question, and an OPT record.
        (message[5], message[11]) = (1, 1);
        message.extend_from_slice(self.name.as_wire());
        message.extend_from_slice(&self.record_type.0.to_be_bytes());
        message.extend_from_slice(&[0, 1]);
        let options = self.subnet.map(option).unwrap_or_default();
        let [s0, s1] = (crate::answer::DATAGRAM_MAX as u16).to_be_bytes();
        message.extend_from_slice(&[0, 0, 41, s0, s1, 0, 0, 0, 0, 0, options.len() as u8]);
        message.extend_from_slice(&options);
        message
    }
}

/// The client's network as an option: as many bytes of its address as its length takes.
fn option(subnet: IpNet) -> Vec<u8> {
    let (family, address) = match subnet.trunc().addr() {
        IpAddr::V4(address) => (1, address.octets().to_vec()),
        IpAddr::V6(address) => (2, address.octets().to_vec()),
    };
    let bytes = usize::from(subnet.prefix_len().div_ceil(8));
    let [c0, c1] = edns::CLIENT_SUBNET.to_be_bytes();
    [&[c0, c1, 0, (4 + bytes) as u8, 0, family, subnet.prefix_len(), 0], &address[..bytes]].concat()
}

impl Reply {
    /// What an answer to the question with this id says; `None` if it is none.
    pub fn read(message: &[u8], id: u16) -> Option<Self> {
        let number = |place: usize| Some(u16::from_be_bytes(*message.get(place..)?.first_chunk()?));
        if number(0)? != id || number(2)? & RESPONSE == 0 || number(4)? > 1 {
            return None;
        }
        let mut at = HEADER;
        if number(4)? == 1 {
            at = name(message, at)?.1 + 4;
        }
        let mut records = Vec::new();
        for _ in 0..number(6)? {
            let head = name(message, at)?.1;
            let data = head + 10;
            at = data + usize::from(number(head + 8)?);
            records.extend(text(message, RecordType(number(head)?), data..at));
        }
        Some(Reply { code: number(2)? & 0xf, records })
    }
}

fn text(message: &[u8], record_type: RecordType, data: std::ops::Range<usize>) -> Option<String> {
    let start = data.start;
    let bytes = message.get(data)?;
    match record_type {
        RecordType::A => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).to_string()),
        RecordType::AAAA => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string()),
        RecordType::CNAME => Some(name(message, start)?.0),
        RecordType::SRV => {
            let &[p0, p1, w0, w1, port0, port1] = bytes.first_chunk()?;
            let [priority, weight, port] = [[p0, p1], [w0, w1], [port0, port1]].map(u16::from_be_bytes);
            Some(format!("{priority} {weight} {port} {}", name(message, start + 6)?.0))
        }
        _ => None,
    }
}

/// The name that begins here, and where it ends. Pointers only lead backwards, so that this ends.
fn name(message: &[u8], start: usize) -> Option<(String, usize)> {
    let (mut text, mut at, mut end) = (String::new(), start, None);
    loop {
        let length = *message.get(at)?;
        match length {
            0 => return Some((if text.is_empty() { ".".to_owned() } else { text }, end.unwrap_or(at + 1))),
            1..=63 => {
                let label = message.get(at + 1..=at + usize::from(length))?;
                // Writing to a String cannot fail.
                let _ = write!(text, "{}.", label.escape_ascii());
                at += 1 + usize::from(length);
            }
            0xc0.. => {
                end = end.or(Some(at + 2));
                let to = usize::from(u16::from_be_bytes([length & 0x3f, *message.get(at + 1)?]));
                if to >= at || text.len() > LONGEST {
                    return None;
                }
                at = to;
            }
            _ => return None,
        }
    }
}

/// A name in text is at most four times as long as in wire form.
const LONGEST: usize = 4 * 255;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::query::Query;

    fn question(subnet: Option<&str>) -> Question {
        let subnet = subnet.map(|text| text.parse().expect("a network"));
        Question { name: "www.example.com".parse().expect("a name"), record_type: RecordType::A, subnet }
    }

    #[test]
    fn questions_are_understood() {
        for subnet in
            [None, Some("192.0.2.0/24"), Some("192.0.2.128/25"), Some("2001:db8::/48"), Some("0.0.0.0/0")]
        {
            let message = question(subnet).message(7);
            let query = Query::parse(&message).expect("a question");
            assert_eq!(query.name(), b"\x03www\x07example\x03com\x00");
            let found = query.edns.expect("it has EDNS").subnet.map(|subnet| (subnet.address, subnet.source));
            let expected = subnet.map(|text| text.parse::<IpNet>().expect("a network"));
            assert_eq!(found, expected.map(|net| (net.network(), net.prefix_len())), "{subnet:?}");
        }
    }

    #[test]
    fn answers_are_understood() {
        let mut message = question(None).message(7);
        (message[2], message[3], message[7], message[11]) = (0x84, 0, 2, 0);
        message.truncate(HEADER + 17 + 4);
        message.extend_from_slice(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\x00\x02\x01");
        message.extend_from_slice(b"\xc0\x0c\0\x21\0\x01\0\0\0\x3c\0\x0a\0\0\xff\xff\0\x50\x01a\xc0\x10");
        let records = vec!["192.0.2.1".to_owned(), "0 65535 80 a.example.com.".to_owned()];
        assert_eq!(Reply::read(&message, 7), Some(Reply { code: 0, records }));
        assert_eq!(Reply::read(&message, 8), None, "an answer to another question");
        assert_eq!(Reply::read(&question(None).message(7), 7), None, "a question");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_to_an_end(mut message in proptest::collection::vec(any::<u8>(), 12..200)) {
            (message[2], message[4], message[5]) = (0x80, 0, 1);
            let id = u16::from_be_bytes([message[0], message[1]]);
            let _ = Reply::read(&message, id);
        }
    }
}
