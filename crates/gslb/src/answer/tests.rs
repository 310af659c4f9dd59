//! Messages, byte by byte.

use std::sync::Arc;

use super::*;
use crate::choice::{Choice, Manner};
use crate::cookie::CookieKeys;
use crate::names::Names;
use crate::policy;
use crate::zone::{
    Zone,
    tests::{APEX, records},
};

/// `example.com` with these records, and `geo` with two addresses.
pub(crate) fn snapshot(text: &str) -> Snapshot {
    let geo: fulcrum_model::DnsName = "geo.example.com".parse().expect("a name");
    let choices = [(geo.clone(), 0)].into_iter().collect();
    let zone = Zone::new("example.com".parse().expect("a name"), records(&format!("{APEX}{text}")), choices);
    let slice = policy::Slice {
        until: policy::ALL,
        region: None,
        targets: ["192.0.2.1", "2001:db8::1"]
            .map(|text| (fulcrum_config::gslb::TargetAnswer::Address(text.parse().expect("an address")), 1))
            .into(),
    };
    let plan = policy::Plan { slices: vec![slice], ttl: 30, is_panic: false, is_unknown: false };
    let manner = Manner { owner: &geo, choose: fulcrum_config::gslb::Choose::All, max_answers: 8 };
    Snapshot {
        generation: 1,
        names: Arc::new(Names::new(&[zone.expect("nothing is wrong")])),
        choices: [Choice::new(manner, None, &[plan])].into_iter().collect(),
        cookies: Arc::new(CookieKeys::new(vec![[1; 16]])),
        identity: Arc::from(*b"lb-1"),
        zone_cells: Arc::from([]),
        nowhere_cells: crate::counters::ZoneCells::alone(),
        directory: None,
        regions: Arc::from([]),
    }
}

/// A query in bytes; `edns` is the OPT record's size and options.
pub(crate) fn query(name: &str, record_type: u16, class: u16, edns: Option<(u16, &[u8])>) -> Vec<u8> {
    let mut message = vec![0xab, 0xcd, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&record_type.to_be_bytes());
    message.extend_from_slice(&class.to_be_bytes());
    if let Some((size, options)) = edns {
        message.extend_from_slice(&[0, 0, 41]);
        message.extend_from_slice(&size.to_be_bytes());
        message.extend_from_slice(&[0, 0, 0x80, 0]);
        message.extend_from_slice(&(options.len() as u16).to_be_bytes());
        message.extend_from_slice(options);
    }
    message
}

#[track_caller]
fn ask(snapshot: &Snapshot, message: &[u8], transport: Transport) -> Option<(Vec<u8>, Answered)> {
    let mut out = vec![0xee; ANSWER_MAX];
    let mut rng = Rng::from_seed(1);
    let mut client = Client {
        address: "198.51.100.7".parse().expect("an address"),
        transport,
        now: 1_000_000,
        rng: &mut rng,
    };
    let answered = answer(snapshot, message, &mut client, &mut out)?;
    out.truncate(answered.length);
    Some((out, answered))
}

/// Flags, and the counts of question, answer, authority and additional.
#[track_caller]
fn check(snapshot: &Snapshot, message: &[u8], flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let (answer, _) = ask(snapshot, message, Transport::Udp).expect("an answer");
    let number = |place: usize| u16::from_be_bytes([answer[place], answer[place + 1]]);
    assert_eq!(answer[..2], message[..2]);
    assert_eq!((format!("{:04x}", number(2)), [4, 6, 8, 10].map(number)), (format!("{flags:04x}"), counts));
    answer
}

#[test]
fn answers_have_the_flags_and_counts_of_what_they_are() {
    let snapshot = snapshot("www 60 A 192.0.2.1\ncut 60 NS ns.example.org.");
    let check = |name: &str, record_type, flags, counts| {
        let message = query(name, record_type, 1, None);
        let answer = check(&snapshot, &message, flags, counts);
        assert_eq!(answer[12..message.len()], message[12..], "the question comes back as it was");
    };
    check("wWw.Example.com", 1, 0x8500, [1, 1, 0, 0]);
    check("www.example.com", 28, 0x8500, [1, 0, 1, 0]);
    check("nope.example.com", 1, 0x8503, [1, 0, 1, 0]);
    check("x.cut.example.com", 1, 0x8100, [1, 0, 1, 0]);
    check("example.org", 1, 0x8105, [1, 0, 0, 0]);
    check("example.com", 252, 0x8105, [1, 0, 0, 0]);
    check("example.com", 251, 0x8105, [1, 0, 0, 0]);
    check("example.com", 41, 0x8101, [1, 0, 0, 0]);
    check("www.example.com", 255, 0x8500, [1, 1, 0, 0]);
    check("geo.example.com", 1, 0x8500, [1, 1, 0, 0]);
    check("geo.example.com", 28, 0x8500, [1, 1, 0, 0]);
    check("geo.example.com", 15, 0x8500, [1, 0, 1, 0]);
    check("geo.example.com", 65, 0x8500, [1, 0, 1, 0]);
}

