//! Bytes, and what is counted and logged of them.

use std::thread;

use crate::harness::{Client, Fulcrum, Upstream, Wire, pattern};

use super::{check_echo, connect, echo, in_front_of, standing, yaml};

const BULK: usize = 16 << 20;

#[test]
fn large_streams_pass_both_ways_at_once() {
    let upstream = Upstream::new(echo);
    let fulcrum = in_front_of(&[&upstream], "");
    let mut client = connect(&fulcrum);
    let bytes = pattern(BULK);
    let mut sender = Wire::new(client.wire.socket.try_clone());
    let sent = bytes.clone();
    let sending = thread::spawn(move || sender.send(&sent));
    let received = client.wire.exactly(bytes.len()).expect("all of it");
    sending.join().expect("no panic").expect("all of it");
    assert!(received == bytes, "bytes differ");
    drop(client);

    let labels = [("listener", "db")];
    fulcrum.await_metric("fulcrum_tcp_connections", &labels, 0.0);
    fulcrum.await_metric("fulcrum_tcp_received_bytes_total", &labels, BULK as f64);
    fulcrum.await_metric("fulcrum_tcp_sent_bytes_total", &labels, BULK as f64);
}

#[test]
fn a_connection_is_counted_while_it_stands_and_logged_when_it_ends() {
    let upstream = Upstream::new(echo);
    let fulcrum = in_front_of(&[&upstream], "");
    let client = standing(&fulcrum);
    let listener = [("listener", "db")];
    let endpoint = [("service", "app"), ("endpoint", upstream.address())];
    fulcrum.await_metric("fulcrum_tcp_connections", &listener, 1.0);
    fulcrum.await_metric("fulcrum_upstream_requests_in_flight", &endpoint, 1.0);
    // Not only at its end, which may be far.
    fulcrum.await_metric("fulcrum_tcp_received_bytes_total", &listener, 4.0);
    fulcrum.await_metric("fulcrum_tcp_sent_bytes_total", &listener, 4.0);
    fulcrum.await_metric("fulcrum_tcp_connection_duration_seconds_count", &listener, 0.0);
    assert_eq!(fulcrum.log_lines().len(), 0, "it has not ended");
    client.end_sending();

    let record = &fulcrum.records(1)[0];
    let expected: [(&str, serde_json::Value); 9] = [
        ("listener", "db".into()),
        ("client", "127.0.0.1".into()),
        ("protocol", "TCP".into()),
        ("service", "app".into()),
        ("endpoint", upstream.address().into()),
        ("attempts", 1.into()),
        ("bytes_in", 4.into()),
        ("bytes_out", 4.into()),
        ("reason", "ok".into()),
    ];
    expected.iter().for_each(|(key, value)| assert_eq!(&record[key], value, "{key} of {record}"));
    for absent in
        ["method", "target", "host", "status", "route", "upstream_status", "time_head", "request_id"]
    {
        assert!(record[absent].is_null(), "{absent} of {record}");
    }
    for time in ["duration", "time_connect", "time_first_byte"] {
        assert!(record[time].as_f64().is_some_and(|seconds| seconds >= 0.0), "{time} of {record}");
    }
    fulcrum.await_metric("fulcrum_tcp_connections", &listener, 0.0);
    fulcrum.await_metric("fulcrum_tcp_connections_total", &listener, 1.0);
    fulcrum.await_metric("fulcrum_tcp_connection_duration_seconds_count", &listener, 1.0);
    fulcrum.await_metric("fulcrum_upstream_requests_in_flight", &endpoint, 0.0);
    let metrics = fulcrum.metrics();
    assert!(!metrics.has("fulcrum_tcp_errors_total", &[]), "both sides have ended it");
    let http = metrics.names().find(|name| name.starts_with("fulcrum_http_requests"));
    assert_eq!(http, None, "there is no listener for requests");
}

#[test]
fn unix_sockets_will_do_on_both_sides() {
    let directory = tempfile::tempdir().expect("room for a directory");
    let upstream = Upstream::unix(&directory.path().join("app.sock"), echo);
    let fulcrum =
        Fulcrum::start(&yaml(&[upstream.address()], "").replace("\"127.0.0.1:0\"", "\"unix:@DIR@/db.sock\""));
    check_echo(&mut Client::connect(&fulcrum.addresses("db")[0]));
    let record = &fulcrum.records(1)[0];
    assert_eq!((&record["peer"], &record["reason"]), (&"unix".into(), &"ok".into()), "{record}");
}

#[test]
fn connections_are_spread_over_the_workers() {
    let upstreams = [Upstream::new(echo), Upstream::new(echo)];
    let addresses = [upstreams[0].address(), upstreams[1].address()];
    let fulcrum = Fulcrum::start(&format!("workers: 2\n{}", yaml(&addresses, "")));
    let mut clients: Vec<Client> = (0..40).map(|_| standing(&fulcrum)).collect();
    let status = fulcrum.status();
    let workers = status["workers"].as_array().expect("a list");
    let busy = workers.iter().map(|worker| worker["connections"].as_u64().expect("a number"));
    assert!(busy.clone().sum::<u64>() == 40 && busy.clone().all(|connections| connections >= 15), "{status}");
    clients.iter_mut().for_each(check_echo);
    // Both see how busy an endpoint is.
    assert_eq!(upstreams.each_ref().map(Upstream::connections), [20, 20]);
}
