//! What is noted is written, and what is too much is counted.

use super::*;
use crate::counters::ZoneCells;
use crate::{Choices, CookieKeys, Transport};

fn snapshot() -> Snapshot {
    Snapshot {
        generation: 1,
        names: Arc::new(Names::new(&[])),
        choices: Choices::default(),
        cookies: Arc::new(CookieKeys::new(vec![[1; 16]])),
        identity: Arc::from([]),
        zone_cells: Arc::from([]),
        nowhere_cells: ZoneCells::alone(),
        regions: Arc::from([]),
        directory: None,
    }
}

/// `a"b.example.` of type A, with a client subnet.
const QUERY: &[u8] = b"\0\x01\x01\0\0\x01\0\0\0\0\0\x01\x03a\"b\x07example\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\x0b\0\x08\0\x07\0\x01\x18\0\xc0\0\x02";

const ANSWERED: Answered = Answered {
    length: 99,
    tail_length: 0,
    tail_records: 0,
    what: 0,
    code: 5,
    zone: None,
    record_type: 1,
    choice: None,
    is_truncated: false,
    is_known: false,
};

fn note(log: &QueryLog, snapshot: &Snapshot) {
    let client = "198.51.100.1".parse().expect("an address");
    let mut rng = Rng::from_seed(1);
    log.sample(&mut rng, snapshot, (client, Transport::Udp), (QUERY, &ANSWERED));
}

#[test]
fn a_query_is_a_line_of_json() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config { path: folder.path().join("dns.log"), one_in: NonZeroU32::MIN };
    let counts = Arc::new(LogCounts::default());
    let running = RunningLog::open(&config, &counts).expect("it opens");
    let snapshot = snapshot();
    note(&running.log, &snapshot);
    note(&running.log, &snapshot);
    running.end();
    let text = std::fs::read_to_string(&config.path).expect("it is there");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((lines.len(), counts.written(), counts.dropped()), (2, 2, 0));
    let line = &lines[0];
    assert_eq!(
        (&line["name"], &line["subnet"]),
        (&"a\\\"b.example.".into(), &"192.0.2.0/24".into()),
        "{text}"
    );
    assert_eq!((&line["client"], &line["transport"]), (&"198.51.100.1".into(), &"udp".into()));
    assert_eq!(
        (&line["code"], &line["type"], &line["zone"]),
        (&"REFUSED".into(), &"A".into(), &serde_json::Value::Null)
    );
    assert_eq!((&line["bytes"], &line["truncated"]), (&99.into(), &false.into()));
}

#[test]
fn whoever_answers_never_waits_and_what_is_lost_is_counted() {
    let counts = Arc::new(LogCounts::default());
    let (queue, entries) = sync_channel(2);
    let log = QueryLog { queue, one_in: NonZeroU32::MIN, counts: Arc::clone(&counts) };
    let snapshot = snapshot();
    (0..5).for_each(|_| note(&log, &snapshot));
    assert_eq!((entries.try_iter().count(), counts.dropped()), (2, 3));
    drop(entries);
    note(&log, &snapshot);
    assert_eq!(counts.dropped(), 4);
}

#[test]
fn one_of_so_many_is_noted() {
    let (queue, entries) = sync_channel(10_000);
    let one_in = NonZeroU32::new(100).expect("not zero");
    let log = QueryLog { queue, one_in, counts: Arc::default() };
    let (snapshot, mut rng) = (snapshot(), Rng::from_seed(7));
    let client = "198.51.100.1".parse().expect("an address");
    for _ in 0..100_000 {
        log.sample(&mut rng, &snapshot, (client, Transport::Tcp), (QUERY, &ANSWERED));
    }
    let noted = entries.try_iter().count();
    assert!((900..1100).contains(&noted), "{noted}");
}

#[test]
fn a_file_that_was_renamed_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config { path: folder.path().join("dns.log"), one_in: NonZeroU32::MIN };
    let counts = Arc::new(LogCounts::default());
    let running = RunningLog::open(&config, &counts).expect("it opens");
    let old = folder.path().join("dns.log.1");
    std::fs::rename(&config.path, &old).expect("renamed");
    counts.reopen();
    note(&running.log, &snapshot());
    running.end();
    assert_eq!(std::fs::read_to_string(old).expect("it is there"), "");
    assert_eq!(std::fs::read_to_string(&config.path).expect("it is there").lines().count(), 1);
    let nowhere = Config { path: folder.path().join("no/dns.log"), ..config };
    let error = RunningLog::open(&nowhere, &counts).expect_err("there is no such folder");
    assert!(error.to_string().contains("no/dns.log"), "{error}");
}
