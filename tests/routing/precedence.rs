//! The order of routes is total: host, path, number of conditions, place in the file.

use crate::harness::{Setup, Upstream};

use super::{answering, get, request, says};

#[test]
fn hosts_go_from_exact_over_the_longest_wildcard_to_any() {
    let fulcrum = answering(&[
        ("any", "path: /"),
        ("wide", "host: \"*.example.com\""),
        ("narrow", "host: \"*.eu.example.com\""),
        ("exact", "host: a.eu.example.com"),
        ("two", "host: [one.test, \"*.two.test\"]"),
        ("address", "host: 192.0.2.1"),
    ]);
    let mut client = fulcrum.connect();
    for (host, name) in [
        ("a.eu.example.com", "exact"),
        ("b.eu.example.com", "narrow"),
        ("x.b.eu.example.com", "narrow"),
        ("eu.example.com", "wide"),
        ("a.example.com", "wide"),
        ("example.com", "any"),
        ("notexample.com", "any"),
        ("one.test", "two"),
        ("x.two.test", "two"),
        ("two.test", "any"),
        ("192.0.2.1:8080", "address"),
        ("elsewhere", "any"),
    ] {
        assert_eq!(get(&mut client, host, "/").text(), name, "{host}");
    }
}

#[test]
fn paths_go_from_exact_over_regex_to_the_longest_prefix() {
    let fulcrum = answering(&[
        ("none", ""),
        ("short", "path: /a"),
        ("long", "path: /a/b"),
        ("exact", "path: { exact: /a/b/c }"),
        ("second", "path: { regex: \"^/a/[a-z]+/\" }"),
        ("third", "path: { regex: \"/e$\" }"),
    ]);
    let mut client = fulcrum.connect();
    for (target, name) in [
        ("/", "none"),
        ("/ax", "none"),
        ("/a", "short"),
        ("/a/", "short"),
        ("/a/x", "short"),
        ("/a/b", "long"),
        ("/a/b/c", "exact"),
        ("/a/b/c?x=y", "exact"),
        ("/a/./b/../b/c", "exact"),
        ("/a/b/c/", "second"),
        // Both patterns hold: the file's order counts.
        ("/a/b/e", "second"),
        ("/x/e", "third"),
        ("/a/1/", "short"),
        // A query is not a path.
        ("/x?y=/e", "none"),
    ] {
        assert_eq!(get(&mut client, "test", target).text(), name, "{target}");
    }
}

#[test]
fn a_specific_host_comes_before_a_specific_path() {
    let fulcrum = answering(&[
        ("path", "path: { exact: /a }"),
        ("host", "host: h.test"),
        ("both", "host: h.test, path: /a/b"),
    ]);
    let mut client = fulcrum.connect();
    for (host, target, name) in
        [("h.test", "/a", "host"), ("h.test", "/a/b", "both"), ("other.test", "/a", "path")]
    {
        assert_eq!(get(&mut client, host, target).text(), name, "{host}{target}");
    }
    assert_eq!(get(&mut client, "other.test", "/b").status, 404);
}

#[test]
fn where_a_matcher_fails_the_next_best_route_is_asked() {
    let fulcrum = answering(&[
        ("exact-get", "host: a.x.test, path: { exact: /p }, match: { method: GET }"),
        ("prefix-put", "host: a.x.test, path: /p, match: { method: PUT }"),
        ("wild-post", "host: \"*.x.test\", match: { method: POST }"),
        ("any-delete", "match: { method: DELETE }"),
    ]);
    let mut client = fulcrum.connect();
    for (method, name) in
        [("GET", "exact-get"), ("PUT", "prefix-put"), ("POST", "wild-post"), ("DELETE", "any-delete")]
    {
        assert_eq!(client.ask(request(method, "/p", "a.x.test", "")).text(), name);
    }
    assert_eq!(client.ask(request("PATCH", "/p", "a.x.test", "")).status, 404);
}

#[test]
fn more_matchers_come_before_fewer() {
    let fulcrum = answering(&[
        ("zero", "path: /a"),
        ("one", "path: /a, match: { headers: { x-a: \"1\" } }"),
        ("two", "path: /a, match: { headers: { x-a: \"1\", x-b: \"2\" } }"),
        ("other-one", "path: /a, match: { query: { v: \"2\" } }"),
    ]);
    let mut client = fulcrum.connect();
    for (target, lines, name) in [
        ("/a", "", "zero"),
        ("/a", "X-A: 1\r\n", "one"),
        ("/a", "X-B: 2\r\n", "zero"),
        ("/a", "X-B: 2\r\nX-A: 1\r\n", "two"),
        ("/a?v=2", "", "other-one"),
        // As many conditions: the file's order counts.
        ("/a?v=2", "X-A: 1\r\n", "one"),
    ] {
        assert_eq!(client.ask(request("GET", target, "test", lines)).text(), name, "{target} {lines:?}");
    }
}

#[test]
fn many_routes_are_told_apart() {
    let unused = Upstream::named("unused");
    let mut setup = Setup::new(&unused).route("{ host: unused.invalid, to: app }");
    for host in 0..300 {
        for path in 0..5 {
            let name = format!("r{host}-{path}");
            setup = setup.route(&says(&name, &format!("host: h{host}.test, path: /p{path}")));
        }
    }
    let fulcrum = setup.start();
    let mut client = fulcrum.connect();
    for host in [0, 1, 10, 100, 299] {
        for path in 0..5 {
            let response = get(&mut client, &format!("h{host}.test"), &format!("/p{path}/x"));
            assert_eq!(response.text(), format!("r{host}-{path}"));
        }
        assert_eq!(get(&mut client, &format!("h{host}.test"), "/p5").status, 404);
    }
}
