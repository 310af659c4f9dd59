//! Where instances may point. Whoever may register would else aim traffic and health checks at anything that this host
//! reaches: metadata services of clouds, other people's machines, ourselves.

use std::net::{IpAddr, SocketAddr};

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
        if own.iter().any(|own| is_ours(SocketAddr::new(address, target.port()), *own, peer)) {
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

/// Whether a connection to there would come to this socket of ours.
fn is_ours(target: SocketAddr, own: SocketAddr, peer: Peer) -> bool {
    let address = own.ip().to_canonical();
    if target.port() != own.port() {
        return false;
    }
    if !address.is_unspecified() {
        return target.ip() == address;
    }
    // A socket of all addresses takes what comes to any of this host; `[::]` takes IPv4, too.
    let is_of_its_family = address.is_ipv6() || target.is_ipv4();
    let is_this_host = target.ip().is_loopback() || target.ip() == peer.local.ip().to_canonical();
    is_of_its_family && is_this_host
}

#[cfg(test)]
mod tests {
    use super::*;

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
