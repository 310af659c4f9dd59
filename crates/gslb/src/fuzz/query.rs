//! Messages to a name server.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use fulcrum_balance::Rng;
use fulcrum_config::gslb::{Choose, TargetAnswer};
use fulcrum_model::DnsName;

use super::message::Message;
use crate::answer::{ANSWER_MAX, Answered, Client, Transport, answer, truncate};
use crate::choice::{Choice, Manner, Places};
use crate::cookie::CookieKeys;
use crate::counters::ZoneCells;
use crate::geo::{Atlas, Nets, Ranking, RegionPlace, Sources};
use crate::names::Names;
use crate::policy::{ALL, Plan, Slice};
use crate::region::Region;
use crate::snapshot::Snapshot;
use crate::zone::{Zone, file};

/// Messages: whatever they hold, an answer is a response to them that can be read, no larger than it may be, and there is none to
/// what is a response itself.
pub fn query(bytes: &[u8]) {
    static SNAPSHOT: OnceLock<Snapshot> = OnceLock::new();
    let snapshot = SNAPSHOT.get_or_init(snapshot);
    for address in ["192.0.2.7", "2001:db8:ffff::1"] {
        for transport in [Transport::Udp, Transport::Tcp] {
            let mut out = vec![0xee; ANSWER_MAX];
            let mut rng = Rng::from_seed(1);
            let address: IpAddr = address.parse().expect("an address");
            let mut client = Client { address, transport, now: 1_000_000, rng: &mut rng };
            let answered = answer(snapshot, bytes, &mut client, &mut out);
            assert_eq!(answered.is_none(), bytes.len() < 12 || bytes[2] & 0x80 != 0, "who is answered");
            if let Some(answered) = answered {
                check(bytes, &mut out, &answered, transport);
            }
        }
    }
}

fn check(bytes: &[u8], out: &mut [u8], answered: &Answered, transport: Transport) {
    let limit = match (transport, Message::read(bytes)) {
        (Transport::Tcp, _) => ANSWER_MAX,
        (Transport::Udp, Some(query)) if query.opts.len() == 1 => usize::from(query.opts[0]).clamp(512, 1232),
        // What cannot be read has no size that could be told.
        (Transport::Udp, _) => 512,
    };
    assert!(answered.length <= limit, "{} bytes, and {limit} are allowed", answered.length);
    fits(bytes, &out[..answered.length]);
    let length = truncate(out, answered);
    assert!(length <= answered.length);
    let cut = fits(bytes, &out[..length]);
    assert!(cut.answers.is_empty() && cut.flags & 0x0200 != 0);
}

/// An answer is read to its end, and belongs to the query.
fn fits<'a>(query: &[u8], answer: &'a [u8]) -> Message<'a> {
    let answer = Message::read(answer).expect("an answer can be read");
    assert_eq!(answer.id, query[..2]);
    // QR; the operation, RD and CD come back; RA, Z and AD are never set.
    let asked = u16::from_be_bytes([query[2], query[3]]);
    assert_eq!(answer.flags & !0x060f, 0x8000 | asked & 0x7910, "{:04x} to {asked:04x}", answer.flags);
    assert_eq!(
        answer.questions,
        &query[12..12 + answer.questions.len()],
        "the question comes back as it was"
    );
    assert!(answer.opts.len() <= 1 && answer.opts.iter().all(|size| *size == 1232));
    // The last one, and only to say that its key is not known.
    let signature = answer.additional.iter().position(|record_type| *record_type == TSIG);
    let is_refused = answer.flags & 0xf == NOTAUTH;
    assert!(signature.is_none_or(|place| place + 1 == answer.additional.len() && is_refused));
    answer
}

