//! Writes records behind a question, with names compressed against it.

use fulcrum_model::{DnsName, RecordData, Soa};
use smallvec::SmallVec;

use super::Body;
use crate::query::HEADER;

/// Whose record it is.
#[derive(Clone, Copy)]
pub(crate) enum Owner<'a> {
    /// That of the name that is asked for.
    Question,
    /// That of this name.
    Name(&'a DnsName),
}

/// A section of an answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    /// What was asked for.
    Answer,
    /// Who knows, or says that there is none.
    Authority,
    /// What will be asked next, and cannot be left out: the addresses of a delegation's servers.
    Glue,
    /// What will be asked next.
    Additional,
}

/// How far a writer was.
pub(super) struct Mark {
    message: usize,
    pointers: usize,
    counts: [u16; 3],
    essential: Option<(u16, u16)>,
    section: Section,
}

/// Writes records, section by section.
pub(crate) struct BodyWriter {
    /// A header's length of nothing, and the question: places are those of a whole message.
    pub(super) message: Vec<u8>,
    pub(super) start: usize,
    name_length: u8,
    known: Known,
    pointers: Vec<u16>,
    counts: [u16; 3],
    essential: Option<(u16, u16)>,
    section: Section,
}

impl BodyWriter {
    /// For questions for this name. Of a wildcard's the first label is another one each time.
    pub(crate) fn new(question: &DnsName) -> Self {
        let mut writer = BodyWriter {
            message: vec![0; HEADER],
            start: 0,
            name_length: question.as_wire().len() as u8,
            known: Known::default(),
            pointers: Vec::new(),
            counts: [0; 3],
            essential: None,
            section: Section::Answer,
        };
        writer.message.extend_from_slice(question.as_wire());
        let first = if question.is_wildcard() { 2 } else { 0 };
        writer.known.learn(&question.as_wire()[first..], 1, HEADER + first);
        writer.message.extend_from_slice(&[0; 4]);
        writer.start = writer.message.len();
        writer
    }

    /// Adds a record; sections come in their order. Nothing is written, and `false` returned, when a message cannot hold it.
    pub(crate) fn record(&mut self, section: Section, owner: Owner<'_>, ttl: u32, data: &RecordData) -> bool {
        debug_assert!(self.section <= section, "sections stand in their order");
        let before = self.mark();
        if section == Section::Additional && self.essential.is_none() {
            self.essential = Some(self.size());
        }
        self.section = section;
        match owner {
            Owner::Question => self.message.extend_from_slice(&[0xc0, HEADER as u8]),
            Owner::Name(name) => self.name(name),
        }
        self.message.extend_from_slice(&data.record_type().0.to_be_bytes());
        self.message.extend_from_slice(&[0, 1]);
        self.message.extend_from_slice(&ttl.to_be_bytes());
        self.message.extend_from_slice(&[0, 0]);
        let start = self.message.len();
        self.data(data);
        let length = u16::try_from(self.message.len() - start);
        let (Ok(length), true) = (length, self.message.len() <= LARGEST) else {
            self.back_to(before);
            return false;
        };
        self.message[start - 2..start].copy_from_slice(&length.to_be_bytes());
        self.counts[match section {
            Section::Answer => 0,
            Section::Authority => 1,
            Section::Glue | Section::Additional => 2,
        }] += 1;
        true
    }

