//! Aliases, with what their targets have, as far as the zone knows it.

use fulcrum_model::{DnsName, RecordData, RecordType};
use smallvec::SmallVec;

use super::{Builder, authority, names_above};
use crate::body::{Body, BodyWriter, Owner, Section, write_set};
use crate::names::Kind;
use crate::query::{AUTHORITATIVE, NXDOMAIN};
use crate::zone::RecordSet;

impl Builder<'_> {
    /// An alias with what its target has, as far as the zone knows that and it does not depend on who asks.
    pub(super) fn alias(&self, name: &DnsName, alias: &RecordSet) -> (Kind, SmallVec<[(u16, Body); 1]>) {
        let chain = self.chain(name, alias);
        let write = |links: &[(DnsName, &RecordSet)]| {
            let mut writer = BodyWriter::new(name);
            let mut is_whole =
                write_set(&mut writer, Section::Answer, Owner::Question, alias.ttl, &alias.data);
            for (owner, set) in links {
                is_whole &= write_set(&mut writer, Section::Answer, Owner::Name(owner), set.ttl, &set.data);
            }
            debug_assert!(is_whole, "a few names are never too large");
            writer
        };
        let direct = write(&[]).finish(AUTHORITATIVE);
        match chain.end {
            End::Elsewhere => (
                Kind::Alias(Box::new([direct.clone(), write(&chain.links).finish(AUTHORITATIVE)])),
                SmallVec::new(),
            ),
            End::Name(target, sets) => {
                let body = |set: &RecordSet| {
                    let mut writer = write(&chain.links);
                    // Beside the links there may be no room for it: then it is asked for by itself.
                    let _ = write_set(&mut writer, Section::Answer, Owner::Name(&target), set.ttl, &set.data);
                    (set.record_type.0, writer.finish(AUTHORITATIVE))
                };
                let mut writer = write(&chain.links);
                authority(&mut writer, self.zone);
                (
                    Kind::Alias(Box::new([direct, writer.finish(AUTHORITATIVE)])),
                    sets.iter().map(body).collect(),
                )
            }
            End::Nothing => {
                let mut writer = write(&chain.links);
                authority(&mut writer, self.zone);
                (Kind::Alias(Box::new([direct, writer.finish(AUTHORITATIVE | NXDOMAIN)])), SmallVec::new())
            }
        }
    }

    /// Follows an alias within the zone.
    fn chain<'b>(&'b self, name: &DnsName, alias: &'b RecordSet) -> Chain<'b> {
        let mut chain = Chain { links: Vec::new(), end: End::Elsewhere };
        let mut target = match alias.data.first() {
            Some(RecordData::Cname(target)) => target.clone(),
            _ => return chain,
        };
        while chain.links.len() < LINKS_MAX && target != *name {
            let is_ours = target.is_within(&self.zone.name)
                && !self.is_lower(&target)
                && self.cut_of(&target).is_none();
            if !is_ours || self.zone.choices.contains_key(&target) {
                return chain;
            }
            let Some(sets) = self.zone.names.get(&target) else {
                if !self.is_covered(&target) {
                    chain.end = End::Nothing;
                }
                return chain;
            };
            match sets.iter().find(|set| set.record_type == RecordType::CNAME) {
                None => {
                    chain.end = End::Name(target, sets);
                    return chain;
                }
                Some(next) => {
                    let owner = target;
                    target = match next.data.first() {
                        Some(RecordData::Cname(target)) => target.clone(),
                        _ => return chain,
                    };
                    chain.links.push((owner, next));
                }
            }
        }
        // It leads back to itself, or nowhere: whoever asks finds out.
        chain.links.clear();
        chain
    }

    /// Whether a name that has nothing of its own is there nevertheless: above others, or by a wildcard.
    fn is_covered(&self, name: &DnsName) -> bool {
        let wildcard = || {
            let mut above = name.parent();
            while let Some(parent) = above.filter(|parent| parent.is_within(&self.zone.name)) {
                if parent.child(b"*").is_ok_and(|wildcard| self.has(&wildcard)) {
                    return true;
                }
                above = parent.parent();
            }
            false
        };
        self.above.get_or_init(|| names_above(self.zone, self.lower)).contains(name) || wildcard()
    }

    fn has(&self, name: &DnsName) -> bool {
        self.zone.names.contains(name) || self.zone.choices.contains_key(name)
    }
}

/// Where an alias leads to.
struct Chain<'a> {
    /// The further aliases on the way.
    links: Vec<(DnsName, &'a RecordSet)>,
    end: End<'a>,
}

enum End<'a> {
    /// Others know, it depends on who asks, or it never ends.
    Elsewhere,
    /// A name of the zone.
    Name(DnsName, &'a [RecordSet]),
    /// There is no such name.
    Nothing,
}

/// Aliases of aliases that are followed.
const LINKS_MAX: usize = 8;
