//! Where what others say may not lead: to what only this link can reach, and to where this daemon itself listens.

use std::net::{IpAddr, SocketAddr, UdpSocket};

/// Refuses link-local addresses (clouds keep their credentials there) and our own sockets. IPv4 is written as such.
pub(super) fn refuse(target: SocketAddr, own: &[SocketAddr]) -> Result<(), &'static str> {
    let is_link_local = match target.ip() {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    match () {
        // Whoever connects to it comes to this host (RFC 1122 §3.2.1.3).
        () if target.ip().is_unspecified() => Err("is no address of anybody"),
        () if is_link_local => Err("is a link-local address"),
        () if own.iter().any(|own| is_ours(target, *own)) => Err("is where this daemon listens"),
        () => Ok(()),
    }
}

/// Whether a connection to there would come to this socket of ours.
fn is_ours(target: SocketAddr, own: SocketAddr) -> bool {
    let address = own.ip().to_canonical();
    match () {
        () if target.port() != own.port() => false,
        () if !address.is_unspecified() => target.ip() == address,
        // A socket of all addresses takes what comes to any of this host; `[::]` takes IPv4, too.
        () => (address.is_ipv6() || target.is_ipv4()) && is_of_this_host(target.ip()),
    }
}

/// Nobody else's address can be bound.
fn is_of_this_host(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_to_us_is_refused() {
        let own = ["0.0.0.0:80", "127.0.0.1:8500", "[::]:443"].map(|own| own.parse().expect("an address"));
        let check = |target: &str, expected: Result<(), &str>| {
            assert_eq!(refuse(target.parse().expect("an address"), &own), expected, "{target}");
        };
        let ours = Err("is where this daemon listens");
        check("127.0.0.1:8500", ours);
        check("127.0.0.2:8500", Ok(()));
        check("127.0.0.2:80", ours);
        check("[::1]:80", Ok(()));
        check("127.0.0.2:443", ours);
        check("[::1]:443", ours);
        check("0.0.0.0:8500", Err("is no address of anybody"));
        // Of TEST-NET-1: somebody else's, at a port of ours.
        check("192.0.2.1:80", Ok(()));
        check("169.254.169.254:81", Err("is a link-local address"));
        check("[fe80::1]:81", Err("is a link-local address"));
    }
}
