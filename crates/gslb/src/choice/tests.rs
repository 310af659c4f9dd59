//! Seeded draws, and for whom they hold.

use std::collections::HashMap;

use super::*;
use crate::policy::{ALL, Slice as PlannedSlice};
use crate::region::Region;

fn owner() -> DnsName {
    "www.example.com".parse().expect("a name")
}

fn planned(until: u64, region: Option<usize>, targets: &[(&str, u64)]) -> PlannedSlice {
    let target = |(text, weight): &(&str, u64)| {
        let answer = match text.parse() {
            Ok(address) => TargetAnswer::Address(address),
            Err(_) => TargetAnswer::Alias(text.parse().expect("a name")),
        };
        (answer, *weight)
    };
    PlannedSlice {
        until,
        region: region.and_then(Region::new),
        targets: targets.iter().map(target).collect(),
    }
}

fn choice(choose: Choose, max_answers: u8, slices: Vec<PlannedSlice>) -> Choice {
    let owner = owner();
    let plan = Plan { slices, ttl: 60, is_panic: false, is_unknown: false };
    Choice::new(Manner { owner: &owner, choose, max_answers }, None, &[plan])
}

fn whom(address: &str, told: u8) -> Whom {
    let address: IpAddr = address.parse().expect("an address");
    let all = if address.is_ipv4() { 32 } else { 128 };
    Whom { address, bits: if told == 0 { all } else { told }, told }
}

/// The last byte of each address, in the order in which they are answered.
fn addresses(picked: Picked<'_>) -> Vec<u8> {
    let body = picked.body.expect("an answer");
    let mut bytes = vec![0; body.lengths().0];
    body.copy(&mut bytes, owner().as_wire().len());
    bytes.chunks(16).map(|record| record[15]).collect()
}

const A: u16 = 1;
const AAAA: u16 = 28;

#[test]
fn all_are_answered_in_changing_order() {
    let targets = [("192.0.2.1", 1), ("192.0.2.2", 1), ("192.0.2.3", 1)];
    let all = choice(Choose::All, 8, vec![planned(ALL, None, &targets)]);
    let mut rng = Rng::from_seed(1);
    let mut seen: HashMap<Vec<u8>, usize> = HashMap::new();
    for _ in 0..3000 {
        *seen.entry(addresses(all.pick(A, whom("198.51.100.1", 0), &mut rng))).or_default() += 1;
    }
    assert_eq!(seen.len(), 3);
    assert!(seen.keys().all(|order| order.len() == 3), "{seen:?}");
    assert!(seen.values().all(|count| (900..1100).contains(count)), "{seen:?}");
    assert!(all.pick(AAAA, whom("198.51.100.1", 0), &mut rng).body.is_none());
}

#[test]
fn weights_are_shares() {
    let targets = [("192.0.2.1", 60), ("192.0.2.2", 40)];
    let weighted = choice(Choose::Weighted, 1, vec![planned(ALL, None, &targets)]);
    let mut rng = Rng::from_seed(1);
    let firsts =
        (0..10_000).filter(|_| addresses(weighted.pick(A, whom("198.51.100.1", 0), &mut rng)) == [1]).count();
    assert!((5800..6200).contains(&firsts), "{firsts}");
}

#[test]
fn weights_are_shares_of_further_answers_too() {
    let check = |weights: [u64; 4], expected: [usize; 4]| {
        let names = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];
        let targets: Vec<(&str, u64)> = names.into_iter().zip(weights).collect();
        let weighted = choice(Choose::Weighted, 2, vec![planned(ALL, None, &targets)]);
        let (mut rng, mut seen) = (Rng::from_seed(1), [0; 4]);
        for _ in 0..20_000 {
            let pair = addresses(weighted.pick(A, whom("198.51.100.1", 0), &mut rng));
            assert!(pair.len() == 2 && pair[0] != pair[1]);
            pair.iter().for_each(|number| seen[usize::from(*number) - 1] += 1);
        }
        let is_near = |(seen, expected): (&usize, usize)| seen.abs_diff(expected) < 1200;
        assert!(seen.iter().zip(expected).all(is_near), "{seen:?}");
    };
    check([1, 1, 1, 1], [10_000; 4]);
    // Who is drawn first almost always is followed by each of the others as often.
    check([97, 1, 1, 1], [20_000, 6667, 6667, 6667]);
    // Of many targets all are answered beside others.
    let many: Vec<String> = (1..=40).map(|number| format!("192.0.2.{number}")).collect();
    let targets: Vec<(&str, u64)> = many.iter().map(|name| (name.as_str(), 1)).collect();
    let weighted = choice(Choose::Weighted, 2, vec![planned(ALL, None, &targets)]);
    let (mut rng, mut seconds) = (Rng::from_seed(1), [0; 41]);
    for _ in 0..40_000 {
        let pair = addresses(weighted.pick(A, whom("198.51.100.1", 0), &mut rng));
        seconds[usize::from(pair[1])] += 1;
    }
    assert!(seconds[1..].iter().all(|count| (500..1750).contains(count)), "{seconds:?}");
    // In 60 and 30 % the one of them first, and then 75 and 57 % of the others.
    check([60, 30, 5, 5], [18_000, 16_000, 3000, 3000]);
}

