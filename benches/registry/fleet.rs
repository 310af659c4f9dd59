//! Who is registered: a thousand services with as many instances each as it takes.

use std::sync::atomic::{AtomicU32, Ordering};

/// Instances by number. Each has an address of its own.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// How often each was replaced by another process, under another id.
    versions: Box<[AtomicU32]>,
    /// The first number of all addresses.
    network: u8,
    port: u16,
    ttl: &'static str,
}

impl Fleet {
    /// So many instances in 10.0.0.0/8.
    pub(crate) fn new(instances: u32, ttl: &'static str) -> Self {
        Fleet::at(instances, (10, 8080), ttl)
    }

    /// So many instances at this port of addresses that begin with this number.
    pub(crate) fn at(instances: u32, (network, port): (u8, u16), ttl: &'static str) -> Self {
        Fleet { versions: (0..instances).map(|_| AtomicU32::new(0)).collect(), network, port, ttl }
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.versions.len()
    }

    /// The service that an instance is of: even and odd ones are in all of them.
    pub(crate) fn service(&self, slot: usize) -> String {
        service(slot / 2 % SERVICES)
    }

    /// The instance's id now.
    pub(crate) fn id(&self, slot: usize) -> String {
        format!("host-{slot:07}-{}", self.versions[slot].load(Ordering::Relaxed))
    }

    /// Its place in the API now.
    pub(crate) fn path(&self, slot: usize) -> String {
        format!("/v1/services/{}/instances/{}", self.service(slot), self.id(slot))
    }

    /// From here on another process is in its place.
    pub(crate) fn replace(&self, slot: usize) {
        self.versions[slot].fetch_add(1, Ordering::Relaxed);
    }

    /// What it says of itself.
    pub(crate) fn registration(&self, slot: usize) -> String {
        let (network, port, ttl) = (self.network, self.port, self.ttl);
        let [_, high, middle, low] = (slot as u32 + 1).to_be_bytes();
        format!(
            "{{\"address\":\"{network}.{high}.{middle}.{low}\",\"port\":{port},\"ttl\":\"{ttl}\",\
             \"locality\":\"eu-1a\",\"meta\":{{\"version\":\"1.4.2\"}}}}"
        )
    }
}

/// The name of a service.
pub(crate) fn service(number: usize) -> String {
    format!("service-{number:04}")
}

/// How many there are.
pub(crate) const SERVICES: usize = 1000;
