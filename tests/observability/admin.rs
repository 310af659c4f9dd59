//! The admin's two doors: a unix socket for everything, TCP for what anyone may know and the rest with the token.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::harness::{
    Client, Fulcrum, REFUSED, Response, Setup, Upstream, fulcrum, fulcrum_with_environment,
};

fn ask(address: &str, method: &str, path: &str, authorization: Option<&str>) -> Response {
    let field = authorization.map_or_else(String::new, |value| format!("Authorization: {value}\r\n"));
    let mut client = Client::connect(address);
    client.send(format!("{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n{field}\r\n"));
    if method == "HEAD" { client.response_to_head() } else { client.response() }
}

/// The address of `admin.bind`.
fn tcp(fulcrum: &Fulcrum) -> String {
    fulcrum.ready["admin"][1].as_str().expect("the second address of the admin").to_owned()
}

fn with_admin(upstream: &Upstream, keys: &str) -> Setup {
    Setup::new(upstream)
        .top(&format!("admin: {{ socket: \"@DIR@/admin.sock\", bind: \"127.0.0.1:0\"{keys} }}"))
}

#[test]
fn the_unix_socket_is_private_and_answers_everything() {
    let upstream = Upstream::named("app");
    let fulcrum = with_admin(&upstream, ", token: s3cret").start();
    let path = fulcrum.directory().join("admin.sock");
    let mode = fs::metadata(path).expect("the socket is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fulcrum.ready["admin"][0], fulcrum.admin());
    for (path, expected) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let response = fulcrum.ask_admin(path);
        assert_eq!((response.status, response.text().as_str()), (200, expected), "{path}");
    }
    assert_eq!(fulcrum.ask_admin("/metrics").status, 200);
    assert_eq!(fulcrum.ask_admin("/status").status, 200, "without a token");
}

#[test]
fn tcp_keeps_the_status_for_those_with_the_token() {
    let upstream = Upstream::named("app");
    let fulcrum = with_admin(&upstream, ", token: s3cret").start();
    let address = tcp(&fulcrum);
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(ask(&address, "GET", path, None).status, 200, "{path} is free");
        assert_eq!(ask(&address, "GET", path, Some("Bearer wrong")).status, 200, "{path} is free");
    }
    for wrong in [None, Some("Bearer wrong"), Some("Bearer "), Some("s3cret"), Some("Basic s3cret")] {
        let response = ask(&address, "GET", "/status", wrong);
        assert_eq!(response.status, 401, "{wrong:?}");
        assert_eq!(response.field("www-authenticate"), Some("Bearer"));
        assert!(!response.text().contains("s3cret"));
    }
    let response = ask(&address, "GET", "/status", Some("Bearer s3cret"));
    assert_eq!((response.status, response.field("content-type")), (200, Some("application/json")));
}

#[test]
fn without_a_token_the_status_is_closed_on_tcp() {
    let upstream = Upstream::named("app");
    let fulcrum = with_admin(&upstream, "").start();
    let address = tcp(&fulcrum);
    for authorization in [None, Some("Bearer "), Some("Bearer anything")] {
        let response = ask(&address, "GET", "/status", authorization);
        assert_eq!(response.status, 403, "{authorization:?}");
        assert_eq!(response.field("content-type"), Some("application/problem+json"));
        let problem: Value = serde_json::from_slice(&response.body).expect("JSON");
        assert_eq!((&problem["status"], &problem["title"]), (&403.into(), &"Forbidden".into()));
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("admin.token")), "{problem}");
    }
    assert_eq!(ask(&address, "GET", "/metrics", None).status, 200);
}

#[test]
fn the_token_can_be_in_a_file() {
    let directory = tempfile::tempdir().expect("room for a directory");
    fs::write(directory.path().join("token"), "from-file\n").expect("room for a file");
    let upstream = Upstream::named("app");
    let fulcrum = Fulcrum::start_in(directory, &with_admin(&upstream, ", token: \"file:token\"").yaml());
    let address = tcp(&fulcrum);
    assert_eq!(ask(&address, "GET", "/status", Some("Bearer from-file")).status, 200);
    assert_eq!(ask(&address, "GET", "/status", Some("Bearer file:token")).status, 401);
}

