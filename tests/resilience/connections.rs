//! How many connections an endpoint has, over all workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::harness::{Client, Conversation, Setup, Upstream, ok};

/// An upstream that knows the most connections that it ever had at a time.
fn counting(most: &Arc<AtomicUsize>) -> Upstream {
    let (most, now) = (Arc::clone(most), AtomicUsize::new(0));
    Upstream::new(move |mut conversation: Conversation| {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        while conversation.request().is_some() {
            conversation.send(ok("app"));
        }
        now.fetch_sub(1, Ordering::SeqCst);
    })
}

#[track_caller]
fn check_bound(bound: usize, workers: usize) {
    let most = Arc::default();
    let upstream = counting(&most);
    let fulcrum = Setup::new(&upstream)
        .service(&format!("limits: {{ max_connections: {bound} }}"))
        .top(&format!("workers: {workers}"))
        .start();
    let address = fulcrum.address();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut client = Client::connect(address);
                for _ in 0..25 {
                    let response = client.get("/");
                    assert_eq!(response.status, 200, "{}", response.text());
                }
            });
        }
    });
    assert_eq!(upstream.requests().len(), 400);
    let most = most.load(Ordering::SeqCst);
    // The endpoint learns of an end a moment after us.
    assert!(most <= bound + workers, "{most} connections at a time");
    assert!(!fulcrum.metrics().has("fulcrum_http_errors_total", &[]));
}

#[test]
fn no_endpoint_gets_more_connections_than_it_may_have() {
    check_bound(1, 1);
    check_bound(4, 1);
    check_bound(1, 2);
    check_bound(4, 2);
}
