//! What heads are accepted, and what they are taken to say.

use super::*;

/// A request head from its lines.
fn lines(lines: &[&str]) -> Vec<u8> {
    [lines.join("\r\n").as_bytes(), b"\r\n\r\n"].concat()
}

fn request_with(bytes: &[u8], underscores: Underscores) -> Result<RequestHead, ParseError> {
    let mut head = RequestHead::default();
    parse_request(bytes, RequestRules { underscores }, &mut head).map(|()| head)
}

fn request(head: &[&str]) -> Result<RequestHead, ParseError> {
    request_with(&lines(head), Underscores::Reject)
}

/// A GET of HTTP/1.1 with these fields besides Host.
fn get(fields: &[&str]) -> Result<RequestHead, ParseError> {
    request(&[&["GET / HTTP/1.1", "Host: a"], fields].concat())
}

fn response_to(method: Method, head: &[&str]) -> Result<ResponseHead, ParseError> {
    let mut parsed = ResponseHead::default();
    parse_response(&lines(head), method, &mut parsed).map(|()| parsed)
}

fn response(head: &[&str]) -> Result<ResponseHead, ParseError> {
    response_to(Method::Get, head)
}

#[test]
fn first_lines() {
    let check = |line: &str, expected: Result<(&str, &str), ParseError>| {
        let head = request(&[line, "Host: a"]);
        let parsed =
            head.as_ref().map(|head| (head.method_text(), head.target_text())).map_err(|error| *error);
        assert_eq!(
            parsed,
            expected.map(|(method, target)| (method.as_bytes(), target.as_bytes())),
            "{line:?}"
        );
    };
    let malformed = Err(ParseError::MalformedFirstLine);
    check("GET / HTTP/1.1", Ok(("GET", "/")));
    check("POST /a?b HTTP/1.1", Ok(("POST", "/a?b")));
    check("M-SEARCH /a HTTP/1.1", Ok(("M-SEARCH", "/a")));
    check("get / HTTP/1.1", Ok(("get", "/")));
    check("GET / HTTP/1.0", Ok(("GET", "/")));
    check("GET / HTTP/1.2", Err(ParseError::UnsupportedVersion));
    check("GET / HTTP/2.0", Err(ParseError::UnsupportedVersion));
    check("GET / HTTP/0.9", Err(ParseError::UnsupportedVersion));
    check("GET / HTTP/1.10", Err(ParseError::BareLineEnding));
    check("GET / HTTP/1.1 ", malformed);
    check("GET / http/1.1", Err(ParseError::UnsupportedVersion));
    check("GET /", malformed);
    check("GET  / HTTP/1.1", malformed);
    check("GET /  HTTP/1.1", malformed);
    check(" GET / HTTP/1.1", malformed);
    check("G(T / HTTP/1.1", malformed);
    check("G\tT / HTTP/1.1", malformed);
    check("GET\t/\tHTTP/1.1", malformed);
    check("GET /\tb HTTP/1.1", malformed);
    check("GET /a b HTTP/1.1", malformed);
    check("GET /a#b HTTP/1.1", malformed);
    check("GET /a?b#c HTTP/1.1", malformed);
    check("GET /\u{1} HTTP/1.1", malformed);
    check("GET /\0 HTTP/1.1", malformed);
    check("GET /\u{7f} HTTP/1.1", malformed);
    check("GET /ä HTTP/1.1", malformed);
    check("GET a HTTP/1.1", malformed);
    check("GET * HTTP/1.1", malformed);
    check("OPTIONS * HTTP/1.1", Ok(("OPTIONS", "*")));
    check("OPTIONS *a HTTP/1.1", malformed);
    check("GET ftp://a/ HTTP/1.1", malformed);
    check("GET http:///a HTTP/1.1", malformed);
    check("GET http:a HTTP/1.1", malformed);
}

#[test]
fn bare_line_endings_within_a_head() {
    // A bare LF is refused while scanning; what is left for the parser is a bare CR.
    for head in ["GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\rHost: a\r\n\r\n"] {
        assert_eq!(
            request_with(head.as_bytes(), Underscores::Reject).err(),
            Some(ParseError::BareLineEnding),
            "{head:?}"
        );
    }
    for field in ["X: a\rb", "X: a\r", "X: \rY: a", "X\r: a"] {
        assert!(get(&[field]).is_err(), "{field:?}");
    }
}

