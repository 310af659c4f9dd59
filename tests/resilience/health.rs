//! Active checks: what follows from them, and what does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{assert_shed, await_in_flight, begin, in_turn};
use crate::harness::{Conversation, Fulcrum, Setup, Upstream, eventually, hold, ok};

/// An upstream that answers its checks as it is told, and everything else with its name.
pub(super) struct Patient {
    pub(super) upstream: Upstream,
    /// 0: no answer at all.
    status: Arc<AtomicU16>,
}

impl Patient {
    pub(super) fn new(name: &str, status: u16) -> Self {
        let status = Arc::new(AtomicU16::new(status));
        let (told, answer) = (Arc::clone(&status), ok(name));
        let upstream = Upstream::new(move |mut conversation: Conversation| {
            while let Some(request) = conversation.request() {
                if !request.target().starts_with("/healthz") {
                    conversation.send(&answer);
                    continue;
                }
                match told.load(Ordering::Relaxed) {
                    0 => drop(conversation.until_closed()),
                    status => {
                        conversation.send(format!("HTTP/1.1 {status} Told\r\nContent-Length: 0\r\n\r\n"))
                    }
                }
            }
        });
        Patient { upstream, status }
    }

    fn tell(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// Requests that were no checks.
    pub(super) fn served(&self) -> usize {
        // Of one look: a check may come between two.
        self.upstream.requests().iter().filter(|request| !request.target().starts_with("/healthz")).count()
    }
}

/// A checked service that takes turns.
pub(super) fn checked(patients: &[&Patient], check: &str) -> Setup {
    let upstreams: Vec<&Upstream> = patients.iter().map(|patient| &patient.upstream).collect();
    in_turn(&upstreams)
        .service(&format!("slow_start: none, health: {{ http: /healthz, interval: 100ms{check} }}"))
}

/// Whether some requests in a row all go, or none of them, to this upstream.
fn is_served_by(fulcrum: &Fulcrum, patient: &Patient) -> Option<bool> {
    let before = patient.served();
    let mut client = fulcrum.connect();
    (0..4).for_each(|_| assert_eq!(client.get("/").status, 200));
    match patient.served() - before {
        0 => Some(false),
        2 => Some(true),
        _ => None,
    }
}

#[track_caller]
fn await_served(fulcrum: &Fulcrum, patient: &Patient, is_served: bool) {
    eventually("its check is heard", || (is_served_by(fulcrum, patient) == Some(is_served)).then_some(()));
}

#[test]
fn before_its_first_good_check_an_endpoint_gets_nothing() {
    let (good, silent) = (Patient::new("good", 200), Patient::new("silent", 0));
    let fulcrum = checked(&[&good, &silent], ", timeout: 30s").start();
    let mut client = fulcrum.connect();
    (0..20).for_each(|_| assert_eq!(client.get("/").text(), "good"));
    assert_eq!(silent.served(), 0);
}

#[test]
fn at_the_start_requests_wait_for_the_first_good_check() {
    let (one, other) = (Patient::new("one", 503), Patient::new("other", 503));
    let fulcrum = checked(&[&one, &other], ", fall: 1000").start();
    let mut early = begin(&fulcrum, "/early");
    await_in_flight(&fulcrum, 1);
    hold("it waits", Duration::from_millis(300), || one.served() + other.served() == 0);
    other.tell(200);
    assert_eq!(early.response().text(), "other");
    assert!(!fulcrum.metrics().has("fulcrum_http_errors_total", &[]));
}

#[test]
fn at_the_start_nobody_waits_for_ever() {
    let silent = Patient::new("silent", 0);
    let start = Instant::now();
    let fulcrum = checked(&[&silent], ", timeout: 30s").start();
    assert_eq!(fulcrum.get("/").text(), "silent");
    let waited = start.elapsed();
    assert!((4.5..9.0).contains(&waited.as_secs_f64()), "{waited:?}");
}

#[test]
fn who_waits_at_the_start_may_leave() {
    let silent = Patient::new("silent", 0);
    let fulcrum = checked(&[&silent], ", timeout: 30s").start();
    let early = begin(&fulcrum, "/early");
    await_in_flight(&fulcrum, 1);
    early.wire.socket.reset_on_close();
    drop(early);
    fulcrum.await_errors("client_closed", 1);
    assert_eq!(silent.served(), 0);
}

#[test]
fn a_failing_check_takes_an_endpoint_out_and_a_passing_one_brings_it_back() {
    let (good, sick) = (Patient::new("good", 200), Patient::new("sick", 200));
    let fulcrum = checked(&[&good, &sick], "").start();
    await_served(&fulcrum, &sick, true);
    for status in [503, 404, 0] {
        sick.tell(status);
        await_served(&fulcrum, &sick, false);
        // Good answers to requests do not bring it back: only its check does.
        sick.tell(204);
        await_served(&fulcrum, &sick, true);
    }
    assert!(!fulcrum.metrics().has("fulcrum_http_errors_total", &[]));
}

/// One endpoint, whose checks are answered with these statuses over and over. Whether its service answers, through so many
/// checks as are sent once it has come to this.
#[track_caller]
fn check_thresholds(keys: &str, statuses: &'static [u16], is_up: bool) {
    let turn = AtomicUsize::new(0);
    let upstream = Upstream::new(move |mut conversation: Conversation| {
        while let Some(request) = conversation.request() {
            let status = match request.target() {
                "/healthz" => statuses[turn.fetch_add(1, Ordering::Relaxed) % statuses.len()],
                _ => 200,
            };
            conversation.send(format!("HTTP/1.1 {status} Told\r\nContent-Length: 0\r\n\r\n"));
        }
    });
    let checks = || upstream.text().matches("GET /healthz").count();
    let fulcrum = Setup::new(&upstream)
        .service(&format!("panic: {{ then: 503 }}, health: {{ http: /healthz, interval: 100ms{keys} }}"))
        .start();
    let expected = if is_up { 200 } else { 503 };
    let mut client = fulcrum.connect();
    eventually("it is decided", || (client.get("/").status == expected).then_some(()));
    let until = checks() + 3 * statuses.len();
    eventually("more checks", || {
        assert_eq!(client.get("/").status, expected, "{statuses:?}{keys}");
        (checks() >= until).then_some(())
    });
}

#[test]
fn it_takes_several_checks_in_a_row() {
    check_thresholds("", &[200, 503, 503], true);
    check_thresholds("", &[503, 503, 503, 200], false);
    check_thresholds(", fall: 1", &[503, 200], false);
    check_thresholds(", fall: 4", &[200, 503, 503, 503], true);
    check_thresholds(", fall: 1, rise: 3", &[503, 200, 200], false);
}

#[test]
fn where_all_are_down_the_operator_says_what_happens() {
    let patients = [Patient::new("one", 503), Patient::new("other", 503)];
    let all: Vec<&Patient> = patients.iter().collect();
    // All are used, rather than none.
    let fulcrum = checked(&all, "").start();
    let mut client = fulcrum.connect();
    (0..10).for_each(|_| assert_eq!(client.get("/").status, 200));
    assert_eq!((patients[0].served(), patients[1].served()), (5, 5));

    let fulcrum = checked(&all, "").service("panic: { then: 503 }").start();
    assert_shed(&fulcrum.get("/shed"), &fulcrum, "/shed", "no_endpoint");
    patients[1].tell(200);
    eventually("one is back", || (fulcrum.get("/").status == 200).then_some(()));
}

#[test]
fn who_comes_back_begins_with_a_small_share() {
    let (good, sick) = (Patient::new("good", 200), Patient::new("sick", 200));
    let setup = checked(&[&good, &sick], "");
    let slow = setup.yaml().replace("slow_start: none", "slow_start: 1h");
    let fulcrum = Fulcrum::start(&slow);
    // Not at the start: nobody is warmer than another.
    await_served(&fulcrum, &sick, true);
    sick.tell(503);
    await_served(&fulcrum, &sick, false);
    sick.tell(200);
    let before = sick.served();
    eventually("it is back", || {
        assert_eq!(fulcrum.get("/").status, 200);
        (sick.served() > before).then_some(())
    });
    let before = sick.served();
    let mut client = fulcrum.connect();
    (0..200).for_each(|_| assert_eq!(client.get("/").status, 200));
    let share = sick.served() - before;
    assert!(share < 50, "{share} of 200");
}

#[test]
fn what_is_known_survives_a_reload_unless_the_check_is_another() {
    let (good, sick) = (Patient::new("good", 200), Patient::new("sick", 200));
    let setup = checked(&[&good, &sick], "");
    let fulcrum = setup.start();
    await_served(&fulcrum, &sick, true);
    sick.tell(503);
    await_served(&fulcrum, &sick, false);
    fulcrum.change(&setup.clone().service("timeouts: { connect: 1s }").yaml());
    for _ in 0..5 {
        assert_eq!(is_served_by(&fulcrum, &sick), Some(false));
    }
    let another = setup.yaml().replace("/healthz", "/other");
    fulcrum.change(&another);
    await_served(&fulcrum, &sick, true);
}

#[test]
fn the_check_of_one_service_is_none_of_the_other() {
    let (sick, good) = (Patient::new("sick", 503), Patient::new("good", 200));
    let address = sick.upstream.address();
    let fulcrum = checked(&[&good], "")
        .service(&format!(
            "timeouts: {{ connect: 5s }} }}\n  shop: {{ panic: {{ then: 503 }}, \
             health: {{ http: /healthz, interval: 100ms }}, endpoints: [\"{address}\"]"
        ))
        .route("{ path: /shop, to: shop }")
        .route("{ to: app }")
        .start();
    let mut client = fulcrum.connect();
    eventually("the shop is closed", || (client.get("/shop").status == 503).then_some(()));
    for _ in 0..20 {
        assert_eq!((client.get("/shop").status, client.get("/").status), (503, 200));
    }
    fulcrum.await_errors("no_endpoint", 21);
}

#[test]
fn the_line_goes_on_where_all_are_down() {
    let gated = super::Gated::new("app");
    let fulcrum = Setup::new(&gated.upstream)
        .service(
            "limits: { max_requests: 1 }, health: { tcp: { expect: never }, interval: 100ms, timeout: 50ms }",
        )
        .start();
    // Those who wait for its first word are served in no order.
    fulcrum.await_metric("fulcrum_health_panic", &[], 1.0);
    let mut line: Vec<_> = (0..3)
        .map(|number| {
            let client = begin(&fulcrum, &format!("/{number}"));
            await_in_flight(&fulcrum, number + 1);
            client
        })
        .collect();
    for client in &mut line {
        gated.release();
        assert_eq!(client.response().text(), "app");
    }
}

#[test]
fn who_joins_later_begins_with_a_small_share() {
    let (old, new) = (Patient::new("old", 200), Patient::new("new", 200));
    let setup = checked(&[&old], "");
    let slow = |setup: &Setup| setup.yaml().replace("slow_start: none", "slow_start: 1h");
    let fulcrum = Fulcrum::start(&slow(&setup));
    assert_eq!(fulcrum.get("/").status, 200);
    fulcrum.change(&slow(&setup.endpoint(new.upstream.address())));
    eventually("it is checked", || {
        assert_eq!(fulcrum.get("/").status, 200);
        (new.served() > 0).then_some(())
    });
    let before = new.served();
    let mut client = fulcrum.connect();
    (0..200).for_each(|_| assert_eq!(client.get("/").status, 200));
    let share = new.served() - before;
    assert!(share < 50, "{share} of 200");
}
