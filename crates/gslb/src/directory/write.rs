//! Answers of instances, written straight into the message: no list of theirs is ever built.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use fulcrum_balance::Rng;
use fulcrum_model::RecordType;

use super::instances::{Door, Entry, Instances};
use crate::choice::mix;
use crate::query::HEADER;

/// What some instances have to say.
#[derive(Debug)]
pub(crate) struct Live {
    instances: Arc<Instances>,
    records: Records,
}

#[derive(Debug)]
enum Records {
    Nothing,
    /// The address of one instance: where it is among them.
    Host(Range<usize>),
    /// Addresses, from here on and around.
    Addresses {
        is_v4: bool,
        start: usize,
    },
    /// The ports of a list, from here on and around.
    Ports {
        list: usize,
        start: usize,
    },
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) length: usize,
    pub(crate) counts: [u16; 3],
}

impl Live {
    /// What a service has; `port`: under the name of a port.
    pub(super) fn of_service(
        instances: Arc<Instances>,
        asked: RecordType,
        port: Option<&[u8]>,
        client: IpAddr,
        rng: &mut Rng,
    ) -> Self {
        let records = match asked {
            RecordType::A | RecordType::AAAA if port.is_none() => {
                let is_v4 = asked == RecordType::A;
                let count = if is_v4 { instances.v4.len() } else { instances.v6.len() };
                // In changing order, for those who take the first.
                let changing = || rng.below(u32::try_from(count).unwrap_or(u32::MAX)) as usize;
                match count {
                    0 => Records::Nothing,
                    _ => {
                        Records::Addresses { is_v4, start: own_part(count, client).unwrap_or_else(changing) }
                    }
                }
            }
            RecordType::SRV => {
                let list = instances.list(port);
                let count = instances.doors(list).len();
                let start = own_part(count, client).unwrap_or(0);
                if count == 0 { Records::Nothing } else { Records::Ports { list, start } }
            }
            _ => Records::Nothing,
        };
        Live { instances, records }
    }

    /// What one instance has; `None` if there is none with this label.
    pub(super) fn of_host(instances: Arc<Instances>, label: &[u8], asked: RecordType) -> Option<Self> {
        let found = instances.find(label);
        let is_v4 = instances.entries.get(found.start).filter(|_| !found.is_empty())?.address.is_ipv4();
        // Of two that share a label and not a family, the first one has it.
        let alike =
            instances.entries[found.clone()].partition_point(|entry| entry.address.is_ipv4() == is_v4);
        let is_asked = asked == if is_v4 { RecordType::A } else { RecordType::AAAA };
        let records =
            if is_asked { Records::Host(found.start..found.start + alike) } else { Records::Nothing };
        Some(Live { instances, records })
    }

    /// Whether there is nothing of the type.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self.records, Records::Nothing)
    }

    /// Writes the records behind a question that ends at `start`, in at most `room` bytes; `None` where what is asked for does not
    /// fit.
    pub(crate) fn write(&self, message: &mut [u8], start: usize, room: usize, fit: Fit) -> Option<Written> {
        let end = (start + room).min(message.len());
        let mut writer =
            Writer { message: &mut message[..end], length: start, ttl: self.instances.ttl, answers: 0 };
        let entries = &self.instances.entries;
        let additional = match &self.records {
            Records::Nothing => 0,
            Records::Host(range) => writer.own(entries[range.clone()].iter(), fit)?,
            Records::Addresses { is_v4, start } => {
                let places = if *is_v4 { &self.instances.v4 } else { &self.instances.v6 };
                writer.own(around(places, *start).map(|place| &entries[*place as usize]), fit)?
            }
            Records::Ports { list, start } => {
                writer.ports(&self.instances, around(self.instances.doors(*list), *start), fit)?
            }
        };
        Some(Written { length: writer.length - start, counts: [writer.answers, 0, additional] })
    }
}

/// What is done about records that do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// The client comes back over TCP, where there is more room.
    All,
    /// As many as there is room for: there is no more room anywhere.
    Most,
}

struct Writer<'a> {
    message: &'a mut [u8],
    length: usize,
    ttl: u32,
    answers: u16,
}

