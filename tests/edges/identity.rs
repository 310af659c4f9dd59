//! E7, E10: which host is asked for, and who asks.

use crate::harness::{Setup, Upstream};

#[test]
fn e07_hosts_match_without_case_final_dot_and_port() {
    let upstream = Upstream::named("app");
    let setup = Setup::new(&upstream)
        .route("{ host: shop.example.com, respond: { status: 200, body: shop } }")
        .route("{ host: \"*.example.com\", respond: { status: 200, body: wild } }")
        .route("{ respond: { status: 200, body: any } }");
    let fulcrum = setup.start();
    for (host, body) in [
        ("shop.example.com", "shop"),
        ("SHOP.example.com.:443", "shop"),
        ("Shop.Example.Com:8080", "shop"),
        ("shop.example.com.", "shop"),
        ("SHOPPING.EXAMPLE.com.:1", "wild"),
        ("a.b.example.com", "wild"),
        ("example.com", "any"),
        ("shop.example.com.evil", "any"),
        ("[::1]:80", "any"),
    ] {
        let response = fulcrum.connect().ask(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(response.text(), body, "{host}");
    }
}

/// What an upstream learns of the client.
#[derive(Debug, PartialEq)]
struct Told {
    forwarded_for: Option<String>,
    proto: Option<String>,
    host: Option<String>,
    forwarded: Option<String>,
    real_ip: Option<String>,
    /// The access log's view.
    client: String,
}

/// Sends these lines from 127.0.0.1, with these trusted proxies.
#[track_caller]
fn told(trusted: &str, lines: &str) -> Told {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).top(&format!("trusted_proxies: {trusted}")).start();
    let response = fulcrum.connect().ask(format!("GET / HTTP/1.1\r\nHost: test:81\r\n{lines}\r\n"));
    assert_eq!(response.status, 200, "{}", response.text());
    let request = upstream.only_request();
    let field = |name: &str| {
        let values = request.head.values(name);
        (!values.is_empty()).then(|| values.join(", "))
    };
    Told {
        forwarded_for: field("x-forwarded-for"),
        proto: field("x-forwarded-proto"),
        host: field("x-forwarded-host"),
        forwarded: field("forwarded"),
        real_ip: field("x-real-ip"),
        client: fulcrum.records(1)[0]["client"].as_str().expect("an address").to_owned(),
    }
}

/// The lines of somebody who claims to be a proxy.
const CLAIMS: &str = "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: claimed\r\n\
                      X-Forwarded-Port: 443\r\nX-Real-IP: 203.0.113.7\r\nForwarded: for=203.0.113.7;proto=https\r\n";

#[test]
fn e10_claims_of_an_untrusted_peer_are_replaced() {
    for lines in ["", CLAIMS] {
        let told = told("[10.0.0.0/8]", lines);
        assert_eq!(told.forwarded_for.as_deref(), Some("127.0.0.1"), "{lines:?}");
        assert_eq!(told.proto.as_deref(), Some("http"), "{lines:?}");
        assert_eq!(told.host.as_deref(), Some("test:81"), "{lines:?}");
        assert_eq!(told.client, "127.0.0.1", "{lines:?}");
        for other in [&told.forwarded, &told.real_ip] {
            assert!(!other.as_deref().unwrap_or_default().contains("203.0.113.7"), "{told:?}");
        }
    }
}

#[test]
fn e10_claims_of_a_trusted_peer_are_kept_and_extended() {
    let told = told("[127.0.0.0/8, 10.0.0.0/8]", CLAIMS);
    assert_eq!(told.forwarded_for.as_deref(), Some("203.0.113.7, 127.0.0.1"));
    assert_eq!(told.proto.as_deref(), Some("https"));
    assert_eq!(told.host.as_deref(), Some("claimed"));
    assert_eq!(told.client, "203.0.113.7");
}

#[test]
fn e10_the_rightmost_untrusted_address_is_the_client() {
    let check = |claimed: &str, client: &str, forwarded: &str| {
        let told = told(
            "[127.0.0.0/8, 10.0.0.0/8, \"2001:db8:a::/48\"]",
            &format!("X-Forwarded-For: {claimed}\r\n"),
        );
        assert_eq!(told.client, client, "{claimed}");
        assert_eq!(told.forwarded_for.as_deref(), Some(forwarded), "{claimed}");
    };
    check("203.0.113.7, 10.0.0.1", "203.0.113.7", "203.0.113.7, 10.0.0.1, 127.0.0.1");
    // Whatever stands left of an untrusted address is hearsay, and not passed on.
    check("198.51.100.1, 203.0.113.7, 10.0.0.1", "203.0.113.7", "203.0.113.7, 10.0.0.1, 127.0.0.1");
    check("10.0.0.2, 10.0.0.1", "10.0.0.2", "10.0.0.2, 10.0.0.1, 127.0.0.1");
    check("2001:db8::7, 2001:db8:a::1", "2001:db8::7", "2001:db8::7, 2001:db8:a::1, 127.0.0.1");
    check("203.0.113.7\r\nX-Forwarded-For: 10.0.0.1", "203.0.113.7", "203.0.113.7, 10.0.0.1, 127.0.0.1");
}

#[test]
fn e10_garbage_in_x_forwarded_for_is_untrusted() {
    for (claimed, client) in [
        ("garbage", "127.0.0.1"),
        ("203.0.113.7, garbage", "127.0.0.1"),
        ("203.0.113.7, garbage, 10.0.0.1", "10.0.0.1"),
        ("", "127.0.0.1"),
        (",,", "127.0.0.1"),
        ("203.0.113.7, <script>, 10.0.0.1", "10.0.0.1"),
    ] {
        let told = told("[127.0.0.0/8, 10.0.0.0/8]", &format!("X-Forwarded-For: {claimed}\r\n"));
        assert_eq!(told.client, client, "{claimed:?}");
        let forwarded = told.forwarded_for.expect("always there");
        assert!(
            !forwarded.contains("garbage") && !forwarded.contains("script"),
            "{claimed:?} became {forwarded}"
        );
        assert!(forwarded.ends_with("127.0.0.1"), "{claimed:?} became {forwarded}");
    }
}
