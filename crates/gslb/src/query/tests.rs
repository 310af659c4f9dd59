//! Messages that are read, refused or passed over.

use proptest::prelude::*;

use super::*;
use crate::edns::ClientSubnet;

/// A header with these flags and counts, and these bytes behind it.
fn message(flags: u16, counts: [u16; 4], rest: &[&[u8]]) -> Vec<u8> {
    let mut message = vec![0xab, 0xcd];
    message.extend_from_slice(&flags.to_be_bytes());
    message.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
    message.extend(rest.concat());
    message
}

/// An OPT record with these options.
fn opt(size: u16, version: u8, flags: u8, options: &[u8]) -> Vec<u8> {
    let mut record = vec![0, 0, 41];
    record.extend_from_slice(&size.to_be_bytes());
    record.extend_from_slice(&[0, version, flags, 0]);
    record.extend_from_slice(&(options.len() as u16).to_be_bytes());
    record.extend_from_slice(options);
    record
}

const WWW: &[u8] = b"\x03WwW\x07example\x00\x00\x01\x00\x01";

#[track_caller]
fn check_code(message: &[u8], expected: Option<(u16, &[u8])>) {
    let code = match Query::parse(message) {
        Err(Malformed::Silent) => None,
        Err(Malformed::Refused { code, question, .. }) => Some((code, question)),
        Ok(query) => panic!("{query:?}"),
    };
    assert_eq!(code, expected, "{message:02x?}");
}

#[test]
fn a_plain_query() {
    let message = message(0x0110, [1, 0, 0, 0], &[WWW]);
    let query = Query::parse(&message).expect("it is one");
    assert_eq!((query.name(), query.record_type, query.class), (&WWW[..13], 1, 1));
    assert_eq!((query.question, query.edns, query.is_signed), (WWW, None, false));
    assert_eq!(query.head, Head { id: [0xab, 0xcd], flags: 0x0110 });
}

#[test]
fn what_could_be_a_trap_is_not_answered() {
    check_code(&[], None);
    check_code(&message(0, [1, 0, 0, 0], &[])[..11], None);
    check_code(&message(0x8000, [1, 0, 0, 0], &[WWW]), None);
    check_code(&message(0xf800, [0, 0, 0, 0], &[]), None);
}

#[test]
fn other_operations_are_not_implemented() {
    for flags in [0x0800, 0x1000, 0x1800, 0x2800, 0x7800, 0x7ff0 & !0x8000] {
        check_code(&message(flags, [0, 0, 0, 0], &[]), Some((NOTIMP, &[])));
        check_code(&message(flags, [1, 0, 0, 0], &[WWW]), Some((NOTIMP, WWW)));
        check_code(&message(flags, [1, 2, 3, 4], &[WWW, b"\xffwhatever"]), Some((NOTIMP, WWW)));
        check_code(&message(flags, [7, 0, 0, 0], &[WWW]), Some((NOTIMP, &[])));
    }
    check_code(&message(0x2000, [1, 0, 0, 0], &[WWW]), Some((REFUSED, WWW)));
}

#[test]
fn who_is_refused_is_told_with_edns_if_that_was_there() {
    #[track_caller]
    fn check(message: &[u8], expected: bool) {
        let has = match Query::parse(message) {
            Err(Malformed::Refused { has_edns, .. }) => has_edns,
            other => panic!("{other:?}"),
        };
        assert_eq!(has, expected, "{message:02x?}");
    }
    let opt = opt(1232, 0, 0, b"");
    check(&message(0x1000, [1, 0, 0, 1], &[WWW, &opt]), true);
    check(&message(0x1000, [1, 0, 0, 0], &[WWW]), false);
    check(&message(0x2000, [1, 0, 0, 1], &[WWW, &opt]), true);
    check(&message(0, [1, 0, 0, 2], &[WWW, &opt, &opt]), true);
    check(&message(0, [1, 0, 0, 1], &[WWW, &opt, b"x"]), true);
    check(&message(0, [1, 0, 0, 2], &[WWW, b"x", &opt]), false);
    check(&message(0, [2, 0, 0, 1], &[WWW, WWW, &opt]), false);
}

