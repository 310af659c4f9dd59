//! Every metric of `docs/metrics.md` is there as documented, no other is, and each moves when it should.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::harness::{Client, Dig, Fulcrum, Metrics, REFUSED, Setup, Upstream, eventually, ok};

/// One metric of the reference.
struct Documented {
    name: String,
    kind: String,
    labels: Vec<String>,
}

/// The rows of the reference's tables.
fn documented() -> Vec<Documented> {
    let rows = include_str!("../../docs/metrics.md").lines().filter(|line| line.starts_with("| `fulcrum_"));
    rows.flat_map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let labels: BTreeSet<String> = cells[3]
            .split(',')
            .map(|label| label.trim().to_owned())
            .filter(|label| !label.is_empty())
            .collect();
        let names = cells[1].split('`').skip(1).step_by(2);
        names.map(move |name| Documented {
            name: name.to_owned(),
            kind: cells[2].to_owned(),
            labels: labels.iter().cloned().collect(),
        })
    })
    .collect()
}

/// Adds a listener for connections to an endpoint that refuses them.
fn with_tcp_listener(yaml: &str) -> String {
    let listener = "listeners:\n  db: { bind: \"127.0.0.1:0\", protocol: tcp, to: nobody }\n";
    let service = format!("services:\n  nobody: {{ endpoints: [\"{REFUSED}\"] }}\n");
    yaml.replace("listeners:\n", listener).replace("services:\n", &service)
}

/// Traffic after which every family has a series: answers, a refused endpoint, a request without a route, a connection
/// that nobody takes, a question to the registry.
fn daemon_that_has_seen_everything(upstream: &Upstream) -> Fulcrum {
    let fulcrum = Setup::new(upstream)
        .endpoint(REFUSED)
        .service("balance: round_robin")
        .route("{ path: /app, to: app }")
        .top("registry: { bind: \"127.0.0.1:0\", store: { embedded: @DIR@/registry.redb }, \
              compat: { dns: { bind: \"127.0.0.1:0\", domain: example.com } } }")
        .top(
            "state_dir: \"@DIR@/state\"\ngslb: { bind: \"127.0.0.1:0\", regions: { eu: {} }, zones: { example.com: { soa: { primary: a., \
             contact: b. }, ns: [a.], names: { www: { policy: failover, regions: { eu: [192.0.2.1] } }, w: { policy: weighted, endpoints: [192.0.2.1] } } } } }",
        );
    let fulcrum = Fulcrum::start(&with_tcp_listener(&fulcrum.yaml()));
    assert_eq!(fulcrum.ask_registry("GET", "/v1/services", "").status, 200);
    assert_eq!(fulcrum.dig(&["www.example.com"]).answers, ["www.example.com. 60 IN A 192.0.2.1"]);
    let names = fulcrum.ready["registry_dns"][0].as_str().expect("an address");
    assert_eq!(Dig::ask(names, &["app.svc.example.com"]).status, "NXDOMAIN");
    for _ in 0..4 {
        assert_eq!(fulcrum.get("/app").status, 200);
    }
    Client::connect(&fulcrum.addresses("db")[0]).assert_closed();
    fulcrum.await_metric("fulcrum_tcp_errors_total", &[("reason", "connect_refused")], 1.0);
    assert_eq!(fulcrum.get("/elsewhere").status, 404);
    fulcrum.await_errors("no_route", 1);
    fulcrum
}

