//! The answers of the admin, without sockets.

use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::header::ALLOW;
use prometheus::IntCounter;

use super::*;
use crate::reload::{Committed, ConfigHistory};
use fulcrum_control_plane::timestamp::Timestamp;
use fulcrum_data_plane::Override;

fn admin(token: Option<&str>) -> Admin {
    let requests = IntCounter::new("fulcrum_http_requests_total", "Requests.").expect("a valid name");
    Admin {
        registry: registry(Box::new(requests)).expect("no name is there twice"),
        readiness: Arc::new(Readiness::new()),
        settings: ArcSwap::from_pointee(Settings {
            token: token.map(|token| Secret::new(token.as_bytes())),
            addresses: Vec::new(),
        }),
        status: Box::new(|_| document()),
        reload: Box::new(|wait| Some(Ok(reloaded(wait)))),
        order: Box::new(ordered),
        answering: crate::gslb::Answering::default(),
    }
}

fn reloaded(wait: Wait) -> Reloaded {
    let committed = Committed { generation: 2, changes: Default::default(), warnings: Vec::new() };
    Reloaded { committed, everywhere: wait == Wait::Everywhere }
}

/// As if there were one endpoint, `shop/unix:/a.sock`.
fn ordered(path: &EndpointPath, order: Option<Override>) -> Result<Option<EndpointStatus>, NoEndpoint> {
    let known = vec!["unix:/a.sock".to_owned()];
    match (path.service.as_str(), path.endpoint.as_str()) {
        ("shop", "unix:/a.sock") => Ok(Some(EndpointStatus {
            id: known[0].clone(),
            address: known[0].clone(),
            weight: 1,
            weight_from: "config".to_owned(),
            state: "up".to_owned(),
            since: Timestamp(SystemTime::UNIX_EPOCH),
            why: "new".to_owned(),
            in_flight: 0,
            elsewhere: 0,
            limit: None,
            connections: 0,
            requests: 0,
            errors: 0,
            order: order.map(Into::into),
            last_check_failure: None,
        })),
        ("shop", other) => {
            Err(NoEndpoint::Endpoint { service: "shop".to_owned(), endpoint: other.to_owned(), known })
        }
        (other, _) => Err(NoEndpoint::Service { service: other.to_owned(), known: vec!["shop".to_owned()] }),
    }
}

fn document() -> StatusDocument {
    StatusDocument {
        version: "1.2.3".to_owned(),
        pid: 7,
        state: State::Ready,
        uptime_seconds: 1.5,
        generation: 1,
        config: ConfigStatus {
            generation: 1,
            history: ConfigHistory {
                file: "/etc/fulcrum.yaml".to_owned(),
                loaded_at: "2026-01-02T03:04:05Z".to_owned(),
                last_error: None,
            },
        },
        connections: 0,
        requests: 0,
        admin: Vec::new(),
        workers: Vec::new(),
        listeners: Vec::new(),
        services: Vec::new(),
        absent_overrides: Vec::new(),
        discovery: Vec::new(),
        host_names: Vec::new(),
        registry: None,
        gslb: None,
    }
}

fn ask(admin: &Admin, door: Door, request: &str, authorization: Option<&str>) -> Response<Full<Bytes>> {
    put(admin, door, request, (authorization, ""))
}

fn put(
    admin: &Admin,
    door: Door,
    request: &str,
    (authorization, body): (Option<&str>, &str),
) -> Response<Full<Bytes>> {
    let (method, target) = request.split_once(' ').expect("METHOD /path");
    let method = method.parse().expect("a method");
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let authorization = authorization.map(str::as_bytes);
    admin.answer(&Question { door, method: &method, path, query, authorization, body: body.as_bytes() })
}