#[test]
fn mistakes_are_answered_with_problems() {
    let upstream = Upstream::named("app");
    let fulcrum = with_admin(&upstream, "").start();
    for (method, path, status) in [
        ("GET", "/nowhere", 404),
        ("GET", "/", 404),
        ("GET", "/metrics/", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/status", 405),
    ] {
        for address in [fulcrum.admin(), tcp(&fulcrum)] {
            let response = ask(&address, method, path, None);
            assert_eq!(response.status, status, "{method} {path}");
            assert_eq!(response.field("content-type"), Some("application/problem+json"), "{method} {path}");
            assert_eq!(response.field("allow").is_some(), status == 405, "{method} {path}");
        }
    }
    let head = ask(&fulcrum.admin(), "HEAD", "/readyz", None);
    assert_eq!((head.status, head.field("content-length")), (200, Some("6")));
}

#[test]
fn the_admin_takes_nonsense_and_lives() {
    let upstream = Upstream::named("app");
    let fulcrum = with_admin(&upstream, "").start();
    for nonsense in ["\0\0\0\0\r\n\r\n".to_owned(), "GET".repeat(50_000), "GET / HTTP/9.9\r\n\r\n".to_owned()]
    {
        for address in [fulcrum.admin(), tcp(&fulcrum)] {
            let mut client = Client::connect(&address);
            client.send(&nonsense);
            client.end_sending();
            client.wire.until_end();
        }
    }
    assert_eq!(fulcrum.ask_admin("/healthz").status, 200);
}

#[test]
fn tcp_clients_cannot_lock_the_operator_out() {
    let upstream = Upstream::named("app");
    let fulcrum = with_admin(&upstream, "").start();
    let address = tcp(&fulcrum);
    let _crowd: Vec<Client> = (0..200).map(|_| Client::connect(&address)).collect();
    assert_eq!(fulcrum.ask_admin("/healthz").status, 200);
}

#[test]
fn the_status_document_has_everything() {
    let upstream = Upstream::named("app");
    let fulcrum = with_admin(&upstream, "").top("workers: 2").start();
    let mut client = fulcrum.connect();
    client.get("/");
    // The client may have its answer before it is counted.
    fulcrum.await_metric("fulcrum_http_requests_total", &[], 1.0);
    fulcrum.await_metric("fulcrum_http_requests_in_flight", &[], 0.0);
    let status = fulcrum.status();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["pid"], fulcrum.child.pid());
    assert_eq!((&status["state"], &status["generation"]), (&"ready".into(), &1.into()));
    assert!(status["uptime_seconds"].as_f64().is_some_and(|uptime| uptime > 0.0), "{status}");
    assert_eq!((&status["connections"], &status["requests"]), (&1.into(), &0.into()), "{status}");
    assert_eq!(status["admin"], fulcrum.ready["admin"]);
    let workers = status["workers"].as_array().expect("a list");
    let sum = |key: &str| workers.iter().filter_map(|worker| worker[key].as_u64()).sum::<u64>();
    assert_eq!((workers.len(), sum("connections"), sum("accepted")), (2, 1, 1), "{status}");
    let listener = &status["listeners"][0];
    assert_eq!((&listener["name"], &listener["addresses"][0]), (&"web".into(), &fulcrum.address().into()));
    assert_eq!((&listener["connections"], &listener["requests"]), (&1.into(), &1.into()));
    let endpoint = &status["services"][0]["endpoints"][0];
    assert_eq!((&endpoint["id"], &endpoint["weight"]), (&upstream.address().into(), &1.into()));
    assert_eq!((&endpoint["requests"], &endpoint["errors"]), (&1.into(), &0.into()));
    assert_eq!((&endpoint["state"], &endpoint["why"]), (&"up".into(), &"new".into()));
    assert!(endpoint["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{status}");
    assert_eq!((&endpoint["override"], &endpoint["last_check_failure"]), (&Value::Null, &Value::Null));
    let service = &status["services"][0];
    assert_eq!((&service["total"], &service["healthy"]), (&1.into(), &1.into()));
    assert_eq!((&service["panic"], &service["holding"]), (&"no".into(), &false.into()));
    assert_eq!(service["queue"]["waiting"], 0);
    assert!(service["retries_left"].as_u64().is_some_and(|left| left > 0), "{status}");
}

#[test]
fn failed_attempts_are_in_the_status() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).endpoint(REFUSED).service("balance: round_robin").start();
    (0..4).for_each(|_| drop(fulcrum.get("/")));
    let status = fulcrum.status();
    let errors = status["services"][0]["endpoints"][1]["errors"].as_u64().expect("a number");
    assert!(errors >= 1, "{status}");
    assert_eq!(errors as f64, fulcrum.metric("fulcrum_upstream_errors_total", &[("endpoint", REFUSED)]));
}