#[test]
fn questions_are_counted() {
    check_code(&message(0, [0, 0, 0, 0], &[]), Some((FORMERR, &[])));
    check_code(&message(0, [2, 0, 0, 0], &[WWW, WWW]), Some((FORMERR, &[])));
    check_code(&message(0, [1, 0, 0, 0], &[]), Some((FORMERR, &[])));
    let cookie = opt(1232, 0, 0, b"\0\x0a\0\x0812345678");
    let message = message(0, [0, 0, 0, 1], &[&cookie]);
    let query = Query::parse(&message).expect("only a cookie");
    assert_eq!((query.question, query.name()), (&[][..], &[][..]));
}

#[test]
fn names_are_plain() {
    let long = [b"\x3f".as_slice(), &[b'a'; 63]].concat().repeat(4);
    let just = [&long[..192], b"\x3d", &[b'a'; 61], b"\0\0\x01\0\x01"].concat();
    assert_eq!(Query::parse(&message(0, [1, 0, 0, 0], &[&just])).expect("255 bytes").name().len(), 255);
    let over = [&long[..192], b"\x3e", &[b'a'; 62], b"\0\0\x01\0\x01"].concat();
    check_code(&message(0, [1, 0, 0, 0], &[&over]), Some((FORMERR, &[])));
    check_code(&message(0, [1, 0, 0, 0], &[b"\xc0\x0c\0\x01\0\x01"]), Some((FORMERR, &[])));
    check_code(&message(0, [1, 0, 0, 0], &[b"\x40a\0\0\x01\0\x01"]), Some((FORMERR, &[])));
    check_code(&message(0, [1, 0, 0, 0], &[b"\x03www"]), Some((FORMERR, &[])));
}

#[test]
fn what_follows_has_to_be_records() {
    check_code(&message(0, [1, 0, 0, 0], &[WWW, b"x"]), Some((FORMERR, WWW)));
    check_code(&message(0, [1, 0, 0, 1], &[WWW]), Some((FORMERR, WWW)));
    check_code(
        &message(0, [1, 0, 0, 2], &[WWW, &opt(1232, 0, 0, b""), &opt(1232, 0, 0, b"")]),
        Some((FORMERR, WWW)),
    );
    // OPT belongs to the root.
    check_code(&message(0, [1, 0, 0, 1], &[WWW, b"\x01a", &opt(1232, 0, 0, b"")]), Some((FORMERR, WWW)));
    // Wherever it stands among the additional records.
    let other = b"\x01a\0\0\x01\0\x01\0\0\0\0\0\x04abcd";
    let message = message(
        0,
        [1, 1, 1, 3],
        &[WWW, other, other, other, &opt(4096, 0, 0x80, b""), b"\xc0\x0c", &other[3..]],
    );
    let edns = Query::parse(&message).expect("it is one").edns.expect("it has one");
    assert_eq!((edns.size, edns.wants_signatures), (4096, true));
}

#[test]
fn signatures_are_seen() {
    let signature = b"\x01k\0\0\xfa\0\xff\0\0\0\0\0\x11\0\0\0\0\0\0\x01\x01\x2c\0\0\xab\xcd\0\0\0\0";
    let signed = message(0, [1, 0, 0, 1], &[WWW, signature]);
    let query = Query::parse(&signed).expect("it is one");
    assert!(query.is_signed && query.tsig.is_some());
    let compressed = message(0, [1, 0, 0, 1], &[WWW, b"\xc0\x0c", &signature[3..]]);
    let query = Query::parse(&compressed).expect("it is one");
    assert!(query.is_signed && query.tsig.is_none());
    // Nothing in it, or it is not the last one (RFC 8945 §5.2).
    let empty = [&signature[..11], b"\0\0"].concat();
    check_code(&message(0, [1, 0, 0, 1], &[WWW, &empty]), Some((FORMERR, WWW)));
    check_code(&message(0, [1, 0, 0, 2], &[WWW, signature, &opt(1232, 0, 0, b"")]), Some((FORMERR, WWW)));
}

#[test]
fn other_versions_of_edns_are_told_so() {
    for options in [b"".as_slice(), b"\0\x03\0\0", b"\0\x08\0\x01x"] {
        check_code(&message(0, [1, 0, 0, 1], &[WWW, &opt(1232, 1, 0x80, options)]), Some((BADVERS, WWW)));
    }
}

