//! From the address of a client to its class, and how far around it that class goes.

use std::net::IpAddr;

use ipnet::IpNet;

use super::embedding::Embedding;
use super::leaves::{Counts, Leaves, TooManyLeaves};
use super::steps::{Steps, Valued};
use super::width::{Width, size_less_one};

/// Clients that are answered alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Class(pub u16);

/// Classes that one table can tell apart.
pub const MAX_CLASSES: usize = MARKS as usize;

/// The class of every address.
///
/// A look-up answers for a source prefix: an address and how many bits of it are known (RFC 7871).
/// - If the largest prefix around the address that is of one class throughout is no longer than the source, the answer
///   is that class and the length of that prefix: the scope. Such prefixes cut the space in exactly one way, so that
///   the scopes of two answers are the same prefix or disjoint.
/// - Otherwise clients of several classes are behind the source prefix. The answer is the class of most of its
///   addresses, the lowest one if several are equal, whatever the unknown bits are; the scope is the source length.
///
/// So, for any one source length, the scopes of all answers cut the space without overlap. Answers to *different*
/// source lengths can only overlap where the shorter one was mixed: it has no bits by which it could have been told apart.
///
/// Addresses of IPv6 that stand for one of IPv4 have its class. The scope is counted in bits of the address asked for.
#[derive(Debug)]
pub struct PrefixTable {
    v4: Leaves<u32>,
    v6: Leaves<u128>,
}

/// Why prefixes make no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Too many prefixes of different classes.
    #[error("the networks are cut into more than 8388608 prefixes of different classes")]
    Leaves,
    /// A class above the highest.
    #[error("there are more than {MAX_CLASSES} classes")]
    Classes,
}

impl PrefixTable {
    /// A table by longest match; what no prefix matches is of the default class. Of IPv6 prefixes inside of what stands
    /// for IPv4, none is ever matched.
    pub fn new(
        prefixes: impl IntoIterator<Item = (IpNet, Class)>,
        default: Class,
    ) -> Result<PrefixTable, TableError> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (net, Class(class)) in prefixes {
            let (length, value) = (net.prefix_len(), u32::from(class));
            match net.network() {
                IpAddr::V4(first) => v4.push(Valued { first: first.to_bits(), length, value }),
                IpAddr::V6(first) => v6.push(Valued { first: first.to_bits(), length, value }),
            }
        }
        let default = u32::from(default.0);
        PrefixTable::from_steps(&Steps::from_prefixes(v4, default), &Steps::from_prefixes(v6, default))
    }

    pub(super) fn from_steps(v4: &Steps<u32>, v6: &Steps<u128>) -> Result<PrefixTable, TableError> {
        let is_class = |value: u32| value < u32::from(MARKS);
        if !v4.iter().all(|(.., value)| is_class(value)) || !v6.iter().all(|(.., value)| is_class(value)) {
            return Err(TableError::Classes);
        }
        let counts = count(v4);
        let marked = v6.join(&marks(&counts), |native, mark| if mark == NATIVE { native } else { mark });
        Ok(PrefixTable {
            v4: Leaves::compile(v4, |_| None)?,
            v6: Leaves::compile(&marked, |class| {
                embedded(class).map(|embedding| scaled(&counts, embedding))
            })?,
        })
    }

    /// The class of a source prefix, and the scope for which that holds. A length beyond the address is all of it.
    #[inline]
    pub fn class_of(&self, address: IpAddr, source: u8) -> (Class, u8) {
        match address {
            IpAddr::V4(address) => self.class_of_v4(address.to_bits(), source.min(32)),
            IpAddr::V6(address) => self.class_of_v6(address.to_bits(), source.min(128)),
        }
    }

    #[inline]
    fn class_of_v4(&self, address: u32, source: u8) -> (Class, u8) {
        let (class, length) = self.v4.leaf(address.masked(source));
        if length <= source {
            return (Class(class), length);
        }
        (Class(self.v4.majority(address, source)), source)
    }

    #[inline]
    fn class_of_v6(&self, address: u128, source: u8) -> (Class, u8) {
        let (class, length) = self.v6.leaf(address.masked(source));
        if length > source {
            return (Class(self.v6.majority(address, source)), source);
        }
        match embedded(class) {
            None => (Class(class), length),
            Some(embedding) => self.class_of_embedded(embedding, address, source),
        }
    }

    /// Only reached if not all of IPv4 is of one class.
    fn class_of_embedded(&self, embedding: Embedding, address: u128, source: u8) -> (Class, u8) {
        let Some(known) = source.checked_sub(embedding.offset()) else {
            // Of Teredo, a prefix that ends before the client's address: all of IPv4 is behind it, many times over.
            return (Class(self.v4.majority(0, 0)), source);
        };
        let v4 = embedding.unwrap(address.into()).to_bits();
        let (class, scope) = self.class_of_v4(v4, known.min(32));
        (class, scope + embedding.offset())
    }

    /// How many prefixes of one class the space of IPv4 and that of IPv6 are cut into.
    pub fn sizes(&self) -> (usize, usize) {
        (self.v4.len(), self.v6.len())
    }
}

impl From<TooManyLeaves> for TableError {
    fn from(TooManyLeaves: TooManyLeaves) -> Self {
        TableError::Leaves
    }
}

/// Where IPv4 is to be asked. If all of it is of one class, that class stands there at once, and may join its neighbours.
fn marks(counts: &Counts) -> Steps<u128> {
    let marks = Embedding::ALL.into_iter().zip(u32::from(MARKS)..);
    let prefixes = marks.map(|(embedding, mark)| Valued {
        first: embedding.net().network().to_bits(),
        length: embedding.net().prefix_len(),
        value: if let &[(class, _)] = counts.as_slice() { u32::from(class) } else { mark },
    });
    Steps::from_prefixes(prefixes.collect(), NATIVE)
}

fn embedded(class: u16) -> Option<Embedding> {
    class.checked_sub(MARKS).map(|mark| Embedding::ALL[usize::from(mark)])
}

fn count(v4: &Steps<u32>) -> Counts {
    let mut sizes: Counts =
        v4.iter().map(|(first, last, value)| (value as u16, u128::from(last - first) + 1)).collect();
    sizes.sort_unstable();
    sizes.dedup_by(|next, kept| {
        let is_same = next.0 == kept.0;
        kept.1 += if is_same { next.1 } else { 0 };
        is_same
    });
    sizes
}

/// Each address of IPv4 is written in as many ways as there are other bits.
fn scaled(counts: &Counts, embedding: Embedding) -> Counts {
    let times = size_less_one(96 - embedding.net().prefix_len()) + 1;
    counts.iter().map(|&(class, count)| (class, count * times)).collect()
}

/// Classes from here on say that IPv4 is to be asked, and how the address is written.
const MARKS: u16 = u16::MAX - Embedding::ALL.len() as u16 + 1;

const NATIVE: u32 = u32::MAX;
