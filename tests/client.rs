//! The client crate against the real registry: instances that stay registered, watchers that miss nothing, gateways that
//! go on without a registry.

mod lease;

use std::num::NonZeroU16;

use fulcrum_client::{Instance, Registered, Registry, State};

use crate::harness::{Fulcrum, eventually};

/// A registry and nothing else, always at the same address: clients have to find it when it is back.
fn registry_at(address: &str, more: &str) -> Fulcrum {
    Fulcrum::start(&format!(
        "state_dir: \"@DIR@/state\"\nregistry: {{ bind: \"{address}\", ttl: 3s{more} }}\n"
    ))
}

/// An address that was free a moment ago. Not 127.0.0.1: whoever connects from there again and again meets itself one day.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.3:0").expect("a free port");
    listener.local_addr().expect("bound").to_string()
}

#[track_caller]
fn registry_of(address: &str) -> Registry {
    Registry::new([format!("http://{address}")]).expect("an address")
}

fn instance(id: &str, address: &str) -> Instance {
    let address: std::net::SocketAddr = address.parse().expect("an address");
    let port = NonZeroU16::new(address.port()).expect("a port");
    Instance::new("web", id, port).expect("names").address(address.ip())
}

/// Waits until an instance stands somewhere, as it knows itself.
#[track_caller]
fn await_state(registered: &Registered, state: State) {
    let status = registered.status();
    eventually(&format!("{state:?}"), || (status.borrow().state == state).then_some(()));
}

/// A runtime for what a test asks itself.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}
