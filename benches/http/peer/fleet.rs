//! A large configuration: a route for each of many hosts, to a thousand services with fifty endpoints each. Versions of
//! it differ in a hundred routes and a hundred endpoints.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A version of the large configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fleet {
    /// Routes.
    pub(crate) hosts: usize,
    /// Which of the versions, from 0.
    pub(crate) version: u8,
}

impl Fleet {
    /// A host that only this version has a route for.
    pub(crate) fn marker(&self) -> String {
        self.exchanged(0)
    }

    /// Hosts that every version has a route for, to ask for; each leads to a service of its own.
    pub(crate) fn asked(&self) -> Vec<String> {
        (0..ASKED.min(self.hosts - EXCHANGED_ROUTES)).map(host).collect()
    }

    /// Addresses that answer: those of the services that are asked, in every version.
    pub(crate) fn addresses(port: u16) -> impl Iterator<Item = SocketAddr> {
        let places = 0..ENDPOINTS - 1 + usize::from(SPARE);
        (0..ASKED).flat_map(move |service| places.clone().map(move |place| address(service, place, port)))
    }

    pub(super) fn each_route(&self, mut route: impl FnMut(&str, &str)) {
        let kept = self.hosts - EXCHANGED_ROUTES;
        (0..kept).for_each(|index| route(&host(index), &service(index)));
        (0..EXCHANGED_ROUTES).for_each(|index| route(&self.exchanged(index), &service(index)));
    }

    pub(super) fn each_service(&self, port: u16, mut each: impl FnMut(&str, &[SocketAddr])) {
        for index in 0..SERVICES {
            let mut places: Vec<_> = (0..ENDPOINTS).collect();
            if index % EXCHANGE_EVERY == 0 {
                places[ENDPOINTS - 1] += usize::from(self.version % SPARE);
            }
            let endpoints: Vec<_> = places.into_iter().map(|place| address(index, place, port)).collect();
            each(&service(index), &endpoints);
        }
    }

    fn exchanged(&self, index: usize) -> String {
        format!("v{}-{index}.example.com", self.version)
    }
}

/// Fewer hosts than this make no fleet.
pub(crate) const LEAST_HOSTS: usize = EXCHANGED_ROUTES + ASKED;
/// Endpoints of all services together.
pub(crate) const ALL_ENDPOINTS: usize = SERVICES * ENDPOINTS;

fn host(index: usize) -> String {
    format!("h{index}.example.com")
}

fn service(index: usize) -> String {
    format!("s{}", index % SERVICES)
}

/// Every endpoint of every service has an address of its own; all are this host's.
fn address(service: usize, place: usize, port: u16) -> SocketAddr {
    let byte = |value: usize| u8::try_from(value).expect("services and places are few");
    let ip = Ipv4Addr::new(127, byte(16 + service / 250), byte(1 + service % 250), byte(1 + place));
    SocketAddr::new(IpAddr::V4(ip), port)
}

const SERVICES: usize = 1000;
const ENDPOINTS: usize = 50;
/// Services that the load asks. More would leave the peers no chance to use a pooled connection.
const ASKED: usize = 16;
const EXCHANGED_ROUTES: usize = 100;
/// One endpoint of every tenth service is another in each version,
const EXCHANGE_EVERY: usize = 10;
/// out of so many.
const SPARE: u8 = 2;