#[test]
fn options_are_read_or_refused() {
    #[track_caller]
    fn check(options: &[u8], expected: Option<Edns<'_>>) {
        let message = message(0, [1, 0, 0, 1], &[WWW, &opt(100, 0, 0x7f, options)]);
        match expected {
            Some(expected) => assert_eq!(Query::parse(&message).expect("it is one").edns, Some(expected)),
            None => check_code(&message, Some((FORMERR, WWW))),
        }
    }
    let plain = Edns { size: 512, ..Edns::default() };
    let subnet = |text: &str, source| Edns {
        subnet: Some(ClientSubnet { address: text.parse().expect("an address"), source }),
        ..plain
    };
    check(b"", Some(plain));
    check(b"\0\x03\0\0", Some(Edns { wants_identity: true, ..plain }));
    check(b"\0\x03\0\x02xy", Some(Edns { wants_identity: true, ..plain }));
    // Nobody knows it.
    check(b"\xff\xf0\0\x02xy", Some(plain));
    check(b"\0\x0a\0\x0812345678", Some(Edns { cookie: Some(b"12345678"), ..plain }));
    check(b"\0\x0a\0\x071234567", None);
    check(b"\0\x0a\0\x0f123456789012345", None);
    check(
        &[b"\0\x0a\0\x28".as_slice(), &[b'x'; 40]].concat(),
        Some(Edns { cookie: Some(&[b'x'; 40]), ..plain }),
    );
    check(&[b"\0\x0a\0\x29".as_slice(), &[b'x'; 41]].concat(), None);
    check(b"\0\x08\0\x07\0\x01\x18\0\xc0\0\x02", Some(subnet("192.0.2.0", 24)));
    check(b"\0\x08\0\x07\0\x01\x17\0\xc0\0\x02", Some(subnet("192.0.2.0", 23)));
    check(b"\0\x08\0\x07\0\x01\x17\0\xc0\0\x03", None);
    check(b"\0\x08\0\x04\0\x01\0\0", Some(subnet("0.0.0.0", 0)));
    check(b"\0\x08\0\x0a\0\x02\x2f\0\x20\x01\x0d\xb8\0\x02", Some(subnet("2001:db8:2::", 47)));
    check(b"\0\x08\0\x03\0\x01\0", None);
    check(b"\0\x08\0\x07\0\x03\x18\0\xc0\0\x02", None);
    check(b"\0\x08\0\x08\0\x01\x21\0\xc0\0\x02\0", None);
    check(b"\0\x08\0\x06\0\x01\x18\0\xc0\0", None);
    check(b"\0\x08\0\x07\0\x01\x18\x18\xc0\0\x02", None);
    // Not even a whole option.
    check(b"\0\x03\0", None);
    check(b"\0\x03\0\x05abc", None);
}

#[test]
fn a_subnet_is_written_as_it_came() {
    #[track_caller]
    fn check(option: &[u8], scope: u8) {
        let subnet = ClientSubnet::parse(&option[4..]).expect("it is one");
        let mut written = [0; crate::edns::SUBNET_MAX];
        let length = subnet.write(scope, &mut written);
        let mut expected = option.to_vec();
        expected[7] = scope;
        assert_eq!(written[..length], expected);
    }
    check(b"\0\x08\0\x07\0\x01\x17\0\xc0\0\x02", 20);
    check(b"\0\x08\0\x04\0\x01\0\0", 0);
    check(b"\0\x08\0\x14\0\x02\x80\0\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 128);
}

proptest! {
    #[test]
    fn nothing_breaks_it(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = Query::parse(&bytes);
    }

    /// What begins like a query comes further.
    #[test]
    fn nothing_behind_a_question_breaks_it(
        counts in [0u16..2, 0..3, 0..3, 0..4],
        rest in prop::collection::vec(prop::sample::select(vec![0u8, 1, 4, 8, 10, 41, 192, 250, 255]), 0..60),
    ) {
        let message = message(0, counts, &[WWW, &rest]);
        if let Ok(query) = Query::parse(&message) {
            prop_assert!(query.question.is_empty() || query.question == WWW);
        }
    }
}
