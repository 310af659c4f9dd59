//! E4 to E6: one normalised path is matched and forwarded (RFC 3986 §6.2.2).

use crate::harness::{Setup, Upstream};

/// What a target becomes on its way upstream; nothing where it is refused.
#[track_caller]
fn check_paths(rows: &[(&str, Option<&str>)]) {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    for (target, forwarded) in rows {
        let mut client = fulcrum.connect();
        let response = client.get(target);
        match forwarded {
            Some(forwarded) => {
                assert_eq!(response.status, 200, "{target}: {}", response.text());
                assert_eq!(upstream.last_request().target(), *forwarded, "{target}");
            }
            None => {
                assert_eq!(response.status, 400, "{target}");
                assert!(response.text().contains("reason: invalid_path\n"), "{target}: {}", response.text());
                client.assert_closed();
            }
        }
    }
    let refused = rows.iter().filter(|(_, forwarded)| forwarded.is_none()).count();
    fulcrum.await_errors("invalid_path", u32::try_from(refused).expect("a few"));
    assert_eq!(upstream.requests().len(), rows.len() - refused);
}

#[test]
fn e04_paths_are_normalised() {
    check_paths(&[
        ("/", Some("/")),
        ("/a/./b/../c", Some("/a/c")),
        ("/a/b/.", Some("/a/b/")),
        ("/a/b/..", Some("/a/")),
        ("/a/..", Some("/")),
        ("/./a", Some("/a")),
        ("/a/...", Some("/a/...")),
        ("/a/.b", Some("/a/.b")),
        ("/a/", Some("/a/")),
        ("//a//b", Some("/a/b")),
        ("/a//../b", Some("/b")),
        ("/%7e", Some("/~")),
        ("/%41%2D", Some("/A-")),
        ("/a/%2e/b", Some("/a/b")),
        ("/a/%2e%2e/b", Some("/b")),
        ("/a/.%2E/b", Some("/b")),
        ("/%20", Some("/%20")),
        ("/%C3%A9", Some("/%C3%A9")),
        ("/a;b=c/d:e@f", Some("/a;b=c/d:e@f")),
    ]);
}

#[test]
fn e04_encoded_slashes_are_kept() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    for target in ["/a%2fb", "/a%2Fb", "/a%5cb", "/a%5Cb", "/..%2fb"] {
        assert_eq!(fulcrum.get(target).status, 200);
        // RFC 3986 §6.2.2.1: the case of the digits means nothing.
        let forwarded = upstream.last_request().target().to_owned();
        assert!(forwarded.eq_ignore_ascii_case(target), "{target} became {forwarded}");
    }
}

#[test]
fn e04_paths_above_the_root_and_broken_escapes_are_refused() {
    check_paths(&[
        ("/../x", None),
        ("/..", None),
        ("/a/../../x", None),
        ("/%2e%2e/x", None),
        ("/.%2e", None),
        ("/%00", None),
        ("/a%00b", None),
        ("/%", None),
        ("/%4", None),
        ("/%zz", None),
        ("/%4g", None),
    ]);
}

#[test]
fn e04_the_query_is_not_touched() {
    check_paths(&[
        ("/a/./b?x=/../y&z=%7e//%zz", Some("/a/b?x=/../y&z=%7e//%zz")),
        ("/?", Some("/?")),
        ("/a??b=?", Some("/a??b=?")),
        ("/?%00", Some("/?%00")),
    ]);
}

#[test]
fn e04_encoded_slashes_can_be_refused_or_redirected() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).listener("http: { encoded_slash: reject }").start();
    for target in ["/a%2fb", "/a%5Cb"] {
        assert_eq!(fulcrum.get(target).status, 400, "{target}");
    }
    assert_eq!(fulcrum.get("/a?b=%2f").status, 200, "a query is not a path");
    let fulcrum = Setup::new(&upstream).listener("http: { encoded_slash: redirect }").start();
    let response = fulcrum.get("/a%2Fb?c=%2f");
    assert_eq!((response.status, response.field("location")), (307, Some("/a/b?c=%2f")));
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn e05_nothing_is_decoded_twice() {
    let upstream = Upstream::named("app");
    let setup = Setup::new(&upstream)
        .route("{ path: /admin, respond: { status: 403, body: no } }")
        .route("{ path: /, to: app }");
    let fulcrum = setup.start();
    let check = |target: &str, forwarded: Option<&str>| {
        let before = upstream.requests().len();
        let response = fulcrum.get(target);
        match forwarded {
            Some(forwarded) => {
                assert_eq!(response.status, 200, "{target}");
                assert_eq!(upstream.last_request().target(), forwarded);
            }
            None => {
                assert_eq!(response.status, 403, "{target}");
                assert_eq!(upstream.requests().len(), before, "{target}");
            }
        }
    };
    check("/%252e%252e/", Some("/%252e%252e/"));
    check("/x/%252e%252e/admin", Some("/x/%252e%252e/admin"));
    check("/%2561dmin", Some("/%2561dmin"));
    // The matched path is the normalised one.
    check("/x/%2e%2e/admin", None);
    check("/%61dmin", None);
    check("//admin", None);
    check("/./admin/x", None);
}

#[test]
fn e06_prefixes_match_whole_segments() {
    let upstream = Upstream::named("app");
    let setup = Setup::new(&upstream)
        .route("{ path: /api, respond: { status: 200, body: api } }")
        .route("{ path: /, respond: { status: 200, body: root } }");
    let fulcrum = setup.start();
    for (target, body) in [
        ("/api", "api"),
        ("/api/", "api"),
        ("/api/x", "api"),
        ("/api?x", "api"),
        ("/apix", "root"),
        ("/api.x", "root"),
        ("/API", "root"),
        ("/x/api", "root"),
        ("/api%2fx", "root"),
    ] {
        assert_eq!(fulcrum.get(target).text(), body, "{target}");
    }
}
