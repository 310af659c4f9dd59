//! What a process says of itself when it registers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use fulcrum_model::{InstanceId, NameError, ServiceName, Weight};
use hyper::Method;
use serde::Serialize;

use crate::ask::{Question, encoded};

/// An instance to register: its service, its id there, its port, and what else is worth saying. What is not said, the
/// registry decides.
#[derive(Clone, Debug)]
pub struct Instance {
    service: ServiceName,
    id: InstanceId,
    body: Body,
}

/// The body of a registration.
#[derive(Clone, Debug, Serialize)]
struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    port: NonZeroU16,
    ports: BTreeMap<String, NonZeroU16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locality: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    tags: BTreeSet<String>,
    meta: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    load: Option<Limit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    launch_id: Option<String>,
    /// Another one for each process, the same for all that this one asks.
    incarnation: String,
    /// What it believes to have, when it registers again.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
struct Limit {
    limit: NonZeroU32,
}

/// A heartbeat.
#[derive(Debug, Serialize)]
struct Beat {
    epoch: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u16>,
    #[serde(skip_serializing_if = "Load::is_unknown")]
    load: Load,
}

/// How busy an instance is, as heartbeats carry it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Load {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) in_flight: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu: Option<f32>,
}

impl Load {
    fn is_unknown(&self) -> bool {
        *self == Load::default()
    }
}

impl Instance {
    /// An instance at this port of the host that registers it. The service has 1 to 63 of `[A-Za-z0-9._-]`, the id 1 to
    /// 200 visible ASCII characters without `/`. A new process under the id of an old one replaces it.
    pub fn new(service: &str, id: &str, port: NonZeroU16) -> Result<Self, NameError> {
        let mut rng = crate::registry::random();
        let body = Body {
            address: None,
            port,
            ports: BTreeMap::new(),
            weight: None,
            locality: None,
            region: None,
            tags: BTreeSet::new(),
            meta: BTreeMap::new(),
            ttl: None,
            load: None,
            launch_id: None,
            incarnation: format!("{:016x}{:016x}", rng.next_u64(), rng.next_u64()),
            epoch: None,
        };
        Ok(Instance { service: service.parse()?, id: id.parse()?, body })
    }

    /// Another address than that which the registry sees. It has to be allowed there.
    #[must_use]
    pub fn address(mut self, address: IpAddr) -> Self {
        self.body.address = Some(address);
        self
    }

    /// A further port, by its name: `metrics` for example. At most 64.
    #[must_use]
    pub fn port(mut self, name: &str, port: NonZeroU16) -> Self {
        self.body.ports.insert(name.to_owned(), port);
        self
    }

    /// Its share of traffic relative to the others; 1 where nothing is said.
    #[must_use]
    pub fn weight(mut self, weight: Weight) -> Self {
        self.body.weight = Some(weight.get());
        self
    }

    /// Where it runs, like a zone of a cloud.
    #[must_use]
    pub fn locality(mut self, locality: &str) -> Self {
        self.body.locality = Some(locality.to_owned());
        self
    }

