//! One registered process, as everyone sees it at one moment.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fulcrum_model::{InstanceId, Registration, ServiceName, Weight, WeightSource};

/// The place of an event in the order of all events of a registry: 1, 2, 3 and so on, never going back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

/// The registration number of an instance: 1, and one more with each new incarnation. Whoever comes with an older one
/// has been replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// What tells a repeated registration from that of a new process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Incarnation(pub u128);

/// Who changes something, by the name of its token.
pub type Principal = Arc<str>;

/// An instance by its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The service it belongs to.
    pub service: ServiceName,
    /// Its name within the service.
    pub id: InstanceId,
}

impl Key {
    /// The same, with its id in memory anew. It was read where requests are served, among what is let go of soon: one id
    /// that stays there keeps pages of it.
    pub(super) fn copy(self) -> Self {
        Key { service: self.service, id: self.id.as_str().parse().expect("it is one") }
    }
}

/// A registered instance. Immutable: a change makes another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Its name.
    pub key: Key,
    /// Its registration number.
    pub epoch: Epoch,
    /// Of the process that registered.
    pub incarnation: Incarnation,
    /// Who registered it.
    pub owner: Principal,
    /// What it says of itself.
    pub registration: Registration,
    /// What it weighs, as its heartbeats say, where that is something else than its registration does. Never written
    /// down: the next heartbeat says it again.
    pub said_weight: Option<Weight>,
    /// When this epoch began.
    pub registered_at: SystemTime,
    /// It is leaving: until when it may finish what it has.
    pub drain_until: Option<SystemTime>,
    /// What an operator has ordered.
    pub overlay: Option<Box<Overlay>>,
    /// Its lease has run out, and it stays nevertheless.
    pub suspect: Option<Hold>,
    /// Its last change.
    pub sequence: Sequence,
}

/// An operator's word on an instance. It outlives registrations, and ends when cleared or at its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// What the instance shall do; `None` leaves that to itself.
    pub state: Option<OverlayState>,
    /// Instead of the weight that it gives itself.
    pub weight: Option<Weight>,
    /// Why, for whoever wonders.
    pub reason: String,
    /// When it ends by itself.
    pub until: Option<SystemTime>,
    /// Who said so.
    pub by: Principal,
}

/// What an operator can have an instance do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OverlayState {
    /// No new work; clients that belong to it are still served.
    Drain,
    /// No work at all.
    Maintenance,
}

/// Why an instance whose lease has run out is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hold {
    /// It passes its health check: only its heartbeats are missing.
    Reachable,
    /// Nobody knows whether it is reachable, and it is not known yet how many fell silent with it.
    TooEarly,
    /// Nobody knows whether it is reachable, and as many as may go without evidence have gone.
    EvictionCap,
    /// So many have fallen silent together that our own network is the likelier cause.
    MassLapse,
    /// It is the last of its service, and nothing proves that it is gone.
    LastInstance,
}

/// What an instance does, all in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// It takes work.
    Up,
    /// It takes no new work.
    Draining,
    /// An operator has taken it out.
    Maintenance,
}

impl Instance {
    /// What it does, all in all: an operator's word goes before its own.
    pub fn stage(&self) -> Stage {
        match self.overlay.as_ref().and_then(|overlay| overlay.state) {
            Some(OverlayState::Maintenance) => Stage::Maintenance,
            Some(OverlayState::Drain) => Stage::Draining,
            None if self.drain_until.is_some() => Stage::Draining,
            None => Stage::Up,
        }
    }

    /// Its share of traffic: an operator's word goes before its own.
    pub fn weight(&self) -> Weight {
        self.weight_and_source().0
    }

    /// Its share of traffic, and who has said so.
    pub fn weight_and_source(&self) -> (Weight, WeightSource) {
        match (self.overlay.as_ref().and_then(|overlay| overlay.weight), self.said_weight) {
            (Some(weight), _) => (weight, WeightSource::Order),
            (None, Some(weight)) => (weight, WeightSource::Heartbeat),
            (None, None) => (self.registration.weight, WeightSource::Discovery),
        }
    }

    /// When an operator's word on it ends.
    pub(super) fn overlay_until(&self) -> Option<SystemTime> {
        self.overlay.as_ref().and_then(|overlay| overlay.until)
    }

    /// How long it stays without heartbeats.
    pub fn ttl(&self) -> Duration {
        self.registration.ttl
    }
}

impl Hold {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Hold::Reachable => "reachable",
            Hold::TooEarly => "too_early",
            Hold::EvictionCap => "eviction_cap",
            Hold::MassLapse => "mass_lapse",
            Hold::LastInstance => "last_instance",
        }
    }
}

impl Stage {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Up => "up",
            Stage::Draining => "draining",
            Stage::Maintenance => "maintenance",
        }
    }
}