#[test]
fn the_reference_lists_every_metric_with_type_and_labels() {
    let upstream = Upstream::named("app");
    let fulcrum = daemon_that_has_seen_everything(&upstream);
    let metrics = fulcrum.metrics();
    let documented = documented();
    assert!(documented.len() > 30, "the tables are found");
    for Documented { name, kind, labels } in &documented {
        assert_eq!(metrics.kind(name), Some(kind.as_str()), "{name}");
        let series = if kind == "histogram" { format!("{name}_count") } else { name.clone() };
        assert!(metrics.has(&series, &[]), "{name} has no series");
        assert_eq!(&metrics.labels(&series), labels, "{name}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name}: counters alone end in _total");
    }
    let known: BTreeSet<&str> = documented.iter().map(|metric| metric.name.as_str()).collect();
    for name in metrics.names() {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let is_known = known.contains(name) || family.is_some_and(|family| known.contains(family));
        assert!(is_known, "{name} is not in the reference");
    }
}

#[test]
fn metrics_come_in_the_text_format() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    fulcrum.get("/");
    let response = fulcrum.ask_admin("/metrics");
    assert_eq!(response.field("content-type"), Some("text/plain; version=0.0.4"));
    let text = response.text();
    for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
        let family = line.split(' ').nth(2).expect("a type belongs to a family");
        let of_family = |line: &&str| line.split(' ').nth(2) == Some(family);
        let helps = text.lines().filter(|line| line.starts_with("# HELP ")).filter(of_family).count();
        let types = text.lines().filter(|line| line.starts_with("# TYPE ")).filter(of_family).count();
        assert_eq!((helps, types), (1, 1), "{family}");
    }
}

/// An upstream that answers `abc` each time it is told to.
fn upstream_on_command() -> (Upstream, Sender<()>) {
    let (release, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let upstream = Upstream::new(move |mut conversation| {
        while conversation.request().is_some() {
            if gate.lock().expect("nobody panics with the gate").recv().is_err() {
                return;
            }
            conversation.send(ok("abc"));
        }
    });
    (upstream, release)
}

#[test]
fn a_request_is_counted_once_everywhere() {
    let (upstream, release) = upstream_on_command();
    let fulcrum = Setup::new(&upstream).route("{ name: shop, to: app }").start();
    let listener = [("listener", "web")];
    let endpoint = [("service", "app"), ("endpoint", upstream.address())];
    let now = [
        ("fulcrum_http_connections", &listener[..]),
        ("fulcrum_http_requests_in_flight", &listener),
        ("fulcrum_upstream_requests_in_flight", &endpoint),
    ];

    let mut client = fulcrum.connect();
    client.send("POST /x HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello");
    upstream.await_requests(1);
    now.iter().for_each(|(name, labels)| fulcrum.await_metric(name, labels, 1.0));
    fulcrum.await_metric("fulcrum_http_requests_total", &[], 0.0);
    release.send(()).expect("the upstream waits");
    assert_eq!(client.response().text(), "abc");
    fulcrum.await_metric("fulcrum_upstream_connections_idle", &endpoint, 1.0);
    release.send(()).expect("the upstream waits");
    assert_eq!(client.get("/y").text(), "abc");

    let totals = [
        ("fulcrum_http_requests_total", vec![("listener", "web"), ("code", "2xx")], 2.0),
        ("fulcrum_http_requests_total", vec![], 2.0),
        ("fulcrum_http_connections_total", vec![("listener", "web")], 1.0),
        ("fulcrum_http_connections", vec![("listener", "web")], 1.0),
        ("fulcrum_http_requests_in_flight", vec![("listener", "web")], 0.0),
        ("fulcrum_http_received_bytes_total", vec![("listener", "web")], 5.0),
        ("fulcrum_http_sent_bytes_total", vec![("listener", "web")], 6.0),
        ("fulcrum_http_request_duration_seconds_count", vec![("listener", "web")], 2.0),
        ("fulcrum_http_route_requests_total", vec![("route", "shop"), ("code", "2xx")], 2.0),
        ("fulcrum_http_route_requests_total", vec![], 2.0),
        ("fulcrum_http_errors_total", vec![], 0.0),
        ("fulcrum_upstream_requests_total", [&endpoint[..], &[("code", "2xx")]].concat(), 2.0),
        ("fulcrum_upstream_requests_total", vec![], 2.0),
        ("fulcrum_upstream_errors_total", vec![], 0.0),
        ("fulcrum_upstream_retries_total", vec![("service", "app")], 0.0),
        ("fulcrum_upstream_requests_in_flight", endpoint.to_vec(), 0.0),
        ("fulcrum_upstream_connections_total", endpoint.to_vec(), 1.0),
        ("fulcrum_upstream_connections_reused_total", endpoint.to_vec(), 1.0),
        ("fulcrum_upstream_connections_idle", endpoint.to_vec(), 1.0),
        ("fulcrum_upstream_connect_duration_seconds_count", vec![("service", "app")], 1.0),
        ("fulcrum_upstream_time_to_first_byte_seconds_count", vec![("service", "app")], 2.0),
        ("fulcrum_process_access_log_records_total", vec![], 2.0),
        ("fulcrum_process_access_log_dropped_total", vec![], 0.0),
        ("fulcrum_process_panics_total", vec![], 0.0),
        ("fulcrum_config_generation", vec![], 1.0),
    ];
    totals.iter().for_each(|(name, labels, expected)| fulcrum.await_metric(name, labels, *expected));
    drop(client);
    fulcrum.await_metric("fulcrum_http_connections", &listener, 0.0);
}

#[test]
fn times_add_up() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    (0..5).for_each(|_| drop(client.get("/")));
    fulcrum.await_metric("fulcrum_http_request_duration_seconds_count", &[], 5.0);
    let metrics = fulcrum.metrics();
    let whole = metrics.value("fulcrum_http_request_duration_seconds_sum", &[]);
    let route = metrics.value("fulcrum_http_route_duration_seconds_total", &[]);
    let there = metrics.value("fulcrum_upstream_duration_seconds_total", &[]);
    let first_byte = metrics.value("fulcrum_upstream_time_to_first_byte_seconds_sum", &[]);
    let connect = metrics.value("fulcrum_upstream_connect_duration_seconds_sum", &[]);
    assert!((whole - route).abs() < 1e-6, "one route has all the time: {whole} {route}");
    assert!(0.0 < connect && connect < first_byte, "{connect} {first_byte}");
    assert!(first_byte <= there && there <= whole, "{first_byte} {there} {whole}");
}

