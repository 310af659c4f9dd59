//! OPTIONS and TRACE: requests about the server as a whole, and how far they go (RFC 9110 §7.6.2, §9.3.7).

use crate::harness::{Response, Setup, Upstream};

/// RFC 9112 §3.2.4: an absolute target without a path means the server as a whole.
#[test]
fn options_of_an_absolute_target_without_path_is_of_the_server() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    for (request, forwarded) in [
        ("OPTIONS http://test HTTP/1.1", "OPTIONS * HTTP/1.1"),
        ("OPTIONS * HTTP/1.1", "OPTIONS * HTTP/1.1"),
        ("OPTIONS http://test/ HTTP/1.1", "OPTIONS / HTTP/1.1"),
        ("OPTIONS http://test?a HTTP/1.1", "OPTIONS /?a HTTP/1.1"),
        ("GET http://test HTTP/1.1", "GET / HTTP/1.1"),
    ] {
        assert_eq!(
            fulcrum.connect().ask(format!("{request}\r\nHost: test\r\n\r\n")).text(),
            "app",
            "{request}"
        );
        assert_eq!(upstream.last_request().head.first_line, forwarded, "{request}");
    }
}

#[test]
fn a_redirect_of_the_server_as_a_whole_leads_to_its_root() {
    let plain = Setup::default().endpoint("127.0.0.1:1");
    let setups = [
        plain.clone().listener("redirect: https").route("{ to: app }"),
        plain.clone().route("{ redirect: https }"),
        plain.route("{ redirect: { to: \"https://test\" } }"),
    ];
    for setup in setups {
        // A listener that redirects looks at no route.
        let yaml = setup.yaml();
        let fulcrum = setup.start();
        for target in ["*", "http://test", "/"] {
            let response = fulcrum.connect().ask(format!("OPTIONS {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
            assert_eq!(response.status, 308, "{yaml}");
            assert_eq!(response.field("location"), Some("https://test/"), "{target}: {yaml}");
        }
    }
}

/// Sends a request that may go so many more hops.
#[track_caller]
fn ask(upstream: &Upstream, method: &str, hops: &str) -> Response {
    let fulcrum = Setup::new(upstream).start();
    let lines = format!("Host: test\r\nMax-Forwards: {hops}\r\n");
    fulcrum.connect().ask(format!("{method} / HTTP/1.1\r\n{lines}\r\n"))
}

#[test]
fn the_last_hop_of_options_and_trace_answers_itself() {
    let upstream = Upstream::named("app");
    let response = ask(&upstream, "OPTIONS", "0");
    assert_eq!((response.status, response.text().as_str()), (200, ""));
    // It would tell the client's credentials to whoever made the client send them.
    let response = ask(&upstream, "TRACE", "0");
    assert_eq!(response.status, 501);
    assert!(response.text().contains("reason: method_not_supported\n"), "{}", response.text());
    assert_eq!(upstream.text(), "");
}

#[test]
fn every_hop_of_options_and_trace_counts() {
    let upstream = Upstream::named("app");
    for (method, sent, forwarded) in [
        ("OPTIONS", "5", "4"),
        ("TRACE", "1", "0"),
        // What is not a number counts nothing, and other methods go as far as they like.
        ("OPTIONS", "many", "many"),
        ("GET", "5", "5"),
        ("GET", "0", "0"),
    ] {
        assert_eq!(ask(&upstream, method, sent).text(), "app", "{method} {sent}");
        assert_eq!(upstream.last_request().field("max-forwards"), Some(forwarded), "{method} {sent}");
    }
}