#[test]
fn status_shows_a_table_or_the_document() {
    let upstream = Upstream::named("app");
    let fulcrum_ = with_admin(&upstream, "").start();
    fulcrum_.get("/");
    let admin = fulcrum_.admin();
    let text = fulcrum(["status", "--admin", &admin]);
    assert_eq!((text.code, text.stderr.as_str()), (Some(0), ""));
    for part in
        ["ready for", "generation 1", "LISTENER", "SERVICE", "WORKER", fulcrum_.address(), upstream.address()]
    {
        assert!(text.stdout.contains(part), "no {part:?} in\n{}", text.stdout);
    }
    let json = fulcrum(["status", "--admin", &admin, "--format", "json"]);
    let mut document: Value = serde_json::from_str(&json.stdout).expect("JSON");
    let mut expected = fulcrum_.status();
    for one in [&mut document, &mut expected] {
        one["uptime_seconds"] = Value::Null;
    }
    assert_eq!((json.code, document), (Some(0), expected));
    let by_environment = fulcrum_with_environment(["status"], &[("FULCRUM_ADMIN", &admin)]);
    assert_eq!(by_environment.code, Some(0), "{}", by_environment.stderr);
}

#[test]
fn status_over_http_sends_the_token() {
    let upstream = Upstream::named("app");
    let daemon = with_admin(&upstream, ", token: s3cret").start();
    let admin = format!("http://{}", tcp(&daemon));
    let arguments = ["status", "--admin", &admin];
    let file = daemon.directory().join("token");
    fs::write(&file, "s3cret\n").expect("room for a file");
    let from_file = format!("file:{}", file.display());
    for token in ["s3cret", &from_file] {
        let output = fulcrum_with_environment(arguments, &[("FULCRUM_ADMIN_TOKEN", token)]);
        assert_eq!(output.code, Some(0), "{}", output.stderr);
    }
    for environment in [&[][..], &[("FULCRUM_ADMIN_TOKEN", "wrong")]] {
        let output = fulcrum_with_environment(arguments, environment);
        assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{}", output.stderr);
        assert!(output.stderr.contains("401"), "{}", output.stderr);
    }
}

#[test]
fn without_a_daemon_the_status_is_69() {
    let directory = tempfile::tempdir().expect("room for a directory");
    let missing = format!("unix:{}/nobody.sock", directory.path().display());
    let stale = directory.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).expect("a free path"));
    let stale = format!("unix:{}", stale.display());
    for admin in [missing, stale, format!("http://{REFUSED}")] {
        for format in ["text", "json"] {
            let output = fulcrum(["status", "--admin", &admin, "--format", format]);
            assert_eq!((output.code, output.stdout.as_str()), (Some(69), ""), "{admin}: {}", output.stderr);
            assert!(output.stderr.contains(admin.split_once(':').expect("a scheme").1), "{}", output.stderr);
        }
    }
    let nonsense = fulcrum(["status", "--admin", "ftp://x"]);
    assert_eq!(nonsense.code, Some(2), "{}", nonsense.stderr);
}
