//! SRV records (RFC 2782): which targets are endpoints, at which ports, and how large a share each takes.
//!
//! The targets of the lowest priority are used, and those of the next one only while no target of the lower ones has an
//! address. Like host names, records and targets keep what they last said.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fulcrum_balance::Rng;
use fulcrum_model::{Address, Source, SrvName, Weight};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Shared;
use super::dns::Failure;
use super::dns::lookup::{Answer, Client, SrvRecord};
use super::list::Entry;
use super::pace::{about, backoff, random_seed};
use super::progress::Told;
use super::reach;
use super::trouble::Trouble;
use crate::state::Stage;

/// Keeps the records of a name, for ever.
pub(super) async fn follow(shared: Arc<Shared>, name: SrvName) {
    let mut rng = Rng::from_seed(random_seed());
    let source = Source::Srv(name.clone());
    let mut targets = Targets::default();
    // Lookups in a row that have left a target without an answer.
    let mut incomplete = 0;
    loop {
        let looked = look(&shared, &name, &mut targets).await;
        let ttl = looked.as_ref().map_or(Duration::ZERO, |(_, ttl)| *ttl);
        let heard = looked.map(|(told, _)| told);
        incomplete = if heard.as_ref().is_ok_and(|told| told.missing.is_some()) { incomplete + 1 } else { 0 };
        let failures = shared.heard(&source, heard).max(incomplete);
        let wait = if failures > 0 { backoff(failures) } else { ttl.clamp(MIN_TTL, MAX_TTL) };
        sleep(about(wait, &mut rng)).await;
    }
}

/// The last good addresses of the targets.
type Targets = HashMap<String, Vec<IpAddr>>;

/// Asks for the records and for the addresses of their targets; what is found holds for the least of their times.
async fn look(shared: &Shared, name: &SrvName, known: &mut Targets) -> Result<(Told, Duration), Trouble> {
    let client = shared.client();
    let found = client.services(name.as_str()).await.map_err(Trouble::Name)?;
    let targets: BTreeSet<String> = found.records.iter().map(|record| record.target.clone()).collect();
    if targets.len() > MAX_TARGETS {
        return Err(Trouble::TooMany { what: "targets", most: MAX_TARGETS });
    }
    known.retain(|target, _| targets.contains(target));
    let mut ttl = found.ttl;
    let mut worst = None;
    for (target, result) in resolve(&client, targets).await {
        let failure = match result {
            Ok(answer) => {
                ttl = ttl.min(answer.ttl);
                let failure = answer.missing.map(|(_, failure)| failure);
                let merged = answer.over(known.get(&target).map_or(&[][..], Vec::as_slice));
                known.insert(target, merged);
                failure
            }
            Err(failure) => Some(failure),
        };
        worst = worst.max(failure);
    }
    let own = shared.own();
    let list = endpoints(&found.records, known, &own);
    let missing = refused(&found.records, known, &own).or(worst.map(Trouble::Name));
    if list.is_empty() {
        // There is no such service, says a target that is the root (RFC 2782); like a name that is gone.
        return Err(missing.unwrap_or(Trouble::Name(Failure::NoAddresses)));
    }
    Ok((Told { list: list.into(), missing }, ttl))
}

/// Where a record leads.
fn places(record: &SrvRecord, targets: &Targets) -> impl Iterator<Item = SocketAddr> {
    let addresses = targets.get(&record.target).map_or(&[][..], Vec::as_slice);
    addresses.iter().map(|address| SocketAddr::new(address.to_canonical(), record.port.get()))
}

/// The first place that may not be led to. Such places are no endpoints.
fn refused(records: &[SrvRecord], targets: &Targets, own: &[SocketAddr]) -> Option<Trouble> {
    let mut places = records.iter().flat_map(|record| places(record, targets));
    places.find_map(|address| reach::refuse(address, own).err().map(|why| Trouble::Refused { address, why }))
}

