//! Header fields that routes write: names that may be written, each once.

use std::collections::HashSet;

use crate::code::Code;
use crate::decode::{At, Named};
use crate::field::{Direction, FieldName, FieldValue, not_token, reserved};
use crate::node::quote;
use crate::raw::RawHeaderEdits;
use crate::report::Problems;
use crate::route::HeaderEdits;
use crate::source::Place;

/// Changes to fields of one direction.
pub(crate) fn header_edits(
    raw: Option<&RawHeaderEdits>,
    direction: Direction,
    problems: &mut Problems,
) -> HeaderEdits {
    let Some(raw) = raw else { return HeaderEdits::default() };
    let remove = raw.remove.as_ref().map(|names| names.0.as_slice()).unwrap_or_default();
    for At { value: FieldName(name), place } in remove {
        refuse_reserved(name, direction, *place, problems);
    }
    let mut values = |raw: &Option<Named<FieldValue>>| {
        raw.as_ref().map(|fields| field_values(fields, direction, problems)).unwrap_or_default()
    };
    HeaderEdits {
        set: values(&raw.set),
        add: values(&raw.add),
        remove: remove.iter().map(|name| name.value.0.clone()).collect(),
    }
}

/// Names and values that may be written; lower-case names, each once.
pub(crate) fn field_values(
    raw: &Named<FieldValue>,
    direction: Direction,
    problems: &mut Problems,
) -> Vec<(String, String)> {
    let mut fields = Vec::with_capacity(raw.0.len());
    let mut seen = HashSet::new();
    for entry in &raw.0 {
        let Some(name) = field_name(&entry.name, entry.place, problems) else { continue };
        refuse_reserved(&name, direction, entry.place, problems);
        refuse_repeated(&mut seen, &name, entry.place, problems);
        if let Some(value) = &entry.value {
            fields.push((name, value.0.clone()));
        }
    }
    fields
}

/// The lower-case name, or `None` after recording that it is none.
pub(crate) fn field_name(text: &str, place: Place, problems: &mut Problems) -> Option<String> {
    if let Some(why) = not_token(text) {
        problems.add(Code::Field, place, format!("{} is not the name of a header field: {why}", quote(text)));
        return None;
    }
    Some(text.to_ascii_lowercase())
}

fn refuse_reserved(name: &str, direction: Direction, place: Place, problems: &mut Problems) {
    if let Some(why) = reserved(name, direction) {
        problems
            .add(Code::ReservedField, place, format!("the field `{name}` cannot be changed: {why}"))
            .note("the balancer writes it by itself, so that both sides read the same message");
    }
}

/// Records a name that is among those seen.
pub(crate) fn refuse_repeated(seen: &mut HashSet<String>, name: &str, place: Place, problems: &mut Problems) {
    if !seen.insert(name.to_owned()) {
        problems.add(Code::DuplicateKey, place, format!("the field `{name}` is given twice"));
    }
}