#[test]
fn histograms_have_the_documented_bounds() {
    let upstream = Upstream::named("app");
    let fulcrum = Fulcrum::start(&with_tcp_listener(&Setup::new(&upstream).yaml()));
    fulcrum.get("/");
    let metrics = fulcrum.metrics();
    let bounds = [
        "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5",
        "10", "30", "60", "+Inf",
    ];
    for family in documented().iter().filter(|metric| metric.kind == "histogram") {
        let bucket = format!("{}_bucket", family.name);
        let counts: Vec<f64> = bounds.iter().map(|bound| metrics.value(&bucket, &[("le", bound)])).collect();
        for bound in bounds {
            assert!(metrics.has(&bucket, &[("le", bound)]), "{bucket} {bound}");
        }
        let count = metrics.names().filter(|name| **name == bucket).count();
        assert_eq!(count, bounds.len(), "{bucket}: one listener of the kind, and one service that is used");
        assert!(counts.is_sorted(), "{bucket} is cumulative: {counts:?}");
        let total = metrics.value(&format!("{}_count", family.name), &[]);
        assert_eq!(counts.last(), Some(&total), "{bucket}");
    }
}

#[test]
fn a_failed_attempt_is_its_endpoints_alone() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).endpoint(REFUSED).service("balance: round_robin").start();
    let mut client = fulcrum.connect();
    for _ in 0..6 {
        assert_eq!(client.get("/").status, 200);
    }
    fulcrum.await_metric("fulcrum_http_requests_total", &[("code", "2xx")], 6.0);
    let metrics = fulcrum.metrics();
    let labels = [("service", "app"), ("endpoint", REFUSED), ("reason", "connect_refused")];
    let failed = metrics.value("fulcrum_upstream_errors_total", &labels);
    assert!(failed >= 1.0, "round robin has tried both");
    assert_eq!(metrics.value("fulcrum_upstream_errors_total", &[]), failed);
    assert_eq!(metrics.value("fulcrum_upstream_retries_total", &[("service", "app")]), failed);
    assert_eq!(metrics.value("fulcrum_upstream_requests_total", &[("endpoint", REFUSED)]), 0.0);
    assert_eq!(metrics.value("fulcrum_http_errors_total", &[]), 0.0, "no client has seen it");
    // What has failed is counted as in flight for a second: a dead endpoint must not look idle.
    fulcrum.await_metric("fulcrum_upstream_requests_in_flight", &[], 0.0);
}

