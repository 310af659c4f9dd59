//! S19: fields of one connection end with it, and `Connection` names nothing that is protected.

use crate::harness::{Setup, Upstream};

use super::post;

#[test]
fn s19_connection_cannot_name_protected_fields() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let named = "close, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Request-Id, Cookie, Host, Content-Length, \
                 Authorization, X-Custom";
    let request = post(
        &format!(
            "Connection: {named}\r\nCookie: a=b\r\nAuthorization: Basic eDp5\r\nX-Custom: 1\r\nX-Other: 2\r\nContent-Length: 5\r\n"
        ),
        "hello",
    );
    let mut client = fulcrum.connect();
    assert_eq!(client.ask(request).status, 200);
    client.assert_closed();
    let request = upstream.only_request();
    assert_eq!(request.body, b"hello");
    for (name, value) in [
        ("host", Some("test")),
        ("cookie", Some("a=b")),
        ("authorization", Some("Basic eDp5")),
        ("content-length", Some("5")),
        ("x-forwarded-for", Some("127.0.0.1")),
        ("x-forwarded-proto", Some("http")),
        ("x-forwarded-host", Some("test")),
        ("x-other", Some("2")),
        ("x-custom", None),
    ] {
        assert_eq!(request.field(name), value, "{name}");
    }
    assert!(request.head.has("x-request-id"));
    assert!(!request.head.lists("connection", "close"), "theirs is not ours: {:?}", request.head);
}

#[test]
fn s19_hop_by_hop_fields_end_here() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\n\
         Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nTrailer: X-A\r\nX-End: 2\r\nContent-Length: 2\r\n\r\nok",
    );
    let fulcrum = Setup::new(&upstream).start();
    let lines = "Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
                 Proxy-Authorization: Basic eDp5\r\nTE: gzip\r\nUpgrade: h2c\r\nX-End: 2\r\n";
    let response = fulcrum.connect().ask(format!("GET / HTTP/1.1\r\nHost: test\r\n{lines}\r\n"));
    let request = upstream.only_request();
    for name in ["x-hop", "keep-alive", "proxy-connection", "proxy-authorization", "te", "upgrade"] {
        assert!(!request.head.has(name), "{name} went upstream: {:?}", request.head);
    }
    assert_eq!(request.field("x-end"), Some("2"));
    for name in ["x-hop", "keep-alive", "proxy-connection", "proxy-authenticate", "upgrade"] {
        assert!(!response.head.has(name), "{name} went downstream: {:?}", response.head);
    }
    assert_eq!(response.field("x-end"), Some("2"));
}
