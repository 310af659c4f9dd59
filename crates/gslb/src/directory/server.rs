//! A server that answers from a directory alone.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::Directory;
use crate::choices::Choices;
use crate::cookie::CookieKeys;
use crate::counters::Counters;
use crate::names::Names;
use crate::server::{Server, Shared, Sockets, TcpLimits};
use crate::snapshot::Snapshot;

/// It answers until it is told to end.
#[derive(Debug)]
pub struct DirectoryServer {
    counters: Arc<Counters>,
    server: Mutex<Option<Server>>,
    addresses: Vec<SocketAddr>,
}

impl DirectoryServer {
    /// Begins to answer over sockets that are bound for one worker. `key` makes cookies.
    pub fn start(directory: Arc<Directory>, sockets: Sockets, key: [u8; 16]) -> io::Result<Self> {
        let counters = Arc::new(Counters::new(1));
        let (zone_cells, nowhere_cells) = counters.of_zones([directory.zone()].into_iter());
        let snapshot = Snapshot {
            generation: 0,
            names: Arc::new(Names::new(&[])),
            choices: Choices::default(),
            cookies: Arc::new(CookieKeys::new(vec![key])),
            zone_cells: zone_cells.into(),
            nowhere_cells,
            identity: Arc::default(),
            regions: Arc::default(),
            directory: Some(directory),
        };
        let shared = Shared {
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
            rate: Arc::new(ArcSwap::from_pointee(None)),
            log: Arc::new(ArcSwap::from_pointee(None)),
            counters: Arc::clone(&counters),
        };
        let addresses = sockets.addresses().to_vec();
        let server = sockets.start(&shared, TCP)?;
        Ok(DirectoryServer { counters, server: Mutex::new(Some(server)), addresses })
    }

    /// Where it answers.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What has happened.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Ends: what has come is answered. Waits for its threads.
    pub fn end(&self) {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(server) = server {
            server.end();
        }
    }
}

/// As the responder's, by default.
const TCP: TcpLimits =
    TcpLimits { idle: Duration::from_secs(10), connections: 1000, connections_per_source: 50 };
