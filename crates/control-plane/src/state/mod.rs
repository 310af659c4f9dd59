//! What the registry knows: one value, changed by one writer, command by command.
//!
//! ```text
//!   Command ─► State::apply ─► changes ─► store ─► watchers, leases
//!                   ▲                       │
//!                   └────── undo ◄──────────┘ (the store could not keep them)
//! ```
//!
//! Pure: no clock, no disk, nobody who waits. The same commands at the same times give the same state.

mod command;
mod ends;
mod instance;
mod register;
mod roster;
mod service;
mod tally;
#[cfg(test)]
pub(crate) mod testing;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fulcrum_model::{ServiceName, Weight};

use crate::lease::Lease;
use service::Service;
use tally::Tally;

use command::Removal;
pub use command::{
    Cause, Change, Command, Departure, Done, Eviction, Evidence, Expected, Leave, MayOrder, MayTouch,
    Refusal, Register, Room,
};
pub use instance::{
    Epoch, Hold, Incarnation, Instance, Key, Overlay, OverlayState, Principal, Sequence, Stage,
};
pub use roster::{Entry, Iter, Roster};

/// When a command is applied.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// By the lease clock.
    pub lease: Duration,
    /// By the wall clock: to show, and for what an operator has given a date.
    pub wall: SystemTime,
}

/// How much a registry holds at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Instances of all services together.
    pub instances: usize,
    /// Services that have or had an instance a while ago.
    pub services: usize,
    /// What tags, meta and other texts of all instances take, in bytes.
    pub texts: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { instances: 2_000_000, services: 100_000, texts: 1 << 30 }
    }
}

/// Everything that is registered.
#[derive(Debug, Default)]
pub struct State {
    services: HashMap<ServiceName, Service>,
    tally: Tally,
    /// When something of an instance ends, or did before its last change.
    ends: BTreeSet<(SystemTime, Key)>,
    sequence: Sequence,
    bounds: Bounds,
}

impl State {
    /// An empty registry whose events are numbered from the one after `sequence`.
    pub fn new(sequence: Sequence, bounds: Bounds) -> Self {
        State { sequence, bounds, ..State::default() }
    }

    /// Does what the command says, or nothing.
    ///
    /// # Errors
    /// Why nothing was done.
    pub fn apply(&mut self, command: Command, now: Now) -> Result<Done, Refusal> {
        match command {
            Command::Register(register) => self.register(register, now),
            Command::Leave(leave) => self.leave(&leave, now),
            Command::Order { key, overlay, may_order } => self.order(&key, overlay, may_order, now),
            Command::Weigh { key, epoch, weight } => Ok(self.weigh(&key, epoch, weight)),
            Command::Suspect { key, epoch, hold } => Ok(self.suspect(&key, epoch, hold)),
            Command::Evict(eviction) => Ok(self.evict(&eviction, now)),
            Command::Tidy => Ok(self.tidy(now)),
        }
    }

    /// Takes changes back, the last one first: nobody must have seen them.
    pub fn undo(&mut self, changes: Vec<Change>) {
        for change in changes.into_iter().rev() {
            debug_assert_eq!(change.sequence, self.sequence, "changes are undone in their order");
            self.sequence = Sequence(change.sequence.0 - 1);
            let service = self.services.get_mut(&change.key.service).expect("it has had a change");
            match &change.removal {
                Removal::None => {}
                Removal::Left(departed) => service.forget(departed),
                Removal::Returned(departed) => service.remember(departed.clone()),
            }
            service.index = change.index_before;
            let before = change.entry_before.clone();
            let undone = if let Some(entry) = change.entry_before {
                service.instances.insert(entry)
            } else {
                service.instances.remove(&change.key.id)
            };
            self.tally.replace(undone.as_ref(), before.as_ref());
            if let Some(before) = &change.before {
                self.note_ends(before);
            }
        }
    }

    /// Puts back what a store has kept, whose events are all before those of this state. Its lease begins now.
    pub fn restore(&mut self, mut instance: Instance, now: Now) -> Arc<Lease> {
        instance.key = self.shared(instance.key);
        debug_assert!(instance.sequence <= self.sequence, "numbers are reserved before they are given out");
        let lease = Arc::new(Lease::new(instance.epoch.0, instance.ttl(), now.lease));
        let service = self.services.entry(instance.key.service.clone()).or_default();
        service.share(&mut instance.registration.traits);
        // Nobody knows which numbers were told of a service before.
        service.index = self.sequence;
        let instance = Arc::new(instance);
        let entry = Entry { instance: Arc::clone(&instance), lease: Arc::clone(&lease) };
        let entry_before = service.instances.insert(entry.clone());
        self.tally.replace(entry_before.as_ref(), Some(&entry));
        self.note_ends(&instance);
        lease
    }

