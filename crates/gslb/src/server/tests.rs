//! How answering begins and ends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use super::*;
use crate::answer::tests::{query, snapshot};

fn shared() -> Shared {
    let counters = Arc::new(Counters::new(1));
    let mut snapshot = snapshot("www 60 A 192.0.2.1");
    (_, snapshot.nowhere_cells) = counters.of_zones([].into_iter());
    let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
    let (rate, log) = (Arc::new(ArcSwap::from_pointee(None)), Arc::new(ArcSwap::from_pointee(None)));
    Shared { snapshot, rate, counters, log }
}

/// A query with this number.
fn numbered(number: u16) -> Vec<u8> {
    [&number.to_be_bytes(), &query("www.example.com", 1, 1, None)[2..]].concat()
}

#[test]
fn queries_that_have_come_are_answered_at_the_end() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let client = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    client.connect(socket.local_addr().expect("an address")).expect("it is there");
    client.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    // More than one batch.
    for number in 0..40 {
        client.send(&numbered(number)).expect("it is sent");
    }
    let worker = udp::Worker::new(socket, shared(), 0, Instant::now(), Arc::new(AtomicBool::new(true)));
    worker.run();
    for number in 0..40u16 {
        let mut answer = [0; 512];
        client.recv(&mut answer).expect("an answer");
        assert_eq!((&answer[..2], answer[7]), (&number.to_be_bytes()[..], 1));
    }
}

#[test]
fn connections_that_have_come_are_answered_at_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    listener.set_nonblocking(true).expect("it can be");
    let connect = || {
        let stream = TcpStream::connect(listener.local_addr().expect("an address")).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        stream
    };
    let (mut asking, mut silent) = (connect(), connect());
    let framed = |number| [&33u16.to_be_bytes(), &numbered(number)[..]].concat();
    asking.write_all(&[framed(1), framed(2)].concat()).expect("it is sent");
    let (_ending, ended) = tokio::sync::watch::channel(true);
    let limits = TcpLimits { idle: Duration::from_secs(60), connections: 10, connections_per_source: 10 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let began = Instant::now();
    tcp::Service::new(vec![listener], shared(), limits, ended).run(&runtime);
    assert!(began.elapsed() < Duration::from_secs(1), "nobody is in the middle of a query");
    let mut answers = Vec::new();
    asking.read_to_end(&mut answers).expect("it ends in order");
    let second = 2 + usize::from(u16::from_be_bytes([answers[0], answers[1]]));
    assert_eq!((&answers[2..4], &answers[second + 2..second + 4]), (&[0, 1][..], &[0, 2][..]));
    assert_eq!(silent.read(&mut [0; 1]).expect("it ends in order"), 0);
}

#[test]
fn a_thread_that_panics_ends_the_process() {
    if std::env::var_os(PANIC).is_some() {
        let (ending, _ended) = tokio::sync::watch::channel(false);
        let mut server = Server { threads: Vec::new(), is_ending: Arc::default(), ending };
        server.spawn("dns-0.0", || panic!("for a test")).expect("a thread");
        return server.end();
    }
    let test = "server::tests::a_thread_that_panics_ends_the_process";
    let status = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", test])
        .env(PANIC, "1")
        .output()
        .expect("it runs")
        .status;
    assert_eq!(status.signal(), Some(libc::SIGABRT), "{status}");
}

#[test]
fn answers_over_ipv4_may_be_fragmented() {
    use std::os::fd::AsFd;
    for (address, dual_stack) in [("127.0.0.1:0", false), ("[::]:0", true), ("[::1]:0", false)] {
        let bind = DnsBind { address: address.parse().expect("an address"), dual_stack };
        let socket = udp_socket(&bind).expect("a socket");
        let discovers = syscalls::option(socket.as_fd(), libc::IPPROTO_IP, libc::IP_MTU_DISCOVER);
        assert_eq!(discovers.expect("it has one"), libc::IP_PMTUDISC_OMIT, "{address}");
    }
}

#[test]
fn a_port_that_is_taken_is_tried_again() {
    let check = |tries, kind: io::ErrorKind, expected: Option<usize>, called: usize| {
        let mut calls = 0;
        let bind = || {
            calls += 1;
            if calls == 3 { Ok(calls) } else { Err(io::Error::from(kind)) }
        };
        assert_eq!(until_free(tries, bind).ok(), expected);
        assert_eq!(calls, called);
    };
    check(3, io::ErrorKind::AddrInUse, Some(3), 3);
    check(2, io::ErrorKind::AddrInUse, None, 2);
    check(1, io::ErrorKind::AddrInUse, None, 1);
    check(3, io::ErrorKind::PermissionDenied, None, 1);
}

const PANIC: &str = "FULCRUM_TEST_PANIC";
