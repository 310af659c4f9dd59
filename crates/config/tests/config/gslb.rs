//! The responder that answers DNS: what its section means.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use fulcrum_config::gslb::{
    Answer, Choose, Continent, Failback, Failover, GeoMatch, Gslb, Headroom, InlineZone, Location, Name,
    OverrideState, Panic, Policy, RegionOrder, ServiceChoose, Target, TargetAnswer, Targets, Ttl, ZoneSource,
};
use fulcrum_config::{HttpProbe, Probe, TcpProbe};
use fulcrum_model::{RecordData, RecordType};

use crate::good;

fn gslb(yaml: &str) -> Gslb {
    good(&format!("version: 1\n{yaml}")).gslb.expect("it is given")
}

/// The zone `example.com` with these names, and the regions `eu` and `us`.
fn zone(names: &str) -> InlineZone {
    let yaml = format!(
        r#"
services: {{ web: {{ endpoints: ["10.0.0.1:80"] }} }}
gslb:
  bind: ":53"
  verdict: {{ hold: 120s }}
  regions:
    eu: {{ location: [50.1, 8.7], match: "continent:EU", service: web }}
    us: {{ location: [39.0, -77.5], match: default }}
  zones:
    example.com:
      soa: {{ primary: ns1, contact: hostmaster }}
      ns: [ns1.example.net.]
      names:
{names}
"#
    );
    match gslb(&yaml).zones.remove(0).source {
        ZoneSource::Inline(zone) => *zone,
        ZoneSource::File(path) => panic!("{path:?} is a file"),
    }
}

fn name(yaml: &str) -> Name {
    zone(&format!("        www: {yaml}")).names.remove(0)
}

fn policy(yaml: &str) -> Policy {
    match name(yaml).answer {
        Some(Answer::Policy(policy)) => *policy,
        other => panic!("{other:?} is no policy"),
    }
}

