//! One address of a service as the data plane sees it, shared by all workers.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use fulcrum_balance::Share;
use fulcrum_balance::slow_start::ramp;
use fulcrum_model::{Address, EndpointId};

use crate::elsewhere::Elsewhere;
use crate::service::{Panic, Standing};
use crate::timer::Millis;

/// What every worker must see of an endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Unlike that of any other endpoint of the process.
    pub(crate) serial: u64,
    pub(crate) id: EndpointId,
    pub(crate) address: Address,
    /// The balancer compares what all workers have under way: the one number that requests share.
    in_flight: CachePadded<AtomicU32>,
    /// Attempts that failed a moment ago.
    penalties: AtomicU32,
    /// Upstream connections, busy and idle.
    connections: AtomicU32,
    /// What is against sending requests here, for everyone who picks.
    gate: AtomicU8,
    /// Requests that it may have of us at a time.
    places: AtomicU32,
    /// Requests that others have here.
    pub(crate) elsewhere: Elsewhere,
    /// Since when it is warming up, in milliseconds.
    warm_since: AtomicU64,
    /// Failed attempts since the last good answer.
    errors_in_row: AtomicU32,
    used: AtomicBool,
    removed: AtomicBool,
    /// A connection was refused since the last one that was made.
    refused: AtomicBool,
    /// Why the gate is as it is.
    standing: Mutex<Standing>,
}

/// What is against sending requests to an endpoint; nothing, usually.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gate(u8);

impl Gate {
    pub(crate) const OPEN: Gate = Gate(0);
    /// Existing work only.
    pub(crate) const DRAINING: Gate = Gate(1);
    /// No work at all.
    pub(crate) const MAINTENANCE: Gate = Gate(2);
    /// Its health check fails.
    pub(crate) const DOWN: Gate = Gate(4);
    /// Its health check has said nothing yet.
    pub(crate) const UNKNOWN: Gate = Gate(8);
    /// Too many attempts failed in a row.
    pub(crate) const EJECTED: Gate = Gate(16);
    /// It refuses connections.
    pub(crate) const UNREACHABLE: Gate = Gate(32);
    /// It has become healthy a moment ago.
    pub(crate) const WARMING: Gate = Gate(64);

    pub(crate) fn with(self, more: Gate) -> Gate {
        Gate(self.0 | more.0)
    }

    pub(crate) fn has(self, any: Gate) -> bool {
        self.0 & any.0 != 0
    }

    /// Whether an operator has taken it out of new work.
    pub(crate) fn is_withdrawn(self) -> bool {
        self.has(Gate::DRAINING.with(Gate::MAINTENANCE))
    }

    /// Whether nothing is known against it.
    pub(crate) fn is_healthy(self) -> bool {
        !self.has(Gate::DOWN.with(Gate::UNKNOWN).with(Gate::EJECTED).with(Gate::UNREACHABLE))
    }

    /// Whether nothing stands against it, but that it may still be warming up.
    pub(crate) fn lets_new_requests(self) -> bool {
        !Gate::BY_WEIGHT.iter().any(|gate| *gate != Gate::WARMING && self.has(*gate))
    }

    /// The word for it: what matters most.
    pub(crate) fn word(self) -> &'static str {
        let by_weight = Gate::BY_WEIGHT.iter().zip(Gate::WORDS);
        let mut found = by_weight.filter(|(gate, _)| self.has(**gate)).map(|(_, word)| word);
        found.next().unwrap_or(Gate::WORDS[Gate::BY_WEIGHT.len()])
    }

    /// All that can be against an endpoint; what matters most first.
    const BY_WEIGHT: [Gate; 7] = [
        Gate::MAINTENANCE,
        Gate::DRAINING,
        Gate::UNREACHABLE,
        Gate::DOWN,
        Gate::EJECTED,
        Gate::UNKNOWN,
        Gate::WARMING,
    ];

    /// Their words, and the one for nothing.
    pub(crate) const WORDS: [&'static str; 8] =
        ["maintenance", "draining", "unreachable", "down", "ejected", "unknown", "starting", "up"];
}

impl Endpoint {
    pub(crate) fn new(id: EndpointId, address: Address, standing: Standing) -> Self {
        let gate = standing.gate(Duration::ZERO);
        Endpoint {
            serial: NEXT_SERIAL.fetch_add(1, Ordering::Relaxed),
            id,
            address,
            in_flight: CachePadded::new(AtomicU32::new(0)),
            penalties: AtomicU32::new(0),
            connections: AtomicU32::new(0),
            gate: AtomicU8::new(gate.0),
            places: AtomicU32::new(LIMITLESS),
            elsewhere: Elsewhere::default(),
            warm_since: AtomicU64::new(0),
            errors_in_row: AtomicU32::new(0),
            used: AtomicBool::new(false),
            removed: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            standing: Mutex::new(standing),
        }
    }