#[test]
fn other_classes_are_refused() {
    let snapshot = snapshot("");
    check(&snapshot, &query("example.com", 6, 3, None), 0x8105, [1, 0, 0, 0]);
    check(&snapshot, &query("example.com", 6, 255, None), 0x8105, [1, 0, 0, 0]);
}

/// RFC 8945 §5.2.1: whoever signs with a key that nobody knows is told so, with what it sent but for the signature.
#[test]
fn keys_that_nobody_knows_are_told_so() {
    let snapshot = snapshot("");
    let signed = |edns, key: &[u8], algorithm: &[u8]| {
        let mut signed = query("example.com", 6, 1, edns);
        signed[11] += 1;
        let length = (algorithm.len() + 48) as u16;
        for part in [
            key,
            b"\0\xfa\0\xff\0\0\0\0",
            &length.to_be_bytes(),
            algorithm,
            b"\0\0\x65\0\0\0\x01\x2c\0\x20",
            &[7; 32],
            b"\xab\xcd\0\0\0\0",
        ] {
            signed.extend_from_slice(part);
        }
        signed
    };
    let told = |key: &[u8], algorithm: &[u8]| {
        let length = (algorithm.len() + 16) as u16;
        [
            key,
            b"\0\xfa\0\xff\0\0\0\0",
            &length.to_be_bytes(),
            algorithm,
            b"\0\0\x65\0\0\0\x01\x2c\0\0\xab\xcd\0\x11\0\0",
        ]
        .concat()
    };
    let (key, algorithm) = (&b"\x01k\0"[..], &b"\x0bhmac-sha256\0"[..]);
    let plain = check(&snapshot, &signed(None, key, algorithm), 0x8109, [1, 0, 0, 1]);
    assert!(plain.ends_with(&told(key, algorithm)), "{plain:x?}");
    let message = signed(Some((1232, b"")), key, algorithm);
    let with_opt = check(&snapshot, &message, 0x8109, [1, 0, 0, 2]);
    let tail = [b"\0\0\x29\x04\xd0\0\0\x80\0\0\0", &told(key, algorithm)[..]].concat();
    assert!(with_opt.ends_with(&tail), "{with_opt:x?}");
    // Limited, it keeps both.
    let (mut cut, answered) = ask(&snapshot, &message, Transport::Udp).expect("one");
    let length = truncate(&mut cut, &answered);
    assert_eq!((&cut[6..12], &cut[length - tail.len()..length]), (&[0, 0, 0, 0, 0, 2][..], &tail[..]));
    // Names that do not fit into 512 bytes together are left out.
    let long = [[b"\x3f".as_slice(), &[b'x'; 63]].concat().repeat(3), vec![0]].concat();
    check(&snapshot, &signed(None, &long, &long), 0x8109, [1, 0, 0, 1]);
    let longer = [&b"\x3b"[..], &[b'x'; 59], &long].concat();
    check(&snapshot, &signed(None, &longer, &longer), 0x8109, [1, 0, 0, 0]);
    check(&snapshot, &signed(Some((1232, b"")), &longer, &longer), 0x8109, [1, 0, 0, 2]);
}

#[test]
fn edns_is_answered_with_edns() {
    let snapshot = snapshot("www 60 A 192.0.2.1");
    let www = |options: &'static [u8]| query("www.example.com", 1, 1, Some((4096, options)));
    let tail = |message: &[u8], length: usize| {
        let answer = check(&snapshot, message, 0x8500, [1, 1, 0, 1]);
        answer[answer.len() - length..].to_vec()
    };
    // Our size, no extended code, version 0, DO as it was, no options.
    assert_eq!(tail(&www(b""), 11), b"\0\0\x29\x04\xd0\0\0\x80\0\0\0");
    assert_eq!(tail(&www(b"\xff\xf0\0\x01x"), 11), b"\0\0\x29\x04\xd0\0\0\x80\0\0\0");
    assert_eq!(tail(&www(b"\0\x03\0\0"), 10), b"\0\x08\0\x03\0\x04lb-1");
    // A static answer is the same for everybody.
    assert_eq!(tail(&www(b"\0\x08\0\x07\0\x01\x18\0\xc0\0\x02"), 11), b"\0\x08\0\x07\0\x01\x18\0\xc0\0\x02");
    let with_cookie = tail(&www(b"\0\x0a\0\x0812345678"), 28);
    assert_eq!(with_cookie[..12], *b"\0\x0a\0\x1812345678");
    let again = [&b"\0\x0a\0\x18"[..], &with_cookie[4..]].concat();
    let (_, answered) =
        ask(&snapshot, &query("www.example.com", 1, 1, Some((512, &again))), Transport::Udp).expect("one");
    assert!(answered.is_known);
    // Why it is refused.
    let answer = check(&snapshot, &query("example.org", 1, 1, Some((512, b""))), 0x8105, [1, 0, 0, 1]);
    assert_eq!(answer[answer.len() - 6..], *b"\0\x0f\0\x02\0\x14");
    // Only the cookie is asked for.
    let mut only = www(b"\0\x0a\0\x0812345678");
    only.drain(12..12 + 17 + 4);
    only[5] = 0;
    check(&snapshot, &only, 0x8100, [0, 0, 0, 1]);
}

