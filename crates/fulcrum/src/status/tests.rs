//! What people see of a status.

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
        weight_from: "config".to_owned(),
        state: state.to_owned(),
        since: "2027-01-15T08:00:00Z".parse().expect("a time"),
        why: "its reason".to_owned(),
        in_flight: 2,
        elsewhere: 0,
        limit: None,
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
        discovery: Vec::new(),
        host_names: vec![
            HostNameStatus {
                name: "app.internal".to_owned(),
                addresses: vec!["10.0.0.1".to_owned(), "::1".to_owned()],
                last_answer: "2027-01-15T08:00:00Z".parse().ok(),
                last_failure: None,
                failures: 0,
            },
            HostNameStatus {
                name: "nobody".to_owned(),
                addresses: Vec::new(),
                last_answer: None,
                last_failure: Some("no_such_name".to_owned()),
                failures: 3,
            },
        ],
        registry: None,
        gslb: None,
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

HOST NAME     ADDRESSES      LAST ANSWER           FAILURES  LAST FAILURE
app.internal  10.0.0.1, ::1  2027-01-15T08:00:00Z  0
nobody        none           never                 3         no_such_name

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
