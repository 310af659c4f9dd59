//! What a backend answers, without sockets.

use super::*;

fn backend() -> Backend {
    Backend { name: HeaderValue::from_static("blue"), health: Health::default(), log: None }
}

/// Status and body of the answer to `METHOD /target`.
async fn ask(backend: &Backend, request: &str) -> (u16, String) {
    let (method, target) = request.split_once(' ').expect("METHOD /target");
    let request =
        Request::builder().method(method).uri(target).header("X-Color", "red").body(()).expect("valid");
    let (head, ()) = request.into_parts();
    let knobs = Knobs::parse(head.uri.query().unwrap_or_default());
    let response = backend.decide(&head, knobs, 5);
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a body of ours cannot fail").to_bytes();
    (status, String::from_utf8(body.to_vec()).expect("text"))
}

#[tokio::test]
async fn requests_are_echoed() {
    let (status, body) = ask(&backend(), "PUT /a/b?c=d").await;
    let echo: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(status, 200);
    assert_eq!(
        echo,
        json!({
            "backend": "blue", "method": "PUT", "target": "/a/b?c=d", "headers": [["x-color", "red"]], "body_bytes": 5
        })
    );
    assert!(body.ends_with('\n'));
}

#[tokio::test]
async fn knobs_change_the_answer() {
    let backend = backend();
    assert_eq!(ask(&backend, "GET /x?status=404").await.0, 404);
    assert_eq!(ask(&backend, "GET /x?bytes=30").await, (200, "abcdefghijklmnopqrstuvwxyzabcd".to_owned()));
    assert_eq!(ask(&backend, "GET /x?bytes=3&status=500&chunked=1").await, (500, "abc".to_owned()));
    assert_eq!(ask(&backend, "GET /x?status=soon").await.0, 400);
}

#[tokio::test]
async fn a_sick_backend_can_be_healed() {
    let backend = backend();
    assert_eq!(ask(&backend, "GET /healthz").await.0, 200);
    assert_eq!(ask(&backend, "POST /demo/sick?for=1h").await.0, 200);
    assert_eq!(ask(&backend, "GET /healthz").await.0, 503);
    assert_eq!(ask(&backend, "GET /x?status=200").await.0, 503);
    assert_eq!(ask(&backend, "GET /demo/well").await.0, 503);
    assert_eq!(ask(&backend, "POST /demo/well").await.0, 200);
    assert_eq!(ask(&backend, "GET /x").await.0, 200);
}
