//! Services by name: what is there, what is not, and what fits.

use std::io::Write as _;

use fulcrum_balance::Rng;

use super::write::{Fit, MOST};
use super::*;
use crate::query::HEADER;

fn name(text: &str) -> DnsName {
    text.parse().expect("a name")
}

fn host(id: &str, address: &str, weight: u16) -> Host {
    let address = address.parse().expect("an address");
    Host { id: id.to_owned(), address, port: 80, ports: Vec::new(), weight, takes_work: true }
}

fn directory(services: &[(&str, &[Host])]) -> Directory {
    let servers = ["192.0.2.53".parse().expect("an address")];
    let directory = Directory::new(&name("example.com"), 5, &servers).expect("a short name");
    let change =
        |(service, hosts): &(&str, &[Host])| (service.parse().expect("a name"), Some(hosts.to_vec()));
    directory.update(services.iter().map(change).collect());
    directory
}

/// What a service without a known name has come to.
fn forget(directory: &Directory, service: &str) {
    directory.update(vec![(service.parse().expect("a name"), None)]);
}

/// `body`, `live`, `nodata`, `nxdomain` or `nowhere`.
fn kind(directory: &Directory, asked: &str, record_type: RecordType) -> &'static str {
    let client = IpAddr::from([192, 0, 2, 1]);
    match directory.find(name(asked).as_wire(), record_type.0, client, &mut Rng::from_seed(1)) {
        Found::Body(_) => "body",
        Found::Live(_) => "live",
        Found::NoData(_) => "nodata",
        Found::NoName(_) => "nxdomain",
        Found::Nowhere => "nowhere",
    }
}

/// A message as far as it was written, in a room of so many bytes behind the question.
fn written(
    directory: &Directory,
    asked: &str,
    record_type: RecordType,
    room: usize,
    fit: Fit,
) -> Option<(Vec<u8>, [u16; 3])> {
    let (question, client) = (name(asked), IpAddr::from([192, 0, 2, 1]));
    let Found::Live(live) = directory.find(question.as_wire(), record_type.0, client, &mut Rng::from_seed(1))
    else {
        panic!("{asked} has nothing");
    };
    let mut message = vec![0; 65_535];
    let start = HEADER + question.as_wire().len() + 4;
    message[HEADER..start - 4].copy_from_slice(question.as_wire());
    let written = live.write(&mut message, start, room, fit)?;
    assert!(written.length <= room, "{asked}");
    message.truncate(start + written.length);
    Some((message, written.counts))
}

/// The name that begins here, pointers followed, and where it ends.
fn read_name(message: &[u8], mut at: usize) -> (String, usize) {
    let (mut text, mut end) = (String::new(), None);
    loop {
        match message[at] {
            0 => return (text, end.unwrap_or(at + 1)),
            length if length < 64 => {
                text += &String::from_utf8_lossy(&message[at + 1..=at + usize::from(length)]);
                text.push('.');
                at += 1 + usize::from(length);
            }
            _ => {
                end = end.or(Some(at + 2));
                let before = at;
                at = usize::from(u16::from_be_bytes([message[at] & 0x3f, message[at + 1]]));
                assert!(at < before, "pointers lead backwards");
            }
        }
    }
}

/// Records as text: owner, type and data.
fn records(message: &[u8], mut at: usize, count: u16) -> Vec<String> {
    let mut records = Vec::new();
    for _ in 0..count {
        let (owner, head) = read_name(message, at);
        let number = |place: usize| usize::from(u16::from_be_bytes([message[place], message[place + 1]]));
        let (record_type, length, data) = (number(head), number(head + 8), head + 10);
        records.push(match record_type {
            1 => format!(
                "{owner} A {}",
                std::net::Ipv4Addr::from(<[u8; 4]>::try_from(&message[data..data + 4]).expect("four"))
            ),
            28 => format!(
                "{owner} AAAA {}",
                std::net::Ipv6Addr::from(<[u8; 16]>::try_from(&message[data..data + 16]).expect("sixteen"))
            ),
            33 => format!(
                "{owner} SRV {} {} {} {}",
                number(data),
                number(data + 2),
                number(data + 4),
                read_name(message, data + 6).0
            ),
            other => panic!("type {other}"),
        });
        at = data + length;
    }
    assert_eq!(at, message.len(), "nothing behind the last record");
    records
}