fn address(text: &str, weight: u16) -> Target {
    Target { answer: TargetAnswer::Address(ip(text)), weight }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn defaults() {
    let gslb = gslb("gslb: { bind: \":53\" }");
    assert_eq!(gslb.bind.len(), 1);
    assert_eq!(
        (gslb.bind[0].address, gslb.bind[0].dual_stack),
        ("[::]:53".parse().expect("an address"), true)
    );
    assert_eq!((gslb.workers.get(), &gslb.nsid), (1, &None));
    assert_eq!((gslb.tcp.idle_timeout, gslb.tcp.max_connections.get()), (Duration::from_secs(10), 1000));
    assert_eq!((gslb.rate_limit, gslb.query_log), (None, None));
    assert_eq!(gslb.tcp.connections_per_source.get(), 50, "a twentieth");
    assert_eq!(gslb.headroom, Some(Headroom { low: 10, high: 30 }));
    assert_eq!(
        (gslb.verdict.hold, gslb.verdict.failback_hold),
        (Duration::from_secs(90), Duration::from_secs(300))
    );
    assert_eq!((gslb.verdict.failover, gslb.verdict.failback), (Failover::Auto, Failback::Ramp));
    assert_eq!(
        (&gslb.verdict.ramp[..], gslb.verdict.brake),
        (&[5, 25, 50, 100][..], Duration::from_secs(60))
    );
    assert!(gslb.regions.is_empty() && gslb.zones.is_empty() && gslb.cookie_keys.is_empty());
}

#[test]
fn everything_of_the_section() {
    let gslb = gslb(
        r#"
services: { web: { endpoints: ["10.0.0.1:80"] } }
gslb:
  bind: ["127.0.0.1:53", "[::1]:53"]
  workers: 2
  nsid: lb-1
  tcp: { idle_timeout: 5s, max_connections: 10, connections_per_source: 3 }
  rate_limit: { responses_per_second: 50, slip: 3 }
  query_log: { path: /var/log/dns.log, one_in: 7 }
  geo: { nets: /etc/fulcrum/nets.txt, database: /etc/fulcrum/city.mmdb, asn: /etc/fulcrum/asn.mmdb, default: us }
  regions:
    eu: { location: [50.1, 8.7], match: ["continent:EU", "country:TR", "subdivision:US-CA", "asn:64500"], service: web }
    us: { location: [39, -77.5], bias: -20, match: default }
  verdict: { hold: 30s, failover: confirm, failback: manual, failback_hold: 0s, ramp: [50%, 100%], brake: 0s }
  headroom: none
  cookie_keys: ["000102030405060708090a0b0c0d0e0F", "ffffffffffffffffffffffffffffffff"]
  overrides: { us: { state: down, until: 2026-12-24T18:00:00Z, reason: "maintenance" } }
  zones: { example.com: { file: /etc/fulcrum/zones/example.com.zone } }
"#,
    );
    assert_eq!((gslb.bind.len(), gslb.workers.get(), gslb.nsid.as_deref()), (2, 2, Some("lb-1")));
    assert_eq!((gslb.tcp.idle_timeout, gslb.tcp.max_connections.get()), (Duration::from_secs(5), 10));
    let log = gslb.query_log.as_ref().expect("it is given");
    assert_eq!((log.path.as_path(), log.one_in.get()), (Path::new("/var/log/dns.log"), 7));
    assert_eq!(gslb.tcp.connections_per_source.get(), 3);
    let limit = gslb.rate_limit.expect("it is given");
    assert_eq!((limit.responses_per_second.get(), limit.slip), (50, 3));
    assert_eq!(gslb.geo.nets.as_deref(), Some(Path::new("/etc/fulcrum/nets.txt")));
    assert_eq!(gslb.geo.database.as_deref(), Some(Path::new("/etc/fulcrum/city.mmdb")));
    assert_eq!(gslb.geo.asn.as_deref(), Some(Path::new("/etc/fulcrum/asn.mmdb")));
    assert_eq!(gslb.geo.default.as_ref().map(|region| region.as_str()), Some("us"));
    let [eu, us] = &gslb.regions[..] else { panic!("two regions") };
    assert_eq!((eu.name.as_str(), eu.bias, us.bias), ("eu", 0, -20));
    assert_eq!(us.location, Some(Location { latitude: 39.0, longitude: -77.5 }));
    let california = GeoMatch::Subdivision { country: *b"US", code: *b"CA\0" };
    let of_europe = GeoMatch::Continent(Continent::Europe);
    assert_eq!(eu.matches, [of_europe, GeoMatch::Country(*b"TR"), california, GeoMatch::Asn(64500)]);
    assert_eq!(
        (&us.matches[..], eu.service.as_ref().map(|name| name.as_str())),
        (&[GeoMatch::Default][..], Some("web"))
    );
    assert_eq!((gslb.verdict.hold, gslb.verdict.failback_hold), (Duration::from_secs(30), Duration::ZERO));
    assert_eq!((gslb.verdict.failover, gslb.verdict.failback), (Failover::Confirm, Failback::Manual));
    assert_eq!(
        (&gslb.verdict.ramp[..], gslb.verdict.brake, gslb.headroom),
        (&[50, 100][..], Duration::ZERO, None)
    );
    assert_eq!(gslb.cookie_keys[0].expose(), std::array::from_fn::<u8, 16, _>(|index| index as u8));
    assert_eq!(gslb.cookie_keys[1].expose(), [0xff; 16]);
    assert_eq!(format!("{:?}", gslb.cookie_keys), "[CookieKey(…), CookieKey(…)]");
    let decided = &gslb.overrides[0];
    assert_eq!(
        (decided.region.as_str(), decided.state, decided.reason.as_str()),
        ("us", OverrideState::Down, "maintenance")
    );
    assert_eq!(decided.until, Duration::from_secs(1_798_135_200));
    let file = ZoneSource::File("/etc/fulcrum/zones/example.com.zone".into());
    assert_eq!((gslb.zones[0].name.to_string(), &gslb.zones[0].source), ("example.com.".to_owned(), &file));
    assert_eq!(gslb.services().map(|name| name.as_str()).collect::<Vec<_>>(), ["web"]);
}

#[test]
fn zones_begin_with_defaults() {
    let zone = zone("        www: { a: 192.0.2.1 }");
    assert_eq!(
        (zone.soa.primary.to_string(), zone.soa.contact.to_string()),
        ("ns1.example.com.".to_owned(), "hostmaster.example.com.".to_owned())
    );
    let times = [zone.soa.refresh, zone.soa.retry, zone.soa.expire, zone.soa.minimum];
    assert_eq!((zone.soa.serial, times, zone.ttl), (1, [3600, 600, 1_209_600, 60], 300));
    assert_eq!(zone.ns.iter().map(ToString::to_string).collect::<Vec<_>>(), ["ns1.example.net."]);
    assert_eq!((zone.names[0].owner.to_string(), zone.names[0].ttl), ("www.example.com.".to_owned(), 300));
}

#[test]
fn records_of_every_type() {
    fn check(yaml: &str, expected: &[(RecordType, usize)]) {
        let name = name(yaml);
        let mut found: Vec<(RecordType, usize)> = Vec::new();
        for record in &name.records {
            match found.last_mut() {
                Some((last, count)) if *last == record.record_type() => *count += 1,
                _ => found.push((record.record_type(), 1)),
            }
        }
        assert_eq!(found, expected, "{yaml}");
    }
    check(
        "{ a: [192.0.2.1, 192.0.2.2], aaaa: \"2001:db8::1\" }",
        &[(RecordType::A, 2), (RecordType::AAAA, 1)],
    );
    check("{ cname: other }", &[(RecordType::CNAME, 1)]);
    check("{ mx: [10 mail, 20 mail2.example.net.] }", &[(RecordType::MX, 2)]);
    check("{ srv: 0 5 5060 sip }", &[(RecordType::SRV, 1)]);
    check("{ caa: '0 issue \"ca.example\"' }", &[(RecordType::CAA, 1)]);
    check("{ ptr: host }", &[(RecordType::PTR, 1)]);
    check(
        "{ https: 1 . alpn=\"h2\", svcb: 1 svc.example.net. port=853 }",
        &[(RecordType::HTTPS, 1), (RecordType::SVCB, 1)],
    );
    check("{ tlsa: 3 0 0 d2abde240d7cd3ee6b4b28c54df034b9 }", &[(RecordType::TLSA, 1)]);
    check("{ sshfp: 4 1 123456789abcdef67890123456789abcdef67890 }", &[(RecordType::SSHFP, 1)]);
    check("{ naptr: '100 10 \"S\" \"SIP+D2U\" \"!^.*$!sip:a@example.com!\" .' }", &[(RecordType::NAPTR, 1)]);
    check("{ ns: ns1.example.net., ds: 1 8 9 d2abde24 }", &[(RecordType::NS, 1), (RecordType::DS, 1)]);
    check("{ type666: '\\# 3 010203' }", &[(RecordType(666), 1)]);
    check("{ type1: 192.0.2.1 }", &[(RecordType::A, 1)]);
}

#[test]
fn texts_are_taken_as_they_are() {
    let name = name("{ txt: ['v=spf1 -all', 'a \"quoted\" \\ one'] }");
    assert_eq!(name.records, [RecordData::text("v=spf1 -all"), RecordData::text("a \"quoted\" \\ one")]);
}

#[test]
fn names_are_relative_or_absolute() {
    let zone = zone(
        "        \"@\": { txt: apex }\n        A.B: { txt: two }\n        absolute.example.com.: { txt: dot }\n        \"*.x\": { a: 192.0.2.1 }",
    );
    let owners: Vec<_> = zone.names.iter().map(|name| name.owner.to_string()).collect();
    assert_eq!(owners, ["example.com.", "a.b.example.com.", "absolute.example.com.", "*.x.example.com."]);
}

#[test]
fn words_of_a_policy() {
    fn check(words: &str, with_regions: Option<(RegionOrder, Choose)>, with_endpoints: Option<Choose>) {
        if let Some(expected) = with_regions {
            let policy = policy(&format!(
                "{{ policy: {words}, regions: {{ us: [192.0.2.1, 192.0.2.2], eu: 192.0.2.3 }} }}"
            ));
            let Targets::Regions { order, regions } = &policy.targets else { panic!("{words}: by region") };
            assert_eq!((*order, policy.choose), expected, "{words}");
            assert_eq!(regions.iter().map(|of| of.region.as_str()).collect::<Vec<_>>(), ["us", "eu"]);
            assert_eq!(regions[0].targets, [address("192.0.2.1", 1), address("192.0.2.2", 1)]);
        }
        if let Some(expected) = with_endpoints {
            let policy = policy(&format!("{{ policy: {words}, endpoints: [192.0.2.1, \"2001:db8::1\"] }}"));
            assert_eq!(policy.choose, expected, "{words}");
            assert_eq!(
                policy.targets,
                Targets::Endpoints(vec![address("192.0.2.1", 1), address("2001:db8::1", 1)])
            );
        }
    }
    let sticky = Choose::Sticky { v4: 24, v6: 56 };
    check("round_robin", Some((RegionOrder::Together, Choose::All)), Some(Choose::All));
    check("weighted", Some((RegionOrder::Together, Choose::Weighted)), Some(Choose::Weighted));
    check("sticky", Some((RegionOrder::Together, sticky)), Some(sticky));
    check("failover", Some((RegionOrder::Configured, Choose::All)), Some(Choose::First));
    check("nearest", Some((RegionOrder::Nearest, Choose::All)), None);
    check("geo", Some((RegionOrder::Geo, Choose::All)), None);
    check("[geo, weighted, failover]", Some((RegionOrder::Geo, Choose::Weighted)), None);
    check("[nearest, failover]", Some((RegionOrder::Nearest, Choose::All)), None);
    check("[sticky, failover]", Some((RegionOrder::Configured, sticky)), None);
}

#[test]
fn policies_have_defaults() {
    let all = policy("{ policy: round_robin, endpoints: 192.0.2.1 }");
    assert_eq!((all.max_answers.get(), &all.panic, &all.health), (8, &Panic::All, &None));
    assert_eq!(all.ttl, Ttl { max: 60, min: 5 });
    for one in ["weighted", "sticky", "failover"] {
        assert_eq!(
            policy(&format!("{{ policy: {one}, endpoints: 192.0.2.1 }}")).max_answers.get(),
            1,
            "{one}"
        );
    }
}

#[test]
fn policies_in_full() {
    let weighted = policy(
        "{ policy: weighted, endpoints: [{ address: 192.0.2.1, weight: 60 }, { address: 192.0.2.2, weight: 0 }], max_answers: 2, ttl: { max: 30s, min: 10s }, panic: last_good }",
    );
    assert_eq!(weighted.targets, Targets::Endpoints(vec![address("192.0.2.1", 60), address("192.0.2.2", 0)]));
    assert_eq!(
        (weighted.max_answers.get(), weighted.ttl, weighted.panic),
        (2, Ttl { max: 30, min: 10 }, Panic::LastGood)
    );
    let sticky = policy("{ policy: sticky, key: { v4: 32, v6: 64 }, endpoints: 192.0.2.1, panic: nodata }");
    assert_eq!((sticky.choose, sticky.panic), (Choose::Sticky { v4: 32, v6: 64 }, Panic::NoData));
    let fallback = policy(
        "{ policy: failover, endpoints: 192.0.2.1, panic: fallback, fallback: [192.0.2.9, \"2001:db8::9\"] }",
    );
    assert_eq!(fallback.panic, Panic::Fallback(vec![ip("192.0.2.9"), ip("2001:db8::9")]));
}

#[test]
fn probes_of_targets() {
    let health = |yaml: &str| {
        policy(&format!("{{ policy: failover, endpoints: 192.0.2.1, health: {yaml} }}"))
            .health
            .expect("it is given")
    };
    let full = health(
        "{ http: \"http://www.example.com:8080/healthz\", interval: 3s, timeout: 500ms, rise: 6, fall: 7, hold: 30s }",
    );
    let Probe::Http(HttpProbe { path, host, method, .. }) = &full.check.probe else { panic!("a request") };
    assert_eq!(
        (path.as_str(), host.as_deref(), method.as_str()),
        ("/healthz", Some("www.example.com:8080"), "GET")
    );
    assert_eq!(full.check.port.map(|port| port.get()), Some(8080));
    assert_eq!(
        (full.check.interval, full.check.timeout),
        (Duration::from_secs(3), Duration::from_millis(500))
    );
    assert_eq!((full.check.rise.get(), full.check.fall.get(), full.hold), (6, 7, Duration::from_secs(30)));
    let short = health("{ tcp: \"tcp://:5432\" }");
    assert_eq!(short.check.probe, Probe::Tcp(TcpProbe::default()));
    assert_eq!((short.check.port.map(|port| port.get()), short.hold), (Some(5432), Duration::from_secs(120)));
    assert_eq!((short.check.rise.get(), short.check.fall.get()), (5, 4));
}

#[test]
fn aliases_are_answered_one_at_a_time() {
    let geo = policy("{ policy: geo, regions: { eu: { cname: eu.cdn.example.net. }, us: { cname: us } } }");
    let Targets::Regions { regions, .. } = &geo.targets else { panic!("by region") };
    let alias = |index: usize| match &regions[index].targets[0].answer {
        TargetAnswer::Alias(name) => name.to_string(),
        TargetAnswer::Address(address) => address.to_string(),
    };
    assert_eq!((alias(0), alias(1)), ("eu.cdn.example.net.".to_owned(), "us.example.com.".to_owned()));
    assert!(geo.has_aliases());
    assert_eq!(geo.max_answers.get(), 1);
}

#[test]
fn services_answer_names() {
    let service = |yaml: &str| match name(yaml).answer {
        Some(Answer::Service(service)) => service,
        other => panic!("{other:?} is no service"),
    };
    let all = service("{ service: web }");
    assert_eq!((all.service.as_str(), all.choose, all.max_answers.get()), ("web", ServiceChoose::All, 8));
    assert_eq!((all.panic, all.ttl), (Panic::All, Ttl { max: 60, min: 5 }));
    let one = service("{ service: web, policy: weighted, ttl: 5s, panic: nodata }");
    assert_eq!((one.choose, one.max_answers.get(), one.panic), (ServiceChoose::Weighted, 1, Panic::NoData));
    assert_eq!(one.ttl, Ttl { max: 5, min: 5 });
}

#[test]
fn records_stand_beside_a_policy() {
    let name = name("{ policy: round_robin, endpoints: 192.0.2.1, txt: hello, mx: 10 mail }");
    assert_eq!((name.records.len(), name.ttl), (2, 300));
    assert!(matches!(name.answer, Some(Answer::Policy(_))));
}

#[test]
fn answers_live_no_longer_than_their_zone_says() {
    let gslb = gslb(
        r#"
gslb:
  bind: ":53"
  zones:
    example.com:
      soa: { primary: ns1.example.net., contact: hostmaster, serial: 2026112101, refresh: 2h, retry: 1h, expire: 720h, minimum: 10s }
      ns: ns1.example.net.
      ttl: 3s
      names: { www: { policy: round_robin, endpoints: 192.0.2.1 }, slow: { a: 192.0.2.1, ttl: 1h } }
"#,
    );
    let ZoneSource::Inline(zone) = &gslb.zones[0].source else { panic!("names are given") };
    let times = [zone.soa.refresh, zone.soa.retry, zone.soa.expire, zone.soa.minimum];
    assert_eq!((zone.soa.serial, times), (2_026_112_101, [7200, 3600, 2_592_000, 10]));
    let Some(Answer::Policy(policy)) = &zone.names[0].answer else { panic!("a policy") };
    assert_eq!((policy.ttl, zone.names[1].ttl), (Ttl { max: 3, min: 3 }, 3600));
}

#[test]
fn a_zone_below_another_is_delegated() {
    let gslb = gslb(
        r#"
gslb:
  bind: ":53"
  zones:
    example.com:
      soa: { primary: ns1.example.net., contact: hostmaster }
      ns: ns1.example.net.
      names: { geo: { ns: ns1.geo }, other: { ns: ns.other }, ns.other: { a: 192.0.2.1 } }
    geo.example.com:
      soa: { primary: ns1, contact: hostmaster }
      ns: ns1
      names: { ns1: { a: 192.0.2.1 } }
"#,
    );
    assert_eq!(gslb.zones.len(), 2);
}

#[test]
fn keys_of_cookies_are_read_from_files() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("cookie"), "00000000000000000000000000000001\n").expect("a file");
    let path = folder.path().join("fulcrum.yaml");
    std::fs::write(&path, "version: 1\ngslb: { bind: \":53\", cookie_keys: \"file:cookie\" }\n")
        .expect("a file");
    let loaded = fulcrum_config::load(&path, &|_| None).expect("it is good");
    let keys = loaded.config.gslb.expect("it is given").cookie_keys;
    assert_eq!(keys[0].expose()[15], 1);
    assert!(loaded.files.contains(&folder.path().join("cookie")), "the daemon must look at it again");
}
