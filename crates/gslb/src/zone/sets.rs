//! The names of a zone and what each of them has, in the order in which they came.

use fulcrum_model::DnsName;

use super::RecordSets;
use crate::table::{Named, Table};

/// Record sets by name.
#[derive(Clone, Debug, Default)]
pub struct Sets(Table<Owned>);

#[derive(Clone, Debug)]
struct Owned {
    name: DnsName,
    sets: RecordSets,
}

impl Named for Owned {
    fn name(&self) -> &[u8] {
        self.name.as_wire()
    }
}

impl Sets {
    /// With room for so many names.
    pub(crate) fn with_capacity(names: usize) -> Self {
        Sets(Table::with_capacity(names))
    }

    /// What a name has.
    pub fn get(&self, name: &DnsName) -> Option<&RecordSets> {
        self.0.find(name.as_wire()).map(|owned| &owned.sets)
    }

    /// What a name has, which may be nothing yet.
    pub(crate) fn of(&mut self, name: &DnsName) -> &mut RecordSets {
        let made = || Owned { name: name.clone(), sets: RecordSets::new() };
        let place = self.0.place_or_insert_with(name.as_wire(), made);
        &mut self.0.things_mut()[place as usize].sets
    }

    /// Whether a name has something.
    pub fn contains(&self, name: &DnsName) -> bool {
        self.0.place(name.as_wire()).is_some()
    }

    /// The names.
    pub fn keys(&self) -> impl Iterator<Item = &DnsName> {
        self.0.things().iter().map(|owned| &owned.name)
    }

    /// The names and what they have.
    pub fn iter(&self) -> impl Iterator<Item = (&DnsName, &RecordSets)> {
        self.0.things().iter().map(|owned| (&owned.name, &owned.sets))
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.0.things().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
