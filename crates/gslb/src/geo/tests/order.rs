//! The orders of regions, and that compiled ones are those of single clients.

use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;

use super::mmdb::{Writer, nested, operator};
use crate::geo::{
    Atlas, AtlasError, Bias, Candidate, Database, LocatedBy, Location, Nets, Ranking, Reason, RegionPlace,
    Sources,
};
use crate::region::Region;

fn region(index: usize) -> Region {
    Region::new(index).expect("a region")
}

fn place(point: Option<(f32, f32)>, bias: i64, matches: &[&str]) -> RegionPlace {
    RegionPlace {
        location: point.map(|(latitude, longitude)| Location::new(latitude, longitude).expect("a point")),
        bias: Bias::new(bias).expect("a bias"),
        matches: matches.iter().map(|rule| rule.parse().expect("a match")).collect(),
    }
}

fn nets(text: &str) -> Nets {
    Nets::parse(text, |name| name.parse().ok().and_then(Region::new)).expect("a nets file")
}

fn database() -> Option<Arc<Database>> {
    let file = Writer::v6(24)
        .insert("192.0.2.0/26", &nested("EU", "DE", "HE", (50.1, 8.7)))
        .insert("192.0.2.64/26", &nested("AS", "TR", "34", (41.0, 29.0)))
        .insert("192.0.2.128/26", &nested("NA", "US", "CA", (37.4, -122.1)))
        .insert("192.0.2.192/26", &nested("OC", "FJ", "C", (-18.1, 178.4)))
        .insert("2001:db8::/33", &nested("EU", "FR", "IDF", (48.9, 2.4)))
        .insert("2001:db8:8000::/33", &nested("NA", "US", "VA", (39.0, -77.5)));
    Some(Arc::new(Database::parse(&file.finish()).expect("a database")))
}

fn operators() -> Option<Arc<Database>> {
    let file =
        Writer::v4(32).insert("192.0.2.32/27", &operator(64500)).insert("198.51.100.0/25", &operator(64500));
    Some(Arc::new(Database::parse(&file.finish()).expect("a database")))
}

fn atlas(regions: Vec<RegionPlace>, text: &str) -> Atlas {
    let sources = Sources {
        regions,
        default: Some(region(0)),
        nets: nets(text),
        database: database(),
        asn: operators(),
    };
    Atlas::new(sources).expect("an atlas")
}

fn candidates(atlas: &Atlas, ranking: Ranking, address: &str) -> Vec<Candidate> {
    let located = atlas.locate(address.parse().expect("an address"));
    atlas.rank(ranking, located.net, &located.place)
}

fn order(atlas: &Atlas, ranking: Ranking, address: &str) -> Vec<usize> {
    let order: Vec<usize> =
        candidates(atlas, ranking, address).iter().map(|found| found.region.index()).collect();
    let classes = atlas.compile(ranking).expect("few classes");
    let (class, _) = classes.class_of(address.parse().expect("an address"), 128);
    let compiled: Vec<usize> = classes.order(class).iter().map(|region| region.index()).collect();
    assert_eq!(order, compiled, "{address}");
    order
}

#[test]
fn the_narrowest_match_decides() {
    let regions = vec![
        place(None, 0, &[]),
        place(None, 0, &["continent:EU", "continent:AS"]),
        place(None, 0, &["country:TR", "country:DE"]),
        place(None, 0, &["asn:64500", "subdivision:US-CA"]),
        place(None, 0, &["default", "continent:NA"]),
        place(None, 0, &["continent:EU", "net:192.0.2.16/28"]),
    ];
    let atlas = atlas(regions, "192.0.2.8/29 4\n2001:db8:1::/48 2\n");
    let check =
        |address, expected: &[usize]| assert_eq!(order(&atlas, Ranking::Geo, address), expected, "{address}");
    check("192.0.2.1", &[2, 1, 5, 4, 0]);
    // The networks of the file and of matches go before all, the autonomous system before the country.
    check("192.0.2.9", &[4, 2, 1, 5, 0]);
    check("192.0.2.17", &[5, 2, 1, 4, 0]);
    check("192.0.2.33", &[3, 2, 1, 5, 4, 0]);
    check("192.0.2.65", &[2, 1, 4, 0]);
    check("192.0.2.129", &[3, 4, 0]);
    check("192.0.2.193", &[4, 0]);
    check("198.51.100.1", &[3, 4, 0]);
    check("198.51.100.200", &[4, 0]);
    check("2001:db8::1", &[1, 5, 4, 0]);
    check("2001:db8:1::1", &[2, 1, 5, 4, 0]);
    check("2002:c000:0209::1", &[4, 2, 1, 5, 0]);
    let reasons: Vec<Reason> =
        candidates(&atlas, Ranking::Geo, "192.0.2.33").iter().map(|found| found.reason).collect();
    let rule = |text: &str| Reason::Match(text.parse().expect("a match"));
    let expected = ["asn:64500", "country:DE", "continent:EU", "continent:EU", "default"].map(rule);
    assert_eq!(reasons, [expected.as_slice(), &[Reason::Fallback]].concat());
}

