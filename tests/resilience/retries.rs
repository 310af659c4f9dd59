//! What is tried again, where, and how often.

use std::collections::BTreeMap;
use std::thread;
use std::time::Instant;

use super::{await_hits, in_turn, resetting};
use crate::harness::{Client, Conversation, REFUSED, Setup, Upstream};

/// How many of 20 requests are answered 200, where every second one comes to an endpoint that fails first.
#[track_caller]
fn check_good(method: &str, failing: &str, retry: &str, expected: usize) {
    let good = Upstream::named("good");
    let resetting = resetting();
    let failing = if failing == "resets" { resetting.address() } else { REFUSED };
    // Nobody is judged, so that the turns stay as they are.
    let keys = format!("outlier: none{retry}");
    let fulcrum = in_turn(&[&good]).endpoint(failing).service(&keys).start();
    let mut client = fulcrum.connect();
    let request = format!("{method} / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nhi");
    let statuses: Vec<u16> = (0..20).map(|_| client.ask(&request).status).collect();
    assert!(statuses.iter().all(|status| [200, 502].contains(status)), "{statuses:?}");
    let count = statuses.iter().filter(|&&status| status == 200).count();
    assert_eq!(count, expected, "{method}, it {failing}{retry}: {statuses:?}");
    assert_eq!(good.requests().len(), expected);
}

#[test]
fn what_may_be_repeated_is() {
    check_good("GET", "resets", "", 20);
    check_good("PUT", "resets", "", 20);
    // It was sent: it may have been done.
    check_good("POST", "resets", "", 10);
    check_good("PATCH", "resets", "", 10);
    // It was never sent.
    check_good("GET", "refuses", "", 20);
    check_good("POST", "refuses", "", 20);
}

#[test]
fn an_operator_can_say_what_is_repeated() {
    check_good("GET", "resets", ", retry: none", 10);
    check_good("GET", "resets", ", retry: { retries: 0 }", 10);
    check_good("GET", "resets", ", retry: { on: [connect] }", 10);
    check_good("GET", "resets", ", retry: { on: reset }", 20);
    check_good("POST", "refuses", ", retry: { on: [connect] }", 20);
}

/// What becomes of a request to an endpoint that takes it and says nothing.
#[track_caller]
fn check_silent(method: &str, retry: &str, expected: u16) {
    let good = Upstream::named("good");
    let silent = Upstream::new(|mut conversation: Conversation| while conversation.request().is_some() {});
    let keys = format!("outlier: none, timeouts: {{ response_header: 300ms }}{retry}");
    let fulcrum = in_turn(&[&silent, &good]).service(&keys).start();
    let mut client = fulcrum.connect();
    let request = format!("{method} / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nhi");
    let mut statuses = [client.ask(&request).status, client.ask(&request).status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, expected], "{method}{retry}");
    assert!(!silent.requests().is_empty(), "{method}{retry}");
    let answered = statuses.iter().filter(|&&status| status == 200).count();
    assert_eq!(good.requests().len(), answered, "{method}{retry}");
}

#[test]
fn what_gets_no_answer_in_time_is_repeated_where_that_is_wanted() {
    check_silent("GET", "", 504);
    check_silent("GET", ", retry: { on: [connect, reset, timeout] }", 200);
    check_silent("PUT", ", retry: { on: timeout }", 200);
    check_silent("POST", ", retry: { on: [connect, reset, timeout] }", 504);
}

/// What two requests are answered where one of the endpoints answers nothing but 503, and how often that one is asked.
#[track_caller]
fn check_unavailable(method: &str, retry: &str, expected: [u16; 2], asked: usize) {
    let good = Upstream::named("good");
    let busy = Upstream::new(|mut conversation: Conversation| {
        while conversation.request().is_some() {
            conversation.send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy");
        }
    });
    let fulcrum = in_turn(&[&busy, &good]).service(&format!("outlier: none{retry}")).start();
    let mut client = fulcrum.connect();
    let request = format!("{method} / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nhi");
    let mut statuses = [client.ask(&request).status, client.ask(&request).status];
    statuses.sort_unstable();
    assert_eq!(statuses, expected, "{method}{retry}");
    assert_eq!(busy.requests().len(), asked, "{method}{retry}");
}

#[test]
fn what_is_answered_503_is_repeated_where_that_is_wanted() {
    check_unavailable("GET", "", [200, 503], 1);
    check_unavailable("GET", ", retry: { on: [connect, reset, unavailable] }", [200, 200], 1);
    check_unavailable("PUT", ", retry: { on: unavailable }", [200, 200], 1);
    check_unavailable("POST", ", retry: { on: unavailable }", [200, 503], 1);
}

#[test]
fn the_last_503_is_the_upstreams_own() {
    fn busy() -> Upstream {
        Upstream::new(|mut conversation: Conversation| {
            while conversation.request().is_some() {
                conversation
                    .send("HTTP/1.1 503 Service Unavailable\r\nX-Busy: yes\r\nContent-Length: 4\r\n\r\nbusy");
            }
        })
    }
    let (one, two) = (busy(), busy());
    for all in [&[&one][..], &[&one, &two]] {
        let fulcrum = in_turn(all).service("outlier: none, retry: { on: unavailable }").start();
        let response = fulcrum.get("/");
        assert_eq!((response.status, response.field("x-busy")), (503, Some("yes")));
        assert_eq!(fulcrum.record_of("/")["attempts"], all.len());
    }
}

