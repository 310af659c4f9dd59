//! Zones and their names as they are written.

use std::borrow::Cow;
use std::rc::Rc;

use fulcrum_model::RecordType;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::decode::{At, Checked, Decode, Named, OneOrMany, Whole, Word};
use crate::directory::FilePath;
use crate::duration::Seconds;
use crate::fields::fields;
use crate::node::{Entry, Node, Value};
use crate::report::Problems;
use crate::source::Place;

use super::policy::{RawPolicyHealth, RawStickyKey, RawTarget, RawTtl};
use super::{DnsPanic, DnsPolicy};

fields! {
    /// A zone: a file, or what is in it.
    RawZone {
        /// A zone file: an absolute path.
        file: FilePath,
        /// The start of the zone.
        soa: RawSoa,
        /// The time-to-live of records that say nothing else. Default 300s.
        ttl: Seconds,
        /// One or several name servers of the zone.
        ns: OneOrMany<String>,
        /// What is answered: @ for the zone itself, names relative to it, or absolute ones with a dot at the end.
        names: Named<RawName>,
    }

    /// The start of a zone.
    RawSoa {
        /// The name server that the zone comes from.
        primary: At<String> = required,
        /// The mailbox of who is responsible, its @ written as a dot.
        contact: At<String> = required,
        /// The version of the zone. Default 1.
        serial: Whole<0, 4_294_967_295>,
        /// How often secondaries look. Default 1h.
        refresh: Seconds,
        /// How soon they look again. Default 10m.
        retry: Seconds,
        /// How long they answer without the primary. Default 336h.
        expire: Seconds,
        /// How long "there is none" may be remembered. Default 60s.
        minimum: Seconds,
    }

    /// What is answered for a name, but for records of types without a name.
    RawNameKeys {
        /// IPv4 addresses.
        a: OneOrMany<String>,
        /// IPv6 addresses.
        aaaa: OneOrMany<String>,
        /// Texts, taken as they are.
        txt: OneOrMany<String>,
        /// The name that this one is an alias of.
        cname: OneOrMany<String>,
        /// Who takes mail: 10 mail.
        mx: OneOrMany<String>,
        /// The name servers of a zone that begins here.
        ns: OneOrMany<String>,
        /// Where a service is: 0 5 5060 sip.
        srv: OneOrMany<String>,
        /// Who may issue certificates: 0 issue "ca.example".
        caa: OneOrMany<String>,
        /// The name of an address.
        ptr: OneOrMany<String>,
        /// How HTTPS is spoken: 1 . alpn="h2".
        https: OneOrMany<String>,
        /// How a service is bound.
        svcb: OneOrMany<String>,
        /// The certificate that is expected.
        tlsa: OneOrMany<String>,
        /// The fingerprint of a host key.
        sshfp: OneOrMany<String>,
        /// A rule that rewrites names.
        naptr: OneOrMany<String>,
        /// The digest of the key of a zone that begins here.
        ds: OneOrMany<String>,
        /// How long answers may be remembered: of static records always the same, of a policy also max and min. Default
        /// that of the zone; of a policy 60s, near a change 5s, if that is less.
        ttl: RawTtl,
        /// How targets are chosen: one of the words or several in this order, like [geo, weighted, failover].
        policy: Checked<OneOrMany<Word<DnsPolicy>>>,
        /// Targets by region: one or several addresses, each perhaps with a weight, or aliases.
        regions: Named<OneOrMany<RawTarget>>,
        /// Targets without regions.
        endpoints: OneOrMany<RawTarget>,
        /// A service whose healthy endpoints are answered.
        service: At<String>,
        /// Most records of one type in an answer, 1 to 64. Default 8 where all are answered, else 1.
        max_answers: Whole<1, 64>,
        /// How much of a client's address counts for sticky.
        key: RawStickyKey,
        /// How targets are probed.
        health: RawPolicyHealth,
        /// What is answered when nothing is eligible. Default all.
        panic: Word<DnsPanic>,
        /// The addresses of `panic: fallback`.
        fallback: OneOrMany<crate::target::IpText>,
    }
}

/// What is answered for a name.
#[derive(Debug)]
pub(crate) struct RawName {
    /// Boxed: there are many names, and each is moved several times.
    pub(crate) keys: Box<RawNameKeys>,
    /// In file order.
    pub(crate) sets: Vec<RawSet>,
}

/// Records of one type.
#[derive(Debug)]
pub(crate) struct RawSet {
    /// The key.
    pub(crate) name: Rc<str>,
    pub(crate) place: Place,
    pub(crate) record_type: RecordType,
    /// Texts are taken as they are, and not as a zone file writes them.
    pub(crate) is_plain_text: bool,
    /// Those that could be read.
    pub(crate) values: Vec<At<String>>,
}

impl Decode for RawName {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::Mapping(entries) = &node.value else {
            let keys = RawNameKeys::decode(node, problems).map(Box::new)?;
            return Some(RawName { keys, sets: Vec::new() });
        };
        let (generic, others): (Vec<_>, Vec<_>) = entries.iter().cloned().partition(is_generic);
        let named = Node { place: node.place, value: Value::Mapping(others), weight: node.weight };
        let mut keys = RawNameKeys::decode(&named, problems).map(Box::new)?;
        let mut sets = keys.take_sets();
        sets.extend(
            generic
                .iter()
                .filter_map(|entry| set(&entry.key, entry.key_place, Decode::decode(&entry.node, problems))),
        );
        Some(RawName { keys, sets })
    }
}

impl RawNameKeys {
    fn take_sets(&mut self) -> Vec<RawSet> {
        let sets = [
            ("a", self.a.take()),
            ("aaaa", self.aaaa.take()),
            ("txt", self.txt.take()),
            ("cname", self.cname.take()),
            ("mx", self.mx.take()),
            ("ns", self.ns.take()),
            ("srv", self.srv.take()),
            ("caa", self.caa.take()),
            ("ptr", self.ptr.take()),
            ("https", self.https.take()),
            ("svcb", self.svcb.take()),
            ("tlsa", self.tlsa.take()),
            ("sshfp", self.sshfp.take()),
            ("naptr", self.naptr.take()),
            ("ds", self.ds.take()),
        ];
        let given = sets.into_iter().filter_map(|(key, values)| set(key, self.given.place(key)?, values));
        given.collect()
    }
}

fn set(key: &str, place: Place, values: Option<OneOrMany<String>>) -> Option<RawSet> {
    let record_type = key.parse().ok()?;
    let values = values.map(|values| values.0).unwrap_or_default();
    Some(RawSet { name: key.into(), place, record_type, is_plain_text: key == "txt", values })
}

/// True for `type666`.
fn is_generic(entry: &Entry) -> bool {
    let is_number = |digits: &str| {
        digits.starts_with(|first: char| first.is_ascii_digit()) && digits.parse::<u16>().is_ok()
    };
    entry.key.strip_prefix("type").is_some_and(is_number)
}

impl JsonSchema for RawName {
    fn schema_name() -> Cow<'static, str> {
        "RawName".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = RawNameKeys::json_schema(generator);
        let values = OneOrMany::<String>::json_schema(generator);
        schema.insert("description".into(), "What is answered for a name.".into());
        schema.insert("patternProperties".into(), json_schema!({ "^type[0-9]{1,5}$": values }).to_value());
        schema
    }
}
