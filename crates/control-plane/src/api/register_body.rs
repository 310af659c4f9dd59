//! The body of a registration: what an instance says of itself, and what it may say.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

use fulcrum_model::{Few, Registration, Traits, Weight};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::problem::Problem;
use super::{duration, json};
use crate::state::{Epoch, Incarnation};

/// What a registration asks for. Fields that nobody knows are those of a later release, and are passed over.
#[derive(Debug, Deserialize)]
pub(super) struct RegisterBody {
    address: Option<String>,
    port: u64,
    #[serde(default)]
    ports: Option<BTreeMap<String, u64>>,
    weight: Option<u64>,
    locality: Option<String>,
    region: Option<String>,
    incarnation: Option<String>,
    tags: Option<Vec<String>>,
    meta: Option<BTreeMap<String, String>>,
    ttl: Option<String>,
    #[serde(default, deserialize_with = "json::object")]
    load: Option<LoadBody>,
    launch_id: Option<String>,
    epoch: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct LoadBody {
    limit: Option<u64>,
}

/// A registration that can be.
#[derive(Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) registration: Registration,
    pub(super) incarnation: Incarnation,
    pub(super) epoch: Option<Epoch>,
}

/// What stands in for what is not said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Defaults {
    pub(super) address: IpAddr,
    pub(super) ttl: Duration,
}

impl RegisterBody {
    /// Checks every value.
    pub(super) fn check(self, defaults: Defaults) -> Result<Wanted, Problem> {
        let incarnation = text(self.incarnation, "/incarnation")?;
        let registration = Registration {
            address: address(self.address, defaults.address)?,
            port: port(self.port, || "/port".to_owned())?,
            launch_id: text(self.launch_id, "/launch_id")?.map(Box::from),
            traits: Arc::new(Traits {
                ports: ports(self.ports.unwrap_or_default())?,
                weight: weight(self.weight, "/weight")?.unwrap_or(Weight::ONE),
                locality: text(self.locality, "/locality")?.map(Arc::from),
                region: text(self.region, "/region")?.map(Arc::from),
                tags: tags(self.tags.unwrap_or_default())?,
                meta: meta(self.meta.unwrap_or_default())?,
                ttl: ttl(self.ttl)?.unwrap_or(defaults.ttl),
                load_limit: limit(self.load)?,
            }),
        };
        let incarnation = match incarnation {
            Some(incarnation) => Incarnation(xxh3_128(incarnation.as_bytes())),
            None => Incarnation(xxh3_128(&canonical(&registration))),
        };
        Ok(Wanted { registration, incarnation, epoch: self.epoch.map(Epoch) })
    }
}

/// The same bytes for the same registration, in whatever order it was written. Kept with instances: never to change.
fn canonical(registration: &Registration) -> Vec<u8> {
    #[derive(Serialize)]
    struct Canonical<'a> {
        address: IpAddr,
        port: NonZeroU16,
        #[serde(serialize_with = "json::few")]
        ports: &'a Few<NonZeroU16>,
        weight: u16,
        locality: &'a Option<Arc<str>>,
        region: &'a Option<Arc<str>>,
        tags: &'a [Box<str>],
        #[serde(serialize_with = "json::few")]
        meta: &'a Few<Box<str>>,
        ttl_ms: u64,
        load_limit: Option<NonZeroU32>,
        launch_id: &'a Option<Box<str>>,
    }
    let canonical = Canonical {
        address: registration.address,
        port: registration.port,
        ports: &registration.ports,
        weight: registration.weight.get(),
        locality: &registration.locality,
        region: &registration.region,
        tags: &registration.tags,
        meta: &registration.meta,
        ttl_ms: super::millis(registration.ttl),
        load_limit: registration.load_limit,
        launch_id: &registration.launch_id,
    };
    serde_json::to_vec(&canonical).expect("its keys are texts")
}

fn address(given: Option<String>, default: IpAddr) -> Result<IpAddr, Problem> {
    let Some(text) = given else { return Ok(default.to_canonical()) };
    let address = text.parse::<IpAddr>().map(|address| address.to_canonical());
    address.map_err(|_| Problem::invalid("/address", "expected an IP address"))
}

