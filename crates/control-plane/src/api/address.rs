//! Where instances may point. Whoever may register would else aim traffic and health checks at anything that this host
//! reaches: metadata services of clouds, other people's machines, ourselves.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use ipnet::IpNet;

use super::Peer;

/// Where instances may point.
#[derive(Clone, Debug)]
pub struct AllowAddresses {
    /// Whether to the host that registers them.
    pub registrant: Registrant,
    /// And into these networks.
    pub networks: Vec<IpNet>,
}

/// Whether an instance may point to the host that registers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registrant {
    /// It may.
    Allowed,
    /// Only into the networks.
    OnlyNetworks,
}

impl Default for AllowAddresses {
    fn default() -> Self {
        AllowAddresses { registrant: Registrant::Allowed, networks: Vec::new() }
    }
}

/// Why an instance may not point there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("an instance cannot be reached at an unspecified, multicast or broadcast address")]
    NoHost,
    #[error("no instance may point to a link-local address")]
    LinkLocal,
    #[error("this is where the balancer itself listens")]
    Ourselves,
    #[error(
        "`allow_addresses` does not allow it: by default an instance points to the host that registers it"
    )]
    NotAllowed,
}

impl AllowAddresses {
    /// Whether an instance that was registered by this client may point there. `own` is where we listen, `more` what
    /// else its token allows.
    pub(super) fn check(
        &self,
        target: SocketAddr,
        peer: Peer,
        own: &[SocketAddr],
        more: &[IpNet],
    ) -> Result<(), Refused> {
        let address = target.ip().to_canonical();
        check_kind(address)?;
        let is_local = |ip| ip == peer.local.ip().to_canonical() || is_of_this_host(ip);
        if is_own(target, own, is_local) {
            return Err(Refused::Ourselves);
        }
        let registrant = peer.remote.ip().to_canonical();
        let is_registrant = address == registrant || address.is_loopback() && registrant.is_loopback();
        let mut networks = self.networks.iter().chain(more);
        let is_allowed = self.registrant == Registrant::Allowed && is_registrant
            || networks.any(|network| network.contains(&address));
        if is_allowed { Ok(()) } else { Err(Refused::NotAllowed) }
    }
}

fn check_kind(address: IpAddr) -> Result<(), Refused> {
    let (is_no_host, is_link_local) = match address {
        // 0.0.0.0/8 is this host, too (RFC 1122 §3.2.1.3).
        IpAddr::V4(v4) => (v4.octets()[0] == 0 || v4.is_multicast() || v4.is_broadcast(), v4.is_link_local()),
        IpAddr::V6(v6) => (v6.is_unspecified() || v6.is_multicast(), v6.is_unicast_link_local()),
    };
    match (is_no_host, is_link_local) {
        (true, _) => Err(Refused::NoHost),
        (_, true) => Err(Refused::LinkLocal),
        _ => Ok(()),
    }
}

/// Whether a connection to there would come to one of these sockets of ours. `is_local` knows the addresses of this host.
pub fn is_own(target: SocketAddr, own: &[SocketAddr], mut is_local: impl FnMut(IpAddr) -> bool) -> bool {
    let ip = target.ip().to_canonical();
    own.iter().filter(|own| own.port() == target.port()).any(|own| {
        let address = own.ip().to_canonical();
        if !address.is_unspecified() {
            return ip == address;
        }
        // A socket of all addresses takes what comes to any of this host; `[::]` takes IPv4, too.
        (address.is_ipv6() || ip.is_ipv4()) && (ip.is_loopback() || is_local(ip))
    })
}

/// Whether an address is one of this host's, as its routes say: what goes there comes from there. Nothing is sent.
fn is_of_this_host(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Where that cannot be found out nobody may point there.
    let Ok(socket) = UdpSocket::bind((any, 0)) else { return true };
    // No route, no host.
    socket.connect((address, 9)).is_ok() && socket.local_addr().is_ok_and(|local| local.ip() == address)
}

/// Addresses that were found to be this host's or not, for a while: they can come and go.
#[derive(Debug)]
pub struct LocalAddresses {
    known: HashMap<IpAddr, bool>,
    since: Instant,
}

impl LocalAddresses {
    /// Nothing is known yet.
    pub fn new(now: Instant) -> Self {
        LocalAddresses { known: HashMap::new(), since: now }
    }

    /// Whether it is this host's.
    pub fn has(&mut self, address: IpAddr, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) > KNOWN_FOR || self.known.len() >= MOST_KNOWN {
            *self = LocalAddresses::new(now);
        }
        *self.known.entry(address).or_insert_with(|| is_of_this_host(address))
    }
}

const KNOWN_FOR: Duration = Duration::from_secs(10);

