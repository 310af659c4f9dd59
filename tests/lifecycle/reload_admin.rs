//! What a reload changes of the daemon itself: where and for whom the admin answers, and what is logged.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::reload::saying;
use crate::harness::{Client, Fulcrum, Setup, Socket, Upstream, eventually};

fn with_admin(admin: &str) -> String {
    format!("admin: {{ socket: \"@DIR@/admin.sock\", {admin} }}\n{}", saying("one"))
}

#[track_caller]
fn status_with(address: &str, token: &str) -> u16 {
    let request = format!("GET /status HTTP/1.1\r\nHost: admin\r\nAuthorization: Bearer {token}\r\n\r\n");
    Client::connect(address).ask(request).status
}

/// The admin's TCP address.
#[track_caller]
fn tcp_address(fulcrum: &Fulcrum) -> String {
    let status = fulcrum.status();
    let addresses = status["admin"].as_array().expect("a list");
    let tcp = addresses.iter().filter_map(|address| address.as_str()).find(|text| !text.starts_with("unix:"));
    tcp.unwrap_or_else(|| panic!("no TCP address in {status}")).to_owned()
}

#[test]
fn another_token_opens_at_once_and_the_old_one_no_more() {
    let fulcrum = Fulcrum::start(&with_admin("bind: \"127.0.0.1:0\", token: first-token-of-this-test"));
    let address = tcp_address(&fulcrum);
    assert_eq!(status_with(&address, "first-token-of-this-test"), 200);
    fulcrum.change(&with_admin("bind: \"127.0.0.1:0\", token: second-token-of-this-test"));
    assert_eq!(status_with(&address, "first-token-of-this-test"), 401);
    assert_eq!(status_with(&address, "second-token-of-this-test"), 200);
    assert_eq!(tcp_address(&fulcrum), address, "the socket stays");
    fulcrum.change(&with_admin("bind: \"127.0.0.1:0\""));
    assert_eq!(status_with(&address, "second-token-of-this-test"), 403);
}

#[test]
fn workers_without_work_follow_when_told_and_not_at_their_next_tick() {
    let fulcrum = Fulcrum::start(&with_admin("bind: \"127.0.0.1:0\""));
    let waits = (0..20).map(|_| {
        let mut operator = Client::connect(&fulcrum.admin());
        let began = Instant::now();
        let reply =
            operator.ask("POST /v1/reload?wait=true HTTP/1.1\r\nHost: admin\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(reply.status, 200, "{}", reply.text());
        began.elapsed()
    });
    // The first may meet a tick; behind one, the next is 50 ms away. A busy machine delays some, not each.
    let least = waits.skip(1).min();
    assert!(least < Some(Duration::from_millis(25)), "{least:?}");
}

#[test]
fn the_admin_moves() {
    let fulcrum = Fulcrum::start(&with_admin("bind: \"127.0.0.1:0\""));
    let old = tcp_address(&fulcrum);
    let mut kept = Client::connect(&old);
    assert_eq!(kept.ask("GET /healthz HTTP/1.1\r\nHost: admin\r\n\r\n").status, 200);
    fulcrum.change(&with_admin("bind: \"127.0.0.2:0\""));
    let new = tcp_address(&fulcrum);
    assert!(new.starts_with("127.0.0.2:"), "{new}");
    assert_eq!(Client::connect(&new).ask("GET /healthz HTTP/1.1\r\nHost: admin\r\n\r\n").status, 200);
    eventually("the old one is closed", || Socket::connect(&old).is_err().then_some(()));
    kept.assert_closed();

    // The very request that moves the unix socket is answered on the old one.
    let mut operator = Client::connect(&fulcrum.admin());
    fulcrum.move_config(
        &saying("one").replace("listeners:", "admin: { socket: \"@DIR@/moved.sock\" }\nlisteners:"),
    );
    let reply =
        operator.ask("POST /v1/reload?wait=true HTTP/1.1\r\nHost: admin\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.text().contains(r#""settings":["admin.socket","admin.bind"]"#), "{}", reply.text());
    assert!(!fulcrum.directory().join("admin.sock").exists());
    let moved = format!("unix:{}", fulcrum.directory().join("moved.sock").display());
    assert_eq!(crate::harness::fulcrum(["status", "--admin", &moved]).code, Some(0));
}

#[test]
fn the_level_of_diagnostics_changes() {
    let quiet = format!("log: {{ level: error, access: \"@DIR@/access.log\" }}\n{}", saying("one"));
    let fulcrum = Fulcrum::start(&quiet);
    fulcrum.change(&quiet.replace("body: one", "body: two"));
    assert!(!fulcrum.child.stderr().contains("reloaded"), "{}", fulcrum.child.stderr());
    fulcrum.change(&saying("three"));
    eventually("info is shown", || fulcrum.child.stderr().contains("log.level").then_some(()));
    fulcrum.change(&quiet);
    fulcrum.change(&quiet.replace("body: one", "body: four"));
    assert_eq!(fulcrum.child.stderr().matches("reloaded").count(), 1, "{}", fulcrum.child.stderr());
}

#[test]
fn the_access_log_is_opened_anew() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    fulcrum.get("/before");
    fulcrum.record_of("/before");
    let log = fulcrum.directory().join("access.log");
    let old = fulcrum.directory().join("access.log.1");
    fs::rename(&log, &old).expect("it is there");
    fulcrum.child.signal(Signal::USR1);
    eventually("there is a new file", || log.exists().then_some(()));
    fulcrum.get("/after");
    fulcrum.record_of("/after");
    let read = |path| fs::read_to_string(path).expect("it is there");
    assert!(read(&old).contains("/before") && !read(&old).contains("/after"));
    assert!(!read(&log).contains("/before"));
    fulcrum.await_metric("fulcrum_process_access_log_records_total", &[], 2.0);
}

#[test]
fn another_access_log_counts_on() {
    let fulcrum = Fulcrum::start(&saying("one"));
    fulcrum.get("/first");
    fulcrum.record_of("/first");
    let other = format!("log: {{ level: info, access: \"@DIR@/other.log\" }}\n{}", saying("one"));
    fulcrum.change(&other);
    fulcrum.get("/second");
    fulcrum.await_metric("fulcrum_process_access_log_records_total", &[], 2.0);
    let text = fs::read_to_string(fulcrum.directory().join("other.log")).expect("it is there");
    assert!(text.contains("/second") && !text.contains("/first"), "{text}");
}
