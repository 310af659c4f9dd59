//! How the daemon ends: stop being ready, wait for others to notice, stop accepting, let requests finish.

use std::time::Duration;

use fulcrum_config::Shutdown;
use fulcrum_data_plane::DataPlane;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};

use crate::admin::Readiness;
use crate::signals::{Signal, Signals};

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drained {
    /// Every connection ended by itself.
    Clean,
    /// The deadline passed, or it was short: what is left is cut.
    Deadline,
    /// A second signal: end now.
    Forced,
}

/// Runs the whole sequence. A second signal at any point ends it.
pub(crate) async fn drain(
    data_plane: &DataPlane,
    readiness: &Readiness,
    config: &Shutdown,
    signals: &mut Signals,
) -> Drained {
    tokio::select! {
        biased;
        signal = second(signals, data_plane) => {
            tracing::warn!("{signal} again: ending at once");
            Drained::Forced
        }
        drained = sequence(data_plane, readiness, config) => drained,
    }
}

/// Waits for another signal that ends the daemon, and serves the others as far as they still make sense.
async fn second(signals: &mut Signals, data_plane: &DataPlane) -> Signal {
    loop {
        match signals.next().await {
            ending @ (Signal::Terminate | Signal::Interrupt) => return ending,
            Signal::Hangup => tracing::warn!("SIGHUP changes nothing any more: the daemon is ending"),
            Signal::User1 => data_plane.reopen_access_log(),
        }
    }
}

async fn sequence(data_plane: &DataPlane, readiness: &Readiness, config: &Shutdown) -> Drained {
    readiness.fail();
    // Load balancers before us see /readyz fail and send new work elsewhere while we still take it.
    sleep(config.pre_stop).await;
    data_plane.drain();
    tracing::info!(
        connections = data_plane.connections(),
        requests = data_plane.requests(),
        "draining for at most {:?}",
        config.deadline
    );
    match timeout_at(Instant::now() + config.deadline, idle(data_plane)).await {
        Ok(()) => Drained::Clean,
        Err(_) => {
            tracing::warn!(
                connections = data_plane.connections(),
                requests = data_plane.requests(),
                "the shutdown deadline has passed; what is left is cut"
            );
            Drained::Deadline
        }
    }
}

/// Waits until no downstream connection is open and none can come. Workers count for themselves and tell nobody, so this looks.
async fn idle(data_plane: &DataPlane) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !data_plane.is_idle() {
        ticks.tick().await;
    }
}

/// Short beside any deadline, long beside the cost of a look.
const LOOK_EVERY: Duration = Duration::from_millis(10);
