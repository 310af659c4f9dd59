//! The sudden death of one of three processes under all the load that 64 clients make.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use super::load::{self, Record};
use super::process::Process;
use super::proxies::{Job, Wish};
use crate::harness::{Client, eventually};

const CLIENTS: usize = 64;

/// One client: every other request is a POST.
fn drive(
    proxy: SocketAddr,
    client: usize,
    start: Instant,
    answered: &AtomicUsize,
    is_over: &AtomicBool,
) -> Vec<Record> {
    let mut records = Vec::new();
    let mut connection = None;
    for number in 0.. {
        if is_over.load(Ordering::Acquire) {
            break;
        }
        let is_post = number % 2 == 0;
        let target = format!("/{client}/{number}");
        let began = start.elapsed();
        let socket = connection.take().unwrap_or_else(|| Client::connect(&proxy.to_string()));
        let (outcome, kept) = load::ask(socket, &target, is_post);
        connection = kept;
        answered.fetch_add(1, Ordering::Relaxed);
        records.push(Record { target, is_post, began, ended: start.elapsed(), outcome });
    }
    records
}

#[test]
#[ignore = "takes every core"]
fn one_is_killed_at_full_load() {
    let directory = tempfile::tempdir().expect("room for a directory");
    let start_one = |name, host| Process::start(name, host, directory.path());
    let mut main =
        [start_one("red", "127.60.0.5"), start_one("green", "127.60.0.6"), start_one("blue", "127.60.0.7")];
    let second = start_one("second", "127.60.0.8");
    let addresses = main.each_ref().map(|process| process.address.clone());
    let job = Job {
        main: addresses.each_ref().map(|address| address.as_str()),
        second: &second.address,
        wish: Wish::Nothing,
    };
    let fulcrum = job.fulcrum();
    let proxy = fulcrum.address().parse().expect("an address");
    let (answered, is_over, start) = (AtomicUsize::new(0), AtomicBool::new(false), Instant::now());
    let (killed, records) = thread::scope(|scope| {
        let (answered, is_over) = (&answered, &is_over);
        let _over = super::stage::EndAtDrop(is_over);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| scope.spawn(move || drive(proxy, client, start, answered, is_over)))
            .collect();
        let more = |count: usize| {
            let until = answered.load(Ordering::Relaxed) + count;
            eventually("traffic flows", || (answered.load(Ordering::Relaxed) >= until).then_some(()));
        };
        more(5_000);
        let killed = start.elapsed();
        main[0].kill();
        more(10_000);
        is_over.store(true, Ordering::Release);
        let records = clients.into_iter().flat_map(|client| client.join().expect("a client does not panic"));
        (killed, records.collect::<Vec<Record>>())
    });
    let failed: Vec<&Record> = records.iter().filter(|record| record.outcome.is_err()).collect();
    assert!(failed.iter().all(|record| record.is_post), "GETs failed: {failed:?}");
    // Only what was at the one that died, and each was told.
    assert!(failed.len() <= CLIENTS, "{failed:?}");
    let was_there = |record: &&&Record| record.began <= killed && record.ended >= killed;
    assert_eq!(failed.iter().filter(was_there).count(), failed.len(), "killed at {killed:?}: {failed:?}");
    assert_done_once(&main, &records);
    let metric = |name, labels: &[(&str, &str)]| fulcrum.metric(name, labels);
    assert_eq!(metric("fulcrum_process_limit_hits_total", &[("reason", "retry_budget")]), 0.0);
    let broken = metric("fulcrum_http_errors_total", &[("reason", "upstream_reset")])
        + metric("fulcrum_http_errors_total", &[("reason", "upstream_closed")]);
    assert_eq!(broken, failed.len() as f64);
}

/// What was answered was done once, what failed at most once.
fn assert_done_once(main: &[Process], records: &[Record]) {
    let mut done = BTreeMap::<String, usize>::new();
    for (target, times) in main.iter().flat_map(Process::done) {
        *done.entry(target).or_default() += times;
    }
    for record in records.iter().filter(|record| record.is_post) {
        let times = done.get(&record.target).copied().unwrap_or_default();
        assert!(times == 1 || (times == 0 && record.outcome.is_err()), "{times} times: {record:?}");
    }
}
