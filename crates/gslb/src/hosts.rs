//! The endpoints of a service with their ports (SRV), and the names that these records point to.
//!
//! An endpoint at `192.0.2.1:8080` of the service behind `web.example.com` is `192-0-2-1-8080.web.example.com`; an IPv6 address is
//! written with all of its 32 digits. Two endpoints at one address have two names: balancers take targets that look alike for one.

use std::net::{IpAddr, SocketAddr};

use fulcrum_config::gslb::TargetAnswer;
use fulcrum_model::{DnsName, RecordData, RecordType};

use crate::body::{Body, BodyWriter, Owner, Section};
use crate::policy::Plan;
use crate::query::AUTHORITATIVE;

/// An endpoint of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it is.
    pub address: SocketAddr,
    /// Its share relative to the others.
    pub weight: u16,
    /// Whether it gets new requests.
    pub is_healthy: bool,
}

/// What is answered of the endpoints of a service besides their addresses.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    ports: Option<Body>,
    /// By label: all that there are, so that a target that was answered before can still be asked for.
    names: Box<[Host]>,
}

/// An endpoint's name.
#[derive(Clone, Debug)]
struct Host {
    label: Box<[u8]>,
    /// Of its address.
    record_type: RecordType,
    body: Body,
}

impl Hosts {
    /// Of the endpoints behind a name, and those of them that it answers with. A name that stands for others has none: its targets
    /// would have to be called like whatever was asked for.
    pub(crate) fn new(owner: &DnsName, plan: &Plan, known: &[Endpoint]) -> Option<Self> {
        if owner.is_wildcard() || known.is_empty() {
            return None;
        }
        let named = known.iter().take(MOST).filter_map(|endpoint| {
            let label = label(endpoint.address);
            Some((owner.child(&label).ok()?, label, endpoint))
        });
        let mut named: Vec<_> = named.collect();
        named.sort_by(|(_, one, _), (_, other, _)| one.cmp(other));
        named.dedup_by(|(_, later, _), (_, first, _)| later == first);
        let names = named.iter().map(|(name, label, endpoint)| {
            let data = address(endpoint.address.ip());
            let mut writer = BodyWriter::new(name);
            writer.record(Section::Answer, Owner::Question, plan.ttl, &data);
            Host { label: label.clone(), record_type: data.record_type(), body: writer.finish(AUTHORITATIVE) }
        });
        let names = names.collect();
        let is_answered = |endpoint: &Endpoint| {
            let answer = TargetAnswer::Address(endpoint.address.ip());
            // In a panic all answer that the plan has; else those that are well.
            (plan.is_panic || endpoint.is_healthy)
                && plan.slices.iter().any(|slice| slice.targets.iter().any(|(target, _)| *target == answer))
        };
        named.retain(|(_, _, endpoint)| is_answered(endpoint));
        Some(Hosts { ports: ports(owner, plan.ttl, &named), names })
    }

    /// Where the endpoints are that take work.
    pub(crate) fn ports(&self) -> Option<&Body> {
        self.ports.as_ref()
    }

    /// What an endpoint with this label has of a type; `None` where there is no such endpoint.
    pub(crate) fn find(&self, label: &[u8], record_type: u16) -> Option<Option<&Body>> {
        let place = self.names.binary_search_by(|host| (*host.label).cmp(label)).ok()?;
        let host = &self.names[place];
        Some(Some(&host.body).filter(|_| host.record_type.0 == record_type))
    }
}

fn ports(owner: &DnsName, ttl: u32, named: &[(DnsName, Box<[u8]>, &Endpoint)]) -> Option<Body> {
    let most = named.iter().map(|(_, _, endpoint)| endpoint.weight).max()?;
    let mut writer = BodyWriter::new(owner);
    for (name, _, endpoint) in named {
        let weight = spread(endpoint.weight, most);
        let (port, target) = (endpoint.address.port(), name.clone());
        let data = RecordData::Srv { priority: 0, weight, port, target };
        writer.record(Section::Answer, Owner::Question, ttl, &data);
    }
    for (name, _, endpoint) in named {
        writer.record(Section::Additional, Owner::Name(name), ttl, &address(endpoint.address.ip()));
    }
    Some(writer.finish(AUTHORITATIVE))
}

