//! Rows of precedence, agreement with a plain reading of the rules, and what a search costs.

use fulcrum_config::{Action, FixedResponse, HeaderEdits, Matchers, PathPattern, Rewrite, ValueMatch};
use fulcrum_model::RouteName;
use proptest::prelude::{Just, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use regex::Regex;

use super::*;

fn route(hosts: &[&str], path: Option<PathPattern>, matchers: Matchers) -> Route {
    let host = |host: &&str| match host.strip_prefix("*.") {
        Some(parent) => HostPattern::Wildcard(parent.to_owned()),
        None => HostPattern::Exact((*host).to_owned()),
    };
    Route {
        name: "route".parse::<RouteName>().expect("a valid name"),
        hosts: hosts.iter().map(host).collect(),
        path,
        matchers,
        action: Action::Respond(FixedResponse { status: 200, body: String::new(), headers: Vec::new() }),
        rewrite: Rewrite::default(),
        request_headers: HeaderEdits::default(),
        response_headers: HeaderEdits::default(),
    }
}

/// `=/a` exactly, `~a` a regular expression, `/a` a prefix, empty for none.
fn path(text: &str) -> Option<PathPattern> {
    Some(match text.as_bytes().first()? {
        b'=' => PathPattern::Exact(text[1..].to_owned()),
        b'~' => PathPattern::Regex(Regex::new(&text[1..]).expect("a valid expression")),
        _ => PathPattern::Prefix(text.to_owned()),
    })
}

#[derive(Clone, Debug)]
struct Request {
    host: String,
    path: Vec<u8>,
    query: String,
    method: String,
    source: IpAddr,
    headers: Vec<(String, String)>,
    cookies: Vec<(String, String)>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            host: "example.com".into(),
            path: b"/".to_vec(),
            query: String::new(),
            method: "GET".into(),
            source: IpAddr::from([192, 0, 2, 1]),
            headers: Vec::new(),
            cookies: Vec::new(),
        }
    }
}

impl Attributes for Request {
    fn host(&self) -> &str {
        &self.host
    }

    fn path(&self) -> &[u8] {
        &self.path
    }

    fn query(&self) -> &[u8] {
        self.query.as_bytes()
    }

    fn method(&self) -> &[u8] {
        self.method.as_bytes()
    }

    fn source(&self) -> IpAddr {
        self.source
    }

    fn any_header(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.headers.iter().any(|(key, value)| key == name && test(value.as_bytes()))
    }

    fn any_cookie(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.cookies.iter().any(|(key, value)| key == name && test(value.as_bytes()))
    }
}

fn at(url: &str) -> Request {
    let (host, path) = url.split_at(url.find(['/', '*']).unwrap_or(url.len()));
    Request { host: host.to_owned(), path: path.as_bytes().to_vec(), ..Request::default() }
}

#[test]
fn precedence_of_hosts_and_paths() {
    let check = |routes: &[(&[&str], &str)], rows: &[(&str, Option<usize>)]| {
        let routes: Vec<Route> =
            routes.iter().map(|(hosts, pattern)| route(hosts, path(pattern), Matchers::default())).collect();
        let router = Router::new(&routes);
        for &(url, expected) in rows {
            assert_eq!(router.find(&at(url)), expected, "{url}");
        }
    };
    // Hosts: exact, then the longest wildcard, then any, whatever the order in the file.
    check(
        &[(&[], ""), (&["*.com"], ""), (&["*.example.com"], ""), (&["shop.example.com"], "")],
        &[
            ("shop.example.com/", Some(3)),
            ("web.example.com/", Some(2)),
            ("a.b.example.com/", Some(2)),
            ("example.com/", Some(1)),
            (".example.com/", Some(1)),
            ("com/", Some(0)),
            ("example.org/", Some(0)),
            ("notexample.com/", Some(1)),
            ("/", Some(0)),
        ],
    );
    // One route with several hosts.
    check(
        &[(&["a.example", "*.b.example", "[2001:db8::1]"], "/x")],
        &[
            ("a.example/x", Some(0)),
            ("x.b.example/x/y", Some(0)),
            ("b.example/x", None),
            ("a.example/y", None),
            ("[2001:db8::1]/x", Some(0)),
        ],
    );
    // Paths: exact, regular expressions in file order, the longest prefix, none.
    check(
        &[
            (&[], ""),
            (&[], "/"),
            (&[], "/api"),
            (&[], "/api/v1"),
            (&[], "~^/api/v.$"),
            (&[], "~v1"),
            (&[], "=/api/v1"),
        ],
        &[
            ("h/api/v1", Some(6)),
            ("h/api/v2", Some(4)),
            ("h/api/v1/x", Some(5)),
            ("h/api/v1x", Some(5)),
            ("h/api/v", Some(2)),
            ("h/other", Some(1)),
            ("h*", Some(0)),
        ],
    );
    // The same with more paths than are tried in turn.
    check(
        &[
            (&[], ""),
            (&[], "/"),
            (&[], "/api"),
            (&[], "/api/v1"),
            (&[], "=/api"),
            (&[], "/b"),
            (&[], "/c"),
            (&[], "/d"),
            (&[], "~z$"),
            (&[], "/api/v1/deep/down"),
        ],
        &[
            ("h/api", Some(4)),
            ("h/api/", Some(2)),
            ("h/api/v1/x", Some(3)),
            ("h/api/v1/deep/down", Some(9)),
            ("h/api/v1/deep/downz", Some(8)),
            ("h/api/v1/deep/dow", Some(3)),
            ("h/c/x", Some(6)),
            ("h/cx", Some(1)),
            ("h*", Some(0)),
        ],
    );
    // E6 of the rules for paths: whole segments.
    check(
        &[(&[], "/api")],
        &[("h/api", Some(0)), ("h/api/x", Some(0)), ("h/api/", Some(0)), ("h/apix", None)],
    );
    // A more specific host without a fitting path falls through to a less specific one.
    check(
        &[(&["shop.example.com"], "/a"), (&["*.example.com"], "/b"), (&[], "/")],
        &[("shop.example.com/a", Some(0)), ("shop.example.com/b", Some(1)), ("shop.example.com/c", Some(2))],
    );
    check(&[], &[("example.com/", None)]);
}

