//! The part of an answer behind its question, built once and copied for each query.
//!
//! Names in it are compressed (RFC 1035 §4.1.4) against the question, which is why some bodies have pointers that move: those
//! of a wildcard, of "there is none" and of referrals stand behind questions of any length. All their pointers but those to the
//! whole question keep their distance from the question's end.

use fulcrum_model::{DnsName, RecordData, RecordType, Soa};
use smallvec::SmallVec;

use crate::query::{AUTHORITATIVE, HEADER};

/// Sections that are ready to be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    /// A record or two of addresses are at hand without another look into memory.
    bytes: SmallVec<[u8; 32]>,
    /// Records of the answer, authority and additional sections.
    counts: [u16; 3],
    /// As many bytes and additional records have to be sent; the rest is left out where there is no room.
    essential: (u16, u16),
    /// Where pointers are that move with the length of the question's name.
    pointers: Box<[u16]>,
    /// The length of the name that the pointers are right for.
    name_length: u8,
    /// AA, and the response code.
    flags: u16,
}

impl Body {
    /// The flags of an answer with it: AA, and the response code.
    pub(crate) fn flags(&self) -> u16 {
        self.flags
    }

    /// The bytes in all, and those that cannot be left out.
    pub(crate) fn lengths(&self) -> (usize, usize) {
        (self.bytes.len(), usize::from(self.essential.0))
    }

    /// The counts of the sections with everything, and without what can be left out.
    pub(crate) fn counts(&self) -> ([u16; 3], [u16; 3]) {
        let [answers, authority, _] = self.counts;
        (self.counts, [answers, authority, self.essential.1])
    }

    /// Copies as much as there is room for in `to`, behind a question whose name has `name_length` bytes.
    pub(crate) fn copy(&self, to: &mut [u8], name_length: usize) {
        to.copy_from_slice(&self.bytes[..to.len()]);
        let moved = (name_length as u16).wrapping_sub(u16::from(self.name_length));
        if moved != 0 {
            for &place in &self.pointers {
                let Some(pointer) = to.get_mut(usize::from(place)..).and_then(|rest| rest.first_chunk_mut())
                else {
                    continue;
                };
                let to = u16::from_be_bytes(*pointer).wrapping_add(moved);
                debug_assert!(to >= 0xc000, "it points still, and into the message");
                *pointer = to.to_be_bytes();
            }
        }
    }
}

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
struct Mark {
    message: usize,
    pointers: usize,
    counts: [u16; 3],
    essential: Option<(u16, u16)>,
    section: Section,
}

/// Writes records, section by section.
pub(crate) struct BodyWriter {
    /// A header's length of nothing, and the question: places are those of a whole message.
    message: Vec<u8>,
    start: usize,
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
    fn mark(&self) -> Mark {
        Mark {
            message: self.message.len(),
            pointers: self.pointers.len(),
            counts: self.counts,
            essential: self.essential,
            section: self.section,
        }
    }

