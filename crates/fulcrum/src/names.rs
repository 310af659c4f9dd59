//! Host names of the configuration, resolved by the control plane for the data plane.

use std::sync::Arc;
use std::time::Duration;

use fulcrum_control_plane::discovery::dns::Resolver;
use fulcrum_data_plane::DataPlane;
use tokio::sync::mpsc;
use tokio::time::interval;

/// Keeps the host names of whatever configuration is in force resolved, for ever.
pub(crate) async fn follow(data_plane: Arc<DataPlane>) {
    let (found, mut told) = mpsc::unbounded_channel();
    let resolver = Resolver::start(move |name, addresses| {
        // The receiver lives as long as the resolver.
        let _ = found.send((name.to_owned(), addresses.to_vec()));
    });
    let informed = Arc::clone(&data_plane);
    // In their order, on a thread of its own: it waits for a reload that is being prepared.
    tokio::task::spawn_blocking(move || {
        while let Some((name, addresses)) = told.blocking_recv() {
            informed.resolved(&name, &addresses);
        }
    });
    let mut looks = interval(LOOK);
    let mut followed = None;
    loop {
        looks.tick().await;
        let generation = data_plane.generation();
        if followed.replace(generation) != Some(generation) {
            let asked = Arc::clone(&data_plane);
            let Ok(names) = tokio::task::spawn_blocking(move || asked.host_names()).await else { continue };
            resolver.follow(&names);
        }
    }
}

/// How soon the names of a new generation are asked for.
const LOOK: Duration = Duration::from_millis(100);
