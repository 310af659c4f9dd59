//! From a query to its answer: looked up, copied, patched. No lock, no allocation, no clock.

use std::net::IpAddr;

use fulcrum_balance::Rng;
use fulcrum_model::RecordType;

use crate::body::Body;
use crate::choice::{Picked, Whom};
use crate::cookie::{COOKIE, CookieState};
use crate::directory::{self, Fit, Live};
use crate::edns::{self, Edns, SUBNET_MAX};
use crate::names::Found;
use crate::query::{
    AUTHORITATIVE, FORMERR, HEADER, Head, Malformed, NOTAUTH, NXDOMAIN, Query, REFUSED, SERVFAIL, TRUNCATED,
};
use crate::snapshot::Snapshot;
use crate::tsig::Tsig;

/// Who asks, and what else an answer depends on.
#[derive(Debug)]
pub struct Client<'a> {
    /// Where the query comes from.
    pub address: IpAddr,
    /// How it came.
    pub transport: Transport,
    /// Seconds since 1970, for cookies.
    pub now: u32,
    /// For choices by chance.
    pub rng: &'a mut Rng,
}

/// How a query came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram.
    Udp,
    /// Over a connection.
    Tcp,
}

/// What was answered, for counters and for the limits of responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The bytes of the answer.
    pub length: usize,
    /// How many of them, at its end, are the OPT record and what says that a key is not known; 0 without them.
    pub tail_length: usize,
    /// How many records that is.
    pub tail_records: u8,
    /// The response code; above 15 with EDNS only.
    pub code: u16,
    /// The number of the zone; `None` outside of all zones.
    pub zone: Option<u32>,
    /// The type that was asked for; 0 without a question.
    pub record_type: u16,
    /// A number of what was answered, whatever name it was asked for by: of a code without records 0.
    pub what: u64,
    /// The number of the choice that answered, and which of its parts did.
    pub choice: Option<(u32, u16)>,
    /// Whether the answer did not fit.
    pub is_truncated: bool,
    /// Whether the client has proved that it is at its address.
    pub is_known: bool,
}

/// Answers a message into `out`, which has room for [`ANSWER_MAX`] bytes (over UDP, for [`DATAGRAM_MAX`]).
/// `None`: there is nothing to be sent.
pub fn answer(
    snapshot: &Snapshot,
    message: &[u8],
    client: &mut Client<'_>,
    out: &mut [u8],
) -> Option<Answered> {
    match Query::parse(message) {
        Ok(query) => Some(Answer { snapshot, client, query: &query, out }.write()),
        Err(Malformed::Silent) => None,
        Err(Malformed::Refused { head, code, question, has_edns }) => {
            Some(refuse(head, code, question, has_edns, out))
        }
    }
}

/// Makes an answer an empty, truncated one: header, question and OPT record, whose cookie lets the client come back. Tells its length.
pub(crate) fn truncate(out: &mut [u8], answered: &Answered) -> usize {
    let Answered { length, tail_length, tail_records, .. } = *answered;
    out[2] |= (TRUNCATED >> 8) as u8;
    out[6..12].fill(0);
    out[11] = tail_records;
    let end = HEADER + Query::question_length(&out[..length]);
    out.copy_within(length - tail_length..length, end);
    end + tail_length
}

/// The answer to what cannot be read: the question, as far as there is one, and a code.
fn refuse(head: Head, code: u16, question: &[u8], has_edns: bool, out: &mut [u8]) -> Answered {
    let mut message = Message::begin(head, question, out);
    if has_edns {
        message.opt(code, false, &[]);
    }
    let tail_length = if has_edns { OPT_RECORD } else { 0 };
    let length = message.finish(head, code, [0; 3]);
    let record_type = question.last_chunk::<4>().map_or(0, |[t0, t1, ..]| u16::from_be_bytes([*t0, *t1]));
    Answered {
        length,
        tail_length,
        tail_records: u8::from(has_edns),
        code,
        zone: None,
        record_type,
        what: 0,
        choice: None,
        is_truncated: false,
        is_known: false,
    }
}

struct Answer<'a, 'c, 'm> {
    snapshot: &'a Snapshot,
    client: &'m mut Client<'c>,
    query: &'a Query<'a>,
    out: &'m mut [u8],
}

/// What is to be said, before it is known how much of it there is room for.
struct Content<'a> {
    body: Option<&'a Body>,
    /// What is put together instead of a body.
    live: Option<Live>,
    code: u16,
    zone: Option<u32>,
    choice: Option<(u32, u16)>,
    /// Bits of the subnet that the answer is for.
    scope: u8,
    /// Why it is refused (RFC 8914).
    error: Option<u16>,
}

