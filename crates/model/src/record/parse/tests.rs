//! Records that parse, and what is said of the others.

use super::*;
use crate::record::fields;

#[track_caller]
fn parse(text: &str) -> Result<RecordData, RecordError> {
    let origin: DnsName = "example.com".parse().expect("a name");
    let (record_type, data) = text.split_once(' ').unwrap_or((text, ""));
    RecordData::parse(record_type.parse()?, &fields(data)?, &origin)
}

#[track_caller]
fn name(text: &str) -> DnsName {
    text.parse().expect("a name")
}

#[test]
fn records_parse() {
    #[track_caller]
    fn check(text: &str, expected: RecordData) {
        assert_eq!(parse(text), Ok(expected), "{text}");
    }
    check("A 192.0.2.1", RecordData::A([192, 0, 2, 1].into()));
    check(r"A \# 4 C0000201", RecordData::A([192, 0, 2, 1].into()));
    check("AAAA 2001:db8::1", RecordData::Aaaa("2001:db8::1".parse().expect("an address")));
    check("CNAME www", RecordData::Cname(name("www.example.com")));
    check("NS ns.example.net.", RecordData::Ns(name("ns.example.net")));
    check("MX 10 @", RecordData::Mx { preference: 10, exchange: name("example.com") });
    check(r#"TXT "a b" c"#, RecordData::Txt(vec![Box::from(*b"a b"), Box::from(*b"c")]));
    check(
        "SRV 0 5 5060 sip",
        RecordData::Srv { priority: 0, weight: 5, port: 5060, target: name("sip.example.com") },
    );
    check(
        "SOA ns1 hostmaster 2026010100 1h 15m 1w 60",
        RecordData::Soa(Box::new(Soa {
            primary: name("ns1.example.com"),
            contact: name("hostmaster.example.com"),
            serial: 2_026_010_100,
            refresh: 3600,
            retry: 900,
            expire: 604_800,
            minimum: 60,
        })),
    );
}

#[test]
fn records_of_other_types_parse() {
    #[track_caller]
    fn check(text: &str, expected: &[u8]) {
        match parse(text) {
            Ok(RecordData::Other(_, data)) => assert_eq!(&data[..], expected, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    check(r#"CAA 0 issue "ca.example""#, b"\x00\x05issueca.example");
    check("TLSA 3 1 0 00FF aa", &[3, 1, 0, 0, 255, 0xaa]);
    check("SSHFP 4 9 0102", &[4, 9, 1, 2]);
    check("DS 258 8 9 ABCD", &[1, 2, 8, 9, 0xab, 0xcd]);
    check(
        r#"NAPTR 1 2 "s" "SIP+D2U" "" a"#,
        b"\x00\x01\x00\x02\x01s\x07SIP+D2U\x00\x01a\x07example\x03com\x00",
    );
    check(r"TYPE666 \# 3 01 02 03", &[1, 2, 3]);
    check(r"TYPE666 \# 0", &[]);
    check("HTTPS 1 . alpn=h2,h3", b"\x00\x01\x00\x00\x01\x00\x06\x02h2\x02h3");
    check("HTTPS 0 www", b"\x00\x00\x03www\x07example\x03com\x00");
    check(
        "SVCB 1 . port=8443 ipv4hint=192.0.2.1",
        b"\x00\x01\x00\x00\x03\x00\x02\x20\xfb\x00\x04\x00\x04\xc0\x00\x02\x01",
    );
    // In the order of their keys (RFC 9460 §2.2), whatever the order they are written in.
    check(
        r#"HTTPS 1 . ipv6hint="2001:db8::1" no-default-alpn alpn=h3 key667=hello"#,
        b"\x00\x01\x00\x00\x01\x00\x03\x02h3\x00\x02\x00\x00\x00\x06\x00\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x02\x9b\x00\x05hello",
    );
    check(
        "HTTPS 1 . mandatory=port alpn=h2 port=1",
        b"\x00\x01\x00\x00\x00\x00\x02\x00\x03\x00\x01\x00\x03\x02h2\x00\x03\x00\x02\x00\x01",
    );
    check("HTTPS 1 . ech=AQID", b"\x00\x01\x00\x00\x05\x00\x03\x01\x02\x03");
}

/// With fields or as bare bytes: a digest is as long as its kind says, if that is known.
#[test]
fn digests_have_the_length_of_their_kind() {
    #[track_caller]
    fn check(head: &str, bytes: &str, right: usize) {
        let digest = |length: usize| "5a".repeat(length);
        let told = |length| format!("has {right} bytes, not {length}");
        for length in [right, right - 1, right + 1] {
            let written = parse(&format!("{head} {}", digest(length)));
            let (record_type, numbers) = head.split_once(' ').expect("a type");
            let whole = bytes.len() / 2 + length;
            let bare = parse(&format!("{record_type} \\# {whole} {bytes}{}", digest(length)));
            assert_eq!(written, bare, "{record_type} {numbers}");
            match written {
                Ok(_) => assert_eq!(length, right, "{head}"),
                Err(error) => assert!(error.to_string().ends_with(&told(length)), "{head}: {error}"),
            }
        }
    }
    check("DS 258 8 1", "01020801", 20);
    check("DS 258 8 2", "01020802", 32);
    check("DS 258 13 4", "01020d04", 48);
    check("TLSA 3 1 1", "030101", 32);
    check("TLSA 3 1 2", "030102", 64);
    check("SMIMEA 3 0 1", "030001", 32);
    check("SSHFP 4 1", "0401", 20);
    check("SSHFP 4 2", "0402", 32);
    for unknown in ["DS 1 8 3 00", "DS 1 8 255 0001", "TLSA 3 1 0 00", "TLSA 3 1 255 00", "SSHFP 4 0 00"] {
        assert!(parse(unknown).is_ok(), "{unknown}");
    }
    for nothing in [r"DS \# 4 01020802", r"TLSA \# 2 0301", r"SSHFP \# 0"] {
        assert_eq!(
            parse(nothing),
            Err(RecordError::Fields("numbers, and a digest in hexadecimal")),
            "{nothing}"
        );
    }
}

#[test]
fn what_cannot_be_a_record_says_why() {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(parse(text).map_err(|error| error.to_string()), Err(expected.to_owned()), "{text}");
    }
    check("A 192.0.2.256", "expected an IPv4 address, found \"192.0.2.256\"");
    check("A", "expected an IPv4 address");
    check("A 192.0.2.1 192.0.2.2", "expected an IPv4 address");
    check(r"A \# 3 010203", "expected the fields of its type");
    check("CNAME a..b", "two dots in a row, or one at the beginning");
    check("MX mail", "expected a preference and a name, like `10 mail`");
    check("MX x mail", "expected a preference from 0 to 65535, found \"x\"");
    check("TXT", "expected a text");
    check("SOA a b 1 2 3 4 -5", "expected seconds from 0 to 2147483647, or like 1h30m, found \"-5\"");
    check(
        "SOA a b 1 2 3 4 4294967295",
        "expected seconds from 0 to 2147483647, or like 1h30m, found \"4294967295\"",
    );
    check(&format!("TLSA 3 1 1 {}", "00".repeat(65_533)), "data has at most 65535 bytes");
    check(&format!("TXT{}", " \"\"".repeat(65_536)), "data has at most 65535 bytes");
    check("TLSA 3 1 1", "expected numbers, and a digest in hexadecimal");
    check("TLSA 3 1 1 0", "expected pairs of hexadecimal digits");
    check("DS 1 8 2 d2abde24", "a DS digest of type 2 has 32 bytes, not 4");
    check("TYPE666 abc", r"expected `\#`, the number of bytes, and the bytes in hexadecimal (RFC 3597)");
    check(r"TYPE666 \# 2 01", "expected as many bytes as the length says");
    check("DNAME a", "DNAME cannot be served: aliases of whole trees are not served");
    check("RRSIG a", "RRSIG cannot be served: zones are not signed");
    check("AXFR a", "AXFR cannot be served: it is a type of questions");
    check("NOPE a", "there is no such type of records");
    check("HTTPS 1 . alpn=h2 alpn=h3", "expected every key once");
    check("HTTPS 0 www port=1", "expected no parameters with the priority 0");
    check("HTTPS 1 . mandatory=port", "expected every mandatory key to be there");
    check("HTTPS 1 . nope=1", "expected a key of RFC 9460, like `alpn`, `port` or `key667`, found \"nope\"");
    check("HTTPS 1 . ipv4hint=a", "expected IPv4 addresses, found \"a\"");
    check("HTTPS 1 . no-default-alpn", "expected `alpn` with `no-default-alpn`");
    check("HTTPS 1 . port", "expected a port, found \"\"");
}

#[test]
fn times_parse() {
    fn check(text: &str, expected: Option<u32>) {
        assert_eq!(parse_seconds(text), expected, "{text:?}");
    }
    check("0", Some(0));
    check("3600", Some(3600));
    check("1h", Some(3600));
    check("1H30m", Some(5400));
    check("2147483647", Some(2_147_483_647));
    check("2147483648", None);
    check("1h30", None);
    check("h", None);
    check("", None);
    check("99999999999999999999w", None);
}
