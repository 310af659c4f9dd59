//! One access record per request, whatever became of it, in the form that was asked for.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Child, Client, Fulcrum, REFUSED, Setup, Upstream, eventually, fulcrum, ok};

/// The fields of the reference, in its order.
fn documented() -> Vec<&'static str> {
    let text = include_str!("../../docs/logging.md");
    let (_, table) = text.split_once("### Fields").expect("the reference has a table");
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| row.split('|').nth(1).expect("a cell").split('`').skip(1).step_by(2)).collect()
}

fn seconds(record: &Value, field: &str) -> f64 {
    record[field].as_f64().unwrap_or_else(|| panic!("{field} in {record}"))
}

/// The time as `date` writes it.
fn now() -> String {
    let output = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%S"]).output().expect("date is there");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_record_has_every_field_in_order() {
    let upstream = Upstream::named("abc");
    let fulcrum = Setup::new(&upstream)
        .top("trusted_proxies: [127.0.0.1]")
        .route("{ name: shop, host: shop.example.com, path: /buy, to: app }")
        .start();
    let before = now();
    let response = fulcrum.connect().ask(
        b"POST /buy/it?x=%20\"1 HTTP/1.1\r\nHost: Shop.Example.com:80\r\nX-Forwarded-For: 192.0.2.7\r\n\
          X-Request-Id: order-66\r\nUser-Agent: a\"b\\c \xc3\xa9 \xff\r\nReferer: http://a/\r\n\
          Content-Length: 5\r\n\r\nhello",
    );
    assert_eq!(response.status, 200);
    let record = &fulcrum.records(1)[0];
    let line = &fulcrum.log_lines()[0];
    let places: Vec<usize> = documented()
        .iter()
        .map(|field| line.find(&format!("\"{field}\":")).unwrap_or_else(|| panic!("no {field} in {line}")))
        .collect();
    assert!(places.is_sorted(), "{line}");
    assert_eq!(record.as_object().map(|fields| fields.len()), Some(documented().len()), "{line}");

    let expected = json!({
        "listener": "web", "client": "192.0.2.7", "method": "POST", "target": "/buy/it?x=%20\"1",
        "protocol": "HTTP/1.1", "status": 200, "bytes_in": 5, "bytes_out": 3, "route": "shop", "service": "app",
        "endpoint": upstream.address(), "attempts": 1, "upstream_status": 200, "request_id": "order-66",
        "referer": "http://a/", "reason": "ok",
    });
    for (field, value) in expected.as_object().expect("an object") {
        assert_eq!(&record[field], value, "{field} in {line}");
    }
    assert_eq!(upstream.only_request().field("x-request-id"), Some("order-66"));
    assert_eq!(record["host"].as_str().map(str::to_ascii_lowercase).as_deref(), Some("shop.example.com:80"));
    assert!(record["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")), "{line}");
    let agent = record["user_agent"].as_str().expect("a text");
    assert!(agent.starts_with("a\"b\\c \u{e9} "), "{agent}");
    let time = record["time"].as_str().expect("a text");
    assert!(time.len() == 24 && time.as_bytes()[19] == b'.' && time.ends_with('Z'), "{time}");
    assert!((before.as_str()..=now().as_str()).contains(&&time[..19]), "{before} {time}");
}

#[test]
fn times_are_parts_of_the_duration() {
    let upstream = Upstream::named("abc");
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    client.get("/first");
    client.get("/second");
    let records = fulcrum.records(2);
    for record in &records {
        let parts: Vec<f64> = ["time_head", "time_first_byte", "time_response"]
            .iter()
            .map(|field| seconds(record, field))
            .collect();
        let (sum, duration) = (parts.iter().sum::<f64>(), seconds(record, "duration"));
        // Each is cut to whole microseconds.
        assert!((sum - duration).abs() < 1e-3, "{record}");
        assert!(parts.iter().all(|part| (0.0..=duration).contains(part)), "{record}");
    }
    assert!(seconds(&records[0], "time_connect") <= seconds(&records[0], "time_first_byte"));
    assert_eq!(records[1]["time_connect"], Value::Null, "a pooled connection");
    let line = &fulcrum.log_lines()[0];
    let (_, rest) = line.split_once("\"duration\":").expect("a duration");
    let decimals = rest.split([',', '}']).next().and_then(|number| number.split_once('.'));
    assert_eq!(decimals.map(|(_, decimals)| decimals.len()), Some(6), "{line}");
}

