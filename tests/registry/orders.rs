//! Weights and states, as instances and operators want them.

use serde_json::{Value, json};

use super::{IN_TURN, await_shares, start};
use crate::harness::{Fulcrum, Upstream, eventually};

fn pair() -> (Fulcrum, [Upstream; 2]) {
    let upstreams = ["a", "b"].map(Upstream::named);
    let fulcrum = start(IN_TURN);
    for (id, upstream) in ["a", "b"].iter().zip(&upstreams) {
        fulcrum.register(&format!("web/{id}"), upstream.address(), json!({ "incarnation": "one" }));
    }
    await_shares(&fulcrum, [("a", 10), ("b", 10)]);
    (fulcrum, upstreams)
}

#[test]
fn weights_are_shares() {
    let (fulcrum, upstreams) = pair();
    let heavier = json!({ "incarnation": "one", "weight": 3 });
    let answer = fulcrum.register("web/b", upstreams[1].address(), heavier);
    assert_eq!(answer["epoch"], 1, "it is the same process: {answer}");
    await_shares(&fulcrum, [("a", 10), ("b", 30)]);
    let before = upstreams[1].connections();
    fulcrum.order("web/b", &json!({ "weight": 1 }));
    await_shares(&fulcrum, [("a", 10), ("b", 10)]);
    fulcrum.order("web/b", &Value::Null);
    await_shares(&fulcrum, [("a", 10), ("b", 30)]);
    assert_eq!(upstreams[1].connections(), before, "its pool is what it was");
}

#[test]
fn an_order_outlives_registrations_until_it_is_cleared() {
    let (fulcrum, upstreams) = pair();
    let ordered = fulcrum.order("web/b", &json!({ "state": "maintenance", "reason": "disk" }));
    assert_eq!((&ordered["state"], &ordered["override"]["reason"]), (&"maintenance".into(), &"disk".into()));
    await_shares(&fulcrum, [("a", 10)]);
    let endpoints = fulcrum.endpoints("app");
    let states: Vec<&Value> = endpoints.iter().map(|endpoint| &endpoint["state"]).collect();
    assert_eq!(states, ["up", "maintenance"]);

    let answer = fulcrum.register("web/b", upstreams[1].address(), json!({ "incarnation": "two" }));
    assert_eq!((&answer["epoch"], &answer["state"]), (&2.into(), &"maintenance".into()), "{answer}");
    await_shares(&fulcrum, [("a", 10)]);
    fulcrum.order("web/b", &Value::Null);
    await_shares(&fulcrum, [("a", 10), ("b", 10)]);

    fulcrum.order("web/a", &json!({ "state": "drain" }));
    await_shares(&fulcrum, [("b", 10)]);
    fulcrum.order("web/a", &Value::Null);
    await_shares(&fulcrum, [("a", 10), ("b", 10)]);
}

#[test]
fn an_order_ends_by_itself() {
    let (fulcrum, _upstreams) = pair();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    fulcrum.order("web/b", &json!({ "state": "drain", "until": now.as_secs() + 2 }));
    await_shares(&fulcrum, [("a", 10)]);
    eventually("it is over", || {
        fulcrum.instance("web/b").filter(|instance| instance.get("override").is_none())
    });
    await_shares(&fulcrum, [("a", 10), ("b", 10)]);
}

/// An operator of the data plane has the last word about an endpoint, whatever is registered.
#[test]
fn an_order_to_the_data_plane_wins() {
    let (fulcrum, upstreams) = pair();
    let admin = fulcrum.admin();
    let output = crate::harness::fulcrum(["drain", "app/b", "--admin", &admin]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    await_shares(&fulcrum, [("a", 10)]);
    fulcrum.register("web/b", upstreams[1].address(), json!({ "incarnation": "two" }));
    await_shares(&fulcrum, [("a", 10)]);
    assert_eq!(crate::harness::fulcrum(["undrain", "app/b", "--admin", &admin]).code, Some(0));
    await_shares(&fulcrum, [("a", 10), ("b", 10)]);
}