#[test]
fn answers_are_counted_by_class() {
    let upgrade = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    let upstream = Upstream::new(move |mut conversation| {
        conversation.head();
        conversation.send(upgrade);
        let word = conversation.wire.exactly(4).unwrap_or_default();
        conversation.send(word);
    });
    let fulcrum = Setup::new(&upstream)
        .route("{ name: ok, path: /ok, respond: { status: 200, body: four } }")
        .route("{ name: moved, path: /moved, redirect: { to: \"https://example.com\", status: 301 } }")
        .route("{ name: gone, path: /gone, respond: { status: 410 } }")
        .route("{ name: closed, path: /closed, respond: { status: 503 } }")
        .route("{ name: echo, path: /echo, to: app }")
        .start();
    let mut client = fulcrum.connect();
    let rows = [("/ok", 200, "ok", "2xx"), ("/moved", 301, "moved", "3xx"), ("/gone", 410, "gone", "4xx")];
    for (target, status, _, _) in rows {
        assert_eq!(client.get(target).status, status);
    }
    assert_eq!(client.get("/closed").status, 503);
    client.send("GET /echo HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    assert_eq!(client.try_response("GET").expect("an answer").status, 101);
    client.send("ping");
    assert_eq!(client.wire.exactly(4).as_deref(), Ok(&b"ping"[..]));
    drop(client);

    for (_, _, route, class) in rows.into_iter().chain([("", 0, "closed", "5xx"), ("", 0, "echo", "1xx")]) {
        fulcrum.await_metric("fulcrum_http_requests_total", &[("code", class)], 1.0);
        fulcrum.await_metric("fulcrum_http_route_requests_total", &[("route", route), ("code", class)], 1.0);
        fulcrum.await_metric("fulcrum_http_route_requests_total", &[("route", route)], 1.0);
    }
    fulcrum.await_metric("fulcrum_upstream_requests_total", &[("code", "1xx")], 1.0);
    fulcrum.await_metric("fulcrum_upstream_requests_total", &[], 1.0);
    // What went through the tunnel counts as the body of both sides.
    fulcrum.await_metric("fulcrum_http_received_bytes_total", &[], 4.0);
    fulcrum.await_metric("fulcrum_http_sent_bytes_total", &[], 8.0);
}

#[test]
fn listeners_routes_services_and_endpoints_are_told_apart() {
    let (one, two) = (Upstream::named("one"), Upstream::named("two"));
    let fulcrum = Fulcrum::start(&format!(
        "listeners:
  web: {{ bind: \"127.0.0.1:0\" }}
  back: {{ bind: [\"127.0.0.1:0\", \"unix:@DIR@/back.sock\"] }}
routes:
  - {{ path: /one, to: first }}
  - {{ name: second, path: /two, to: second }}
services:
  first: {{ endpoints: [\"{}\"] }}
  second: {{ endpoints: [{{ id: two, address: \"{}\", weight: 7 }}] }}
",
        one.address(),
        two.address()
    ));
    assert_eq!(fulcrum.get("/one").text(), "one");
    for address in fulcrum.addresses("back") {
        assert_eq!(Client::connect(address).get("/two").text(), "two");
    }
    let expected = [
        ("fulcrum_http_requests_total", vec![("listener", "web"), ("code", "2xx")], 1.0),
        ("fulcrum_http_requests_total", vec![("listener", "back"), ("code", "2xx")], 2.0),
        ("fulcrum_http_connections_total", vec![("listener", "back")], 2.0),
        ("fulcrum_http_route_requests_total", vec![("route", "*/one")], 1.0),
        ("fulcrum_http_route_requests_total", vec![("route", "second")], 2.0),
        ("fulcrum_upstream_requests_total", vec![("service", "first"), ("endpoint", one.address())], 1.0),
        ("fulcrum_upstream_requests_total", vec![("service", "second"), ("endpoint", "two")], 2.0),
        ("fulcrum_upstream_connect_duration_seconds_count", vec![("service", "first")], 1.0),
    ];
    expected.iter().for_each(|(name, labels, value)| fulcrum.await_metric(name, labels, *value));

    let status = fulcrum.status();
    let second = &status["services"][1];
    assert_eq!((&second["name"], &second["balance"]), (&"second".into(), &"least_request".into()));
    let endpoint = &second["endpoints"][0];
    assert_eq!(endpoint["id"], "two");
    assert_eq!(endpoint["address"], two.address());
    assert_eq!((&endpoint["weight"], &endpoint["requests"]), (&7.into(), &2.into()));
    assert_eq!((&endpoint["errors"], &endpoint["in_flight"]), (&0.into(), &0.into()));
    assert_eq!(status["listeners"][1]["requests"], 2, "{status}");
}

#[test]
fn what_is_idle_for_too_long_is_counted() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).listener("timeouts: { header: 100ms, keep_alive: 100ms }").start();
    let mut used = fulcrum.connect();
    used.get("/");
    used.assert_closed();
    fulcrum.await_metric("fulcrum_http_idle_closed_total", &[], 1.0);
    fulcrum.connect().assert_closed();
    fulcrum.await_metric("fulcrum_http_idle_closed_total", &[], 2.0);
    fulcrum.await_metric("fulcrum_http_requests_total", &[], 1.0);
    fulcrum.await_metric("fulcrum_http_errors_total", &[], 0.0);
}

#[test]
fn handed_over_connections_are_counted() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).top("workers: 2").start();
    // A worker keeps a connection unless the other is less busy: with so many both happens.
    let clients: Vec<Client> = (0..60)
        .map(|_| {
            let mut client = fulcrum.connect();
            client.get("/");
            client
        })
        .collect();
    let metrics = fulcrum.metrics();
    let handed_over = metrics.value("fulcrum_http_connections_handed_over_total", &[]);
    assert!((1.0..60.0).contains(&handed_over), "{handed_over}");
    assert_eq!(metrics.value("fulcrum_http_connections_total", &[("listener", "web")]), 60.0);
    assert_eq!(metrics.value("fulcrum_http_connections", &[("listener", "web")]), 60.0);
    drop(clients);
    fulcrum.await_metric("fulcrum_http_connections", &[("listener", "web")], 0.0);
}

#[test]
fn series_are_capped_and_nothing_is_lost() {
    const CAP: usize = 200;
    let upstream = Upstream::named("app");
    let mut yaml = "listeners: { web: { bind: \"127.0.0.1:0\" } }\nroutes:\n".to_owned();
    let mut services = "services:\n".to_owned();
    for number in 0..20 {
        yaml += &format!("  - {{ name: route-{number}, path: /{number}, to: service-{number} }}\n");
        services += &format!("  service-{number}: {{ endpoints: [\"{}\"] }}\n", upstream.address());
    }
    let fulcrum = Fulcrum::start(&format!("{yaml}{services}metrics: {{ max_series: {CAP} }}\n"));
    let mut client = fulcrum.connect();
    for number in 0..20 {
        assert_eq!(client.get(&format!("/{number}")).status, 200);
    }
    fulcrum.await_metric("fulcrum_http_route_requests_total", &[], 20.0);
    fulcrum.await_metric("fulcrum_upstream_requests_total", &[], 20.0);
    fulcrum.await_metric("fulcrum_upstream_connections_total", &[], 20.0);
    let metrics = fulcrum.metrics();
    assert!(metrics.value("fulcrum_http_route_requests_total", &[("route", "other")]) > 0.0);
    assert!(metrics.value("fulcrum_upstream_requests_total", &[("endpoint", "other")]) > 0.0);

    let text = fulcrum.ask_admin("/metrics").text();
    let limited: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#') && (line.contains("route=\"") || line.contains("service=\"")))
        .filter(|line| !line.contains("\"other\""))
        .collect();
    assert!(!limited.is_empty(), "the first ones have series of their own");
    assert!(
        limited.len() <= CAP,
        "{} series of services, routes and endpoints:\n{}",
        limited.len(),
        limited.join("\n")
    );
    // One service, route and endpoint more, each with all its series, stand for all the rest.
    let others = text.lines().filter(|line| line.contains("\"other\"")).count();
    assert!(others <= 91, "{others} series stand for all that is beyond");
}

#[test]
fn the_process_tells_what_it_uses() {
    let before = seconds_since_epoch();
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let pid = fulcrum.child.pid();
    let metrics = fulcrum.metrics();
    let start = metrics.value("fulcrum_process_start_time_seconds", &[]);
    // The kernel's clocks of boot and start have a resolution of a second and 10 ms.
    assert!((before - 2.0..=seconds_since_epoch() + 2.0).contains(&start), "{start}");
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count() as f64;
    let open = metrics.value("fulcrum_process_open_fds", &[]);
    assert!((open - descriptors).abs() <= 3.0, "{open} {descriptors}");
    assert_eq!(metrics.value("fulcrum_process_max_fds", &[]), hard_limit_of_files(pid));
    let resident = metrics.value("fulcrum_process_resident_memory_bytes", &[]);
    let expected = fulcrum.resident() as f64;
    assert!((resident / expected - 1.0).abs() < 0.5, "{resident} {expected}");
    let threads = metrics.value("fulcrum_process_threads", &[]);
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs").count() as f64;
    assert!((threads - tasks).abs() <= 2.0, "{threads} {tasks}");
    assert_eq!(
        metrics.value("fulcrum_build_info", &[("version", env!("CARGO_PKG_VERSION"))]),
        1.0,
        "the version is a label"
    );
    let mut client = fulcrum.connect();
    let worked = |metrics: &Metrics| metrics.value("fulcrum_process_cpu_seconds_total", &[]);
    eventually("the processor time grows with work", || {
        (0..100).for_each(|_| drop(client.get("/")));
        (worked(&fulcrum.metrics()) > worked(&metrics)).then_some(())
    });
}

fn seconds_since_epoch() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

fn hard_limit_of_files(pid: u32) -> f64 {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("it runs");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit of files");
    line.split_whitespace().nth(4).and_then(|limit| limit.parse().ok()).unwrap_or(f64::INFINITY)
}

#[test]
fn scrapes_run_beside_traffic() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).top("workers: 2").start();
    let address = fulcrum.address();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut client = Client::connect(address);
                (0..300).for_each(|_| assert_eq!(client.get("/").status, 200));
            });
        }
        let mut last = 0.0;
        while last < 600.0 {
            let metrics = fulcrum.metrics();
            let requests = metrics.value("fulcrum_http_requests_total", &[]);
            assert!(requests >= last, "a counter never goes back: {last} {requests}");
            assert!(metrics.value("fulcrum_http_requests_in_flight", &[]) <= 2.0);
            last = requests;
        }
    });
}
