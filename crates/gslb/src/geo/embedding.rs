//! IPv6 addresses that stand for an IPv4 one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};

/// How an IPv4 address is written into an IPv6 one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Embedding {
    /// `::ffff:0:0/96`, RFC 4291 §2.5.5.2.
    Mapped,
    /// `64:ff9b::/96`, RFC 6052 §2.1.
    Nat64,
    /// `2002::/16`: the address is behind the first 16 bits, RFC 3056.
    SixToFour,
    /// `2001::/32`: the client's address is the last 32 bits, inverted, RFC 4380 §4.
    Teredo,
}

impl Embedding {
    pub(super) const ALL: [Embedding; 4] =
        [Embedding::Mapped, Embedding::Nat64, Embedding::SixToFour, Embedding::Teredo];

    /// How an address is written, if it stands for one of IPv4.
    pub fn of(address: Ipv6Addr) -> Option<Embedding> {
        Embedding::ALL.into_iter().find(|embedding| embedding.net().contains(&address))
    }

    /// All addresses that are written so.
    pub fn net(self) -> Ipv6Net {
        let (first, length) = match self {
            Embedding::Mapped => (0xffff << 32, 96),
            Embedding::Nat64 => (0x0064_ff9b << 96, 96),
            Embedding::SixToFour => (0x2002 << 112, 16),
            Embedding::Teredo => (0x2001_0000 << 96, 32),
        };
        Ipv6Net::new_assert(Ipv6Addr::from_bits(first), length)
    }

    /// The IPv4 address in it.
    pub fn unwrap(self, address: Ipv6Addr) -> Ipv4Addr {
        let bits = address.to_bits();
        Ipv4Addr::from_bits(match self {
            Embedding::Mapped | Embedding::Nat64 => bits as u32,
            Embedding::SixToFour => (bits >> 80) as u32,
            Embedding::Teredo => !(bits as u32),
        })
    }

    /// How many bits stand before the IPv4 address.
    pub(super) fn offset(self) -> u8 {
        if self == Embedding::SixToFour { 16 } else { 96 }
    }
}

/// The address by which a client is looked up, and how it was written.
pub fn unwrapped(address: IpAddr) -> (IpAddr, Option<Embedding>) {
    match address {
        IpAddr::V4(_) => (address, None),
        IpAddr::V6(v6) => match Embedding::of(v6) {
            Some(embedding) => (IpAddr::V4(embedding.unwrap(v6)), Some(embedding)),
            None => (address, None),
        },
    }
}

/// How the addresses of a network are written, if all of them stand for IPv4.
pub(super) fn within(net: &IpNet) -> Option<Embedding> {
    let IpNet::V6(net) = net else { return None };
    Embedding::ALL.into_iter().find(|embedding| embedding.net().contains(net))
}