#[track_caller]
fn check(directory: &Directory, asked: &str, record_type: RecordType, expected: &[&str]) {
    let (message, counts) = written(directory, asked, record_type, 4096, Fit::All).expect("there is room");
    let start = HEADER + name(asked).as_wire().len() + 4;
    let mut found = records(&message, start, counts.iter().sum());
    found.sort();
    assert_eq!(found, expected, "{asked}");
}

#[test]
fn names_are_there_or_not() {
    let resting = Host { takes_work: false, ..host("a", "192.0.2.9", 1) };
    let directory = directory(&[
        ("web", &[host("a", "192.0.2.1", 1), host("b", "2001:db8::1", 1)]),
        ("idle", &[resting]),
        ("none", &[]),
    ]);
    let check = |asked: &str, record_type: RecordType, expected: &str| {
        assert_eq!(kind(&directory, asked, record_type), expected, "{asked} {record_type}");
    };
    for (record_type, expected) in [
        (RecordType::A, "live"),
        (RecordType::AAAA, "live"),
        (RecordType::SRV, "live"),
        (RecordType::TXT, "nodata"),
        (RecordType::SOA, "nodata"),
        (RecordType::ANY, "body"),
    ] {
        check("web.svc.example.com", record_type, expected);
    }
    check("_http._tcp.web.svc.example.com", RecordType::SRV, "live");
    check("_http._udp.web.svc.example.com", RecordType::SRV, "live");
    check("_http._tcp.web.svc.example.com", RecordType::A, "nodata");
    check("_tcp.web.svc.example.com", RecordType::SRV, "nodata");
    check("_tcp.web.svc.example.com", RecordType::ANY, "nodata");
    check("_http._sctp.web.svc.example.com", RecordType::SRV, "nxdomain");
    check("http._tcp.web.svc.example.com", RecordType::SRV, "nxdomain");
    check("x._http._tcp.web.svc.example.com", RecordType::SRV, "nxdomain");
    check("a.web.svc.example.com", RecordType::A, "live");
    check("a.web.svc.example.com", RecordType::AAAA, "nodata");
    check("b.web.svc.example.com", RecordType::AAAA, "live");
    check("c.web.svc.example.com", RecordType::A, "nxdomain");
    check("a.b.web.svc.example.com", RecordType::A, "nxdomain");
    check("idle.svc.example.com", RecordType::A, "nodata");
    check("idle.svc.example.com", RecordType::SRV, "nodata");
    check("a.idle.svc.example.com", RecordType::A, "live");
    check("none.svc.example.com", RecordType::SRV, "nodata");
    check("other.svc.example.com", RecordType::SRV, "nxdomain");
    check("_http._tcp.other.svc.example.com", RecordType::SRV, "nxdomain");
    check("svc.example.com", RecordType::SOA, "body");
    check("svc.example.com", RecordType::NS, "body");
    check("svc.example.com", RecordType::A, "body");
    check("svc.example.com", RecordType::AAAA, "nodata");
    check("example.com", RecordType::A, "nowhere");
    check("web.svc.example.org", RecordType::A, "nowhere");
    check("websvc.example.com", RecordType::A, "nowhere");
}

