//! Clients that are brought back to the endpoint that served them, by a cookie that only we can make.

use std::collections::BTreeSet;

use crate::harness::{Client, Fulcrum, Response, Setup, Socket, Upstream, eventually};

/// The pin that a response sets, as a client gives it back.
#[track_caller]
pub(super) fn cookie_of(response: &Response) -> Option<String> {
    let cookie = response.field("set-cookie")?;
    Some(cookie.split(';').next().expect("there is always a first").to_owned())
}

fn upstreams() -> Vec<Upstream> {
    (0..3).map(|number| Upstream::named(&number.to_string())).collect()
}

/// A sticky service; `keys` are further ones of its cookie.
fn sticky(upstreams: &[Upstream], keys: &str) -> Setup {
    let setup = upstreams.iter().fold(Setup::default(), |setup, upstream| setup.endpoint(upstream.address()));
    let cookie = format!("balance: round_robin, sticky: {{ cookie: {{ {keys} }} }}");
    setup.service(&cookie).top("state_dir: @DIR@/state")
}

#[track_caller]
fn ask(fulcrum: &Fulcrum, cookie: &str) -> Response {
    let request = format!("GET / HTTP/1.1\r\nHost: test\r\nCookie: {cookie}\r\n\r\n");
    Client::connect(fulcrum.address()).ask(request)
}

/// A new client: its cookie and who serves it.
#[track_caller]
fn arrive(fulcrum: &Fulcrum) -> (String, String) {
    let response = fulcrum.get("/");
    assert_eq!(response.status, 200);
    (cookie_of(&response).expect("a new client gets a pin"), response.text())
}

/// The client is known, and served where it belongs.
#[track_caller]
fn assert_pinned(fulcrum: &Fulcrum, cookie: &str, home: &str) {
    for _ in 0..6 {
        let response = ask(fulcrum, cookie);
        assert_eq!((response.status, response.text().as_str()), (200, home));
        assert_eq!(cookie_of(&response), None, "it has the right one");
    }
}

/// The client is served like a new one.
#[track_caller]
fn assert_unknown(fulcrum: &Fulcrum, cookie: &str) {
    let responses: Vec<Response> = (0..6).map(|_| ask(fulcrum, cookie)).collect();
    assert!(responses.iter().all(|response| response.status == 200));
    assert!(responses.iter().all(|response| cookie_of(response).is_some()), "{cookie} is no pin");
    let homes: BTreeSet<String> = responses.iter().map(Response::text).collect();
    assert_eq!(homes.len(), 3, "{cookie} is no pin");
}

/// A client that waits for the place of its endpoint goes elsewhere as soon as that takes no requests any more.
#[test]
fn who_waits_for_an_endpoint_that_is_taken_out_goes_elsewhere() {
    let gated = [super::Gated::new("0"), super::Gated::new("1")];
    let setup = gated.iter().fold(Setup::default(), |setup, one| {
        let address = one.upstream.address();
        setup.endpoint(&format!("{{ id: \"{address}\", address: \"{address}\" }}"))
    });
    let keys = "balance: round_robin, sticky: cookie, limits: { max_requests: 1, queue: { timeout: 60s } }";
    let fulcrum = setup.service(keys).top("state_dir: @DIR@/state").start();
    gated.iter().for_each(super::Gated::release);
    let (cookie, home) = arrive(&fulcrum);
    let home = usize::from(home == "1");
    let request = format!("GET / HTTP/1.1\r\nHost: test\r\nCookie: {cookie}\r\n\r\n");
    let (mut first, mut second) = (fulcrum.connect(), fulcrum.connect());
    first.send(&request);
    eventually("it is at home", || (gated[home].arrived() == 2).then_some(()));
    second.send(&request);
    fulcrum.await_metric("fulcrum_upstream_queue_waiting", &[], 1.0);
    let endpoint = format!("app/{}", gated[home].upstream.address());
    let ordered = crate::harness::fulcrum(["maintenance", &endpoint, "--admin", &fulcrum.admin()]);
    assert_eq!(ordered.code, Some(0), "{}", ordered.stderr);
    assert_eq!(second.response().status, 200);
    gated[home].release();
    assert_eq!(first.response().status, 200);
}

