//! EDNS (RFC 6891): what an OPT record of a query says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An OPT record as it was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Opt<'a> {
    pub(crate) size: u16,
    pub(crate) version: u8,
    /// The first of two bytes: DO is its highest bit.
    pub(crate) flags: u8,
    pub(crate) options: &'a [u8],
}

/// What of EDNS matters for an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edns<'a> {
    /// The largest datagram that the client takes, in bytes; 512 or more.
    pub(crate) size: u16,
    /// DO: the client would take signatures.
    pub(crate) wants_signatures: bool,
    /// Whom the answer is for.
    pub(crate) subnet: Option<ClientSubnet>,
    /// The cookie: 8 bytes of the client's, and 8 to 32 of a server's or none (RFC 7873 §4).
    pub(crate) cookie: Option<&'a [u8]>,
    /// Whether the server shall say which one it is (RFC 5001).
    pub(crate) wants_identity: bool,
}

/// The network of whoever asks a resolver (RFC 7871).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientSubnet {
    /// Its first address.
    pub(crate) address: IpAddr,
    /// How many bits of it are meant: 0 to 32, or 128.
    pub(crate) source: u8,
}

/// Why an OPT record is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Not version 0.
    Version,
    /// An option that cannot be what it says it is.
    Format,
}

impl<'a> Edns<'a> {
    pub(crate) fn parse(opt: Opt<'a>) -> Result<Self, Wrong> {
        if opt.version != 0 {
            return Err(Wrong::Version);
        }
        // Less than 512 counts as 512 (RFC 6891 §6.2.5).
        let mut edns =
            Edns { size: opt.size.max(512), wants_signatures: opt.flags & 0x80 != 0, ..Edns::default() };
        let mut rest = opt.options;
        while !rest.is_empty() {
            let (&[c0, c1, l0, l1], behind) = rest.split_first_chunk().ok_or(Wrong::Format)?;
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            let (data, behind) = behind.split_at_checked(length).ok_or(Wrong::Format)?;
            rest = behind;
            edns.option(u16::from_be_bytes([c0, c1]), data)?;
        }
        Ok(edns)
    }

    /// The first of a kind counts. What is not known is passed over (RFC 6891 §6.1.2).
    fn option(&mut self, code: u16, data: &'a [u8]) -> Result<(), Wrong> {
        match code {
            // What it holds is of no interest (RFC 5001 §2.1).
            NSID => self.wants_identity = true,
            COOKIE => {
                if !matches!(data.len(), 8 | 16..=40) {
                    return Err(Wrong::Format);
                }
                self.cookie.get_or_insert(data);
            }
            CLIENT_SUBNET => {
                let subnet = ClientSubnet::parse(data).ok_or(Wrong::Format)?;
                self.subnet.get_or_insert(subnet);
            }
            _ => {}
        }
        Ok(())
    }
}

impl ClientSubnet {
    /// RFC 7871 §6, §7.1.2: the address has as many bytes as the prefix needs, and no bits beyond it.
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let (&[f0, f1, source, scope], octets) = data.split_first_chunk()?;
        let family = u16::from_be_bytes([f0, f1]);
        let longest = match family {
            1 => 32,
            2 => 128,
            _ => return None,
        };
        if source > longest || scope != 0 || octets.len() != usize::from(source.div_ceil(8)) {
            return None;
        }
        let beyond = match source % 8 {
            0 => 0,
            used => 0xff >> used,
        };
        if octets.last().is_some_and(|last| last & beyond != 0) {
            return None;
        }
        let address = match family {
            1 => IpAddr::V4(Ipv4Addr::from(padded::<4>(octets))),
            _ => IpAddr::V6(Ipv6Addr::from(padded::<16>(octets))),
        };
        Some(ClientSubnet { address, source })
    }

    /// The option of an answer: as it was sent, and the scope. At most 20 bytes are written.
    pub(crate) fn write(&self, scope: u8, to: &mut [u8; SUBNET_MAX]) -> usize {
        let octets = match self.address {
            IpAddr::V4(address) => padded::<16>(&address.octets()),
            IpAddr::V6(address) => address.octets(),
        };
        let length = usize::from(self.source.div_ceil(8));
        to[..8].copy_from_slice(&[
            0,
            CLIENT_SUBNET as u8,
            0,
            4 + length as u8,
            0,
            if self.address.is_ipv4() { 1 } else { 2 },
            self.source,
            scope,
        ]);
        to[8..8 + length].copy_from_slice(&octets[..length]);
        8 + length
    }
}

fn padded<const N: usize>(octets: &[u8]) -> [u8; N] {
    let mut whole = [0; N];
    let length = octets.len().min(N);
    whole[..length].copy_from_slice(&octets[..length]);
    whole
}

pub(crate) const NSID: u16 = 3;
pub(crate) const CLIENT_SUBNET: u16 = 8;
pub(crate) const COOKIE: u16 = 10;
/// Extended DNS errors (RFC 8914).
pub(crate) const EXTENDED_ERROR: u16 = 15;
/// The longest option of a subnet with its head.
pub(crate) const SUBNET_MAX: usize = 24;
