use proptest::prelude::{prop, prop_assert, prop_assert_eq, prop_assume, proptest};

use super::*;

const OLD: &[u8] = b"0123456789abcdef";
const NEW: &[u8] = b"fedcba9876543210 and more";
const DAY: u64 = 24 * 60 * 60;

fn keys(current: &[u8], previous: Option<&[u8]>) -> SessionKeys {
    SessionKeys::new(current, previous).expect("the keys are long enough")
}

fn only_tag(keys: &SessionKeys, service: &str, endpoint_id: &str) -> EndpointTag {
    keys.tags(service, endpoint_id).next().expect("there is a current key")
}

#[test]
fn values_never_change() {
    let check = |secret: &[u8], endpoint: &str, dates, expected: &str| {
        let sealed = Key::new(secret, KeyAge::Current).expect("long enough").seal("shop", endpoint, dates);
        assert_eq!(sealed.as_str(), expected);
    };
    let dates = [1_700_000_000; 2];
    check(OLD, "web-1", dates, "AXhdDLtQw3WF9ABlU_EAAGVT8QBFZUc6AbKhJ1XQvJz31SDA");
    let dates = [1_700_000_000, 1_700_000_600];
    check(OLD, "web-1", dates, "AXhdDLtQw3WF9ABlU_EAAGVT81jPQck8HjO8ClRBhG1fRbli");
    let long = b"a longer key that does not fit into one block of the hash, 64 bytes";
    check(long, "web-2", [0, u64::MAX], "AaXKnYVNDE4ZRAAAAAAA______-Nn9KWMpeXOuYbe5MPUaex");
}

#[test]
fn keys_have_a_least_length() {
    let check = |current: usize, previous: Option<usize>, expected: Option<(KeyAge, usize)>| {
        let previous = previous.map(|length| vec![7; length]);
        let refused = SessionKeys::new(&vec![7; current], previous.as_deref()).err();
        let expected = expected.map(|(key, length)| SessionKeyError::TooShort { key, length });
        assert_eq!(refused, expected);
    };
    check(16, None, None);
    check(16, Some(16), None);
    check(4_096, Some(64), None);
    check(15, None, Some((KeyAge::Current, 15)));
    check(0, Some(99), Some((KeyAge::Current, 0)));
    check(32, Some(15), Some((KeyAge::Previous, 15)));
    let told = SessionKeyError::TooShort { key: KeyAge::Previous, length: 3 }.to_string();
    assert_eq!(told, "the previous session key has 3 bytes, it needs at least 16");
}

#[test]
fn nodes_with_the_same_keys_agree() {
    let (here, there) = (keys(NEW, None), keys(NEW, None));
    let value = here.seal("shop", "web-1", 1_700_000_000);
    assert_eq!(value, there.seal("shop", "web-1", 1_700_000_000));
    let tag = only_tag(&there, "shop", "web-1");
    let pin = Pin { key: KeyAge::Current, tag, issued: 1_700_000_000, refreshed: 1_700_000_000 };
    assert_eq!(there.open("shop", value.as_bytes()), Some(pin));
}

#[test]
fn a_change_of_keys_keeps_pins() {
    let value = keys(OLD, None).seal("shop", "web-1", 50);
    let changed = keys(NEW, Some(OLD));
    let pin = changed.open("shop", value.as_bytes()).expect("the previous key opens it");
    assert_eq!((pin.key, pin.issued, pin.refreshed), (KeyAge::Previous, 50, 50));
    assert_eq!(changed.tags("shop", "web-1").position(|tag| tag == pin.tag), Some(1));
    assert!(changed.tags("shop", "web-2").all(|tag| tag != pin.tag));

    assert!(pin.needs_refresh(50, None));
    let renewed = changed.renew("shop", "web-1", &pin, 90);
    let pin = keys(NEW, None).open("shop", renewed.as_bytes()).expect("the current key has sealed it");
    assert_eq!((pin.key, pin.issued, pin.refreshed), (KeyAge::Current, 50, 90));
    assert!(!pin.needs_refresh(90, None));
}

#[test]
fn only_what_the_keys_have_sealed_for_the_service_opens() {
    let check = |opener: &SessionKeys, service: &str, opens: bool| {
        let value = keys(OLD, None).seal("shop", "web-1", 50);
        assert_eq!(opener.open(service, value.as_bytes()).is_some(), opens, "{service}");
    };
    check(&keys(OLD, None), "shop", true);
    check(&keys(OLD, Some(NEW)), "shop", true);
    check(&keys(NEW, Some(OLD)), "shop", true);
    check(&keys(OLD, None), "shop2", false);
    check(&keys(OLD, None), "sho", false);
    check(&keys(OLD, None), "", false);
    check(&keys(NEW, None), "shop", false);
    // A key with the same id as the one that sealed: its seal differs all the same.
    let same_id = b"key number 00207";
    let id = |secret| Key::new(secret, KeyAge::Current).expect("long enough").id;
    assert_eq!(id(same_id), id(OLD));
    check(&keys(same_id, None), "shop", false);
    check(&keys(same_id, Some(OLD)), "shop", true);
}

