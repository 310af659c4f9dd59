//! What a message asks: its header, its question and its EDNS, checked as far as an answer needs it.
//!
//! Nothing is allocated and nothing copied: a [`Query`] borrows from the datagram.

use crate::edns::{self, Edns};
use crate::tsig::{TSIG, Tsig};

/// A question that can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Query<'a> {
    /// Id and flags as they were sent.
    pub(crate) head: Head,
    /// Name, type and class as they were sent; empty when only a cookie is asked for (RFC 7873 §5.4).
    pub(crate) question: &'a [u8],
    /// The type.
    pub(crate) record_type: u16,
    /// The class.
    pub(crate) class: u16,
    /// What an OPT record says; `None` without one.
    pub(crate) edns: Option<Edns<'a>>,
    /// It is signed with a key, and no keys are known here.
    pub(crate) is_signed: bool,
    /// What the signature says, as far as there is one that can be told.
    pub(crate) tsig: Option<Tsig<'a>>,
}

/// The first four bytes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The id.
    pub(crate) id: [u8; 2],
    /// The flags.
    pub(crate) flags: u16,
}

/// What is not answered with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed<'a> {
    /// Too short, or no query: whoever answered would take part in an attack, or in a loop.
    Silent,
    /// This response code is the whole answer; the question comes back where it could be read.
    Refused {
        /// Id and flags as they were sent.
        head: Head,
        /// The response code; above 15 with EDNS only.
        code: u16,
        /// Name, type and class, or nothing.
        question: &'a [u8],
        /// Whether it had an OPT record, as far as it could be read.
        has_edns: bool,
    },
}

impl<'a> Query<'a> {
    /// The name that is asked for, in wire form and as it was sent; empty without a question.
    pub(crate) fn name(&self) -> &'a [u8] {
        &self.question[..self.question.len().saturating_sub(4)]
    }

    /// The length of the question of an answer of ours.
    pub(crate) fn question_length(answer: &[u8]) -> usize {
        let rest = answer.get(HEADER..).unwrap_or_default();
        match answer.get(5) {
            Some(1) => question(rest).map_or(0, |(question, _)| question.len()),
            _ => 0,
        }
    }

    /// Reads a message. Whatever it holds, this ends after one look at each byte.
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, Malformed<'a>> {
        let (header, _) = message.split_first_chunk::<HEADER>().ok_or(Malformed::Silent)?;
        let count = |place: usize| usize::from(u16::from_be_bytes([header[place], header[place + 1]]));
        let head = Head { id: [header[0], header[1]], flags: u16::from_be_bytes([header[2], header[3]]) };
        if head.flags & RESPONSE != 0 {
            return Err(Malformed::Silent);
        }
        // What cannot be answered is told so with its question and with EDNS, as far as it can be read (RFC 6891 §7).
        let questions = count(4);
        let asked = match questions {
            0 => Some((&[][..], &message[HEADER..])),
            1 => question(&message[HEADER..]),
            _ => None,
        };
        let (question, rest) = asked.unwrap_or_default();
        let records = Records { rest, answers: count(6) + count(8), additional: count(10) };
        let mut found = Found::default();
        let is_whole = asked.is_some() && records.read(&mut found).is_ok();
        let has_edns = found.opt.is_some();
        let refused = |code| Malformed::Refused { head, code, question, has_edns };
        match head.opcode() {
            0 if is_whole => {}
            0 => return Err(refused(FORMERR)),
            NOTIFY => return Err(refused(REFUSED)),
            _ => return Err(refused(NOTIMP)),
        }
        let edns = match found.opt.map(Edns::parse).transpose() {
            Ok(edns) => edns,
            Err(edns::Wrong::Version) => return Err(refused(BADVERS)),
            Err(edns::Wrong::Format) => return Err(refused(FORMERR)),
        };
        // RFC 9619, and RFC 7873 §5.4: without a question only a cookie can be asked for.
        if questions == 0 && edns.is_none_or(|edns| edns.cookie.is_none()) {
            return Err(refused(FORMERR));
        }
        let (record_type, class) = match question {
            [.., t0, t1, c0, c1] => (u16::from_be_bytes([*t0, *t1]), u16::from_be_bytes([*c0, *c1])),
            _ => (0, 1),
        };
        let Found { is_signed, tsig, .. } = found;
        Ok(Query { head, question, record_type, class, edns, is_signed, tsig })
    }
}

impl Head {
    fn opcode(self) -> u16 {
        self.flags >> 11 & 0xf
    }

    /// The flags of an answer: those of the query that come back (opcode, RD, CD), QR, and the others that are given.
    pub(crate) fn answered(self, others: u16) -> u16 {
        RESPONSE | self.flags & (OPCODE | RECURSION_DESIRED | CHECKING_DISABLED) | others
    }
}

