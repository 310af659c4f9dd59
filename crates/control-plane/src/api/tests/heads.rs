//! Heads that are none, and what is around them.

use std::convert::Infallible;
use std::pin::pin;

use http_body_util::Limited;
use hyper::body::Body as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, timeout};

use super::super::pace::{CHUNKED, Pace, Paced};
use super::super::turns::Turns;
use super::*;

pub(super) const BEATS: &str = r#"{"beats":[]}"#;

pub(super) const GOOD: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A request whose body has a length.
pub(super) fn counted(path: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// A request whose body comes in chunks.
pub(super) fn in_chunks(path: &str, body: &str) -> String {
    let (first, rest) = body.split_at(1);
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\
         1\r\n{first}\r\n{:x};x=y\r\n{rest}\r\n0\r\nX: y\r\n\r\n",
        rest.len(),
    )
}

/// Sends bytes and reads until the other side ends the connection; we do not.
pub(super) async fn send(world: &World, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(world.address).await.expect("it listens");
    let (mut reader, mut writer) = stream.split();
    let mut answer = Vec::new();
    let write = async {
        // It may be answered before it is whole.
        let _ = writer.write_all(bytes).await;
    };
    let read = timeout(Duration::from_secs(20), reader.read_to_end(&mut answer));
    let (read, ()) = tokio::join!(read, write);
    read.expect("it ends").expect("it ends well");
    answer
}

/// Takes answers apart: status, fields, body of each.
pub(super) fn answers(mut bytes: &[u8]) -> Vec<(u16, String, String)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        let head = String::from_utf8(bytes[..end].to_vec()).expect("UTF-8");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.expect("a length").parse().expect("a number");
        let body = String::from_utf8(bytes[end..end + length].to_vec()).expect("a whole body");
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        found.push((status.expect("a status").parse().expect("a number"), head, body));
        bytes = &bytes[end + length..];
    }
    found
}

/// What is said to who sends this, behind good requests: one problem, and the end.
async fn check(world: &World, good: &[&str], bytes: &str, status: u16, code: &str) {
    let before = (world.refused(code), refused_requests(world));
    let sent = format!("{}{bytes}", good.concat());
    let answers = answers(&send(world, sent.as_bytes()).await);
    let start: String = bytes.chars().take(60).collect();
    assert_eq!(answers.len(), good.len() + 1, "{start:?} behind {good:?}: {answers:?}");
    for (request, (status, _, body)) in good.iter().zip(&answers) {
        assert_eq!(
            (*status, body == "ok\n"),
            (200, *request == GOOD),
            "{request:?} before {start:?}: {body}"
        );
    }
    let (found, head, body) = &answers[good.len()];
    assert_eq!(*found, status, "{start:?}: {head}{body}");
    for field in ["content-type: application/problem+json", "connection: close", "date: "] {
        assert!(head.contains(&format!("\r\n{field}")), "{field}: {head}");
    }
    let document: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!((&document["status"], &document["code"]), (&json!(status), &json!(code)), "{start:?}");
    let members = document.as_object().expect("an object").keys().map(String::as_str);
    assert_eq!(members.collect::<Vec<_>>(), ["code", "detail", "status", "title", "type"]);
    assert_eq!((world.refused(code), refused_requests(world)), (before.0 + 1, before.1 + 1));
}

/// On all paths.
fn refused_requests(world: &World) -> u64 {
    let requests = world.api.counters.requests();
    requests.filter(|(_, class, _)| *class == "4xx").map(|(.., count)| count).sum()
}

#[tokio::test]
async fn a_head_that_is_none_is_answered_with_a_problem() {
    let world = World::plain().await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(100_000));
    let large = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(200_000));
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: 1\r\n".repeat(101));
    let with = |field: &str| format!("POST /healthz HTTP/1.1\r\nHost: localhost\r\n{field}\r\n\r\n0\r\n\r\n");
    let (chunked, counted) = (in_chunks("/v1/heartbeats", BEATS), counted("/v1/heartbeats", BEATS));
    let fronts: [&[&str]; 6] =
        [&[], &[GOOD], &[GOOD; 3], &[&chunked], &[&chunked, &counted], &[&counted, &chunked, GOOD, &chunked]];
    for good in fronts {
        check(&world, good, "nonsense\r\n\r\n", 400, "malformed").await;
        check(&world, good, "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\r\n\r\n", 400, "malformed").await;
        check(&world, good, "GET / HTTP/2.0\r\n\r\n", 400, "malformed").await;
        check(&world, good, "GET / HTTP/0.9\r\n\r\n", 400, "malformed").await;
        check(&world, good, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "malformed").await;
        check(&world, good, "GET / HTTP/1.1\r\nHost localhost\r\n\r\n", 400, "malformed").await;
        check(&world, good, "GET / HTTP/1.1\r\n Host: localhost\r\n\r\n", 400, "malformed").await;
        check(&world, good, "GET /\x01 HTTP/1.1\r\n\r\n", 400, "malformed").await;
        check(&world, good, &with("Content-Length: -1"), 400, "malformed").await;
        check(&world, good, &with("Content-Length: 1, 2"), 400, "malformed").await;
        check(&world, good, &with("Content-Length: 1\r\nContent-Length: 2"), 400, "malformed").await;
        check(&world, good, &with("Content-Length: 99999999999999999999"), 400, "malformed").await;
        check(&world, good, &with("Transfer-Encoding: gzip"), 400, "malformed").await;
        check(&world, good, &with("Content-Length: 5\r\nTransfer-Encoding: chunked"), 400, "malformed").await;
        check(&world, good, &with("Transfer-Encoding: chunked\r\nContent-Length: 5"), 400, "malformed").await;
        check(&world, good, &long, 414, "target_too_long").await;
        check(&world, good, &large, 431, "head_too_large").await;
        check(&world, good, &many, 431, "head_too_large").await;
    }
    assert_eq!(world.sequence(), 0);
    world.end().await;
}

