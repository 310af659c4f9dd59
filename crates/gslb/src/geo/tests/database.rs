//! Databases that are sound, odd, damaged and hostile.

use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;

use super::mmdb::{Value, Writer, flat, map, nested, operator, text};
use crate::geo::{Atlas, Database, DatabaseError, Location, Place, Schema, Sources};

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn place(continent: &str, country: &str) -> Place {
    Place { continent: continent.parse().ok(), country: country.parse().ok(), ..Place::default() }
}

fn check(database: &Database, asked: &str, expected: Place, net: Option<&str>) {
    let (found, found_net) = database.find(address(asked));
    assert_eq!((found, found_net.map(|net| net.to_string()).as_deref()), (expected, net), "{asked}");
}

fn cities(writer: Writer) -> Writer {
    writer
        .insert("192.0.2.0/24", &nested("EU", "DE", "HE", (50.1, 8.7)))
        .insert("192.0.2.128/25", &nested("NA", "US", "CA", (37.4, -122.1)))
        .insert("203.0.113.0/24", &nested("EU", "DE", "HE", (50.1, 8.7)))
}

fn frankfurt() -> Place {
    Place { subdivision: "DE-HE".parse().ok(), location: Location::new(50.1, 8.7), ..place("EU", "DE") }
}

#[test]
fn nested_records_are_read_at_every_record_size() {
    for size in [24, 28, 32] {
        for (writer, is_v6) in [(Writer::v4(size), false), (Writer::v6(size), true)] {
            let mut writer = cities(writer);
            if is_v6 {
                writer = writer.insert("2001:db8::/32", &nested("AS", "JP", "13", (35.7, 139.7)));
                writer = ["::ffff:0:0/96", "2002::/16", "2001::/32"].into_iter().fold(writer, Writer::alias);
            }
            let database = Database::parse(&writer.finish()).expect("a database");
            let california = Place {
                subdivision: "US-CA".parse().ok(),
                location: Location::new(37.4, -122.1),
                ..place("NA", "US")
            };
            check(&database, "192.0.2.1", frankfurt(), Some("192.0.2.0/25"));
            check(&database, "192.0.2.200", california, Some("192.0.2.128/25"));
            check(&database, "203.0.113.9", frankfurt(), Some("203.0.113.0/24"));
            check(&database, "198.51.100.1", Place::default(), None);
            let tokyo = Place {
                subdivision: "JP-13".parse().ok(),
                location: Location::new(35.7, 139.7),
                ..place("AS", "JP")
            };
            let net = is_v6.then_some("2001:db8::/32");
            check(&database, "2001:db8:1::1", if is_v6 { tokyo } else { Place::default() }, net);
            // IPv4 in IPv6 is not a part of IPv6 of its own.
            check(&database, "2002:c000:201::1", Place::default(), None);
            let about = database.about();
            let counts = (about.networks, about.places);
            assert_eq!(counts, if is_v6 { (4, 3) } else { (3, 2) });
            assert_eq!(
                (about.schema, about.kind.as_str(), about.built),
                (Schema::Nested, "Fulcrum-Test", 1_700_000_000)
            );
        }
    }
}

/// What is read is independent of the file: it may be cut, replaced or removed while it is in use.
#[test]
fn files_are_read_and_let_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("city.mmdb");
    assert!(matches!(Database::open(&path), Err(DatabaseError::Read(_))));
    std::fs::write(&path, cities(Writer::v6(24)).finish()).expect("a file");
    let database = Database::open(&path).expect("a database");
    std::fs::write(&path, b"").expect("a file");
    assert!(matches!(Database::open(&path), Err(DatabaseError::Format(_))));
    check(&database, "192.0.2.1", frankfurt(), Some("192.0.2.0/25"));
}

#[test]
fn flat_records_are_read() {
    let coded = map([
        ("country", text("TR")),
        ("region_code", text("34")),
        ("lat", text("41.0")),
        ("lng", text("29.0")),
    ]);
    let file = Writer::v6(28)
        .insert("192.0.2.0/24", &flat("DE", (50.1, 8.7)))
        .insert("198.51.100.0/24", &coded)
        .insert("203.0.113.0/24", &map([("country_code", text("")), ("asn", text("AS64500"))]))
        .insert(
            "2001:db8::/32",
            &map([
                ("country_code", text("ZZ")),
                ("latitude", Value::Double(91.0)),
                ("longitude", Value::Double(0.0)),
            ]),
        );
    let database = Database::parse(&file.finish()).expect("a database");
    check(
        &database,
        "192.0.2.1",
        Place { location: Location::new(50.1, 8.7), ..place("EU", "DE") },
        Some("192.0.2.0/24"),
    );
    let istanbul =
        Place { subdivision: "TR-34".parse().ok(), location: Location::new(41.0, 29.0), ..place("AS", "TR") };
    check(&database, "198.51.100.1", istanbul, Some("198.51.100.0/24"));
    check(&database, "203.0.113.1", Place { asn: Some(64500), ..Place::default() }, Some("203.0.113.0/24"));
    // A country that does not exist, a point that is not on the globe: as if nothing was said.
    let odd = Place { country: "ZZ".parse().ok(), ..Place::default() };
    check(&database, "2001:db8::1", odd, Some("2001:db8::/32"));
    assert_eq!(database.about().schema, Schema::Flat);
}