impl Content<'_> {
    /// What is equal has one number: names that a wildcard covers, all below a delegation, all that a zone has nothing of. A
    /// body is made once for all of them, and has one place; a choice has many bodies.
    fn what(&self, record_type: u16) -> u64 {
        match (self.choice, self.body) {
            (Some((number, _)), _) => 1 << 63 | u64::from(number) << 16 | u64::from(record_type),
            (None, Some(body)) => std::ptr::from_ref(body).addr() as u64,
            (None, None) => 0,
        }
    }
}

impl<'a> Answer<'a, '_, '_> {
    fn write(mut self) -> Answered {
        let content = self.content();
        let Answer { snapshot, client, query, out } = self;
        let mut options = Options::default();
        let is_known = options.fill(snapshot, client, query, &content);
        let with_opt = query.edns.map_or(0, |_| OPT_RECORD + options.length);
        let limit = match (client.transport, query.edns) {
            (Transport::Tcp, _) => ANSWER_MAX,
            (Transport::Udp, Some(edns)) => usize::from(edns.size).min(snapshot.datagram_max()),
            (Transport::Udp, None) => 512,
        };
        let mut message = Message::begin(query.head, query.question, out);
        let room = limit.min(message.out.len()).saturating_sub(message.length + with_opt);
        let (counts, flags) = content.live.as_ref().map_or(([0; 3], 0), |live| {
            let fit = if client.transport == Transport::Tcp { Fit::Most } else { Fit::All };
            match live.write(message.out, message.length, room, fit) {
                Some(written) => {
                    message.length += written.length;
                    (written.counts, AUTHORITATIVE)
                }
                None => ([0; 3], AUTHORITATIVE | TRUNCATED),
            }
        });
        let (counts, flags) = content.body.map_or((counts, flags), |body| {
            let name_length = query.name().len();
            match message.body(body, room, name_length) {
                Some(counts) => (counts, body.flags()),
                // Nothing of a set that does not fit (RFC 2181 §9).
                None => ([0; 3], body.flags() | TRUNCATED),
            }
        });
        let content_end = message.length;
        if let Some(edns) = query.edns {
            message.opt(content.code, edns.wants_signatures, &options.bytes[..options.length]);
        }
        if content.code == NOTAUTH
            && let Some(tsig) = query.tsig
        {
            message.unknown_key(&tsig, limit);
        }
        let (tail_length, tail_records) = (message.length - content_end, message.tail_records as u8);
        // A zone's "there is none" says of itself that all is well.
        let flags = flags | content.code & 0xf;
        let length = message.finish(query.head, flags, counts);
        Answered {
            length,
            tail_length,
            tail_records,
            code: if content.code > 0xf { content.code } else { flags & 0xf },
            zone: content.zone,
            record_type: query.record_type,
            what: content.what(query.record_type),
            choice: content.choice,
            is_truncated: flags & TRUNCATED != 0,
            is_known,
        }
    }

    fn content(&mut self) -> Content<'a> {
        let (snapshot, query) = (self.snapshot, self.query);
        let refused =
            |code, error| Content { body: None, live: None, code, zone: None, choice: None, scope: 0, error };
        if query.is_signed {
            return refused(NOTAUTH, None);
        }
        if query.question.is_empty() {
            return refused(0, None);
        }
        if query.class != CLASS_IN {
            return refused(REFUSED, None);
        }
        match RecordType(query.record_type) {
            RecordType::AXFR | RecordType::IXFR => return refused(REFUSED, Some(NOT_SUPPORTED)),
            RecordType::OPT | RecordType(0) => return refused(FORMERR, None),
            _ => {}
        }
        let mut lowered = [0; 255];
        let name = &mut lowered[..query.name().len()];
        // Lengths of labels are below the letters.
        name.copy_from_slice(query.name());
        name.make_ascii_lowercase();
        if let Some(directory) = &snapshot.directory {
            let found = directory.find(name, query.record_type, self.client.address, self.client.rng);
            return Content::of_directory(found).unwrap_or_else(|| refused(REFUSED, Some(NOT_AUTHORITATIVE)));
        }
        let (found, zone) = snapshot.names.find(name, query.record_type);
        let zone = Some(zone).filter(|zone| *zone != u32::MAX);
        let plain = |body, code| Content {
            body: Some(body),
            live: None,
            code,
            zone,
            choice: None,
            scope: 0,
            error: None,
        };
        match found {
            Found::Body(body) => plain(body, 0),
            Found::Any => plain(snapshot.names.any(), 0),
            Found::NoData(zone) => plain(zone.none, 0),
            Found::NoName(zone) => plain(zone.none, NXDOMAIN),
            Found::Below(number, of) => {
                let label = name.get(1..1 + usize::from(name[0])).unwrap_or_default();
                let choice = &snapshot.choices[number as usize];
                match choice.host(label, query.record_type) {
                    None if choice.is_unknown() => Content { zone, ..refused(SERVFAIL, Some(NOT_READY)) },
                    None => plain(of.none, NXDOMAIN),
                    Some(Some(body)) => plain(body, 0),
                    Some(None) if query.record_type == RecordType::ANY.0 => plain(snapshot.names.any(), 0),
                    Some(None) => plain(of.none, 0),
                }
            }
            Found::Nowhere => refused(REFUSED, Some(NOT_AUTHORITATIVE)),
            Found::Choice(number, of) => {
                let whom = Whom::of(self.client.address, query.edns.and_then(|edns| edns.subnet));
                let choice = &snapshot.choices[number as usize];
                let picked = choice.pick(query.record_type, whom, self.client.rng);
                if picked.is_unknown {
                    return Content { zone, ..refused(SERVFAIL, Some(NOT_READY)) };
                }
                let Picked { body, part, scope, .. } = picked;
                Content {
                    body: Some(body.unwrap_or(of.none)),
                    live: None,
                    code: 0,
                    zone,
                    choice: body.map(|_| (number, part)),
                    scope: if body.is_some() { scope } else { 0 },
                    error: None,
                }
            }
        }
    }
}