#[test]
fn fields() {
    let check = |field: &str, expected: Result<(&str, &[u8]), ParseError>| {
        let head = request_with(&lines(&["GET / HTTP/1.1", "Host: a", field]), Underscores::Reject);
        let parsed = head.as_ref().map_err(|error| *error).map(|head| {
            let (name, value, _) = head.fields.iter().nth(1).expect("two fields");
            (name, value)
        });
        assert_eq!(parsed, expected.map(|(name, value)| (name.as_bytes(), value)), "{field:?}");
    };
    let malformed = Err(ParseError::MalformedHeader);
    check("X: a", Ok(("X", b"a")));
    check("X:a", Ok(("X", b"a")));
    check("X: \t a \t ", Ok(("X", b"a")));
    check("X:", Ok(("X", b"")));
    check("X:   ", Ok(("X", b"")));
    check("X: a:b", Ok(("X", b"a:b")));
    check("X: a\tb", Ok(("X", b"a\tb")));
    check("X: ä", Ok(("X", "ä".as_bytes())));
    check("!#$%&'*+-.^`|~9: a", Ok(("!#$%&'*+-.^`|~9", b"a")));
    check("X : a", malformed);
    check("X\t: a", malformed);
    check(": a", malformed);
    check("X", malformed);
    check("X Y: a", malformed);
    check("X(: a", malformed);
    check("X\"Y: a", malformed);
    check("X\0: a", malformed);
    check("Ä: a", malformed);
    check("X: a\0b", malformed);
    check("X: a\u{1}b", malformed);
    check("X: a\u{7f}b", malformed);
}

#[test]
fn many_fields() {
    for count in [USUAL_FIELDS - 1, USUAL_FIELDS, MAX_FIELDS - 1] {
        let fields = vec!["X: a"; count];
        assert_eq!(get(&fields).map(|head| head.fields.list.len()).ok(), Some(count + 1), "{count}");
    }
    assert_eq!(get(&vec!["X: a"; MAX_FIELDS]).err(), Some(ParseError::HeadersTooLarge));
}

#[test]
fn underscores_three_ways() {
    let names = |rule| {
        let head = request_with(&lines(&["GET / HTTP/1.1", "Host: a", "X_Y: b", "Z: c"]), rule)?;
        Ok(head
            .fields
            .iter()
            .map(|(name, ..)| String::from_utf8_lossy(name).into_owned())
            .collect::<Vec<_>>())
    };
    assert_eq!(names(Underscores::Reject), Err(ParseError::UnderscoreInFieldName));
    assert_eq!(names(Underscores::Drop), Ok(vec!["Host".to_owned(), "Z".to_owned()]));
    assert_eq!(names(Underscores::Allow), Ok(vec!["Host".to_owned(), "X_Y".to_owned(), "Z".to_owned()]));
    // Dropped fields mean nothing; the value may have as many as it likes.
    assert!(get(&["X: a_b"]).is_ok());
}