    /// Requests at this endpoint now, over all workers.
    pub(crate) fn in_flight(&self) -> u32 {
        // In one order with those who begin to wait for a place.
        self.in_flight.load(Ordering::SeqCst)
    }

    /// How busy it seems: the endpoint that fails fastest must not look idle, and others may send requests here, too.
    pub(crate) fn load(&self, now: Millis) -> u32 {
        let ours = self.in_flight() + self.penalties.load(Ordering::Relaxed);
        // An instance may report whatever it likes.
        ours.saturating_add(self.elsewhere.at(now))
    }

    /// Requests that it may have of us at a time; nothing when that has no limit.
    pub(crate) fn limit(&self) -> Option<u32> {
        Some(self.places.load(Ordering::Relaxed)).filter(|&places| places != LIMITLESS)
    }

    /// From now on it may have so many. Those that are there already end.
    pub(crate) fn set_places(&self, places: u32) {
        self.places.store(places, Ordering::Relaxed);
    }

    /// Whether it has no place free.
    pub(crate) fn is_full(&self) -> bool {
        self.limit().is_some_and(|limit| self.in_flight() >= limit)
    }

    /// Whether it has more requests than it may: its limit was larger before.
    pub(crate) fn is_over_full(&self) -> bool {
        self.limit().is_some_and(|limit| self.in_flight() > limit)
    }

    /// A request begins, unless every place is taken; [`finished`](Self::finished) ends it.
    pub(crate) fn try_start(&self) -> bool {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        let most = self.places.load(Ordering::Relaxed);
        if most == LIMITLESS {
            self.in_flight.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        let more = |count| (count < most).then_some(count + 1);
        self.in_flight.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
    }

    pub(crate) fn finished(&self) {
        // In one order with those who begin to wait for it.
        let before = self.in_flight.fetch_sub(1, Ordering::SeqCst);
        debug_assert!(before > 0, "every end has a beginning");
    }

    pub(crate) fn penalize(&self) {
        self.penalties.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn forgive(&self) {
        self.penalties.fetch_sub(1, Ordering::Relaxed);
    }

    /// Another connection is made, unless there are `most` already; [`disconnected`](Self::disconnected) ends it.
    pub(crate) fn try_connect(&self, most: u32) -> bool {
        let more = |count| (count < most).then_some(count + 1);
        self.connections.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    pub(crate) fn disconnected(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Upstream connections, busy and idle.
    pub(crate) fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    /// An attempt was answered: costs a load, unless the one before failed.
    pub(crate) fn answered(&self) {
        if self.errors_in_row.load(Ordering::Relaxed) != 0 {
            self.errors_in_row.store(0, Ordering::Relaxed);
        }
    }

    /// An attempt has failed; returns how many in a row.
    pub(crate) fn failed(&self) -> u32 {
        self.errors_in_row.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// It has refused a connection.
    pub(crate) fn refused(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// It has accepted a connection; whether it had refused one before.
    pub(crate) fn accepted(&self) -> bool {
        self.refused.load(Ordering::Relaxed) && self.refused.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn gate(&self) -> Gate {
        Gate(self.gate.load(Ordering::Relaxed))
    }

    /// The part of its draws that this endpoint accepts now.
    pub(crate) fn share(&self, panic: Panic, now: Millis, slow_start: Duration) -> Share {
        let gate = self.gate();
        if gate == Gate::OPEN {
            return Share::FULL;
        }
        if gate.is_withdrawn() {
            return Share::NONE;
        }
        if !gate.is_healthy() {
            return if panic.admits(gate) { Share::FULL } else { Share::NONE };
        }
        let since = Duration::from_millis(now.saturating_sub(self.warm_since.load(Ordering::Relaxed)));
        ramp(since, slow_start)
    }

    /// Whether a client that belongs here is still served here.
    pub(crate) fn honours_pins(&self, panic: Panic) -> bool {
        let gate = self.gate();
        !gate.has(Gate::MAINTENANCE) && (gate.is_healthy() || panic.admits(gate))
    }

    pub(crate) fn standing(&self) -> MutexGuard<'_, Standing> {
        // Each change of it is one assignment.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows everyone what has become of it. For its service, which counts.
    pub(crate) fn show(&self, gate: Gate, warm_since: Duration) {
        self.warm_since.store(u64::try_from(warm_since.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.gate.store(gate.0, Ordering::Relaxed);
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

/// As many as come.
pub(crate) const LIMITLESS: u32 = u32::MAX;

static NEXT_SERIAL: AtomicU64 = AtomicU64::new(0);