#[test]
fn refusals_are_final_where_they_are_not_to_be_repeated() {
    // Three refusals in a row, and it gets no more: of 20 requests three fail.
    check_good("GET", "refuses", ", retry: none", 17);
    check_good("POST", "refuses", ", retry: { on: reset }", 17);
}

#[test]
fn a_post_is_never_executed_twice() {
    let good = Upstream::named("good");
    let bad = resetting();
    let fulcrum = in_turn(&[&good, &bad]).service("outlier: none, retry: { retries: 3 }").start();
    let mut client = fulcrum.connect();
    let mut answered = BTreeMap::new();
    for id in 0..40 {
        let request = format!("POST /{id} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
        answered.insert(format!("/{id}"), client.ask(request).status);
    }
    let mut executed = BTreeMap::<String, u32>::new();
    for request in good.requests().iter().chain(&bad.requests()) {
        *executed.entry(request.target().to_owned()).or_default() += 1;
    }
    assert_eq!(executed.len(), 40);
    assert!(executed.values().all(|&times| times == 1), "{executed:?}");
    let failed: Vec<&String> =
        answered.iter().filter(|(_, status)| **status == 502).map(|(id, _)| id).collect();
    assert_eq!(failed.len(), bad.requests().len(), "each was told: {answered:?}");
    assert!(bad.requests().iter().all(|request| failed.iter().any(|id| *id == request.target())));
}

#[test]
fn each_attempt_is_at_another_endpoint() {
    fn check(retries: u32, attempts: u32) {
        let bad: Vec<Upstream> = (0..5).map(|_| resetting()).collect();
        let all: Vec<&Upstream> = bad.iter().collect();
        let keys = format!("outlier: none, retry: {{ retries: {retries} }}");
        let fulcrum = in_turn(&all).service(&keys).start();
        assert_eq!(fulcrum.get("/").status, 502);
        assert_eq!(fulcrum.record_of("/")["attempts"], attempts, "retries: {retries}");
        let counts: Vec<usize> = bad.iter().map(|upstream| upstream.requests().len()).collect();
        assert!(counts.iter().all(|&count| count <= 1), "{counts:?}");
        assert_eq!(counts.iter().sum::<usize>(), attempts as usize);
        fulcrum.await_metric("fulcrum_upstream_retries_total", &[], f64::from(retries));
        fulcrum.await_metric("fulcrum_upstream_errors_total", &[], f64::from(attempts));
    }
    check(0, 1);
    check(1, 2);
    check(3, 4);
}

#[test]
fn without_an_endpoint_clients_are_told_to_come_back() {
    let upstream = Upstream::named("app");
    let endpoint = format!("{{ address: \"{}\", state: maintenance }}", upstream.address());
    let fulcrum = Setup::default().endpoint(&endpoint).start();
    super::assert_shed(&fulcrum.get("/none"), &fulcrum, "/none", "no_endpoint");
    assert_eq!(upstream.connections(), 0);
}

/// Where everything fails, retries add a fifth and no more, however many workers and clients there are.
#[test]
fn a_storm_of_failures_is_not_doubled() {
    const CLIENTS: u32 = 20;
    const EACH: u32 = 100;
    const REQUESTS: u32 = CLIENTS * EACH;
    let bad = [resetting(), resetting(), resetting()];
    let setup = in_turn(&[&bad[0], &bad[1], &bad[2]]).service("outlier: none").top("workers: 2");
    let fulcrum = setup.start();
    let (address, start) = (fulcrum.address(), Instant::now());
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = Client::connect(address);
                (0..EACH).for_each(|_| assert_eq!(client.get("/").status, 502));
            });
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    let attempts: usize = bad.iter().map(|upstream| upstream.requests().len()).sum();
    let most = f64::from(REQUESTS) * 1.2 + 100.0 + 10.0 * seconds + 1.0;
    assert!((attempts as f64) <= most, "{attempts} attempts in {seconds} s");
    // What there is to spend is spent.
    assert!(attempts as f64 >= f64::from(REQUESTS) * 1.15, "{attempts} attempts");
    let retries = attempts as u32 - REQUESTS;
    fulcrum.await_metric("fulcrum_upstream_retries_total", &[], retries.into());
    await_hits(&fulcrum, "retry_budget", REQUESTS - retries);
    fulcrum.await_metric("fulcrum_http_errors_total", &[], REQUESTS.into());
}

#[test]
fn a_budget_of_nothing_is_spent_at_once() {
    let bad = [resetting(), resetting()];
    let keys = "outlier: none, retry: { budget: 0%, budget_min: 0/s }";
    let fulcrum = in_turn(&[&bad[0], &bad[1]]).service(keys).start();
    let mut client = fulcrum.connect();
    (0..150).for_each(|_| assert_eq!(client.get("/").status, 502));
    // It begins with a hundred.
    fulcrum.await_metric("fulcrum_upstream_retries_total", &[], 100.0);
    await_hits(&fulcrum, "retry_budget", 50);
}

#[test]
fn each_failed_attempt_is_counted_once() {
    let bad = [resetting(), resetting()];
    let keys = "outlier: none, retry: { budget: 0%, budget_min: 0/s }";
    let fulcrum = in_turn(&[&bad[0], &bad[1]]).service(keys).start();
    let mut client = fulcrum.connect();
    (0..150).for_each(|_| assert_eq!(client.get("/").status, 502));
    fulcrum.await_metric("fulcrum_upstream_errors_total", &[], 250.0);
}