impl<'a> Content<'a> {
    /// `None`: it is no name of the directory, which has one zone.
    fn of_directory(found: directory::Found<'a>) -> Option<Self> {
        let (body, live, code) = match found {
            directory::Found::Body(body) | directory::Found::NoData(body) => (Some(body), None, 0),
            directory::Found::NoName(body) => (Some(body), None, NXDOMAIN),
            directory::Found::Live(live) => (None, Some(live), 0),
            directory::Found::Nowhere => return None,
        };
        Some(Content { body, live, code, zone: Some(0), choice: None, scope: 0, error: None })
    }
}

/// The options of an answer's OPT record.
struct Options {
    bytes: [u8; OPTIONS_MAX],
    length: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { bytes: [0; OPTIONS_MAX], length: 0 }
    }
}

impl Options {
    /// What a query asked for and an answer has to say; and whether the client is known to be where it says.
    fn fill(
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
struct Message<'a> {
    out: &'a mut [u8],
    length: usize,
    /// Records behind what is answered.
    tail_records: u16,
    has_question: bool,
}

impl<'a> Message<'a> {
    fn begin(head: Head, question: &[u8], out: &'a mut [u8]) -> Self {
        out[..2].copy_from_slice(&head.id);
        let length = HEADER + question.len();
        out[HEADER..length].copy_from_slice(question);
        Message { out, length, tail_records: 0, has_question: !question.is_empty() }
    }

    /// Copies as much of a body as there is room for; `None` if what cannot be left out does not fit.
    fn body(&mut self, body: &Body, room: usize, name_length: usize) -> Option<[u16; 3]> {
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
    fn opt(&mut self, code: u16, wants_signatures: bool, options: &[u8]) {
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
    fn unknown_key(&mut self, tsig: &Tsig<'_>, limit: usize) {
        let end = self.length + tsig.length();
        if let Some(room) = self.out.get_mut(self.length..end).filter(|_| end <= limit) {
            tsig.write_unknown_key(room);
            self.length = end;
            self.tail_records += 1;
        }
    }

    /// Writes the header, and tells the length of all.
    fn finish(self, head: Head, flags: u16, [answers, authority, additional]: [u16; 3]) -> usize {
        let counts = [u16::from(self.has_question), answers, authority, additional + self.tail_records];
        let flags = head.answered(flags & (AUTHORITATIVE | TRUNCATED | 0xf));
        self.out[2..4].copy_from_slice(&flags.to_be_bytes());
        for (place, count) in counts.into_iter().enumerate() {
            self.out[4 + 2 * place..6 + 2 * place].copy_from_slice(&count.to_be_bytes());
        }
        self.length
    }
}

/// The largest datagram that is sent and that we say to take (RFC 9715 §3.2).
pub const DATAGRAM_MAX: usize = 1232;
/// The largest datagram with services of the registry, for clients that say that they take so much: balancers that never ask over
/// TCP. It does not leave a network of one's own.
pub(crate) const DIRECTORY_DATAGRAM_MAX: usize = 8192;
/// The largest answer.
pub const ANSWER_MAX: usize = 65_535;
/// An OPT record without options.
const OPT_RECORD: usize = 11;
/// A subnet, a cookie, a name of a server and an error, each with its head.
const OPTIONS_MAX: usize = SUBNET_MAX + 4 + COOKIE + 4 + crate::snapshot::IDENTITY_MAX + 6;
const CLASS_IN: u16 = 1;
/// Extended errors (RFC 8914 §4).
const NOT_AUTHORITATIVE: u16 = 20;
const NOT_SUPPORTED: u16 = 21;
const NOT_READY: u16 = 14;

#[cfg(test)]
pub(crate) mod tests;
