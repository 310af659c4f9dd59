//! Answers that depend on who asks: which addresses, in which order, and for how many clients around.

use std::net::IpAddr;
use std::sync::Arc;

use crate::body::Body;
use crate::edns::ClientSubnet;

/// For whom an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whom {
    /// The client's address, or the first one of its network, or that of its resolver.
    pub address: IpAddr,
    /// How many bits of it are known: all those of a resolver.
    pub bits: u8,
    /// How many of them a scope may speak of: none when the client did not tell its network.
    pub told: u8,
}

impl Whom {
    /// The network that was told; else whoever asks.
    pub(crate) fn of(address: IpAddr, subnet: Option<ClientSubnet>) -> Self {
        match subnet {
            Some(subnet) if subnet.source > 0 => {
                Whom { address: subnet.address, bits: subnet.source, told: subnet.source }
            }
            _ => Whom { address, bits: if address.is_ipv4() { 32 } else { 128 }, told: 0 },
        }
    }
}

/// What was chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Picked<'a> {
    /// `None`: there is nothing of that type.
    pub(crate) body: Option<&'a Body>,
    /// Which part answered, for counters.
    pub(crate) part: u16,
    /// The bits of the address that the choice depends on.
    pub(crate) scope: u8,
}