#[test]
fn a_client_comes_back_to_its_endpoint() {
    let upstreams = upstreams();
    let fulcrum = sticky(&upstreams, "").top("workers: 2").start();
    let clients: Vec<(String, String)> = (0..6).map(|_| arrive(&fulcrum)).collect();
    assert_eq!(clients.iter().map(|(_, home)| home).collect::<BTreeSet<_>>().len(), 3, "{clients:?}");
    for (cookie, home) in &clients {
        assert_pinned(&fulcrum, cookie, home);
    }
}

#[test]
fn the_cookie_shows_nothing_and_is_guarded() {
    fn check(keys: &str, name: &str) {
        let upstreams = upstreams();
        let fulcrum = sticky(&upstreams, keys).start();
        let response = fulcrum.get("/");
        let field = response.field("set-cookie").expect("a pin").to_owned();
        let value = field.strip_prefix(&format!("{name}=")).expect("its name comes first");
        let (value, attributes) = value.split_once("; ").expect("there are attributes");
        assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax");
        assert_eq!(value.len(), 48, "{value}");
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        assert!(value.bytes().all(is_plain), "{value}");
    }
    check("", "fulcrum_app");
    check("name: shop", "shop");
}

#[test]
fn the_upstream_does_not_see_the_cookie() {
    fn check(before: &str, after: &str, expected: Option<&str>) {
        let upstream = Upstream::named("app");
        let setup = Setup::new(&upstream).service("sticky: cookie").top("state_dir: @DIR@/state");
        let fulcrum = setup.start();
        let pin = cookie_of(&fulcrum.get("/")).expect("a pin");
        let response = ask(&fulcrum, &format!("{before}{pin}{after}"));
        assert_eq!(cookie_of(&response), None);
        let seen = upstream.last_request();
        assert_eq!(seen.field("cookie"), expected);
    }
    check("", "", None);
    check("a=1; ", "; b=2", Some("a=1; b=2"));
    check("a=\"x y\"; b; ", "", Some("a=\"x y\"; b"));
    check("Fulcrum_app=1; fulcrum_app=none; ", "; fulcrum_apps=2", Some("Fulcrum_app=1; fulcrum_apps=2"));
}

#[test]
fn the_cookie_of_another_is_none_of_ours() {
    let upstreams = upstreams();
    let fulcrum = sticky(&upstreams, "").start();
    let (cookie, home) = arrive(&fulcrum);
    // Any change makes it another's; none makes it an error.
    let (name, value) = cookie.split_once('=').expect("a name and a value");
    for at in 0..value.len() {
        let mut bytes = value.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(bytes).expect("ASCII");
        let response = ask(&fulcrum, &format!("{name}={tampered}"));
        assert_eq!(response.status, 200);
        assert!(cookie_of(&response).is_some(), "{tampered} at {at}");
    }
    for other in ["", "x", "127.0.0.1:80", "\"\"", &value[1..], &format!("{value}A"), &"A".repeat(4000)] {
        assert_unknown(&fulcrum, &format!("{name}={other}"));
    }
    // The right one counts, wherever it stands.
    assert_pinned(&fulcrum, &format!("{name}=x; {cookie}"), &home);
}

#[test]
fn the_cookie_of_another_service_is_no_pin() {
    let upstreams = upstreams();
    let keys = "name: pin, keys: [\"0123456789abcdef\"]";
    let one = sticky(&upstreams, keys).start();
    let renamed = sticky(&upstreams, keys).route("{ to: shop }").yaml().replace("  app:", "  shop:");
    let other = Fulcrum::start(&renamed);
    let (cookie, home) = arrive(&one);
    assert_pinned(&one, &cookie, &home);
    assert_unknown(&other, &cookie);
}

