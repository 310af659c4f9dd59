//! Responses that come for long, when their endpoint leaves: removed, drained, in maintenance.

use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Client, Conversation, Fulcrum, Setup, Upstream, eventually, fulcrum, hold, ok};

/// `/events` are server-sent, of which there is one and then none; `/data` comes in pieces, always more; `/silent` begins
/// and stops; `/chat` is upgraded; the rest is answered at once.
fn endless(mut conversation: Conversation) {
    while let Some(request) = conversation.request() {
        let kind = match request.target() {
            "/events" => "text/event-stream",
            "/data" | "/silent" => "text/plain",
            "/chat" => {
                conversation.send(SWITCHING);
                conversation.until_closed();
                return;
            }
            _ => {
                conversation.send(ok("small"));
                continue;
            }
        };
        conversation.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        ));
        while request.target() == "/data" && conversation.wire.send(b"5\r\nhello\r\n").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
        conversation.until_closed();
        return;
    }
}

const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// A client that has the beginning of a response.
#[track_caller]
fn reading(daemon: &Fulcrum, target: &str) -> Client {
    reading_with(daemon, target, "X-None: none")
}

/// The same, asking with this field.
#[track_caller]
fn reading_with(daemon: &Fulcrum, target: &str, field: &str) -> Client {
    let mut client = daemon.connect();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n{field}\r\n\r\n"));
    assert!(client.wire.head().expect("a head").field("transfer-encoding").is_some());
    assert_eq!(client.wire.exactly(10).expect("a first piece"), b"5\r\nhello\r\n");
    client
}

/// The response breaks off: it has no last chunk.
#[track_caller]
fn check_broken(mut client: Client) {
    let (rest, _) = client.wire.until_end();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it ended as if it were whole");
}

#[test]
fn a_removed_endpoint_loses_its_responses_after_a_while() {
    let (old, new) = (Upstream::new(endless), Upstream::new(endless));
    let keys = "drain: { timeout: 2s }, timeouts: { response_idle: none }";
    let setup = |upstream: &Upstream| Setup::new(upstream).service(keys);
    let fulcrum = setup(&old).start();
    let (events, data) = (reading(&fulcrum, "/events"), reading(&fulcrum, "/data"));
    // Nothing more comes, so that nothing but the time can wake whoever waits for it.
    let silent = reading(&fulcrum, "/silent");
    let left = Instant::now();
    fulcrum.change(&setup(&new).yaml());
    let mut stays = reading(&fulcrum, "/events");
    check_broken(events);
    assert!(left.elapsed() >= Duration::from_secs(2), "{:?}", left.elapsed());
    check_broken(data);
    check_broken(silent);
    for target in ["/events", "/data", "/silent"] {
        assert_eq!(fulcrum.record_of(target)["reason"], "drain_timeout");
    }
    fulcrum.await_errors("drain_timeout", 3);
    eventually("the upstream is let go", || (old.open_connections() == 0).then_some(()));
    assert_eq!(fulcrum.metric("fulcrum_upstream_errors_total", &[]), 0.0, "no endpoint is to blame");
    stays.assert_silent(Duration::from_millis(100));
}

#[test]
fn a_draining_endpoint_serves_its_clients_beyond_the_time_of_what_it_had() {
    let upstream = Upstream::new(endless);
    let daemon = Setup::default()
        .endpoint(&format!("{{ id: blue, address: \"{}\" }}", upstream.address()))
        .service("sticky: cookie, drain: { timeout: 1s }")
        .top("state_dir: @DIR@/state")
        .start();
    let cookie = daemon.get("/").field("set-cookie").expect("a pin").split(';').next().map(str::to_owned);
    let cookie = format!("Cookie: {}", cookie.expect("a value"));
    let pinned = format!("GET / HTTP/1.1\r\nHost: test\r\n{cookie}\r\n\r\n");
    let events = reading(&daemon, "/events");
    let admin = daemon.admin();
    assert_eq!(fulcrum(["drain", "app/blue", "--admin", &admin]).code, Some(0));
    check_broken(events);
    let mut client = daemon.connect();
    hold("who belongs there is served there", Duration::from_secs(2), || client.ask(&pinned).status == 200);
    daemon.await_errors("drain_timeout", 1);
    // Whoever comes late has as long as the others had, and is not cut with the next look at the endpoint.
    for _ in 0..3 {
        let mut late = reading_with(&daemon, "/events", &cookie);
        let mut chat = daemon.connect();
        chat.send(format!(
            "GET /chat HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{cookie}\r\n\r\n"
        ));
        assert_eq!(chat.response().status, 101);
        late.assert_silent(Duration::from_millis(400));
        chat.assert_silent(Duration::from_millis(400));
        check_broken(late);
        assert!(chat.wire.until_end().0.is_empty());
    }
}

#[test]
fn a_response_may_go_on_for_ever_where_it_is_told_so() {
    let (old, new) = (Upstream::new(endless), Upstream::new(endless));
    let setup = |upstream: &Upstream| Setup::new(upstream).service("drain: { timeout: none }");
    let fulcrum = setup(&old).start();
    let mut events = reading(&fulcrum, "/events");
    fulcrum.change(&setup(&new).yaml());
    events.assert_silent(Duration::from_millis(2500));
    events.wire.socket.reset_on_close();
    drop(events);
    assert_eq!(fulcrum.record_of("/events")["reason"], "client_closed");
    eventually("the upstream is let go", || (old.open_connections() == 0).then_some(()));
}