/// A few megabytes.
const MOST_KNOWN: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_everywhere_listens_at_every_address_of_this_host() {
        let own = ["0.0.0.0:80", "[::]:443", "192.0.2.9:90"].map(|own| own.parse().expect("an address"));
        let check = |target: &str, expected: bool| {
            let is_local = |ip: IpAddr| ["192.0.2.2", "2001:db8::2"].contains(&ip.to_string().as_str());
            let target = target.parse().expect("an address");
            assert_eq!(is_own(target, &own, is_local), expected, "{target}");
        };
        check("192.0.2.2:80", true);
        check("[::ffff:192.0.2.2]:80", true);
        check("192.0.2.2:443", true);
        check("[2001:db8::2]:443", true);
        check("[2001:db8::2]:80", false);
        check("192.0.2.3:80", false);
        check("192.0.2.2:81", false);
        check("192.0.2.2:90", false);
        check("192.0.2.9:90", true);
    }

    #[test]
    fn the_addresses_of_this_host_are_known() {
        let now = Instant::now();
        let mut local = LocalAddresses::new(now);
        assert!(local.has(IpAddr::from([127, 0, 0, 1]), now));
        assert!(!local.has(IpAddr::from([192, 0, 2, 77]), now));
        assert!(!local.has(IpAddr::from([255, 255, 255, 255]), now));
        // Whatever this host would send from is its own.
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a port");
        if socket.connect("192.0.2.77:9").is_ok() {
            let address = socket.local_addr().expect("it is bound").ip();
            assert!(local.has(address, now), "{address}");
        }
    }

    #[test]
    fn instances_point_to_where_they_may() {
        let own: Vec<SocketAddr> =
            ["0.0.0.0:80", "127.0.0.1:8500", "[::]:443"].map(|own| own.parse().expect("an address")).into();
        let check = |policy: &str, remote: &str, target: &str, expected: Result<(), Refused>| {
            let (registrant, networks) = match policy.split_once(' ') {
                Some(("only", network)) => (Registrant::OnlyNetworks, vec![network]),
                Some((_, network)) => (Registrant::Allowed, vec![network]),
                None => (Registrant::Allowed, Vec::new()),
            };
            let networks = networks.iter().map(|network| network.parse().expect("a network")).collect();
            let allow = AllowAddresses { registrant, networks };
            let remote = SocketAddr::new(remote.parse().expect("an address"), 5);
            let peer = Peer { remote, local: "10.0.0.9:8500".parse().expect("an address") };
            let target: SocketAddr = target.parse().expect("an address");
            let more = ["10.7.0.0/16".parse().expect("a network")];
            assert_eq!(allow.check(target, peer, &own, &more), expected, "{policy} {remote} {target}");
        };
        let no = Err(Refused::NotAllowed);
        check("registrant", "10.0.0.1", "10.0.0.1:8080", Ok(()));
        check("registrant", "::ffff:10.0.0.1", "10.0.0.1:8080", Ok(()));
        check("registrant", "10.0.0.1", "[::ffff:10.0.0.1]:8080", Ok(()));
        check("registrant", "10.0.0.1", "10.0.0.2:8080", no);
        check("registrant", "10.0.0.1", "10.7.0.2:8080", Ok(()));
        check("registrant", "10.0.0.1", "127.0.0.1:8080", no);
        check("registrant", "127.0.0.1", "127.0.0.5:8080", Ok(()));
        check("registrant", "127.0.0.1", "[::1]:8080", Ok(()));
        check("registrant", "127.0.0.1", "10.0.0.9:8080", no);
        check("and 10.0.0.0/8", "192.0.2.1", "10.1.2.3:8080", Ok(()));
        check("and 10.0.0.0/8", "192.0.2.1", "192.0.2.1:8080", Ok(()));
        check("only 10.0.0.0/8", "192.0.2.1", "192.0.2.1:8080", no);
        check("only 0.0.0.0/0", "10.0.0.1", "169.254.169.254:80", Err(Refused::LinkLocal));
        check("only 0.0.0.0/0", "10.0.0.1", "[::ffff:169.254.169.254]:80", Err(Refused::LinkLocal));
        check("only ::/0", "10.0.0.1", "[fe80::1]:80", Err(Refused::LinkLocal));
        check("only ::/0", "10.0.0.1", "[ff02::1]:80", Err(Refused::NoHost));
        check("only ::/0", "10.0.0.1", "[::]:80", Err(Refused::NoHost));
        check("only 0.0.0.0/0", "10.0.0.1", "0.1.2.3:80", Err(Refused::NoHost));
        check("only 0.0.0.0/0", "10.0.0.1", "255.255.255.255:80", Err(Refused::NoHost));
        check("only 0.0.0.0/0", "10.0.0.1", "224.0.0.1:80", Err(Refused::NoHost));
        check("registrant", "127.0.0.1", "127.0.0.1:8500", Err(Refused::Ourselves));
        check("registrant", "127.0.0.1", "127.0.0.2:8500", Ok(()));
        check("registrant", "127.0.0.1", "127.0.0.2:80", Err(Refused::Ourselves));
        check("registrant", "127.0.0.1", "[::ffff:127.0.0.1]:80", Err(Refused::Ourselves));
        check("registrant", "127.0.0.1", "127.0.0.2:443", Err(Refused::Ourselves));
        check("registrant", "127.0.0.1", "[::1]:443", Err(Refused::Ourselves));
        check("registrant", "127.0.0.1", "[::1]:80", Ok(()));
        check("registrant", "10.0.0.9", "10.0.0.9:80", Err(Refused::Ourselves));
        check("registrant", "10.0.0.8", "10.0.0.8:80", Ok(()));
    }
}
