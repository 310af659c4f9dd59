//! The registry of a daemon, asked as instances and operators ask it.

use serde_json::{Value, json};

use super::client::{Client, Response};
use super::daemon::Fulcrum;
use super::wait::eventually;

impl Fulcrum {
    /// Where its registry is served.
    #[track_caller]
    pub(crate) fn registry(&self) -> &str {
        self.ready["registry"][0].as_str().unwrap_or_else(|| panic!("no registry in {}", self.ready))
    }

    /// An answer of the registry.
    #[track_caller]
    pub(crate) fn ask_registry(&self, method: &str, path: &str, body: &str) -> Response {
        self.ask_registry_as("", method, path, body)
    }

    /// An answer of the registry to someone with a token.
    #[track_caller]
    pub(crate) fn ask_registry_as(&self, token: &str, method: &str, path: &str, body: &str) -> Response {
        let authorization =
            if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
        Client::connect(self.registry()).ask(format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// Registers `SERVICE/ID` at an address, with more fields; what the registry says to that.
    #[track_caller]
    pub(crate) fn register(&self, instance: &str, address: &str, more: Value) -> Value {
        let response = self.ask_registry("PUT", &path_of(instance), &registration(address, more));
        assert!([200, 201].contains(&response.status), "{instance}: {}", response.text());
        response.json()
    }

    /// A heartbeat of `SERVICE/ID`; how it is answered.
    #[track_caller]
    pub(crate) fn beat(&self, instance: &str, epoch: &Value) -> Response {
        let body = json!({ "epoch": epoch }).to_string();
        self.ask_registry("PUT", &format!("{}/lease", path_of(instance)), &body)
    }

    /// Takes `SERVICE/ID` out; `query` is like `?drain=5s`.
    #[track_caller]
    pub(crate) fn leave(&self, instance: &str, query: &str) {
        let response = self.ask_registry("DELETE", &format!("{}{query}", path_of(instance)), "");
        assert!([202, 204].contains(&response.status), "{instance}: {}", response.text());
    }

    /// Orders something of `SERVICE/ID`; the instance then.
    #[track_caller]
    pub(crate) fn order(&self, instance: &str, order: &Value) -> Value {
        let path = format!("{}/override", path_of(instance));
        let response = match order {
            Value::Null => self.ask_registry("DELETE", &path, ""),
            order => self.ask_registry("PUT", &path, &order.to_string()),
        };
        assert_eq!(response.status, 200, "{instance}: {}", response.text());
        response.json()
    }

    /// What is registered as `SERVICE/ID`, if anything is.
    #[track_caller]
    pub(crate) fn instance(&self, instance: &str) -> Option<Value> {
        let response = self.ask_registry("GET", &path_of(instance), "");
        (response.status == 200).then(|| response.json())
    }

    /// Waits until the registry and the data plane know so many instances of a service: the data plane follows.
    #[track_caller]
    pub(crate) fn await_endpoints(&self, service: &str, count: usize) {
        eventually(&format!("{count} endpoints of {service}"), || {
            (self.endpoints(service).len() == count).then_some(())
        });
    }

    /// The endpoints of a service, as `/status` shows them.
    #[track_caller]
    pub(crate) fn endpoints(&self, service: &str) -> Vec<Value> {
        let status = self.status();
        let services = status["services"].as_array().expect("a list");
        let found = services.iter().find(|found| found["name"] == service);
        let found = found.unwrap_or_else(|| panic!("no {service} in {status}"));
        found["endpoints"].as_array().expect("a list").clone()
    }
}

impl Response {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// The body of a registration at `IP:PORT`.
#[track_caller]
pub(crate) fn registration(address: &str, more: Value) -> String {
    let (ip, port) = address.rsplit_once(':').expect("an address has a port");
    let mut body = json!({ "address": ip, "port": port.parse::<u16>().expect("a port") });
    let more = more.as_object().cloned().unwrap_or_default();
    body.as_object_mut().expect("it is one").extend(more);
    body.to_string()
}

/// `/v1/services/web/instances/a1` of `web/a1`.
#[track_caller]
pub(crate) fn path_of(instance: &str) -> String {
    let (service, id) = instance.split_once('/').expect("a service and an id");
    format!("/v1/services/{service}/instances/{id}")
}
