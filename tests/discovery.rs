//! Endpoints from files, HTTP servers and the DNS: who is told gets traffic, and nothing that goes wrong takes it away.

mod file;
mod http;
mod name_server;
mod names;
mod reload;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{Fulcrum, eventually};

/// A listener in front of the service `app` that is discovered like this. With more keys of the service, each with its
/// comma.
fn yaml(discovery: &str, service: &str) -> String {
    format!(
        "listeners: {{ web: {{ bind: \"127.0.0.1:0\" }} }}\nroutes: [{{ to: app }}]\n\
         services: {{ app: {{ discovery: {{ {discovery} }}, balance: round_robin, slow_start: none{service} }} }}\n"
    )
}

/// Who answers so many requests on one connection; an answer that is not 200 counts under its status.
#[track_caller]
fn shares(fulcrum: &Fulcrum, times: usize) -> BTreeMap<String, usize> {
    let mut client = fulcrum.connect();
    let mut shares = BTreeMap::new();
    for _ in 0..times {
        let response = client.get("/");
        let name = if response.status == 200 { response.text() } else { response.status.to_string() };
        *shares.entry(name).or_default() += 1;
    }
    shares
}

/// The shares are these, soon.
#[track_caller]
fn await_shares<const N: usize>(fulcrum: &Fulcrum, expected: [(&str, usize); N]) {
    let expected: BTreeMap<String, usize> =
        expected.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    let times = expected.values().sum();
    eventually(&format!("{expected:?}"), || (shares(fulcrum, times) == expected).then_some(()));
}

/// What is known of the source of the only service that has one, when it fails in this way for the first time.
#[track_caller]
fn await_failure(fulcrum: &Fulcrum, reason: &str) -> Value {
    let mut last = Value::Null;
    eventually(&format!("a failure: {reason}"), || {
        last = fulcrum.status()["discovery"][0].clone();
        (last["last_failure"] == reason).then_some(())
    });
    last
}

/// Looks at sources of a kind with this result.
#[track_caller]
fn looks(fulcrum: &Fulcrum, kind: &str, result: &str) -> f64 {
    fulcrum.metric("fulcrum_discovery_refreshes_total", &[("kind", kind), ("result", result)])
}

/// Sources of a kind that are in this state.
#[track_caller]
fn sources(fulcrum: &Fulcrum, kind: &str, state: &str) -> f64 {
    fulcrum.metric("fulcrum_discovery_sources", &[("kind", kind), ("state", state)])
}

/// A list of addresses.
fn list(addresses: &[&str]) -> String {
    serde_json::json!(addresses).to_string()
}