#[test]
fn another_version_of_edns_is_told_ours() {
    let snapshot = snapshot("");
    let mut message = query("example.com", 6, 1, Some((4096, b"")));
    let version = message.len() - 5;
    message[version] = 1;
    let answer = check(&snapshot, &message, 0x8100, [1, 0, 0, 1]);
    assert_eq!(answer[answer.len() - 11..], *b"\0\0\x29\x04\xd0\x01\0\0\0\0\0");
}

#[test]
fn what_does_not_fit_is_truncated_whole() {
    let many: String = (0..60).map(|number| format!("many 60 A 192.0.2.{number}\n")).collect();
    let snapshot = snapshot(&many);
    // 60 addresses are 960 bytes.
    check(&snapshot, &query("many.example.com", 1, 1, None), 0x8700, [1, 0, 0, 0]);
    check(&snapshot, &query("many.example.com", 1, 1, Some((900, b""))), 0x8700, [1, 0, 0, 1]);
    check(&snapshot, &query("many.example.com", 1, 1, Some((1232, b""))), 0x8500, [1, 60, 0, 1]);
    let (_, answered) = ask(&snapshot, &query("many.example.com", 1, 1, None), Transport::Tcp).expect("one");
    assert!(!answered.is_truncated);
}

#[test]
fn no_datagram_is_larger_than_it_may_be() {
    let many: String = (0..200).map(|number| format!("many 60 A 192.0.2.{number}\n")).collect();
    let snapshot = snapshot(&many);
    for size in [0, 511, 512, 513, 1231, 1232, 1233, 65_535] {
        let (answer, _) =
            ask(&snapshot, &query("many.example.com", 1, 1, Some((size, b""))), Transport::Udp).expect("one");
        assert!(answer.len() <= usize::from(size.clamp(512, 1232)), "{size}");
    }
}

#[test]
fn an_answer_that_is_cut_short_keeps_its_edns() {
    let snapshot = snapshot("www 60 A 192.0.2.1");
    let check = |message: &[u8], expected: Vec<u8>| {
        let (mut answer, answered) = ask(&snapshot, message, Transport::Udp).expect("one");
        let length = truncate(&mut answer, &answered);
        assert_eq!(answer[..length], expected);
    };
    let plain = query("www.example.com", 1, 1, None);
    let cut =
        |counts: &[u8], opt: &[u8]| [b"\xab\xcd\x87\0\0\x01".as_slice(), counts, &plain[12..], opt].concat();
    check(&plain, cut(&[0; 6], b""));
    let with_opt = query("www.example.com", 1, 1, Some((1232, b"\0\x03\0\0")));
    check(&with_opt, cut(b"\0\0\0\0\0\x01", b"\0\0\x29\x04\xd0\0\0\x80\0\0\x08\0\x03\0\x04lb-1"));
}

#[test]
fn equal_answers_have_one_number() {
    let snapshot = snapshot(
        "www 60 A 192.0.2.1\nwww 60 TXT a\n*.wild 60 A 192.0.2.2\ncut 60 NS ns.cut\nns.cut 60 A 192.0.2.3",
    );
    let what = |name: &str, record_type| {
        let answered = ask(&snapshot, &query(name, record_type, 1, None), Transport::Udp).expect("one").1;
        (answered.code, answered.what)
    };
    let different = [
        what("www.example.com", 1),
        what("www.example.com", 16),
        what("ns1.example.com", 1),
        what("a.wild.example.com", 1),
        what("a.cut.example.com", 1),
        what("a.wild.example.com", 28),
        what("nope.example.com", 1),
        what("example.org", 1),
        what("geo.example.com", 1),
        what("geo.example.com", 28),
    ];
    assert_eq!(different.iter().collect::<std::collections::BTreeSet<_>>().len(), different.len());
    for (place, name, record_type) in [
        (0, "wWw.example.com", 1),
        (3, "b.wild.example.com", 1),
        (3, "c.d.wild.example.com", 1),
        (4, "b.cut.example.com", 28),
        (4, "ns.cut.example.com", 1),
        (5, "www.example.com", 28),
        (5, "ns1.example.com", 999),
        (5, "geo.example.com", 15),
        (6, "other.www.example.com", 2),
        (7, "other.example.org", 2),
        (8, "geo.example.com", 1),
    ] {
        assert_eq!(what(name, record_type), different[place], "{name} {record_type}");
    }
}
