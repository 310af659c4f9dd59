//! What is under way does not notice a reload; what comes next follows it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use super::reload::saying;
use crate::harness::{
    Client, Conversation, DEADLINE, Failure, Fulcrum, Setup, Socket, Upstream, eventually, ok,
};

#[track_caller]
fn await_refusal(address: &str) {
    eventually("new connections are refused", || Socket::connect(address).is_err().then_some(()));
}

#[test]
fn an_idle_connection_follows_the_new_routes() {
    let fulcrum = Fulcrum::start(&saying("one"));
    let mut client = fulcrum.connect();
    assert_eq!(client.get("/").text(), "one");
    for word in ["two", "three"] {
        fulcrum.change(&saying(word));
        let response = client.get("/");
        assert_eq!(response.text(), word);
        assert!(!response.head.lists("connection", "close"), "{:?}", response.head);
    }
    assert_eq!(fulcrum.metric("fulcrum_http_connections_total", &[]), 1.0);
}

#[test]
fn listeners_come_and_go() {
    let both = saying("one").replace("routes:", "  api: { bind: \"127.0.0.2:0\" }\nroutes:");
    let fulcrum = Fulcrum::start(&saying("one"));
    fulcrum.change(&both);
    let api = fulcrum.address_of("api");
    let mut kept = Client::connect(&api);
    assert_eq!(kept.get("/").text(), "one");

    fulcrum.change(&saying("two"));
    await_refusal(&api);
    let last = kept.get("/");
    assert_eq!(last.status, 200, "{:?}", last.head);
    assert!(last.head.lists("connection", "close"), "{:?}", last.head);
    kept.assert_closed();
    assert_eq!(fulcrum.get("/").text(), "two", "the other listener goes on");
}

#[test]
fn a_request_ends_by_what_it_began_with() {
    let (arrived, has_arrived) = channel();
    let (release, gate) = channel::<()>();
    let shared = Mutex::new((arrived, gate));
    let upstream = Upstream::new(move |mut conversation| {
        while conversation.request().is_some() {
            let (arrived, gate) = &*shared.lock().expect("nobody panics with it");
            let _ = arrived.send(());
            if gate.recv().is_err() {
                return;
            }
            conversation.send(ok("old"));
        }
    });
    let fulcrum = Setup::new(&upstream).start();
    let mut client = fulcrum.connect();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    has_arrived.recv_timeout(DEADLINE).expect("the request arrives");
    fulcrum.change(&saying("new"));
    assert_eq!(fulcrum.get("/").text(), "new");
    release.send(()).expect("the upstream waits");
    assert_eq!(client.response().text(), "old");
    assert_eq!(client.get("/").text(), "new");
    assert!(!fulcrum.metrics().has("fulcrum_http_errors_total", &[]));
}

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

/// Switches protocols for `/chat` and echoes; for anything else sends a byte of a long body whenever it is told to.
fn long_lived(mut conversation: Conversation, beat: &Mutex<Receiver<()>>) {
    let Some(request) = conversation.request() else { return };
    if request.target() == "/chat" {
        conversation.send(SWITCHING);
        while let Ok(bytes) = conversation.wire.some() {
            conversation.send(bytes);
        }
        return;
    }
    conversation.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {RELOADS}\r\n\r\n"));
    for _ in 0..RELOADS {
        if beat.lock().expect("nobody panics with it").recv().is_err() {
            return;
        }
        conversation.send("x");
    }
}

#[test]
fn a_tunnel_and_a_download_live_through_many_reloads() {
    let (beat, beats) = channel();
    let beats = Mutex::new(beats);
    let upstream = Upstream::new(move |conversation| long_lived(conversation, &beats));
    let setup = Setup::new(&upstream);
    let fulcrum = setup.start();
    let mut tunnel = fulcrum.connect();
    tunnel.send(UPGRADE);
    assert_eq!(tunnel.wire.head().expect("a head").word(1), "101");
    let mut download = fulcrum.connect();
    download.send("GET /download HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(download.wire.head().expect("a head").word(1), "200");

    for number in 0..RELOADS {
        let other = setup.clone().route(&format!("{{ path: /{number}, respond: {{ status: 204 }} }}"));
        // The last one no longer knows of the service that they came by.
        let yaml = if number == RELOADS - 1 { saying("gone") } else { other.route("{ to: app }").yaml() };
        fulcrum.change(&yaml);
        tunnel.send("ping");
        assert_eq!(tunnel.wire.exactly(4), Ok(b"ping".to_vec()), "after reload {number}");
        beat.send(()).expect("the upstream waits");
        assert_eq!(download.wire.exactly(1), Ok(b"x".to_vec()), "after reload {number}");
    }
    assert!(fulcrum.generation() > RELOADS as u64);
    eventually("old generations are freed", || {
        (fulcrum.metric("fulcrum_config_generations_alive", &[]) <= 2.0).then_some(())
    });
    tunnel.send("pong");
    assert_eq!(tunnel.wire.exactly(4), Ok(b"pong".to_vec()), "it holds no generation");
    tunnel.end_sending();
    assert_eq!(tunnel.wire.until_end(), (Vec::new(), Failure::Closed));
}

/// Enough to lose something by, few enough for seconds.
const RELOADS: usize = 20;

/// Posts without a pause on one connection; how often.
fn post_until(done: &AtomicBool, mut client: Client) -> usize {
    let (start, mut served) = (Instant::now(), 0);
    // Whoever says that it is done may fail before that.
    while !done.load(Ordering::Relaxed) && start.elapsed() < 6 * DEADLINE {
        let response = client.ask("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nhi");
        assert_eq!((response.status, response.text().as_str()), (200, "app"));
        served += 1;
    }
    served
}

#[test]
fn no_request_is_lost_in_reloads() {
    let upstreams = [Upstream::named("app"), Upstream::named("app")];
    let one = Setup::new(&upstreams[0]);
    let two = one.clone().endpoint(upstreams[1].address());
    let fulcrum = one.start();
    let done = AtomicBool::new(false);
    let served = thread::scope(|scope| {
        let clients = [(); 3].map(|()| {
            let client = fulcrum.connect();
            scope.spawn(|| post_until(&done, client))
        });
        for number in 0..RELOADS {
            fulcrum.change(&if number % 2 == 0 { two.yaml() } else { one.yaml() });
        }
        done.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().expect("no request fails")).sum::<usize>()
    });
    let received: usize = upstreams.iter().map(|upstream| upstream.requests().len()).sum();
    assert_eq!(received, served, "each request arrived once");
    assert_eq!(fulcrum.metric("fulcrum_http_connections_total", &[]), 3.0, "no connection was closed");
}
