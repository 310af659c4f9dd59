//! An instance as the API shows it.

use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

use fulcrum_model::Few;
use serde::{Serialize, Serializer};

use super::json;
use super::order::OrderShown;
use crate::registry::Entry;
use crate::state::Instance;
use crate::timestamp::Timestamp;

/// An instance, to be written where it is read.
#[derive(Debug)]
pub(super) struct Shown(pub(super) Arc<Instance>);

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        InstanceDocument::from(&*self.0).serialize(serializer)
    }
}

/// Everything that all readers see alike: what differs from moment to moment is in [`LeaseDocument`].
#[derive(Debug, Serialize)]
pub(super) struct InstanceDocument<'a> {
    service: &'a str,
    id: &'a str,
    address: IpAddr,
    port: NonZeroU16,
    #[serde(skip_serializing_if = "Few::is_empty", serialize_with = "json::few")]
    ports: &'a Few<NonZeroU16>,
    /// With an operator's word.
    weight: u16,
    weight_from: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    locality: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    tags: &'a [Box<str>],
    #[serde(serialize_with = "json::few")]
    meta: &'a Few<Box<str>>,
    ttl_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    load: Option<LimitDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    launch_id: Option<&'a str>,
    epoch: u64,
    owner: &'a str,
    registered_at: Timestamp,
    /// What it does, all in all.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_until: Option<Timestamp>,
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    overlay: Option<OrderShown<'a>>,
    health: &'static str,
    /// Why it is kept although its lease has run out.
    #[serde(skip_serializing_if = "Option::is_none")]
    suspect: Option<&'static str>,
    sequence: u64,
}

#[derive(Debug, Serialize)]
struct LimitDocument {
    limit: NonZeroU32,
}

/// An instance by itself.
#[derive(Debug, Serialize)]
pub(super) struct SingleDocument<'a> {
    #[serde(flatten)]
    instance: InstanceDocument<'a>,
    lease: LeaseDocument,
}

/// What heartbeats change.
#[derive(Debug, Serialize)]
struct LeaseDocument {
    remaining_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_flight: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<f32>,
}

impl<'a> From<&'a Instance> for InstanceDocument<'a> {
    fn from(instance: &'a Instance) -> Self {
        let registration = &instance.registration;
        let (weight, weight_source) = instance.weight_and_source();
        InstanceDocument {
            service: instance.key.service.as_str(),
            id: instance.key.id.as_str(),
            address: registration.address,
            port: registration.port,
            ports: &registration.ports,
            weight: weight.get(),
            weight_from: weight_source.as_str(),
            locality: registration.locality.as_deref(),
            region: registration.region.as_deref(),
            tags: &registration.tags,
            meta: &registration.meta,
            ttl_ms: super::millis(registration.ttl),
            load: registration.load_limit.map(|limit| LimitDocument { limit }),
            launch_id: registration.launch_id.as_deref(),
            epoch: instance.epoch.0,
            owner: &instance.owner,
            registered_at: Timestamp(instance.registered_at),
            state: instance.stage().as_str(),
            drain_until: instance.drain_until.map(Timestamp),
            overlay: instance.overlay.as_deref().map(OrderShown::from),
            health: health(instance),
            suspect: instance.suspect.map(|hold| hold.as_str()),
            sequence: instance.sequence.0,
        }
    }
}

impl<'a> SingleDocument<'a> {
    pub(super) fn new(entry: &'a Entry, remaining: Duration) -> Self {
        let lease = LeaseDocument {
            remaining_ms: super::millis(remaining),
            in_flight: entry.lease.in_flight(),
            cpu: entry.lease.cpu(),
        };
        SingleDocument { instance: InstanceDocument::from(&*entry.instance), lease }
    }
}

/// The word for whether its heartbeats come.
pub(super) fn health(instance: &Instance) -> &'static str {
    if instance.suspect.is_some() { SUSPECT } else { OK }
}

/// Its lease has not run out.
pub(super) const OK: &str = "ok";

/// Its lease has run out, and it is kept nevertheless.
pub(super) const SUSPECT: &str = "suspect";
