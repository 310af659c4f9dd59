//! One address of a service as the data plane sees it, shared by all workers.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use fulcrum_model::{Address, EndpointId};

/// What every worker must see of an endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Unlike that of any other endpoint of the process.
    pub(crate) serial: u64,
    pub(crate) id: EndpointId,
    pub(crate) address: Address,
    /// The balancer compares what all workers have under way: the one number that requests share.
    in_flight: CachePadded<AtomicU32>,
    used: AtomicBool,
    removed: AtomicBool,
}

impl Endpoint {
    pub(crate) fn new(id: EndpointId, address: Address) -> Self {
        Endpoint {
            serial: NEXT_SERIAL.fetch_add(1, Ordering::Relaxed),
            id,
            address,
            in_flight: CachePadded::new(AtomicU32::new(0)),
            used: AtomicBool::new(false),
            removed: AtomicBool::new(false),
        }
    }

    /// Requests at this endpoint now, over all workers.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// A request begins; [`finished`](Self::finished) ends it.
    pub(crate) fn started(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn finished(&self) {
        let before = self.in_flight.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0, "every end has a beginning");
    }

    /// Whether a request was ever sent here.
    pub(crate) fn was_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// It belongs to its service no more: what is under way ends, nothing is kept for more.
    pub(crate) fn remove(&self) {
        self.removed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }
}

static NEXT_SERIAL: AtomicU64 = AtomicU64::new(0);