async fn body(response: Response<Full<Bytes>>) -> String {
    let bytes = response.into_body().collect().await.expect("a body in memory cannot fail").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn statuses_follow_path_method_and_door() {
    fn check(token: Option<&str>, door: Door, request: &str, authorization: Option<&str>, expected: u16) {
        let response = ask(&admin(token), door, request, authorization);
        assert_eq!(response.status().as_u16(), expected, "{token:?} {door:?} {request} {authorization:?}");
        let problem = response.headers()[CONTENT_TYPE] == "application/problem+json";
        assert_eq!(problem, expected >= 400, "{request}");
    }
    for path in ["/metrics", "/healthz", "/readyz"] {
        check(None, Door::Tcp, &format!("GET {path}"), None, 200);
        check(None, Door::Unix, &format!("HEAD {path}"), None, 200);
        check(None, Door::Tcp, &format!("POST {path}"), None, 405);
    }
    check(None, Door::Unix, "GET /status", None, 200);
    check(None, Door::Tcp, "GET /status", None, 403);
    check(Some("s3cret"), Door::Tcp, "GET /status", None, 401);
    check(Some("s3cret"), Door::Tcp, "GET /status", Some("Bearer wrong"), 401);
    check(Some("s3cret"), Door::Tcp, "GET /status", Some("Bearer s3cret"), 200);
    check(None, Door::Unix, "POST /v1/reload", None, 200);
    check(None, Door::Unix, "POST /v1/reload?wait=true", None, 200);
    check(None, Door::Unix, "POST /v1/reload?wait=maybe", None, 400);
    check(None, Door::Unix, "GET /v1/reload", None, 405);
    check(None, Door::Tcp, "POST /v1/reload", None, 403);
    check(Some("s3cret"), Door::Tcp, "POST /v1/reload", None, 401);
    check(Some("s3cret"), Door::Tcp, "POST /v1/reload", Some("Bearer s3cret"), 200);
    check(None, Door::Unix, "GET /", None, 404);
    check(None, Door::Tcp, "GET /metrics/", None, 404);
    check(None, Door::Unix, "DELETE /status", None, 405);
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let check = |request: &str, expected: &str| {
        assert_eq!(ask(&admin(None), Door::Unix, request, None).headers()[ALLOW], expected, "{request}");
    };
    check("POST /status", "GET, HEAD");
    check("GET /v1/reload", "POST");
}

#[tokio::test]
async fn a_reload_is_answered_with_what_came_of_it() {
    let mut admin = admin(None);
    let text = body(ask(&admin, Door::Unix, "POST /v1/reload?wait=true", None)).await;
    assert_eq!(serde_json::from_str::<Reloaded>(&text).expect("JSON"), reloaded(Wait::Everywhere));

    let mistakes = Mistakes { text: "error: no\n".to_owned(), errors: vec!["no".into()] };
    let refused = mistakes.clone();
    admin.reload = Box::new(move |_| Some(Err(refused.clone())));
    let response = ask(&admin, Door::Unix, "POST /v1/reload", None);
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let text = body(response).await;
    assert_eq!(serde_json::from_str::<Mistakes>(&text).expect("JSON"), mistakes);

    admin.reload = Box::new(|_| None);
    let response = ask(&admin, Door::Unix, "POST /v1/reload", None);
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "the daemon is ending");
}

#[test]
fn readiness_fails_while_health_holds() {
    let admin = admin(None);
    admin.readiness.fail();
    assert_eq!(ask(&admin, Door::Unix, "GET /readyz", None).status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ask(&admin, Door::Unix, "GET /healthz", None).status(), StatusCode::OK);
}

#[tokio::test]
async fn problems_say_what_to_do() {
    let text = body(ask(&admin(None), Door::Tcp, "GET /status", None)).await;
    let problem: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(problem["status"], 403);
    assert_eq!(problem["title"], "Forbidden");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("admin.token")), "{problem}");
}

#[tokio::test]
async fn metrics_hold_data_plane_process_and_build() {
    let text = body(ask(&admin(None), Door::Tcp, "GET /metrics", None)).await;
    for name in
        ["fulcrum_http_requests_total 0", "fulcrum_process_open_fds ", "fulcrum_build_info{version=\""]
    {
        assert!(text.contains(name), "{name}: {text}");
    }
}

#[tokio::test]
async fn status_is_the_document() {
    let text = body(ask(&admin(None), Door::Unix, "GET /status", None)).await;
    assert_eq!(serde_json::from_str::<StatusDocument>(&text).expect("the document"), document());
}

#[tokio::test]
async fn orders_are_answered_with_the_endpoint() {
    async fn check(request: &str, sent: &str, expected: (u16, &str)) {
        let target = "/v1/services/shop/endpoints/unix:%2Fa.sock/override";
        let request = request.replace("TARGET", target);
        let response = put(&admin(None), Door::Unix, &request, (None, sent));
        let status = response.status().as_u16();
        let text = body(response).await;
        assert_eq!(status, expected.0, "{request} {sent}: {text}");
        assert!(text.contains(expected.1), "{request} {sent}: {text}");
    }
    let drain = r#"{"state":"drain","reason":"disk"}"#;
    check(
        "PUT TARGET",
        drain,
        (200, r#""override":{"state":"drain","weight":null,"reason":"disk","until":null}"#),
    )
    .await;
    check("DELETE TARGET", "", (200, r#""override":null"#)).await;
    check("PUT TARGET", "", (400, "EOF")).await;
    check("PUT TARGET", r#"{"weight":0}"#, (400, "nonzero")).await;
    check("GET TARGET", "", (405, "")).await;
    check("PUT /v1/services/shop/endpoints/x/override", drain, (404, "unix:/a.sock")).await;
    check("DELETE /v1/services/shop/endpoints/x/override", "", (404, "unix:/a.sock")).await;
    check("PUT /v1/services/bar/endpoints/x/override", drain, (404, "there is shop")).await;
    check("PUT /v1/services/a%20b/endpoints/x/override", drain, (404, "a b")).await;
}

#[test]
fn orders_need_the_token_over_tcp() {
    let request = "PUT /v1/services/shop/endpoints/unix:%2Fa.sock/override";
    let check = |token: Option<&str>, authorization: Option<&str>, expected: u16| {
        let response = put(&admin(token), Door::Tcp, request, (authorization, r#"{"weight":2}"#));
        assert_eq!(response.status().as_u16(), expected, "{token:?} {authorization:?}");
    };
    check(None, None, 403);
    check(Some("s3cret"), None, 401);
    check(Some("s3cret"), Some("Bearer wrong"), 401);
    check(Some("s3cret"), Some("Bearer s3cret"), 200);
}
