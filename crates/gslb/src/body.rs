//! The part of an answer behind its question, built once and copied for each query.
//!
//! Names in it are compressed (RFC 1035 §4.1.4) against the question, which is why some bodies have pointers that move: those
//! of a wildcard, of "there is none" and of referrals stand behind questions of any length. All their pointers but those to the
//! whole question keep their distance from the question's end.

mod writer;

use fulcrum_model::{DnsName, RecordData, RecordType};
use smallvec::SmallVec;

use crate::query::{AUTHORITATIVE, HEADER};

pub(crate) use self::writer::{BodyWriter, Owner, Section};
use self::writer::{LARGEST, RECORD_MOST};

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

#[cfg(test)]
mod tests;
