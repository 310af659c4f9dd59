//! The parts of a message: header, question, a body, and the records behind it.

use super::{Client, Content, DATAGRAM_MAX, OPT_RECORD, OPTIONS_MAX};
use crate::body::Body;
use crate::cookie::{COOKIE, CookieState};
use crate::edns::{self, Edns, SUBNET_MAX};
use crate::query::{AUTHORITATIVE, HEADER, Head, Query, TRUNCATED};
use crate::snapshot::Snapshot;
use crate::tsig::Tsig;

/// The options of an answer's OPT record.
pub(super) struct Options {
    pub(super) bytes: [u8; OPTIONS_MAX],
    pub(super) length: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { bytes: [0; OPTIONS_MAX], length: 0 }
    }
}

impl Options {
    /// What a query asked for and an answer has to say; and whether the client is known to be where it says.
    pub(super) fn fill(
        &mut self,
        snapshot: &Snapshot,
        client: &Client<'_>,
        query: &Query<'_>,
        content: &Content<'_>,
    ) -> bool {
        let Some(Edns { subnet, cookie, wants_identity, .. }) = query.edns else { return false };
        if let Some(subnet) = subnet {
            let mut bytes = [0; SUBNET_MAX];
            let length = subnet.write(content.scope, &mut bytes);
            self.add(&bytes[..length]);
        }
        let mut state = CookieState::None;
        if let Some(cookie) = cookie {
            let (found, made) = snapshot.cookies.check(cookie, client.address, client.now);
            state = found;
            self.add(&[0, edns::COOKIE as u8, 0, COOKIE as u8]);
            self.add(&made);
        }
        if wants_identity && !snapshot.identity.is_empty() {
            self.add(&[0, edns::NSID as u8, 0, snapshot.identity.len() as u8]);
            self.add(&snapshot.identity);
        }
        if let Some(error) = content.error {
            self.add(&[0, edns::EXTENDED_ERROR as u8, 0, 2]);
            self.add(&error.to_be_bytes());
        }
        state == CookieState::Known
    }

    fn add(&mut self, bytes: &[u8]) {
        // The longest of each are counted in its size.
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }
}

/// A message that is being written.
pub(super) struct Message<'a> {
    pub(super) out: &'a mut [u8],
    pub(super) length: usize,
    /// Records behind what is answered.
    pub(super) tail_records: u16,
    has_question: bool,
}

impl<'a> Message<'a> {
    pub(super) fn begin(head: Head, question: &[u8], out: &'a mut [u8]) -> Self {
        out[..2].copy_from_slice(&head.id);
        let length = HEADER + question.len();
        out[HEADER..length].copy_from_slice(question);
        Message { out, length, tail_records: 0, has_question: !question.is_empty() }
    }

    /// Copies as much of a body as there is room for; `None` if what cannot be left out does not fit.
    pub(super) fn body(&mut self, body: &Body, room: usize, name_length: usize) -> Option<[u16; 3]> {
        let (whole, essential) = body.lengths();
        let (all, needed) = body.counts();
        let (length, counts) = match () {
            () if whole <= room => (whole, all),
            () if essential <= room => (essential, needed),
            () => return None,
        };
        body.copy(&mut self.out[self.length..self.length + length], name_length);
        self.length += length;
        Some(counts)
    }

    /// The OPT record (RFC 6891 §6.1.2): our size, the upper bits of the code, and whether DO came (RFC 3225 §3).
    pub(super) fn opt(&mut self, code: u16, wants_signatures: bool, options: &[u8]) {
        let [s0, s1] = (DATAGRAM_MAX as u16).to_be_bytes();
        let [l0, l1] = (options.len() as u16).to_be_bytes();
        let flags = if wants_signatures { 0x80 } else { 0 };
        let record = [0, 0, 41, s0, s1, (code >> 4) as u8, 0, flags, 0, l0, l1];
        self.out[self.length..self.length + OPT_RECORD].copy_from_slice(&record);
        self.length += OPT_RECORD;
        self.out[self.length..self.length + options.len()].copy_from_slice(options);
        self.length += options.len();
        self.tail_records += 1;
    }

    /// The last record (RFC 8945 §5.1), where there is room for it: what is asked with names as long as they get is told by the
    /// code alone.
    pub(super) fn unknown_key(&mut self, tsig: &Tsig<'_>, limit: usize) {
        let end = self.length + tsig.length();
        if let Some(room) = self.out.get_mut(self.length..end).filter(|_| end <= limit) {
            tsig.write_unknown_key(room);
            self.length = end;
            self.tail_records += 1;
        }
    }

    /// Writes the header, and tells the length of all.
    pub(super) fn finish(self, head: Head, flags: u16, [answers, authority, additional]: [u16; 3]) -> usize {
        let counts = [u16::from(self.has_question), answers, authority, additional + self.tail_records];
        let flags = head.answered(flags & (AUTHORITATIVE | TRUNCATED | 0xf));
        self.out[2..4].copy_from_slice(&flags.to_be_bytes());
        for (place, count) in counts.into_iter().enumerate() {
            self.out[4 + 2 * place..6 + 2 * place].copy_from_slice(&count.to_be_bytes());
        }
        self.length
    }
}
