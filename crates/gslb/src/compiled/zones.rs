//! The zones of a configuration: read and built, or kept of the one before where nothing of them has changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use fulcrum_config::gslb::{Answer, Gslb, InlineZone, Name, Zone as ConfiguredZone, ZoneSource};
use fulcrum_model::{DnsName, RecordData};

use super::{CompileError, Compiled, ReadZone};
use crate::names::{ZoneNames, lower};
use crate::zone::file::Texts;
use crate::zone::overlap::hidden;
use crate::zone::{Record, Zone, ZoneError};

/// The names of a zone, and what they were made of beside its configuration.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) names: Arc<ZoneNames>,
    /// The text of its file; nothing where it is in the configuration.
    texts: Texts,
    /// The apexes of the zones right below.
    lower: Vec<DnsName>,
}

/// Makes zones.
pub(super) struct Maker<'a> {
    read: ReadZone<'a>,
    apexes: BTreeSet<&'a DnsName>,
    lower: HashMap<DnsName, Vec<&'a DnsName>>,
    before: HashMap<&'a DnsName, (&'a ConfiguredZone, &'a Arc<Made>)>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(gslb: &'a Gslb, read: ReadZone<'a>, before: Option<(&'a Gslb, &'a Compiled)>) -> Self {
        let known = before.into_iter().flat_map(|(gslb, compiled)| gslb.zones.iter().zip(&compiled.zones));
        Maker {
            read,
            apexes: gslb.zones.iter().map(|zone| &zone.name).collect(),
            lower: lower(gslb.zones.iter().map(|zone| &zone.name)),
            before: known.map(|(zone, made)| (&zone.name, (zone, made))).collect(),
        }
    }

    /// A zone; the names that policies answer for are added to those there are.
    pub(super) fn zone(
        &self,
        configured: &ConfiguredZone,
        chosen: &mut Vec<(DnsName, Answer)>,
    ) -> Result<Arc<Made>, Vec<CompileError>> {
        let mut choices = BTreeMap::new();
        if let ZoneSource::Inline(zone) = &configured.source {
            let answers =
                zone.names.iter().filter_map(|Name { owner, answer, .. }| Some((owner, answer.as_ref()?)));
            for (number, (owner, answer)) in (0..).zip(answers) {
                choices.insert(owner.clone(), number);
                chosen.push((owner.clone(), answer.clone()));
            }
        }
        self.kept(configured).map_or_else(|| self.make(configured, choices), Ok)
    }

    fn lower(&self, name: &DnsName) -> &[&'a DnsName] {
        self.lower.get(name).map_or(&[], Vec::as_slice)
    }

    /// The zone of before, where it would be made of the same again.
    fn kept(&self, configured: &ConfiguredZone) -> Option<Arc<Made>> {
        let (was, made) = self.before.get(&configured.name)?;
        let is_same = match (&was.source, &configured.source) {
            (ZoneSource::File(was), ZoneSource::File(path)) => was == path && made.texts.are_at(path),
            (ZoneSource::Inline(was), ZoneSource::Inline(zone)) => has_same_names(was, zone),
            _ => false,
        };
        let has_same_lower = made.lower.iter().eq(self.lower(&configured.name).iter().copied());
        (is_same && has_same_lower).then(|| Arc::clone(made))
    }

    fn make(
        &self,
        configured: &ConfiguredZone,
        choices: BTreeMap<DnsName, u32>,
    ) -> Result<Arc<Made>, Vec<CompileError>> {
        let name = &configured.name;
        let (records, texts, file) = match &configured.source {
            ZoneSource::File(path) => {
                let (records, texts) =
                    (self.read)(path, name).map_err(|found| errors(name, Some(path), found))?;
                let hidden = hidden(name, &records, &self.apexes);
                if !hidden.is_empty() {
                    return Err(errors(name, Some(path), hidden));
                }
                (records, texts, Some(path))
            }
            ZoneSource::Inline(zone) => (records(name, zone), Texts::default(), None),
        };
        let zone = Zone::new(name.clone(), records, choices).map_err(|found| errors(name, file, found))?;
        let lower = self.lower(name);
        let names = Arc::new(ZoneNames::new(&zone, lower));
        Ok(Arc::new(Made { names, texts, lower: lower.iter().copied().cloned().collect() }))
    }
}

/// Whether all that two zones have but what policies answer is the same.
fn has_same_names(one: &InlineZone, other: &InlineZone) -> bool {
    let is_same = |(one, other): (&Name, &Name)| {
        (&one.owner, one.ttl, &one.records, one.answer.is_some())
            == (&other.owner, other.ttl, &other.records, other.answer.is_some())
    };
    (&one.soa, one.ttl, &one.ns, one.names.len()) == (&other.soa, other.ttl, &other.ns, other.names.len())
        && one.names.iter().zip(&other.names).all(is_same)
}

fn errors(zone: &DnsName, file: Option<&PathBuf>, errors: Vec<ZoneError>) -> Vec<CompileError> {
    let of = |error: ZoneError| {
        let file = file.filter(|_| error.file.is_none()).cloned();
        CompileError::Zone { zone: zone.clone(), file, error }
    };
    errors.into_iter().map(of).collect()
}

fn records(name: &DnsName, zone: &InlineZone) -> Vec<Record> {
    let record = |owner: &DnsName, ttl, data| Record { owner: owner.clone(), ttl, data, file: None, line: 0 };
    let start = record(name, zone.ttl, RecordData::Soa(Box::new(zone.soa.clone())));
    let servers = zone.ns.iter().map(|server| record(name, zone.ttl, RecordData::Ns(server.clone())));
    let names = zone
        .names
        .iter()
        .flat_map(|of| of.records.iter().map(|data| record(&of.owner, of.ttl, data.clone())));
    [start].into_iter().chain(servers).chain(names).collect()
}
