//! Lists of HTTP servers that answer well, badly, late and not at all.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{await_failure, await_shares, list, looks, sources, yaml};
use crate::harness::{Conversation, Fulcrum, Upstream, eventually, hold, ok};

/// A server whose answer can be exchanged, and a daemon that asks it every second.
struct Server {
    upstream: Upstream,
    answer: Arc<Mutex<Vec<u8>>>,
}

impl Server {
    fn new(answer: Vec<u8>) -> Self {
        let answer = Arc::new(Mutex::new(answer));
        let theirs = Arc::clone(&answer);
        let upstream = Upstream::new(move |mut conversation: Conversation| {
            if conversation.request().is_some() {
                let answer = theirs.lock().expect("nobody panics").clone();
                conversation.send(answer);
            }
        });
        Server { upstream, answer }
    }

    fn say(&self, answer: impl Into<Vec<u8>>) {
        *self.answer.lock().expect("nobody panics") = answer.into();
    }

    #[track_caller]
    fn follow(&self) -> Fulcrum {
        Fulcrum::start(&self.yaml())
    }

    fn yaml(&self) -> String {
        let url = format!("http://{}/lists/web?zone=a", self.upstream.address());
        yaml(&format!("http: {{ url: \"{url}\", interval: 1s, timeout: 500ms }}"), "")
    }
}

