//! Names, records and kinds of addresses as rows; the search list against a small name server.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::RData;
use hickory_resolver::proto::rr::rdata::CNAME;
use tokio::net::UdpSocket;

use super::*;

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

#[test]
fn names_are_completed_as_the_c_library_does() {
    fn check(text: &str, search: &[&str], ndots: usize, expected: &[&str]) {
        let search: Vec<Name> = search.iter().map(|text| name(text)).collect();
        let found: Vec<String> = candidates(&name(text), &search, ndots).iter().map(Name::to_ascii).collect();
        assert_eq!(found, expected, "{text}");
    }
    let cluster = ["ns.svc.cluster.local", "svc.cluster.local."];
    check("app", &[], 1, &["app."]);
    check("app", &cluster, 1, &["app.ns.svc.cluster.local.", "app.svc.cluster.local.", "app."]);
    check("app.ns", &cluster, 1, &["app.ns.", "app.ns.ns.svc.cluster.local.", "app.ns.svc.cluster.local."]);
    check("app.ns", &cluster[1..], 5, &["app.ns.svc.cluster.local.", "app.ns."]);
    check("app.", &cluster, 5, &["app."]);
    check("app", &["."], 1, &["app."]);
    check("my_app", &["lan"], 0, &["my_app.", "my_app.lan."]);
    check("localhost", &["lan"], 5, &["localhost.", "localhost.lan."]);
    let long = vec!["a".repeat(63); 3].join(".");
    check(&long, &[&"b".repeat(63)], 5, &[&format!("{long}.")]);
}

#[test]
fn addresses_are_taken_from_records() {
    fn check(rows: &[(&str, u32)], expected: Result<(&[&str], u64), Failure>) {
        let found: Vec<Record> = rows
            .iter()
            .map(|(text, ttl)| {
                let data = match text.parse::<IpAddr>() {
                    Ok(address) => RData::from(address),
                    Err(_) => RData::CNAME(CNAME(name(text))),
                };
                Record::from_rdata(name("app."), *ttl, data)
            })
            .collect();
        let expected = expected.map(|(addresses, ttl)| Records {
            addresses: addresses.iter().map(|text| text.parse().expect("an address")).collect(),
            ttl: Duration::from_secs(ttl),
        });
        assert_eq!(records(&found), expected, "{rows:?}");
    }
    check(&[], Err(Failure::NoAddresses));
    check(&[("192.0.2.1", 30), ("192.0.2.2", 20)], Ok((&["192.0.2.1", "192.0.2.2"], 20)));
    check(&[("alias.example", 5), ("2001:db8::1", 30)], Ok((&["2001:db8::1"], 5)));
    check(&[("alias.example", 5)], Err(Failure::NoAddresses));
    check(&[("::ffff:192.0.2.1", 5)], Ok((&["192.0.2.1"], 5)));
    check(&[("0.0.0.0", 5), ("::", 5), ("224.0.0.1", 5)], Err(Failure::NoAddresses));
}

#[test]
fn one_kind_of_addresses_is_enough() {
    fn found(text: &str, ttl: u64) -> Result<Records, Failure> {
        Ok(Records { addresses: vec![text.parse().expect("an address")], ttl: Duration::from_secs(ttl) })
    }
    type Expected = Result<(usize, u64, Option<(Family, Failure)>), Failure>;
    fn check(v4: Result<Records, Failure>, v6: Result<Records, Failure>, expected: Expected) {
        let answer = combine(v4.clone(), v6.clone());
        let answer = answer.map(|answer| (answer.addresses.len(), answer.ttl.as_secs(), answer.missing));
        assert_eq!(answer, expected, "{v4:?} {v6:?}");
    }
    use Failure::{NoAddresses, NoSuchName, ServerFailure, Timeout};
    let (v4, v6) = (|| found("192.0.2.1", 30), || found("2001:db8::1", 20));
    check(v4(), v6(), Ok((2, 20, None)));
    check(v4(), Err(NoAddresses), Ok((1, 30, None)));
    check(v4(), Err(NoSuchName), Ok((1, 30, None)));
    check(Err(NoAddresses), v6(), Ok((1, 20, None)));
    check(v4(), Err(Timeout), Ok((1, 30, Some((Family::V6, Timeout)))));
    check(Err(ServerFailure), v6(), Ok((1, 20, Some((Family::V4, ServerFailure)))));
    check(Err(NoAddresses), Err(NoSuchName), Err(NoAddresses));
    check(Err(NoSuchName), Err(Timeout), Err(Timeout));
}

