//! Conditions beyond host and path.

use crate::harness::{Setup, Upstream};

use super::{answering, get, request, says};

/// Which of these requests a condition lets through.
#[track_caller]
fn check_condition(condition: &str, rows: &[(&str, &str, &str, bool)]) {
    let fulcrum = answering(&[("yes", &format!("match: {{ {condition} }}")), ("no", "")]);
    let mut client = fulcrum.connect();
    for (method, target, lines, matches) in rows {
        let name = if *matches { "yes" } else { "no" };
        let response = client.ask(request(method, target, "test", lines));
        assert_eq!(response.text(), name, "{condition}: {method} {target} {lines:?}");
    }
}

#[test]
fn methods_match_exactly() {
    let rows =
        [("GET", "/", "", true), ("POST", "/", "", true), ("PUT", "/", "", false), ("get", "/", "", false)];
    check_condition("method: [GET, POST]", &rows);
}

#[test]
fn header_fields_match_by_value_pattern_and_presence() {
    check_condition(
        "headers: { X-Beta: \"1\" }",
        &[
            ("GET", "/", "x-beta: 1\r\n", true),
            ("GET", "/", "X-BETA:   1  \r\n", true),
            ("GET", "/", "X-Beta: 0\r\nX-Beta: 1\r\n", true),
            ("GET", "/", "X-Beta: 11\r\n", false),
            ("GET", "/", "X-Beta:\r\n", false),
            ("GET", "/", "", false),
        ],
    );
    check_condition(
        "headers: { user-agent: { regex: \"^curl/[78]\" } }",
        &[
            ("GET", "/", "User-Agent: curl/8.5\r\n", true),
            ("GET", "/", "User-Agent: curl/6.0\r\n", false),
            ("GET", "/", "User-Agent: not curl/8.5\r\n", false),
            ("GET", "/", "", false),
        ],
    );
    check_condition(
        "headers: { authorization: { present: true } }",
        &[("GET", "/", "Authorization: x\r\n", true), ("GET", "/", "", false)],
    );
    check_condition(
        "headers: { authorization: { present: false } }",
        &[("GET", "/", "Authorization: x\r\n", false), ("GET", "/", "", true)],
    );
}

#[test]
fn query_parameters_match_by_value_pattern_and_presence() {
    check_condition(
        "query: { v: \"2\" }",
        &[
            ("GET", "/?v=2", "", true),
            ("GET", "/?a=b&v=2&c", "", true),
            ("GET", "/?%76=%32", "", true),
            ("GET", "/?v=1&v=2", "", true),
            ("GET", "/?v=22", "", false),
            ("GET", "/?vv=2", "", false),
            ("GET", "/?v", "", false),
            ("GET", "/?", "", false),
            ("GET", "/v=2", "", false),
        ],
    );
    check_condition(
        "query: { id: { regex: \"^[0-9]+$\" } }",
        &[("GET", "/?id=42", "", true), ("GET", "/?id=x4", "", false)],
    );
    check_condition(
        "query: { debug: { present: true } }",
        &[("GET", "/?debug", "", true), ("GET", "/?debug=", "", true), ("GET", "/?bug", "", false)],
    );
}

#[test]
fn cookies_match_by_value_pattern_and_presence() {
    check_condition(
        "cookies: { lang: en }",
        &[
            ("GET", "/", "Cookie: lang=en\r\n", true),
            ("GET", "/", "Cookie: a=b; lang=en; c=d\r\n", true),
            ("GET", "/", "Cookie: a=b\r\nCookie: lang=en\r\n", true),
            ("GET", "/", "Cookie: a=b;lang=en\r\n", true),
            ("GET", "/", "Cookie: lang=de\r\n", false),
            ("GET", "/", "Cookie: xlang=en\r\n", false),
            ("GET", "/", "Cookie: a=lang=en\r\n", false),
            ("GET", "/", "", false),
        ],
    );
    check_condition(
        "cookies: { lang: { regex: \"^(en|de)$\" } }",
        &[("GET", "/", "Cookie: lang=de\r\n", true), ("GET", "/", "Cookie: lang=fr\r\n", false)],
    );
    check_condition(
        "cookies: { lang: { present: true } }",
        &[("GET", "/", "Cookie: lang=\r\n", true), ("GET", "/", "Cookie: language=x\r\n", false)],
    );
}

#[test]
fn sources_match_the_client_that_trusted_proxies_name() {
    let unused = Upstream::named("unused");
    let fulcrum = Setup::new(&unused)
        .top("trusted_proxies: [127.0.0.0/8]")
        .route("{ host: unused.invalid, to: app }")
        .route(&says("ours", "match: { source: [192.0.2.0/24, \"2001:db8::/32\"] }"))
        .route(&says("local", "match: { source: 127.0.0.1/32 }"))
        .route(&says("others", ""))
        .start();
    let mut client = fulcrum.connect();
    for (claimed, name) in [
        ("192.0.2.7", "ours"),
        ("2001:db8::7", "ours"),
        ("198.51.100.1, 192.0.2.7", "ours"),
        ("192.0.2.7, 198.51.100.1", "others"),
        ("198.51.100.1", "others"),
    ] {
        let lines = format!("X-Forwarded-For: {claimed}\r\n");
        assert_eq!(client.ask(request("GET", "/", "test", &lines)).text(), name, "{claimed}");
    }
    assert_eq!(get(&mut client, "test", "/").text(), "local");
}

#[test]
fn all_kinds_of_conditions_hold_together() {
    let condition = "method: GET, headers: { x-a: \"1\" }, query: { q: \"1\" }, cookies: { c: \"1\" }, source: 127.0.0.0/8";
    check_condition(
        condition,
        &[
            ("GET", "/?q=1", "X-A: 1\r\nCookie: c=1\r\n", true),
            ("PUT", "/?q=1", "X-A: 1\r\nCookie: c=1\r\n", false),
            ("GET", "/?q=2", "X-A: 1\r\nCookie: c=1\r\n", false),
            ("GET", "/?q=1", "X-A: 2\r\nCookie: c=1\r\n", false),
            ("GET", "/?q=1", "X-A: 1\r\nCookie: c=2\r\n", false),
        ],
    );
}
