//! What a zone has below the places where another one begins, and whether name servers can be found.

use std::collections::{HashMap, HashSet};

use fulcrum_model::{DnsName, RecordData, RecordType};

use crate::code::Code;
use crate::gslb::{Answer, Name};
use crate::source::Place;
use crate::validate::Context;

use super::name::Placed;

/// The names of a zone, and all zones.
pub(crate) struct Check<'a> {
    pub(crate) apex: &'a DnsName,
    pub(crate) apexes: &'a HashSet<DnsName>,
    pub(crate) names: &'a [Placed],
    /// Its own name servers, and where each of them stands.
    pub(crate) servers: &'a [(DnsName, Place)],
}

impl Check<'_> {
    /// Records names that are never answered: another zone begins at them or above them.
    pub(crate) fn refuse_hidden(&self, context: &mut Context<'_>) {
        let delegated = self.names.iter().filter(|placed| !placed.servers.is_empty());
        let cuts: HashMap<&DnsName, Place> =
            delegated.map(|placed| (&placed.name.owner, placed.place)).collect();
        let servers: HashSet<&DnsName> = self.servers().map(|(server, _)| server).collect();
        for placed in self.names {
            let Some(cut) = self.cut_above(&placed.name.owner, &cuts) else { continue };
            if is_allowed(&placed.name, &cut, &servers) {
                continue;
            }
            let owner = &placed.name.owner;
            let message = match *owner == cut {
                true => format!("`{owner}` has what is never answered: another zone begins there"),
                false => format!("`{owner}` is never answered: the zone `{cut}` begins above it"),
            };
            let problem = context.problems.add(Code::Hidden, placed.place, message);
            match cuts.get(&cut) {
                Some(&place) => {
                    problem.note(format!("name servers are given in {}", context.sources.label(place)))
                }
                None => problem.note(format!("it belongs into the zone `{cut}`")),
            };
            problem.note("here it may have name servers, `ds` and the addresses of name servers");
        }
    }

    /// Name servers of the zone, and of those that it delegates to others.
    fn servers(&self) -> impl Iterator<Item = &(DnsName, Place)> {
        self.servers.iter().chain(self.names.iter().flat_map(|placed| &placed.servers))
    }

    /// The uppermost place at or above a name where another zone begins.
    fn cut_above(&self, owner: &DnsName, cuts: &HashMap<&DnsName, Place>) -> Option<DnsName> {
        let mut found = None;
        let mut at = owner.clone();
        while at != *self.apex {
            if cuts.contains_key(&at) || self.apexes.contains(&at) {
                found = Some(at.clone());
            }
            at = at.parent()?;
        }
        found
    }

    /// Records name servers within the zone that nobody could find, or that are aliases.
    pub(crate) fn warn_of_name_servers(&self, context: &mut Context<'_>) {
        let names: HashMap<&DnsName, &Name> =
            self.names.iter().map(|placed| (&placed.name.owner, &placed.name)).collect();
        for (server, place) in self.servers() {
            // A zone below says its addresses itself.
            let of_another = self.cut_above(server, &HashMap::new()).is_some();
            if !server.is_within(self.apex) || of_another {
                continue;
            }
            let (message, note) = match self.found(server, &names) {
                Some(name) if has_addresses(name) => continue,
                Some(name) if is_alias(name) => (
                    format!("the name server `{server}` is an alias"),
                    "a name server has addresses of its own (RFC 2181 §10.3)",
                ),
                _ => (
                    format!("the name server `{server}` has no address in this zone"),
                    "give it one in `names`, with `a` or `aaaa`",
                ),
            };
            context.problems.add(Code::NameServerAddress, *place, message).note(note);
        }
    }

    /// The name itself, or the wildcard that stands for it.
    fn found<'a>(&self, server: &DnsName, names: &HashMap<&DnsName, &'a Name>) -> Option<&'a Name> {
        let mut at = server.clone();
        if let Some(name) = names.get(&at) {
            return Some(name);
        }
        while at != *self.apex {
            at = at.parent()?;
            let wildcard = at.child(b"*").ok();
            if let Some(name) = wildcard.and_then(|wildcard| names.get(&wildcard)) {
                return Some(name);
            }
        }
        None
    }
}

/// What a zone may say about another one that begins within it (RFC 1034 §4.2.1): who answers there, and where they are. Of
/// whom else it has an address is never told.
fn is_allowed(name: &Name, cut: &DnsName, servers: &HashSet<&DnsName>) -> bool {
    let is_allowed = |record: &RecordData| match record.record_type() {
        RecordType::A | RecordType::AAAA => servers.contains(&name.owner),
        RecordType::NS | RecordType::DS => name.owner == *cut,
        _ => false,
    };
    name.answer.is_none() && name.records.iter().all(is_allowed)
}

fn has_addresses(name: &Name) -> bool {
    let is_address = |record: &RecordData| matches!(record, RecordData::A(_) | RecordData::Aaaa(_));
    let is_answered = match &name.answer {
        Some(Answer::Policy(policy)) => !policy.has_aliases(),
        Some(Answer::Service(_)) => true,
        None => false,
    };
    is_answered || name.records.iter().any(is_address)
}

fn is_alias(name: &Name) -> bool {
    name.answer.is_some() || name.records.iter().any(|record| matches!(record, RecordData::Cname(_)))
}