#[test]
fn request_framing() {
    let check = |version: &str, fields: &[&str], expected: Result<Framing, ParseError>| {
        let line = format!("POST / {version}");
        let head = request(&[&[line.as_str(), "Host: a"], fields].concat());
        assert_eq!(head.map(|head| head.framing), expected, "{version} {fields:?}");
    };
    let bad_length = Err(ParseError::InvalidContentLength);
    let bad_coding = Err(ParseError::InvalidTransferEncoding);
    let both = Err(ParseError::ConflictingFraming);
    let chunked = "Transfer-Encoding: chunked";
    check("HTTP/1.1", &[], Ok(Framing::None));
    check("HTTP/1.1", &["Content-Length: 0"], Ok(Framing::Length(0)));
    check("HTTP/1.1", &["content-length: 12"], Ok(Framing::Length(12)));
    check("HTTP/1.0", &["Content-Length: 12"], Ok(Framing::Length(12)));
    check("HTTP/1.1", &["Content-Length: 0012"], Ok(Framing::Length(12)));
    check(
        "HTTP/1.1",
        &["Content-Length: 9223372036854775807"],
        Ok(Framing::Length(9_223_372_036_854_775_807)),
    );
    check("HTTP/1.1", &["Content-Length: 10000000000000000000"], bad_length);
    check("HTTP/1.1", &["Content-Length: 5", "Content-Length: 5"], Ok(Framing::Length(5)));
    check("HTTP/1.1", &["Content-Length: 5", "Content-Length: 6"], bad_length);
    check("HTTP/1.1", &["Content-Length: 1,1"], bad_length);
    check("HTTP/1.1", &["Content-Length: 1, 1"], bad_length);
    check("HTTP/1.1", &["Content-Length: +1"], bad_length);
    check("HTTP/1.1", &["Content-Length: -1"], bad_length);
    check("HTTP/1.1", &["Content-Length: 0x1"], bad_length);
    check("HTTP/1.1", &["Content-Length: 1 1"], bad_length);
    check("HTTP/1.1", &["Content-Length: 1.0"], bad_length);
    check("HTTP/1.1", &["Content-Length: a"], bad_length);
    check("HTTP/1.1", &["Content-Length:"], bad_length);
    check("HTTP/1.1", &["Content-Length: 5", "Content-Length:"], bad_length);
    check("HTTP/1.1", &["Transfer-Encoding: chunked"], Ok(Framing::Chunked));
    check("HTTP/1.1", &["Transfer-Encoding: CHUNKED"], Ok(Framing::Chunked));
    check("HTTP/1.1", &["Transfer-Encoding: xchunked"], bad_coding);
    check("HTTP/1.1", &["Transfer-Encoding: chunked, identity"], bad_coding);
    check("HTTP/1.1", &["Transfer-Encoding: gzip, chunked"], bad_coding);
    check("HTTP/1.1", &["Transfer-Encoding: identity"], bad_coding);
    check("HTTP/1.1", &["Transfer-Encoding: \"chunked\""], bad_coding);
    check("HTTP/1.1", &["Transfer-Encoding: chunked;a=b"], bad_coding);
    check("HTTP/1.1", &["Transfer-Encoding: ,chunked"], bad_coding);
    check("HTTP/1.1", &["Transfer-Encoding: \u{b}chunked"], Err(ParseError::MalformedHeader));
    check("HTTP/1.1", &["Transfer-Encoding:"], bad_coding);
    check("HTTP/1.1", &["Transfer-Encoding : chunked"], Err(ParseError::MalformedHeader));
    check("HTTP/1.1", &[chunked, chunked], bad_coding);
    check("HTTP/1.1", &["Transfer-Encoding: gzip", chunked], bad_coding);
    check("HTTP/1.0", &[chunked], bad_coding);
    check("HTTP/1.0", &["Transfer-Encoding: identity"], bad_coding);
    check("HTTP/1.1", &["Content-Length: 5", chunked], both);
    check("HTTP/1.1", &[chunked, "Content-Length: 5"], both);
    check("HTTP/1.1", &[chunked, "Content-Length: 0"], both);
    check("HTTP/1.0", &[chunked, "Content-Length: 5"], both);
}

#[test]
fn bodies_that_a_recipient_may_overlook() {
    for method in ["GET", "HEAD", "DELETE"] {
        for (version, length, expected) in [
            ("HTTP/1.0", "Content-Length: 5", Err(ParseError::BodyNotAllowed)),
            ("HTTP/1.0", "Content-Length: 0", Ok(Framing::Length(0))),
            ("HTTP/1.1", "Content-Length: 5", Ok(Framing::Length(5))),
        ] {
            let head = request(&[&format!("{method} / {version}"), "Host: a", length]);
            assert_eq!(head.map(|head| head.framing), expected, "{method} {version} {length}");
        }
    }
}

#[test]
fn keep_alive() {
    for (version, connection, expected) in [
        ("HTTP/1.1", "", true),
        ("HTTP/1.1", "close", false),
        ("HTTP/1.1", "Close", false),
        ("HTTP/1.1", "keep-alive", true),
        ("HTTP/1.1", "keep-alive, close", false),
        ("HTTP/1.1", "x-hop, close", false),
        ("HTTP/1.1", "closed", true),
        ("HTTP/1.0", "", false),
        ("HTTP/1.0", "keep-alive", true),
        ("HTTP/1.0", "Keep-Alive", true),
        ("HTTP/1.0", "keep-alive, close", false),
        ("HTTP/1.0", "close", false),
    ] {
        let connection_field = format!("Connection: {connection}");
        let head = request(&[&format!("GET / {version}"), "Host: a", &connection_field]);
        assert_eq!(head.map(|head| head.keep_alive), Ok(expected), "request {version} {connection}");
        let head = response(&[&format!("{version} 200 OK"), &connection_field]);
        assert_eq!(head.map(|head| head.keep_alive), Ok(expected), "response {version} {connection}");
    }
    assert_eq!(get(&["Connection: x", "Connection: close"]).map(|head| head.keep_alive), Ok(false));
}