/// Something of everything that can be answered.
fn snapshot() -> Snapshot {
    let origin: DnsName = "example.com".parse().expect("a name");
    let owners = ["geo", "tailored", "sticky"].map(|label| origin.child(label.as_bytes()).expect("a name"));
    let choices = owners.iter().cloned().zip(0..).collect();
    let records = file::parse(ZONE.as_bytes(), &origin).expect("a zone file");
    let zone = Zone::new(origin, records, choices).expect("nothing is wrong");
    let region = |index| Region::new(index).expect("one of the first");
    let nets =
        Nets::parse("192.0.2.0/25 b\n2001:db8::/33 b\n", |name| Some(region(usize::from(name == "b"))));
    let regions = vec![RegionPlace::default(), RegionPlace::default()];
    let sources =
        Sources { regions, default: Some(region(0)), nets: nets.expect("a nets file"), ..Sources::default() };
    let classes = Atlas::new(sources).expect("it fits").compile(Ranking::Geo).expect("a few classes");
    let classes = Arc::new(classes);
    let kinds = classes.orders().iter().map(|order| u16::from(order.first() == Some(&region(1)))).collect();
    let choice = |owner: &DnsName, choose, targets: [&[&str]; 2]| {
        let places = Places { classes: Arc::clone(&classes), kinds: Arc::clone(&kinds) };
        let manner = Manner { owner, choose, max_answers: 64 };
        Choice::new(manner, Some(places), &targets.map(plan))
    };
    let choices = [
        choice(&owners[0], Choose::All, [&["192.0.2.1", "2001:db8::1"], &["192.0.2.2"]]),
        choice(&owners[1], Choose::First, [&["www.example.com"], &["elsewhere.example.org"]]),
        choice(
            &owners[2],
            Choose::Sticky { v4: 20, v6: 44 },
            [&["192.0.2.1", "192.0.2.2", "192.0.2.3"], &[]],
        ),
    ];
    Snapshot {
        generation: 1,
        names: Arc::new(Names::new(&[zone])),
        choices: choices.into_iter().collect(),
        cookies: Arc::new(CookieKeys::new(vec![[1; 16], [2; 16]])),
        identity: Arc::from([b'x'; crate::snapshot::IDENTITY_MAX]),
        zone_cells: Arc::from([]),
        nowhere_cells: ZoneCells::alone(),
        regions: Arc::from([]),
        directory: None,
    }
}

fn plan(targets: &[&str]) -> Plan {
    let answer = |text: &&str| match text.parse() {
        Ok(address) => TargetAnswer::Address(address),
        Err(_) => TargetAnswer::Alias(text.parse().expect("a name")),
    };
    let targets = targets.iter().map(|text| (answer(text), 1)).collect();
    Plan {
        slices: vec![Slice { until: ALL, region: None, targets }],
        ttl: 60,
        is_panic: false,
        is_unknown: false,
    }
}

const TSIG: u16 = 250;
const NOTAUTH: u16 = 9;