#[tokio::test]
async fn a_large_body_that_nobody_reads_does_not_hide_the_answer() {
    let world = World::plain().await;
    let head =
        "PUT /v1/services/web/instances/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99000\r\n\r\n";
    let answers = answers(&send(&world, format!("{head}{}", "x".repeat(99_000)).as_bytes()).await);
    assert_eq!(answers.iter().map(|answer| answer.0).collect::<Vec<_>>(), [413]);
    world.end().await;
}

#[tokio::test]
async fn requests_in_one_go_are_answered_one_by_one() {
    let world = World::plain().await;
    let put = |body: &str| {
        let length = body.len();
        format!("PUT {WEB}/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let chunked = format!(
        "PUT {WEB}/b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{{\"port\":80}}\r\n0\r\n\r\n"
    );
    let bytes = [
        put(r#"{"port":8080}"#),
        "\r\n".to_owned(),
        GOOD.to_owned(),
        put("{\"port\":\n\n1}"),
        chunked,
        GOOD.to_owned(),
        put("{}"),
        "POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc".to_owned(),
        GOOD.to_owned(),
        "G\r\n\r\n".to_owned(),
    ];
    let found = answers(&send(&world, bytes.concat().as_bytes()).await);
    let statuses: Vec<_> = found.iter().map(|answer| answer.0).collect();
    assert_eq!(statuses, [201, 200, 201, 201, 200, 400, 405, 200, 400], "{found:?}");
    world.end().await;
}

/// What a client of a connection with our clocks does, and how long the connection is then waited for.
async fn lasts(bytes: &str) -> Duration {
    let world = World::plain().await;
    let (mut client, server) = duplex(64 << 10);
    let pace = Arc::new(Pace::default());
    let stream = Paced::new(server, Arc::clone(&pace));
    let stream: Turns<DuplexStream> = Turns::new(stream, Arc::clone(&pace), Arc::clone(&world.api));
    let service = hyper::service::service_fn(|request: Request<Incoming>| {
        let turn = pace.begin(request.body().size_hint().exact().unwrap_or(CHUNKED));
        async move {
            let _ = Limited::new(request.into_body(), 1 << 20).collect().await;
            Ok::<_, Infallible>(Response::new(Body::whole("ok\n").holding(turn)))
        }
    });
    client.write_all(bytes.as_bytes()).await.expect("there is room");
    let began = Instant::now();
    let served = pin!(server::http().serve_connection(TokioIo::new(stream), service));
    let _ = served.await;
    let elapsed = began.elapsed();
    let mut answer = vec![0; 5];
    client.read_exact(&mut answer).await.expect("it was answered");
    assert_eq!(answer, b"HTTP/");
    elapsed
}

#[tokio::test(start_paused = true)]
async fn half_a_head_behind_a_request_has_the_time_of_a_head() {
    let (counted, chunked) = (counted("/", "abc"), in_chunks("/", "abc"));
    let requests = [
        GOOD.to_owned(),
        GOOD.repeat(2),
        counted.replace("abc", "\n\r\n"),
        format!("{chunked}{counted}"),
        format!("{chunked}{chunked}{GOOD}"),
        format!("{counted}{chunked}"),
        chunked,
        counted,
    ];
    for request in requests {
        let idle = lasts(&request).await;
        assert_eq!(idle.as_secs(), 75, "{request:?}");
        for half in ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: localhost\r\n"] {
            let lasted = lasts(&format!("{request}{half}")).await;
            assert_eq!(lasted.as_secs(), 10, "{request:?} {half:?}");
        }
    }
}

/// The rest of a head may come when its answer can be read, not before.
#[tokio::test(start_paused = true)]
async fn half_a_head_waits_for_the_answer_before_it() {
    let world = World::plain().await;
    let (mut client, server) = duplex(1024);
    let pace = Arc::new(Pace::default());
    let stream = Paced::new(server, Arc::clone(&pace));
    let stream: Turns<DuplexStream> = Turns::new(stream, Arc::clone(&pace), Arc::clone(&world.api));
    let service = hyper::service::service_fn(|_: Request<Incoming>| {
        let body = Body::whole("x".repeat(8000)).holding(pace.begin(0));
        async move { Ok::<_, Infallible>(Response::new(body)) }
    });
    let served = server::http().serve_connection(TokioIo::new(stream), service);
    let slow = async {
        let mut said = vec![0; 100];
        client.write_all(GOOD.as_bytes()).await.expect("there is room");
        client.read_exact(&mut said).await.expect("the answer begins");
        client.write_all(&GOOD.as_bytes()[..20]).await.expect("there is room");
        tokio::time::sleep(Duration::from_secs(15)).await;
        let length = said.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4 + 8000;
        said.resize(length, 0);
        client.read_exact(&mut said[100..]).await.expect("the whole answer");
        tokio::time::sleep(Duration::from_secs(9)).await;
        client.write_all(&GOOD.as_bytes()[20..]).await.expect("it is waited for");
        client.read_to_end(&mut said).await.expect("the next answer, and an end");
        said
    };
    let (_, said) = tokio::join!(served, slow);
    let lengths: Vec<_> = answers(&said).into_iter().map(|(status, _, body)| (status, body.len())).collect();
    assert_eq!(lengths, [(200, 8000), (200, 8000)]);
}
