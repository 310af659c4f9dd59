//! What happens at the limits.

use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::core::Collector as _;
use prometheus::{Encoder, TextEncoder};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::super::body::{Body, Feed, Next, PAGE};
use super::super::pace::{Pace, Paced};
use super::*;
use crate::metrics::Collector;

#[tokio::test]
async fn registrations_are_limited_and_heartbeats_are_not() {
    let world = World::start(Settings { register_rate: 2, ..Settings::default() }, Limits::default()).await;
    world.register("a", json!({})).await.is(201, "");
    world.register("b", json!({})).await.is(201, "");
    let refused = world.register("c", json!({})).await;
    refused.is(429, "rate");
    let after: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=3).contains(&after), "{after}");
    assert!(refused.json()["retry_after_ms"].as_u64().expect("a number") <= after * 1000);
    for _ in 0..50 {
        world.call(&format!("PUT {WEB}/a/lease"), "").await.is(200, "");
    }
    assert_eq!(world.refused("rate"), 1);
    world.end().await;
}

#[tokio::test]
async fn registrations_are_shared_fairly() {
    let token = |name, secret: &str| {
        Arc::new(Token::new(name, secret.as_bytes(), vec![Grant::of("register:*")], Vec::new()))
    };
    let tokens = vec![token("greedy", "gr33dy"), token("web", "s3cret")];
    let settings = Settings { tokens, register_rate: 2, ..Settings::default() };
    let mut world = World::start(settings, Limits::default()).await;
    world.token = Some("s3cret");
    world.register("a", json!({})).await.is(201, "");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    world.token = Some("gr33dy");
    world.register("b", json!({})).await.is(201, "");
    world.register("c", json!({})).await.is(429, "rate");
    world.token = Some("s3cret");
    world.register("d", json!({})).await.is(201, "");
    world.end().await;
}

#[tokio::test]
async fn connections_are_limited_and_those_that_watch_apart() {
    let limits = Limits { connections: 1, watchers: 1 };
    let world = World::start(Settings::default(), limits).await;
    let ended = || world.api.counters.connections_ended();
    let mut silent = TcpStream::connect(world.address).await.expect("the kernel takes it");
    world.call("GET /healthz", "").await.is(200, "");
    let read = silent.read(&mut [0; 1]).await;
    assert!(matches!(read, Ok(0) | Err(_)), "who asks nothing makes room: {read:?}");
    assert_eq!((ended()[1], ended()[2].1 >= 1), (("source_limit", 0), true));
    let watching = world.send(("GET", "/v1/watch"), &[], "").await;
    assert_eq!(watching.status(), 200);
    let refused = world.call("GET /v1/watch", "").await;
    refused.is(503, "overload");
    assert!(refused.header("retry-after").parse::<u64>().expect("seconds") >= 1);
    assert_eq!(refused.header("connection"), "close");
    world.call(&format!("GET {WEB}?wait=1s&since=0"), "").await.is(503, "overload");
    drop(watching);
    drop(world.api.watchers.acquire().await);
    world.end().await;
}

#[tokio::test]
async fn bodies_are_limited() {
    let world = World::plain().await;
    let large = format!(r#"{{"port":80,"later":"{}"}}"#, "x".repeat(64 << 10));
    world.call(&format!("PUT {WEB}/a"), &large).await.is(413, "too_large");
    world.call(&format!("PUT {WEB}/a/lease"), &large).await.is(413, "too_large");
    let beats = format!(r#"{{"beats":[],"later":"{}"}}"#, "x".repeat(1 << 20));
    world.call("POST /v1/heartbeats", &beats).await.is(200, "");
    let beats = format!(r#"{{"beats":[],"later":"{}"}}"#, "x".repeat(8 << 20));
    let head =
        format!("POST /v1/heartbeats HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", beats.len());
    let mut stream = TcpStream::connect(world.address).await.expect("it listens");
    let (mut reader, mut writer) = stream.split();
    let send = async {
        // It may be answered before it is whole.
        let _ = writer.write_all(format!("{head}{beats}").as_bytes()).await;
    };
    let mut answer = [0; 12];
    let (_, read) = tokio::join!(send, reader.read_exact(&mut answer));
    read.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 413");
    assert_eq!(world.sequence(), 0);
    world.end().await;
}

#[tokio::test]
async fn no_caller_has_all_places_of_large_bodies() {
    let token = |name, secret: &str| {
        Arc::new(Token::new(name, secret.as_bytes(), vec![Grant::of("register:*")], Vec::new()))
    };
    let tokens = vec![token("greedy", "gr33dy"), token("web", "s3cret")];
    let world = World::start(Settings { tokens, ..Settings::default() }, Limits::default()).await;
    let head = "POST /v1/heartbeats HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer gr33dy\r\nContent-Length: 99999\r\n\r\n";
    let begin = async |bytes: usize| {
        let mut stream = TcpStream::connect(world.address).await.expect("it listens");
        let sent = format!("{head}{}", "x".repeat(bytes));
        stream.write_all(sent.as_bytes()).await.expect("it is taken");
        stream
    };
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(begin(1000).await);
    }
    let beats = format!(r#"{{"beats":[],"later":"{}"}}"#, "x".repeat(100_000));
    let beat = async || {
        let headers = [("authorization", "Bearer s3cret")];
        let answer = world.call_with("POST /v1/heartbeats", &headers, beats.clone());
        tokio::time::timeout(Duration::from_secs(5), answer).await.expect("there is a place").is(200, "");
    };
    beat().await;
    assert_eq!(world.api.large_bodies.free(), 16, "what has not come needs no place");
    for _ in 0..20 {
        held.push(begin(90_000).await);
    }
    let full = async {
        while world.api.large_bodies.free() != 8 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), full).await.expect("half of the places are for others");
    beat().await;
    drop(held);
    world.end().await;
}

/// Counts the pages that are made of it.
struct Endless(Arc<AtomicUsize>);

impl Feed for Endless {
    fn next(self: Box<Self>) -> Next {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Some((self as Box<dyn Feed>, Bytes::from(vec![b'x'; PAGE]))) })
    }
}

