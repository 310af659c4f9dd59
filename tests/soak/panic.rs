//! A panic in one connection's task ends that connection, is told and counted, and nothing else happens.
//!
//! No request is known to cause one, so the kernel is made to lie: a receive that claims more bytes than were asked for
//! makes the read buffer panic at its bounds.

use super::strace::Strace;
use crate::harness::{Setup, Upstream};

/// Lies about the `call`th receive after a request has been sent; so many requests come to no end of their own by that.
#[track_caller]
fn check(call: u32, requests: u32) {
    let upstream = Upstream::named("app");
    let mut fulcrum = Setup::new(&upstream).start();
    fulcrum.child.expect_failure();
    let mut bystanders = [fulcrum.connect(), fulcrum.connect()];
    bystanders.iter_mut().for_each(|client| assert_eq!(client.get("/before").text(), "app"));
    let mut victim = fulcrum.connect();
    let strace = Strace::inject(&fulcrum, "worker-0", "recvfrom", &format!("retval=1000000000:when={call}"));
    victim.send("GET /victim HTTP/1.1\r\nHost: test\r\n\r\n");
    victim.assert_closed();
    drop(strace);

    fulcrum.await_metric("fulcrum_process_panics_total", &[], 1.0);
    fulcrum.await_errors("internal", requests);
    let stderr = fulcrum.child.stderr();
    let told: Vec<&str> = stderr.lines().filter(|line| line.contains("panic: ")).collect();
    assert_eq!(told.len(), 1, "{stderr}");
    assert!(told[0].contains("ERROR") && told[0].contains("worker-0"), "{stderr}");

    // Those who were there, and those who come.
    bystanders.iter_mut().for_each(|client| assert_eq!(client.get("/behind").text(), "app"));
    assert_eq!(fulcrum.get("/new").text(), "app");
    fulcrum.await_metric("fulcrum_http_connections", &[], 2.0);
    fulcrum.await_metric("fulcrum_http_requests_in_flight", &[], 0.0);
    drop(bystanders);
    fulcrum.await_metric("fulcrum_http_connections", &[], 0.0);
    assert_eq!(fulcrum.stop(), Some(0), "nothing is left to wait for");
}

#[test]
#[ignore = "needs strace"]
fn a_panic_while_reading_a_request_ends_only_its_connection() {
    // Nothing is known of a request yet.
    check(1, 0);
}

#[test]
#[ignore = "needs strace"]
fn a_panic_while_reading_a_response_ends_only_its_connection() {
    check(2, 1);
}
