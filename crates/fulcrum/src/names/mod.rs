//! Host names of the configuration, resolved by the control plane for the data plane.

mod metrics;

use std::sync::Arc;
use std::time::SystemTime;

use fulcrum_control_plane::discovery::dns::{NameStatus, Resolver};
use fulcrum_data_plane::DataPlane;
use prometheus::core::Collector;
use tokio::sync::mpsc;

use self::metrics::NameMetrics;
use crate::admin::HostNameStatus;
use crate::generations;
use fulcrum_control_plane::timestamp::Timestamp;

/// The host names of whatever configuration is in force, and what is known of them.
#[derive(Clone, Debug)]
pub(crate) struct HostNames {
    resolver: Arc<Resolver>,
}

impl HostNames {
    /// Keeps them resolved from now on. Needs a tokio runtime.
    pub(crate) fn start(data_plane: &Arc<DataPlane>) -> Self {
        let (found, mut told) = mpsc::unbounded_channel();
        let resolver = Arc::new(Resolver::start(move |name, addresses| {
            // The receiver lives as long as the resolver.
            let _ = found.send((name.to_owned(), addresses.to_vec()));
        }));
        let informed = Arc::clone(data_plane);
        // In their order, on a thread of its own: it waits for a reload that is being prepared.
        tokio::task::spawn_blocking(move || {
            while let Some((name, addresses)) = told.blocking_recv() {
                informed.resolved(&name, &addresses);
            }
        });
        let follower = Arc::clone(&resolver);
        tokio::spawn(generations::follow(Arc::clone(data_plane), DataPlane::host_names, move |names| {
            follower.follow(&names);
        }));
        HostNames { resolver }
    }

    /// What is known of each of them.
    pub(crate) fn known(&self) -> Vec<NameStatus> {
        self.resolver.status()
    }

    /// A look at each of them.
    pub(crate) fn status(&self) -> Vec<HostNameStatus> {
        let now = SystemTime::now();
        self.resolver.status().iter().map(|name| HostNameStatus::at(now, name)).collect()
    }

    /// What is counted of them.
    pub(crate) fn collector(&self) -> Result<Box<dyn Collector>, prometheus::Error> {
        Ok(Box::new(NameMetrics::new(Arc::clone(&self.resolver))?))
    }
}

impl HostNameStatus {
    fn at(now: SystemTime, name: &NameStatus) -> Self {
        HostNameStatus {
            name: name.name.to_string(),
            addresses: name.addresses.iter().map(ToString::to_string).collect(),
            last_answer: name.last_answer.and_then(|ago| now.checked_sub(ago)).map(Timestamp),
            last_failure: name.last_failure.map(|failure| failure.as_str().to_owned()),
            failures: name.failures,
        }
    }
}
