//! What a token allows, and where it may point: whoever registers must not aim the balancer at others.

use serde_json::{Value, json};

use super::yaml;
use crate::harness::{Fulcrum, path_of, registration};

const WEB: &str = "the-secret-of-the-web-servers";
const OPS: &str = "the-secret-of-the-operators";

fn guarded() -> Fulcrum {
    let tokens = format!(
        ", tokens: [{{ name: web, secret: \"{WEB}\", grants: [\"register:web-*\"] }}, \
         {{ name: ops, secret: \"{OPS}\", grants: [admin] }}]"
    );
    let admin = "admin: { socket: \"@DIR@/admin.sock\", bind: \"127.0.0.1:0\" }\n";
    Fulcrum::start(&(admin.to_owned() + &yaml(&tokens, "")))
}

/// How a registration is answered: its status, and the code where it is refused.
#[track_caller]
fn register(fulcrum: &Fulcrum, token: &str, instance: &str, address: &str) -> (u16, Value) {
    let body = registration(address, json!({}));
    let response = fulcrum.ask_registry_as(token, "PUT", &path_of(instance), &body);
    (response.status, response.json()["code"].clone())
}

fn audit(fulcrum: &Fulcrum) -> Vec<Value> {
    let audit = fulcrum.ask_registry_as(OPS, "GET", "/v1/audit", "").json();
    audit["entries"].as_array().expect("a list").clone()
}

#[test]
fn nobody_points_the_balancer_where_it_must_not_go() {
    let fulcrum = guarded();
    let admin = fulcrum.ready["admin"].as_array().expect("a list").iter();
    let admin = admin.filter_map(Value::as_str).find(|address| !address.starts_with("unix:")).expect("TCP");
    let admin = admin.trim_start_matches("http://");
    let places = [
        ("the metadata service of a cloud", "169.254.169.254:80"),
        ("our own admin", admin),
        ("our own listener", fulcrum.address()),
        ("the registry itself", fulcrum.registry()),
        ("somebody else's machine", "192.0.2.1:80"),
        ("nowhere", "0.0.0.0:80"),
        ("everywhere", "255.255.255.255:80"),
    ];
    for (what, address) in places {
        assert_eq!(register(&fulcrum, WEB, "web-a/1", address), (403, "address".into()), "{what}");
        assert_eq!(register(&fulcrum, OPS, "web-a/1", address), (403, "address".into()), "{what}, for ops");
    }
    let refused = 2.0 * places.len() as f64;
    assert_eq!(fulcrum.metric("fulcrum_registry_refused_total", &[("reason", "address")]), refused);
    let entries = audit(&fulcrum);
    assert_eq!(entries.len(), 2 * places.len(), "{entries:?}");
    for (entry, who) in entries.iter().zip(["web", "ops"].iter().cycle()) {
        let found = (&entry["outcome"], &entry["principal"], &entry["service"], &entry["peer"]);
        assert_eq!(
            found,
            (&"address".into(), &(*who).into(), &"web-a".into(), &"127.0.0.1".into()),
            "{entry}"
        );
    }
    let told = fulcrum.child.stderr().lines().filter(|line| line.contains("fulcrum::audit")).count();
    assert_eq!(told, entries.len(), "each is a line of the diagnostics");
    assert!(audit(&fulcrum).iter().all(|entry| !entry.to_string().contains(WEB)), "no secret is shown");
    assert_eq!(fulcrum.metric("fulcrum_registry_instances", &[]), 0.0);
    assert_eq!(register(&fulcrum, WEB, "web-a/1", "127.0.0.1:9").0, 201);
}

#[test]
fn a_token_speaks_for_its_services_and_its_own_instances_alone() {
    let fulcrum = guarded();
    for (service, expected) in [("web-a", 201), ("web-", 201), ("web", 403), ("shop", 403), ("xweb-a", 403)] {
        assert_eq!(register(&fulcrum, WEB, &format!("{service}/1"), "127.0.0.1:9").0, expected, "{service}");
    }
    assert_eq!(register(&fulcrum, OPS, "web-a/2", "127.0.0.1:9").0, 201);
    let ask = |token, method, path: &str, body: &str| {
        let response = fulcrum.ask_registry_as(token, method, path, body);
        let code = if response.body.is_empty() { Value::Null } else { response.json()["code"].clone() };
        (response.status, code)
    };
    let other = path_of("web-a/2");
    assert_eq!(register(&fulcrum, WEB, "web-a/2", "127.0.0.1:9"), (403, "not_yours".into()));
    assert_eq!(ask(WEB, "PUT", &format!("{other}/lease"), ""), (403, "not_yours".into()));
    assert_eq!(ask(WEB, "DELETE", &other, ""), (403, "not_yours".into()));
    assert_eq!(ask(WEB, "PUT", &format!("{other}/override"), r#"{"state":"drain"}"#).0, 403);
    for path in
        ["/v1/services", "/v1/watch", "/v1/services/web-a/instances", "/v1/audit", "/v1/prometheus/sd"]
    {
        assert_eq!(ask(WEB, "GET", path, "").0, 403, "{path}");
        assert_eq!(ask("", "GET", path, "").0, 401, "{path}");
        assert_eq!(ask("the-secret-of-nobody-at-all", "GET", path, "").0, 401, "{path}");
    }
    let mine = path_of("web-a/1");
    assert_eq!(ask(WEB, "GET", &mine, "").0, 200);
    assert_eq!(ask(WEB, "PUT", &format!("{mine}/lease"), "").0, 200);
    assert_eq!(ask(OPS, "PUT", &format!("{mine}/override"), r#"{"state":"drain"}"#).0, 200);
    assert_eq!(ask(WEB, "DELETE", &mine, "").0, 204);
    assert_eq!(fulcrum.ask_registry("GET", "/healthz", "").status, 200);
}
