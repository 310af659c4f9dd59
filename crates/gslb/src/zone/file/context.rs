//! What an entry of a zone file takes from those before it.

use std::path::Path;
use std::sync::Arc;

use fulcrum_model::{DnsName, Field, RecordData, RecordType, parse_seconds};

use super::entries::Entry;
use super::{Place, Record, ZoneProblem};

/// Where in which file.
pub(super) struct Context {
    pub(super) file: Place,
    /// What names are relative to.
    pub(super) origin: DnsName,
    owner: Owner,
}

/// The owner of the entries that name none.
#[derive(Clone)]
enum Owner {
    /// There was no entry yet.
    None,
    /// The last entry names one that cannot be read: whose the next ones are is not known, and was told.
    Wrong,
    Is(DnsName),
}

/// The times that a record takes that has none.
#[derive(Default)]
pub(super) struct Lifetimes {
    /// Of `$TTL` (RFC 2308 §4).
    pub(super) default: Option<u32>,
    /// Of the last record that has one (RFC 1035 §5.1).
    explicit: Option<u32>,
    /// Of the start of the zone: its minimum was the default before there was `$TTL`.
    minimum: Option<u32>,
}

impl Context {
    pub(super) fn new(file: Place, origin: &DnsName) -> Self {
        Context { file, origin: origin.clone(), owner: Owner::None }
    }

    /// The context of a file that is included here.
    pub(super) fn included(&self, file: Arc<Path>, origin: DnsName) -> Self {
        Context { file: Some(file), origin, owner: self.owner.clone() }
    }

    /// The entry cannot be read, and may name an owner.
    pub(super) fn forget_owner(&mut self, entry: &Entry) {
        if !entry.is_indented {
            self.owner = Owner::Wrong;
        }
    }

    pub(super) fn name(&self, field: &Field) -> Result<DnsName, ZoneProblem> {
        DnsName::relative(&field.text, &self.origin)
            .map_err(|error| ZoneProblem::Name { found: field.text.chars().take(100).collect(), error })
    }

    /// The record of an entry; none where its owner cannot be known, which was told before.
    pub(super) fn record(
        &mut self,
        entry: &Entry,
        lifetimes: &mut Lifetimes,
    ) -> Result<Option<Record>, ZoneProblem> {
        let mut fields = &entry.fields[..];
        if let ([first, rest @ ..], false) = (fields, entry.is_indented) {
            fields = rest;
            self.owner = Owner::Wrong;
            self.owner = Owner::Is(self.name(first)?);
        }
        let Head { ttl, record_type, data } = head(fields)?;
        if let Owner::None = self.owner {
            return Err(ZoneProblem::Syntax("there is no name before this record that it could belong to"));
        }
        let data = RecordData::parse(record_type, data, &self.origin);
        let ttl = lifetimes.of(ttl, record_type, data.as_ref().ok());
        let (data, ttl) = (data.map_err(ZoneProblem::Record)?, ttl?);
        match &self.owner {
            Owner::Is(owner) => Ok(Some(Record {
                owner: owner.clone(),
                ttl,
                data,
                file: self.file.clone(),
                line: entry.line,
            })),
            _ => Ok(None),
        }
    }
}

impl Lifetimes {
    /// The time of a record with this one, and what the next ones take of it.
    fn of(
        &mut self,
        ttl: Option<u32>,
        record_type: RecordType,
        data: Option<&RecordData>,
    ) -> Result<u32, ZoneProblem> {
        if record_type == RecordType::SOA {
            // A start that cannot be read is one mistake, not one of every record.
            self.minimum = Some(data.map_or(0, |data| match data {
                RecordData::Soa(start) => start.minimum,
                _ => 0,
            }));
        }
        self.explicit = ttl.or(self.explicit);
        let found = ttl.or(self.default).or(self.explicit).or(self.minimum);
        found.ok_or_else(|| {
            self.explicit = Some(0);
            ZoneProblem::Syntax(LIFETIME)
        })
    }
}

/// What stands between the owner and the data.
struct Head<'a> {
    ttl: Option<u32>,
    record_type: RecordType,
    data: &'a [Field],
}

/// `[TTL] [class] type` or `[class] [TTL] type` (RFC 1035 §5.1).
fn head(fields: &[Field]) -> Result<Head<'_>, ZoneProblem> {
    let (mut ttl, mut has_class) = (None, false);
    let mut rest = fields;
    loop {
        let [field, behind @ ..] = rest else {
            return Err(ZoneProblem::Syntax("a type of records is missing"));
        };
        let text = &field.text[..];
        let shown = || text.chars().take(100).collect();
        if !has_class && let Some(class) = class(text) {
            has_class = true;
            if class != INTERNET {
                return Err(ZoneProblem::Class(shown()));
            }
        } else if ttl.is_none() && text.starts_with(|first: char| first.is_ascii_digit()) {
            ttl = Some(parse_seconds(text).ok_or_else(|| ZoneProblem::Lifetime(shown()))?);
        } else {
            let record_type = text.parse().map_err(|_| ZoneProblem::Type(shown()))?;
            return Ok(Head { ttl, record_type, data: behind });
        }
        rest = behind;
    }
}

/// The number of a class (RFC 6895 §3.2, RFC 3597 §5).
fn class(text: &str) -> Option<u16> {
    let known = [("IN", INTERNET), ("CS", 2), ("CH", 3), ("HS", 4), ("NONE", 254)];
    let named = known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    let numbered = || match text.split_at_checked(5) {
        Some((word, number)) if word.eq_ignore_ascii_case("CLASS") => number.parse().ok(),
        _ => None,
    };
    named.map(|(_, number)| number).or_else(numbered)
}

const INTERNET: u16 = 1;
const LIFETIME: &str = "how long it may be remembered is not said: begin the file with $TTL, like `$TTL 1h`";
