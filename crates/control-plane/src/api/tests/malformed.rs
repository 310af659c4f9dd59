//! Whatever comes in: never 500, never a change, and the next request is answered.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::*;

/// Sends bytes, and reads what comes back until the connection ends or nothing more comes.
async fn throw(world: &World, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(world.address).await.expect("it listens");
    let mut answer = Vec::new();
    if stream.write_all(bytes).await.is_ok() && stream.shutdown().await.is_ok() {
        let _ = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.expect("it ends");
    }
    answer
}

fn statuses(answer: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answer);
    let status = |rest: &str| rest.get(..3).and_then(|digits| digits.parse().ok());
    text.split("HTTP/1.1 ").skip(1).filter_map(status).collect()
}

#[tokio::test]
async fn bytes_that_are_no_request() {
    let world = World::plain().await;
    let mut rng = Rng::from_seed(7);
    let request = b"PUT /v1/services/web/instances/a/lease?x=%41 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}";
    let mut answered = 0;
    for _ in 0..300 {
        let mut bytes = request.to_vec();
        for _ in 0..=rng.below(6) {
            let at = rng.below(bytes.len() as u32) as usize;
            match rng.below(3) {
                0 => bytes[at] = rng.next_u64() as u8,
                1 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, rng.next_u64() as u8),
            }
        }
        let answer = throw(&world, &bytes).await;
        let statuses = statuses(&answer);
        assert!(statuses.iter().all(|status| *status < 500), "{bytes:?}: {answer:?}");
        answered += usize::from(!statuses.is_empty());
    }
    assert!(answered > 150, "most are answered: {answered}");
    let huge = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(20 << 10));
    assert_eq!(statuses(&throw(&world, huge.as_bytes()).await), [431]);
    let many = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: 1\r\n".repeat(200));
    assert_eq!(statuses(&throw(&world, many.as_bytes()).await), [431]);
    assert_eq!(world.sequence(), 0);
    world.call("GET /healthz", "").await.is(200, "");
    world.end().await;
}

#[tokio::test]
async fn bodies_that_are_no_documents() {
    let world = World::plain().await;
    world.register("a", json!({})).await.is(201, "");
    let before = world.sequence();
    let mut rng = Rng::from_seed(11);
    let lines = [
        (format!("PUT {WEB}/b"), r#"{"port":"#),
        (format!("PUT {WEB}/a/lease"), r#"{"epoch":"#),
        (format!("PUT {WEB}/a/override"), r#"{"state":"#),
        ("POST /v1/heartbeats".to_owned(), r#"{"beats":[{"s":"web","i":"#),
    ];
    for (line, beginning) in &lines {
        let depth = format!("{beginning}{}", "[".repeat(10_000));
        let half = format!("{beginning}\"\\ud800\"");
        let fixed: [&[u8]; 8] = [
            b"null",
            b"[]",
            b"\"x\"",
            b"{",
            b"{\"port\":\xff\xfe}",
            beginning.as_bytes(),
            depth.as_bytes(),
            half.as_bytes(),
        ];
        for body in fixed {
            let reply = world.call_with(line, &[], body.to_vec()).await;
            // A heartbeat may say what nobody knows.
            let is_strange = reply.status == 400;
            assert!(is_strange, "{line} {:?}: {reply:?}", String::from_utf8_lossy(body));
            assert!(reply.json()["line"].is_u64() && reply.json()["column"].is_u64(), "{reply:?}");
        }
        for _ in 0..100 {
            let mut body = beginning.as_bytes().to_vec();
            body.extend((0..rng.below(40)).map(|_| rng.next_u64() as u8));
            assert_eq!(world.call_with(line, &[], body).await.status, 400);
        }
    }
    assert_eq!(world.sequence(), before);
    world.end().await;
}

#[tokio::test]
async fn paths_and_queries_that_make_no_sense() {
    let world = World::plain().await;
    let check = async |line: &str, status: u16, code: &str| world.call(line, "").await.is(status, code);
    check("GET /", 404, "not_found").await;
    check("GET /v1/services/web", 404, "not_found").await;
    check("PUT /v1/services/a%2Fb/instances/x", 400, "name").await;
    check("GET /v1/services/web/instances/a%zz", 400, "encoding").await;
    check("GET /v1/services/web/instances/%ff", 400, "encoding").await;
    check(&format!("GET /v1/services/{}/instances", "x".repeat(64)), 400, "name").await;
    check(&format!("GET {WEB}/{}", "x".repeat(201)), 400, "name").await;
    check(&format!("GET {WEB}?since=-1"), 400, "query").await;
    check(&format!("GET {WEB}?since=1&since=2"), 400, "query").await;
    check(&format!("GET {WEB}?wait=99999999999999999999h&since=1"), 400, "query").await;
    check("GET /v1/audit?since=x", 400, "query").await;
    check("GET /v1/watch?service=a%20b", 400, "name").await;
    check("GET /v1/watch?servcie=a", 400, "query").await;
    check(&format!("PUT {WEB}/.."), 400, "name").await;
    check(&format!("PUT {WEB}/%2e"), 400, "name").await;
    check("PUT /v1/services/../instances/a", 400, "name").await;
    check("DELETE /v1/heartbeats", 405, "method").await;
    check("PATCH /v1/services/web/instances/a", 405, "method").await;
    world.end().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let world = World::plain().await;
    let half =
        b"PUT /v1/services/web/instances/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{\"po";
    assert_eq!(statuses(&throw(&world, half).await), [408]);
    assert_eq!(world.sequence(), 0);
    world.end().await;
}
