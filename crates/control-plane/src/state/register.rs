//! Registrations: of whoever is new, or comes back, or has something else to say.

use std::sync::Arc;

use fulcrum_model::Registration;

use super::command::{Cause, Done, Refusal, Register, Removal, Room};
use super::instance::{Epoch, Instance, Key, Principal};
use super::tally::Held;
use super::{Bounds, Now, State};
use crate::lease::Lease;

impl State {
    pub(super) fn register(&mut self, register: Register, now: Now) -> Result<Done, Refusal> {
        let Register { key, mut registration, incarnation, principal, epoch: believed, expected } = register;
        let (key, principal) = (self.shared(key.copy()), self.tally.shared(&principal));
        self.check_room(&key, &registration, &principal)?;
        let service = self.services.get(&key.service);
        let known = service.and_then(|service| service.instances.find(&key.id));
        expected.check(known.map(|entry| entry.instance.sequence))?;
        let departed = service.and_then(|service| service.departed.get(&key.id)).cloned();
        let last =
            known.map(|entry| entry.instance.epoch).or(departed.as_ref().map(|departed| departed.epoch));
        if let (Some(believed), Some(current)) = (believed, last)
            && believed < current
        {
            return Err(Refusal::StaleEpoch { current });
        }
        let mut epoch = departed.as_ref().map_or(Epoch(1), |departed| Epoch(departed.epoch.0 + 1));
        let mut registered_at = now.wall;
        let mut overlay = departed.as_ref().and_then(|departed| departed.overlay.clone());
        if let Some(entry) = known {
            let instance = &entry.instance;
            if instance.owner != principal {
                return Err(Refusal::NotYours);
            }
            if instance.incarnation == incarnation {
                if instance.registration == registration && instance.suspect.is_none() {
                    entry.lease.renew(now.lease);
                    return Ok(Done::unchanged(Arc::clone(instance)));
                }
                (epoch, registered_at) = (instance.epoch, instance.registered_at);
            } else {
                epoch = Epoch(instance.epoch.0 + 1);
            }
            overlay = instance.overlay.clone();
        }
        // A process that comes back under its old incarnation while it drains goes on draining.
        let drain_until =
            known.filter(|entry| entry.instance.epoch == epoch).and_then(|entry| entry.instance.drain_until);
        self.services.entry(key.service.clone()).or_default().share(&mut registration.traits);
        let lease = Arc::new(Lease::new(epoch.0, registration.ttl, now.lease));
        let instance = Instance {
            key,
            epoch,
            incarnation,
            owner: Arc::clone(&principal),
            registration,
            said_weight: None,
            registered_at,
            drain_until,
            overlay,
            suspect: None,
            sequence: self.next_sequence(),
        };
        let removal = departed.map_or(Removal::None, Removal::Returned);
        Ok(self.put(instance, lease, removal, Cause::Registered { by: principal }))
    }

    /// The same name, without a copy of that of the service.
    pub(super) fn shared(&self, key: Key) -> Key {
        let known = self.services.get_key_value(&key.service);
        Key { service: known.map_or(key.service, |(name, _)| name.clone()), id: key.id }
    }

    /// Nobody takes the last quarter of the room for instances, or for their texts, from all others.
    fn check_room(&self, key: &Key, new: &Registration, owner: &Principal) -> Result<(), Refusal> {
        let service = self.services.get(&key.service);
        if service.is_none() && self.services.len() >= self.bounds.services {
            return Err(Refusal::Full { most: self.bounds.services, of: Room::Services });
        }
        let before = service.and_then(|service| service.instances.find(&key.id)).map(|entry| &entry.instance);
        let more = usize::from(before.is_none());
        let texts = new.texts().saturating_sub(before.map_or(0, |before| before.registration.texts()));
        let fits = |held: Held, share: fn(usize) -> usize, of: [Room; 2]| {
            let Bounds { instances, texts: most, .. } = self.bounds;
            if more > 0 && held.instances >= share(instances) {
                return Err(Refusal::Full { most: share(instances), of: of[0] });
            }
            if texts > 0 && held.texts + texts > share(most) {
                return Err(Refusal::Full { most: share(most), of: of[1] });
            }
            Ok(())
        };
        fits(self.tally.all(), |all| all, [Room::Instances, Room::Texts])?;
        fits(self.tally.of(owner), |all| all - all / 4, [Room::InstancesOfOne, Room::TextsOfOne])
    }
}
