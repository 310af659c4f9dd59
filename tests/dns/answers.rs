//! What is always the same.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use super::start;
use crate::harness::{Fulcrum, eventually, fulcrum};

const NAMES: &str =
    "        www: { a: [192.0.2.1, 192.0.2.2], aaaa: \"2001:db8::1\", txt: [\"v=spf1 -all\"] }
        alias: { cname: www }
        out: { cname: www.example.org. }
        \"*.wild\": { a: 192.0.2.3 }
        deep.er: { mx: \"10 www\" }
        cut: { ns: [ns.cut.example.com.] }
        ns.cut: { a: 192.0.2.4 }
        service: { https: \"1 . alpn=h2\", type666: '\\# 3 010203' }
";

#[track_caller]
fn check(fulcrum: &Fulcrum, arguments: &[&str], status: &str, flags: &str, answers: &[&str]) {
    let dig = fulcrum.dig(arguments);
    let mut found = dig.answers.clone();
    found.sort();
    assert_eq!((dig.status.as_str(), dig.flags.as_str()), (status, flags), "{}", dig.text);
    assert_eq!(found, answers, "{}", dig.text);
}

#[test]
fn names_have_what_they_have() {
    let fulcrum = start(NAMES, "");
    let check = |arguments: &[&str], status, flags, answers: &[&str]| {
        check(&fulcrum, arguments, status, flags, answers)
    };
    let www = ["www.example.com. 300 IN A 192.0.2.1", "www.example.com. 300 IN A 192.0.2.2"];
    check(&["www.example.com"], "NOERROR", "qr aa rd", &www);
    check(&["+norec", "www.example.com"], "NOERROR", "qr aa", &www);
    check(&["www.example.com", "AAAA"], "NOERROR", "qr aa rd", &["www.example.com. 300 IN AAAA 2001:db8::1"]);
    check(
        &["www.example.com", "TXT"],
        "NOERROR",
        "qr aa rd",
        &["www.example.com. 300 IN TXT \"v=spf1 -all\""],
    );
    check(
        &["www.example.com", "ANY"],
        "NOERROR",
        "qr aa rd",
        &["www.example.com. 3600 IN HINFO \"RFC8482\" \"\""],
    );
    let alias = ["alias.example.com. 300 IN CNAME www.example.com.", www[0], www[1]];
    check(&["alias.example.com"], "NOERROR", "qr aa rd", &alias);
    check(&["alias.example.com", "CNAME"], "NOERROR", "qr aa rd", &alias[..1]);
    check(&["out.example.com"], "NOERROR", "qr aa rd", &["out.example.com. 300 IN CNAME www.example.org."]);
    check(&["a.b.wild.example.com"], "NOERROR", "qr aa rd", &["a.b.wild.example.com. 300 IN A 192.0.2.3"]);
    check(
        &["deep.er.example.com", "MX"],
        "NOERROR",
        "qr aa rd",
        &["deep.er.example.com. 300 IN MX 10 www.example.com."],
    );
    check(
        &["service.example.com", "HTTPS"],
        "NOERROR",
        "qr aa rd",
        &["service.example.com. 300 IN HTTPS 1 . alpn=\"h2\""],
    );
    check(
        &["service.example.com", "TYPE666"],
        "NOERROR",
        "qr aa rd",
        &["service.example.com. 300 IN TYPE666 \\# 3 010203"],
    );
    // The letters of the question come back as they were (a defence of resolvers).
    assert!(fulcrum.dig(&["+question", "WwW.ExAmPlE.cOm"]).text.contains(";WwW.ExAmPlE.cOm."));
}

#[test]
fn what_is_not_there_is_told_apart() {
    let fulcrum = start(NAMES, "");
    let start = "example.com. 60 IN SOA ns1.example.com. hostmaster.example.com. 1 3600 600 1209600 60";
    let check = |arguments: &[&str], status: &str, authority: &[&str]| {
        let dig = fulcrum.dig(arguments);
        assert_eq!((dig.status.as_str(), &dig.answers[..]), (status, &[][..]), "{}", dig.text);
        assert_eq!(dig.authority, authority, "{}", dig.text);
    };
    check(&["nope.example.com"], "NXDOMAIN", &[start]);
    check(&["www.example.com", "MX"], "NOERROR", &[start]);
    check(&["www.example.com", "TYPE65000"], "NOERROR", &[start]);
    // A name above others is there, without having anything.
    check(&["er.example.com"], "NOERROR", &[start]);
    check(&["x.er.example.com"], "NXDOMAIN", &[start]);
    check(&["example.org"], "REFUSED", &[]);
    assert!(fulcrum.dig(&["example.com", "AXFR"]).text.contains("Transfer failed"));
    check(&["-c", "CH", "version.bind", "TXT"], "REFUSED", &[]);
    let dig = fulcrum.dig(&["x.cut.example.com"]);
    assert_eq!((dig.status.as_str(), dig.flags.as_str()), ("NOERROR", "qr rd"));
    assert_eq!(dig.authority, ["cut.example.com. 300 IN NS ns.cut.example.com."]);
    assert_eq!(dig.additional, ["ns.cut.example.com. 300 IN A 192.0.2.4"]);
}

#[test]
fn edns_is_understood() {
    let fulcrum = start(NAMES, "  nsid: lb-1\n");
    let text = |arguments: &[&str]| fulcrum.dig(&[&["www.example.com"], arguments].concat()).text;
    assert!(text(&[]).contains("; EDNS: version: 0, flags:; udp: 1232"), "{}", text(&[]));
    assert!(!text(&["+noedns"]).contains("EDNS"));
    assert!(text(&["+dnssec"]).contains("flags: do;"));
    assert!(text(&["+nsid"]).contains("NSID: 6c 62 2d 31 (\"lb-1\")"), "{}", text(&["+nsid"]));
    assert!(text(&["+edns=1", "+noednsneg"]).contains("status: BADVERS"));
    assert!(text(&["+ednsopt=65001:abcd"]).contains("status: NOERROR"));
    assert!(text(&["+ednsflags=0x40"]).contains("; EDNS: version: 0, flags:; udp: 1232"));
    assert!(text(&["+subnet=192.0.2.0/24"]).contains("CLIENT-SUBNET: 192.0.2.0/24/0"));
    assert!(
        text(&["+cookie=0123456789abcdef"]).contains("(good)"),
        "{}",
        text(&["+cookie=0123456789abcdef"])
    );
    assert!(text(&["+opcode=2"]).contains("status: NOTIMP"));
    assert!(fulcrum.dig(&["example.org"]).text.contains("EDE: 20 (Not Authoritative)"));
}

#[test]
fn large_answers_come_over_tcp() {
    let many: Vec<String> = (1..200).map(|number| format!("192.0.2.{number}")).collect();
    let fulcrum = start(&format!("        many: {{ a: [{}] }}\n", many.join(", ")), "");
    let cut = fulcrum.dig(&["many.example.com", "+ignore"]);
    assert_eq!((cut.flags.as_str(), cut.answers.len()), ("qr aa tc rd", 0));
    assert_eq!(fulcrum.dig(&["many.example.com"]).answers.len(), 199, "dig asks again");
    assert!(fulcrum.metric("fulcrum_gslb_truncated_total", &[]) >= 2.0);
    assert_eq!(fulcrum.metric("fulcrum_gslb_queries_total", &[("transport", "tcp")]), 1.0);
}

/// A query for the A records of `www.example.com`.
pub(super) const QUERY: &[u8] = b"\xab\xcd\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";

#[test]
fn many_queries_come_over_one_connection() {
    let fulcrum = start(NAMES, "  tcp: { idle_timeout: 200ms }\n");
    let mut stream = TcpStream::connect(fulcrum.dns()).expect("it listens");
    let framed = [&(QUERY.len() as u16).to_be_bytes(), QUERY].concat();
    let all = framed.repeat(20);
    // Cut where nothing ends.
    for part in all.chunks(7) {
        stream.write_all(part).expect("it reads");
    }
    for _ in 0..20 {
        let mut length = [0; 2];
        stream.read_exact(&mut length).expect("an answer");
        let mut answer = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut answer).expect("a whole answer");
        assert_eq!((&answer[..2], answer[7]), (&QUERY[..2], 2), "two addresses");
    }
    assert_eq!(stream.read(&mut [0; 1]).expect("it ends in order"), 0, "idle for too long");
    fulcrum.await_metric("fulcrum_gslb_drops_total", &[("reason", "idle")], 1.0);
}

#[test]
fn one_client_does_not_take_the_connections_of_all() {
    let fulcrum = start(NAMES, "  tcp: { idle_timeout: 30s, connections_per_source: 2 }\n");
    let mut streams = [(); 3].map(|()| TcpStream::connect(fulcrum.dns()).expect("it listens"));
    assert_eq!(streams[0].read(&mut [0; 1]).expect("it ends in order"), 0, "the oldest of its own goes");
    fulcrum.await_metric("fulcrum_gslb_drops_total", &[("reason", "connections")], 1.0);
    for stream in &mut streams[1..] {
        stream.write_all(&[&(QUERY.len() as u16).to_be_bytes(), QUERY].concat()).expect("it reads");
        stream.read_exact(&mut [0; 2]).expect("an answer");
    }
}

/// A connection that waits for its next query has given back the room that its answer took.
#[test]
fn connections_that_wait_take_little_memory() {
    let parts: Vec<String> = (0..150).map(|number| format!("\"{number:03}{}\"", "x".repeat(200))).collect();
    let names = format!("        large: {{ txt: [{}] }}\n", parts.join(", "));
    let limits = "  tcp: { max_connections: 1000, connections_per_source: 1000, idle_timeout: 60s }\n";
    let fulcrum = start(&names, limits);
    let query =
        [&[0, 35][..], b"\0\x01\0\0\0\x01\0\0\0\0\0\0\x05large\x07example\x03com\0\0\x10\0\x01"].concat();
    let ask = || {
        let mut stream = TcpStream::connect(fulcrum.dns()).expect("it listens");
        stream.write_all(&query).expect("it is taken");
        let mut length = [0; 2];
        stream.read_exact(&mut length).expect("an answer");
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        assert!(answer.len() > 30_000, "{}", answer.len());
        stream.read_exact(&mut answer).expect("the rest");
        stream
    };
    let first = ask();
    let before = fulcrum.resident();
    let all: Vec<_> = (0..400).map(|_| ask()).collect();
    let grown = fulcrum.resident().saturating_sub(before) / 1024;
    // 64 KiB each would be 25 MiB.
    assert!(grown < 8 * 1024, "{grown} KiB for {} connections", all.len());
    drop(first);
}

#[test]
fn garbage_gets_nothing_or_an_error_and_answers_go_on() {
    let fulcrum = start(NAMES, "");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(fulcrum.dns()).expect("an address");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    // Too short, an answer, and twice too long.
    let answer = [&QUERY[..2], b"\x81\x80", &QUERY[4..]].concat();
    for silent in [&QUERY[..11], b"", &answer[..], &[0xff; 5000][..]] {
        socket.send(silent).expect("it is sent");
    }
    let mut seed = 1u32;
    for length in 12..200 {
        let noise: Vec<u8> = (0..length)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8
            })
            .collect();
        socket.send(&noise).expect("it is sent");
    }
    socket.send(QUERY).expect("it is sent");
    let mut buffer = [0; 4096];
    let found = eventually("an answer to the query", || {
        let length = socket.recv(&mut buffer).ok()?;
        (buffer[..2] == QUERY[..2] && buffer[2] & 0x80 != 0 && buffer[7] == 2).then_some(length)
    });
    assert!(found > QUERY.len());
    let unanswerable = fulcrum.metric("fulcrum_gslb_drops_total", &[("reason", "unanswerable")]);
    assert!(unanswerable >= 4.0, "{unanswerable}");
}

