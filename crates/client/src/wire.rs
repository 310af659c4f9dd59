//! What a registry says in events, as it writes it. What a later release adds is passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use fulcrum_model::{InstanceId, ServiceName, Weight};
use serde::Deserialize;
use serde_json::Value;

use crate::view::{Endpoint, EndpointState};

/// Instances are read one by one: one that cannot be is no reason not to take the others.
#[derive(Debug, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) instances: Vec<Value>,
    pub(crate) done: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Put {
    pub(crate) instance: Value,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Gone {
    #[serde(deserialize_with = "name::deserialize")]
    pub(crate) service: Box<ServiceName>,
    #[serde(deserialize_with = "name::deserialize")]
    pub(crate) id: Box<InstanceId>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Health {
    #[serde(deserialize_with = "name::deserialize")]
    pub(crate) service: Box<ServiceName>,
    #[serde(deserialize_with = "name::deserialize")]
    pub(crate) id: Box<InstanceId>,
    pub(crate) health: String,
}

/// An instance as the API shows it. What a later release adds is passed over.
#[derive(Debug, Deserialize)]
pub(crate) struct Document {
    #[serde(deserialize_with = "name::deserialize")]
    service: Box<ServiceName>,
    #[serde(deserialize_with = "name::deserialize")]
    id: Box<InstanceId>,
    address: IpAddr,
    port: NonZeroU16,
    #[serde(default)]
    ports: BTreeMap<String, NonZeroU16>,
    weight: NonZeroU16,
    locality: Option<String>,
    region: Option<String>,
    #[serde(default)]
    tags: BTreeSet<String>,
    #[serde(default)]
    meta: BTreeMap<String, String>,
    epoch: u64,
    state: EndpointState,
    health: String,
    #[serde(default = "usual_ttl")]
    ttl_ms: u64,
}

/// That of a registry which is not told otherwise.
fn usual_ttl() -> u64 {
    30_000
}

impl From<Document> for Endpoint {
    fn from(document: Document) -> Self {
        Endpoint {
            service: *document.service,
            id: *document.id,
            address: SocketAddr::new(document.address, document.port.get()),
            ports: document.ports,
            weight: Weight::new(document.weight.get()).unwrap_or_default(),
            locality: document.locality,
            region: document.region,
            tags: document.tags,
            meta: document.meta,
            epoch: document.epoch,
            state: document.state,
            is_suspect: document.health == "suspect",
            ttl: Duration::from_millis(document.ttl_ms),
        }
    }
}

/// Names as they are parsed everywhere.
mod name {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, de::Error};

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<Box<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Box::new).map_err(D::Error::custom)
    }
}
