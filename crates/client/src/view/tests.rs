//! Event after event, as a registry sends them.

use serde_json::{Value, json};

use super::*;

fn document(id: &str, port: u16, state: &str) -> Value {
    json!({"service": "web", "id": id, "address": "127.0.0.1", "port": port, "weight": 1, "epoch": 1,
        "tags": [], "meta": {}, "state": state, "health": "ok", "ttl_ms": 30000, "sequence": 1, "later": {}})
}

fn event(kind: &str, id: &str, data: &Value) -> Event {
    let id = Some(id.to_owned()).filter(|id| !id.is_empty());
    Event { kind: kind.to_owned(), id, data: data.to_string() }
}

fn snapshot(ids: &[&str], done: bool, id: &str) -> Event {
    let instances: Vec<Value> = ids.iter().map(|id| document(id, 80, "up")).collect();
    event("snapshot", id, &json!({"instances": instances, "done": done}))
}

fn endpoints(view: &mut View) -> &Endpoints {
    view.show();
    &view.shown
}

/// The ids that are shown, a `~` behind those that are suspect, a `-` behind those that drain.
fn ids(view: &mut View) -> String {
    let mark = |endpoint: &Arc<Endpoint>| {
        let suspect = if endpoint.is_suspect { "~" } else { "" };
        let draining = if endpoint.state == EndpointState::Draining { "-" } else { "" };
        format!("{}{suspect}{draining}", endpoint.id)
    };
    endpoints(view).of("web").iter().map(mark).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(view: &mut View, event: &Event, shown: &str, last: Option<&str>) {
    view.take(event, Duration::ZERO).expect("it makes sense");
    assert_eq!((&*ids(view), view.last_id()), (shown, last), "{event:?}");
}

#[test]
fn events_change_what_is_shown() {
    let mut view = View::default();
    check(&mut view, &snapshot(&["a", "b"], false, ""), "", None);
    assert!(!endpoints(&mut view).is_complete());
    check(&mut view, &snapshot(&["c"], true, "h.0.3"), "a b c", Some("h.0.3"));
    assert!(endpoints(&mut view).is_complete());
    let put =
        |id: &str, state: &str| json!({"sequence": 4, "cause": "x", "instance": document(id, 80, state)});
    check(&mut view, &event("put", "h.0.4", &put("d", "up")), "a b c d", Some("h.0.4"));
    check(&mut view, &event("put", "h.0.5", &put("b", "draining")), "a b- c d", Some("h.0.5"));
    let of = |id: &str| json!({"sequence": 6, "service": "web", "id": id, "epoch": 1, "health": "suspect"});
    check(&mut view, &event("health", "h.0.6", &of("c")), "a b- c~ d", Some("h.0.6"));
    check(&mut view, &event("delete", "h.0.7", &of("a")), "b- c~ d", Some("h.0.7"));
    check(&mut view, &event("delete", "h.0.8", &of("x")), "b- c~ d", Some("h.0.8"));
    check(&mut view, &event("bookmark", "h.0.9", &json!({"sequence": 9})), "b- c~ d", Some("h.0.9"));
    check(&mut view, &event("later", "h.0.10", &json!({})), "b- c~ d", Some("h.0.10"));
}

#[test]
fn nothing_goes_before_everything_was_told_anew() {
    let mut view = View::default();
    view.take(&snapshot(&["a", "b"], true, "old.0.3"), Duration::ZERO).expect("a snapshot");
    let before = endpoints(&mut view).of("web");
    check(&mut view, &event("reset", "", &json!({})), "a b", Some("old.0.3"));
    check(&mut view, &snapshot(&["a"], false, ""), "a b", Some("old.0.3"));
    // The connection breaks: the next one begins where the last whole word was.
    view.reconnected();
    check(&mut view, &event("reset", "", &json!({})), "a b", Some("old.0.3"));
    check(&mut view, &snapshot(&["a"], false, ""), "a b", Some("old.0.3"));
    check(&mut view, &snapshot(&["b"], true, "old.0.5"), "a b", Some("old.0.5"));
    assert!(Arc::ptr_eq(&before, &endpoints(&mut view).of("web")), "nothing has changed");
    check(&mut view, &event("reset", "", &json!({})), "a b", Some("old.0.5"));
    check(&mut view, &snapshot(&[], true, "old.0.6"), "", Some("old.0.6"));
}

/// The registry's file is lost, or another registry takes over: leases are 30 s here, and nobody goes within 45.
#[test]
fn another_history_takes_nobody_away_who_can_still_come_back() {
    let mut view = View::default();
    let mut at = |seconds: u64, event: &Event, shown: &str| {
        if event.kind == "connected" {
            view.reconnected();
        } else {
            view.take(event, Duration::from_secs(seconds)).expect("it makes sense");
        }
        assert_eq!(ids(&mut view), shown, "after {seconds} s: {event:?}");
    };
    let connected = event("connected", "", &json!({}));
    let reset = event("reset", "", &json!({}));
    let bookmark = event("bookmark", "new.0.9", &json!({"sequence": 9}));
    let of = |id: &str| json!({"sequence": 6, "service": "web", "id": id, "epoch": 1, "cause": "left"});
    at(0, &snapshot(&["a", "b", "c", "d"], true, "old.0.3"), "a b c d");
    at(100, &connected, "a b c d");
    at(100, &reset, "a b c d");
    at(100, &snapshot(&[], true, "new.0.0"), "a b c d");
    at(110, &event("put", "new.0.1", &json!({"instance": document("a", 80, "up")})), "a b c d");
    at(111, &event("put", "new.0.2", &json!({"instance": document("b", 80, "up")})), "a b c d");
    at(112, &event("delete", "new.0.3", &of("b")), "a c d");
    // It is told of again in whole: the others have as long as before.
    at(120, &reset, "a c d");
    at(120, &snapshot(&["a", "c"], true, "new.0.4"), "a c d");
    at(140, &bookmark, "a c d");
    // While no registry is there nobody can come back.
    at(500, &connected, "a c d");
    at(500, &bookmark, "a c d");
    at(504, &bookmark, "a c d");
    at(505, &bookmark, "a c");
    // What this history has known is gone as soon as it says so.
    at(506, &snapshot(&["a"], true, "new.0.10"), "a");
}

/// All others are taken, and what was known of it stays.
#[test]
fn an_instance_that_cannot_be_read_is_passed_over() {
    let mut view = View::default();
    check(&mut view, &snapshot(&["a", "b"], true, "h.0.1"), "a b", Some("h.0.1"));
    let broken = |id: &str, key: &str, value: Value| {
        let mut broken = document(id, 80, "draining");
        broken[key] = value;
        broken
    };
    let mut sequence = 1;
    for (key, value) in
        [("port", json!(0)), ("id", json!("a/b")), ("address", json!("x")), ("weight", json!(0))]
    {
        sequence += 1;
        let id = format!("h.0.{sequence}");
        for instance in ["b", "c"] {
            let put = json!({"instance": broken(instance, key, value.clone())});
            check(&mut view, &event("put", &id, &put), "a b", Some(&id));
        }
    }
    assert_eq!(endpoints(&mut view).skipped(), 8);
    let instances =
        [document("d", 80, "up"), broken("b", "port", json!(0)), json!(7), broken("c", "port", json!(0))];
    let told = json!({"instances": instances, "done": true});
    check(&mut view, &event("snapshot", "h.0.9", &told), "b d", Some("h.0.9"));
    assert_eq!(endpoints(&mut view).skipped(), 11);
}

#[test]
fn what_makes_no_sense_changes_nothing() {
    let mut view = View::default();
    check(&mut view, &snapshot(&["a"], true, "h.0.1"), "a", Some("h.0.1"));
    let refuse = |view: &mut View, event: &Event| {
        assert!(view.take(event, Duration::ZERO).is_err(), "{event:?}");
        assert_eq!((&*ids(view), view.last_id()), ("a", Some("h.0.1")), "{event:?}");
    };
    let cut = Event { kind: "put".to_owned(), id: Some("h.0.2".to_owned()), data: "{".to_owned() };
    refuse(&mut view, &cut);
    refuse(&mut view, &event("put", "h.0.2", &json!({})));
    refuse(&mut view, &event("delete", "h.0.2", &json!({"service": "web", "id": "a/b"})));
    refuse(&mut view, &event("snapshot", "h.0.2", &json!([])));
    view.take(&event("reset", "", &json!({})), Duration::ZERO).expect("a reset");
    refuse(&mut view, &event("put", "h.0.2", &json!({"instance": document("b", 80, "up")})));
    view.begin_anew();
    assert_eq!((&*ids(&mut view), view.last_id()), ("a", None));
}

#[test]
fn a_state_of_a_later_release_gets_no_traffic() {
    let mut view = View::default();
    let instance = document("a", 80, "warming");
    view.take(&event("put", "h.0.1", &json!({"instance": instance})), Duration::ZERO)
        .expect("it makes sense");
    assert_eq!(endpoints(&mut view).of("web")[0].state, EndpointState::Unknown);
}

/// However many events come at once: a service is shown once, and nothing where there is nothing new.
#[test]
fn many_events_are_shown_once() {
    let mut view = View::default();
    assert!(view.show().is_none());
    view.take(&snapshot(&["a"], true, "h.0.1"), Duration::ZERO).expect("a snapshot");
    let before = view.show().expect("everything").of("web");
    for id in ["b", "c"] {
        let put = json!({"instance": document(id, 80, "up")});
        view.take(&event("put", "h.0.2", &put), Duration::ZERO).expect("it makes sense");
        assert!(Arc::ptr_eq(&before, &view.shown.of("web")), "not before it is asked for");
    }
    assert_eq!(view.show().expect("two more").of("web").len(), 3);
    assert!(view.show().is_none());
    view.take(&event("bookmark", "h.0.3", &json!({})), Duration::ZERO).expect("a bookmark");
    assert!(view.show().is_none());
}