#[tokio::test(start_paused = true)]
async fn who_watches_and_does_not_read_costs_few_pages_and_is_closed() {
    let made = Arc::new(AtomicUsize::new(0));
    let (mut client, server) = duplex(PAGE);
    let pace = Arc::new(Pace::default());
    let paced = Paced::new(server, Arc::clone(&pace));
    let service = {
        let (made, pace) = (Arc::clone(&made), Arc::clone(&pace));
        hyper::service::service_fn(move |_| {
            let (feed, turn) = (Endless(Arc::clone(&made)), pace.begin(0));
            let body = Body::feed(Box::new(feed)).holding(turn);
            async { Ok::<_, std::convert::Infallible>(Response::new(body)) }
        })
    };
    client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("there is room");
    let began = tokio::time::Instant::now();
    let served = server::http().serve_connection(TokioIo::new(paced), service).await;
    assert!(served.is_err(), "it does not go on for ever");
    assert_eq!(began.elapsed(), Duration::from_secs(30));
    assert!(pace.was_too_slow());
    assert!(made.load(Ordering::Relaxed) <= 6, "{made:?} pages were made for a client that reads none");
}

#[tokio::test(start_paused = true)]
async fn a_slow_watcher_is_counted() {
    let world = World::plain().await;
    let meta: serde_json::Map<_, _> = (0..32).map(|key| (key.to_string(), "v".repeat(1000).into())).collect();
    for place in 0..400 {
        world.register(&format!("i{place}"), json!({"meta": meta})).await.is(201, "");
    }
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a size");
    let mut stream = socket.connect(world.address).await.expect("it listens");
    stream.write_all(b"GET /v1/watch HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it is sent");
    while world.api.counters.connections_ended()[4].1 == 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(world.api.counters.connections_ended()[3], ("slow_client", 0));
    assert_eq!(world.api.watchers.available_permits(), Limits::default().watchers);
    world.end().await;
}

#[tokio::test]
async fn everything_is_counted() {
    let world = World::plain().await;
    world.register("a", json!({})).await.is(201, "");
    world.call("PUT /v1/services/web/instances/a/lease", "").await.is(200, "");
    world.call("PUT /v1/services/web/instances/b/lease", "").await.is(404, "unknown");
    world.call("GET /nothing", "").await.is(404, "not_found");
    let wrong = world.call("POST /v1/services", "").await;
    wrong.is(405, "method");
    assert_eq!(wrong.header("allow"), "GET, HEAD");
    let collector = Collector::new(Arc::clone(&world.api)).expect("names that can be");
    let mut text = Vec::new();
    let families = collector.collect();
    assert_eq!(families.len(), 16);
    TextEncoder::new().encode(&families, &mut text).expect("it can be written");
    let text = String::from_utf8(text).expect("UTF-8");
    for line in [
        "fulcrum_registry_instances 1",
        "fulcrum_registry_services 1",
        "fulcrum_registry_suspects 0",
        "fulcrum_registry_writable 1",
        "fulcrum_registry_frozen 0",
        "fulcrum_registry_heartbeats_total{result=\"renewed\"} 1",
        "fulcrum_registry_heartbeats_total{result=\"unknown\"} 1",
        "fulcrum_registry_events_total 1",
        "fulcrum_registry_commits_total 1",
        "fulcrum_registry_evictions_total 0",
        "fulcrum_registry_requests_total{code=\"2xx\",route=\"/v1/services/{service}/instances/{id}\"} 1",
        "fulcrum_registry_requests_total{code=\"4xx\",route=\"other\"} 1",
        "fulcrum_registry_refused_total{reason=\"method\"} 1",
        "fulcrum_registry_refused_total{reason=\"not_found\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    let described: Vec<_> = collector.desc().iter().map(|desc| desc.fq_name.clone()).collect();
    assert!(families.iter().all(|family| described.contains(&family.name().to_owned())));
    world.end().await;
}
