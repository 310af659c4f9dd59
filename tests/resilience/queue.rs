//! Where every endpoint is full, requests wait in one line for all workers.

use std::time::Duration;

use super::{Gated, assert_shed, await_in_flight, begin};
use crate::harness::{Client, Conversation, Fulcrum, Setup, Upstream, eventually, hold, ok};

/// One endpoint that takes one request at a time.
fn narrow(endpoint: &Gated, queue: &str) -> Setup {
    Setup::new(&endpoint.upstream).service(&format!("limits: {{ max_requests: 1{queue} }}"))
}

/// Two of them.
fn pair() -> (Gated, Gated, Setup) {
    let (one, other) = (Gated::new("one"), Gated::new("other"));
    let setup = narrow(&one, "").endpoint(other.upstream.address()).service("balance: round_robin");
    (one, other, setup)
}

/// So many requests that wait, one behind the other; the first is at the endpoint.
#[track_caller]
fn line_up(fulcrum: &Fulcrum, endpoint: &Gated, count: u32) -> Vec<Client> {
    let enter = |number: u32| {
        let client = begin(fulcrum, &format!("/{number}"));
        await_in_flight(fulcrum, number + 1);
        client
    };
    let line = (0..count).map(enter).collect();
    endpoint.upstream.await_requests(1);
    line
}

#[track_caller]
fn check_order(top: &str) {
    const COUNT: u32 = 10;
    let endpoint = Gated::new("app");
    let fulcrum = narrow(&endpoint, "").top(top).start();
    let mut line = line_up(&fulcrum, &endpoint, COUNT);
    for (number, client) in line.iter_mut().enumerate() {
        let arrived = endpoint.upstream.await_requests(number + 1);
        assert_eq!(arrived.len(), number + 1, "one at a time");
        assert!(arrived.iter().any(|request| request.target() == format!("/{number}")), "{arrived:?}");
        endpoint.release();
        assert_eq!(client.response().status, 200);
    }
    await_in_flight(&fulcrum, 0);
    assert!(!fulcrum.metrics().has("fulcrum_http_errors_total", &[]));
}

#[test]
fn who_waits_longest_is_first() {
    check_order("workers: 1");
}

#[test]
fn all_workers_have_one_line() {
    check_order("workers: 2");
}

#[test]
fn waiting_has_an_end() {
    let endpoint = Gated::new("app");
    let fulcrum = narrow(&endpoint, ", queue: { timeout: 200ms }").start();
    let mut first = begin(&fulcrum, "/first");
    endpoint.upstream.await_requests(1);
    assert_shed(&fulcrum.get("/late"), &fulcrum, "/late", "queue_timeout");
    let waited = fulcrum.record_of("/late")["duration"].as_f64().expect("seconds");
    assert!((0.19..2.0).contains(&waited), "{waited}");
    fulcrum.await_errors("queue_timeout", 1);
    // Whoever gave up has left nothing behind.
    endpoint.release();
    assert_eq!(first.response().status, 200);
    endpoint.release();
    assert_eq!(fulcrum.get("/next").status, 200);
    assert_eq!(endpoint.arrived(), 2);
}

#[test]
fn the_line_has_an_end() {
    let endpoint = Gated::new("app");
    let fulcrum = narrow(&endpoint, ", queue: { max: 2 }").start();
    let mut line = line_up(&fulcrum, &endpoint, 3);
    assert_shed(&fulcrum.get("/more"), &fulcrum, "/more", "queue_full");
    fulcrum.await_errors("queue_full", 1);
    for client in &mut line {
        endpoint.release();
        assert_eq!(client.response().status, 200);
    }
}

#[test]
fn without_a_line_nobody_waits() {
    let endpoint = Gated::new("app");
    let fulcrum = narrow(&endpoint, ", queue: { max: 0 }").start();
    let mut first = begin(&fulcrum, "/first");
    endpoint.upstream.await_requests(1);
    assert_shed(&fulcrum.get("/more"), &fulcrum, "/more", "queue_full");
    endpoint.release();
    assert_eq!(first.response().status, 200);
}

#[test]
fn whoever_leaves_gives_up_the_place_in_the_line() {
    let endpoint = Gated::new("app");
    let fulcrum = narrow(&endpoint, ", queue: { max: 1 }").start();
    let mut line = line_up(&fulcrum, &endpoint, 2);
    // A client that ends its direction may still read; one that breaks the connection is gone.
    let gone = line.pop().expect("two have come");
    gone.wire.socket.reset_on_close();
    drop(gone);
    fulcrum.await_errors("client_closed", 1);
    let mut next = begin(&fulcrum, "/next");
    await_in_flight(&fulcrum, 2);
    endpoint.release();
    assert_eq!(line[0].response().status, 200);
    endpoint.release();
    assert_eq!(next.response().status, 200);
    let requests = endpoint.upstream.requests();
    let targets: Vec<&str> = requests.iter().map(|request| request.target()).collect();
    assert_eq!(targets, ["/0", "/next"]);
}

#[test]
fn a_full_endpoint_is_passed_over() {
    let (one, other, setup) = pair();
    let fulcrum = setup.start();
    let mut first = begin(&fulcrum, "/1");
    await_in_flight(&fulcrum, 1);
    let mut second = begin(&fulcrum, "/2");
    eventually("each has one", || (one.arrived() == 1 && other.arrived() == 1).then_some(()));
    let mut third = begin(&fulcrum, "/3");
    await_in_flight(&fulcrum, 3);
    hold("both are full", Duration::from_millis(100), || one.arrived() + other.arrived() == 2);
    // Whichever is free first takes it.
    other.release();
    other.upstream.await_requests(2);
    other.release();
    assert_eq!(third.response().text(), "other");
    one.release();
    let mut texts = [first.response().text(), second.response().text()];
    texts.sort();
    assert_eq!(texts, ["one", "other"]);
}