#[test]
fn matchers() {
    let exact = |name: &str, value: &str| (name.to_owned(), ValueMatch::Exact(value.to_owned()));
    let pattern =
        |name: &str, value: &str| (name.to_owned(), ValueMatch::Regex(Regex::new(value).expect("valid")));
    let present = |name: &str, there| (name.to_owned(), ValueMatch::Present(there));
    let check = |matchers: Matchers, request: &Request, expected: bool| {
        let found = Router::new(&[route(&[], None, matchers.clone())]).find(request);
        assert_eq!(found.is_some(), expected, "{matchers:?} on {request:?}");
    };
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    };

    let methods = Matchers { methods: vec!["GET".into(), "HEAD".into()], ..Matchers::default() };
    for (method, expected) in [("GET", true), ("HEAD", true), ("POST", false), ("get", false)] {
        check(methods.clone(), &Request { method: method.into(), ..Request::default() }, expected);
    }

    let request =
        Request { headers: pairs(&[("x-a", "1"), ("x-a", "two"), ("x-b", "")]), ..Request::default() };
    for (matcher, expected) in [
        (exact("x-a", "1"), true),
        (exact("x-a", "two"), true),
        (exact("x-a", "tw"), false),
        (pattern("x-a", "^tw"), true),
        (pattern("x-a", "^w"), false),
        (present("x-b", true), true),
        (present("x-b", false), false),
        (present("x-c", true), false),
        (present("x-c", false), true),
        (exact("x-c", ""), false),
    ] {
        check(Matchers { headers: vec![matcher], ..Matchers::default() }, &request, expected);
    }
    check(
        Matchers { headers: vec![exact("x-a", "1"), exact("x-c", "1")], ..Matchers::default() },
        &request,
        false,
    );

    let request = Request { cookies: pairs(&[("beta", "yes"), ("Beta", "no")]), ..Request::default() };
    for (matcher, expected) in
        [(exact("beta", "yes"), true), (exact("beta", "no"), false), (present("beta", false), false)]
    {
        check(Matchers { cookies: vec![matcher], ..Matchers::default() }, &request, expected);
    }

    let request = Request { query: "a=1&b=two+w%6frds&%63=3&d=%252B&e".into(), ..Request::default() };
    for (matcher, expected) in [
        (exact("a", "1"), true),
        (exact("b", "two words"), true),
        (pattern("b", "^two w[o]rds$"), true),
        (exact("c", "3"), true),
        (exact("d", "%2B"), true),
        (present("e", true), true),
        (present("f", false), true),
        (present("f", true), false),
    ] {
        check(Matchers { query: vec![matcher], ..Matchers::default() }, &request, expected);
    }

    let source = Matchers { source: vec!["192.0.2.0/24".parse().expect("a network")], ..Matchers::default() };
    for (address, expected) in
        [("192.0.2.9", true), ("::ffff:192.0.2.9", true), ("192.0.3.9", false), ("::1", false)]
    {
        let request = Request { source: address.parse().expect("an address"), ..Request::default() };
        check(source.clone(), &request, expected);
    }
}

