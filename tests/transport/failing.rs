//! Endpoints that fail: how many others a request is tried on, and how little of the traffic the failing ones get.

use std::thread;
use std::time::Duration;

use crate::harness::{Conversation, REFUSED, Setup, Upstream, ok};

/// Addresses that nothing listens on.
fn refused(count: usize) -> impl Iterator<Item = String> {
    (1..=count).map(|number| REFUSED.replace("127.77.0.1", &format!("127.77.0.{number}")))
}

const POLICIES: [&str; 5] = [
    "least_request",
    "round_robin",
    "random",
    "{ policy: ring, key: path }",
    "{ policy: maglev, key: path }",
];

/// A post of five bytes.
const POST: &str = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello";

/// Takes each connection and ends it at once.
fn failing(reset: bool) -> Upstream {
    Upstream::new(move |conversation: Conversation| {
        if reset {
            conversation.reset();
        }
    })
}

/// Takes a whole request and breaks the connection instead of an answer.
fn dying() -> Upstream {
    Upstream::new(|mut conversation: Conversation| {
        if conversation.request().is_some() {
            conversation.reset();
        }
    })
}

/// Who fails at once never has anything in flight: that must not make it the least busy one.
#[test]
fn an_endpoint_that_fails_fast_does_not_draw_the_traffic() {
    const CLIENTS: usize = 8;
    const REQUESTS: usize = 40;
    for reset in [false, true] {
        let failing = failing(reset);
        let good = Upstream::new(|mut conversation: Conversation| {
            while conversation.request().is_some() {
                thread::sleep(Duration::from_millis(2));
                conversation.send(ok("good"));
            }
        });
        let fulcrum = Setup::new(&good).endpoint(failing.address()).start();
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                let mut client = fulcrum.connect();
                scope.spawn(move || (0..REQUESTS).for_each(|_| assert_eq!(client.get("/").text(), "good")));
            }
        });
        let failed = failing.connections();
        assert!(failed > 0, "it was tried");
        assert!(failed * 5 <= CLIENTS * REQUESTS, "{failed} of {} requests", CLIENTS * REQUESTS);
    }
}

#[test]
fn one_endpoint_of_eight_that_is_left_takes_everything() {
    for balance in POLICIES {
        let upstream = Upstream::named("app");
        let setup = refused(7).fold(Setup::new(&upstream), |setup, address| setup.endpoint(&address));
        let fulcrum = setup.service(&format!("balance: {balance}")).start();
        let mut client = fulcrum.connect();
        for number in 0..40 {
            assert_eq!(client.get(&format!("/{number}")).text(), "app", "{balance}");
        }
        assert_eq!(upstream.requests().len(), 40, "{balance}");
        assert_eq!(fulcrum.metric("fulcrum_http_errors_total", &[]), 0.0, "{balance}");
        assert_eq!(fulcrum.metric("fulcrum_process_limit_hits_total", &[]), 0.0, "{balance}");
    }
}

#[test]
fn a_request_is_tried_on_eight_endpoints_and_no_more() {
    for balance in POLICIES {
        let setup = refused(12).fold(Setup::default(), |setup, address| setup.endpoint(&address));
        let fulcrum = setup.service(&format!("balance: {balance}")).start();
        let response = fulcrum.get("/everywhere");
        assert_eq!(response.status, 502, "{balance}");
        assert!(response.text().contains("reason: connect_refused\n"), "{balance}: {}", response.text());
        assert_eq!(fulcrum.record_of("/everywhere")["attempts"], 8, "{balance}");
        let labels = [("reason", "attempts")];
        fulcrum.await_metric("fulcrum_process_limit_hits_total", &labels, 1.0);
        let labels = [("reason", "connect_refused")];
        assert_eq!(fulcrum.metric("fulcrum_upstream_errors_total", &labels), 8.0, "{balance}");
        assert_eq!(fulcrum.metric("fulcrum_upstream_retries_total", &[]), 7.0, "{balance}");
    }
}

