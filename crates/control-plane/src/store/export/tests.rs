//! What is exported is imported, and nothing else.

use std::net::Ipv6Addr;
use std::time::{SystemTime, UNIX_EPOCH};

use std::sync::Arc;

use fulcrum_model::{Registration, Traits, Weight};
use proptest::prelude::*;

use super::*;
use crate::state::{Departure, Incarnation, Overlay, OverlayState};
use crate::store::{Embedded, found};

fn time() -> impl Strategy<Value = SystemTime> {
    (0_u64..4_000_000_000_000).prop_map(|millis| UNIX_EPOCH + Duration::from_millis(millis))
}

fn overlay() -> impl Strategy<Value = Overlay> {
    let state =
        prop_oneof![Just(None), Just(Some(OverlayState::Drain)), Just(Some(OverlayState::Maintenance))];
    (state, any::<u16>(), ".{0,20}", proptest::option::of(time()), "[a-z]{1,8}").prop_map(
        |(state, weight, reason, until, by)| Overlay {
            state,
            weight: Weight::new(weight),
            reason,
            until,
            by: by.into(),
        },
    )
}

fn registration() -> impl Strategy<Value = Registration> {
    let texts = || proptest::collection::btree_map(".{0,9}", ".{0,30}", 0..4);
    let numbers =
        (any::<[u8; 16]>(), any::<bool>(), 1..=u16::MAX, 1..=u16::MAX, 3000..=86_400_000_u64, any::<u32>());
    (numbers, texts(), proptest::option::of(".{0,9}"), proptest::option::of("[a-z0-9-]{1,9}")).prop_map(
        |((address, is_short, port, weight, ttl, load), meta, locality, launch_id)| Registration {
            address: if is_short {
                [1 + address[0] % 223, 2, 3, 4].into()
            } else {
                Ipv6Addr::from(u128::from_be_bytes(address) >> 8 | 0x20 << 120).into()
            },
            port: port.try_into().expect("not zero"),
            launch_id: launch_id.map(Into::into),
            traits: Arc::new(Traits {
                ports: [("admin", port.try_into().expect("not zero"))].into_iter().collect(),
                weight: Weight::new(weight).expect("not zero"),
                region: locality.as_deref().map(Into::into),
                locality: locality.map(Into::into),
                tags: meta.keys().map(|key| key.as_str().into()).collect(),
                meta: meta.into_iter().map(|(key, value)| (key, value.into())).collect(),
                ttl: Duration::from_millis(ttl),
                load_limit: load.try_into().ok(),
            }),
        },
    )
}

/// Instances of names that are all different, in the order of a file.
fn image() -> impl Strategy<Value = Image> {
    let more = (registration(), any::<u128>(), 1..MOST, time(), proptest::option::of(time()));
    let instances = proptest::collection::btree_map(
        ("[a-z]{1,3}", "[!-.0-~]{1,9}"),
        (more, proptest::option::of(overlay()), any::<bool>()),
        0..12,
    );
    (any::<u64>(), 0..MOST, instances).prop_map(|(epoch, sequence, all)| {
        let (mut instances, mut departed) = (Vec::new(), Vec::new());
        for ((service, id), ((registration, incarnation, epoch, at, drain_until), overlay, has_gone)) in all {
            let key = Key { service: service.parse().expect("a name"), id: id.parse().expect("an id") };
            if has_gone {
                departed.push((
                    key.service,
                    Departure { id: key.id, epoch: Epoch(epoch), at, overlay: overlay.map(Box::new) },
                ));
                continue;
            }
            instances.push(Instance {
                key,
                epoch: Epoch(epoch),
                incarnation: Incarnation(incarnation),
                owner: "web".into(),
                registration,
                registered_at: at,
                drain_until,
                overlay: overlay.map(Box::new),
                suspect: None,
                said_weight: None,
                sequence: Sequence(sequence / 2),
            });
        }
        Image { epoch: StoreEpoch(epoch), sequence: Sequence(sequence), instances, departed }
    })
}

fn text(image: &Image) -> Vec<u8> {
    let mut text = Vec::new();
    export(image, &mut text).expect("memory takes everything");
    text
}