#[test]
fn more_matchers_come_first_and_those_that_fail_fall_through() {
    let header = |names: &[&str]| Matchers {
        headers: names.iter().map(|&name| (name.to_owned(), ValueMatch::Present(true))).collect(),
        ..Matchers::default()
    };
    let with = |names: &[&str]| Request {
        path: b"/a".to_vec(),
        headers: names.iter().map(|&name| (name.to_owned(), String::new())).collect(),
        ..Request::default()
    };
    for pattern in ["=/a", "~^/a", "/a", ""] {
        let router = Router::new(&[
            route(&["example.com"], path(pattern), header(&["x"])),
            route(&["example.com"], path(pattern), header(&["x", "y"])),
            route(&["example.com"], path(pattern), header(&["y"])),
            route(&["example.com"], path(pattern), header(&["z"])),
            route(&["*.com"], None, Matchers::default()),
        ]);
        let check = |names: &[&str], expected| {
            assert_eq!(router.find(&with(names)), Some(expected), "{pattern}: {names:?}")
        };
        check(&["x"], 0);
        check(&["x", "y"], 1);
        check(&["y"], 2);
        check(&["y", "z"], 2);
        check(&["z"], 3);
        check(&[], 4);
    }
}

#[test]
fn a_path_that_is_not_utf_8_cannot_slip_past_an_expression() {
    let router = Router::new(&[route(&[], path("~^/admin"), Matchers::default())]);
    assert_eq!(router.find(&Request { path: b"/admin\xff".to_vec(), ..Request::default() }), Some(0));
}

/// The rules read plainly: of all routes that match, the first in order of host, path, matchers, place in the file.
fn plainly(routes: &[Route], request: &Request) -> Option<usize> {
    let host_rank = |host: &HostPattern| match host {
        HostPattern::Exact(name) => (*name == request.host).then_some((0, 0)),
        HostPattern::Wildcard(parent) => {
            let above = request.host.strip_suffix(parent.as_str())?.strip_suffix('.')?;
            (!above.is_empty()).then_some((1, usize::MAX - parent.len()))
        }
    };
    let segments =
        |path: &str| path.split('/').filter(|part| !part.is_empty()).map(String::from).collect::<Vec<_>>();
    let text = String::from_utf8(request.path.clone()).expect("tests use UTF-8");
    let first_with = |regex: &Regex, host: Option<&HostPattern>| {
        routes.iter().position(|route| {
            let here = host.map_or(route.hosts.is_empty(), |host| route.hosts.contains(host));
            here && matches!(&route.path, Some(PathPattern::Regex(other)) if other.as_str() == regex.as_str())
        })
    };
    let path_rank = |route: &Route, host| match &route.path {
        Some(PathPattern::Exact(path)) => (*path == text).then_some((0, 0)),
        Some(PathPattern::Regex(regex)) => {
            regex.is_match(&text).then(|| (1, first_with(regex, host).expect("at least this one")))
        }
        Some(PathPattern::Prefix(prefix)) => {
            segments(&text).starts_with(&segments(prefix)).then_some((2, usize::MAX - segments(prefix).len()))
        }
        None => Some((3, 0)),
    };
    let mut best = None;
    for (index, route) in routes.iter().enumerate() {
        let hosts: Vec<_> = match route.hosts.is_empty() {
            true => vec![((2, 0), None)],
            false => route.hosts.iter().filter_map(|host| Some((host_rank(host)?, Some(host)))).collect(),
        };
        for (rank, host) in hosts {
            let Some(path) = path_rank(route, host) else { continue };
            let holds = route.matchers.headers.iter().all(|(name, value)| {
                let mut values =
                    request.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
                match value {
                    ValueMatch::Exact(exact) => values.any(|value| value == exact),
                    ValueMatch::Regex(regex) => values.any(|value| regex.is_match(value)),
                    ValueMatch::Present(there) => values.next().is_some() == *there,
                }
            });
            let holds = holds
                && (route.matchers.methods.is_empty() || route.matchers.methods.contains(&request.method));
            if holds {
                let candidate = (rank, path, std::cmp::Reverse(route.matchers.count()), index);
                best = best.into_iter().chain([candidate]).min();
            }
        }
    }
    best.map(|(.., index)| index)
}

fn some_hosts() -> impl Strategy<Value = Vec<&'static str>> {
    let host = prop::sample::select(vec![
        "a.com",
        "b.a.com",
        "c.b.a.com",
        "*.com",
        "*.a.com",
        "*.b.a.com",
        "*.c.b.a.com",
    ]);
    prop::collection::vec(host, 0..3)
}

