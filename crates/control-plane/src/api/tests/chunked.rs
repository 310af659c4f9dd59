//! Bodies in chunks: what is behind them is the next request, and behind those that break there is none.

use std::pin::pin;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::super::chunks::Chunks;
use super::heads::{BEATS, GOOD, answers, counted, in_chunks, send};
use super::*;

#[tokio::test]
async fn two_lengths_are_seen_behind_a_body_in_chunks_whenever_they_come() {
    let world = World::plain().await;
    let before = world.refused("malformed");
    let mut stream = TcpStream::connect(world.address).await.expect("it listens");
    // Were this body counted twice, the head that follows would be taken for it.
    let long = format!("{BEATS}{}", " ".repeat(200));
    let front = in_chunks("/v1/heartbeats", BEATS) + &counted("/v1/heartbeats", &long);
    stream.write_all(front.as_bytes()).await.expect("it reads");
    let mut said = Vec::new();
    while said.windows(4).filter(|four| four == b"\r\n\r\n").count() < 2 {
        assert_ne!(stream.read_buf(&mut said).await.expect("an answer"), 0, "it does not end");
    }
    let both =
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    for piece in [&both[..1], &both[1..], "0\r\n\r\n", GOOD] {
        // It is answered as soon as its head is there.
        let _ = stream.write_all(piece.as_bytes()).await;
    }
    stream.read_to_end(&mut said).await.expect("it ends well");
    let statuses: Vec<_> = answers(&said).into_iter().map(|answer| answer.0).collect();
    assert_eq!(statuses, [200, 200, 400]);
    assert_eq!(world.refused("malformed"), before + 1);
    world.end().await;
}

#[tokio::test]
async fn nothing_behind_broken_chunks_is_a_request() {
    let world = World::plain().await;
    let whole = in_chunks("/v1/heartbeats", BEATS);
    let (head, _) = whole.split_once("\r\n\r\n").expect("a head");
    for broken in [
        "x\r\n",
        "\r\n",
        "2\n{}\r\n",
        "2;x\n{}\r\n",
        "3\r\n{}\r\n",
        "1\r\n{}\r\n",
        "2\r\n{}\n",
        "0\n",
        "10000000000000002\r\n{}\r\n",
        "2\r\n{}\r\n0\r\n\r\r\n",
        "2\r\n{}\r\n0\r\nX: y\r\r\n",
    ] {
        for front in ["", &whole] {
            let bytes = format!("{front}{head}\r\n\r\n{broken}0\r\n\r\n{GOOD}{GOOD}");
            let found = answers(&send(&world, bytes.as_bytes()).await);
            let statuses: Vec<_> = found.iter().map(|answer| answer.0).collect();
            let expected: &[u16] = if front.is_empty() { &[400] } else { &[200, 400] };
            assert_eq!(statuses, expected, "{broken:?}: {found:?}");
        }
    }
    world.end().await;
}

/// Whether the library takes this for a whole body, and nothing comes behind it.
async fn is_whole(body: &[u8]) -> bool {
    let (mut client, server) = duplex(64 << 10);
    let head = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.write_all(&[head, body].concat()).await.expect("there is room");
    client.shutdown().await.expect("it is open");
    let is_whole = std::sync::atomic::AtomicBool::new(false);
    let service = hyper::service::service_fn(|request: Request<Incoming>| async {
        let read = request.into_body().collect().await;
        is_whole.store(read.is_ok(), std::sync::atomic::Ordering::Relaxed);
        Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
    });
    let _ = pin!(server::http().serve_connection(TokioIo::new(server), service)).await;
    is_whole.into_inner()
}

/// If the library saw an end where we see none, it would take what is behind it for a request that nobody has looked at.
#[test]
fn a_body_ends_where_the_library_ends_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let piece = prop::sample::select(vec![
        "0",
        "1",
        "3",
        "a",
        "F",
        "\r\n",
        "\r\n",
        "\r\n",
        "\r",
        "\n",
        " ",
        ";",
        "x",
        "X: y\r\n",
        "0\r\n\r\n",
        "1\r\na\r\n",
        "3;x\r\nabc\r\n",
        "ffffffffffffffff",
        "00000000000000000001\r\n",
    ]);
    let bodies = prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat());
    let config = ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() };
    let checked = TestRunner::new(config).run(&(bodies, any::<bool>()), |(mut body, is_ended)| {
        if is_ended {
            body += "0\r\n\r\n";
        }
        let end = Chunks::default().end(body.as_bytes());
        let library = |length: usize| runtime.block_on(is_whole(&body.as_bytes()[..length]));
        prop_assert!(end.is_some() || !library(body.len()), "only the library ends {:?}", body);
        if let Some(end) = end {
            prop_assert!(!library(end - 1), "the library ends {:?} before {}", body, end);
        }
        Ok(())
    });
    checked.expect("they agree");
}
