//! Instances for tests: what matters to a test it says itself, with `..` from here.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fulcrum_model::{Registration, Traits, Weight};

use super::{Epoch, Expected, Incarnation, Instance, Key, Register, Sequence};

pub(crate) fn key(service: &str, id: &str) -> Key {
    Key { service: service.parse().expect("a name"), id: id.parse().expect("an id") }
}

/// A registration of the instance that nothing else is said of.
pub(crate) fn register(key: Key, registration: Registration) -> Register {
    Register {
        key,
        registration,
        incarnation: Incarnation(1),
        principal: "t".into(),
        epoch: None,
        expected: Expected::Anything,
    }
}

/// What an instance says that stays for so long without heartbeats.
pub(crate) fn lasting(ttl: Duration) -> Registration {
    with(|traits| traits.ttl = ttl)
}

/// What an instance says, with a change.
pub(crate) fn with(change: impl FnOnce(&mut Traits)) -> Registration {
    let mut registration = registration();
    change(Arc::make_mut(&mut registration.traits));
    registration
}

pub(crate) fn registration() -> Registration {
    Registration {
        address: [10, 0, 0, 1].into(),
        port: 80.try_into().expect("a port"),
        launch_id: None,
        traits: Arc::new(Traits {
            ports: Default::default(),
            weight: Weight::ONE,
            locality: None,
            region: None,
            tags: Default::default(),
            meta: Default::default(),
            ttl: Duration::from_secs(30),
            load_limit: None,
        }),
    }
}

pub(crate) fn instance(key: Key) -> Instance {
    Instance {
        key,
        epoch: Epoch(1),
        incarnation: Incarnation(1),
        owner: "t".into(),
        registration: registration(),
        said_weight: None,
        registered_at: SystemTime::UNIX_EPOCH,
        drain_until: None,
        overlay: None,
        suspect: None,
        sequence: Sequence(1),
    }
}