fn some_path() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "", "/", "/a", "/a/b", "/a/b/c", "/ab", "/b", "/b/a", "=/", "=/a", "=/a/b", "=/a/b/c", "=/b", "~^/a",
        "~b$", "~/b/", "~b",
    ])
}

fn some_matchers() -> impl Strategy<Value = Matchers> {
    let value = prop_oneof![
        prop::sample::select(vec!["", "1", "2"]).prop_map(|value| ValueMatch::Exact(value.to_owned())),
        Just(ValueMatch::Regex(Regex::new("1").expect("valid"))),
        any::<bool>().prop_map(ValueMatch::Present),
    ];
    let header = (prop::sample::select(vec!["x".to_owned(), "y".to_owned()]), value);
    let methods =
        prop::collection::vec(prop::sample::select(vec!["GET".to_owned(), "POST".to_owned()]), 0..2);
    prop_oneof![
        2 => Just(Matchers::default()),
        1 => (methods, prop::collection::vec(header, 0..3))
            .prop_map(|(methods, headers)| Matchers { methods, headers, ..Matchers::default() }),
    ]
}

fn some_request() -> impl Strategy<Value = Request> {
    let host = prop::sample::select(vec![
        "a.com",
        "b.a.com",
        "c.b.a.com",
        "d.c.b.a.com",
        "x.com",
        "com",
        "xa.com",
        "",
    ]);
    let path = prop::sample::select(vec![
        "/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/a/b/c/d", "/ab", "/abc", "/b", "/b/a/b",
    ]);
    let header = (prop::sample::select(vec!["x", "y"]), prop::sample::select(vec!["", "1", "2", "21"]));
    let method = prop::sample::select(vec!["GET", "POST", "PUT"]);
    (host, path, method, prop::collection::vec(header, 0..3)).prop_map(|(host, path, method, headers)| {
        Request {
            host: host.to_owned(),
            path: path.as_bytes().to_vec(),
            method: method.to_owned(),
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            ..Request::default()
        }
    })
}

proptest! {
    #[test]
    fn agrees_with_a_plain_reading(
        routes in prop::collection::vec((some_hosts(), some_path(), some_matchers()), 0..40),
        requests in prop::collection::vec(some_request(), 1..20),
    ) {
        let routes: Vec<Route> =
            routes.into_iter().map(|(hosts, pattern, matchers)| route(&hosts, path(pattern), matchers)).collect();
        let router = Router::new(&routes);
        for request in requests {
            prop_assert_eq!(router.find(&request), plainly(&routes, &request), "{:?}", request);
        }
    }
}

fn work(router: &Router, request: &Request) -> (Option<usize>, u32) {
    let mut work = 0;
    (router.search(request, &mut work), work)
}

#[test]
fn work_does_not_grow_with_the_number_of_routes() {
    let routes = |hosts: usize, paths: usize| -> Vec<Route> {
        let all = (0..hosts).flat_map(|host| (0..paths).map(move |number| (host, number)));
        all.map(|(host, number)| {
            route(&[&format!("shop-{host}.example.com")], path(&format!("/p{number}")), Matchers::default())
        })
        .collect()
    };
    let one = Router::new(&routes(1, 1));
    assert_eq!(work(&one, &at("shop-0.example.com/p0/x")), (Some(0), 3));
    let many = Router::new(&routes(10_000, 10));
    for host in [0, 1, 4_999, 9_999] {
        for number in 0..10 {
            let (found, work) = work(&many, &at(&format!("shop-{host}.example.com/p{number}/x")));
            assert_eq!(found, Some(host * 10 + number));
            assert!(work <= 4, "{work} steps");
        }
    }
    let deep = Router::new(&routes(1, 5_000));
    assert!(work(&deep, &at("shop-0.example.com/p4321/a/b/c/d/e")).1 <= 4);
    assert!(work(&deep, &at("shop-0.example.com/none/a/b/c/d/e")).1 <= 4);
}

#[test]
fn work_does_not_grow_with_the_request() {
    let mut routes = vec![route(&["*.example.com"], path("/"), Matchers::default())];
    routes.extend((0..20).map(|number| route(&[], path(&format!("/a/{number}")), Matchers::default())));
    let router = Router::new(&routes);
    let long = Request { host: "a.".repeat(4_000), path: b"/a".repeat(4_000), ..Request::default() };
    let (found, work) = work(&router, &long);
    assert_eq!(found, None);
    assert!(work <= 6, "{work} steps");
}