#[test]
fn nominated_fields_are_noticed() {
    for (connection, expected) in [
        ("", false),
        ("close, keep-alive, Upgrade", false),
        (" , ,close", false),
        ("x-hop", true),
        ("close, te", true),
    ] {
        let head = get(&[&format!("Connection: {connection}")]);
        assert_eq!(head.map(|head| head.fields.nominates), Ok(expected), "{connection}");
    }
}

#[test]
fn upgrades() {
    let check = |version: &str, fields: &[&str], expected: Result<Option<&str>, ParseError>| {
        let line = format!("GET / {version}");
        let head = request(&[&[line.as_str(), "Host: a"], fields].concat());
        let upgrade = head.as_ref().map(|head| head.upgrade.map(|upgrade| head.fields.slice(upgrade)));
        assert_eq!(
            upgrade.map_err(|error| *error),
            expected.map(|name| name.map(str::as_bytes)),
            "{version} {fields:?}"
        );
    };
    check("HTTP/1.1", &["Connection: Upgrade", "Upgrade: websocket"], Ok(Some("websocket")));
    check("HTTP/1.1", &["Upgrade: WebSocket", "Connection: keep-alive, upgrade"], Ok(Some("WebSocket")));
    check("HTTP/1.1", &["Upgrade: websocket"], Ok(None));
    check("HTTP/1.1", &["Connection: upgrade"], Ok(None));
    check("HTTP/1.1", &["Connection: upgrade", "Upgrade:"], Ok(None));
    check("HTTP/1.1", &["Connection: upgrade, http2-settings", "Upgrade: h2c"], Ok(None));
    check("HTTP/1.1", &["Connection: upgrade", "Upgrade: websocket, h2c"], Ok(None));
    check("HTTP/1.0", &["Connection: upgrade", "Upgrade: websocket"], Ok(None));
    let refused = Err(ParseError::UnsupportedUpgrade);
    check("HTTP/1.1", &["Connection: upgrade", "Upgrade: websocket", "Content-Length: 5"], refused);
    check("HTTP/1.1", &["Connection: upgrade", "Upgrade: websocket", "Content-Length: 0"], refused);
    check("HTTP/1.1", &["Connection: upgrade", "Upgrade: websocket", "Transfer-Encoding: chunked"], refused);
    // Without an upgrade the body is nothing special.
    check("HTTP/1.1", &["Upgrade: websocket", "Content-Length: 5"], Ok(None));
}

#[test]
fn expectations() {
    let check = |version: &str, fields: &[&str], expected: Result<bool, ParseError>| {
        let line = format!("POST / {version}");
        let head = request(&[&[line.as_str(), "Host: a", "Content-Length: 5"], fields].concat());
        assert_eq!(head.map(|head| head.expects_continue), expected, "{version} {fields:?}");
    };
    let unsupported = Err(ParseError::UnsupportedExpectation);
    check("HTTP/1.1", &[], Ok(false));
    check("HTTP/1.1", &["Expect: 100-continue"], Ok(true));
    check("HTTP/1.1", &["Expect: 100-Continue"], Ok(true));
    check("HTTP/1.0", &["Expect: 100-continue"], Ok(false));
    check("HTTP/1.1", &["Expect: 200-ok"], unsupported);
    check("HTTP/1.1", &["Expect: 100-continue, x"], unsupported);
    check("HTTP/1.1", &["Expect: 100-continue", "Expect: x"], unsupported);
    check("HTTP/1.1", &["Expect:"], unsupported);
    check("HTTP/1.0", &["Expect: x"], unsupported);
}

#[test]
fn trailers_are_accepted_by_te_or_grpc() {
    for (field, expected) in [
        ("TE: trailers", true),
        ("TE: deflate, Trailers", true),
        ("TE: gzip", false),
        ("TE: trailersx", false),
        ("Content-Type: application/grpc", true),
        ("Content-Type: application/grpc+proto", true),
        ("Content-Type: Application/gRPC", true),
        ("Content-Type: application/json", false),
        ("Trailer: x", false),
    ] {
        assert_eq!(get(&[field]).map(|head| head.accepts_trailers), Ok(expected), "{field}");
    }
}

