//! Endpoints that a request kills: they take no connection any more.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::harness::{Setup, Socket, Wire, ok};

/// A server that answers on one connection at a time, and ends with `/poison`: its connection, its socket and all.
fn mortal(deaths: &Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let deaths = Arc::clone(deaths);
    thread::spawn(move || {
        loop {
            let Ok((stream, _)) = listener.accept() else { return };
            let mut wire = Wire::new(Socket::Tcp(stream));
            while let Ok(head) = wire.head() {
                if head.word(1) == "/poison" {
                    deaths.fetch_add(1, Ordering::AcqRel);
                    // Before the connection ends: whoever notices that connects in vain.
                    drop(listener);
                    return;
                }
                let _ = wire.send(&ok("alive"));
            }
        }
    });
    address
}

/// A connection that breaks when it is used again looks stale, and its endpoint refuses the next one: nothing of that
/// says that the request was not seen.
#[test]
fn a_request_that_kills_endpoints_by_pooled_connections_kills_two() {
    let deaths = Arc::new(AtomicUsize::new(0));
    let setup = (0..5).fold(Setup::default(), |setup, _| setup.endpoint(&mortal(&deaths)));
    let fulcrum = setup.service("balance: round_robin").start();
    let mut client = fulcrum.connect();
    // Each has a connection in the pool.
    (0..5).for_each(|_| assert_eq!(client.get("/").text(), "alive"));
    assert_eq!(client.get("/poison").status, 502);
    assert_eq!(deaths.load(Ordering::Acquire), 2, "{}", fulcrum.record_of("/poison"));
}
