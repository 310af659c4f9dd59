//! The other end: unix sockets on both sides, and the limit of a listener.

use std::time::Duration;

use crate::harness::{Client, Setup, Upstream, eventually, ok};

#[test]
fn unix_sockets_serve_on_both_sides() {
    let directory = tempfile::tempdir().expect("room for a directory");
    let path = directory.path().join("app.sock");
    let upstream = Upstream::unix(&path, |mut conversation| {
        while let Some(request) = conversation.request() {
            conversation.send(ok(request.target()));
        }
    });
    let yaml = format!(
        "listeners: {{ web: {{ bind: [\"127.0.0.1:0\", \"unix:@DIR@/web.sock\"] }} }}\n\
         routes: [{{ to: app }}]\n\
         services: {{ app: {{ endpoints: [\"{}\"] }} }}",
        upstream.address()
    );
    let fulcrum = crate::harness::Fulcrum::start(&yaml);
    let addresses = fulcrum.addresses("web");
    assert_eq!(addresses.len(), 2, "{addresses:?}");
    for (count, address) in (1..).zip(addresses) {
        let mut client = Client::connect(address);
        assert_eq!(client.get("/over-a-socket").text(), "/over-a-socket", "{address}");
        let record = &fulcrum.records(count)[count - 1];
        assert_eq!(record["endpoint"], upstream.address(), "{record}");
        if address.starts_with("unix:") {
            assert_eq!(record["peer"], "unix", "{record}");
            let forwarded = upstream.last_request();
            assert!(
                !forwarded.field("x-forwarded-for").unwrap_or_default().contains('/'),
                "{:?}",
                forwarded.head
            );
        }
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn connections_beyond_a_listeners_limit_wait() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).listener("limits: { connections: 2 }").start();
    let mut first = fulcrum.connect();
    let mut second = fulcrum.connect();
    // Both are at work: half a request each.
    for client in [&mut first, &mut second] {
        client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhel");
    }
    fulcrum.await_metric("fulcrum_http_requests_in_flight", &[("listener", "web")], 2.0);
    let mut third = fulcrum.connect();
    third.send("GET /third HTTP/1.1\r\nHost: test\r\n\r\n");
    let labels = [("reason", "listener_connections")];
    eventually("the limit is counted", || {
        (fulcrum.metric("fulcrum_process_limit_hits_total", &labels) >= 1.0).then_some(())
    });
    third.assert_silent(Duration::from_millis(200));
    first.send("lo");
    assert_eq!(first.response().text(), "app");
    drop(first);
    assert_eq!(third.response().text(), "app", "its turn");
    second.send("lo");
    assert_eq!(second.response().text(), "app");
}