/// What the name server of a test says to the names that it knows; `Ok` is an address, `None` silence.
type Said = Option<Result<&'static str, ResponseCode>>;

/// A name server for A records, and the names that it was asked for, in order.
async fn server(table: &'static [(&'static str, Said)]) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = socket.local_addr().expect("it is bound");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    // It ends with the runtime of the test.
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            let question = Message::from_vec(&buffer[..length]).expect("a question");
            let query = question.queries[0].clone();
            let name = query.name().to_ascii();
            let said = table.iter().find(|(known, _)| *known == name);
            let said = said.map_or(Some(Err(ResponseCode::NXDomain)), |(_, said)| *said);
            let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
            match said {
                Some(Ok(_)) if query.query_type() == RecordType::AAAA => {}
                Some(Ok(text)) => {
                    let data = RData::from(text.parse::<IpAddr>().expect("an address"));
                    reply.add_answer(Record::from_rdata(query.name().clone(), 5, data));
                }
                Some(Err(code)) => reply.metadata.response_code = code,
                None => {}
            }
            if query.query_type() == RecordType::A {
                log.lock().expect("nobody panics").push(name);
            }
            reply.add_query(query);
            if said.is_some() {
                let bytes = reply.to_vec().expect("it can be encoded");
                socket.send_to(&bytes, client).await.expect("the client is there");
            }
        }
    });
    (address, asked)
}

/// Looks `app` up in the search list `one.test`, `two.test`.
async fn check_search(
    table: &'static [(&'static str, Said)],
    expected: Result<&str, Failure>,
    asked: &[&str],
) {
    let (address, log) = server(table).await;
    let settings = Settings {
        servers: vec![address],
        search: vec![name("one.test."), name("two.test.")],
        ndots: 1,
        extended: Extended::No,
    };
    let found = Client::new(&settings, Hosts::default()).lookup("app").await;
    let found = found.map(|answer| answer.addresses);
    assert_eq!(found, expected.map(|text| vec![text.parse().expect("an address")]), "{table:?}");
    let mut log = log.lock().expect("nobody panics").clone();
    // A question that is not answered is sent again.
    log.dedup();
    assert_eq!(log, asked, "{table:?}");
}

#[tokio::test]
async fn short_names_are_looked_for_in_every_domain() {
    use ResponseCode::{NoError, ServFail};
    let (one, two, plain) = ("app.one.test.", "app.two.test.", "app.");
    check_search(&[("app.one.test.", Some(Ok("192.0.2.1")))], Ok("192.0.2.1"), &[one]).await;
    check_search(&[("app.two.test.", Some(Ok("192.0.2.2")))], Ok("192.0.2.2"), &[one, two]).await;
    check_search(&[("app.", Some(Ok("192.0.2.3")))], Ok("192.0.2.3"), &[one, two, plain]).await;
    check_search(&[], Err(Failure::NoSuchName), &[one, two, plain]).await;
    let empty = &[("app.one.test.", Some(Err(NoError)))];
    check_search(empty, Err(Failure::NoAddresses), &[one, two, plain]).await;
    let failing = &[("app.one.test.", Some(Err(ServFail))), ("app.", Some(Ok("192.0.2.3")))];
    check_search(failing, Ok("192.0.2.3"), &[one, two, plain]).await;
    let failing = &[("app.one.test.", Some(Err(ServFail))), ("app.two.test.", Some(Err(NoError)))];
    check_search(failing, Err(Failure::ServerFailure), &[one, two, plain]).await;
}

#[tokio::test]
async fn silence_gives_no_place_to_a_less_specific_name() {
    let table = &[("app.one.test.", None), ("app.", Some(Ok("192.0.2.3")))];
    check_search(table, Err(Failure::Timeout), &["app.one.test."]).await;
}
