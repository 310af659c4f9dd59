//! Connections of tcp listeners: whatever is spoken passes unchanged, and ends as its two sides end it.

mod choice;
mod ends;
mod leaving;
mod queue;
mod redis;
pub(crate) mod slow_readers;
mod streams;

use crate::harness::{Client, Conversation, Fulcrum, Upstream};

/// One listener `db` for one service `app` with these endpoints and more keys.
fn yaml(endpoints: &[&str], service: &str) -> String {
    let endpoints: Vec<String> = endpoints.iter().map(|endpoint| format!("\"{endpoint}\"")).collect();
    let endpoints = endpoints.join(", ");
    format!(
        "listeners: {{ db: {{ bind: \"127.0.0.1:0\", protocol: tcp, to: app }} }}\n\
         services: {{ app: {{ endpoints: [{endpoints}]{service} }} }}\n"
    )
}

/// A daemon in front of these upstreams.
#[track_caller]
fn in_front_of(upstreams: &[&Upstream], service: &str) -> Fulcrum {
    let endpoints: Vec<&str> = upstreams.iter().map(|upstream| upstream.address()).collect();
    Fulcrum::start(&yaml(&endpoints, service))
}

#[track_caller]
fn connect(fulcrum: &Fulcrum) -> Client {
    Client::connect(&fulcrum.addresses("db")[0])
}

/// Everything back, until the other side ends its direction.
fn echo(mut conversation: Conversation) {
    while let Ok(bytes) = conversation.wire.some() {
        conversation.send(bytes);
    }
}

/// A client that has heard the echo of a word, so that its connection stands on both sides.
#[track_caller]
fn standing(fulcrum: &Fulcrum) -> Client {
    let mut client = connect(fulcrum);
    check_echo(&mut client);
    client
}

#[track_caller]
fn check_echo(client: &mut Client) {
    client.send("ping");
    assert_eq!(client.wire.exactly(4), Ok(b"ping".to_vec()));
}

/// Waits until so many connections have ended for this reason.
#[track_caller]
fn await_errors(fulcrum: &Fulcrum, reason: &str, expected: u32) {
    fulcrum.await_metric("fulcrum_tcp_errors_total", &[("reason", reason)], expected.into());
}