/// Resolves names, a few at a time.
async fn resolve(client: &Arc<Client>, targets: BTreeSet<String>) -> Vec<(String, Result<Answer, Failure>)> {
    let mut targets = targets.into_iter();
    let mut running = JoinSet::new();
    let mut found = Vec::new();
    loop {
        while running.len() < AT_ONCE
            && let Some(target) = targets.next()
        {
            let client = Arc::clone(client);
            running.spawn(async move {
                let result = client.lookup(&target).await;
                (target, result)
            });
        }
        match running.join_next().await {
            Some(Ok(result)) => found.push(result),
            // A panic: the answer was of a kind that nobody has thought of. What was known of the target stays.
            Some(Err(_)) => {}
            None => return found,
        }
    }
}

/// The endpoints that records and the addresses of their targets make, sorted.
fn endpoints(records: &[SrvRecord], targets: &Targets, own: &[SocketAddr]) -> Vec<Entry> {
    let mut groups: BTreeMap<u16, Vec<&SrvRecord>> = BTreeMap::new();
    for record in records {
        groups.entry(record.priority).or_default().push(record);
    }
    let shares =
        groups.into_values().map(|group| shares(&group, targets, own)).find(|group| !group.is_empty());
    let entry = |(address, weight): (SocketAddr, Weight)| {
        let address = Address::Tcp(address);
        Some(Entry { id: address.to_string().parse().ok()?, address, weight, stage: Stage::Up })
    };
    weights(&shares.unwrap_or_default()).into_iter().filter_map(entry).collect()
}

/// What every address of a group shall get: the weight of a target is divided among its addresses, or a host with two
/// kinds of them would get twice its share.
fn shares(group: &[&SrvRecord], targets: &Targets, own: &[SocketAddr]) -> BTreeMap<SocketAddr, f64> {
    let mut shares = BTreeMap::new();
    for record in group {
        let places: Vec<SocketAddr> =
            places(record, targets).filter(|place| reach::refuse(*place, own).is_ok()).collect();
        for place in &places {
            *shares.entry(*place).or_default() += f64::from(record.weight) / places.len() as f64;
        }
    }
    shares
}

/// Whole numbers in about the relations of the shares. A share of nothing is a very small one beside others ("a very
/// small chance of being selected", RFC 2782), and all are the same where there is no other.
fn weights(shares: &BTreeMap<SocketAddr, f64>) -> Vec<(SocketAddr, Weight)> {
    let most = shares.values().copied().fold(0.0, f64::max);
    let is_exact = shares.values().all(|share| *share >= 1.0 && share.fract() == 0.0);
    let finest = f64::from(u16::MAX) / most.max(1.0);
    let scale = if is_exact { finest.min(1.0) } else { finest.min(FINER) };
    let weight = |share: f64| Weight::new((share * scale).round() as u16).unwrap_or(Weight::ONE);
    shares.iter().map(|(address, share)| (*address, weight(*share))).collect()
}