#[test]
fn hosts() {
    let check = |value: &str, expected: Result<&str, ParseError>| {
        let head = request(&["GET / HTTP/1.1", &format!("Host: {value}")]);
        assert_eq!(head.map(|head| head.host), expected.map(str::to_owned), "{value:?}");
    };
    let invalid = Err(ParseError::InvalidHost);
    check("a", Ok("a"));
    check("SHOP.example.com.:443", Ok("shop.example.com"));
    check("a:80", Ok("a"));
    check("a:", Ok("a"));
    check("a.", Ok("a"));
    check("192.0.2.1:8080", Ok("192.0.2.1"));
    check("[2001:DB8::1]", Ok("[2001:db8::1]"));
    check("[2001:db8::1]:8080", Ok("[2001:db8::1]"));
    check("[::ffff:192.0.2.1]", Ok("[::ffff:192.0.2.1]"));
    check("a_b.example", Ok("a_b.example"));
    check("a:65535", Ok("a"));
    check("a:00080", Ok("a"));
    check("", invalid);
    check(":80", invalid);
    check(".", invalid);
    check("a:x", invalid);
    check("a:+80", invalid);
    check("a:80:80", invalid);
    check("a:123456", invalid);
    check("a:65536", invalid);
    check("a b", invalid);
    check("a,b", invalid);
    check("a/b", invalid);
    check("a\\b", invalid);
    check("a?b", invalid);
    check("a#b", invalid);
    check("user@a", invalid);
    check("http://a", invalid);
    check("a%41", invalid);
    check("ä.example", invalid);
    check("*.example", invalid);
    check("2001:db8::1", invalid);
    check("[2001:db8::1", invalid);
    check("[2001:db8::1]x", invalid);
    check("[2001:db8::1].", invalid);
    check("[192.0.2.1]", invalid);
    check("[fe80::1%25eth0]", invalid);
    check("[]", invalid);
    check(&"a".repeat(256), invalid);
}

#[test]
fn host_stands_once() {
    let check = |head: &[&str], expected: Result<(&str, &str), ParseError>| {
        let parsed = request(head);
        let found = parsed.as_ref().map(|head| (head.authority_text(), head.host.as_str()));
        assert_eq!(
            found.map_err(|error| *error),
            expected.map(|(authority, host)| (authority.as_bytes(), host)),
            "{head:?}"
        );
    };
    let invalid = Err(ParseError::InvalidHost);
    let mismatch = Err(ParseError::HostMismatch);
    check(&["GET / HTTP/1.1"], invalid);
    check(&["GET / HTTP/1.1", "Host: a", "Host: a"], invalid);
    check(&["GET / HTTP/1.1", "Host: a", "Host: b"], invalid);
    check(&["GET / HTTP/1.0", "Host: a", "Host: a"], invalid);
    check(&["GET / HTTP/1.0"], Ok(("", "")));
    check(&["GET / HTTP/1.0", "Host:"], Ok(("", "")));
    check(&["GET / HTTP/1.0", "Host: A:80"], Ok(("A:80", "a")));
    check(&["GET / HTTP/1.0", "Host: a b"], invalid);
    check(&["OPTIONS * HTTP/1.1", "Host: a"], Ok(("a", "a")));
    check(&["GET http://A:80/x HTTP/1.1", "Host: a:80"], Ok(("A:80", "a")));
    check(&["GET HTTPS://a/ HTTP/1.1", "Host: a"], Ok(("a", "a")));
    check(&["GET http://a/ HTTP/1.1", "Host: b"], mismatch);
    check(&["GET http://a:80/ HTTP/1.1", "Host: a"], mismatch);
    check(&["GET http://a/ HTTP/1.1", "Host:"], invalid);
    check(&["GET http://a/ HTTP/1.0", "Host:"], mismatch);
    check(&["GET http://a/ HTTP/1.1"], invalid);
    check(&["GET http://a/ HTTP/1.0"], Ok(("a", "a")));
    check(&["GET http://user@a/ HTTP/1.1", "Host: user@a"], invalid);
    check(&["GET http://a\\b/ HTTP/1.1", "Host: a\\b"], invalid);
    check(&["CONNECT a:443 HTTP/1.1", "Host: a:443"], Ok(("a:443", "a")));
    check(&["CONNECT a:443 HTTP/1.1", "Host: b:443"], mismatch);
}