#[test]
fn what_is_absent_is_null() {
    let upstream = Upstream::named("abc");
    let fulcrum = Setup::new(&upstream).route("{ path: /app, to: app }").start();
    let response = fulcrum.get("/elsewhere");
    assert_eq!(response.status, 404);
    let record = &fulcrum.records(1)[0];
    assert_eq!((&record["status"], &record["reason"]), (&json!(404), &json!("no_route")));
    assert_eq!((&record["attempts"], &record["bytes_out"]), (&json!(0), &json!(response.body.len())));
    for field in [
        "route",
        "service",
        "endpoint",
        "upstream_status",
        "time_connect",
        "time_first_byte",
        "user_agent",
        "referer",
    ] {
        assert_eq!(record[field], Value::Null, "{field} in {record}");
    }
    let id = record["request_id"].as_str().expect("an id of our own");
    assert!(response.text().contains(id), "the answer names it: {}", response.text());
}

#[test]
fn a_request_that_cannot_be_parsed_has_a_record() {
    let upstream = Upstream::named("abc");
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: test\r\nBad Name: x\r\n\r\n").status, 400);
    let record = &fulcrum.records(1)[0];
    assert_eq!((&record["status"], &record["reason"]), (&json!(400), &json!("malformed_header")));
    assert_eq!(record.as_object().map(|fields| fields.len()), Some(documented().len()), "{record}");
}

#[test]
fn a_client_that_goes_is_499_in_the_log_alone() {
    let upstream = Upstream::new(|mut conversation| {
        conversation.request();
        conversation.until_closed();
    });
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    upstream.await_requests(1);
    // A client that only ends its direction still waits for its answer; one that resets does not.
    client.wire.socket.reset_on_close();
    drop(client);
    let record = &fulcrum.records(1)[0];
    assert_eq!((&record["status"], &record["reason"]), (&json!(499), &json!("client_closed")), "{record}");
    assert_eq!(record["upstream_status"], Value::Null);
    fulcrum.await_errors("client_closed", 1);
    fulcrum.await_metric("fulcrum_upstream_errors_total", &[], 0.0);
}

#[test]
fn every_attempt_is_told() {
    let upstream = Upstream::named("abc");
    let dead = "127.77.0.1:2";
    let fulcrum = Setup::default()
        .endpoint(REFUSED)
        .endpoint(dead)
        .service("balance: round_robin")
        .route("{ to: app }")
        .route("{ path: /alive, to: app }")
        .start();
    assert_eq!(fulcrum.get("/").status, 502);
    let record = &fulcrum.records(1)[0];
    assert_eq!((&record["status"], &record["attempts"]), (&json!(502), &json!(2)), "{record}");
    assert_eq!(record["reason"], "connect_refused");
    assert!([REFUSED, dead].contains(&record["endpoint"].as_str().expect("the last one tried")), "{record}");
    assert_eq!((&record["upstream_status"], &record["time_first_byte"]), (&Value::Null, &Value::Null));

    let fulcrum = Setup::new(&upstream).endpoint(REFUSED).service("balance: round_robin").start();
    (0..4).for_each(|_| assert_eq!(fulcrum.get("/").status, 200));
    let attempts: Vec<u64> =
        fulcrum.records(4).iter().filter_map(|record| record["attempts"].as_u64()).collect();
    assert!(attempts.contains(&2) && attempts.iter().all(|count| (1..=2).contains(count)), "{attempts:?}");
    assert!(fulcrum.records(4).iter().all(|record| record["endpoint"] == upstream.address()));
}