fn port(number: u64, pointer: impl FnOnce() -> String) -> Result<NonZeroU16, Problem> {
    let port = u16::try_from(number).ok().and_then(NonZeroU16::new);
    port.ok_or_else(|| Problem::invalid(pointer(), "expected a port from 1 to 65535"))
}

fn ports(given: BTreeMap<String, u64>) -> Result<Few<NonZeroU16>, Problem> {
    check_count(given.len(), "/ports")?;
    let ports = given.into_iter().map(|(name, number)| {
        check_key(&name, || member("/ports", &name))?;
        let number = port(number, || member("/ports", &name))?;
        Ok((name, number))
    });
    ports.collect()
}

pub(super) fn weight(given: Option<u64>, pointer: &str) -> Result<Option<Weight>, Problem> {
    let Some(number) = given else { return Ok(None) };
    let weight = u16::try_from(number).ok().and_then(Weight::new);
    weight.map(Some).ok_or_else(|| {
        Problem::invalid(
            pointer,
            "expected a weight from 1 to 65535; who shall get nothing is put in maintenance",
        )
    })
}

fn tags(mut given: Vec<String>) -> Result<Arc<[Box<str>]>, Problem> {
    check_count(given.len(), "/tags")?;
    for (place, tag) in given.iter().enumerate() {
        check_key(tag, || format!("/tags/{place}"))?;
    }
    if given.is_empty() {
        // Takes no memory.
        return Ok(Arc::default());
    }
    given.sort();
    given.dedup();
    Ok(given.into_iter().map(Box::from).collect())
}

fn meta(given: BTreeMap<String, String>) -> Result<Few<Box<str>>, Problem> {
    check_count(given.len(), "/meta")?;
    for (key, value) in &given {
        check_key(key, || member("/meta", key))?;
        if value.len() > LONGEST_VALUE {
            return Err(Problem::invalid(member("/meta", key), "a value has at most 1 KiB"));
        }
    }
    Ok(given.into_iter().map(|(key, value)| (key, value.into())).collect())
}

fn ttl(given: Option<String>) -> Result<Option<Duration>, Problem> {
    let Some(text) = given else { return Ok(None) };
    let ttl = duration::parse(&text).filter(|ttl| (SHORTEST_TTL..=LONGEST_TTL).contains(ttl));
    ttl.map(Some).ok_or_else(|| Problem::invalid("/ttl", "expected a duration like `30s`, from 3s to 24h"))
}

fn limit(given: Option<LoadBody>) -> Result<Option<NonZeroU32>, Problem> {
    let Some(number) = given.and_then(|load| load.limit) else { return Ok(None) };
    let limit = u32::try_from(number).ok().and_then(NonZeroU32::new);
    limit.map(Some).ok_or_else(|| Problem::invalid("/load/limit", "expected a number from 1 to 4294967295"))
}

/// A short text that prints, if there is one.
fn text(given: Option<String>, pointer: &str) -> Result<Option<String>, Problem> {
    if let Some(text) = &given {
        check_key(text, || pointer.to_owned())?;
    }
    Ok(given)
}

fn check_key(text: &str, pointer: impl FnOnce() -> String) -> Result<(), Problem> {
    if (1..=LONGEST_KEY).contains(&text.len()) && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Problem::invalid(pointer(), "expected 1 to 128 bytes, all of which print"))
}

fn check_count(count: usize, pointer: &str) -> Result<(), Problem> {
    if count <= MOST_ENTRIES { Ok(()) } else { Err(Problem::invalid(pointer, "it has more than 64 entries")) }
}

