//! Which endpoint takes a request. The distributions themselves are properties of crate `balance`; this is their wiring.

use std::collections::BTreeMap;

use crate::harness::{Client, Conversation, Fulcrum, REFUSED, Setup, Upstream, ok};

/// So many upstreams that answer with their number, and a daemon in front of them.
#[track_caller]
fn cluster(count: usize, service: &str) -> (Vec<Upstream>, Fulcrum) {
    let upstreams: Vec<Upstream> = (0..count).map(|number| Upstream::named(&number.to_string())).collect();
    let setup = upstreams.iter().fold(Setup::default(), |setup, upstream| setup.endpoint(upstream.address()));
    let fulcrum = setup.service(service).start();
    (upstreams, fulcrum)
}

/// Who answers this request, many times.
#[track_caller]
fn answers(client: &mut Client, request: &str, times: usize) -> BTreeMap<String, usize> {
    let mut answers = BTreeMap::new();
    for _ in 0..times {
        *answers.entry(client.ask(request).text()).or_default() += 1;
    }
    answers
}

fn plain(target: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n{lines}\r\n")
}

#[test]
fn round_robin_takes_turns() {
    let (_upstreams, fulcrum) = cluster(3, "balance: round_robin");
    let mut client = fulcrum.connect();
    let counts = answers(&mut client, &plain("/", ""), 30);
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [10, 10, 10]);
    let in_turn: Vec<_> = (0..6).map(|_| client.get("/").text()).collect();
    assert_eq!(in_turn[..3], in_turn[3..], "{in_turn:?}");
}

#[test]
fn round_robin_takes_turns_by_weight() {
    let upstreams = [Upstream::named("1"), Upstream::named("2"), Upstream::named("5")];
    let mut setup = Setup::default().service("balance: round_robin");
    for (upstream, weight) in upstreams.iter().zip([1, 2, 5]) {
        setup = setup.endpoint(&format!("{{ address: \"{}\", weight: {weight} }}", upstream.address()));
    }
    let fulcrum = setup.start();
    let mut client = fulcrum.connect();
    let counts = answers(&mut client, &plain("/", ""), 80);
    assert_eq!(
        counts.into_iter().collect::<Vec<_>>(),
        [("1".into(), 10), ("2".into(), 20), ("5".into(), 50)]
    );
    // Smoothly: not five times the same in a row.
    let in_turn: Vec<_> = (0..16).map(|_| client.get("/").text()).collect();
    assert!(in_turn.windows(5).all(|five| five.iter().any(|one| one != "5")), "{in_turn:?}");
}

#[test]
fn random_reaches_everybody_about_as_often() {
    let (_upstreams, fulcrum) = cluster(4, "balance: random");
    let counts = answers(&mut fulcrum.connect(), &plain("/", ""), 400);
    // Six standard deviations around 100.
    assert!(counts.len() == 4 && counts.values().all(|&count| (48..152).contains(&count)), "{counts:?}");
}

#[test]
fn least_request_is_the_default_and_reaches_everybody() {
    let (_upstreams, fulcrum) = cluster(4, "timeouts: { connect: 5s }");
    let counts = answers(&mut fulcrum.connect(), &plain("/", ""), 400);
    assert!(counts.len() == 4 && counts.values().all(|&count| count > 40), "{counts:?}");
    assert_eq!(fulcrum.status()["services"][0]["balance"], "least_request");
}

