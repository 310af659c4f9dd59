//! Labels: what services and instances are called in the DNS, where letters have no case, and 63 bytes are the most.

use std::hash::{BuildHasher, Hasher};

/// The label of a service: its name in lower case, with `-` for dots.
pub(super) fn of_service(name: &str) -> Box<[u8]> {
    name.bytes().map(plain).collect()
}

/// The label of an instance: its id where that is one of lower-case letters, digits, `-` and `_`, at most 63 and not with `_`
/// in front. Of another id, what is like it, and a number that makes it different from those of others.
pub(super) fn of_instance(id: &str) -> Box<[u8]> {
    let is_label = id.len() <= MAX && !id.starts_with('_') && id.bytes().all(|byte| plain(byte) == byte);
    if is_label {
        return id.as_bytes().into();
    }
    let like: String = id.bytes().map(|byte| char::from(plain(byte))).take(MAX - DIGITS - 1).collect();
    format!("{}-{:0DIGITS$x}", like.trim_start_matches('_'), number(id)).into_bytes().into()
}

fn plain(byte: u8) -> u8 {
    match byte.to_ascii_lowercase() {
        byte @ (b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_') => byte,
        _ => b'-',
    }
}

/// The same in every process.
fn number(id: &str) -> u32 {
    let mut hasher = foldhash::fast::FixedState::with_seed(0).build_hasher();
    hasher.write(id.as_bytes());
    hasher.finish() as u32
}

/// The longest label (RFC 1035 §2.3.4).
const MAX: usize = 63;
/// Of a number of 32 bits.
const DIGITS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_called_by_their_names() {
        fn check(name: &str, expected: &str) {
            assert_eq!(String::from_utf8_lossy(&of_service(name)), expected, "{name}");
        }
        check("web", "web");
        check("Web.v2", "web-v2");
        check("a_b-1", "a_b-1");
    }

    #[test]
    fn instances_are_called_by_their_ids_where_they_can_be() {
        fn check(id: &str, like: &str) {
            let label = String::from_utf8(of_instance(id).into()).expect("ASCII");
            let (found, number) = label.rsplit_once('-').expect("a number");
            assert_eq!((found, number.len()), (like, DIGITS), "{id}: {label}");
            assert!(label.len() <= MAX);
        }
        assert_eq!(&*of_instance("web-1_a"), b"web-1_a");
        assert_eq!(&*of_instance(&"a".repeat(63)), "a".repeat(63).as_bytes());
        check("10.0.0.1:8080", "10-0-0-1-8080");
        check("Web-1", "web-1");
        check("_tcp", "tcp");
        check(&"a".repeat(64), &"a".repeat(54));
        assert_ne!(of_instance("Web-1"), of_instance("WEB-1"));
        assert_ne!(of_instance(&"a".repeat(64)), of_instance(&"a".repeat(65)));
    }
}