#[test]
fn daemons_with_the_same_keys_agree() {
    let upstreams = upstreams();
    let keys = "keys: [\"the same key everywhere\"]";
    let daemons = [sticky(&upstreams, keys).start(), sticky(&upstreams, keys).start()];
    for turn in 0..6 {
        let (cookie, home) = arrive(&daemons[turn % 2]);
        assert_pinned(&daemons[0], &cookie, &home);
        assert_pinned(&daemons[1], &cookie, &home);
    }
    let stranger = sticky(&upstreams, "keys: [\"another key than theirs\"]").start();
    assert_unknown(&stranger, &arrive(&daemons[0]).0);
}

#[test]
fn pins_outlive_the_process_without_keys() {
    let upstreams = upstreams();
    let mut fulcrum = sticky(&upstreams, "").start();
    let clients: Vec<(String, String)> = (0..3).map(|_| arrive(&fulcrum)).collect();
    assert_eq!(fulcrum.stop(), Some(0));
    fulcrum.restart();
    for (cookie, home) in &clients {
        assert_pinned(&fulcrum, cookie, home);
    }
}

#[test]
fn pins_outlive_a_reload() {
    let upstreams = upstreams();
    let setup = sticky(&upstreams, "");
    let fulcrum = setup.start();
    let (cookie, home) = arrive(&fulcrum);
    let more = Upstream::named("more");
    fulcrum.change(&setup.endpoint(more.address()).yaml());
    assert_pinned(&fulcrum, &cookie, &home);
}

#[test]
fn the_previous_key_still_opens() {
    let upstreams = upstreams();
    let fulcrum = sticky(&upstreams, "keys: [\"the key of yesterday\"]").start();
    let (old, home) = arrive(&fulcrum);
    fulcrum.change(&sticky(&upstreams, "keys: [\"the key of today\", \"the key of yesterday\"]").yaml());
    let response = ask(&fulcrum, &old);
    assert_eq!(response.text(), home);
    let new = cookie_of(&response).expect("it is renewed with the new key");
    assert_ne!(new, old);
    assert_pinned(&fulcrum, &new, &home);
    fulcrum.change(&sticky(&upstreams, "keys: [\"the key of today\"]").yaml());
    assert_pinned(&fulcrum, &new, &home);
    assert_unknown(&fulcrum, &old);
}

#[test]
fn a_cookie_grows_too_old() {
    fn check(limits: &str) {
        let upstreams = upstreams();
        let fulcrum = sticky(&upstreams, limits).start();
        let (cookie, home) = arrive(&fulcrum);
        eventually(&format!("{limits} is over"), || (ask(&fulcrum, &cookie).text() != home).then_some(()));
        assert_unknown(&fulcrum, &cookie);
    }
    check("max_life: 1s");
    check("max_idle: 1s");
}

#[test]
fn a_cookie_in_use_is_renewed_in_time() {
    let upstreams = upstreams();
    let fulcrum = sticky(&upstreams, "max_idle: 10s").start();
    let (cookie, home) = arrive(&fulcrum);
    let renewed = eventually("a tenth of its time is over", || {
        let response = ask(&fulcrum, &cookie);
        assert_eq!(response.text(), home);
        cookie_of(&response)
    });
    assert_ne!(renewed, cookie);
    assert_pinned(&fulcrum, &renewed, &home);
}

