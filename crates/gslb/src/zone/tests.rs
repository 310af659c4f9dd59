//! What is a zone, and what is told of the others.

use fulcrum_model::fields;

use super::*;

/// Records of `example.com`, one a line: `www 60 A 192.0.2.1`.
pub(crate) fn records(text: &str) -> Vec<Record> {
    let origin: DnsName = "example.com".parse().expect("a name");
    let record = |(place, line): (usize, &str)| {
        let [owner, ttl, record_type, data]: [&str; 4] =
            line.trim().splitn(4, ' ').collect::<Vec<_>>().try_into().expect("four parts");
        Record {
            owner: DnsName::relative(owner, &origin).expect("a name"),
            ttl: ttl.parse().expect("a number"),
            data: RecordData::parse(
                record_type.parse().expect("a type"),
                &fields(data).expect("fields"),
                &origin,
            )
            .expect("a record"),
            file: None,
            line: place as u32 + 1,
        }
    };
    text.trim().lines().enumerate().map(record).collect()
}

/// The least that `example.com` needs.
pub(crate) const APEX: &str =
    "@ 3600 SOA ns1 hostmaster 1 1h 15m 1w 60\n@ 3600 NS ns1\nns1 3600 A 192.0.2.53\n";

#[track_caller]
fn zone(text: &str, chosen: &[&str]) -> Result<Zone, Vec<String>> {
    let chosen = chosen.iter().map(|name| (name.parse().expect("a name"), 0)).collect();
    let zone = Zone::new("example.com".parse().expect("a name"), records(text), chosen);
    zone.map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

#[test]
fn a_zone_has_its_records_in_sets() {
    let text = format!("{APEX}www 60 A 192.0.2.1\nwww 30 A 192.0.2.2\nwww 60 A 192.0.2.1\nwww 60 TXT a");
    let zone = zone(&text, &[]).expect("nothing is wrong");
    let www: DnsName = "www.example.com".parse().expect("a name");
    let set = zone.set(&www, RecordType::A).expect("it is there");
    assert_eq!((set.ttl, set.data.len()), (30, 2), "one TTL, nothing twice");
    assert_eq!(zone.names.get(&www).map(|sets| sets.len()), Some(2));
    assert_eq!(zone.negative_ttl, 60);
    assert_eq!(zone.soa.serial, 1);
}

#[test]
fn what_is_wrong_is_all_told() {
    #[track_caller]
    fn check(text: &str, chosen: &[&str], expected: &[&str]) {
        match zone(text, chosen) {
            Err(errors) => assert_eq!(errors, expected, "{text}"),
            Ok(_) => panic!("nothing is wrong with {text}"),
        }
    }
    check("@ 1 NS ns1", &[], &["example.com. has no SOA"]);
    check(
        "www 1 A 192.0.2.1",
        &[],
        &["example.com. has no SOA", "example.com. has no NS: at least one name server is needed"],
    );
    let bad = |lines: &str| format!("{APEX}{lines}");
    let alias = "www.example.com. has a CNAME and something else: an alias has nothing beside it";
    check(
        &bad("www.example.org. 1 A 192.0.2.1"),
        &[],
        &["line 4: www.example.org. is not in the zone example.com."],
    );
    check(&bad("www 1 CNAME a\nwww 1 A 192.0.2.1"), &[], &[&format!("line 5: {alias}")]);
    check(&bad("www 1 A 192.0.2.1\nwww 1 CNAME a"), &[], &[&format!("line 5: {alias}")]);
    check(&bad("www 1 CNAME a"), &["www.example.com"], &[&format!("line 4: {alias}")]);
    check(
        &bad("www 1 CNAME a\nwww 1 CNAME b"),
        &[],
        &["line 5: www.example.com. has two different CNAME: an alias has one target"],
    );
    check(
        &bad("@ 1 CNAME a"),
        &[],
        &["line 4: example.com. has a CNAME and something else: an alias has nothing beside it"],
    );
    check(
        &bad("www 1 SOA a b 1 1 1 1 1"),
        &[],
        &["line 4: www.example.com. has a SOA, which only the top of a zone has"],
    );
    check(&bad("@ 1 SOA a b 1 1 1 1 1"), &[], &["line 4: example.com. has two different SOA"]);
    check(
        &bad("*.a 1 NS b"),
        &[],
        &["line 4: *.a.example.com. cannot be delegated: it is a wildcard, or answered by a policy"],
    );
    check(
        &bad("www 1 AAAA ::1"),
        &["www.example.com"],
        &["line 4: www.example.com. has an address beside the policy that gives its addresses"],
    );
}

#[test]
fn what_no_message_holds_is_refused() {
    let text =
        |count: usize| -> String { (0..count).map(|number| format!("www 60 TXT {number:0244}\n")).collect() };
    assert!(zone(&format!("{APEX}{}", text(250)), &[]).is_ok());
    assert_eq!(
        zone(&format!("{APEX}{}", text(400)), &[]).expect_err("it is too large"),
        ["the TXT records of www.example.com. do not fit into one message together"]
    );
}

#[test]
fn a_hundred_mistakes_are_enough() {
    let outside = format!("{APEX}{}", "a.org. 1 A 192.0.2.1\n".repeat(200));
    let errors = zone(&outside, &[]).expect_err("it is wrong");
    assert_eq!(errors.len(), 100);
}

#[test]
fn names_below_delegations_know_their_cut() {
    let text = format!("{APEX}a.b 60 NS ns.c.a.b\nns.c.a.b 60 A 192.0.2.1\nc.a.b 60 NS ns1");
    let zone = zone(&text, &[]).expect("nothing is wrong");
    let check = |name: &str, expected: Option<&str>| {
        let cut = zone.cut_of(&name.parse().expect("a name")).map(|cut| cut.to_string());
        assert_eq!(cut.as_deref(), expected, "{name}");
    };
    check("a.b.example.com", Some("a.b.example.com."));
    check("ns.c.a.b.example.com", Some("a.b.example.com."));
    check("b.example.com", None);
    check("example.com", None);
    check("other.org", None);
}