fn address(address: IpAddr) -> RecordData {
    match address {
        IpAddr::V4(address) => RecordData::A(address),
        IpAddr::V6(address) => RecordData::Aaaa(address),
    }
}

fn label(address: SocketAddr) -> Box<[u8]> {
    let port = address.port();
    let text = match address.ip() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{a}-{b}-{c}-{d}-{port}")
        }
        IpAddr::V6(ip) => format!("{:032x}-{port}", ip.to_bits()),
    };
    text.into_bytes().into()
}

/// A weight as the part of the largest one, of all 16 bits: some clients divide it by 256. Above zero stays above zero; without any
/// weight all are alike.
pub(crate) fn spread(weight: u16, most: u16) -> u16 {
    if most == 0 {
        return u16::MAX;
    }
    let part = u32::from(weight) * u32::from(u16::MAX) / u32::from(most);
    u16::try_from(part).unwrap_or(u16::MAX).max(u16::from(weight > 0))
}

/// The most endpoints that have names.
const MOST: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{ALL, Slice};

    fn owner() -> DnsName {
        "web.example.com".parse().expect("a name")
    }

    fn endpoint(address: &str, weight: u16, is_healthy: bool) -> Endpoint {
        Endpoint { address: address.parse().expect("an address"), weight, is_healthy }
    }

    fn plan(addresses: &[&str], is_panic: bool) -> Plan {
        let target = |text: &&str| (TargetAnswer::Address(text.parse().expect("an address")), 1);
        let slice = Slice { until: ALL, region: None, targets: addresses.iter().map(target).collect() };
        Plan { slices: vec![slice], ttl: 60, is_panic, is_unknown: false }
    }

    /// How many ports are answered, and how many addresses beside them.
    fn counts(plan: &Plan, known: &[Endpoint]) -> Option<(u16, u16)> {
        let hosts = Hosts::new(&owner(), plan, known)?;
        let ([answers, _, additional], _) = hosts.ports()?.counts();
        Some((answers, additional))
    }

    #[test]
    fn endpoints_have_names_of_their_own() {
        fn check(address: &str, expected: &str) {
            let label = label(address.parse().expect("an address"));
            assert_eq!(String::from_utf8_lossy(&label), expected);
        }
        check("192.0.2.1:8080", "192-0-2-1-8080");
        check("[2001:db8::1]:80", "20010db8000000000000000000000001-80");
        let known = [endpoint("192.0.2.1:80", 1, true), endpoint("192.0.2.1:81", 1, false)];
        let hosts = Hosts::new(&owner(), &plan(&["192.0.2.1"], false), &known).expect("it has endpoints");
        assert!(hosts.find(b"192-0-2-1-80", RecordType::A.0).expect("it is there").is_some());
        assert!(hosts.find(b"192-0-2-1-80", RecordType::AAAA.0).expect("it is there").is_none());
        assert!(hosts.find(b"192-0-2-1-81", RecordType::A.0).expect("it is there, if ill").is_some());
        assert!(hosts.find(b"192-0-2-1-82", RecordType::A.0).is_none());
    }

    #[test]
    fn who_is_well_is_answered_with_its_port() {
        let known = [endpoint("192.0.2.1:80", 1, true), endpoint("192.0.2.1:81", 1, false)];
        assert_eq!(counts(&plan(&["192.0.2.1"], false), &known), Some((1, 1)));
        assert_eq!(counts(&plan(&["192.0.2.1"], true), &known), Some((2, 2)), "in a panic all are");
        assert_eq!(counts(&plan(&["203.0.113.1"], true), &known), None, "a fallback has no ports");
        let known = [endpoint("192.0.2.1:80", 1, true), endpoint("[2001:db8::1]:80", 1, true)];
        assert_eq!(counts(&plan(&["192.0.2.1", "2001:db8::1"], false), &known), Some((2, 2)));
        let wildcard: DnsName = "*.example.com".parse().expect("a name");
        assert!(Hosts::new(&wildcard, &plan(&["192.0.2.1"], false), &known).is_none());
    }

    #[test]
    fn weights_are_spread() {
        for (weight, most, expected) in
            [(1, 1, 65_535), (10, 200, 3276), (1, 65_535, 1), (0, 5, 0), (0, 0, 65_535), (200, 200, 65_535)]
        {
            assert_eq!(spread(weight, most), expected, "{weight} of {most}");
        }
    }
}