#[test]
fn an_idempotent_request_that_an_endpoint_drops_is_sent_to_another_one() {
    for (method, rest) in [("GET", "\r\n"), ("PUT", "Content-Length: 5\r\n\r\nhello")] {
        let (dying, good) = (dying(), Upstream::named("good"));
        let fulcrum = Setup::new(&dying).endpoint(good.address()).service("balance: round_robin").start();
        for _ in 0..2 {
            let mut client = fulcrum.connect();
            let response = client.ask(format!("{method} /dropped HTTP/1.1\r\nHost: test\r\n{rest}"));
            assert_eq!(response.text(), "good", "{method}");
        }
        let (dropped, answered) = (dying.requests(), good.requests());
        assert!(!dropped.is_empty() && answered.len() == 2, "{method}: {dropped:?}, {answered:?}");
        assert!(dropped.iter().all(|request| request.body == answered[0].body), "{method}: {dropped:?}");
        let labels = [("service", "app")];
        fulcrum.await_metric("fulcrum_upstream_retries_total", &labels, dropped.len() as f64);
        assert_eq!(fulcrum.metric("fulcrum_http_errors_total", &[]), 0.0, "{method}");
    }
}

/// A request that kills whoever gets it must not go round.
#[test]
fn a_request_that_kills_endpoints_kills_two() {
    let endpoints = [(); 5].map(|()| dying());
    let setup = endpoints.iter().fold(Setup::default(), |setup, one| setup.endpoint(one.address()));
    let fulcrum = setup.start();
    let response = fulcrum.get("/poison");
    assert_eq!(response.status, 502);
    assert!(response.text().contains("reason: upstream_reset\n"), "{}", response.text());
    assert_eq!(endpoints.iter().map(Upstream::connections).sum::<usize>(), 2);
    assert_eq!(fulcrum.record_of("/poison")["attempts"], 2);
    assert_eq!(fulcrum.metric("fulcrum_process_limit_hits_total", &[]), 0.0);
}

#[test]
fn a_post_that_an_endpoint_has_seen_goes_to_no_other() {
    let endpoints = [(); 3].map(|()| dying());
    let setup = endpoints.iter().fold(Setup::default(), |setup, one| setup.endpoint(one.address()));
    let fulcrum = setup.start();
    assert_eq!(fulcrum.connect().ask(POST).status, 502);
    assert_eq!(endpoints.iter().map(Upstream::connections).sum::<usize>(), 1);
    fulcrum.await_errors("upstream_reset", 1);
}

#[test]
fn a_post_that_no_endpoint_has_seen_goes_on() {
    let upstream = Upstream::named("app");
    let setup = refused(3).fold(Setup::new(&upstream), |setup, address| setup.endpoint(&address));
    // Whoever is first in line: after four requests each has been.
    let fulcrum = setup.service("balance: round_robin").start();
    for _ in 0..4 {
        assert_eq!(fulcrum.connect().ask(POST).text(), "app");
    }
    let requests = upstream.requests();
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|request| request.body == b"hello"));
    assert!(fulcrum.metric("fulcrum_upstream_retries_total", &[("service", "app")]) >= 1.0);
}

/// The connection that is given up is one more than the endpoints.
#[test]
fn a_stale_connection_behind_refused_endpoints_is_replaced() {
    // The first connection serves one request, and breaks when it is used again.
    let upstream = Upstream::new(|mut conversation: Conversation| {
        if conversation.request().is_some() {
            conversation.send(ok("app"));
            conversation.request();
        }
    });
    let setup = refused(4).fold(Setup::default(), |setup, address| setup.endpoint(&address));
    let fulcrum = setup.endpoint(upstream.address()).service("balance: round_robin").start();
    let mut client = fulcrum.connect();
    for (count, target) in [(1, "/warm-up"), (3, "/stale")] {
        assert_eq!(client.get(target).text(), "app", "{target}");
        assert_eq!(upstream.requests().len(), count, "{target}");
    }
    assert_eq!(fulcrum.record_of("/stale")["attempts"], 6, "four refusals, the stale one, the new one");
}