    /// How far it is.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            message: self.message.len(),
            pointers: self.pointers.len(),
            counts: self.counts,
            essential: self.essential,
            section: self.section,
        }
    }

    /// Takes back what was written since.
    pub(super) fn back_to(&mut self, mark: Mark) {
        self.message.truncate(mark.message);
        self.pointers.truncate(mark.pointers);
        self.known.forget_from(mark.message);
        (self.counts, self.essential, self.section) = (mark.counts, mark.essential, mark.section);
    }

    fn size(&self) -> (u16, u16) {
        ((self.message.len() - self.start) as u16, self.counts[2])
    }

    fn data(&mut self, data: &RecordData) {
        match data {
            RecordData::A(address) => self.message.extend_from_slice(&address.octets()),
            RecordData::Aaaa(address) => self.message.extend_from_slice(&address.octets()),
            RecordData::Ns(name) | RecordData::Cname(name) | RecordData::Ptr(name) => self.name(name),
            RecordData::Mx { preference, exchange } => {
                self.message.extend_from_slice(&preference.to_be_bytes());
                self.name(exchange);
            }
            RecordData::Txt(parts) => {
                for part in parts {
                    self.message.push(part.len() as u8);
                    self.message.extend_from_slice(part);
                }
            }
            RecordData::Soa(soa) => self.soa(soa),
            RecordData::Srv { priority, weight, port, target } => {
                for number in [priority, weight, port] {
                    self.message.extend_from_slice(&number.to_be_bytes());
                }
                // Never compressed (RFC 2782).
                self.message.extend_from_slice(target.as_wire());
            }
            RecordData::Other(_, data) => self.message.extend_from_slice(data),
        }
    }

    fn soa(&mut self, soa: &Soa) {
        self.name(&soa.primary);
        self.name(&soa.contact);
        for number in [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum] {
            self.message.extend_from_slice(&number.to_be_bytes());
        }
    }

    /// A name, from where it is known on as a pointer.
    fn name(&mut self, name: &DnsName) {
        let wire = name.as_wire();
        let place = self.message.len();
        let mut rest = wire;
        while rest.len() > 1 {
            if let Some(known) = self.known.find(rest) {
                self.message.extend_from_slice(&wire[..wire.len() - rest.len()]);
                self.pointers.push((self.message.len() - self.start) as u16);
                self.message.extend_from_slice(&(0xc000 | known).to_be_bytes());
                return self.known.learn(wire, rest.len(), place);
            }
            rest = &rest[1 + usize::from(rest[0])..];
        }
        self.message.extend_from_slice(wire);
        self.known.learn(wire, 1, place);
    }

    /// The sections as they are now, and the flags of an answer with them.
    pub(crate) fn finish(self, flags: u16) -> Body {
        Body {
            essential: self.essential.unwrap_or_else(|| self.size()),
            bytes: SmallVec::from_slice(&self.message[self.start..]),
            counts: self.counts,
            pointers: self.pointers.into(),
            name_length: self.name_length,
            flags,
        }
    }
}

/// Where names are that can be pointed to. There are few in an answer, so that looking at each costs least.
#[derive(Default)]
struct Known {
    /// The names, one behind the other.
    text: Vec<u8>,
    /// Where each begins in the text, its length, and its place in the message.
    names: Vec<(u32, u8, u16)>,
}

impl Known {
    fn find(&self, name: &[u8]) -> Option<u16> {
        let is_it = |&&(start, length, _): &&(u32, u8, u16)| {
            usize::from(length) == name.len() && self.text[start as usize..][..name.len()] == *name
        };
        self.names.iter().find(is_it).map(|(_, _, place)| *place)
    }

    /// Remembers a name that was just written at this place, and those above it as far as they have more than so many bytes:
    /// the others are pointed to elsewhere.
    fn learn(&mut self, name: &[u8], known: usize, place: usize) {
        let start = self.text.len();
        self.text.extend_from_slice(name);
        let mut rest = name;
        while rest.len() > known.max(1) && self.names.len() < KNOWN_MAX {
            let before = name.len() - rest.len();
            if place + before < POINTABLE && self.find(rest).is_none() {
                self.names.push(((start + before) as u32, rest.len() as u8, (place + before) as u16));
            }
            rest = &rest[1 + usize::from(rest[0])..];
        }
    }

    /// What stands at this place of the message or behind it is taken back.
    fn forget_from(&mut self, place: usize) {
        self.names.retain(|(_, _, known)| usize::from(*known) < place);
    }
}

/// Names that are remembered: those behind them are written whole, so that the time for an answer of many names has a bound.
const KNOWN_MAX: usize = 256;
/// Pointers have 14 bits, and those that move are farther by up to a name's length where a question is longer.
const POINTABLE: usize = 0x4000 - 256;
/// A record with two names, as a SOA has, and its head.
pub(super) const RECORD_MOST: usize = 12 + 2 * 255 + 20;
/// A message over TCP, less what an OPT record and its options may take.
pub(super) const LARGEST: usize = 65_535 - 1024;