    /// Puts back the memory of who has gone.
    pub fn remember(&mut self, service: ServiceName, departure: Departure) {
        self.services.entry(service).or_default().remember(departure);
    }

    /// What is still remembered of who has gone.
    pub fn departure(&self, key: &Key) -> Option<&Departure> {
        self.services.get(&key.service)?.departed.get(&key.id)
    }

    /// Who has gone and is still remembered, in no order.
    pub fn departed(&self) -> impl Iterator<Item = Key> {
        self.services.iter().flat_map(|(name, service)| {
            service.departed.keys().map(|id| Key { service: name.clone(), id: id.clone() })
        })
    }

    /// The last change of a service; nothing when nothing is remembered of it.
    pub fn index(&self, service: &ServiceName) -> Option<Sequence> {
        self.services.get(service).map(|service| service.index)
    }

    /// The last event.
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// Instances of all services.
    pub fn len(&self) -> usize {
        self.tally.all().instances
    }

    /// Whether nothing is registered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The longest time-to-live of any instance; zero without instances.
    pub fn longest_ttl(&self) -> Duration {
        self.tally.longest_ttl()
    }

    /// An instance and its lease.
    pub fn find(&self, key: &Key) -> Option<(&Arc<Instance>, &Arc<Lease>)> {
        let entry = self.services.get(&key.service)?.instances.find(&key.id)?;
        Some((&entry.instance, &entry.lease))
    }

    /// The instances of a service; `None` when nothing is remembered of it.
    pub fn roster(&self, service: &ServiceName) -> Option<&Roster> {
        self.services.get(service).map(|service| &service.instances)
    }

    /// The instances of a service, by id.
    pub fn instances(&self, service: &ServiceName) -> impl Iterator<Item = (&Arc<Instance>, &Arc<Lease>)> {
        self.roster(service).into_iter().flatten().map(|entry| (&entry.instance, &entry.lease))
    }

    /// All instances, in no order.
    pub fn all(&self) -> impl Iterator<Item = (&Arc<Instance>, &Arc<Lease>)> {
        let entries = self.services.values().flat_map(|service| &service.instances);
        entries.map(|entry| (&entry.instance, &entry.lease))
    }

    /// How many instances a service has.
    pub fn count(&self, service: &ServiceName) -> usize {
        self.services.get(service).map_or(0, |service| service.instances.len())
    }

    /// Services that have or had an instance, in no order, with the sequence of their last change.
    pub fn services(&self) -> impl Iterator<Item = (&ServiceName, Sequence)> {
        self.services.iter().map(|(name, service)| (name, service.index))
    }

    fn leave(&mut self, leave: &Leave, now: Now) -> Result<Done, Refusal> {
        let Leave { key, epoch, drain, principal, may_touch } = leave;
        let (instance, lease) = self.find(key).ok_or(Refusal::Unknown)?;
        if epoch.is_some_and(|epoch| epoch != instance.epoch) {
            return Err(Refusal::StaleEpoch { current: instance.epoch });
        }
        if *may_touch == MayTouch::Own && instance.owner != *principal {
            return Err(Refusal::NotYours);
        }
        let cause = Cause::Left { by: self.tally.shared(principal) };
        let Some(drain) = drain else { return Ok(self.remove(key, cause, now)) };
        let until = now.wall.checked_add(*drain).unwrap_or(now.wall);
        if instance.drain_until.is_some_and(|earlier| earlier <= until) {
            return Ok(Done::unchanged(Arc::clone(instance)));
        }
        let lease = Arc::clone(lease);
        let changed =
            Instance { drain_until: Some(until), sequence: self.next_sequence(), ..(**instance).clone() };
        Ok(self.put(changed, lease, Removal::None, cause))
    }

