//! Orders at run time: what an endpoint takes changes at once, nothing under way breaks, and reloads keep it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use serde_json::{Value, json};

use crate::harness::{Client, Fulcrum, Output, Setup, Upstream, eventually, fulcrum, ok};

/// An upstream that answers `/slow` when it is told to, everything else at once, always with its name.
fn upstream_on_command(name: &'static str) -> (Upstream, Sender<()>) {
    let (release, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let upstream = Upstream::new(move |mut conversation| {
        while let Some(request) = conversation.request() {
            let waits = request.target() == "/slow";
            if waits && gate.lock().expect("nobody panics with the gate").recv().is_err() {
                return;
            }
            conversation.send(ok(name));
        }
    });
    (upstream, release)
}

/// Two endpoints called `blue` and `green`.
pub(super) fn pair(blue: &Upstream, green: &Upstream, keys: &str) -> Setup {
    Setup::default()
        .endpoint(&format!("{{ id: blue, address: \"{}\" }}", blue.address()))
        .endpoint(&format!("{{ id: green, address: \"{}\" }}", green.address()))
        .service(keys)
}

/// A command about an endpoint.
#[track_caller]
fn command(daemon: &Fulcrum, line: &str) -> Output {
    let admin = daemon.admin();
    fulcrum(line.split(' ').chain(["--admin", &admin]))
}

/// The same, which works.
#[track_caller]
pub(super) fn order(daemon: &Fulcrum, line: &str) -> String {
    let output = command(daemon, line);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{line}: {}", output.stdout);
    output.stdout
}

/// A request of the admin's API.
#[track_caller]
pub(super) fn ask(daemon: &Fulcrum, method: &str, path: &str, body: &str) -> (u16, Value) {
    let length = body.len();
    let response = Client::connect(&daemon.admin()).ask(format!(
        "{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    ));
    (response.status, serde_json::from_slice(&response.body).expect("JSON"))
}

/// An endpoint in the status.
#[track_caller]
pub(super) fn endpoint(daemon: &Fulcrum, id: &str) -> Value {
    let status = daemon.status();
    let endpoints = status["services"][0]["endpoints"].as_array().expect("a list");
    let found = endpoints.iter().find(|endpoint| endpoint["id"] == id);
    found.unwrap_or_else(|| panic!("no {id} in {status}")).clone()
}

/// Who answers so many requests.
#[track_caller]
pub(super) fn shares(daemon: &Fulcrum, times: usize) -> BTreeMap<String, usize> {
    let mut client = daemon.connect();
    let mut shares = BTreeMap::new();
    for _ in 0..times {
        *shares.entry(client.get("/").text()).or_default() += 1;
    }
    shares
}

pub(super) fn expected<const N: usize>(shares: [(&str, usize); N]) -> BTreeMap<String, usize> {
    shares.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

#[test]
fn a_draining_endpoint_finishes_what_it_has_and_gets_no_more() {
    let (blue, release) = upstream_on_command("blue");
    let green = Upstream::named("green");
    let daemon = pair(&blue, &green, "balance: round_robin").start();
    // Until blue has it: workers begin their turns anywhere.
    let mut busy = eventually("a request waits at blue", || {
        let before = green.requests().len() + blue.requests().len();
        let mut client = daemon.connect();
        client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
        eventually("it arrives", || (green.requests().len() + blue.requests().len() > before).then_some(()));
        (!blue.requests().is_empty()).then_some(client)
    });

    let text = order(&daemon, "drain app/blue --reason disk");
    assert!(
        text.contains("app/blue: draining since ") && text.contains("(ordered: disk), 1 in flight"),
        "{text}"
    );
    let served = blue.requests().len();
    assert_eq!(shares(&daemon, 20), expected([("green", 20)]));
    assert_eq!(blue.requests().len(), served);
    let state = endpoint(&daemon, "blue");
    assert_eq!((&state["state"], &state["in_flight"]), (&"draining".into(), &1.into()), "{state}");
    assert_eq!(state["override"]["reason"], "disk", "{state}");
    let labels = [("service", "app"), ("state", "draining")];
    assert_eq!(daemon.metric("fulcrum_health_endpoints", &labels), 1.0);

    let late = command(&daemon, "drain app/blue --watch --deadline 300ms");
    assert_eq!(late.code, Some(1), "{}", late.stdout);
    assert!(late.stderr.contains("1 still in flight"), "{}", late.stderr);

    release.send(()).expect("the upstream waits");
    assert_eq!(busy.response().text(), "blue", "what it had is finished");
    let text = order(&daemon, "drain app/blue --watch --deadline 10s");
    assert!(text.ends_with("app/blue: 0 in flight\n"), "{text}");

    let text = order(&daemon, "undrain app/blue");
    assert!(text.contains("app/blue: up since ") && text.contains("its order was cleared"), "{text}");
    assert_eq!(shares(&daemon, 20), expected([("blue", 10), ("green", 10)]));
    assert_eq!(endpoint(&daemon, "blue")["override"], Value::Null);
    let log = daemon.child.stderr();
    assert!(log.contains("ordered") && log.contains("disk") && log.contains("orders cleared"), "{log}");
}

#[test]
fn a_pinned_client_stays_while_its_endpoint_drains_and_moves_under_maintenance() {
    let (blue, green) = (Upstream::named("blue"), Upstream::named("green"));
    let daemon = pair(&blue, &green, "sticky: cookie").top("state_dir: \"@DIR@\"").start();
    let first = daemon.get("/");
    let (owner, other) = if first.text() == "blue" { ("blue", "green") } else { ("green", "blue") };
    let cookie_of = |field: &str| field.split(';').next().expect("a first part").to_owned();
    let cookie = cookie_of(first.field("set-cookie").expect("the client is pinned"));
    let request = |cookie: &str| format!("GET / HTTP/1.1\r\nHost: test\r\nCookie: {cookie}\r\n\r\n");

    order(&daemon, &format!("drain app/{owner}"));
    let again = daemon.connect().ask(request(&cookie));
    assert_eq!((again.text().as_str(), again.field("set-cookie")), (owner, None), "it keeps its pin");
    assert_eq!(shares(&daemon, 10), expected([(other, 10)]), "nobody else comes");

    order(&daemon, &format!("maintenance app/{owner}"));
    assert_eq!(endpoint(&daemon, owner)["state"], "maintenance");
    let moved = daemon.connect().ask(request(&cookie));
    assert_eq!(moved.text(), other);
    let cookie = cookie_of(moved.field("set-cookie").expect("it is pinned anew"));
    order(&daemon, &format!("undrain app/{owner}"));
    assert_eq!(daemon.connect().ask(request(&cookie)).text(), other, "and stays there");
}

#[test]
fn orders_survive_a_reload() {
    let (blue, green) = (Upstream::named("blue"), Upstream::named("green"));
    let setup = pair(&blue, &green, "balance: round_robin");
    let daemon = setup.start();
    order(&daemon, "weight app/green 3");
    assert_eq!(shares(&daemon, 40), expected([("blue", 10), ("green", 30)]));
    daemon.change(
        &setup.clone().route("{ path: /other, respond: { status: 204 } }").route("{ to: app }").yaml(),
    );
    assert_eq!(shares(&daemon, 40), expected([("blue", 10), ("green", 30)]));
    order(&daemon, "drain app/green");
    daemon.change(&setup.yaml());
    assert_eq!(shares(&daemon, 10), expected([("blue", 10)]));
    let state = endpoint(&daemon, "green");
    assert_eq!(
        (&state["weight"], &state["override"]["weight"]),
        (&3.into(), &3.into()),
        "drain keeps the weight"
    );
    let table = order(&daemon, "status");
    assert!(table.contains("app/green: draining since ") && table.contains("weight 3 by order"), "{table}");
    order(&daemon, "undrain app/green");
    assert_eq!(shares(&daemon, 40), expected([("blue", 20), ("green", 20)]));
}

#[test]
fn an_order_without_its_endpoint_is_listed_and_can_be_cleared() {
    let (blue, green) = (Upstream::named("blue"), Upstream::named("green"));
    let setup = pair(&blue, &green, "balance: round_robin");
    let daemon = setup.start();
    order(&daemon, "maintenance app/green --reason disk");
    assert_eq!(daemon.status()["absent_overrides"], json!([]));

    daemon.change(&Setup::new(&blue).yaml());
    let listed = json!([{
        "service": "app", "endpoint": "green",
        "override": { "state": "maintenance", "weight": null, "reason": "disk", "until": null },
    }]);
    assert_eq!(daemon.status()["absent_overrides"], listed);
    let table = order(&daemon, "status");
    assert!(table.contains("app/green: absent (ordered: maintenance, disk)\n"), "{table}");

    daemon.change(&setup.yaml());
    assert_eq!(daemon.status()["absent_overrides"], json!([]), "it is back");
    assert_eq!(endpoint(&daemon, "green")["state"], "maintenance");

    // Also where the service is gone.
    daemon.change(&setup.yaml().replace("app", "shop"));
    assert_eq!(daemon.status()["absent_overrides"], listed);
    assert_eq!(order(&daemon, "undrain app/green"), "app/green: absent (its order was cleared)\n");
    assert_eq!(daemon.status()["absent_overrides"], json!([]));
    let again = command(&daemon, "undrain app/green");
    assert!(again.stderr.contains("there is no service \"app\""), "{}", again.stderr);
    daemon.change(&setup.yaml());
    assert_eq!(endpoint(&daemon, "green")["state"], "up");
}

#[test]
fn an_order_wins_over_the_configured_state() {
    let (blue, green) = (Upstream::named("blue"), Upstream::named("green"));
    let daemon = Setup::default()
        .endpoint(&format!("{{ id: blue, address: \"{}\", state: maintenance }}", blue.address()))
        .endpoint(&format!("{{ id: green, address: \"{}\" }}", green.address()))
        .service("balance: round_robin")
        .start();
    assert_eq!(shares(&daemon, 10), expected([("green", 10)]));
    let path = "/v1/services/app/endpoints/blue/override";
    let (status, state) = ask(&daemon, "PUT", path, r#"{"state":"up"}"#);
    assert_eq!((status, &state["state"]), (200, &"up".into()), "{state}");
    assert_eq!(shares(&daemon, 10), expected([("blue", 5), ("green", 5)]));
    let (status, state) = ask(&daemon, "DELETE", path, "");
    assert_eq!((status, &state["state"]), (200, &"maintenance".into()), "{state}");
    assert_eq!(shares(&daemon, 10), expected([("green", 10)]));
}

#[test]
fn ids_with_marks_are_percent_encoded() {
    let folder = tempfile::tempdir().expect("room for a directory");
    let upstream = Upstream::unix(&folder.path().join("a.sock"), |mut conversation| {
        while conversation.request().is_some() {
            conversation.send(ok("app"));
        }
    });
    let daemon = Setup::new(&upstream).start();
    let text = order(&daemon, &format!("weight app/{} 5", upstream.address()));
    assert!(text.contains("weight 5 by order"), "{text}");
    let id = upstream.address().replace('/', "%2F").replace(':', "%3a");
    let path = format!("/v1/services/app/endpoints/{id}/override");
    let until = "2999-01-01T00:00:00Z";
    let (status, state) = ask(&daemon, "PUT", &path, &format!(r#"{{"weight":7,"until":"{until}"}}"#));
    assert_eq!((status, &state["weight"], &state["override"]["until"]), (200, &7.into(), &until.into()));
}

#[test]
fn what_makes_no_sense_changes_nothing() {
    let upstream = Upstream::named("app");
    let daemon = Setup::new(&upstream).start();
    let path = format!("/v1/services/app/endpoints/{}/override", upstream.address());
    let rows = [
        ("PUT", path.clone(), "{}".to_owned(), 400, "orders nothing"),
        ("PUT", path.clone(), r#"{"state":"off"}"#.to_owned(), 400, "off"),
        ("PUT", path.clone(), r#"{"weight":1,"until":1000}"#.to_owned(), 400, "passed"),
        ("PUT", path.clone(), format!("{}{{}}", " ".repeat(16 << 10)), 413, "16 KiB"),
        ("POST", path.clone(), String::new(), 405, "Allow"),
        ("PUT", path.replace("app", "shop"), r#"{"weight":1}"#.to_owned(), 404, "there is app"),
        ("DELETE", path.replace("127", "128"), String::new(), 404, upstream.address()),
    ];
    for (method, path, body, status, part) in rows {
        let (found, problem) = ask(&daemon, method, &path, &body);
        assert_eq!((found, &problem["status"]), (status, &status.into()), "{method} {path}: {problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(part)), "{problem}");
    }
    assert_eq!(endpoint(&daemon, upstream.address())["override"], Value::Null);

    for line in ["drain app/nobody", "undrain app/nobody", "maintenance shop/nobody", "weight app/nobody 2"] {
        let output = command(&daemon, line);
        assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{line}: {}", output.stderr);
        assert!(
            output.stderr.contains("404") && output.stderr.contains("there is"),
            "{line}: {}",
            output.stderr
        );
    }
}
