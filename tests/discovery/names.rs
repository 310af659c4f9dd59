//! Endpoints from the DNS, told by a name server of the test.

use std::time::Duration;

use super::name_server::NameServer;
use super::{await_failure, await_shares, sources, yaml};
use crate::harness::{Upstream, eventually, hold};

fn port(upstream: &Upstream) -> &str {
    upstream.address().rsplit_once(':').expect("a port").1
}

#[test]
fn all_addresses_of_a_name_are_endpoints() {
    let server = NameServer::start();
    let upstream = Upstream::named("a");
    let port = port(&upstream);
    server.say("app.test A 127.0.0.1");
    let daemon = server.start_daemon(&yaml(&format!("dns: \"app.test:{port}\""), ""));
    await_shares(&daemon, [("a", 3)]);
    let status = daemon.status()["discovery"][0].clone();
    assert_eq!((&status["kind"], &status["source"]), (&"dns".into(), &format!("app.test:{port}").into()));
    assert_eq!((&status["endpoints"], &status["failures"]), (&1.into(), &0.into()));
    server.say("app.test A 127.0.0.1\napp.test A 127.0.0.9");
    daemon.await_endpoints("app", 2);
    // A name that is gone, and a name server that says nothing.
    for (text, reason) in [("", "no_such_name"), ("silence", "timeout")] {
        server.say(text);
        await_failure(&daemon, reason);
        assert_eq!(daemon.endpoints("app").len(), 2);
    }
    server.say("app.test A 127.0.0.1");
    daemon.await_endpoints("app", 1);
    assert_eq!(daemon.endpoints("app")[0]["address"], upstream.address());
    await_shares(&daemon, [("a", 3)]);
}

#[test]
fn service_records_tell_ports_weights_and_who_is_first() {
    let server = NameServer::start();
    let [a, b, c] = ["a", "b", "c"].map(Upstream::named);
    let [a_port, b_port, c_port] = [&a, &b, &c].map(port);
    let hosts = "one.test A 127.0.0.1\ntwo.test A 127.0.0.1";
    let name = "_http._tcp.app.test";
    server.say(&format!(
        "{hosts}\n{name} SRV 10 3 {a_port} one.test\n{name} SRV 10 1 {b_port} two.test\n\
         {name} SRV 20 1 {c_port} one.test"
    ));
    let daemon = server.start_daemon(&yaml(&format!("srv: {name}"), ""));
    await_shares(&daemon, [("a", 6), ("b", 2)]);
    assert_eq!(sources(&daemon, "srv", "ok"), 1.0);
    // One of two targets is gone from the DNS: it stays, and so it is said.
    server.say(&format!(
        "one.test A 127.0.0.1\n{name} SRV 10 3 {a_port} one.test\n{name} SRV 10 1 {b_port} two.test"
    ));
    let status = await_failure(&daemon, "no_such_name");
    assert_eq!((&status["failures"], &status["endpoints"]), (&0.into(), &2.into()), "{status}");
    // All of it is gone, and nobody says anything.
    for (text, reason) in [("", "no_such_name"), ("silence", "timeout")] {
        server.say(text);
        eventually(reason, || {
            let status = daemon.status()["discovery"][0].clone();
            (status["last_failure"] == reason && status["failures"].as_u64() > Some(0)).then_some(())
        });
        hold("they stay", Duration::from_millis(50), || daemon.endpoints("app").len() == 2);
    }
    // The next priority takes over when the records of the first are gone.
    server.say(&format!("{hosts}\n{name} SRV 20 0 {c_port} one.test"));
    eventually("the others are used", || {
        let endpoints = daemon.endpoints("app");
        (endpoints.len() == 1 && endpoints[0]["address"] == c.address()).then_some(())
    });
    await_shares(&daemon, [("c", 3)]);
}