/// Splits off the question: a name without pointers, a type and a class.
fn question(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, _) = split_name(bytes)?;
    bytes.split_at_checked(name.len() + 4)
}

/// A name without pointers, and what follows it.
pub(crate) fn split_name(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut end = 0;
    loop {
        match bytes.get(end)? {
            0 => break,
            length @ 1..=63 => end += 1 + usize::from(*length),
            _ => return None,
        }
    }
    // The root is part of the name, and of its 255 bytes.
    if end + 1 > 255 { None } else { bytes.split_at_checked(end + 1) }
}

/// What follows the question.
struct Records<'a> {
    rest: &'a [u8],
    answers: usize,
    additional: usize,
}

/// What was found among the records.
#[derive(Default)]
struct Found<'a> {
    opt: Option<edns::Opt<'a>>,
    is_signed: bool,
    tsig: Option<Tsig<'a>>,
}

struct Unreadable;

impl<'a> Records<'a> {
    /// What is found before something that cannot be read is kept.
    fn read(mut self, found: &mut Found<'a>) -> Result<(), Unreadable> {
        for _ in 0..self.answers {
            self.record()?;
        }
        for left in (0..self.additional).rev() {
            let record = self.record()?;
            match record.record_type {
                // One at most, and its owner is the root (RFC 6891 §6.1.1).
                OPT if record.owner == [0] && found.opt.is_none() => found.opt = Some(record.opt()),
                OPT => return Err(Unreadable),
                // The last one (RFC 8945 §5.1).
                TSIG if left == 0 => {
                    found.tsig = Tsig::parse(record.owner, record.data).map_err(|_| Unreadable)?;
                    found.is_signed = true;
                }
                TSIG => return Err(Unreadable),
                _ => {}
            }
        }
        if self.rest.is_empty() { Ok(()) } else { Err(Unreadable) }
    }

    fn record(&mut self) -> Result<Record<'a>, Unreadable> {
        let before = self.rest;
        self.skip_name()?;
        let owner = &before[..before.len() - self.rest.len()];
        let (&[t0, t1, c0, c1, e0, e1, e2, e3, l0, l1], rest) =
            self.rest.split_first_chunk().ok_or(Unreadable)?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let (data, rest) = rest.split_at_checked(length).ok_or(Unreadable)?;
        self.rest = rest;
        let (record_type, class) = (u16::from_be_bytes([t0, t1]), u16::from_be_bytes([c0, c1]));
        Ok(Record { owner, record_type, class, extended: [e0, e1, e2, e3], data })
    }

    /// Pointers are not followed: where a name leads to is of no interest, only where it ends.
    fn skip_name(&mut self) -> Result<(), Unreadable> {
        loop {
            let (&length, rest) = self.rest.split_first().ok_or(Unreadable)?;
            match length {
                0 => self.rest = rest,
                1..=63 => {
                    self.rest = rest.get(usize::from(length)..).ok_or(Unreadable)?;
                    continue;
                }
                0xc0.. => self.rest = rest.get(1..).ok_or(Unreadable)?,
                _ => return Err(Unreadable),
            }
            return Ok(());
        }
    }
}

struct Record<'a> {
    /// As it stands there.
    owner: &'a [u8],
    record_type: u16,
    class: u16,
    extended: [u8; 4],
    data: &'a [u8],
}

impl<'a> Record<'a> {
    fn opt(&self) -> edns::Opt<'a> {
        edns::Opt { size: self.class, version: self.extended[1], flags: self.extended[2], options: self.data }
    }
}

/// The bytes of a header.
pub(crate) const HEADER: usize = 12;
const OPT: u16 = 41;
const NOTIFY: u16 = 4;
/// QR.
pub(crate) const RESPONSE: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
/// AA.
pub(crate) const AUTHORITATIVE: u16 = 0x0400;
/// TC.
pub(crate) const TRUNCATED: u16 = 0x0200;
const RECURSION_DESIRED: u16 = 0x0100;
const CHECKING_DISABLED: u16 = 0x0010;
/// The query cannot be read.
pub(crate) const FORMERR: u16 = 1;
/// There is no such name.
pub(crate) const SERVFAIL: u16 = 2;
pub(crate) const NXDOMAIN: u16 = 3;
/// That kind of query is not known.
pub(crate) const NOTIMP: u16 = 4;
/// Nothing here is for the asker.
pub(crate) const REFUSED: u16 = 5;
/// The key of a signature is not known.
pub(crate) const NOTAUTH: u16 = 9;
/// Another version of EDNS.
pub(crate) const BADVERS: u16 = 16;

#[cfg(test)]
mod tests;
