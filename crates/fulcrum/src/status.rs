//! `fulcrum status`: what a running daemon is doing, as a table or as its own JSON.

mod discovery;
mod gslb;
mod registry;

use std::fmt::Write as _;

use hyper::{Method, StatusCode};

use crate::admin::{
    AbsentOverride, EndpointStatus, HostNameStatus, ListenerStatus, OrderDocument, OrderedState,
    ServiceStatus, State, StatusDocument, WorkerStatus,
};
use crate::ask::{self, AskError};
use crate::cli::{Format, StatusOptions};
use crate::client::ANSWER_WITHIN;
use crate::exit::Exit;
use crate::output;

/// Asks a daemon and prints its answer.
pub(crate) fn status(options: &StatusOptions) -> Exit {
    match document(options) {
        Ok(text) => {
            output::text(&text);
            Exit::Done
        }
        Err(error) => error.tell(),
    }
}

fn document(options: &StatusOptions) -> Result<String, AskError> {
    let reply = ask::ask(&options.daemon.admin, Method::GET, "/status", ANSWER_WITHIN)?;
    if reply.status != StatusCode::OK {
        return Err(AskError::refused(&reply));
    }
    let document = serde_json::from_slice::<StatusDocument>(&reply.body)?;
    Ok(match options.format {
        Format::Text => table(&document),
        Format::Json => String::from_utf8_lossy(&reply.body).into_owned(),
    })
}

/// The document for people.
fn table(status: &StatusDocument) -> String {
    let mut text = headline(status);
    text.push('\n');
    let listeners = status.listeners.iter().map(listener_row);
    text += &columns(["LISTENER", "ADDRESSES", "CONNECTIONS", "REQUESTS"], listeners);
    text.push('\n');
    let endpoints = status
        .services
        .iter()
        .flat_map(|service| service.endpoints.iter().map(move |endpoint| endpoint_row(service, endpoint)));
    text += &columns(
        ["SERVICE", "BALANCE", "ENDPOINT", "ADDRESS", "STATE", "WEIGHT", "IN FLIGHT", "REQUESTS", "ERRORS"],
        endpoints,
    );
    let absent = status.absent_overrides.iter().map(absent_note);
    let notes: Vec<String> = status.services.iter().flat_map(notes).chain(absent).collect();
    if !notes.is_empty() {
        text = text + "\n" + &notes.concat();
    }
    if !status.host_names.is_empty() {
        text.push('\n');
        let titles = ["HOST NAME", "ADDRESSES", "LAST ANSWER", "FAILURES", "LAST FAILURE"];
        text += &columns(titles, status.host_names.iter().map(host_name_row));
    }
    if !status.discovery.is_empty() {
        text.push('\n');
        text += &discovery::section(&status.discovery);
    }
    if let Some(registry) = &status.registry {
        text.push('\n');
        text += &registry::section(registry);
    }
    if let Some(gslb) = &status.gslb {
        text.push('\n');
        text += &gslb::section(gslb);
    }
    text.push('\n');
    text += &columns(["WORKER", "CONNECTIONS", "ACCEPTED"], (0..).zip(&status.workers).map(worker_row));
    text
}

fn headline(status: &StatusDocument) -> String {
    let state = match status.state {
        State::Ready => "ready",
        State::Draining => "draining",
    };
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "fulcrum {}, process {}: {state} for {}, generation {}",
        status.version,
        status.pid,
        span(status.uptime_seconds),
        status.generation
    );
    let _ = writeln!(
        text,
        "connections: {}, requests in progress: {}, admin: {}",
        status.connections,
        status.requests,
        if status.admin.is_empty() { "none".to_owned() } else { status.admin.join(", ") }
    );
    let config = &status.config.history;
    let _ = writeln!(text, "configuration: {}, loaded at {}", config.file, config.loaded_at);
    if let Some(error) = &config.last_error {
        let _ = write!(text, "the last reload, at {}, was refused:\n{}", error.at, error.mistakes.text);
    }
    text
}

fn listener_row(listener: &ListenerStatus) -> [String; 4] {
    [
        listener.name.clone(),
        listener.addresses.join(", "),
        listener.connections.to_string(),
        listener.requests.to_string(),
    ]
}

