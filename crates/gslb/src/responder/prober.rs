//! One target is checked, again and again.

use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use fulcrum_config::HealthCheck;

use super::Outside;
use super::checked::Target;
use super::state::State;
use crate::verdict::Now;

/// Checks one target for ever.
pub(super) struct Prober {
    pub(super) target: Target,
    pub(super) check: Arc<HealthCheck>,
    pub(super) state: Arc<Mutex<State>>,
    pub(super) outside: Outside,
    pub(super) began: Instant,
}

impl Prober {
    pub(super) async fn run(self) {
        // The checks of all targets are spread over the interval.
        let spread = foldhash::fast::FixedState::default().hash_one(self.target) >> 32;
        tokio::time::sleep(self.check.interval.mul_f64(spread as f64 / (1u64 << 32) as f64)).await;
        let mut ticks = tokio::time::interval(self.check.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let port = self.check.port.map_or(0, std::num::NonZeroU16::get);
        let address = SocketAddr::new(self.target.0, port);
        loop {
            ticks.tick().await;
            let probe = (self.outside.probe)(address, Arc::clone(&self.check));
            let outcome = match tokio::time::timeout(self.check.timeout, probe).await {
                Ok(outcome) => outcome,
                Err(_) => Err(format!("the check took longer than {:?}", self.check.timeout)),
            };
            let now = Now { clock: self.began.elapsed(), wall: SystemTime::now() };
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.checked(self.target, outcome, now);
        }
    }
}