#[test]
fn least_request_avoids_a_busy_endpoint() {
    let slow = Upstream::new(|mut conversation: Conversation| {
        while let Some(request) = conversation.request() {
            if request.target() == "/hold" {
                conversation.until_closed();
                return;
            }
            conversation.send(ok("slow"));
        }
    });
    let quick = Upstream::new(|mut conversation: Conversation| {
        while let Some(request) = conversation.request() {
            conversation.send(ok(if request.target() == "/hold" { "not here" } else { "quick" }));
        }
    });
    let fulcrum = Setup::new(&slow).endpoint(quick.address()).start();
    // Until one request hangs at the slow one.
    let mut held = fulcrum.connect();
    while slow.requests().iter().all(|request| request.target() != "/hold") {
        held.send(plain("/hold", ""));
        crate::harness::eventually("it arrives somewhere", || {
            let total = slow.requests().len() + quick.requests().len();
            (fulcrum.metric("fulcrum_http_requests_in_flight", &[]) > 0.0 || total > 0).then_some(())
        });
        held.wire.socket.set_read_timeout(std::time::Duration::from_millis(100));
        if held.try_response("GET").is_err() {
            break;
        }
    }
    let labels = [("service", "app"), ("endpoint", slow.address())];
    fulcrum.await_metric("fulcrum_upstream_requests_in_flight", &labels, 1.0);
    // Of two drawn candidates the idle one is taken; with two endpoints both are always drawn.
    let counts = answers(&mut fulcrum.connect(), &plain("/", ""), 50);
    assert_eq!(counts.get("quick"), Some(&50), "{counts:?}");
}

/// One key always leads to the same endpoint, different keys to different ones.
#[track_caller]
fn check_stickiness(balance: &str, request_of: impl Fn(usize) -> String) {
    let (_upstreams, fulcrum) = cluster(5, &format!("balance: {balance}"));
    let mut owners = BTreeMap::new();
    for key in 0..50 {
        let request = request_of(key);
        let first = fulcrum.connect().ask(&request).text();
        let again = answers(&mut fulcrum.connect(), &request, 3);
        assert_eq!(again.into_iter().collect::<Vec<_>>(), [(first.clone(), 3)], "{balance}: {request:?}");
        *owners.entry(first).or_insert(0) += 1;
    }
    assert!(owners.len() >= 4, "{balance}: {owners:?}");
}

#[test]
fn ring_and_maglev_stick_to_a_header_field() {
    for policy in ["ring", "maglev"] {
        check_stickiness(&format!("{{ policy: {policy}, key: \"header:x-user\" }}"), |key| {
            plain(&format!("/{}", key % 7), &format!("X-User: user-{key}\r\n"))
        });
    }
}

#[test]
fn ring_and_maglev_stick_to_a_cookie() {
    for policy in ["ring", "maglev"] {
        check_stickiness(&format!("{{ policy: {policy}, key: \"cookie:user\" }}"), |key| {
            plain("/", &format!("Cookie: a=b; user=user-{key}; c=d\r\n"))
        });
    }
}

#[test]
fn ring_and_maglev_stick_to_a_query_parameter() {
    for policy in ["ring", "maglev"] {
        check_stickiness(&format!("{{ policy: {policy}, key: \"query:user\" }}"), |key| {
            plain(&format!("/?a=b&user=user-{key}"), "")
        });
    }
}

#[test]
fn ring_and_maglev_stick_to_the_path() {
    for policy in ["ring", "maglev"] {
        check_stickiness(&format!("{{ policy: {policy}, key: path }}"), |key| {
            plain(&format!("/item/{key}?x"), "")
        });
    }
    // The normalised one, without the query.
    let (_upstreams, fulcrum) = cluster(5, "balance: { policy: ring, key: path }");
    let mut client = fulcrum.connect();
    let owner = client.get("/a/b").text();
    for target in ["/a/./b", "//a//b", "/%61/b", "/a/b?other", "/x/../a/b"] {
        assert_eq!(client.get(target).text(), owner, "{target}");
    }
}

#[test]
fn ring_and_maglev_stick_to_the_source_by_default() {
    for balance in ["ring", "maglev", "{ policy: ring, key: source }"] {
        let (upstreams, fulcrum) = cluster(5, &format!("balance: {balance}"));
        for _ in 0..20 {
            fulcrum.get("/");
        }
        let counts: Vec<_> = upstreams.iter().map(|upstream| upstream.requests().len()).collect();
        assert_eq!(counts.iter().filter(|&&count| count == 20).count(), 1, "{balance}: {counts:?}");
    }
}

