//! The death of an endpoint at full load: what may not be repeated is not done twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::in_turn;
use crate::harness::{Client, Conversation, Upstream, ok};

const CLIENTS: usize = 64;

/// An upstream that dies on command: what it has taken is done, and never answered.
fn mortal(is_dead: &Arc<AtomicBool>) -> Upstream {
    let is_dead = Arc::clone(is_dead);
    Upstream::new(move |mut conversation: Conversation| {
        while conversation.request().is_some() {
            if is_dead.load(Ordering::Acquire) {
                return conversation.reset();
            }
            conversation.send(ok("done"));
        }
    })
}

#[test]
fn no_post_is_done_twice_when_an_endpoint_dies() {
    const EACH: usize = 40;
    let is_dead = Arc::default();
    let upstreams = [mortal(&is_dead), mortal(&Arc::default()), mortal(&Arc::default())];
    let all: Vec<&Upstream> = upstreams.iter().collect();
    let fulcrum = in_turn(&all).top("workers: 2").start();
    let (address, answered) = (fulcrum.address(), AtomicUsize::new(0));
    let ask = &|number: usize| {
        let mut client = Client::connect(address);
        let mut failed = Vec::new();
        for request in 0..EACH {
            let id = format!("/{number}/{request}");
            let answer =
                client.ask(format!("POST {id} HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nwork"));
            match answer.status {
                200 => {}
                502 => failed.push(id),
                status => panic!("{id}: {status} {}", answer.text()),
            }
            if answered.fetch_add(1, Ordering::Relaxed) == CLIENTS * EACH / 4 {
                is_dead.store(true, Ordering::Release);
            }
        }
        failed
    };
    let failed: Vec<String> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || ask(number))).collect();
        clients.into_iter().flat_map(|client| client.join().expect("it says why")).collect()
    });
    let mut done = BTreeMap::<String, usize>::new();
    for request in upstreams.iter().flat_map(Upstream::requests) {
        *done.entry(request.target().to_owned()).or_default() += 1;
    }
    let twice: Vec<_> = done.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert_eq!(done.len(), CLIENTS * EACH, "each was done once");
    assert!(!failed.is_empty() && failed.len() <= 2 * CLIENTS, "{} failed", failed.len());
    let dead = upstreams[0].requests();
    assert!(failed.iter().all(|id| dead.iter().any(|request| request.target() == id)), "{failed:?}");
}
