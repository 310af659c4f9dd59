//! What is under way does not notice a reload; what comes next follows it.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use super::reload::saying;
use crate::harness::{Client, DEADLINE, Fulcrum, Setup, Socket, Upstream, eventually, ok};

#[track_caller]
fn await_refusal(address: &str) {
    eventually("new connections are refused", || Socket::connect(address).is_err().then_some(()));
}

#[test]
fn an_idle_connection_follows_the_new_routes() {
    let fulcrum = Fulcrum::start(&saying("one"));
    let mut client = fulcrum.connect();
    assert_eq!(client.get("/").text(), "one");
    for word in ["two", "three"] {
        fulcrum.change(&saying(word));
        let response = client.get("/");
        assert_eq!(response.text(), word);
        assert!(!response.head.lists("connection", "close"), "{:?}", response.head);
    }
    assert_eq!(fulcrum.metric("fulcrum_http_connections_total", &[]), 1.0);
}

#[test]
fn listeners_come_and_go() {
    let both = saying("one").replace("routes:", "  api: { bind: \"127.0.0.2:0\" }\nroutes:");
    let fulcrum = Fulcrum::start(&saying("one"));
    fulcrum.change(&both);
    let api = fulcrum.address_of("api");
    let mut kept = Client::connect(&api);
    assert_eq!(kept.get("/").text(), "one");

    fulcrum.change(&saying("two"));
    await_refusal(&api);
    let last = kept.get("/");
    assert_eq!(last.status, 200, "{:?}", last.head);
    assert!(last.head.lists("connection", "close"), "{:?}", last.head);
    kept.assert_closed();
    assert_eq!(fulcrum.get("/").text(), "two", "the other listener goes on");
}

#[test]
fn a_request_ends_by_what_it_began_with() {
    let (arrived, has_arrived) = channel();
    let (release, gate) = channel::<()>();
    let shared = Mutex::new((arrived, gate));
    let upstream = Upstream::new(move |mut conversation| {
        while conversation.request().is_some() {
            let (arrived, gate) = &*shared.lock().expect("nobody panics with it");
            let _ = arrived.send(());
            if gate.recv().is_err() {
                return;
            }
            conversation.send(ok("old"));
        }
    });
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    has_arrived.recv_timeout(DEADLINE).expect("the request arrives");
    fulcrum.change(&saying("new"));
    assert_eq!(fulcrum.get("/").text(), "new");
    release.send(()).expect("the upstream waits");
    assert_eq!(client.response().text(), "old");
    assert_eq!(client.get("/").text(), "new");
    assert!(!fulcrum.metrics().has("fulcrum_http_errors_total", &[]));
}