#[test]
fn operators_stand_beside_places() {
    let places = Database::parse(&cities(Writer::v6(24)).finish()).expect("a database");
    let file =
        Writer::v4(24).insert("192.0.2.0/26", &operator(64500)).insert("198.51.100.0/24", &operator(64501));
    let operators = Database::parse(&file.finish()).expect("a database");
    assert_eq!(operators.about().schema, Schema::Operator);
    let sources =
        Sources { database: Some(Arc::new(places)), asn: Some(Arc::new(operators)), ..Sources::default() };
    let atlas = Atlas::new(sources).expect("an atlas");
    let located = atlas.locate(address("64:ff9b::c000:201"));
    assert_eq!(
        (located.address, located.place),
        (address("192.0.2.1"), Place { asn: Some(64500), ..frankfurt() })
    );
    assert_eq!(located.place_net.map(|net| net.to_string()).as_deref(), Some("192.0.2.0/25"));
    assert_eq!(located.asn_net.map(|net| net.to_string()).as_deref(), Some("192.0.2.0/26"));
    assert_eq!(atlas.locate(address("192.0.2.64")).place, frankfurt());
    assert_eq!(atlas.locate(address("198.51.100.1")).place, Place { asn: Some(64501), ..Place::default() });
    // A file of IPv4 knows nothing of IPv6, which is no fault.
    assert_eq!(atlas.locate(address("2001:db8::1")).place, Place::default());
}

#[test]
fn what_tells_no_place_is_refused() {
    fn check(file: Vec<u8>, expected: &str) {
        let error = Database::parse(&file).expect_err("not a database of places").to_string();
        assert!(error.contains(expected), "{error}");
    }
    check(Vec::new(), "not of the MaxMind DB format");
    check(b"# CIDR region\n192.0.2.0/24 eu\n".to_vec(), "not of the MaxMind DB format");
    check(
        Writer::v4(24).insert("192.0.2.0/24", &map([("score", Value::Number(7))])).finish(),
        "no record of it has",
    );
    check(Writer::v4(24).finish(), "no record of it has");
    let mixed = cities(Writer::v4(24)).insert("198.51.100.0/24", &flat("DE", (0.0, 0.0))).finish();
    check(mixed, "its record of 198.51.100.0 is flat, but those before are nested");
}

/// A graph of 100 nodes with 2^90 ways through it would keep a reader busy for ever.
#[test]
fn a_tree_that_is_none_is_refused_at_once() {
    let many_ways = (0..95).fold(cities(Writer::v6(24)), |writer, node| writer.link(node, [node + 1; 2]));
    assert!(matches!(Database::parse(&many_ways.finish()), Err(DatabaseError::Tree)));
    let loops = cities(Writer::v6(24)).link(3, [1, 0]);
    assert!(matches!(Database::parse(&loops.finish()), Err(DatabaseError::Tree)));
}

#[test]
fn every_truncation_is_refused() {
    let file = cities(Writer::v6(28)).finish();
    let start_of_metadata = file.windows(3).rposition(|bytes| bytes == b"\xab\xcd\xef").expect("a mark");
    for length in 0..file.len() {
        let outcome = Database::parse(&file[..length]);
        assert!(outcome.is_err() || length > start_of_metadata, "{length} of {}", file.len());
        assert!(outcome.is_err(), "{length} of {}", file.len());
    }
    // Also if the middle is missing, so that all marks are there.
    for cut in 1..start_of_metadata {
        let shorter = [&file[..start_of_metadata - cut], &file[start_of_metadata..]].concat();
        assert!(Database::parse(&shorter).is_err(), "without {cut} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Whatever is changed: it is refused, or it is a database in which everything can be looked up.
    #[test]
    fn damage_does_no_harm(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        size in prop::sample::select(vec![24u16, 28, 32]),
        asked in any::<u128>(),
    ) {
        let writer = cities(Writer::v6(size)).insert("2001:db8::/32", &flat("JP", (35.7, 139.7)));
        let mut file = writer.alias("2002::/16").finish();
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Ok(database) = Database::parse(&file) {
            for address in [IpAddr::V6(asked.into()), IpAddr::V4((asked as u32).into()), address("192.0.2.1")] {
                let (_, net) = database.find(address);
                prop_assert!(net.is_none_or(|net| net.contains(&address)));
            }
        }
    }
}