    fn order(
        &mut self,
        key: &Key,
        overlay: Option<Overlay>,
        may_order: MayOrder,
        now: Now,
    ) -> Result<Done, Refusal> {
        let (instance, lease) = self.find(key).ok_or(Refusal::Unknown)?;
        let overlay = overlay.map(Box::new);
        if may_order == MayOrder::Weight
            && instance.overlay.as_ref().is_some_and(|order| order.state.is_some())
        {
            return Err(Refusal::IsOut);
        }
        if instance.overlay == overlay {
            return Ok(Done::unchanged(Arc::clone(instance)));
        }
        if overlay.as_ref().and_then(|overlay| overlay.until).is_some_and(|until| until <= now.wall) {
            return Err(Refusal::Past);
        }
        let lease = Arc::clone(lease);
        let changed = Instance { overlay, sequence: self.next_sequence(), ..(**instance).clone() };
        Ok(self.put(changed, lease, Removal::None, Cause::Ordered))
    }

    /// Gives an instance the weight that it says it has.
    fn weigh(&mut self, key: &Key, epoch: Epoch, weight: Weight) -> Done {
        let Some((instance, lease)) = self.find(key) else { return Done::nothing() };
        let said_weight = Some(weight).filter(|weight| *weight != instance.registration.weight);
        if instance.epoch != epoch || instance.said_weight == said_weight {
            return Done::nothing();
        }
        let lease = Arc::clone(lease);
        let changed = Instance { said_weight, sequence: self.next_sequence(), ..(**instance).clone() };
        self.put(changed, lease, Removal::None, Cause::Reported)
    }

    /// Marks an instance whose lease has run out, or clears the mark.
    fn suspect(&mut self, key: &Key, epoch: Epoch, hold: Option<Hold>) -> Done {
        let Some((instance, lease)) = self.find(key) else { return Done::nothing() };
        if instance.epoch != epoch || instance.suspect == hold {
            return Done::nothing();
        }
        let lease = Arc::clone(lease);
        let changed = Instance { suspect: hold, sequence: self.next_sequence(), ..(**instance).clone() };
        self.put(changed, lease, Removal::None, Cause::Lease)
    }

    /// Removes an instance whose lease has run out, unless a heartbeat or another registration came before.
    fn evict(&mut self, eviction: &Eviction, now: Now) -> Done {
        let Some((instance, lease)) = self.find(&eviction.key) else { return Done::nothing() };
        if instance.epoch != eviction.epoch || !lease.is_lapsed(now.lease) {
            return Done::nothing();
        }
        self.remove(&eviction.key, Cause::Evicted(eviction.evidence), now)
    }

    fn next_sequence(&self) -> Sequence {
        Sequence(self.sequence.0 + 1)
    }

    fn put(&mut self, instance: Instance, lease: Arc<Lease>, removal: Removal, cause: Cause) -> Done {
        let key = instance.key.clone();
        self.note_ends(&instance);
        let instance = Arc::new(instance);
        let entry = Entry { instance: Arc::clone(&instance), lease };
        let service = self.services.entry(key.service.clone()).or_default();
        if let Removal::Returned(departed) = &removal {
            service.forget(departed);
        }
        let entry_before = service.instances.insert(entry.clone());
        self.tally.replace(entry_before.as_ref(), Some(&entry));
        self.changed(key, entry_before, Some(instance), removal, cause)
    }

    fn remove(&mut self, key: &Key, cause: Cause, now: Now) -> Done {
        let service = self.services.get_mut(&key.service).expect("it was found");
        let entry = service.instances.remove(&key.id).expect("it was found");
        self.tally.replace(Some(&entry), None);
        let departed = Departure {
            id: key.id.clone(),
            epoch: entry.instance.epoch,
            at: now.wall,
            overlay: entry.instance.overlay.clone(),
        };
        service.remember(departed.clone());
        self.changed(key.clone(), Some(entry), None, Removal::Left(departed), cause)
    }

    fn changed(
        &mut self,
        key: Key,
        entry_before: Option<Entry>,
        after: Option<Arc<Instance>>,
        removal: Removal,
        cause: Cause,
    ) -> Done {
        self.sequence = self.next_sequence();
        let service = self.services.get_mut(&key.service).expect("it was changed");
        let index_before = std::mem::replace(&mut service.index, self.sequence);
        let change = Change {
            sequence: self.sequence,
            key,
            before: entry_before.as_ref().map(|entry| Arc::clone(&entry.instance)),
            after: after.clone(),
            cause,
            entry_before,
            index_before,
            removal,
        };
        Done { instance: after.or_else(|| change.before.clone()), changes: vec![change] }
    }
}

#[cfg(test)]
mod tests;