/// The most names that the records of one name may lead to.
const MAX_TARGETS: usize = 1000;
/// So many of them are asked for at a time.
const AT_ONCE: usize = 16;
/// By so much weights grow where they cannot be told apart else: a target of weight 0 gets a hundredth of one of weight 1.
const FINER: f64 = 100.0;
/// As for host names.
const MIN_TTL: Duration = Duration::from_secs(1);
const MAX_TTL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    /// Records as `priority weight port target`, targets as `name address address …`.
    #[track_caller]
    fn check(records: &[&str], targets: &[&str], expected: &[&str]) {
        let number = |text: Option<&str>| text.and_then(|text| text.parse().ok()).expect("a number");
        let record = |text: &&str| {
            let mut words = text.split(' ');
            let (priority, weight, port) = (number(words.next()), number(words.next()), number(words.next()));
            let port = std::num::NonZeroU16::new(port).expect("not zero");
            SrvRecord { priority, weight, port, target: words.next().expect("a target").to_owned() }
        };
        let target = |text: &&str| {
            let (name, addresses) = text.split_once(' ').unwrap_or((text, ""));
            let addresses = addresses.split_whitespace().map(|text| text.parse().expect("an address"));
            (name.to_owned(), addresses.collect())
        };
        let records: Vec<SrvRecord> = records.iter().map(record).collect();
        let targets: Targets = targets.iter().map(target).collect();
        let show = |entry: Entry| format!("{} {}", entry.address, entry.weight.get());
        let found: Vec<String> = endpoints(&records, &targets, &[OWN.parse().expect("an address")])
            .into_iter()
            .map(show)
            .collect();
        assert_eq!(found, expected, "{records:?}");
    }

    const OWN: &str = "127.0.0.1:9900";
    const A: &str = "a 10.0.0.1";
    const B: &str = "b 10.0.0.2";

    #[test]
    fn weights_are_kept() {
        check(&["0 5 80 a", "0 10 81 b"], &[A, B], &["10.0.0.1:80 5", "10.0.0.2:81 10"]);
        check(&["0 65535 80 a", "0 1 80 b"], &[A, B], &["10.0.0.1:80 65535", "10.0.0.2:80 1"]);
        // One target at two ports is two endpoints; the same twice is one of both weights.
        check(&["0 2 80 a", "0 3 81 a"], &[A], &["10.0.0.1:80 2", "10.0.0.1:81 3"]);
        check(&["0 2 80 a", "0 3 80 a"], &[A], &["10.0.0.1:80 5"]);
        check(
            &["0 65535 80 a", "0 65535 80 a", "0 2 80 b"],
            &[A, B],
            &["10.0.0.1:80 65535", "10.0.0.2:80 1"],
        );
        check(&[], &[], &[]);
    }

    #[test]
    fn weight_zero_is_little_and_not_nothing() {
        check(&["0 0 80 a", "0 0 80 b"], &[A, B], &["10.0.0.1:80 1", "10.0.0.2:80 1"]);
        check(&["0 0 80 a", "0 1 80 b"], &[A, B], &["10.0.0.1:80 1", "10.0.0.2:80 100"]);
        check(&["0 0 80 a", "0 65535 80 b"], &[A, B], &["10.0.0.1:80 1", "10.0.0.2:80 65535"]);
    }

    #[test]
    fn a_target_divides_its_share_among_its_addresses() {
        let both = "a 10.0.0.1 2001:db8::1";
        check(
            &["0 10 80 a", "0 10 80 b"],
            &[both, B],
            &["10.0.0.1:80 5", "10.0.0.2:80 10", "[2001:db8::1]:80 5"],
        );
        check(
            &["0 1 80 a", "0 1 80 b"],
            &[both, B],
            &["10.0.0.1:80 50", "10.0.0.2:80 100", "[2001:db8::1]:80 50"],
        );
    }

    #[test]
    fn the_lowest_priority_that_can_be_used_is_used() {
        check(&["10 1 80 a", "20 1 80 b"], &[A, B], &["10.0.0.1:80 1"]);
        check(&["20 1 80 a", "10 1 80 b"], &[A, B], &["10.0.0.2:80 1"]);
        check(&["10 1 80 a", "20 1 80 b"], &["a", B], &["10.0.0.2:80 1"]);
        check(&["10 1 80 a", "10 1 80 c", "20 1 80 b"], &[A, B], &["10.0.0.1:80 1"]);
        check(&["10 1 80 a"], &[], &[]);
    }

    #[test]
    fn records_cannot_lead_to_this_daemon_or_to_a_link() {
        let hosts = ["a 127.0.0.1 10.0.0.1", "b 169.254.169.254", "c 10.0.0.3"];
        // What may not be led to takes no share.
        check(&["0 4 9900 a", "0 4 80 c"], &hosts, &["10.0.0.1:9900 4", "10.0.0.3:80 4"]);
        check(&["0 1 80 a"], &["a 127.0.0.1"], &["127.0.0.1:80 1"]);
        check(&["10 1 80 b", "20 1 80 c"], &hosts, &["10.0.0.3:80 1"]);
        check(&["0 1 80 a"], &["a ::ffff:169.254.169.254"], &[]);
    }
}