const ZONE: &str = "$TTL 300
@ SOA ns1 hostmaster 1 1h 15m 1w 60
@ NS ns1
@ NS ns2.example.org.
@ MX 10 www
ns1 A 192.0.2.53
ns1 AAAA 2001:db8::53
www A 192.0.2.1
www A 192.0.2.2
alias CNAME www
further CNAME alias
nowhere CNAME missing
out CNAME www.example.org.
*.wild A 192.0.2.3
*.wild TXT \"a text\"
x.there.wild A 192.0.2.4
*.aliases CNAME www
cut NS ns.cut
cut NS ns1
ns.cut A 192.0.2.5
signed NS ns.example.org.
signed DS 1 8 2 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971
_sip._udp SRV 0 5 5060 www
odd TYPE666 \\# 3 010203
large TXT \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"
large TXT \"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"
large TXT \"ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc\"
large TXT \"ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd\"
";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message of parts that mean something, each of which may be cut or spoilt.
    fn message() -> impl Strategy<Value = Vec<u8>> {
        let label = prop_oneof!["www|geo|x|wild|cut|ns|alias|large|tailored|sticky|WwW", "[a-z*]{1,20}"];
        let name = prop::collection::vec(label, 0..5).prop_map(|labels| {
            let mut name: Vec<u8> =
                labels.iter().flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
            name.extend_from_slice(b"\x07example\x03com\0");
            name
        });
        let types = prop_oneof![Just(1u16), Just(28), Just(16), Just(5), Just(43), Just(255), any::<u16>()];
        let option = (
            prop_oneof![Just(3u16), Just(8), Just(10), any::<u16>()],
            prop::collection::vec(any::<u8>(), 0..45),
        );
        let options = prop::collection::vec(option, 0..4);
        let opt = (any::<u16>(), prop_oneof![4 => Just(0u8), 1 => any::<u8>()], any::<u8>(), options);
        let signature = prop::option::weighted(0.2, ("[a-z]{1,60}", 0..4usize, "[a-z0-9-]{1,30}", 0..70u16));
        let parts = (
            prop_oneof![3 => Just(0x0100u16), 1 => any::<u16>()],
            name,
            types,
            prop::option::of(opt),
            signature,
        );
        (parts, prop::option::of((any::<prop::sample::Index>(), any::<u8>()))).prop_map(
            |((flags, name, record_type, opt, signature), spoilt)| {
                let mut message = vec![0xab, 0xcd];
                message.extend_from_slice(&flags.to_be_bytes());
                message.extend_from_slice(&[
                    0,
                    1,
                    0,
                    0,
                    0,
                    0,
                    0,
                    u8::from(opt.is_some()) + u8::from(signature.is_some()),
                ]);
                message.extend_from_slice(&name);
                message.extend_from_slice(&record_type.to_be_bytes());
                message.extend_from_slice(&[0, 1]);
                if let Some((size, version, flags, options)) = opt {
                    let options: Vec<u8> = options
                        .iter()
                        .flat_map(|(code, data)| {
                            [&code.to_be_bytes(), &[0, data.len() as u8], &data[..]].concat()
                        })
                        .collect();
                    message.extend_from_slice(&[0, 0, 41]);
                    message.extend_from_slice(&size.to_be_bytes());
                    message.extend_from_slice(&[0, version, flags, 0]);
                    message.extend_from_slice(&(options.len() as u16).to_be_bytes());
                    message.extend_from_slice(&options);
                }
                if let Some((label, labels, algorithm, length)) = signature {
                    let label = [&[label.len() as u8], label.as_bytes()].concat();
                    message.extend_from_slice(&label.repeat(labels));
                    message.extend_from_slice(b"\0\0\xfa\0\xff\0\0\0\0");
                    message.extend_from_slice(&(algorithm.len() as u16 + 2 + 16 + length).to_be_bytes());
                    message
                        .extend_from_slice(&[&[algorithm.len() as u8], algorithm.as_bytes(), b"\0"].concat());
                    message.extend_from_slice(b"\0\0\x65\0\0\0\x01\x2c");
                    message.extend_from_slice(&length.to_be_bytes());
                    message.resize(message.len() + usize::from(length), 7);
                    message.extend_from_slice(b"\xab\xcd\0\0\0\0");
                }
                if let Some((index, value)) = spoilt {
                    let place = index.index(message.len());
                    message[place] = value;
                }
                message
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn answers_are_as_they_may_be(message in message()) {
            query(&message);
        }
    }

    #[test]
    fn the_reader_is_strict() {
        let plain =
            b"\xab\xcd\x84\0\0\x01\0\x01\0\0\0\0\x01a\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x01x";
        assert_eq!(Message::read(plain).expect("a message").answers, [1]);
        assert_eq!(Message::read(&plain[..plain.len() - 1]), None);
        assert_eq!(Message::read(&[plain, &b"x"[..]].concat()), None);
        for pointer in [19, 20, 11, 0xff] {
            let mut wrong = *plain;
            wrong[20] = pointer;
            assert_eq!(Message::read(&wrong), None, "a pointer to {pointer}");
        }
    }
}