fn endpoint_row(service: &ServiceStatus, endpoint: &EndpointStatus) -> [String; 9] {
    [
        service.name.clone(),
        service.balance.clone(),
        endpoint.id.clone(),
        endpoint.address.clone(),
        endpoint.state.clone(),
        endpoint.weight.to_string(),
        endpoint.in_flight.to_string(),
        endpoint.requests.to_string(),
        endpoint.errors.to_string(),
    ]
}

/// What is not as it usually is, a line each.
fn notes(service: &ServiceStatus) -> Vec<String> {
    let mut notes = Vec::new();
    let mut whole = Vec::new();
    if service.panic != "no" {
        whole.push(match service.panic.as_str() {
            "reachable" => "too few are healthy, all that accept connections are used".to_owned(),
            _ => "too few are healthy, all are used".to_owned(),
        });
    }
    if service.holding {
        whole.push("requests wait for the first word of an endpoint".to_owned());
    }
    if service.queue.waiting > 0 {
        whole.push(format!("{} in the queue", service.queue.waiting));
    }
    if !whole.is_empty() {
        let (name, healthy, total) = (&service.name, service.healthy, service.total);
        notes.push(format!("{name}: {healthy} of {total} healthy; {}\n", whole.join("; ")));
    }
    notes.extend(service.endpoints.iter().filter_map(|endpoint| endpoint_note(service, endpoint)));
    notes
}

fn endpoint_note(service: &ServiceStatus, endpoint: &EndpointStatus) -> Option<String> {
    if endpoint.state == "up" && endpoint.order.is_none() {
        return None;
    }
    let mut note = format!("{}/{}: {}", service.name, endpoint.id, line_of(endpoint));
    if let Some(failure) = endpoint.last_check_failure.as_ref().filter(|failure| **failure != endpoint.why) {
        note += &format!("; last failed check: {failure}");
    }
    Some(note + "\n")
}

/// An order that waits for its endpoint: `shop/red: absent (ordered: drain), until 2026-01-02T03:04:05Z`.
fn absent_note(absent: &AbsentOverride) -> String {
    let order = &absent.order;
    let state = match order.state {
        Some(OrderedState::Up) => "ordered: up",
        Some(OrderedState::Drain) => "ordered: drain",
        Some(OrderedState::Maintenance) => "ordered: maintenance",
        None => "ordered",
    };
    let reason = order.reason.as_ref().map_or_else(String::new, |reason| format!(", {reason}"));
    format!("{}/{}: absent ({state}{reason}){}\n", absent.service, absent.endpoint, terms(order))
}

/// An endpoint's state in words: `draining since 2026-01-02T03:04:05Z (ordered: disk), weight 5 by order`.
pub(crate) fn line_of(endpoint: &EndpointStatus) -> String {
    let line = format!("{} since {} ({})", endpoint.state, endpoint.since, endpoint.why);
    line + &endpoint.order.as_ref().map_or_else(String::new, terms)
}

/// The rest of an order.
fn terms(order: &OrderDocument) -> String {
    let mut line = String::new();
    if let Some(weight) = order.weight {
        line += &format!(", weight {weight} by order");
    }
    if let Some(until) = order.until {
        line += &format!(", until {until}");
    }
    line
}

fn worker_row((number, worker): (usize, &WorkerStatus)) -> [String; 3] {
    [number.to_string(), worker.connections.to_string(), worker.accepted.to_string()]
}

fn host_name_row(host: &HostNameStatus) -> [String; 5] {
    [
        host.name.clone(),
        if host.addresses.is_empty() { "none".to_owned() } else { host.addresses.join(", ") },
        host.last_answer.map_or_else(|| "never".to_owned(), |at| at.to_string()),
        host.failures.to_string(),
        host.last_failure.clone().unwrap_or_default(),
    ]
}

/// Pads every column to its widest cell, two blanks between columns, none at the end of a line.
pub(crate) fn columns<const N: usize>(titles: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let lines: Vec<[String; N]> = std::iter::once(titles.map(str::to_owned)).chain(rows).collect();
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// The two largest units: `45s`, `3m 5s`, `2h 0m`, `12d 4h`.
fn span(seconds: f64) -> String {
    let seconds = seconds as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        (_, _, _) => format!("{days}d {}h", hours % 24),
    }
}

#[cfg(test)]
mod tests;