#[test]
fn the_source_is_the_client_that_trusted_proxies_name() {
    let upstreams: Vec<Upstream> = (0..5).map(|number| Upstream::named(&number.to_string())).collect();
    let setup = upstreams.iter().fold(Setup::default(), |setup, upstream| setup.endpoint(upstream.address()));
    let fulcrum = setup.service("balance: ring").top("trusted_proxies: [127.0.0.0/8]").start();
    let mut owners = BTreeMap::new();
    for last in 1..50 {
        let request = plain("/", &format!("X-Forwarded-For: 192.0.2.{last}\r\n"));
        let answers = answers(&mut fulcrum.connect(), &request, 2);
        assert_eq!(answers.len(), 1, "{answers:?}");
        owners.extend(answers);
    }
    assert!(owners.len() >= 4, "{owners:?}");
}

#[test]
fn the_same_key_leads_to_the_same_endpoint_in_every_process() {
    for policy in ["ring", "maglev"] {
        let upstreams: Vec<Upstream> = (0..5).map(|number| Upstream::named(&number.to_string())).collect();
        let setup =
            upstreams.iter().fold(Setup::default(), |setup, upstream| setup.endpoint(upstream.address()));
        let setup = setup.service(&format!("balance: {{ policy: {policy}, key: \"header:x-user\" }}"));
        let (one, other) = (setup.start(), setup.start());
        for key in 0..20 {
            let request = plain("/", &format!("X-User: {key}\r\n"));
            assert_eq!(
                one.connect().ask(&request).text(),
                other.connect().ask(&request).text(),
                "{policy}: {key}"
            );
        }
    }
}

#[test]
fn a_request_without_the_key_is_balanced_by_turns() {
    for policy in ["ring", "maglev"] {
        let (upstreams, fulcrum) =
            cluster(4, &format!("balance: {{ policy: {policy}, key: \"header:x-user\" }}"));
        answers(&mut fulcrum.connect(), &plain("/", ""), 40);
        let counts: Vec<_> = upstreams.iter().map(|upstream| upstream.requests().len()).collect();
        assert_eq!(counts, [10, 10, 10, 10], "{policy}");
    }
}

#[test]
fn while_an_endpoint_refuses_only_its_own_keys_move() {
    for policy in ["ring", "maglev"] {
        let upstreams: Vec<Upstream> = (0..4).map(|number| Upstream::named(&number.to_string())).collect();
        let setup = Setup::default().service(&format!("balance: {{ policy: {policy}, key: \"query:k\" }}"));
        let named = |setup: Setup, id: usize, address: &str| {
            setup.endpoint(&format!("{{ id: e{id}, address: \"{address}\" }}"))
        };
        let add = |setup, (id, upstream): (usize, &Upstream)| named(setup, id, upstream.address());
        let whole = upstreams.iter().enumerate().fold(setup.clone(), add);
        let broken = named(upstreams[..3].iter().enumerate().fold(setup, add), 3, REFUSED);
        let (whole, broken) = (whole.start(), broken.start());
        let mut moved = 0;
        for key in 0..60 {
            let request = plain(&format!("/?k={key}"), "");
            let owner = whole.connect().ask(&request).text();
            let substitute = broken.connect().ask(&request).text();
            match owner.as_str() {
                "3" => moved += 1,
                owner => assert_eq!(substitute, owner, "{policy}: {key}"),
            }
        }
        assert!((1..40).contains(&moved), "{policy}: {moved}");
    }
}

#[test]
fn endpoints_are_counted_by_id() {
    let upstreams = [Upstream::named("blue"), Upstream::named("green")];
    let mut setup = Setup::default().service("balance: round_robin");
    for (upstream, id) in upstreams.iter().zip(["blue", "green"]) {
        setup = setup.endpoint(&format!("{{ id: {id}, address: \"{}\" }}", upstream.address()));
    }
    let fulcrum = setup.start();
    answers(&mut fulcrum.connect(), &plain("/", ""), 10);
    for id in ["blue", "green"] {
        let labels = [("service", "app"), ("endpoint", id), ("code", "2xx")];
        fulcrum.await_metric("fulcrum_upstream_requests_total", &labels, 5.0);
    }
    let mut endpoints: Vec<_> = fulcrum.records(10).iter().map(|record| record["endpoint"].clone()).collect();
    endpoints.sort_by_key(ToString::to_string);
    assert_eq!(endpoints[0], "blue");
    assert_eq!(endpoints[9], "green");
}