fn tagged(tag: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nETag: {tag}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[test]
fn a_server_is_asked_now_and_then() {
    let [a, b] = ["a", "b"].map(Upstream::named);
    let server = Server::new(ok(&list(&[a.address()])));
    let daemon = server.follow();
    await_shares(&daemon, [("a", 3)]);
    let request = server.upstream.await_requests(1).remove(0);
    assert_eq!((request.method(), request.target()), ("GET", "/lists/web?zone=a"));
    assert_eq!(request.field("host"), Some(server.upstream.address()));
    assert_eq!((request.field("accept"), request.field("if-none-match")), (Some("application/json"), None));
    server.say(ok(&list(&[a.address(), b.address()])));
    await_shares(&daemon, [("a", 3), ("b", 3)]);
    assert_eq!(daemon.metric("fulcrum_discovery_changes_total", &[("kind", "http")]), 2.0);
    assert_eq!(sources(&daemon, "http", "ok"), 1.0);
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let [a, b] = ["a", "b"].map(Upstream::named);
    let server = Server::new(tagged("\"1\"", &list(&[a.address()])));
    let daemon = server.follow();
    await_shares(&daemon, [("a", 3)]);
    server.say("HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n");
    let requests = server.upstream.await_requests(3);
    assert_eq!(requests[2].field("if-none-match"), Some("\"1\""));
    assert_eq!(daemon.get("/").text(), "a");
    assert_eq!(sources(&daemon, "http", "ok"), 1.0);
    server.say(tagged("\"2\"", &list(&[b.address()])));
    await_shares(&daemon, [("b", 3)]);
}

/// Nothing that a server does wrong takes an endpoint away; each is counted under its own name.
#[test]
fn a_bad_answer_takes_nothing_away() {
    let a = Upstream::named("a");
    let good = ok(&list(&[a.address()]));
    let server = Server::new(good.clone());
    let daemon = server.follow();
    await_shares(&daemon, [("a", 3)]);
    let large = format!("HTTP/1.1 200 OK\r\n\r\n{}", " ".repeat((8 << 20) + 1));
    let moved =
        format!("HTTP/1.1 302 Found\r\nLocation: http://{}/\r\nContent-Length: 0\r\n\r\n", a.address());
    let rows: [(&str, Vec<u8>); 7] = [
        ("status", b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n[]".to_vec()),
        ("malformed", ok("<html>")),
        ("broken", b"SSH-2.0-OpenSSH\r\n".to_vec()),
        ("too_large", large.into_bytes()),
        ("broken", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[]".to_vec()),
        // It is not followed, or `a` would be asked for a list.
        ("status", moved.into_bytes()),
        // Not asked for by a tag, because there was none.
        ("status", b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec()),
    ];
    for (reason, answer) in rows {
        let before = looks(&daemon, "http", reason);
        server.say(answer);
        eventually(reason, || (looks(&daemon, "http", reason) > before).then_some(()));
        assert_eq!(daemon.get("/").text(), "a");
        // Patience grows with failures; a good answer ends that.
        server.say(good.clone());
        eventually("it is good again", || (sources(&daemon, "http", "ok") == 1.0).then_some(()));
    }
    assert!(a.requests().iter().all(|request| request.target() == "/"), "nobody was led to it for a list");
    assert_eq!(daemon.metric("fulcrum_discovery_changes_total", &[("kind", "http")]), 1.0);
}

#[test]
fn a_silent_server_is_not_waited_for() {
    let silent = Upstream::new(|mut conversation| {
        conversation.until_closed();
    });
    let url = format!("http://{}/", silent.address());
    let daemon = Fulcrum::start(&yaml(&format!("http: {{ url: \"{url}\", timeout: 200ms }}"), ""));
    let status = await_failure(&daemon, "timeout");
    assert_eq!(status["last_success"], serde_json::Value::Null);
    eventually("the connection ends", || (silent.open_connections() == 0).then_some(()));
}

#[test]
fn a_server_that_is_not_there_is_asked_again_later_and_later() {
    let gone = crate::harness::REFUSED;
    let daemon = Fulcrum::start(&yaml(&format!("http: \"http://{gone}/\""), ""));
    await_failure(&daemon, "unreachable");
    let began = Instant::now();
    eventually("three failures", || (looks(&daemon, "http", "unreachable") >= 3.0).then_some(()));
    assert!(began.elapsed() > Duration::from_secs(2), "it waits 1 s, then 2 s");
    let nobody = Fulcrum::start(&yaml("http: \"http://nobody.invalid/\"", ""));
    eventually("a name that is not there", || {
        let status = nobody.status()["discovery"][0].clone();
        (status["failures"].as_u64() > Some(0)).then_some(())
    });
}

#[test]
fn an_empty_list_is_not_believed_at_once() {
    let a = Upstream::named("a");
    let server = Server::new(ok(&list(&[a.address()])));
    let daemon = server.follow();
    await_shares(&daemon, [("a", 3)]);
    server.say(ok("[]"));
    let status = await_failure(&daemon, "empty");
    assert_eq!(status["endpoints"], 1, "{status}");
    eventually("it has come more than three times", || (looks(&daemon, "http", "empty") > 3.0).then_some(()));
    assert_eq!(daemon.get("/").text(), "a");
    // Nor by asking otherwise.
    let url = format!("http://{}/lists/web?zone=a", server.upstream.address());
    daemon.change(&yaml(&format!("http: {{ url: \"{url}\", interval: 2s, timeout: 400ms }}"), ""));
    let before = looks(&daemon, "http", "empty");
    eventually("it is asked again", || (looks(&daemon, "http", "empty") > before).then_some(()));
    assert_eq!((daemon.get("/").text(), daemon.endpoints("app").len()), ("a".into(), 1));
}

#[test]
fn a_server_cannot_lead_into_this_machine() {
    let server = Server::new(ok(&list(&["unix:/run/fulcrum/admin.sock", "169.254.169.254:80"])));
    let daemon = server.follow();
    let status = await_failure(&daemon, "malformed");
    let detail = status["detail"].as_str().expect("a text");
    assert!(
        detail.contains("is a socket of this machine") && detail.contains("is a link-local address"),
        "{detail}"
    );
    hold("it has nobody", Duration::from_millis(100), || daemon.endpoints("app").is_empty());
}

#[test]
fn a_server_cannot_lead_to_the_daemon_itself() {
    let server = Server::new(ok("<html>"));
    let daemon = server.follow();
    await_failure(&daemon, "malformed");
    let own = daemon.address().to_owned();
    server.say(ok(&list(&[&own])));
    eventually("it is refused", || {
        let detail = daemon.status()["discovery"][0]["detail"].clone();
        detail.as_str()?.contains(&format!("{own:?} is where this daemon listens")).then_some(())
    });
    assert!(daemon.endpoints("app").is_empty());
}

#[test]
fn a_list_of_before_does_not_lead_to_a_new_listener() {
    let a = Upstream::named("a");
    let owner = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let later = owner.local_addr().expect("bound").to_string();
    let server = Server::new(tagged("\"1\"", &list(&[a.address(), &later])));
    let daemon = server.follow();
    eventually("both are known", || (daemon.endpoints("app").len() == 2).then_some(()));
    // It never says it again.
    server.say("HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n");
    drop(owner);
    let listening = format!("late: {{ bind: \"{later}\" }}, web:");
    daemon.change(&server.yaml().replace("web:", &listening));
    eventually("it does not lead to itself", || (daemon.endpoints("app").len() == 1).then_some(()));
    await_shares(&daemon, [("a", 4)]);
    daemon.change(&server.yaml());
    eventually("it leads there again", || (daemon.endpoints("app").len() == 2).then_some(()));
}
