//! A set of networks that answers in logarithmic time, however many there are.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

/// Networks as sorted, disjoint ranges. IPv4 addresses are held mapped into IPv6 (RFC 4291 §2.5.5.2), so a client that is
/// seen as `::ffff:192.0.2.1` on a dual-stack socket is the same as `192.0.2.1`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AddressSet {
    ranges: Box<[(u128, u128)]>,
}

impl AddressSet {
    /// True when no address is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether one of the networks has the address.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let number = number(address);
        let after = self.ranges.partition_point(|&(first, _)| first <= number);
        self.ranges[..after].last().is_some_and(|&(_, last)| number <= last)
    }
}

impl<'a> FromIterator<&'a IpNet> for AddressSet {
    fn from_iter<I: IntoIterator<Item = &'a IpNet>>(networks: I) -> Self {
        let mut ranges: Vec<(u128, u128)> = networks
            .into_iter()
            .flat_map(|network| {
                let (first, last) = (number(network.network()), number(network.broadcast()));
                // `::/0` says all of IPv6: the addresses that stand for IPv4 are not meant.
                match network {
                    IpNet::V6(_) if first < MAPPED.0 && last >= MAPPED.1 => {
                        [(first, MAPPED.0 - 1), (MAPPED.1 + 1, last)]
                    }
                    _ => [(first, last), EMPTY],
                }
            })
            .filter(|(first, last)| first <= last)
            .collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1 => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Self { ranges: merged.into() }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

const EMPTY: (u128, u128) = (1, 0);

/// `::ffff:0:0/96`
const MAPPED: (u128, u128) = (
    Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0).to_bits(),
    Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0xffff, 0xffff).to_bits(),
);

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    use super::*;

    fn set(networks: &[&str]) -> AddressSet {
        let networks: Vec<IpNet> =
            networks.iter().map(|network| network.parse().expect("a network")).collect();
        networks.iter().collect()
    }

    #[test]
    fn rows() {
        let check = |networks: &[&str], address: &str, expected: bool| {
            let address: IpAddr = address.parse().expect("an address");
            assert_eq!(set(networks).contains(address), expected, "{address} in {networks:?}");
        };
        check(&[], "192.0.2.1", false);
        check(&["192.0.2.0/24"], "192.0.2.0", true);
        check(&["192.0.2.0/24"], "192.0.2.255", true);
        check(&["192.0.2.0/24"], "192.0.3.0", false);
        check(&["192.0.2.0/24"], "192.0.1.255", false);
        check(&["192.0.2.77/24"], "192.0.2.1", true);
        check(&["192.0.2.0/24"], "::ffff:192.0.2.1", true);
        check(&["::ffff:192.0.2.0/120"], "192.0.2.1", true);
        check(&["10.0.0.0/8", "10.1.0.0/16"], "10.200.0.1", true);
        check(&["10.0.0.1/32", "10.0.0.3/32"], "10.0.0.2", false);
        check(&["2001:db8::/32"], "2001:db8::1", true);
        check(&["2001:db8::/32"], "2001:db9::", false);
        check(&["0.0.0.0/0"], "255.255.255.255", true);
        check(&["0.0.0.0/0"], "::1", false);
        check(&["::/0"], "ffff::", true);
        check(&["::/0"], "::1", true);
        check(&["::/0"], "192.0.2.1", false);
        check(&["::/80"], "192.0.2.1", false);
        check(&["::/80", "::1:0:0:0/128"], "::1:0:0:0", true);
        check(&["::/0", "0.0.0.0/0"], "192.0.2.1", true);
    }

    proptest! {
        #[test]
        fn holds_what_the_networks_hold(
            networks in prop::collection::vec((any::<[u8; 4]>(), 0u8..=32), 0..12), address: [u8; 4],
        ) {
            let networks: Vec<IpNet> = networks
                .into_iter()
                .map(|(address, length)| IpNet::new(address.into(), length).expect("a length in range"))
                .collect();
            let address = IpAddr::from(address);
            let expected = networks.iter().any(|network| network.contains(&address));
            prop_assert_eq!(networks.iter().collect::<AddressSet>().contains(address), expected);
        }
    }
}