#[test]
fn records_say_where_instances_are() {
    let metrics = Host { ports: vec![("Metrics".to_owned(), 9100)], ..host("b", "2001:db8::1", 1) };
    let tired = Host { weight: 0, ..host("c", "192.0.2.3", 0) };
    let directory = directory(&[("web", &[host("a", "192.0.2.1", 4), metrics, tired])]);
    check(&directory, "web.svc.example.com", RecordType::A, &["web.svc.example.com. A 192.0.2.1"]);
    check(&directory, "web.svc.example.com", RecordType::AAAA, &["web.svc.example.com. AAAA 2001:db8::1"]);
    check(&directory, "c.web.svc.example.com", RecordType::A, &["c.web.svc.example.com. A 192.0.2.3"]);
    check(
        &directory,
        "_http._tcp.web.svc.example.com",
        RecordType::SRV,
        &[
            "_http._tcp.web.svc.example.com. SRV 0 0 80 c.web.svc.example.com.",
            "_http._tcp.web.svc.example.com. SRV 0 16383 80 b.web.svc.example.com.",
            "_http._tcp.web.svc.example.com. SRV 0 65535 80 a.web.svc.example.com.",
            "a.web.svc.example.com. A 192.0.2.1",
            "b.web.svc.example.com. AAAA 2001:db8::1",
            "c.web.svc.example.com. A 192.0.2.3",
        ],
    );
    check(
        &directory,
        "_metrics._tcp.web.svc.example.com",
        RecordType::SRV,
        &[
            "_metrics._tcp.web.svc.example.com. SRV 0 16383 9100 b.web.svc.example.com.",
            "b.web.svc.example.com. AAAA 2001:db8::1",
        ],
    );
}

#[test]
fn without_any_weight_all_are_alike() {
    let directory = directory(&[("web", &[host("a", "192.0.2.1", 0), host("b", "192.0.2.2", 0)])]);
    let both = ["web.svc.example.com. A 192.0.2.1", "web.svc.example.com. A 192.0.2.2"];
    check(&directory, "web.svc.example.com", RecordType::A, &both);
}

#[test]
fn services_come_change_and_go() {
    let directory = directory(&[("web", &[host("a", "192.0.2.1", 1)])]);
    assert_eq!(directory.count(), 1);
    directory.update(vec![("web".parse().expect("a name"), Some(vec![host("b", "192.0.2.2", 1)]))]);
    check(&directory, "web.svc.example.com", RecordType::A, &["web.svc.example.com. A 192.0.2.2"]);
    assert_eq!(kind(&directory, "a.web.svc.example.com", RecordType::A), "nxdomain");
    forget(&directory, "web");
    assert_eq!((directory.count(), kind(&directory, "web.svc.example.com", RecordType::A)), (0, "nxdomain"));
    assert!(directory.owners.lock().expect("nobody panicked").is_empty());
}

#[test]
fn of_several_services_with_one_name_one_answers() {
    let directory =
        directory(&[("WEB", &[host("a", "192.0.2.1", 1)]), ("Web", &[host("a", "192.0.2.2", 1)])]);
    let is = |expected: &str| {
        check(
            &directory,
            "web.svc.example.com",
            RecordType::A,
            &[&format!("web.svc.example.com. A {expected}")],
        );
    };
    is("192.0.2.1");
    directory.update(vec![("web".parse().expect("a name"), Some(vec![host("a", "192.0.2.3", 1)]))]);
    is("192.0.2.3");
    forget(&directory, "web");
    is("192.0.2.1");
    forget(&directory, "WEB");
    is("192.0.2.2");
}

#[test]
fn answers_are_bounded() {
    let hosts: Vec<Host> = (0..5000u16)
        .map(|number| {
            host(&format!("instance-{number}"), &format!("10.0.{}.{}", number / 250, number % 250), 1)
        })
        .collect();
    let directory = directory(&[("web", &hosts)]);
    let asked = "web.svc.example.com";
    // Over UDP all or nothing; over TCP as many as an answer has.
    assert_eq!(written(&directory, asked, RecordType::SRV, 8192, Fit::All), None);
    assert_eq!(written(&directory, asked, RecordType::A, 1232, Fit::All), None);
    let (message, counts) =
        written(&directory, asked, RecordType::SRV, 65_000, Fit::Most).expect("there is room");
    assert_eq!(counts, [MOST as u16, 0, MOST as u16]);
    let found = records(&message, HEADER + name(asked).as_wire().len() + 4, counts.iter().sum());
    let targets: std::collections::BTreeSet<_> = found
        .iter()
        .filter(|record| record.contains(" SRV "))
        .map(|record| record.rsplit(' ').next())
        .collect();
    assert_eq!(targets.len(), MOST, "nobody twice");
    // What does not even fit there is cut between records.
    let (message, counts) =
        written(&directory, asked, RecordType::SRV, 10_000, Fit::Most).expect("some of them");
    assert!(counts[0] > 100 && counts[2] <= counts[0], "{counts:?}");
    records(&message, HEADER + name(asked).as_wire().len() + 4, counts.iter().sum());
    // The answer goes before the addresses of its targets.
    let (_, counts) =
        written(&self::directory(&[("web", &hosts[..20])]), asked, RecordType::SRV, 1200, Fit::All)
            .expect("room for the ports");
    assert_eq!(counts[0], 20);
    assert!(counts[2] < 20, "{counts:?}");
}