#[test]
fn targets() {
    let check = |target: &str, expected: Result<(&str, Option<&str>), ParseError>| {
        let method = if target == "*" { "OPTIONS" } else { "GET" };
        let head = request(&[&format!("{method} {target} HTTP/1.1"), "Host: a"]);
        let found = head
            .as_ref()
            .map(|head| (head.normal_path.as_slice(), head.query.map(|query| head.fields.slice(query))));
        assert_eq!(
            found.map_err(|error| *error),
            expected.map(|(path, query)| (path.as_bytes(), query.map(str::as_bytes))),
            "{target}"
        );
    };
    let invalid = Err(ParseError::InvalidPath);
    check("/", Ok(("/", None)));
    check("/a/./b/../c", Ok(("/a/c", None)));
    check("//a//b", Ok(("/a/b", None)));
    check("/%7euser/%2f%5c", Ok(("/~user/%2f%5c", None)));
    check("/%252e%252e/", Ok(("/%252e%252e/", None)));
    check("/a?", Ok(("/a", Some(""))));
    check("/a/..?b/../c%00?d", Ok(("/", Some("b/../c%00?d"))));
    check("/a%3Fb", Ok(("/a%3Fb", None)));
    check("http://a", Ok(("/", None)));
    check("http://a?b", Ok(("/", Some("b"))));
    check("http://a/b/../c?d", Ok(("/c", Some("d"))));
    check("*", Ok(("*", None)));
    check("/../x", invalid);
    check("/%2e%2e/x", invalid);
    check("/%00", invalid);
    check("/%zz", invalid);
    check("http://a/../x", invalid);
}

#[test]
fn a_head_is_used_again() {
    let mut head = RequestHead::default();
    let rules = RequestRules { underscores: Underscores::Reject };
    let first = lines(&[
        "POST http://a/x?y HTTP/1.1",
        "Host: a",
        "Expect: 100-continue",
        "Content-Length: 5",
        "TE: trailers",
    ]);
    assert_eq!(parse_request(&first, rules, &mut head), Ok(()));
    head.clear();
    assert_eq!(parse_request(&lines(&["GET / HTTP/1.1", "Host: b"]), rules, &mut head), Ok(()));
    let fresh = request(&["GET / HTTP/1.1", "Host: b"]);
    assert_eq!(format!("{head:?}"), format!("{:?}", fresh.expect("valid")));
}

#[test]
fn status_lines() {
    let check = |line: &str, expected: Result<(u16, &str), ParseError>| {
        let head = response(&[line]);
        let found = head.as_ref().map(|head| (head.status, head.reason_text()));
        assert_eq!(
            found.map_err(|error| *error),
            expected.map(|(status, reason)| (status, reason.as_bytes())),
            "{line:?}"
        );
    };
    let malformed = Err(ParseError::MalformedFirstLine);
    check("HTTP/1.1 200 OK", Ok((200, "OK")));
    check("HTTP/1.0 404 Not Found", Ok((404, "Not Found")));
    check("HTTP/1.1 204", Ok((204, "")));
    check("HTTP/1.1 204 ", Ok((204, "")));
    check("HTTP/1.1 599 a\tb", Ok((599, "a\tb")));
    // What is no text is replaced by our own phrase.
    check("HTTP/1.1 200 ä", Ok((200, "")));
    check("HTTP/1.1 099 x", Err(ParseError::InvalidStatus));
    check("HTTP/1.1 000 x", Err(ParseError::InvalidStatus));
    check("HTTP/1.1 600 x", Err(ParseError::InvalidStatus));
    check("HTTP/1.1 20 OK", malformed);
    check("HTTP/1.1 2000 OK", malformed);
    check("HTTP/1.1 +20 OK", malformed);
    check("HTTP/1.1 200 O\0K", malformed);
    check("HTTP/1.1 200 O\u{7f}K", malformed);
    check("HTTP/2.0 200 OK", Err(ParseError::UnsupportedVersion));
    check("ICY 200 OK", Err(ParseError::UnsupportedVersion));
}