/// In the order that a file has.
fn sorted(mut image: Image) -> Image {
    image.instances.sort_by_key(|instance| format!("{}/{}", instance.key.service, instance.key.id));
    image.departed.sort_by_key(|(service, departure)| format!("{service}/{}", departure.id));
    image
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Document, file, document, and a daemon that opens the file: all but the history is the same, and numbers go on.
    #[test]
    fn nothing_is_lost_on_the_way(image in image(), seed in any::<u64>()) {
        let image = sorted(image);
        let read = import(text(&image).as_slice(), seed).expect("its own document");
        prop_assert_eq!(&read, &Image { epoch: StoreEpoch(seed), ..image.clone() });
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("registry.redb");
        found(&path, &read).expect("a new file");
        let inspected = Embedded::inspect(&path).expect("it is whole");
        prop_assert_eq!(text(&inspected), text(&read));
        let (_, opened) = Embedded::open(&path, !seed).expect("it is whole");
        prop_assert_eq!(&opened, &read);
        prop_assert!(opened.sequence >= image.sequence);
    }
}

fn document() -> serde_json::Value {
    let instance = serde_json::json!({
        "service": "web", "id": "a", "epoch": 1, "incarnation": "01", "owner": "local", "address": "10.0.0.1", "port": 80,
        "weight": 1, "ttl_ms": 30000, "registered_at_ms": 1, "sequence": 3
    });
    let departed = serde_json::json!({ "service": "web", "id": "b", "epoch": 1, "at_ms": 1 });
    serde_json::json!({
        "format": 1, "store_epoch": "0000000000000007", "sequence": 3, "instances": [instance], "departed": [departed]
    })
}

#[test]
fn what_cannot_be_is_refused() {
    let check = |pointer: &str, value: serde_json::Value, expected: &str| {
        let mut document = document();
        *document.pointer_mut(pointer).expect("it is there") = value;
        let error = import(document.to_string().as_bytes(), 1).expect_err(pointer).to_string();
        assert!(error.contains(expected), "{pointer}: {error}");
    };
    assert!(import(document().to_string().as_bytes(), 1).is_ok());
    check("", serde_json::json!({}), "not an export");
    check("", serde_json::json!([]), "not an export");
    check("/format", 2.into(), "later release");
    check("/sequence", 2.into(), "`web/a` is beyond it");
    check("/sequence", u64::MAX.into(), "out of range");
    check("/sequence", (-1).into(), "not an export");
    check("/instances/0/service", "a b".into(), "`a b/a` is no instance");
    check("/instances/0/id", "a/b".into(), "is no instance");
    check("/instances/0/weight", 0.into(), "`weight` is out of range");
    check("/instances/0/ttl_ms", 0.into(), "`ttl_ms` is out of range");
    check("/instances/0/ttl_ms", 2999.into(), "`ttl_ms` is out of range");
    check("/instances/0/ttl_ms", 86_400_001.into(), "`ttl_ms` is out of range");
    check("/instances/0/ttl_ms", u64::MAX.into(), "`ttl_ms` is out of range");
    for address in ["0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.1", "255.255.255.255"] {
        check("/instances/0/address", address.into(), "`address` is out of range");
        check("/instances/0/address", format!("::ffff:{address}").into(), "`address` is out of range");
    }
    for address in ["::", "fe80::1", "ff02::1"] {
        check("/instances/0/address", address.into(), "`address` is out of range");
    }
    check("/instances/0/epoch", u64::MAX.into(), "`epoch` is out of range");
    check("/instances/0/incarnation", "x".into(), "`incarnation` is out of range");
    check("/instances/0/port", 0.into(), "not an export");
    check("/departed/0/epoch", u64::MAX.into(), "`epoch` is out of range");
    check("/departed/0/id", "a".into(), "`web/a` is there twice");
}

#[test]
fn a_file_that_is_there_is_never_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("registry.redb");
    let image = import(document().to_string().as_bytes(), 1).expect("a document");
    std::fs::write(&path, "something dear").expect("a file");
    let error = found(&path, &image).expect_err("it is there");
    assert!(matches!(error, crate::store::FoundError::Exists(_)), "{error}");
    assert_eq!(std::fs::read(&path).expect("the file"), b"something dear");
    let nowhere = folder.path().join("nowhere/registry.redb");
    assert!(matches!(found(&nowhere, &image), Err(crate::store::FoundError::Io { .. })));
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 1, "no draft is left");
}