#[test]
fn each_client_has_its_own_part_of_very_many() {
    let hosts: Vec<Host> = (0..2000u16)
        .map(|number| host(&format!("i{number}"), &format!("10.0.{}.{}", number / 250, number % 250), 1))
        .collect();
    let directory = directory(&[("web", &hosts)]);
    let first = |client: IpAddr| {
        let Found::Live(live) =
            directory.find(name("web.svc.example.com").as_wire(), 1, client, &mut Rng::from_seed(1))
        else {
            panic!("it has addresses");
        };
        let mut message = vec![0; 65_535];
        live.write(&mut message, 100, 60_000, Fit::Most).expect("there is room");
        message[112..116].to_vec()
    };
    let client = |last: u8| IpAddr::from([192, 0, 2, last]);
    assert_eq!(first(client(1)), first(client(1)));
    let parts: std::collections::BTreeSet<_> = (0..50).map(|last| first(client(last))).collect();
    assert!(parts.len() > 40, "{}", parts.len());
}

/// A change costs what its service is large, however many others there are.
#[test]
fn a_change_leaves_other_services_alone() {
    let directory = directory(&[("web", &[host("a", "192.0.2.1", 1)]), ("db", &[host("a", "192.0.2.2", 1)])]);
    let map = directory.services.load_full();
    let of = |label: &[u8]| map.get(label).expect("it is known").load_full();
    let (web, db) = (of(b"web"), of(b"db"));
    directory.update(vec![("web".parse().expect("a name"), Some(vec![host("b", "192.0.2.3", 1)]))]);
    assert!(Arc::ptr_eq(&map, &directory.services.load_full()), "no name has come or gone");
    assert!(Arc::ptr_eq(&db, &of(b"db")) && !Arc::ptr_eq(&web, &of(b"web")));
}

#[test]
#[ignore = "a measurement"]
fn a_hundred_thousand_instances_are_followed() {
    let hosts = |count: u32| -> Vec<Host> {
        let of = |number: u32| {
            host(
                &format!("instance-{number}"),
                &std::net::Ipv4Addr::from(0x0a00_0000 + number).to_string(),
                1,
            )
        };
        (0..count).map(of).collect()
    };
    let services: Vec<_> = (0..1000)
        .map(|number| (format!("service-{number}").parse().expect("a name"), Some(hosts(100))))
        .collect();
    let directory = directory(&[]);
    let timed = |what: &str, times: u32, act: &mut dyn FnMut()| {
        let began = std::time::Instant::now();
        (0..times).for_each(|_| act());
        let each = began.elapsed() / times;
        let _ = writeln!(std::io::stderr(), "{what}: {each:?}");
        each
    };
    timed("1,000 services with 100 instances", 1, &mut || directory.update(services.clone()));
    let one = || vec![("service-7".parse().expect("a name"), Some(hosts(100)))];
    let change = timed("a change of one of them", 100, &mut || directory.update(one()));
    let new = timed("a service that comes and goes", 100, &mut || {
        directory.update(vec![("new".parse().expect("a name"), Some(hosts(100)))]);
        forget(&directory, "new");
    });
    let ask = timed("an answer with 100 ports and addresses", 1000, &mut || {
        written(&directory, "_http._tcp.service-7.svc.example.com", RecordType::SRV, 60_000, Fit::Most);
    });
    let large = timed("a change of a service with 100,000", 3, &mut || {
        directory.update(vec![("large".parse().expect("a name"), Some(hosts(100_000)))]);
    });
    assert!(
        change.as_millis() < 10 && new.as_millis() < 20 && ask.as_micros() < 500 && large.as_millis() < 2000
    );
}