#[test]
fn a_value_tells_nothing_of_the_endpoint_and_links_no_services() {
    let keys = keys(NEW, None);
    assert_ne!(only_tag(&keys, "shop", "web-1"), only_tag(&keys, "blog", "web-1"));
    assert_ne!(only_tag(&keys, "shop", "web-1"), only_tag(&keys, "shop", "web-2"));
    assert_ne!(only_tag(&keys, "shopw", "eb-1"), only_tag(&keys, "shop", "web-1"));
    assert_eq!(format!("{keys:?}"), "SessionKeys { previous: false, .. }");
    let value = keys.seal("shop", "web-1", 50);
    assert!(value.to_string().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
}

#[test]
fn no_character_may_change() {
    let keys = keys(NEW, Some(OLD));
    let value = *keys.seal("shop", "web-1", 1_700_000_000).as_bytes().first_chunk::<48>().expect("48");
    for place in 0..value.len() {
        for other in (0..=u8::MAX).filter(|&other| other != value[place]) {
            let mut tampered = value;
            tampered[place] = other;
            assert_eq!(keys.open("shop", &tampered), None, "{other} at {place}");
        }
    }
    for length in 0..value.len() {
        assert_eq!(keys.open("shop", &value[..length]), None);
    }
    assert_eq!(keys.open("shop", &[&value[..], b"A"].concat()), None);
    assert_eq!(keys.open("shop", &[&value[..], b"="].concat()), None);
}

#[test]
fn pins_grow_old() {
    let check = |issued, refreshed, now, max_idle: Option<u64>, max_life: Option<u64>, expected| {
        let pin = Pin { key: KeyAge::Current, tag: EndpointTag([0; 8]), issued, refreshed };
        let limits = (max_idle.map(Duration::from_secs), max_life.map(Duration::from_secs));
        assert_eq!(pin.is_current(now, limits.0, limits.1), expected, "{pin:?} at {now}: {limits:?}");
    };
    check(1_000, 1_000, 1_000, None, None, true);
    check(0, 0, u64::MAX, None, None, true);
    check(1_000, 5_000, 5_060, Some(60), None, true);
    check(1_000, 5_000, 5_061, Some(60), None, false);
    check(1_000, 5_000, 5_000, None, Some(4_000), true);
    check(1_000, 5_000, 5_001, None, Some(4_000), false);
    check(1_000, 5_000, 5_001, Some(60), Some(4_000), false);
    check(1_000, 5_000, 5_000, Some(0), None, true);
    // From a clock that is ahead.
    check(1_000 + DAY, 1_000 + DAY, 1_000, Some(60), Some(60), true);
    check(1_001 + DAY, 1_000, 1_000, None, None, false);
    check(1_000, 1_001 + DAY, 1_000, None, None, false);
}

#[test]
fn pins_are_refreshed_now_and_then() {
    let check = |key, now, max_idle: Option<u64>, expected| {
        let pin = Pin { key, tag: EndpointTag([0; 8]), issued: 0, refreshed: 1_000 };
        assert_eq!(
            pin.needs_refresh(now, max_idle.map(Duration::from_secs)),
            expected,
            "{now}, {max_idle:?}"
        );
    };
    check(KeyAge::Current, 9_000, None, false);
    check(KeyAge::Current, 1_059, Some(600), false);
    check(KeyAge::Current, 1_060, Some(600), true);
    check(KeyAge::Current, 900, Some(600), false);
    check(KeyAge::Previous, 1_000, Some(600), true);
    check(KeyAge::Previous, 1_000, None, true);
}

proptest! {
    #[test]
    fn what_was_sealed_opens(
        secret in prop::collection::vec(0u8.., 16..80), service in ".{0,40}", id in ".{0,40}", issued in 0u64..1 << 40, now in 0u64..1 << 40,
    ) {
        let keys = keys(&secret, None);
        let first = keys.open("s", keys.seal("s", "e", issued).as_bytes()).expect("it was just sealed");
        let renewed = keys.renew(&service, &id, &first, now);
        let pin = Pin { key: KeyAge::Current, tag: only_tag(&keys, &service, &id), issued, refreshed: now };
        prop_assert_eq!(keys.open(&service, renewed.as_bytes()), Some(pin));
    }

    #[test]
    fn anything_else_is_no_pin(value in prop::collection::vec(0u8.., 0..100)) {
        prop_assert_eq!(keys(NEW, Some(OLD)).open("shop", &value), None);
    }

    /// Well-formed in everything but the seal, or cut and joined from values that are.
    #[test]
    fn no_seal_can_be_made_up(said in prop::collection::vec(0u8.., 34), cut in 1usize..48, now in 0u64..1 << 40) {
        let keys = keys(NEW, None);
        let mut sealed = [0; 36];
        sealed[..2].copy_from_slice(&[VERSION, keys.current.id]);
        sealed[2..].copy_from_slice(&said);
        prop_assert_eq!(keys.open("shop", &base64url::encode(&sealed)), None);

        let (one, other) = (keys.seal("shop", "web-1", now), keys.seal("shop", "web-2", now + 1));
        let joined = [&one.as_bytes()[..cut], &other.as_bytes()[cut..]].concat();
        prop_assume!(joined != one.as_bytes() && joined != other.as_bytes());
        prop_assert!(keys.open("shop", &joined).is_none());
    }
}
