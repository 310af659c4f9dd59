//! Instances for tests: what matters to a test it says itself, with `..` from here.

use std::time::{Duration, SystemTime};

use fulcrum_model::{Registration, Weight};

use super::{Epoch, Incarnation, Instance, Key, Sequence};

pub(crate) fn key(service: &str, id: &str) -> Key {
    Key { service: service.parse().expect("a name"), id: id.parse().expect("an id") }
}

pub(crate) fn registration() -> Registration {
    Registration {
        address: [10, 0, 0, 1].into(),
        port: 80.try_into().expect("a port"),
        ports: Default::default(),
        weight: Weight::ONE,
        locality: None,
        region: None,
        tags: Default::default(),
        meta: Default::default(),
        ttl: Duration::from_secs(30),
        load_limit: None,
        launch_id: None,
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
