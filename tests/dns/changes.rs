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
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            socket.connect(&address).expect("an address");
            socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
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
