//! What must hold for any bytes, as functions that panic when it does not. Fuzz targets and property tests call the same.

mod message;
mod query;

pub use query::query;

use std::collections::BTreeMap;

use fulcrum_model::DnsName;

use crate::zone::{Zone, file};

/// Zone files: whatever stands in them, they are read or refused with a few mistakes that name their lines; how their
/// lines end makes no difference.
pub fn zone_file(bytes: &[u8]) {
    let Ok(origin) = "example.com".parse::<DnsName>() else { return };
    let found = file::parse(bytes, &origin);
    let lines = bytes.split(|&byte| byte == b'\n').count();
    let is_in_text = |line: u32| (1..=lines).contains(&(line as usize));
    match &found {
        Ok(records) => assert!(records.iter().all(|record| is_in_text(record.line))),
        Err(errors) => {
            assert!((1..=100).contains(&errors.len()));
            assert!(errors.iter().all(|error| is_in_text(error.line) && !error.to_string().is_empty()));
        }
    }
    if !bytes.contains(&b'\r') {
        let feed = |&byte: &u8| if byte == b'\n' { b"\r\n".to_vec() } else { vec![byte] };
        let returned: Vec<u8> = bytes.iter().flat_map(feed).collect();
        assert_eq!(file::parse(&returned, &origin), found, "the ends of lines make a difference");
    }
    if let Ok(records) = found {
        match Zone::new(origin, records, BTreeMap::new()) {
            Ok(zone) => assert!(zone.names.keys().all(|name| name.is_within(&zone.name))),
            Err(errors) => assert!((1..=102).contains(&errors.len())),
        }
    }
}
