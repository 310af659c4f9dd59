//! Connections that wait for their next request.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;

/// One end of a connection.
pub(crate) type Sender = SendRequest<Full<Bytes>>;

/// Idle connections by address: those that were used last go first.
#[derive(Debug, Default)]
pub(crate) struct Pools(Mutex<HashMap<SocketAddr, Vec<Idle>>>);

#[derive(Debug)]
struct Idle {
    sender: Sender,
    since: Instant,
}

impl Pools {
    /// A connection that is open, as far as is known.
    pub(crate) async fn take(&self, address: SocketAddr) -> Option<Sender> {
        loop {
            let mut sender = self.pop(address)?;
            // It is ready as soon as its task has seen the end of the last response.
            if let Ok(Ok(())) = tokio::time::timeout(READY_WITHIN, sender.ready()).await {
                return Some(sender);
            }
        }
    }

    fn pop(&self, address: SocketAddr) -> Option<Sender> {
        let mut pools = self.pools();
        let pool = pools.get_mut(&address)?;
        let idle = pool.pop().filter(|idle| idle.since.elapsed() < LONGEST_IDLE);
        if idle.is_none() {
            // Those below are older still.
            pools.remove(&address);
        }
        idle.map(|idle| idle.sender)
    }

    /// Keeps a connection, if there is room.
    pub(crate) fn put(&self, address: SocketAddr, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut pools = self.pools();
        if pools.len() >= MOST_ADDRESSES && !pools.contains_key(&address) {
            // Addresses that are gone are found when there are many.
            pools.retain(|_, pool| {
                pool.retain(|idle| !idle.sender.is_closed() && idle.since.elapsed() < LONGEST_IDLE);
                !pool.is_empty()
            });
        }
        let pool = pools.entry(address).or_default();
        pool.retain(|idle| !idle.sender.is_closed());
        if pool.len() < MOST_IDLE {
            pool.push(Idle { sender, since: Instant::now() });
        }
    }

    /// Closes all that wait for this address.
    pub(crate) fn forget(&self, address: SocketAddr) {
        self.pools().remove(&address);
    }

    fn pools(&self) -> MutexGuard<'_, HashMap<SocketAddr, Vec<Idle>>> {
        // Nothing is done with the lock that could leave it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of one address. More in flight than that have connections of their own.
const MOST_IDLE: usize = 64;

/// Beyond it, what is dead is looked for at each new one.
const MOST_ADDRESSES: usize = 1024;

/// Servers close what rests for longer than 60 or 75 s.
const LONGEST_IDLE: Duration = Duration::from_secs(50);

const READY_WITHIN: Duration = Duration::from_millis(50);
