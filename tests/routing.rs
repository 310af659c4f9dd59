//! Which route takes a request, and what it does with it.

mod actions;
mod conditions;
mod edits;
mod precedence;

use crate::harness::{Client, Fulcrum, Response, Setup, Upstream};

/// A route that answers with its own name.
fn says(name: &str, conditions: &str) -> String {
    let separator = if conditions.is_empty() { "" } else { ", " };
    format!("{{ name: {name}{separator}{conditions}, respond: {{ status: 200, body: {name} }} }}")
        .replace(", , ", ", ")
}

/// A daemon that only answers by itself.
#[track_caller]
fn answering(routes: &[(&str, &str)]) -> Fulcrum {
    let unused = Upstream::named("unused");
    let setup = Setup::new(&unused).route("{ host: unused.invalid, to: app }");
    routes.iter().fold(setup, |setup, (name, conditions)| setup.route(&says(name, conditions))).start()
}

/// A request with these parts; the lines end with CRLF.
fn request(method: &str, target: &str, host: &str, lines: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n")
}

#[track_caller]
fn get(client: &mut Client, host: &str, target: &str) -> Response {
    client.ask(request("GET", target, host, ""))
}
