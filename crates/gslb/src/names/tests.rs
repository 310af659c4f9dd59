//! What is found of names, and of what kind.

use super::*;
use crate::query::{AUTHORITATIVE, NXDOMAIN};
use crate::zone::{
    self,
    tests::{APEX, records},
};

fn names(zones: &[(&str, &str, &[&str])]) -> Names {
    let zone = |(apex, text, chosen): &(&str, &str, &[&str])| {
        let chosen = chosen.iter().map(|name| (name.parse().expect("a name"), 7)).collect();
        zone::Zone::new(apex.parse().expect("a name"), records(text), chosen).expect("nothing is wrong")
    };
    Names::new(&zones.iter().map(zone).collect::<Vec<_>>())
}

/// What is found, in a word: the records of each section, and the flags.
fn tell(names: &Names, name: &str, record_type: &str) -> String {
    let name: DnsName = name.parse().expect("a name");
    let record_type: RecordType = record_type.parse().expect("a type");
    let body = |body: &Body| {
        let ([answers, authority, additional], _) = body.counts();
        let code = if body.flags() & NXDOMAIN != 0 { " nxdomain" } else { "" };
        let word = if body.flags() & AUTHORITATIVE != 0 { "answer" } else { "referral" };
        format!("{word} {answers} {authority} {additional}{code}")
    };
    match names.find(name.as_wire(), record_type.0).0 {
        Found::Body(found) => body(found),
        Found::Choice(number, _) => format!("choice {number}"),
        Found::Below(number, zone) => format!("below {number}, no name {}", zone.number),
        Found::Any => "any".to_owned(),
        Found::NoData(zone) => format!("no data {}", zone.number),
        Found::NoName(zone) => format!("no name {}", zone.number),
        Found::Nowhere => "nowhere".to_owned(),
    }
}

#[test]
fn names_are_found() {
    let text = format!(
        "{APEX}www 60 A 192.0.2.1\nwww 60 TXT a\n@ 60 MX 10 mail\nmail 60 A 192.0.2.2\nmail 60 AAAA ::1\na.b.c 60 A 192.0.2.3\n\
         _sip._udp 60 SRV 0 0 1 mail\n_sip._tcp 60 SRV 0 0 1 mail\n_sip._tcp 60 SRV 0 0 2 mail\n_sip._tcp 60 SRV 0 0 1 www"
    );
    let names = names(&[("example.com", &text, &["geo.example.com"])]);
    let check = |name: &str, record_type: &str, expected: &str| {
        assert_eq!(tell(&names, name, record_type), expected, "{name} {record_type}");
    };
    check("www.example.com", "A", "answer 1 0 0");
    check("www.example.com", "AAAA", "no data 0");
    check("www.example.com", "TYPE666", "no data 0");
    check("www.example.com", "ANY", "any");
    check("example.com", "SOA", "answer 1 0 0");
    check("example.com", "NS", "answer 1 0 1");
    check("example.com", "MX", "answer 1 0 2");
    check("example.com", "DS", "no data 0");
    check("_sip._udp.example.com", "SRV", "answer 1 0 2");
    // Several services at one host: its addresses come once (RFC 2181 §5).
    check("_sip._tcp.example.com", "SRV", "answer 3 0 3");
    // Names above others are there (RFC 8020).
    check("b.c.example.com", "A", "no data 0");
    check("c.example.com", "ANY", "no data 0");
    check("x.b.c.example.com", "A", "no name 0");
    check("nope.example.com", "A", "no name 0");
    check("below.www.example.com", "A", "no name 0");
    check("geo.example.com", "A", "choice 7");
    check("geo.example.com", "MX", "choice 7");
    check("geo.example.com", "ANY", "any");
    check("geo.example.com", "RRSIG", "no data 0");
    check("example.org", "A", "nowhere");
    check("com", "A", "nowhere");
    check(".", "NS", "nowhere");
}

