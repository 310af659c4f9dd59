//! How instances are written down: JSON, so that a file can be read in ten years. Fields are added, never renamed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fulcrum_model::{Registration, Traits, Weight};
use serde::{Deserialize, Serialize};

use crate::state::{Departure, Epoch, Incarnation, Instance, Key, Overlay, OverlayState, Sequence};

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not what was written.
    #[error("not a record: {0}")]
    Json(#[from] serde_json::Error),
    /// A value that no instance can have.
    #[error("`{0}` is out of range")]
    Range(&'static str),
}

/// An instance without its name.
#[derive(Serialize, Deserialize)]
pub(super) struct InstanceRecord {
    epoch: u64,
    incarnation: String,
    owner: String,
    address: IpAddr,
    port: NonZeroU16,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    ports: BTreeMap<String, NonZeroU16>,
    weight: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    locality: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    tags: Arc<[Box<str>]>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    meta: BTreeMap<String, Box<str>>,
    ttl_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    load_limit: Option<NonZeroU32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    launch_id: Option<Box<str>>,
    registered_at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drain_until_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    overlay: Option<OverlayRecord>,
    sequence: u64,
}

#[derive(Serialize, Deserialize)]
struct OverlayRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<StateRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weight: Option<u16>,
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_ms: Option<u64>,
    by: String,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateRecord {
    Drain,
    Maintenance,
}

/// Who has gone, without the name.
#[derive(Serialize, Deserialize)]
pub(super) struct DepartureRecord {
    epoch: u64,
    at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    overlay: Option<OverlayRecord>,
}

/// The record of an instance. That its lease has run out is not kept: after a start every lease begins anew. Nor is what
/// its heartbeats said.
pub(super) fn write_instance(instance: &Instance) -> Vec<u8> {
    to_json(&InstanceRecord::from(instance))
}

impl From<&Instance> for InstanceRecord {
    fn from(instance: &Instance) -> Self {
        let Registration { address, port, launch_id, traits } = &instance.registration;
        let Traits { ports, weight, locality, region, tags, meta, ttl, load_limit } = &**traits;
        InstanceRecord {
            epoch: instance.epoch.0,
            incarnation: format!("{:032x}", instance.incarnation.0),
            owner: instance.owner.to_string(),
            address: *address,
            port: *port,
            ports: ports.iter().map(|(name, port)| (name.to_owned(), *port)).collect(),
            weight: weight.get(),
            locality: locality.clone(),
            region: region.clone(),
            tags: tags.clone(),
            meta: meta.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect(),
            ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
            load_limit: *load_limit,
            launch_id: launch_id.clone(),
            registered_at_ms: to_millis(instance.registered_at),
            drain_until_ms: instance.drain_until.map(to_millis),
            overlay: instance.overlay.as_deref().map(OverlayRecord::from),
            sequence: instance.sequence.0,
        }
    }
}

/// The instance of a record as it is written.
pub(super) fn read_instance(key: Key, record: &[u8]) -> Result<Instance, RecordError> {
    instance(key, serde_json::from_slice(record)?)
}

/// The instance of a record.
pub(super) fn instance(key: Key, record: InstanceRecord) -> Result<Instance, RecordError> {
    let incarnation =
        u128::from_str_radix(&record.incarnation, 16).map_err(|_| RecordError::Range("incarnation"))?;
    Ok(Instance {
        key,
        epoch: Epoch(record.epoch),
        incarnation: Incarnation(incarnation),
        owner: record.owner.into(),
        registration: Registration {
            address: record.address,
            port: record.port,
            launch_id: record.launch_id,
            traits: Arc::new(Traits {
                ports: record.ports.into_iter().collect(),
                weight: Weight::new(record.weight).ok_or(RecordError::Range("weight"))?,
                locality: record.locality,
                region: record.region,
                tags: record.tags,
                meta: record.meta.into_iter().collect(),
                ttl: Duration::from_millis(record.ttl_ms),
                load_limit: record.load_limit,
            }),
        },
        said_weight: None,
        registered_at: from_millis(record.registered_at_ms),
        drain_until: record.drain_until_ms.map(from_millis),
        overlay: record.overlay.map(Overlay::try_from).transpose()?.map(Box::new),
        suspect: None,
        sequence: Sequence(record.sequence),
    })
}

/// The record of who has gone.
pub(super) fn write_departure(departure: &Departure) -> Vec<u8> {
    to_json(&DepartureRecord::from(departure))
}

impl From<&Departure> for DepartureRecord {
    fn from(departure: &Departure) -> Self {
        DepartureRecord {
            epoch: departure.epoch.0,
            at_ms: to_millis(departure.at),
            overlay: departure.overlay.as_deref().map(OverlayRecord::from),
        }
    }
}

/// Who has gone, by its record as it is written.
pub(super) fn read_departure(key: &Key, record: &[u8]) -> Result<Departure, RecordError> {
    departure(key, serde_json::from_slice(record)?)
}

/// Who has gone, by its record.
pub(super) fn departure(key: &Key, record: DepartureRecord) -> Result<Departure, RecordError> {
    Ok(Departure {
        id: key.id.clone(),
        epoch: Epoch(record.epoch),
        at: from_millis(record.at_ms),
        overlay: record.overlay.map(Overlay::try_from).transpose()?.map(Box::new),
    })
}

impl From<&Overlay> for OverlayRecord {
    fn from(overlay: &Overlay) -> Self {
        OverlayRecord {
            state: overlay.state.map(|state| match state {
                OverlayState::Drain => StateRecord::Drain,
                OverlayState::Maintenance => StateRecord::Maintenance,
            }),
            weight: overlay.weight.map(Weight::get),
            reason: overlay.reason.clone(),
            until_ms: overlay.until.map(to_millis),
            by: overlay.by.to_string(),
        }
    }
}

impl TryFrom<OverlayRecord> for Overlay {
    type Error = RecordError;

    fn try_from(record: OverlayRecord) -> Result<Self, RecordError> {
        let weight = record.weight.map(|weight| Weight::new(weight).ok_or(RecordError::Range("weight")));
        Ok(Overlay {
            state: record.state.map(|state| match state {
                StateRecord::Drain => OverlayState::Drain,
                StateRecord::Maintenance => OverlayState::Maintenance,
            }),
            weight: weight.transpose()?,
            reason: record.reason,
            until: record.until_ms.map(from_millis),
            by: record.by.into(),
        })
    }
}

fn to_json(record: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(record).expect("texts, numbers and maps of texts can be written")
}

fn to_millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn from_millis(millis: u64) -> SystemTime {
    // Within what every clock can tell.
    UNIX_EPOCH + Duration::from_millis(millis.min(MOST_MILLIS))
}

/// The end of the year 9999.
const MOST_MILLIS: u64 = 253_402_300_799_999;

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key { service: "web".parse().expect("a name"), id: "a:1".parse().expect("an id") }
    }

    fn overlay() -> Overlay {
        Overlay {
            state: Some(OverlayState::Maintenance),
            weight: Weight::new(7),
            reason: "a new disk".to_owned(),
            until: Some(from_millis(1_700_000_060_123)),
            by: "ops".into(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let instance = Instance {
            key: key(),
            epoch: Epoch(3),
            incarnation: Incarnation(u128::MAX - 5),
            owner: "web".into(),
            registration: Registration {
                address: "2001:db8::1".parse().expect("an address"),
                port: 8080.try_into().expect("a port"),
                launch_id: Some("l-1".into()),
                traits: Arc::new(Traits {
                    ports: [("metrics", 9090.try_into().expect("a port"))].into_iter().collect(),
                    weight: Weight::new(65535).expect("not zero"),
                    locality: Some("eu-1a".into()),
                    region: Some("eu".into()),
                    tags: Arc::from(["blue".into()]),
                    meta: [("version", "1.2 \u{1f600}".into())].into_iter().collect(),
                    ttl: Duration::from_millis(12_345),
                    load_limit: NonZeroU32::new(50),
                }),
            },
            said_weight: None,
            registered_at: from_millis(1_700_000_000_123),
            drain_until: Some(from_millis(1_700_000_030_000)),
            overlay: Some(Box::new(overlay())),
            suspect: None,
            sequence: Sequence(99),
        };
        let read = read_instance(key(), &write_instance(&instance)).expect("its own record");
        assert_eq!(read, instance);
        let reported = Instance { said_weight: Weight::new(5), ..instance.clone() };
        assert_eq!(
            write_instance(&reported),
            write_instance(&instance),
            "what heartbeats say is not written"
        );
        let departure = Departure {
            id: key().id,
            epoch: Epoch(4),
            at: from_millis(1_700_000_000_000),
            overlay: Some(Box::new(overlay())),
        };
        assert_eq!(read_departure(&key(), &write_departure(&departure)).expect("its own record"), departure);
    }

    /// A record of the first release, as it must stay readable.
    #[test]
    fn the_first_records_are_read() {
        let text = br#"{"epoch":1,"incarnation":"00000000000000000000000000000001","owner":"web","address":"10.0.0.1",
            "port":80,"weight":1,"ttl_ms":30000,"registered_at_ms":1700000000000,"sequence":1,"later":true}"#;
        let instance = read_instance(key(), text).expect("a record");
        assert_eq!((instance.epoch, instance.ttl()), (Epoch(1), Duration::from_secs(30)));
        let wrong = String::from_utf8_lossy(text).replace("\"weight\":1", "\"weight\":0");
        assert!(matches!(read_instance(key(), wrong.as_bytes()), Err(RecordError::Range("weight"))));
    }
}
