//! What can be asked of the registry, and what came of it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fulcrum_model::{InstanceId, Registration, Weight};

use super::instance::{Epoch, Hold, Incarnation, Instance, Key, Overlay, Principal, Sequence};
use super::roster::Entry;
use crate::lease::Lease;

/// A wish for a change.
#[derive(Clone, Debug)]
pub enum Command {
    /// An instance says that it is there.
    Register(Register),
    /// An instance leaves, or is made to.
    Leave(Leave),
    /// An operator says what an instance shall do; `None` leaves it to itself.
    Order {
        /// Which one.
        key: Key,
        /// What it shall do.
        overlay: Option<Overlay>,
        /// What the operator may order.
        may_order: MayOrder,
    },
    /// A heartbeat says what an instance weighs.
    Weigh {
        /// Which one.
        key: Key,
        /// Of this registration, none else.
        epoch: Epoch,
        /// From now on.
        weight: Weight,
    },
    /// An instance whose lease has run out is kept, or is heard of again.
    Suspect {
        /// Which one.
        key: Key,
        /// Of this registration, none else.
        epoch: Epoch,
        /// Why it is kept; `None` when it is heard of again.
        hold: Option<Hold>,
    },
    /// An instance whose lease has run out goes.
    Evict(Eviction),
    /// What has an end and has reached it ends.
    Tidy,
}

/// A registration.
#[derive(Clone, Debug)]
pub struct Register {
    /// Which instance.
    pub key: Key,
    /// What it says of itself.
    pub registration: Registration,
    /// The process that says so.
    pub incarnation: Incarnation,
    /// Who says so.
    pub principal: Principal,
    /// The registration number that the process believes to have: it must not have been replaced.
    pub epoch: Option<Epoch>,
    /// What must hold for it to be done.
    pub expected: Expected,
}

/// A departure.
#[derive(Clone, Debug)]
pub struct Leave {
    /// Which instance.
    pub key: Key,
    /// Only if this is its registration number.
    pub epoch: Option<Epoch>,
    /// It may finish what it has first, for so long; `None`: it goes at once.
    pub drain: Option<Duration>,
    /// Who says so.
    pub principal: Principal,
    /// Whose instances that may be.
    pub may_touch: MayTouch,
}

/// Whose instances a principal may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MayTouch {
    /// Those it registered.
    Own,
    /// Any.
    All,
}

/// What a principal may order of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MayOrder {
    /// A weight, of an instance that no order drains or takes out: it would take work again.
    Weight,
    /// Anything.
    All,
}

/// A removal for want of heartbeats.
#[derive(Clone, Debug)]
pub struct Eviction {
    /// Which instance.
    pub key: Key,
    /// Of this registration, none else.
    pub epoch: Epoch,
    /// On what evidence.
    pub evidence: Evidence,
}

/// What speaks for it that an instance without heartbeats is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// It cannot be reached, and most others can.
    Unreachable,
    /// Nobody looks, and it has been silent for long.
    LongSilence,
    /// Only that it is silent.
    Silence,
}

/// What a caller wants to be true before its change is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    #[default]
    Anything,
    /// The instance is not registered.
    Absent,
    /// The instance is registered.
    Present,
    /// The instance is as it was after this event.
    At(Sequence),
}

impl Expected {
    pub(super) fn check(self, found: Option<Sequence>) -> Result<(), Refusal> {
        let holds = match self {
            Expected::Anything => true,
            Expected::Absent => found.is_none(),
            Expected::Present => found.is_some(),
            Expected::At(sequence) => found == Some(sequence),
        };
        if holds { Ok(()) } else { Err(Refusal::NotAsExpected { found }) }
    }
}

/// Why a command was not done. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such instance.
    #[error("no such instance is registered")]
    Unknown,
    /// The instance was registered anew.
    #[error("the instance was registered anew: its epoch is {}", .current.0)]
    StaleEpoch {
        /// Its registration number now.
        current: Epoch,
    },
    /// Someone else registered it.
    #[error("the instance was registered by someone else")]
    NotYours,
    /// An order drains it or takes it out, and the caller may order weights only.
    #[error("an order drains the instance or takes it out: to change that needs the grant `drain`")]
    IsOut,
    /// It is not as the caller believes.
    #[error("the instance is not as expected")]
    NotAsExpected {
        /// Its last change; `None` when it is not registered.
        found: Option<Sequence>,
    },
    /// An end that lies in the past.
    #[error("the end of the order lies in the past")]
    Past,
    /// There is room for no more.
    #[error("the registry is full: it holds {most} {of} at most")]
    Full {
        /// How many it holds.
        most: usize,
        /// Of what.
        of: Room,
    },
}