#[test]
fn every_request_has_one_record() {
    let upstream = Upstream::named("abc");
    let fulcrum = Setup::new(&upstream).top("workers: 2").start();
    let requests: String = (0..50).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: test\r\n\r\n")).collect();
    for _ in 0..4 {
        let mut client = fulcrum.connect();
        client.send(&requests);
        (0..50).for_each(|_| assert_eq!(client.response().status, 200));
    }
    fulcrum.await_metric("fulcrum_process_access_log_records_total", &[], 200.0);
    let records = fulcrum.records(200);
    assert_eq!(records.len(), 200);
    let mut ids: Vec<&str> = records.iter().filter_map(|record| record["request_id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 200, "ids are unique");
    for n in 0..50 {
        let target = format!("/{n}");
        assert_eq!(records.iter().filter(|record| record["target"] == *target).count(), 4, "{target}");
    }
}

#[test]
fn a_unix_peer_is_called_unix() {
    let upstream = Upstream::named("abc");
    let fulcrum = Fulcrum::start(&format!(
        "listeners: {{ web: {{ bind: \"unix:@DIR@/web.sock\" }} }}\nroutes: [{{ to: app }}]\n\
         services: {{ app: {{ endpoints: [\"{}\"] }} }}\n",
        upstream.address()
    ));
    assert_eq!(fulcrum.get("/").status, 200);
    assert_eq!(fulcrum.records(1)[0]["peer"], "unix");
}

#[test]
fn clf_is_the_common_log_format() {
    let upstream = Upstream::named("abc");
    let fulcrum =
        Setup::new(&upstream).top("log: { access: { path: \"@DIR@/access.log\", format: clf } }").start();
    fulcrum.get("/a?b=\"c");
    let line = eventually("a line", || fulcrum.log_lines().pop());
    let (before, rest) = line.split_once('[').expect("a time");
    let (time, after) = rest.split_once(']').expect("a time");
    assert_eq!(before, "127.0.0.1 - - ");
    let shape: String = time
        .chars()
        .map(|character| match character {
            '0'..='9' => '0',
            'a'..='z' | 'A'..='Z' => 'a',
            other => other,
        })
        .collect();
    assert_eq!(shape, "00/aaa/0000:00:00:00 +0000", "{line}");
    // The quote would end the field, so that it is escaped.
    let request = after.strip_prefix(" \"").and_then(|after| after.strip_suffix("\" 200 3"));
    let request = request.unwrap_or_else(|| panic!("{line}"));
    assert!(request.starts_with("GET /a?b=") && request.ends_with(" HTTP/1.1"), "{line}");
    assert!(!request["GET /a?b=".len()..].starts_with('"'), "{line}");
}

#[test]
fn a_template_can_have_every_field() {
    let upstream = Upstream::named("abc");
    let template: Vec<String> = documented().iter().map(|field| format!("{field}={{{field}}}")).collect();
    let log =
        format!("log: {{ access: {{ path: \"@DIR@/access.log\", format: \"{}\" }} }}", template.join(" "));
    let fulcrum = Setup::new(&upstream).route("{ path: /app, to: app }").top(&log).start();
    fulcrum.get("/nowhere");
    let line = eventually("a line", || fulcrum.log_lines().pop());
    let values: Vec<(&str, &str)> = line.split(' ').filter_map(|part| part.split_once('=')).collect();
    let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, documented(), "{line}");
    let value = |name| values.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
    assert_eq!(value("method"), Some("GET"));
    assert_eq!(value("target"), Some("/nowhere"));
    assert_eq!(value("status"), Some("404"));
    assert_eq!(value("reason"), Some("no_route"));
    assert_eq!(value("attempts"), Some("0"));
    for absent in ["route", "service", "endpoint", "upstream_status", "time_connect", "user_agent", "referer"]
    {
        assert_eq!(value(absent), Some("-"), "{absent} in {line}");
    }
}

#[test]
fn bytes_that_could_break_a_line_or_a_terminal_are_escaped() {
    let upstream = Upstream::named("abc");
    let fulcrum = Setup::new(&upstream)
        .top("log: { access: { path: \"@DIR@/access.log\", format: \"{user_agent} end\" } }")
        .start();
    fulcrum.connect().ask(b"GET / HTTP/1.1\r\nHost: test\r\nUser-Agent: \tx\x80\x9b31m\xff\ty\r\n\r\n");
    let line = eventually("a line", || fulcrum.log_lines().pop());
    assert!(line.is_ascii() && !line.contains(|character: char| character.is_ascii_control()), "{line:?}");
    assert!(line.ends_with("y end"), "{line:?}");
}

#[test]
fn the_file_is_private_and_appended_to() {
    let directory = tempfile::tempdir().expect("room for a directory");
    fs::write(directory.path().join("access.log"), "before\n").expect("room for a file");
    let upstream = Upstream::named("abc");
    let mut fulcrum = Fulcrum::start_in(directory, &Setup::new(&upstream).yaml());
    fulcrum.get("/");
    eventually("a second line", || (fulcrum.log_lines().len() == 2).then_some(()));
    assert_eq!(fulcrum.log_lines()[0], "before");
    assert_eq!(fulcrum.stop(), Some(0));

    let fresh = Setup::new(&upstream).start();
    let mode = fs::metadata(fresh.directory().join("access.log")).expect("it is opened at the start");
    // The umask may take more away.
    assert_eq!(mode.permissions().mode() & 0o777 & !0o640, 0);
}

#[test]
fn nothing_is_lost_at_the_end() {
    let upstream = Upstream::answering(ok("abc"));
    let mut fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    (0..20).for_each(|n| drop(client.get(&format!("/{n}"))));
    drop(client);
    assert_eq!(fulcrum.stop(), Some(0));
    assert_eq!(fulcrum.log_lines().len(), 20, "records of the last moment are written before the end");
}

#[test]
fn stdout_has_records_behind_the_ready_line() {
    let upstream = Upstream::named("abc");
    let fulcrum = Setup::new(&upstream).top("log: { access: stdout }").start();
    fulcrum.get("/out");
    let record: Value = serde_json::from_str(&fulcrum.child.line()).expect("JSON");
    assert_eq!(record["target"], "/out");
}

#[test]
fn without_a_log_there_are_no_numbers_of_one() {
    let upstream = Upstream::named("abc");
    let fulcrum = Setup::new(&upstream).top("log: { access: none }").start();
    fulcrum.get("/");
    fulcrum.await_metric("fulcrum_http_requests_total", &[], 1.0);
    let metrics = fulcrum.metrics();
    assert!(!metrics.names().any(|name| name.starts_with("fulcrum_access_log")));
    assert_eq!(fulcrum.child.lines(), Vec::<String>::new(), "nothing on stdout either");
}

#[test]
fn a_log_that_cannot_be_opened_is_a_bad_configuration() {
    let directory = tempfile::tempdir().expect("room for a directory");
    let file = directory.path().join("fulcrum.yaml");
    let log = directory.path().join("missing/access.log");
    let yaml = format!(
        "version: 1\nlisteners: {{ web: {{ bind: \"127.0.0.1:0\" }} }}\nroutes: [{{ respond: {{ status: 200 }} }}]\n\
         admin: {{ socket: none }}\nlog: {{ access: {} }}\n",
        log.display()
    );
    fs::write(&file, yaml).expect("room for a file");
    let output = fulcrum(["run".as_ref(), "-c".as_ref(), file.as_os_str()]);
    assert_eq!(output.code, Some(64), "{}", output.stderr);
    assert!(output.stderr.contains(&log.display().to_string()), "{}", output.stderr);
    assert_eq!(output.stdout, "");
}

#[test]
fn diagnostics_obey_the_level_and_the_environment() {
    let directory = tempfile::tempdir().expect("room for a directory");
    let file = directory.path().join("fulcrum.yaml");
    let yaml = "version: 1\nlisteners: { web: { bind: \"127.0.0.1:0\" } }\nroutes: [{ respond: { status: 200 } }]\n\
                admin: { socket: none }\nlog: { level: warn }\n";
    fs::write(&file, yaml).expect("room for a file");
    let path = file.to_str().expect("a path in ASCII");
    for (environment, is_heard) in [(None, false), (Some("info"), true)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fulcrum"));
        command.args(["run", "-c", path]).env_remove("FULCRUM_LOG");
        environment.map(|level| command.env("FULCRUM_LOG", level));
        let mut child = Child::spawn(command, directory.path().join("stderr"));
        let ready: Value = serde_json::from_str(&child.line()).expect("JSON");
        let address = ready["listeners"]["web"][0].as_str().expect("an address");
        assert_eq!(Client::connect(address).get("/").status, 200);
        child.signal(rustix::process::Signal::TERM);
        assert_eq!(child.exit_code(), Some(0));
        assert_eq!(child.stderr().contains("serving"), is_heard, "{environment:?}: {}", child.stderr());
    }
}