#[test]
fn the_first_answers_alone() {
    let targets = [("192.0.2.1", 1), ("192.0.2.2", 1), ("2001:db8::9", 1)];
    let first = choice(Choose::First, 1, vec![planned(ALL, None, &targets)]);
    let mut rng = Rng::from_seed(1);
    assert_eq!(addresses(first.pick(A, whom("198.51.100.1", 0), &mut rng)), [1]);
    assert!(first.pick(AAAA, whom("198.51.100.1", 0), &mut rng).body.is_some());
}

#[test]
fn a_client_keeps_its_target() {
    let targets: Vec<(String, u64)> = (1..=5).map(|number| (format!("192.0.2.{number}"), number)).collect();
    let targets: Vec<(&str, u64)> = targets.iter().map(|(text, weight)| (text.as_str(), *weight)).collect();
    let sticky = |targets: &[(&str, u64)]| {
        choice(Choose::Sticky { v4: 24, v6: 56 }, 1, vec![planned(ALL, None, targets)])
    };
    let (all, fewer) = (sticky(&targets), sticky(&targets[1..]));
    let mut rng = Rng::from_seed(1);
    let mut shares = [0; 6];
    for network in 0..3000u32 {
        let client = |host| whom(&format!("10.{}.{}.{host}", network >> 8, network & 255), 0);
        let first = addresses(all.pick(A, client(1), &mut rng));
        assert_eq!(addresses(all.pick(A, client(200), &mut rng)), first, "its network counts");
        let without = addresses(fewer.pick(A, client(1), &mut rng));
        assert!(first == [1] || first == without, "only clients of the one that went move");
        shares[usize::from(first[0])] += 1;
    }
    for number in 1..=5 {
        let expected = 200 * number;
        assert!((expected * 8 / 10..expected * 12 / 10).contains(&shares[number]), "{shares:?}");
    }
    // Scopes are the length of the key, as far as that much is told.
    let scope = |address: &str, told| all.pick(A, whom(address, told), &mut Rng::from_seed(1)).scope;
    assert_eq!(
        [scope("10.1.2.0", 24), scope("10.1.0.0", 16), scope("10.1.2.3", 0), scope("2001:db8::", 64)],
        [24, 16, 0, 56]
    );
}

#[test]
fn a_client_keeps_all_of_its_targets() {
    let names = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"];
    let targets = names.map(|name| (name, 1));
    let sticky = |targets: &[(&str, u64)]| {
        choice(Choose::Sticky { v4: 24, v6: 56 }, 3, vec![planned(ALL, None, targets)])
    };
    let (all, fewer) = (sticky(&targets), sticky(&targets[1..]));
    let mut rng = Rng::from_seed(1);
    let (mut firsts, mut behind_one) = ([0; 6], [0; 6]);
    for network in 0..5000u32 {
        let client = |host| whom(&format!("10.{}.{}.{host}", network >> 8, network & 255), 0);
        let before = addresses(all.pick(A, client(1), &mut rng));
        assert_eq!(addresses(all.pick(A, client(200), &mut rng)), before, "its network counts");
        let after = addresses(fewer.pick(A, client(1), &mut rng));
        match before.iter().position(|number| *number == 1) {
            None => assert_eq!(after, before, "nothing of theirs has gone"),
            Some(0) => assert!(after.len() == 3 && !after.contains(&1)),
            Some(place) => assert_eq!(after[..place], before[..place]),
        }
        firsts[usize::from(before[0])] += 1;
        behind_one[usize::from(before[1])] += usize::from(before[0] == 1);
    }
    assert!(firsts[1..].iter().all(|count| (850..1150).contains(count)), "{firsts:?}");
    assert!(
        behind_one[2..].iter().all(|count| *count > 0),
        "not one takes all of its clients: {behind_one:?}"
    );
}

#[test]
fn a_region_that_comes_back_gets_its_part_of_the_networks() {
    let slices =
        vec![planned(ALL / 4, Some(0), &[("192.0.2.1", 1)]), planned(ALL, Some(1), &[("192.0.2.2", 1)])];
    let part = choice(Choose::All, 8, slices);
    let mut rng = Rng::from_seed(1);
    let mut count = 0;
    for network in 0..4000u32 {
        let client = |host| whom(&format!("10.{}.{}.{host}", network >> 8, network & 255), 24);
        let picked = part.pick(A, client(0), &mut rng);
        let scope = picked.scope;
        let address = addresses(picked);
        assert_eq!((scope, &addresses(part.pick(A, client(7), &mut rng))), (24, &address));
        count += usize::from(address == [1]);
    }
    assert!((900..1100).contains(&count), "{count}");
}

#[test]
fn an_alias_answers_whatever_is_asked() {
    let alias =
        choice(Choose::All, 8, vec![planned(ALL, None, &[("a.example.org", 1), ("b.example.org", 1)])]);
    let mut rng = Rng::from_seed(1);
    for record_type in [A, AAAA, 15, 65] {
        let body = alias.pick(record_type, whom("10.0.0.1", 0), &mut rng).body.expect("an answer");
        assert_eq!(body.counts().0, [1, 0, 0]);
    }
}

#[test]
fn nothing_is_nothing() {
    let nothing = choice(Choose::All, 8, Vec::new());
    assert!(nothing.pick(A, whom("10.0.0.1", 24), &mut Rng::from_seed(1)).body.is_none());
}
