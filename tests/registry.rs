//! The registry in the daemon: who registers gets traffic, who leaves or has gone gets none, and what is known outlives
//! the daemon.

mod command_line;
mod deploy;
mod export;
mod files;
mod following;
mod full_disk;
mod hostile;
mod load;
pub(crate) mod mass_silence;
mod membership;
mod names;
mod orders;
mod prometheus;
mod reload;
mod restart;
mod silence;
mod status;
mod tokens;

use std::collections::BTreeMap;

use crate::harness::{Client, Fulcrum};

/// A registry, and a listener in front of the service `app` that follows the name `web` there. With more keys of the
/// registry and of the service, each with its comma.
fn yaml(registry: &str, service: &str) -> String {
    format!(
        "state_dir: \"@DIR@/state\"\nregistry: {{ bind: \"127.0.0.1:0\"{registry} }}\n\
         listeners: {{ web: {{ bind: \"127.0.0.1:0\" }} }}\nroutes: [{{ to: app }}]\n\
         services: {{ app: {{ discovery: {{ registry: web }}{service} }} }}\n"
    )
}

/// Everyone gets an exact share at once.
const IN_TURN: &str = ", balance: round_robin, slow_start: none";

#[track_caller]
fn start(service: &str) -> Fulcrum {
    Fulcrum::start(&yaml("", service))
}

/// Who answers so many requests on one connection; an answer that is not 200 counts under its status.
#[track_caller]
fn shares(client: &mut Client, times: usize) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..times {
        let response = client.get("/");
        let name = if response.status == 200 { response.text() } else { response.status.to_string() };
        *shares.entry(name).or_default() += 1;
    }
    shares
}

/// The shares are these, soon: what is registered is followed a moment later.
#[track_caller]
fn await_shares<const N: usize>(fulcrum: &Fulcrum, expected: [(&str, usize); N]) {
    let expected: BTreeMap<String, usize> =
        expected.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    let times = expected.values().sum();
    crate::harness::eventually(&format!("{expected:?}"), || {
        (shares(&mut fulcrum.connect(), times) == expected).then_some(())
    });
}
