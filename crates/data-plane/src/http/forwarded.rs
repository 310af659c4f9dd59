//! Who the client is, and what the upstream is told about it. Forwarded fields count only as far as their writers are
//! trusted: the client is the rightmost address that no trusted proxy has.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::http::field::{Known, list_elements};
use crate::http::message::RequestHead;
use crate::http1::encode;
use crate::snapshot::Snapshot;

/// Who sent a request, as far as it can be believed.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    pub(crate) peer: IpAddr,
    /// The peer is a trusted proxy: what it forwards is kept.
    pub(crate) is_trusted: bool,
    /// The believed part of X-Forwarded-For, to which the peer is added.
    chain: Vec<IpAddr>,
}

impl Client {
    /// Reads the forwarded fields of a request.
    pub(crate) fn of(peer: Option<SocketAddr>, head: &RequestHead, snapshot: &Snapshot) -> Self {
        // Who can open a unix socket is on this host.
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.ip().to_canonical());
        let mut client = Client { address: peer, peer, is_trusted: snapshot.trusts(peer), chain: Vec::new() };
        if client.is_trusted {
            client.read_chain(head, snapshot);
        }
        client
    }

    fn read_chain(&mut self, head: &RequestHead, snapshot: &Snapshot) {
        let mut hops: Vec<&[u8]> = head.fields.known(Known::XForwardedFor).flat_map(list_elements).collect();
        while let Some(hop) = hops.pop() {
            // What is no address was written by nobody that can be trusted.
            let Some(address) = parse_address(hop) else { break };
            self.address = address;
            self.chain.push(address);
            if !snapshot.trusts(address) {
                break;
            }
        }
        self.chain.reverse();
    }

    /// Appends the value of X-Forwarded-For.
    pub(crate) fn append_chain(&self, output: &mut Vec<u8>) {
        for address in &self.chain {
            append_address(output, *address);
            output.extend_from_slice(b", ");
        }
        append_address(output, self.peer);
    }
}

/// An address as proxies write it: bare, or with a port, or in brackets.
fn parse_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let parsed = text
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok());
    parsed.map(|address| address.to_canonical())
}

fn append_address(output: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (index, octet) in address.octets().into_iter().enumerate() {
                if index > 0 {
                    output.push(b'.');
                }
                encode::decimal(output, u64::from(octet));
            }
        }
        IpAddr::V6(address) => output.extend_from_slice(address.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_proxies_write_them() {
        for (text, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1:8080", Some("192.0.2.1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("unknown", None),
            ("", None),
        ] {
            let expected = expected.map(|text| text.parse::<IpAddr>().expect("an address"));
            assert_eq!(parse_address(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn addresses_print_as_the_standard_library_does() {
        for text in ["0.0.0.0", "192.0.2.130", "255.255.255.255", "2001:db8::1"] {
            let mut output = Vec::new();
            append_address(&mut output, text.parse().expect("an address"));
            assert_eq!(output, text.as_bytes());
        }
    }
}
