//! What happens to fields and methods on the way.

use crate::harness::{Conversation, Setup, Upstream, ok, pattern};

#[test]
fn connect_is_not_implemented() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    for target in ["test:443", "test:80"] {
        let mut client = fulcrum.connect();
        let response = client.ask(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"));
        assert_eq!(response.status, 501);
        assert!(response.text().contains("reason: method_not_supported\n"), "{}", response.text());
    }
    fulcrum.await_errors("method_not_supported", 2);
    assert_eq!(upstream.text(), "");
}

#[test]
fn unknown_methods_pass() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    for method in ["PATCH", "PROPFIND", "X-OWN", "get", "OPTIONS"] {
        assert_eq!(fulcrum.connect().ask(format!("{method} / HTTP/1.1\r\nHost: test\r\n\r\n")).status, 200);
        assert_eq!(upstream.last_request().method(), method);
    }
    fulcrum.connect().ask("OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(upstream.last_request().head.first_line, "OPTIONS * HTTP/1.1");
}

#[test]
fn fields_keep_their_order_and_number() {
    let fields =
        [("X-B", "1"), ("X-A", "2"), ("X-B", "3"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-A", "")];
    let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let upstream = Upstream::answering(format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 2\r\n\r\nok"));
    let fulcrum = Setup::new(&upstream).start();
    let response = fulcrum.connect().ask(format!("GET / HTTP/1.1\r\nHost: test\r\n{lines}\r\n"));
    let of_interest = |all: &[(String, String)]| {
        let ours =
            all.iter().filter(|(name, _)| fields.iter().any(|(other, _)| name.eq_ignore_ascii_case(other)));
        ours.map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect::<Vec<_>>()
    };
    let expected: Vec<_> =
        fields.iter().map(|(name, value)| (name.to_ascii_lowercase(), (*value).to_owned())).collect();
    assert_eq!(of_interest(&upstream.only_request().head.fields), expected);
    assert_eq!(of_interest(&response.head.fields), expected);
}

#[test]
fn a_date_is_added_where_there_is_none() {
    let upstream = Upstream::new(|mut conversation: Conversation| {
        while let Some(request) = conversation.request() {
            match request.target() {
                "/own" => conversation.send(
                    "HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n",
                ),
                _ => conversation.send(ok("")),
            }
        }
    });
    let fulcrum = Setup::new(&upstream).start();
    assert_eq!(fulcrum.get("/own").field("date"), Some("Mon, 01 Jan 2024 00:00:00 GMT"));
    let date = fulcrum.get("/none").field("date").expect("a date").to_owned();
    assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
}

#[test]
fn a_date_that_the_route_sets_is_the_only_one() {
    let upstream = Upstream::new(|mut conversation: Conversation| {
        while let Some(request) = conversation.request() {
            let date =
                if request.target() == "/dated" { "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n" } else { "" };
            conversation.send(format!("HTTP/1.1 200 OK\r\n{date}Content-Length: 0\r\n\r\n"));
        }
    });
    let edits = "headers: { response: { set: { date: \"Tue, 02 Jan 2024 00:00:00 GMT\" } } }";
    let setup = Setup::new(&upstream)
        .route(&format!("{{ path: /fixed, respond: {{ status: 200 }}, {edits} }}"))
        .route(&format!("{{ path: /moved, redirect: https, {edits} }}"))
        .route(&format!("{{ to: app, {edits} }}"));
    let fulcrum = setup.start();
    for target in ["/fixed", "/moved", "/dated", "/undated"] {
        let response = fulcrum.get(target);
        assert_eq!(response.head.values("date"), ["Tue, 02 Jan 2024 00:00:00 GMT"], "{target}");
    }
}

#[test]
fn request_ids_are_made_and_kept_from_trusted_peers() {
    let upstream = Upstream::named("app");
    let request = "GET / HTTP/1.1\r\nHost: test\r\nX-Request-Id: theirs-1\r\n\r\n";

    let fulcrum = Setup::new(&upstream).start();
    fulcrum.get("/a");
    fulcrum.get("/b");
    fulcrum.connect().ask(request);
    let requests = upstream.requests();
    let ids: Vec<_> =
        requests.iter().map(|request| request.field("x-request-id").unwrap_or_default()).collect();
    assert!(ids.iter().all(|id| id.len() >= 16 && *id != "theirs-1"), "{ids:?}");
    assert_ne!(ids[0], ids[1]);
    let logged: Vec<_> = fulcrum.records(3).iter().map(|record| record["request_id"].clone()).collect();
    assert_eq!(logged, ids);

    let trusting = Setup::new(&upstream).top("trusted_proxies: [127.0.0.0/8]").start();
    trusting.connect().ask(request);
    assert_eq!(upstream.last_request().field("x-request-id"), Some("theirs-1"));
    assert_eq!(trusting.records(1)[0]["request_id"], "theirs-1");
}

#[test]
fn trace_context_passes() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    fulcrum.connect().ask(format!("GET / HTTP/1.1\r\nHost: test\r\ntraceparent: {context}\r\n\r\n"));
    assert_eq!(upstream.only_request().field("traceparent"), Some(context));
}

#[test]
fn garbage_never_reaches_the_upstream() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let garbage = pattern(64 * 1024);
    for (number, piece) in garbage.chunks(311).enumerate() {
        let mut client = fulcrum.connect();
        client.send(piece);
        client.end_sending();
        if let Ok(response) = client.try_response("GET") {
            assert!((400..600).contains(&response.status), "piece {number}: {:?}", response.head);
        }
        client.assert_closed();
    }
    assert_eq!(upstream.text(), "");
    assert_eq!(fulcrum.get("/").text(), "app");
    assert_eq!(fulcrum.metric("fulcrum_process_panics_total", &[]), 0.0);
}