/// What there is only so much room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Instances.
    Instances,
    /// Instances that one registers, so that others find room.
    InstancesOfOne,
    /// Services.
    Services,
    /// Texts of instances, in bytes.
    Texts,
    /// Texts of instances that one registers, in bytes.
    TextsOfOne,
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Room::Instances => "instances",
            Room::InstancesOfOne => "instances of one token",
            Room::Services => "services",
            Room::Texts => "bytes of tags, meta and other texts",
            Room::TextsOfOne => "bytes of tags, meta and other texts of one token",
        })
    }
}

/// What came of a command.
#[derive(Debug)]
pub struct Done {
    /// In their order; none when everything was so already.
    pub changes: Vec<Change>,
    /// The instance that it was about, as it is now, or was before it went.
    pub instance: Option<Arc<Instance>>,
}

impl Done {
    pub(super) fn unchanged(instance: Arc<Instance>) -> Self {
        Done { changes: Vec::new(), instance: Some(instance) }
    }

    pub(super) fn nothing() -> Self {
        Done { changes: Vec::new(), instance: None }
    }
}

/// One event.
#[derive(Debug)]
pub struct Change {
    /// Its number.
    pub sequence: Sequence,
    /// Whom it is about.
    pub key: Key,
    /// As it was.
    pub before: Option<Arc<Instance>>,
    /// As it is.
    pub after: Option<Arc<Instance>>,
    /// Why.
    pub cause: Cause,
    pub(super) entry_before: Option<Entry>,
    pub(super) index_before: Sequence,
    pub(super) removal: Removal,
}

impl Change {
    /// Whether heartbeats have said it, or their silence: the next ones do so again, and nothing of it need be kept.
    pub fn is_of_heartbeats(&self) -> bool {
        matches!(self.cause, Cause::Lease | Cause::Reported)
    }

    /// Whether the instance came to this lease by it.
    pub fn has_new_lease(&self, lease: &Arc<Lease>) -> bool {
        self.after.is_some()
            && self.entry_before.as_ref().is_none_or(|entry| !Arc::ptr_eq(&entry.lease, lease))
    }

    /// Whether a registration number was given out with it.
    pub fn begins_epoch(&self) -> bool {
        let before = self.before.as_ref().map(|instance| instance.epoch);
        self.after.as_ref().is_some_and(|instance| Some(instance.epoch) != before)
    }

    /// What is remembered of an instance that has gone.
    pub fn departure(&self) -> Option<&Departure> {
        match &self.removal {
            Removal::Left(departure) => Some(departure),
            Removal::None | Removal::Returned(_) => None,
        }
    }
}

/// What a change did to the memory of who has gone.
#[derive(Clone, Debug)]
pub(super) enum Removal {
    None,
    Left(Departure),
    Returned(Departure),
}

/// Who has gone, as far as it must be remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Its name.
    pub id: InstanceId,
    /// Its last registration number.
    pub epoch: Epoch,
    /// When it went.
    pub at: SystemTime,
    /// What an operator had ordered.
    pub overlay: Option<Box<Overlay>>,
}

/// Why something has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An instance has registered, anew or with something else to say.
    Registered {
        /// Who said so.
        by: Principal,
    },
    /// An instance leaves.
    Left {
        /// Who said so.
        by: Principal,
    },
    /// It had left, and its time to finish is over.
    Drained,
    /// An operator has said something.
    Ordered,
    /// What an operator said has reached its end.
    OrderEnded,
    /// Its heartbeats say something else of it than before: its weight.
    Reported,
    /// Its lease has run out, or it is heard of again.
    Lease,
    /// It was removed for want of heartbeats.
    Evicted(Evidence),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Registered { .. } => "registered",
            Cause::Left { .. } => "left",
            Cause::Drained => "drained",
            Cause::Ordered => "ordered",
            Cause::OrderEnded => "order_ended",
            Cause::Reported => "reported",
            Cause::Lease => "lease",
            Cause::Evicted(Evidence::Unreachable) => "evicted_unreachable",
            Cause::Evicted(Evidence::LongSilence) => "evicted_long_silence",
            Cause::Evicted(Evidence::Silence) => "evicted_silence",
        })
    }
}
