//! Reloads and restarts.

use std::fs;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::answers::QUERY;
use super::{start, start_with, yaml};
use crate::harness::{DEADLINE, eventually};

const ZONE: &str =
    "$TTL 300\n@ SOA ns1 hostmaster 1 1h 10m 14d 60\n@ NS ns1\nns1 A 192.0.2.53\nwww A 192.0.2.1\n";

fn with_file() -> String {
    "state_dir: \"@DIR@/state\"\ngslb: { bind: \"127.0.0.1:0\", zones: { example.com: { file: \"@DIR@/example.com.zone\" } } }\n".to_owned()
}

#[test]
fn a_zone_file_is_served_and_a_wrong_one_changes_nothing() {
    let fulcrum = start_with(&with_file(), &[("example.com.zone", ZONE)]);
    assert_eq!(fulcrum.resolve("www.example.com", &[]), ["192.0.2.1"]);
    let file = fulcrum.file().with_file_name("example.com.zone");
    fs::write(&file, ZONE.replace("192.0.2.1\n", "192.0.2.9\n")).expect("it is written");
    assert_eq!(fulcrum.reload_with(&["--wait"]).code, Some(0));
    let told = fulcrum.child.stderr();
    assert!(told.contains("reloaded: files ~1 (") && told.contains("example.com.zone)"), "{told}");
    eventually("the new address", || {
        (fulcrum.resolve("www.example.com", &[]) == ["192.0.2.9"]).then_some(())
    });
    for (wrong, said) in [
        (format!("{ZONE}www CNAME a\n"), "line 6: www.example.com. has a CNAME and something else"),
        (format!("{ZONE}a A 192.0.2.\n"), "line 6: expected an IPv4 address"),
        (
            format!("{ZONE}b.example.org. A 192.0.2.1\n"),
            "line 6: b.example.org. is not in the zone example.com.",
        ),
        (ZONE[..ZONE.len() - 4].to_owned(), "line 5"),
        (String::new(), "has no SOA"),
    ] {
        fs::write(&file, wrong).expect("it is written");
        let output = fulcrum.reload_with(&["--wait"]);
        assert_eq!(output.code, Some(1), "{said}");
        assert!(output.stderr.contains(said) || output.stdout.contains(said), "{said}: {output:?}");
        assert_eq!(fulcrum.resolve("www.example.com", &[]), ["192.0.2.9"], "what was there is served on");
    }
}

#[test]
fn no_query_is_lost_by_reloads() {
    let names = |number: usize| format!("        www: {{ a: 192.0.2.{number} }}\n");
    let fulcrum = start(&names(1), "");
    let address = fulcrum.dns().to_owned();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let socket = asking(&address);
            let mut count = 0;
            while !is_over.load(Ordering::Relaxed) {
                socket.send(QUERY).expect("it is sent");
                let mut answer = [0; 512];
                let length = socket.recv(&mut answer).expect("every query is answered");
                assert_eq!((answer[7], &answer[length - 4..length - 1]), (1, &[192, 0, 2][..]));
                count += 1;
            }
            count
        });
        for number in 2..30 {
            fulcrum.change(&yaml(&names(number), ""));
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(asked.join().expect("every query is answered") > 100);
    });
    assert_eq!(fulcrum.resolve("www.example.com", &[]), ["192.0.2.29"]);
}

/// Many queries are under way at any time, while a zone of many names is read again and again.
#[test]
fn a_large_zone_is_reloaded_while_it_is_asked() {
    let names: String =
        (0..20_000).map(|name| format!("h{name} A 10.0.{}.{}\n", name >> 8, name & 255)).collect();
    let zone = |version: u8| ZONE.replace("www A 192.0.2.1\n", &format!("www A 192.0.2.{version}\n{names}"));
    let fulcrum = start_with(&with_file(), &[("example.com.zone", &zone(1))]);
    let file = fulcrum.file().with_file_name("example.com.zone");
    let address = fulcrum.dns().to_owned();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let socket = asking(&address);
            let (mut rounds, mut newest) = (0u32, 0);
            while !is_over.load(Ordering::Relaxed) {
                newest = ask_many(&socket, newest);
                rounds += 1;
            }
            (rounds, newest)
        });
        for version in 2..8 {
            let next = file.with_extension("next");
            fs::write(&next, zone(version)).expect("it is written");
            fs::rename(&next, &file).expect("it is there");
            assert_eq!(fulcrum.reload_with(&["--wait"]).code, Some(0));
            eventually("the new address", || {
                (fulcrum.resolve("www.example.com", &[]) == [format!("192.0.2.{version}")]).then_some(())
            });
        }
        is_over.store(true, Ordering::Relaxed);
        let (rounds, newest) = asked.join().expect("every query is answered");
        assert!(rounds > 20 && newest > 1, "{rounds} rounds, up to version {newest}");
    });
    assert_eq!(fulcrum.resolve("h19999.example.com", &[]), ["10.0.78.31"]);
}

/// A socket that queries go to this address from.
fn asking(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(address).expect("an address");
    socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    socket
}

/// Sends many queries at once; all are answered, each once, none by a version older than one that was seen before they
/// were sent. Tells the newest.
#[track_caller]
fn ask_many(socket: &UdpSocket, known: u8) -> u8 {
    const AT_ONCE: usize = 32;
    let mut query = QUERY.to_vec();
    for id in 0..AT_ONCE {
        query[1] = id as u8;
        socket.send(&query).expect("it is sent");
    }
    let mut answered = [false; AT_ONCE];
    let mut newest = known;
    for _ in 0..AT_ONCE {
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer).expect("every query is answered");
        let [a, b, c, version] = answer[length - 4..length] else { unreachable!("four bytes") };
        assert_eq!((answer[7], [a, b, c]), (1, [192, 0, 2]));
        assert!(version >= known, "version {version} after {known}");
        assert!(!std::mem::replace(&mut answered[usize::from(answer[1])], true), "answered twice");
        newest = newest.max(version);
    }
    newest
}

#[test]
fn what_takes_a_restart_is_refused() {
    let fulcrum = start("", "");
    for other in
        [yaml("", "  workers: 2\n"), "listeners: { a: { bind: \"127.0.0.1:0\" } }\nroutes: []\n".to_owned()]
    {
        fulcrum.move_config(&other);
        let output = fulcrum.reload_with(&["--wait"]);
        assert_eq!(output.code, Some(1), "{output:?}");
        let text = format!("{}{}", output.stderr, output.stdout);
        assert!(text.contains("restart the daemon"), "{text}");
        assert_eq!(fulcrum.resolve("ns1.example.com", &[]), ["192.0.2.53"]);
    }
}