    /// Takes back what was written since.
    fn back_to(&mut self, mark: Mark) {
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

/// All records of one owner and type, or none of them (RFC 2181 §9) when a message cannot hold them: then `false` is returned.
#[must_use]
pub(crate) fn write_set(
    writer: &mut BodyWriter,
    section: Section,
    owner: Owner<'_>,
    ttl: u32,
    data: &[RecordData],
) -> bool {
    let before = writer.mark();
    let is_whole = data.iter().all(|data| writer.record(section, owner, ttl, data));
    if !is_whole {
        writer.back_to(before);
    }
    is_whole
}

/// The answer with a few addresses, as the writer would give it: most names of large zones have one, and there is nothing in it
/// that could be compressed. `None` where there is anything else.
pub(crate) fn address_body(owner: &DnsName, ttl: u32, data: &[RecordData]) -> Option<Body> {
    let mut bytes = SmallVec::new();
    for data in data.iter().take(ADDRESSES_MAX + 1) {
        bytes.extend_from_slice(&[0xc0, HEADER as u8]);
        bytes.extend_from_slice(&data.record_type().0.to_be_bytes());
        bytes.extend_from_slice(&[0, 1]);
        bytes.extend_from_slice(&ttl.to_be_bytes());
        match data {
            RecordData::A(address) => {
                bytes.extend_from_slice(&[0, 4]);
                bytes.extend_from_slice(&address.octets());
            }
            RecordData::Aaaa(address) => {
                bytes.extend_from_slice(&[0, 16]);
                bytes.extend_from_slice(&address.octets());
            }
            _ => return None,
        }
    }
    (data.len() <= ADDRESSES_MAX).then(|| Body {
        essential: (bytes.len() as u16, 0),
        counts: [data.len() as u16, 0, 0],
        bytes,
        pointers: Box::default(),
        name_length: owner.as_wire().len() as u8,
        flags: AUTHORITATIVE,
    })
}

/// Whether an answer holds these records.
pub(crate) fn fits(owner: &DnsName, data: &[RecordData]) -> bool {
    // Most are so small that it need not be tried.
    let most = |data: &RecordData| match data {
        RecordData::Txt(parts) => RECORD_MOST + parts.iter().map(|part| 1 + part.len()).sum::<usize>(),
        RecordData::Other(_, data) => RECORD_MOST + data.len(),
        _ => RECORD_MOST,
    };
    data.iter().map(most).sum::<usize>() < LARGEST / 2
        || write_set(&mut BodyWriter::new(owner), Section::Answer, Owner::Question, 0, data)
}

/// The shortest answer to who wants everything (RFC 8482 §4.2).
pub(crate) fn any_body() -> Body {
    let mut writer = BodyWriter::new(&DnsName::root());
    let data = RecordData::Other(HINFO, Box::from(*b"\x07RFC8482\x00"));
    writer.record(Section::Answer, Owner::Question, 3600, &data);
    writer.finish(AUTHORITATIVE)
}

/// Addresses that are written at once; more are left to the writer.
const ADDRESSES_MAX: usize = 16;
const HINFO: RecordType = RecordType(13);
/// Names that are remembered: those behind them are written whole, so that the time for an answer of many names has a bound.
const KNOWN_MAX: usize = 256;
/// Pointers have 14 bits, and those that move are farther by up to a name's length where a question is longer.
const POINTABLE: usize = 0x4000 - 256;
/// A record with two names, as a SOA has, and its head.
const RECORD_MOST: usize = 12 + 2 * 255 + 20;
/// A message over TCP, less what an OPT record and its options may take.
const LARGEST: usize = 65_535 - 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DnsName {
        text.parse().expect("a name")
    }

    #[track_caller]
    fn copy(body: &Body, question: &str) -> Vec<u8> {
        let mut bytes = vec![0; body.lengths().0];
        body.copy(&mut bytes, name(question).as_wire().len());
        bytes
    }

    #[test]
    fn owners_and_names_point_to_the_question() {
        let mut writer = BodyWriter::new(&name("www.example.com"));
        assert!(writer.record(
            Section::Answer,
            Owner::Question,
            60,
            &RecordData::Cname(name("a.example.com"))
        ));
        assert!(writer.record(
            Section::Answer,
            Owner::Name(&name("a.example.com")),
            5,
            &RecordData::A([192, 0, 2, 1].into())
        ));
        let body = writer.finish(AUTHORITATIVE);
        // The question has 12 + 17 + 4 bytes; `example.com` is at 16, the alias's target at 45.
        let expected = [
            b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x04\x01a\xc0\x10".as_slice(),
            b"\xc0\x2d\0\x01\0\x01\0\0\0\x05\0\x04\xc0\x00\x02\x01",
        ];
        assert_eq!(copy(&body, "www.example.com"), expected.concat());
        assert_eq!(body.counts(), ([2, 0, 0], [2, 0, 0]));
    }

    #[test]
    fn addresses_are_written_as_the_writer_does() {
        let owner = name("*.Example.com");
        let all: Vec<RecordData> = (0..20)
            .map(|number: u8| match number % 2 {
                0 => RecordData::A([192, 0, 2, number].into()),
                _ => RecordData::Aaaa([u16::from(number); 8].into()),
            })
            .collect();
        for count in 0..all.len() {
            let mut writer = BodyWriter::new(&owner);
            assert!(write_set(&mut writer, Section::Answer, Owner::Question, 77, &all[..count]));
            let expected = (count <= ADDRESSES_MAX).then(|| writer.finish(AUTHORITATIVE));
            assert_eq!(address_body(&owner, 77, &all[..count]), expected);
        }
        assert_eq!(address_body(&owner, 77, &[all[0].clone(), RecordData::Cname(owner.clone())]), None);
    }

    #[test]
    fn pointers_move_with_the_question() {
        let mut writer = BodyWriter::new(&name("*.example.com"));
        assert!(writer.record(
            Section::Answer,
            Owner::Question,
            60,
            &RecordData::Cname(name("b.example.com"))
        ));
        assert!(writer.record(
            Section::Answer,
            Owner::Name(&name("b.example.com")),
            60,
            &RecordData::Cname(name("*.example.com"))
        ));
        let body = writer.finish(AUTHORITATIVE);
        let bytes = copy(&body, "long.er.example.com");
        // `example.com` stands behind `long.er`, and the target behind the question of 12 + 21 + 4 bytes and 12 more.
        let expected = [
            b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x04\x01b\xc0\x14".as_slice(),
            b"\xc0\x31\0\x05\0\x01\0\0\0\x3c\0\x04\x01*\xc0\x14",
        ];
        assert_eq!(bytes, expected.concat());
    }

    #[test]
    fn what_is_additional_can_be_left_out() {
        let mut writer = BodyWriter::new(&name("example.com"));
        let mail = RecordData::Mx { preference: 10, exchange: name("mail.example.com") };
        assert!(writer.record(Section::Answer, Owner::Question, 60, &mail));
        let essential = writer.message.len() - writer.start;
        assert!(writer.record(
            Section::Additional,
            Owner::Name(&name("mail.example.com")),
            60,
            &RecordData::A([0; 4].into())
        ));
        let body = writer.finish(AUTHORITATIVE);
        assert_eq!(body.lengths(), (essential + 16, essential));
        assert_eq!(body.counts(), ([1, 0, 1], [1, 0, 0]));
        let mut bytes = vec![0; essential];
        body.copy(&mut bytes, 99);
        assert_eq!(&bytes[..2], b"\xc0\x0c");
    }

    #[test]
    fn what_no_message_holds_is_not_written() {
        let mut writer = BodyWriter::new(&name("example.com"));
        let large = RecordData::Other(RecordType(666), vec![0; 60_000].into());
        assert!(writer.record(Section::Answer, Owner::Question, 60, &large));
        assert!(!writer.record(Section::Answer, Owner::Question, 60, &large));
        let body = writer.finish(AUTHORITATIVE);
        assert_eq!((body.lengths().0, body.counts().0), (60_012, [1, 0, 0]));
    }

    #[test]
    fn of_a_set_that_no_message_holds_nothing_is_written() {
        let owner = name("example.com");
        let data: Vec<RecordData> =
            (0..3).map(|number| RecordData::Other(RecordType(666), vec![number; 30_000].into())).collect();
        let mut writer = BodyWriter::new(&owner);
        assert!(write_set(&mut writer, Section::Answer, Owner::Question, 60, &data[..1]));
        let other = Owner::Name(&name("mail.example.org"));
        assert!(!write_set(&mut writer, Section::Additional, other, 60, &data[1..]));
        let body = writer.finish(AUTHORITATIVE);
        assert_eq!((body.lengths(), body.counts()), ((30_012, 30_012), ([1, 0, 0], [1, 0, 0])));
        assert!(fits(&owner, &data[..2]) && !fits(&owner, &data));
    }

    #[test]
    fn pointers_point_behind_questions_of_any_length() {
        let mut writer = BodyWriter::new(&name("*.w.example.com"));
        for number in 0..700 {
            let exchange = name(&format!("mail{number}.host{number}.example.org"));
            let record = RecordData::Mx { preference: 1, exchange };
            assert!(writer.record(Section::Answer, Owner::Question, 60, &record));
        }
        for number in 0..700 {
            let exchange = name(&format!("other.host{number}.example.org"));
            let record = RecordData::Mx { preference: 1, exchange };
            assert!(writer.record(Section::Answer, Owner::Question, 60, &record));
        }
        let body = writer.finish(AUTHORITATIVE);
        let last = name(&format!("{0}.{0}.{0}.w.example.com", "x".repeat(60))).as_wire().len();
        for length in [last, name("x.w.example.com").as_wire().len()] {
            let mut bytes = vec![0; body.lengths().0];
            body.copy(&mut bytes, length);
            for &place in &body.pointers {
                let [high, low] = [0, 1].map(|next| usize::from(bytes[usize::from(place) + next]));
                let start = HEADER + length + 4;
                let target = ((high & 0x3f) << 8 | low).checked_sub(start).map(|target| bytes[target]);
                assert!(high >= 0xc0 && target.is_none_or(|label| (3..=9).contains(&label)), "{place}");
            }
        }
    }
}
