//! Writes databases of the MaxMind DB format (version 2.0) for tests. Needs nothing of the crate, so that tests of the
//! daemon can include it as well.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

/// A value of a record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Double(f64),
    Float(f32),
    Short(u16),
    Number(u32),
    Long(u64),
    Bool(bool),
    Map(Vec<(&'static str, Value)>),
    Array(Vec<Value>),
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(crate) fn map(fields: impl Into<Vec<(&'static str, Value)>>) -> Value {
    Value::Map(fields.into())
}

/// A record as MaxMind lays it out.
pub(crate) fn nested(continent: &str, country: &str, subdivision: &str, point: (f64, f64)) -> Value {
    let names = map([("de", text("Name")), ("en", text(country))]);
    map([
        ("city", map([("names", names.clone())])),
        ("continent", map([("code", text(continent)), ("names", names.clone())])),
        ("country", map([("geoname_id", Value::Number(1)), ("iso_code", text(country)), ("names", names)])),
        ("location", map([("latitude", Value::Double(point.0)), ("longitude", Value::Double(point.1))])),
        ("subdivisions", Value::Array(vec![map([("iso_code", text(subdivision))])])),
        ("traits", map([("is_anycast", Value::Bool(true))])),
    ])
}

/// A record with all at the top, as free databases have it.
pub(crate) fn flat(country: &str, point: (f32, f32)) -> Value {
    map([
        ("city", text("Name")),
        ("country_code", text(country)),
        ("latitude", Value::Float(point.0)),
        ("longitude", Value::Float(point.1)),
        ("state1", text("")),
    ])
}

/// A record of an autonomous system.
pub(crate) fn operator(asn: u32) -> Value {
    let name = text("Example");
    map([("autonomous_system_number", Value::Number(asn)), ("autonomous_system_organization", name)])
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Slot {
    Empty,
    Node(usize),
    Record(usize),
}

/// A database that is being written.
pub(crate) struct Writer {
    is_v6: bool,
    record_size: u16,
    nodes: Vec<[Slot; 2]>,
    data: Vec<u8>,
    records: HashMap<Vec<u8>, usize>,
}

impl Writer {
    pub(crate) fn v4(record_size: u16) -> Writer {
        Writer { is_v6: false, record_size, nodes: vec![EMPTY], data: Vec::new(), records: HashMap::new() }
    }

    pub(crate) fn v6(record_size: u16) -> Writer {
        Writer { is_v6: true, ..Writer::v4(record_size) }
    }

    /// Gives a network a record, shorter networks before longer ones.
    pub(crate) fn insert(mut self, net: &str, record: &Value) -> Writer {
        let mut encoded = Vec::new();
        encode(record, &mut encoded);
        let offset = *self.records.entry(encoded).or_insert_with_key(|encoded| {
            self.data.extend(encoded);
            self.data.len() - encoded.len()
        });
        let (bits, length) = self.path(net);
        self.set(bits, length, Slot::Record(offset));
        self
    }

    /// Makes a network of IPv6 lead to the tree of IPv4.
    pub(crate) fn alias(mut self, net: &str) -> Writer {
        let start = self.descend(0, 96);
        let (bits, length) = self.path(net);
        self.set(bits, length, Slot::Node(start));
        self
    }

    /// Leads to nodes that there are already, as no sound database does.
    pub(crate) fn link(mut self, node: usize, children: [usize; 2]) -> Writer {
        self.nodes.resize(self.nodes.len().max(node + 1), EMPTY);
        self.nodes[node] = children.map(Slot::Node);
        self
    }

    fn path(&self, net: &str) -> (u128, u8) {
        let net: IpNet = net.parse().expect("a network");
        match (net.network(), self.is_v6) {
            (IpAddr::V4(first), false) => (u128::from(first.to_bits()) << 96, net.prefix_len()),
            (IpAddr::V4(first), true) => (first.to_bits().into(), net.prefix_len() + 96),
            (IpAddr::V6(first), true) => (first.to_bits(), net.prefix_len()),
            (IpAddr::V6(_), false) => panic!("{net} in a database of IPv4"),
        }
    }

    fn set(&mut self, bits: u128, length: u8, slot: Slot) {
        let node = self.descend(bits, length - 1);
        self.nodes[node][side(bits, length - 1)] = slot;
    }

    /// The node of a prefix; records on the way are pushed down.
    fn descend(&mut self, bits: u128, length: u8) -> usize {
        (0..length).fold(0, |node, depth| {
            let slot = self.nodes[node][side(bits, depth)];
            if let Slot::Node(next) = slot {
                return next;
            }
            self.nodes.push([slot; 2]);
            self.nodes[node][side(bits, depth)] = Slot::Node(self.nodes.len() - 1);
            self.nodes.len() - 1
        })
    }

    /// The file.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut file = Vec::new();
        for node in &self.nodes {
            let [left, right] = node.map(|slot| self.number(slot));
            match self.record_size {
                24 => file.extend([&left.to_be_bytes()[1..], &right.to_be_bytes()[1..]].concat()),
                28 => {
                    let middle = (left >> 24 << 4 | right >> 24) as u8;
                    file.extend([&left.to_be_bytes()[1..], &[middle], &right.to_be_bytes()[1..]].concat());
                }
                _ => file.extend([left.to_be_bytes(), right.to_be_bytes()].concat()),
            }
        }
        file.extend([0; 16]);
        file.extend(&self.data);
        file.extend(b"\xab\xcd\xefMaxMind.com");
        encode(&self.metadata(), &mut file);
        file
    }

    fn number(&self, slot: Slot) -> u32 {
        let number = match slot {
            Slot::Empty => self.nodes.len(),
            Slot::Node(node) => node,
            Slot::Record(offset) => self.nodes.len() + 16 + offset,
        };
        u32::try_from(number).expect("a small database")
    }

    fn metadata(&self) -> Value {
        map([
            ("binary_format_major_version", Value::Short(2)),
            ("binary_format_minor_version", Value::Short(0)),
            ("build_epoch", Value::Long(1_700_000_000)),
            ("database_type", text("Fulcrum-Test")),
            // Free databases have none.
            ("description", map([])),
            ("ip_version", Value::Short(if self.is_v6 { 6 } else { 4 })),
            ("languages", Value::Array(vec![text("en")])),
            ("node_count", Value::Number(self.nodes.len() as u32)),
            ("record_size", Value::Short(self.record_size)),
        ])
    }
}

fn side(bits: u128, depth: u8) -> usize {
    (bits >> (127 - depth) & 1) as usize
}

fn encode(value: &Value, to: &mut Vec<u8>) {
    match value {
        Value::Text(text) => {
            head(2, text.len(), to);
            to.extend(text.as_bytes());
        }
        Value::Double(number) => {
            head(3, 8, to);
            to.extend(number.to_be_bytes());
        }
        Value::Float(number) => {
            head(15, 4, to);
            to.extend(number.to_be_bytes());
        }
        Value::Short(number) => whole(5, (*number).into(), to),
        Value::Number(number) => whole(6, (*number).into(), to),
        Value::Long(number) => whole(9, *number, to),
        Value::Bool(value) => head(14, usize::from(*value), to),
        Value::Map(fields) => {
            head(7, fields.len(), to);
            for (key, value) in fields {
                encode(&text(key), to);
                encode(value, to);
            }
        }
        Value::Array(values) => {
            head(11, values.len(), to);
            values.iter().for_each(|value| encode(value, to));
        }
    }
}

/// A whole number without the zeros that it begins with.
fn whole(kind: u8, number: u64, to: &mut Vec<u8>) {
    let zeros = number.leading_zeros() as usize / 8;
    head(kind, 8 - zeros, to);
    to.extend(&number.to_be_bytes()[zeros..]);
}

/// The kind of a value and its size. Kinds above 7 have a byte of their own.
fn head(kind: u8, size: usize, to: &mut Vec<u8>) {
    let (short, long) = if size < 29 { (size as u8, None) } else { (29, Some((size - 29) as u8)) };
    assert!(size < 285, "longer values are not needed");
    match kind {
        ..=7 => to.push(kind << 5 | short),
        _ => to.extend([short, kind - 7]),
    }
    to.extend(long);
}

const EMPTY: [Slot; 2] = [Slot::Empty; 2];
