//! How long a large zone takes.

use std::fmt::Write;
use std::time::{Duration, Instant};

use super::*;

/// `cargo test --release -p fulcrum-gslb hundred_thousand -- --ignored`: only a release is measured.
#[test]
#[ignore = "a measurement"]
fn a_hundred_thousand_names_are_read_at_once() {
    let mut text = "$TTL 1h\n@ SOA ns1 hostmaster 1 1h 15m 1w 60\n@ NS ns1\n".to_owned();
    for name in 0..100_000 {
        let [_, high, middle, low] = u32::to_be_bytes(name);
        writeln!(text, "host{name} 300 IN A 10.{high}.{middle}.{low}").expect("it fits");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("zone");
    std::fs::write(&path, text).expect("a file");
    let start = Instant::now();
    let records = read(&path, &origin()).expect("nothing is wrong");
    let took = start.elapsed();
    assert_eq!(records.len(), 100_002);
    assert!(took < Duration::from_millis(300), "{took:?}");
}