#[test]
fn response_framing() {
    let check = |method: Method, line: &str, fields: &[&str], expected: Result<Framing, ParseError>| {
        let head = response_to(method, &[&[line], fields].concat());
        assert_eq!(head.map(|head| head.framing), expected, "{method:?} {line} {fields:?}");
    };
    let (ok, old) = ("HTTP/1.1 200 OK", "HTTP/1.0 200 OK");
    let (chunked, five) = ("Transfer-Encoding: chunked", "Content-Length: 5");
    let get = Method::Get;
    check(get, ok, &[], Ok(Framing::UntilClose));
    check(get, old, &[], Ok(Framing::UntilClose));
    check(get, ok, &[five], Ok(Framing::Length(5)));
    check(get, ok, &[five, five], Ok(Framing::Length(5)));
    check(get, ok, &[chunked], Ok(Framing::Chunked));
    check(get, ok, &[five, chunked], Err(ParseError::ConflictingFraming));
    check(get, ok, &[chunked, five], Err(ParseError::ConflictingFraming));
    check(get, ok, &[five, "Content-Length: 6"], Err(ParseError::InvalidContentLength));
    check(get, ok, &["Content-Length: 5, 5"], Err(ParseError::InvalidContentLength));
    check(get, ok, &["Content-Length: -5"], Err(ParseError::InvalidContentLength));
    check(get, ok, &["Transfer-Encoding: gzip, chunked"], Err(ParseError::InvalidTransferEncoding));
    check(get, ok, &["Transfer-Encoding: gzip"], Err(ParseError::InvalidTransferEncoding));
    check(get, old, &[chunked], Err(ParseError::InvalidTransferEncoding));
    check(Method::Head, ok, &[], Ok(Framing::None));
    check(Method::Head, ok, &[five], Ok(Framing::Length(5)));
    check(Method::Head, ok, &[chunked], Ok(Framing::None));
    check(Method::Head, ok, &[five, chunked], Err(ParseError::ConflictingFraming));
    for line in [
        "HTTP/1.1 100 Continue",
        "HTTP/1.1 101 Switching Protocols",
        "HTTP/1.1 103 Early Hints",
        "HTTP/1.1 204 x",
    ] {
        check(get, line, &[], Ok(Framing::None));
        check(get, line, &[five], Ok(Framing::None));
        check(get, line, &[chunked], Ok(Framing::None));
        check(get, line, &[five, chunked], Err(ParseError::ConflictingFraming));
    }
    check(get, "HTTP/1.1 304 x", &[], Ok(Framing::None));
    check(get, "HTTP/1.1 304 x", &[five], Ok(Framing::Length(5)));
    check(get, "HTTP/1.1 304 x", &[chunked], Ok(Framing::None));
}

#[test]
fn responses_are_as_strict_as_requests() {
    for field in ["X : a", "X\t: a", ": a", "X", "X: a\0b", "X: a\rb", "X\0: a", "X Y: a"] {
        assert!(response(&["HTTP/1.1 200 OK", field]).is_err(), "{field:?}");
    }
    assert!(response(&["HTTP/1.1 200 OK\r"]).is_err());
    // The field is the upstream's own affair.
    assert!(response(&["HTTP/1.1 200 OK", "X_Y: a"]).is_ok());
}

#[test]
fn response_kinds() {
    let upgrade = |fields: &[&str]| {
        let head = response(&[&["HTTP/1.1 101 Switching Protocols"], fields].concat()).expect("valid");
        head.upgrade.map(|upgrade| head.fields.slice(upgrade).to_vec())
    };
    assert_eq!(upgrade(&["Connection: upgrade", "Upgrade: websocket"]), Some(b"websocket".to_vec()));
    assert_eq!(upgrade(&["Upgrade: websocket"]), None);
    assert_eq!(upgrade(&["Connection: upgrade"]), None);
    for (content_type, expected) in
        [("text/event-stream; charset=utf-8", true), ("application/grpc", true), ("text/html", false)]
    {
        let head = response(&["HTTP/1.1 200 OK", &format!("Content-Type: {content_type}")]);
        assert_eq!(head.map(|head| head.is_stream), Ok(expected), "{content_type}");
    }
}

#[test]
fn response_bodies() {
    for (status, method, expected) in [
        (200, Method::Get, true),
        (200, Method::Head, false),
        (204, Method::Get, false),
        (304, Method::Get, false),
        (100, Method::Post, false),
        (103, Method::Post, false),
        (404, Method::Delete, true),
        (205, Method::Post, true),
    ] {
        assert_eq!(response_has_body(status, method), expected, "{status} {method:?}");
    }
}
