//! The services of the registry as names of the DNS: who answers, and who keeps the answers at what is registered.

mod follow;
mod metrics;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use fulcrum_config::RegistryDns;
use fulcrum_control_plane::registry::Registry;
use fulcrum_data_plane::DataPlane;
use fulcrum_gslb::directory::{Directory, DirectoryServer};
use fulcrum_gslb::server::{BindError, Sockets};
use tokio::task::JoinHandle;

use super::random_seed;

pub(crate) use self::metrics::DnsMetrics;

/// Sockets that are bound; nothing is answered yet.
#[derive(Debug)]
pub(super) struct PreparedDns {
    sockets: Sockets,
    config: RegistryDns,
}

/// Names that are answered.
pub(super) struct Dns {
    server: Arc<DirectoryServer>,
    directory: Arc<Directory>,
    follower: JoinHandle<()>,
}

impl PreparedDns {
    pub(super) fn bind(config: &RegistryDns) -> Result<Self, BindError> {
        Ok(PreparedDns { sockets: Sockets::bind_for(1, &config.bind)?, config: config.clone() })
    }

    /// Begins to answer: from the first moment on with everything that is registered.
    pub(super) fn start(self, registry: &Arc<Registry>, data_plane: &Arc<DataPlane>) -> io::Result<Dns> {
        let PreparedDns { sockets, config } = self;
        // Of an address that stands for all there is nothing to tell.
        let servers: Vec<IpAddr> = config
            .bind
            .iter()
            .map(|bind| bind.address.ip())
            .filter(|address| !address.is_unspecified())
            .collect();
        let directory = Directory::new(&config.domain, config.ttl, &servers)
            .map_err(|error| io::Error::other(error.to_string()))?;
        let directory = Arc::new(directory);
        let follower = follow::Follower::new(registry, &directory, data_plane)?;
        let key = [random_seed().to_ne_bytes(), random_seed().rotate_left(32).to_ne_bytes()].concat();
        let server =
            DirectoryServer::start(Arc::clone(&directory), sockets, key.try_into().unwrap_or_default())?;
        let follower = tokio::spawn(follower.run());
        Ok(Dns { server: Arc::new(server), directory, follower })
    }
}

impl Dns {
    /// Where it answers.
    pub(super) fn addresses(&self) -> &[SocketAddr] {
        self.server.addresses()
    }

    /// What is counted.
    pub(super) fn collector(&self) -> Result<DnsMetrics, prometheus::Error> {
        DnsMetrics::new(&self.server, &self.directory)
    }

    /// Ends: what has come is answered.
    pub(super) async fn end(self) {
        self.follower.abort();
        let _ = self.follower.await;
        let server = self.server;
        // It waits for its threads.
        let _ = tokio::task::spawn_blocking(move || server.end()).await;
    }
}
