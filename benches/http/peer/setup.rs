//! What a proxy is set up to do: the same for every kind.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::fleet::Fleet;

/// The work of a proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Setup {
    /// HTTP to one service.
    Http(Http),
    /// Bytes of TCP connections to one endpoint.
    Tcp,
    /// HTTP to many services.
    Fleet(Fleet),
}

/// HTTP to one service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Http {
    /// What it takes.
    pub(crate) routes: Routes,
    /// Endpoints of the service, at most [`MOST_ENDPOINTS`]: addresses of one upstream.
    pub(crate) endpoints: u8,
    /// What is on beside forwarding.
    pub(crate) features: &'static [Feature],
}

/// Which requests a proxy takes. Every route leads to the same service.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Routes {
    /// All, by one route.
    All,
    /// Those for `h0.example.com` and so on, a route for each.
    Hosts(usize),
    /// The same, with a route for each of the prefixes `/p0` and so on.
    HostsAndPaths(usize, usize),
}

/// Something that costs, and is on only where it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    /// Every request is logged to `logs/access.log` in the proxy's folder or to its standard output.
    AccessLog,
    /// Endpoints are checked over HTTP every two seconds.
    Health,
    /// A cookie brings clients back to their endpoint.
    Sticky,
    /// At most [`MAX_REQUESTS`] at an endpoint; the others wait.
    Queue,
}

impl Setup {
    /// All requests to one endpoint.
    pub(crate) const PLAIN: Setup = Setup::http(Routes::All, 1, &[]);

    /// HTTP to one service.
    pub(crate) const fn http(routes: Routes, endpoints: u8, features: &'static [Feature]) -> Setup {
        Setup::Http(Http { routes, endpoints, features })
    }

    /// These routes to one endpoint.
    pub(crate) const fn routes(routes: Routes) -> Setup {
        Setup::http(routes, 1, &[])
    }
}

impl Http {
    /// Whether the feature is on.
    pub(crate) fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    /// Calls `route` with host, path prefix and service of each.
    pub(crate) fn each_route(&self, mut route: impl FnMut(Option<&str>, Option<&str>, &str)) {
        let host = |index: usize| format!("h{index}.example.com");
        match self.routes {
            Routes::All => route(None, None, SERVICE),
            Routes::Hosts(hosts) => (0..hosts).for_each(|index| route(Some(&host(index)), None, SERVICE)),
            Routes::HostsAndPaths(hosts, paths) => {
                for index in 0..hosts {
                    (0..paths)
                        .for_each(|path| route(Some(&host(index)), Some(&format!("/p{path}")), SERVICE));
                }
            }
        }
    }
}

impl Setup {
    /// Calls `route` with host, path prefix and service of each.
    pub(crate) fn each_route(&self, mut route: impl FnMut(Option<&str>, Option<&str>, &str)) {
        match self {
            Setup::Http(http) => http.each_route(route),
            Setup::Tcp => {}
            Setup::Fleet(fleet) => fleet.each_route(|host, service| route(Some(host), None, service)),
        }
    }

    /// Calls `service` with name and endpoints of each.
    pub(crate) fn each_service(&self, port: u16, mut service: impl FnMut(&str, &[SocketAddr])) {
        match self {
            Setup::Http(http) => {
                let endpoints: Vec<_> = (1..=http.endpoints).map(|last| endpoint(last, port)).collect();
                service(SERVICE, &endpoints);
            }
            Setup::Tcp => service(SERVICE, &[endpoint(1, port)]),
            Setup::Fleet(fleet) => fleet.each_service(port, service),
        }
    }

    /// Whether the feature is on.
    pub(crate) fn has(&self, feature: Feature) -> bool {
        matches!(self, Setup::Http(http) if http.has(feature))
    }
}

/// An address of the upstream.
pub(crate) fn endpoint(last: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), port)
}

/// Addresses that the upstream has.
pub(crate) const MOST_ENDPOINTS: u8 = 3;

/// Requests that an endpoint takes at a time where there is a queue: few, so that many wait.
pub(crate) const MAX_REQUESTS: u32 = 4;

const SERVICE: &str = "backend";
