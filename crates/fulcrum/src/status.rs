//! `fulcrum status`: what a running daemon is doing, as a table or as its own JSON.

use std::fmt::Write as _;

use hyper::{Method, StatusCode};

use crate::admin::{
    AbsentOverride, EndpointStatus, ListenerStatus, OrderDocument, OrderedState, ServiceStatus, State,
    StatusDocument, WorkerStatus,
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

/// Pads every column to its widest cell, two blanks between columns, none at the end of a line.
fn columns<const N: usize>(titles: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
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
mod tests {
    use super::*;
    use crate::admin::{ConfigStatus, QueueStatus};
    use crate::reload::{ConfigHistory, LastError, Mistakes};

    fn service(name: &str, endpoints: Vec<EndpointStatus>) -> ServiceStatus {
        ServiceStatus {
            name: name.to_owned(),
            balance: "round_robin".to_owned(),
            total: 2,
            healthy: 1,
            panic: "no".to_owned(),
            holding: false,
            queue: QueueStatus { waiting: 0 },
            retries_left: 100,
            endpoints,
        }
    }

    fn endpoint(id: &str, state: &str) -> EndpointStatus {
        EndpointStatus {
            id: id.to_owned(),
            address: "10.0.0.1:8080".to_owned(),
            weight: 1,
            state: state.to_owned(),
            since: "2027-01-15T08:00:00Z".parse().expect("a time"),
            why: "its reason".to_owned(),
            in_flight: 2,
            connections: 4,
            requests: 1000,
            errors: 0,
            order: None,
            last_check_failure: None,
        }
    }

    fn ordered(id: &str) -> EndpointStatus {
        let order = OrderDocument {
            state: Some(OrderedState::Drain),
            weight: std::num::NonZeroU16::new(7),
            until: "2027-01-15T09:00:00Z".parse().ok(),
            ..OrderDocument::default()
        };
        EndpointStatus {
            weight: 7,
            order: Some(order),
            last_check_failure: Some("status 500".to_owned()),
            ..endpoint(id, "draining")
        }
    }

    #[test]
    fn tables_line_up() {
        let document = StatusDocument {
            version: "1.2.3".to_owned(),
            pid: 42,
            state: State::Ready,
            uptime_seconds: 185.0,
            generation: 1,
            config: ConfigStatus {
                generation: 1,
                history: ConfigHistory {
                    file: "/etc/fulcrum.yaml".to_owned(),
                    loaded_at: "2026-01-02T03:04:05Z".to_owned(),
                    last_error: Some(LastError {
                        at: "2026-01-02T04:00:00Z".to_owned(),
                        mistakes: Mistakes { text: "error: no\n".to_owned(), errors: Vec::new() },
                    }),
                },
            },
            connections: 3,
            requests: 2,
            admin: vec!["unix:/run/a.sock".to_owned()],
            workers: vec![WorkerStatus { connections: 3, accepted: 9 }],
            listeners: vec![ListenerStatus {
                name: "web".to_owned(),
                addresses: vec!["127.0.0.1:80".to_owned(), "[::1]:80".to_owned()],
                connections: 3,
                requests: 2,
            }],
            services: vec![
                service("shop", vec![endpoint("blue", "up"), endpoint("green", "down")]),
                ServiceStatus {
                    panic: "reachable".to_owned(),
                    queue: QueueStatus { waiting: 3 },
                    ..service("cart", vec![ordered("red")])
                },
            ],
            absent_overrides: vec![AbsentOverride {
                service: "cart".to_owned(),
                endpoint: "gone".to_owned(),
                order: OrderDocument {
                    state: Some(OrderedState::Maintenance),
                    reason: Some("disk".to_owned()),
                    ..OrderDocument::default()
                },
            }],
        };
        let expected = "\
fulcrum 1.2.3, process 42: ready for 3m 5s, generation 1
connections: 3, requests in progress: 2, admin: unix:/run/a.sock
configuration: /etc/fulcrum.yaml, loaded at 2026-01-02T03:04:05Z
the last reload, at 2026-01-02T04:00:00Z, was refused:
error: no

LISTENER  ADDRESSES               CONNECTIONS  REQUESTS
web       127.0.0.1:80, [::1]:80  3            2

SERVICE  BALANCE      ENDPOINT  ADDRESS        STATE     WEIGHT  IN FLIGHT  REQUESTS  ERRORS
shop     round_robin  blue      10.0.0.1:8080  up        1       2          1000      0
shop     round_robin  green     10.0.0.1:8080  down      1       2          1000      0
cart     round_robin  red       10.0.0.1:8080  draining  7       2          1000      0

shop/green: down since 2027-01-15T08:00:00Z (its reason)
cart: 1 of 2 healthy; too few are healthy, all that accept connections are used; 3 in the queue
cart/red: draining since 2027-01-15T08:00:00Z (its reason), weight 7 by order, until 2027-01-15T09:00:00Z; last failed check: status 500
cart/gone: absent (ordered: maintenance, disk)

WORKER  CONNECTIONS  ACCEPTED
0       3            9
";
        assert_eq!(table(&document), expected);
    }

    #[test]
    fn spans_have_two_units() {
        fn check(seconds: f64, expected: &str) {
            assert_eq!(span(seconds), expected, "{seconds}");
        }
        check(0.4, "0s");
        check(59.9, "59s");
        check(60.0, "1m 0s");
        check(7260.0, "2h 1m");
        check(1_051_200.0, "12d 4h");
    }
}
