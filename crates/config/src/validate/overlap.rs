//! No two sockets on one address: with SO_REUSEPORT the kernel would accept both and split connections between them.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::code::Code;
use crate::decode::NamedEntry;
use crate::gslb::DnsBind;
use crate::listener::Bind;
use crate::raw::{RawAdmin, RawGslb, RawListener, RawRegistry};
use crate::source::Place;

use super::Context;

/// What binds besides listeners.
type Sections<'a> = (Option<&'a RawAdmin>, Option<&'a RawRegistry>, Option<&'a RawGslb>);

/// Records every pair of overlapping addresses of listeners, admin, registry and the responder of DNS.
pub(crate) fn check(
    listeners: &[NamedEntry<RawListener>],
    sections: Sections<'_>,
    context: &mut Context<'_>,
) {
    let mut ports: HashMap<u16, Vec<Claim>> = HashMap::new();
    let mut paths: HashMap<PathBuf, Place> = HashMap::new();
    for (bind, place) in binds(listeners, sections) {
        match bind {
            Bind::Tcp { address, dual_stack } if address.port() != 0 => {
                let claim = Claim { address, dual_stack, place };
                let claims = ports.entry(address.port()).or_default();
                if let Some(other) = claims.iter().find(|other| other.overlaps(&claim)) {
                    refuse(&claim, other, context);
                }
                claims.push(claim);
            }
            Bind::Tcp { .. } => {}
            Bind::Unix(path) => match paths.get(&path) {
                Some(&other) => refuse_path(&path, place, other, context),
                None => {
                    paths.insert(path, place);
                }
            },
        }
    }
}

fn binds(listeners: &[NamedEntry<RawListener>], (admin, registry, gslb): Sections<'_>) -> Vec<(Bind, Place)> {
    let of_listeners = listeners
        .iter()
        .filter_map(|entry| entry.value.as_ref()?.bind.as_ref())
        .flat_map(|binds| binds.0.iter().map(|bind| (bind.value.0.clone(), bind.place)));
    let services = registry.and_then(|registry| registry.compat.as_ref()?.dns.as_ref()?.bind.as_ref());
    let registry = registry.and_then(|registry| registry.bind.as_ref());
    let registry = registry.map(|bind| (bind.value.0, bind.place));
    let tcp = admin.and_then(|admin| admin.bind.as_ref()).map(|bind| (bind.value.0, bind.place));
    let tcp = tcp.into_iter().chain(registry);
    let tcp = tcp.map(|(address, place)| (Bind::Tcp { address, dual_stack: false }, place));
    // Questions are taken over UDP and TCP.
    let dns = gslb.and_then(|gslb| gslb.bind.as_ref()).into_iter().chain(services);
    let dns = dns.flat_map(|binds| &binds.0);
    let dns = dns.map(|bind| {
        let DnsBind { address, dual_stack } = bind.value.0;
        (Bind::Tcp { address, dual_stack }, bind.place)
    });
    let socket = admin.and_then(|admin| admin.socket.as_ref()?.0.as_ref());
    let socket = socket.map(|socket| (Bind::Unix(socket.value.0.clone()), socket.place));
    of_listeners.chain(tcp).chain(dns).chain(socket).collect()
}

/// A TCP address that is taken.
struct Claim {
    address: SocketAddr,
    dual_stack: bool,
    place: Place,
}

impl Claim {
    /// Of two addresses with the same port.
    fn overlaps(&self, other: &Claim) -> bool {
        let same_family =
            self.address.is_ipv4() == other.address.is_ipv4() || self.dual_stack || other.dual_stack;
        let wildcard = |ip: IpAddr| ip.is_unspecified();
        let same_address = self.address.ip() == other.address.ip();
        same_family && (same_address || wildcard(self.address.ip()) || wildcard(other.address.ip()))
    }

    fn show(&self) -> String {
        if self.dual_stack { format!(":{}", self.address.port()) } else { self.address.to_string() }
    }
}

fn refuse(claim: &Claim, other: &Claim, context: &mut Context<'_>) {
    let problem = context.problems.add(
        Code::Overlap,
        claim.place,
        format!("`{}` overlaps with `{}`", claim.show(), other.show()),
    );
    problem.note(format!("the other one: {}", context.sources.label(other.place)));
    if claim.dual_stack != other.dual_stack {
        problem.note("`:PORT` takes IPv4 and IPv6; for one family: `0.0.0.0:PORT` or `[::]:PORT`");
    }
}

fn refuse_path(path: &Path, place: Place, other: Place, context: &mut Context<'_>) {
    context
        .problems
        .add(Code::Overlap, place, format!("the unix socket `{}` is given twice", path.display()))
        .note(format!("the other one: {}", context.sources.label(other)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bind::BindText;
    use crate::decode::Leaf;

    #[test]
    fn wildcards_overlap_within_their_families() {
        fn check(left: &str, right: &str, expected: bool) {
            let claim = |text: &str| match BindText::parse(text).expect("an address").0 {
                Bind::Tcp { address, dual_stack } => Claim { address, dual_stack, place: Place::whole(0) },
                Bind::Unix(_) => panic!("a TCP address is wanted"),
            };
            assert_eq!(claim(left).overlaps(&claim(right)), expected, "{left} {right}");
            assert_eq!(claim(right).overlaps(&claim(left)), expected, "{right} {left}");
        }
        check(":80", ":80", true);
        check(":80", "[::]:80", true);
        check(":80", "0.0.0.0:80", true);
        check(":80", "127.0.0.1:80", true);
        check(":80", "[::1]:80", true);
        check("0.0.0.0:80", "127.0.0.1:80", true);
        check("0.0.0.0:80", "[::]:80", false);
        check("0.0.0.0:80", "[::1]:80", false);
        check("[::]:80", "[::1]:80", true);
        check("127.0.0.1:80", "127.0.0.1:80", true);
        check("127.0.0.1:80", "127.0.0.2:80", false);
    }
}