/// Two full endpoints, a request that waits, and then one of them is taken out of new work and becomes free.
#[track_caller]
fn check_withdrawn(state: &str) {
    let (one, other, setup) = pair();
    let fulcrum = setup.start();
    let _first = begin(&fulcrum, "/1");
    await_in_flight(&fulcrum, 1);
    let _second = begin(&fulcrum, "/2");
    eventually("each has one", || (one.arrived() == 1 && other.arrived() == 1).then_some(()));
    let mut third = begin(&fulcrum, "/3");
    await_in_flight(&fulcrum, 3);
    let quoted = format!("\"{}\"", one.upstream.address());
    let withdrawn = format!("{{ address: {quoted}, state: {state} }}");
    fulcrum.change(&setup.yaml().replace(&quoted, &withdrawn));
    one.release();
    await_in_flight(&fulcrum, 2);
    hold("nothing new goes there", Duration::from_millis(100), || one.arrived() == 1);
    other.release();
    other.upstream.await_requests(2);
    other.release();
    assert_eq!(third.response().text(), "other");
}

#[test]
fn who_waits_is_not_sent_to_an_endpoint_in_maintenance() {
    check_withdrawn("maintenance");
}

#[test]
fn who_waits_is_not_sent_to_a_draining_endpoint() {
    check_withdrawn("drain");
}

#[test]
fn who_waits_goes_to_an_endpoint_that_comes() {
    let endpoint = Gated::new("app");
    let more = Gated::new("more");
    let setup = narrow(&endpoint, "");
    let fulcrum = setup.start();
    let mut line = line_up(&fulcrum, &endpoint, 2);
    fulcrum.change(&setup.endpoint(more.upstream.address()).yaml());
    more.release();
    endpoint.release();
    assert_eq!(line[0].response().status, 200);
    endpoint.release();
    assert_eq!(line[1].response().status, 200);
}

/// An endpoint that failed and is used all the same, because nobody else is left.
#[test]
fn the_line_goes_on_in_panic() {
    let gate = std::sync::atomic::AtomicBool::new(true);
    let (release, opened) = std::sync::mpsc::channel::<()>();
    let opened = std::sync::Mutex::new(opened);
    let sick = Upstream::new(move |mut conversation: Conversation| {
        while conversation.request().is_some() {
            if gate.swap(false, std::sync::atomic::Ordering::Relaxed) {
                conversation.send("HTTP/1.1 503 Sick\r\nContent-Length: 0\r\n\r\n");
            } else if opened.lock().expect("nobody panics with it").recv().is_ok() {
                conversation.send(ok("sick"));
            }
        }
    });
    let good = Upstream::named("good");
    let quoted = format!("\"{}\"", good.address());
    let setup = Setup::new(&sick)
        .endpoint(good.address())
        .service("balance: round_robin, limits: { max_requests: 1 }, outlier: { consecutive_errors: 1 }");
    let fulcrum = setup.start();
    (0..6).for_each(|_| drop(fulcrum.get("/before")));
    assert_eq!(sick.requests().len(), 1, "it is ejected");
    let without = setup.yaml().replace(&quoted, &format!("{{ address: {quoted}, state: maintenance }}"));
    fulcrum.change(&without);
    let mut line: Vec<Client> = (0..3)
        .map(|number| {
            let client = begin(&fulcrum, &format!("/{number}"));
            await_in_flight(&fulcrum, number + 1);
            client
        })
        .collect();
    for client in &mut line {
        release.send(()).expect("the upstream waits");
        assert_eq!(client.response().text(), "sick");
    }
}

fn with_cookie(fulcrum: &Fulcrum, target: &str, cookie: &str) -> Client {
    let mut client = fulcrum.connect();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\nCookie: {cookie}\r\n\r\n"));
    client
}

/// A client that belongs to the full one of two endpoints: who serves it, and whether it belongs there from now on.
#[track_caller]
fn check_pinned(timeout: &str, is_served_at_home: bool) {
    let endpoints = [Gated::new("one"), Gated::new("other")];
    let queue = format!(", queue: {{ timeout: {timeout} }}");
    let fulcrum = narrow(&endpoints[0], &queue)
        .endpoint(endpoints[1].upstream.address())
        .service("sticky: cookie")
        .top("state_dir: @DIR@/state")
        .start();
    endpoints.iter().for_each(Gated::release);
    let first = fulcrum.get("/first");
    let cookie = super::sticky::cookie_of(&first).expect("a pin");
    let home = usize::from(first.text() == "other");
    // The other one's answer is still to be had.
    let mut busy = with_cookie(&fulcrum, "/busy", &cookie);
    endpoints[home].upstream.await_requests(2);
    let mut waiting = with_cookie(&fulcrum, "/waiting", &cookie);
    await_in_flight(&fulcrum, 2);
    if is_served_at_home {
        hold("it waits for its own", Duration::from_millis(100), || endpoints[1 - home].arrived() == 0);
        endpoints[home].release();
        assert_eq!(busy.response().text(), first.text());
        endpoints[home].release();
    }
    let response = waiting.response();
    assert_eq!(response.text() == first.text(), is_served_at_home, "{}", response.text());
    assert_eq!(super::sticky::cookie_of(&response).is_none(), is_served_at_home);
}

#[test]
fn who_belongs_to_a_full_endpoint_waits_for_it() {
    check_pinned("5s", true);
}

#[test]
fn who_waits_too_long_belongs_elsewhere() {
    check_pinned("200ms", false);
}