#[test]
fn wildcards_cover_what_is_not_there() {
    let text = format!("{APEX}* 60 A 192.0.2.1\na 60 TXT x\nb.c 60 TXT x\n*.d 60 CNAME a\n*.geo 60 TXT x");
    let names = names(&[("example.com", &text, &["*.e.example.com"])]);
    let check = |name: &str, record_type: &str, expected: &str| {
        assert_eq!(tell(&names, name, record_type), expected, "{name} {record_type}");
    };
    check("x.example.com", "A", "answer 1 0 0");
    check("x.y.example.com", "A", "answer 1 0 0");
    check("x.example.com", "TXT", "no data 0");
    check("*.example.com", "A", "answer 1 0 0");
    // A name that is there is not covered, nor what is below it (RFC 4592 §2.2).
    check("a.example.com", "A", "no data 0");
    check("x.a.example.com", "A", "no name 0");
    check("c.example.com", "A", "no data 0");
    check("x.c.example.com", "A", "no name 0");
    check("x.d.example.com", "TXT", "answer 2 0 0");
    check("x.d.example.com", "A", "answer 1 1 0");
    check("x.e.example.com", "A", "choice 7");
    check("x.geo.example.com", "TXT", "answer 1 0 0");
}

#[test]
fn aliases_lead_on() {
    let text = format!(
        "{APEX}www 60 A 192.0.2.1\none 60 CNAME www\ntwo 60 CNAME one\nout 60 CNAME www.example.org.\ngone 60 CNAME nope\n\
         loop 60 CNAME pool\npool 60 CNAME loop\nself 60 CNAME self\nto-geo 60 CNAME geo\nto-empty 60 CNAME c\na.c 60 TXT x\n\
         to-cut 60 CNAME x.cut\ncut 60 NS ns.example.org."
    );
    let names = names(&[("example.com", &text, &["geo.example.com"])]);
    let check = |name: &str, record_type: &str, expected: &str| {
        assert_eq!(tell(&names, name, record_type), expected, "{name} {record_type}");
    };
    check("one.example.com", "A", "answer 2 0 0");
    check("two.example.com", "A", "answer 3 0 0");
    check("two.example.com", "CNAME", "answer 1 0 0");
    check("two.example.com", "ANY", "answer 1 0 0");
    check("two.example.com", "MX", "answer 2 1 0");
    check("one.example.com", "RRSIG", "no data 0");
    check("out.example.com", "A", "answer 1 0 0");
    check("gone.example.com", "A", "answer 1 1 0 nxdomain");
    check("gone.example.com", "CNAME", "answer 1 0 0");
    check("loop.example.com", "A", "answer 1 0 0");
    check("self.example.com", "A", "answer 1 0 0");
    // What depends on who asks is asked for by itself.
    check("to-geo.example.com", "A", "answer 1 0 0");
    check("to-empty.example.com", "A", "answer 1 0 0");
    check("to-cut.example.com", "A", "answer 1 0 0");
}

#[test]
fn what_does_not_fit_beside_an_alias_is_asked_for_by_itself() {
    // A few bytes less than a message holds.
    let text: String = (0..240).map(|number| format!("large 60 TXT {number:0255}\n")).collect();
    let text = format!("{text}large 60 TXT {:0130}", 0);
    let names =
        names(&[("example.com", &format!("{APEX}one 60 CNAME two\ntwo 60 CNAME large\n{text}"), &[])]);
    assert_eq!(tell(&names, "large.example.com", "TXT"), "answer 241 0 0");
    assert_eq!(tell(&names, "two.example.com", "TXT"), "answer 1 0 0");
    assert_eq!(tell(&names, "one.example.com", "TXT"), "answer 2 0 0");
}

#[test]
fn delegations_send_elsewhere() {
    let text = format!(
        "{APEX}cut 60 NS ns.cut\ncut 60 NS ns1\ncut 60 NS ns.example.org.\nns.cut 60 A 192.0.2.7\ncut 60 TXT hidden\nsafe 60 NS ns1\n\
         safe 60 DS 1 8 9 00ff"
    );
    let names = names(&[("example.com", &text, &["geo.cut.example.com"])]);
    let check = |name: &str, record_type: &str, expected: &str| {
        assert_eq!(tell(&names, name, record_type), expected, "{name} {record_type}");
    };
    check("cut.example.com", "A", "referral 0 3 2");
    check("cut.example.com", "NS", "referral 0 3 2");
    check("cut.example.com", "TXT", "referral 0 3 2");
    check("ns.cut.example.com", "A", "referral 0 3 2");
    check("geo.cut.example.com", "A", "referral 0 3 2");
    check("x.y.cut.example.com", "A", "referral 0 3 2");
    // The zone above answers for the keys.
    check("cut.example.com", "DS", "no data 0");
    check("safe.example.com", "DS", "answer 1 0 0");
    check("x.safe.example.com", "DS", "referral 0 1 1");
}