/// What the client sees of these fields of an upstream's response, with its first answer and with the next one.
#[track_caller]
fn check_fields(upstream: &str, name: &str, first: &[&str], next: &[&str]) {
    let answer = format!("HTTP/1.1 200 OK\r\n{upstream}Content-Length: 0\r\n\r\n");
    let upstream = Upstream::answering(answer);
    let fulcrum = Setup::new(&upstream).service("sticky: cookie").top("state_dir: @DIR@/state").start();
    let response = fulcrum.get("/");
    let mut cookies = response.head.values("set-cookie");
    let pin = cookies.pop().expect("ours comes last").split(';').next().expect("a first").to_owned();
    assert!(pin.starts_with("fulcrum_app="), "{pin}");
    let ours = |values: Vec<&str>| {
        let others = values.into_iter().filter(|value| !value.starts_with(&pin));
        others.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(ours(response.head.values(name)), first);
    let response = ask(&fulcrum, &pin);
    assert_eq!(ours(response.head.values(name)), next);
}

#[test]
fn the_upstream_cannot_set_the_cookie() {
    let check = |fields, expected: &[&str]| check_fields(fields, "set-cookie", expected, expected);
    check("Set-Cookie: fulcrum_app=mine; Path=/\r\n", &[]);
    check(
        "Set-Cookie: a=1\r\nSet-Cookie: fulcrum_app=mine\r\nSet-Cookie: b=2; Secure\r\n",
        &["a=1", "b=2; Secure"],
    );
}

#[test]
fn shared_caches_do_not_keep_a_pin() {
    check_fields("", "cache-control", &["private"], &[]);
    check_fields(
        "Cache-Control: public, max-age=60\r\n",
        "cache-control",
        &["private, max-age=60"],
        &["public, max-age=60"],
    );
    check_fields("Cache-Control: no-store\r\n", "cache-control", &["no-store"], &["no-store"]);
}

#[test]
fn a_cache_control_of_the_route_does_not_make_a_pin_public() {
    let upstream =
        Upstream::answering("HTTP/1.1 200 OK\r\nCache-Control: no-cache\r\nContent-Length: 0\r\n\r\n");
    let route = "{ to: app, headers: { response: { set: { cache-control: \"public, max-age=60\" } } } }";
    let setup = Setup::new(&upstream).service("sticky: cookie").top("state_dir: @DIR@/state");
    let fulcrum = setup.route(route).start();
    let response = fulcrum.get("/");
    assert!(cookie_of(&response).is_some());
    assert_eq!(response.head.values("cache-control"), ["private, max-age=60"]);
}

#[test]
fn who_belonged_to_a_dead_endpoint_belongs_to_another() {
    let mut upstreams = upstreams();
    let fulcrum = sticky(&upstreams, "").service("pool: { max_idle: 0 }").start();
    let (cookie, home) = arrive(&fulcrum);
    let dead: usize = home.parse().expect("they are numbered");
    let address = upstreams.remove(dead).address().to_owned();
    eventually("it refuses", || Socket::connect(&address).is_err().then_some(()));
    let response = ask(&fulcrum, &cookie);
    assert_eq!(response.status, 200);
    assert_ne!(response.text(), home);
    let new = cookie_of(&response).expect("it belongs there now");
    assert_pinned(&fulcrum, &new, &response.text());
}

#[test]
fn who_belongs_to_a_draining_endpoint_stays() {
    fn check(state: &str, stays: bool) {
        let upstreams = upstreams();
        let setup = sticky(&upstreams, "");
        let fulcrum = setup.start();
        let (cookie, home) = arrive(&fulcrum);
        let place: usize = home.parse().expect("they are numbered");
        let quoted = format!("\"{}\"", upstreams[place].address());
        let changed = format!("{{ address: {quoted}, state: {state} }}");
        fulcrum.change(&setup.yaml().replace(&quoted, &changed));
        let response = ask(&fulcrum, &cookie);
        assert_eq!(response.status, 200);
        assert_eq!(response.text() == home, stays, "{state}");
        assert_eq!(cookie_of(&response).is_none(), stays, "{state}");
        let newcomers = (0..9).map(|_| arrive(&fulcrum).1);
        assert!(newcomers.collect::<Vec<_>>().iter().all(|other| *other != home), "{state}: nobody new");
    }
    check("drain", true);
    check("maintenance", false);
}