#[test]
fn who_is_matched_by_nothing_may_get_nothing() {
    let sources = Sources {
        regions: vec![place(None, 0, &["continent:EU"])],
        database: database(),
        ..Sources::default()
    };
    let atlas = Atlas::new(sources).expect("an atlas");
    assert_eq!(order(&atlas, Ranking::Geo, "192.0.2.1"), [0]);
    assert!(order(&atlas, Ranking::Geo, "192.0.2.129").is_empty());
    assert_eq!(order(&atlas, Ranking::Nearest, "192.0.2.129"), [0]);
}

#[test]
fn the_nearest_region_comes_first() {
    let regions = vec![
        place(Some((39.0, -77.5)), 0, &[]),
        place(Some((50.1, 8.7)), 0, &[]),
        place(None, 0, &["default"]),
        place(Some((-13.8, -171.8)), 0, &[]),
        place(Some((-33.9, 151.2)), 0, &[]),
    ];
    let atlas = atlas(regions, "192.0.2.8/29 4\n");
    let check = |address, expected: &[usize]| {
        assert_eq!(order(&atlas, Ranking::Nearest, address), expected, "{address}")
    };
    check("192.0.2.1", &[1, 0, 3, 4, 2]);
    check("192.0.2.9", &[4, 1, 0, 3, 2]);
    // Fiji is nearer to Samoa, on the other side of the antimeridian, than to Sydney.
    check("192.0.2.193", &[3, 4, 0, 1, 2]);
    // Of a client of whom nothing is known: who is for everybody, geo.default, the configured order.
    check("198.51.100.200", &[2, 0, 1, 3, 4]);
    let first = candidates(&atlas, Ranking::Nearest, "192.0.2.1")[0];
    let Reason::Near { distance, compared, by } = first.reason else { panic!("{first:?}") };
    assert_eq!((distance.kilometres(), compared.kilometres(), by), (0, 0, LocatedBy::Database));
}

#[test]
fn a_bias_moves_the_border_and_ties_keep_the_order() {
    let check = |biases: [i64; 2], expected: [usize; 2]| {
        let regions =
            vec![place(Some((50.1, 8.7)), biases[0], &[]), place(Some((39.0, -77.5)), biases[1], &[])];
        // France: 480 km to the first, 6,200 km to the second.
        assert_eq!(order(&atlas(regions, ""), Ranking::Nearest, "2001:db8::1"), expected, "{biases:?}");
    };
    check([0, 0], [0, 1]);
    check([0, 90], [0, 1]);
    check([0, 95], [1, 0]);
    check([-95, 0], [1, 0]);
    check([-90, 0], [0, 1]);
    let twins = vec![place(Some((0.0, 180.0)), 0, &[]), place(Some((0.0, -180.0)), 0, &[])];
    assert_eq!(order(&atlas(twins, ""), Ranking::Nearest, "192.0.2.1"), [0, 1]);
}

