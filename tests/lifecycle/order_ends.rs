//! Orders with an end: until then they hold, from then on they are forgotten.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::overrides::{ask, endpoint, expected, order, pair, shares};
use crate::harness::{Upstream, eventually};

/// In whole seconds since 1970, a moment that is at least three seconds away: longer than what comes before it takes on a busy
/// machine.
fn soon() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    now.as_secs() + 4
}

fn is_past(second: u64) -> bool {
    SystemTime::now() >= UNIX_EPOCH + Duration::from_secs(second)
}

#[test]
fn an_order_ends_by_itself_when_its_time_has_come() {
    let (blue, green) = (Upstream::named("blue"), Upstream::named("green"));
    let setup = pair(&blue, &green, "balance: round_robin");
    let daemon = setup.start();
    let path = "/v1/services/app/endpoints/blue/override";
    let until = soon();
    let body = format!(r#"{{"state":"drain","weight":3,"reason":"kernel","until":{until}}}"#);
    let (status, state) = ask(&daemon, "PUT", path, &body);
    assert_eq!((status, &state["state"]), (200, &"draining".into()), "{state}");
    let text = state["override"]["until"].as_str().expect("a time").to_owned();
    assert!(text.ends_with('Z'), "{text}");
    let table = order(&daemon, "status");
    assert!(table.contains(&format!("until {text}")), "{table}");

    // A reload takes nothing of its time away, and adds none.
    let other = setup.clone().route("{ path: /other, respond: { status: 204 } }").route("{ to: app }");
    daemon.change(&other.yaml());
    assert_eq!(endpoint(&daemon, "blue")["override"]["until"], text.as_str());
    let mut served = 0;
    loop {
        let name = daemon.get("/").text();
        if is_past(until) {
            break;
        }
        assert_eq!(name, "green", "blue is withdrawn until then");
        served += 1;
    }
    assert!(served > 0);

    let state = eventually("it has run out", || {
        Some(endpoint(&daemon, "blue")).filter(|state| state["override"].is_null())
    });
    assert_eq!((&state["state"], &state["weight"]), (&"up".into(), &1.into()), "{state}");
    assert_eq!(
        shares(&daemon, 20),
        expected([("blue", 10), ("green", 10)]),
        "its weight is the configured one"
    );
    assert!(!order(&daemon, "status").contains("until"));
}

#[test]
fn an_order_without_end_replaces_one_with_an_end() {
    let (blue, green) = (Upstream::named("blue"), Upstream::named("green"));
    let daemon = pair(&blue, &green, "balance: round_robin").start();
    let path = "/v1/services/app/endpoints/blue/override";
    let until = soon();
    assert_eq!(ask(&daemon, "PUT", path, &format!(r#"{{"state":"drain","until":{until}}}"#)).0, 200);
    assert_eq!(ask(&daemon, "PUT", path, r#"{"state":"drain"}"#).0, 200);
    eventually("the first one's end has passed", || is_past(until + 1).then_some(()));
    let state = endpoint(&daemon, "blue");
    assert_eq!((&state["state"], &state["override"]["until"]), (&"draining".into(), &Value::Null), "{state}");
    assert_eq!(shares(&daemon, 10), expected([("green", 10)]));
}