    /// The region it belongs to.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        self.body.region = Some(region.to_owned());
        self
    }

    /// Something that it can be found by. At most 64, of 128 bytes each.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Self {
        self.body.tags.insert(tag.to_owned());
        self
    }

    /// Something worth knowing, like its version. At most 64, keys of 128 bytes and values of 1 KiB.
    #[must_use]
    pub fn meta(mut self, key: &str, value: &str) -> Self {
        self.body.meta.insert(key.to_owned(), value.to_owned());
        self
    }

    /// How long it stays registered after its last heartbeat, in whole milliseconds: 3 s to 24 h, else it is refused.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.body.ttl = Some(format!("{}ms", ttl.as_millis()));
        self
    }

    /// How many requests it can work on at a time.
    #[must_use]
    pub fn load_limit(mut self, limit: NonZeroU32) -> Self {
        self.body.load = Some(Limit { limit });
        self
    }

    /// The start that it is the outcome of.
    #[must_use]
    pub fn launch_id(mut self, launch_id: &str) -> Self {
        self.body.launch_id = Some(launch_id.to_owned());
        self
    }

    /// The service that it belongs to.
    pub fn service(&self) -> &ServiceName {
        &self.service
    }

    /// Its id within the service.
    pub fn id(&self) -> &InstanceId {
        &self.id
    }

    /// Asks to register; with the epoch that it had, so that whoever has replaced it stays.
    pub(crate) fn registration(&self, epoch: Option<u64>) -> Question {
        let body = Body { epoch, ..self.body.clone() };
        let body = serde_json::to_vec(&body).expect("its keys are texts");
        Question::json(Method::PUT, self.path(), body)
    }

    pub(crate) fn heartbeat(&self, epoch: u64, weight: Option<Weight>, load: Load) -> Question {
        let weight = weight.map(Weight::get);
        let body = serde_json::to_vec(&Beat { epoch, weight, load }).expect("its keys are texts");
        Question::json(Method::PUT, format!("{}/lease", self.path()), body)
    }

    /// Asks to leave: at once, or when what it has is done.
    pub(crate) fn departure(&self, epoch: u64, drain: Duration) -> Question {
        let mut target = format!("{}?epoch={epoch}", self.path());
        if !drain.is_zero() {
            target += &format!("&drain={}ms", drain.as_millis().max(1));
        }
        Question::new(Method::DELETE, target)
    }

    fn path(&self) -> String {
        format!("/v1/services/{}/instances/{}", encoded(self.service.as_str()), encoded(self.id.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn port(number: u16) -> NonZeroU16 {
        NonZeroU16::new(number).expect("a port")
    }

    fn body(question: &Question) -> Value {
        let mut body: Value = serde_json::from_slice(&question.body).expect("JSON");
        if let Some(object) = body.as_object_mut() {
            object.remove("incarnation");
        }
        body
    }

    #[test]
    fn says_what_it_was_told_and_nothing_else() {
        let instance = Instance::new("web", "a:1", port(8080)).expect("names");
        let question = instance.registration(None);
        assert_eq!(question.target, "/v1/services/web/instances/a%3A1");
        assert_eq!(body(&question), json!({"port": 8080, "ports": {}, "tags": [], "meta": {}}));

        let instance = instance
            .address([10, 0, 0, 1].into())
            .port("metrics", port(9100))
            .weight(Weight::new(7).expect("a weight"))
            .locality("eu-1a")
            .region("eu-1")
            .tag("blue")
            .meta("version", "1.4.2")
            .ttl(Duration::from_secs(5))
            .load_limit(NonZeroU32::new(64).expect("a limit"))
            .launch_id("l-17");
        let expected = json!({
            "address": "10.0.0.1", "port": 8080, "ports": {"metrics": 9100}, "weight": 7, "locality": "eu-1a",
            "region": "eu-1", "tags": ["blue"], "meta": {"version": "1.4.2"}, "ttl": "5000ms",
            "load": {"limit": 64}, "launch_id": "l-17", "epoch": 3
        });
        assert_eq!(body(&instance.registration(Some(3))), expected);
    }

    #[test]
    fn one_process_is_one_incarnation() {
        let incarnation = |instance: &Instance| {
            let body: Value = serde_json::from_slice(&instance.registration(None).body).expect("JSON");
            body["incarnation"].as_str().expect("it has one").to_owned()
        };
        let [a, b] = [(); 2].map(|()| Instance::new("web", "a", port(1)).expect("names"));
        assert_eq!(incarnation(&a), incarnation(&a.clone().tag("blue")));
        assert_ne!(incarnation(&a), incarnation(&b));
    }

    #[test]
    fn heartbeats_carry_what_is_known() {
        let instance = Instance::new("web", "a", port(1)).expect("names");
        let beat = |load| body(&instance.heartbeat(3, None, load));
        assert_eq!(beat(Load::default()), json!({"epoch": 3}));
        let load = Load { in_flight: Some(0), cpu: None };
        assert_eq!(beat(load), json!({"epoch": 3, "load": {"in_flight": 0}}));
        let load = Load { in_flight: Some(4), cpu: Some(0.5) };
        assert_eq!(beat(load), json!({"epoch": 3, "load": {"in_flight": 4, "cpu": 0.5}}));
        let weighed = instance.heartbeat(3, Weight::new(7), Load::default());
        assert_eq!(body(&weighed), json!({"epoch": 3, "weight": 7}));
    }

    #[test]
    fn departures_name_their_epoch() {
        let instance = Instance::new("web", "a", port(1)).expect("names");
        let path = "/v1/services/web/instances/a";
        assert_eq!(instance.departure(3, Duration::ZERO).target, format!("{path}?epoch=3"));
        let drain = Duration::from_secs(30);
        assert_eq!(instance.departure(3, drain).target, format!("{path}?epoch=3&drain=30000ms"));
    }
}