#[test]
fn contradictions_are_told() {
    let regions = vec![place(None, 0, &["net:192.0.2.0/24"]), place(None, 0, &[])];
    let sources = |text: &str| Sources { regions: regions.clone(), nets: nets(text), ..Sources::default() };
    assert!(Atlas::new(sources("192.0.2.0/24 0")).is_ok());
    let error = Atlas::new(sources("192.0.2.0/24 1")).expect_err("a contradiction");
    assert!(matches!(error, AtlasError::Contradiction { regions, .. } if regions == [region(1), region(0)]));
    assert_eq!(
        Atlas::new(sources("192.0.2.0/24 2")).map(|_| ()),
        Err(AtlasError::Contradiction {
            net: "192.0.2.0/24".parse().expect("a net"),
            regions: [region(2), region(0)]
        })
    );
    assert_eq!(Atlas::new(sources("198.51.100.0/24 2")).map(|_| ()), Err(AtlasError::Regions(2)));
}

/// 64 regions and a client at each of 20,000 points: far more orders than classes. Behind the best ones they are alike.
#[test]
fn classes_stay_few() {
    let point = |index: usize| {
        let (row, column) = (index / 8, index % 8);
        place(Some((row as f32 * 20.0 - 70.0, column as f32 * 45.0 - 157.0)), 0, &[])
    };
    let mut writer = Writer::v4(24);
    for index in 0..20_000u32 {
        let (latitude, longitude) = (f64::from(index % 141) - 70.0, f64::from(index) * 0.018 - 179.0);
        let net = format!("{}/24", std::net::Ipv4Addr::from(0x0b00_0000 + (index << 8)));
        writer = writer.insert(&net, &nested("EU", "DE", "HE", (latitude, longitude)));
    }
    let database = Database::parse(&writer.finish()).expect("a database");
    let sources = Sources {
        regions: (0..64).map(point).collect(),
        database: Some(Arc::new(database)),
        ..Sources::default()
    };
    let classes = Atlas::new(sources).expect("an atlas").compile(Ranking::Nearest).expect("few classes");
    assert_eq!(classes.ranked(), 8);
    for order in classes.orders() {
        assert_eq!(order.len(), 64);
        assert!(order[8..].is_sorted());
    }
}

fn any_match() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "continent:EU",
        "continent:AS",
        "continent:NA",
        "country:DE",
        "country:US",
        "subdivision:US-CA",
        "asn:64500",
        "net:192.0.2.48/28",
        "net:2001:db8:8000::/40",
        "default",
    ])
}

fn any_atlas() -> impl Strategy<Value = Atlas> {
    let point = proptest::option::of((-90f32..=90.0, -180f32..=180.0));
    let one = (point, -99..=99i64, proptest::collection::vec(any_match(), 0..4));
    let text = prop::sample::select(vec!["", "192.0.2.0/25 0\n192.0.2.40/30 1\n", "::/0 1\n0.0.0.0/0 0\n"]);
    (proptest::collection::vec(one, 2..10), text).prop_filter_map(
        "networks of two regions",
        |(regions, text)| {
            let regions: Vec<_> =
                regions.into_iter().map(|(point, bias, matches)| place(point, bias, &matches)).collect();
            let default = Region::new(regions.len() - 1);
            let sources =
                Sources { regions, default, nets: nets(text), database: database(), asn: operators() };
            Atlas::new(sources).ok()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// What is compiled for all addresses is what is decided for each one, but for the tail of long orders.
    #[test]
    fn compiled_orders_are_those_of_clients(atlas in any_atlas(), others in proptest::collection::vec(any::<u32>(), 4)) {
        for ranking in [Ranking::Geo, Ranking::Nearest] {
            let classes = atlas.compile(ranking).expect("few classes");
            let v4 = (0..=255u32).step_by(4).map(|low| 0xc000_0200 | low).chain(others.iter().copied());
            let v6 = (0..64u128).map(|part| 0x2001_0db8 << 96 | part << 90);
            let embedded = (0..64u128).map(|low| 0x0064_ff9b << 96 | 0xc000_0200 | low << 2);
            let addresses = v4.map(|bits| IpAddr::V4(bits.into()));
            for address in addresses.chain(v6.chain(embedded).map(|bits| IpAddr::V6(bits.into()))) {
                let located = atlas.locate(address);
                let order = atlas.rank(ranking, located.net, &located.place);
                let mut order: Vec<Region> = order.into_iter().map(|candidate| candidate.region).collect();
                order.get_mut(classes.ranked()..).unwrap_or_default().sort();
                prop_assert_eq!(classes.order(classes.class_of(address, 128).0), order, "{}", address);
            }
        }
    }
}