#[test]
fn equal_answers_are_limited_but_not_those_to_who_is_known() {
    let fulcrum = start(NAMES, "  rate_limit: { responses_per_second: 5, slip: 2 }\n");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(fulcrum.dns()).expect("an address");
    for _ in 0..100 {
        socket.send(QUERY).expect("it is sent");
    }
    eventually("most are dropped", || {
        let drops = |reason| fulcrum.metric("fulcrum_gslb_drops_total", &[("reason", reason)]);
        (drops("rate_limited") >= 40.0 && drops("slipped") >= 40.0).then_some(())
    });
    // A truncated answer sends a client that is there to TCP.
    assert_eq!(fulcrum.resolve("www.example.com", &["+tcp"]).len(), 2);
}

#[test]
fn a_second_daemon_does_not_take_half_of_the_queries() {
    let first = start(NAMES, "");
    let second =
        fulcrum_check(&format!("gslb: {{ bind: \"{}\", zones: {{}} }}\nstate_dir: @DIR@/s\n", first.dns()));
    assert!(second.contains("cannot answer DNS at"), "{second}");
}

/// What a start says that cannot be.
fn fulcrum_check(yaml: &str) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("fulcrum.yaml");
    let yaml = format!("version: 1\n{}", yaml.replace("@DIR@", &dir.path().display().to_string()));
    std::fs::write(&file, yaml).expect("it is written");
    let output = fulcrum(["run", "-c", &file.display().to_string()]);
    assert_eq!(output.code, Some(64), "{}", output.stderr);
    output.stderr
}