impl Writer<'_> {
    /// Addresses of the name that is asked for.
    fn own<'i>(&mut self, entries: impl Iterator<Item = &'i Entry>, fit: Fit) -> Option<u16> {
        for entry in entries {
            if !self.address(&[0xc0, HEADER as u8], entry.address) {
                return (fit == Fit::Most).then_some(0);
            }
            self.answers += 1;
        }
        Some(0)
    }

    /// The ports, and then the addresses of their hosts, as far as there is room. Tells how many addresses.
    fn ports<'i>(
        &mut self,
        instances: &'i Instances,
        doors: impl Iterator<Item = &'i Door> + Clone,
        fit: Fit,
    ) -> Option<u16> {
        let mut places = [0; MOST];
        for (door, place) in doors.clone().zip(&mut places) {
            if self.port(instances, door, place) {
                self.answers += 1;
            } else if fit == Fit::Most {
                break;
            } else {
                return None;
            }
        }
        let mut additional = 0;
        for (door, place) in doors.zip(&places).take(usize::from(self.answers)) {
            let Entry { label, address, .. } = &instances.entries[door.entry as usize];
            let is_written = match u16::try_from(*place).ok().filter(|place| *place < POINTABLE) {
                Some(place) => self.address(&(0xc000 | place).to_be_bytes(), *address),
                None => {
                    let mut name = [0; 255];
                    let length = 1 + label.len() + instances.owner.len();
                    name[0] = label.len() as u8;
                    name[1..=label.len()].copy_from_slice(label);
                    name[1 + label.len()..length].copy_from_slice(&instances.owner);
                    self.address(&name[..length], *address)
                }
            };
            if !is_written {
                break;
            }
            additional += 1;
        }
        Some(additional)
    }

    /// One SRV record; its target, which is never compressed (RFC 2782), begins at `place`.
    fn port(&mut self, instances: &Instances, door: &Door, place: &mut usize) -> bool {
        let Entry { label, weight, .. } = &instances.entries[door.entry as usize];
        let target = 1 + label.len() + instances.owner.len();
        let ([w0, w1], [p0, p1]) = (weight.to_be_bytes(), door.port.to_be_bytes());
        let Some(out) = self.record(&[0xc0, HEADER as u8], RecordType::SRV, 6 + target) else { return false };
        out[..6].copy_from_slice(&[0, 0, w0, w1, p0, p1]);
        out[6] = label.len() as u8;
        out[7..7 + label.len()].copy_from_slice(label);
        out[7 + label.len()..].copy_from_slice(&instances.owner);
        *place = self.length - target;
        true
    }

    fn address(&mut self, owner: &[u8], address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => {
                let out = self.record(owner, RecordType::A, 4);
                out.map(|out| out.copy_from_slice(&address.octets())).is_some()
            }
            IpAddr::V6(address) => {
                let out = self.record(owner, RecordType::AAAA, 16);
                out.map(|out| out.copy_from_slice(&address.octets())).is_some()
            }
        }
    }

    /// The head of a record, and room for its data; nothing is written where that does not fit.
    fn record(&mut self, owner: &[u8], record_type: RecordType, data: usize) -> Option<&mut [u8]> {
        let out = self.message.get_mut(self.length..self.length + owner.len() + 10 + data)?;
        let (name, rest) = out.split_at_mut(owner.len());
        let (head, out) = rest.split_at_mut(10);
        name.copy_from_slice(owner);
        let ([t0, t1], [s0, s1, s2, s3]) = (record_type.0.to_be_bytes(), self.ttl.to_be_bytes());
        let [l0, l1] = (data as u16).to_be_bytes();
        head.copy_from_slice(&[t0, t1, 0, 1, s0, s1, s2, s3, l0, l1]);
        self.length += owner.len() + 10 + data;
        Some(out)
    }
}

/// From this one on, and around; not too many.
fn around<T>(all: &[T], start: usize) -> impl Iterator<Item = &T> + Clone {
    let (before, from) = all.split_at(start.min(all.len()));
    from.iter().chain(before).take(MOST)
}

/// Of a list that is too long for an answer each client has a part of its own, always the same one.
fn own_part(count: usize, client: IpAddr) -> Option<usize> {
    let number = match client {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    (count > MOST).then(|| (mix(mix((number >> 64) as u64) ^ number as u64) % count as u64) as usize)
}

/// The most instances in an answer.
pub(crate) const MOST: usize = 512;
/// Pointers have 14 bits.
const POINTABLE: u16 = 0x4000;