/// The pointer to a member of an object (RFC 6901 §3).
fn member(object: &str, name: &str) -> String {
    format!("{object}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Of tags, ports and meta each.
const MOST_ENTRIES: usize = 64;

/// In bytes.
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 1 << 10;

/// Heartbeats come three times as often, and leases are looked at once a second.
const SHORTEST_TTL: Duration = Duration::from_secs(3);
const LONGEST_TTL: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Wanted, String> {
        let defaults = Defaults { address: IpAddr::from([10, 0, 0, 9]), ttl: Duration::from_secs(30) };
        let problem = |problem: Problem| problem.pointer().unwrap_or("-").to_owned();
        let body = json::read::<RegisterBody>(body.as_bytes()).map_err(problem)?;
        body.check(defaults).map_err(problem)
    }

    #[test]
    fn what_is_not_said_is_the_default() {
        let Wanted { registration, epoch, .. } = read(r#"{"port":8080,"later":[1]}"#).expect("it can be");
        assert_eq!(registration.address, IpAddr::from([10, 0, 0, 9]));
        assert_eq!((registration.port.get(), registration.weight), (8080, Weight::ONE));
        assert_eq!((registration.ttl, epoch), (Duration::from_secs(30), None));
    }

    #[test]
    fn values_are_checked() {
        let check = |fields: &str, pointer: Option<&str>| {
            let read = read(&format!("{{\"port\":80{}{fields}}}", if fields.is_empty() { "" } else { "," }));
            assert_eq!(read.err().as_deref(), pointer, "{}", &fields[..fields.len().min(60)]);
        };
        let key = "k".repeat(128);
        let tags = |count: usize| (0..count).map(|tag| format!("\"{tag}\"")).collect::<Vec<_>>().join(",");
        let meta =
            |count: usize| (0..count).map(|key| format!("\"{key}\":\"\"")).collect::<Vec<_>>().join(",");
        check("", None);
        check(r#""address":"::ffff:10.0.0.1","locality":null,"ttl":"24h""#, None);
        check(r#""address":"web.example""#, Some("/address"));
        check(r#""ports":{"metrics":9100}"#, None);
        check(r#""ports":{"a/b~":0}"#, Some("/ports/a~1b~0"));
        check(r#""ports":{"":1}"#, Some("/ports/"));
        check(r#""weight":65535"#, None);
        check(r#""weight":0"#, Some("/weight"));
        check(r#""weight":65536"#, Some("/weight"));
        check(r#""weight":"1""#, Some("-"));
        check(r#""weight":-1"#, Some("-"));
        check(r#""ttl":"3s""#, None);
        check(r#""ttl":"2999ms""#, Some("/ttl"));
        check(r#""ttl":"24h1ms""#, Some("/ttl"));
        check(r#""ttl":30"#, Some("-"));
        check(r#""load":{"limit":1,"later":2}"#, None);
        check(r#""load":{"limit":0}"#, Some("/load/limit"));
        check(r#""tags":["a",""]"#, Some("/tags/1"));
        check(r#""tags":["a\n"]"#, Some("/tags/0"));
        check(&format!(r#""tags":["{key}"]"#), None);
        check(&format!(r#""tags":["{key}k"]"#), Some("/tags/0"));
        check(&format!(r#""tags":[{}]"#, tags(64)), None);
        check(&format!(r#""tags":[{}]"#, tags(65)), Some("/tags"));
        check(&format!(r#""meta":{{{}}}"#, meta(64)), None);
        check(&format!(r#""meta":{{{}}}"#, meta(65)), Some("/meta"));
        check(&format!(r#""meta":{{"k":"{}"}}"#, "v".repeat(1024)), None);
        check(&format!(r#""meta":{{"k":"{}"}}"#, "v".repeat(1025)), Some("/meta/k"));
        check(r#""launch_id":"""#, Some("/launch_id"));
        check(r#""port":81"#, Some("-"));
        check(r#""epoch":1.5"#, Some("-"));
    }

    #[test]
    fn an_incarnation_is_what_is_said_or_all_that_is_said() {
        let incarnation = |body: &str| read(body).expect("it can be").incarnation;
        let first = incarnation(r#"{"port":80,"tags":["a","b"]}"#);
        assert_eq!(first, incarnation(r#"{"tags":["b","a","a"],"port":80,"weight":1,"epoch":3}"#));
        assert_ne!(first, incarnation(r#"{"port":80,"tags":["a"]}"#));
        assert_eq!(
            incarnation(r#"{"port":80,"incarnation":"x"}"#),
            incarnation(r#"{"port":81,"incarnation":"x"}"#)
        );
        // It is kept with instances: another value would make a new epoch of every repeated registration.
        assert_eq!(
            incarnation(r#"{"port":80}"#),
            Incarnation(278_346_844_149_554_245_858_286_092_528_647_168_866)
        );
    }
}