#[test]
fn a_zone_within_another_answers_for_its_names() {
    let upper =
        format!("{APEX}sub 60 NS ns1\nsub 60 DS 1 8 9 00ff\nwww.sub 60 A 192.0.2.9\nlow.sub2 60 A 192.0.2.9");
    let lower = "sub 60 SOA ns1 hostmaster 1 1 1 1 60\nsub 60 NS ns1\nwww.sub 60 TXT x";
    let other = "sub2 60 SOA ns1 hostmaster 1 1 1 1 60\nsub2 60 NS ns1";
    let zones: [(&str, &str, &[&str]); 3] =
        [("example.com", &upper, &[]), ("sub.example.com", lower, &[]), ("sub2.example.com", other, &[])];
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let names = names(&order.map(|place| zones[place]));
        let number = |zone: usize| order.iter().position(|place| *place == zone).expect("it is there");
        let check = |name: &str, record_type: &str, expected: &str| {
            assert_eq!(tell(&names, name, record_type), expected, "{name} {record_type} {order:?}");
        };
        check("www.sub.example.com", "TXT", "answer 1 0 0");
        check("www.sub.example.com", "A", &format!("no data {}", number(1)));
        check("sub.example.com", "NS", "answer 1 0 0");
        check("sub.example.com", "DS", "answer 1 0 0");
        check("nope.sub.example.com", "A", &format!("no name {}", number(1)));
        check("low.sub2.example.com", "A", &format!("no name {}", number(2)));
        check("nope.example.com", "A", &format!("no name {}", number(0)));
    }
}

#[test]
fn names_on_the_way_to_a_zone_below_are_there() {
    let lower = "a.b 60 SOA ns1 hostmaster 1 1 1 1 60\na.b 60 NS ns1";
    let lowest = "y.x.a.b 60 SOA ns1 hostmaster 1 1 1 1 60\ny.x.a.b 60 NS ns1";
    let below_cut = "z.cut 60 SOA ns1 hostmaster 1 1 1 1 60\nz.cut 60 NS ns1";
    // What the zone at the top says of the keys of the lowest one is not for it to say.
    let others = "to-b 60 CNAME b\ncut 60 NS ns1\ny.x.a.b 60 DS 1 8 9 00ff";
    for delegated in ["", "\na.b 60 NS ns1\na.b 60 DS 1 8 9 00ff"] {
        let upper = format!("{APEX}{others}{delegated}");
        let zones: [(&str, &str, &[&str]); 4] = [
            ("example.com", &upper, &[]),
            ("a.b.example.com", lower, &[]),
            ("y.x.a.b.example.com", lowest, &[]),
            ("z.cut.example.com", below_cut, &[]),
        ];
        for order in [[0, 1, 2, 3], [3, 2, 1, 0]] {
            let names = names(&order.map(|place| zones[place]));
            let number = |zone: usize| order.iter().position(|place| *place == zone).expect("it is there");
            let check = |name: &str, record_type: &str, expected: &str| {
                assert_eq!(tell(&names, name, record_type), expected, "{name} {record_type} {order:?}");
            };
            check("b.example.com", "A", &format!("no data {}", number(0)));
            check("x.a.b.example.com", "A", &format!("no data {}", number(1)));
            check("nope.b.example.com", "A", &format!("no name {}", number(0)));
            check("to-b.example.com", "A", "answer 1 0 0");
            check("nope.a.b.example.com", "A", &format!("no name {}", number(1)));
            check("cut.example.com", "A", "referral 0 1 1");
            check("z.cut.example.com", "SOA", "answer 1 0 0");
            check("y.x.a.b.example.com", "DS", &format!("no data {}", number(1)));
            let keys = if delegated.is_empty() {
                format!("no data {}", number(0))
            } else {
                "answer 1 0 0".to_owned()
            };
            check("a.b.example.com", "DS", &keys);
        }
    }
}
