//! Conditions of routes beyond host and path.

use std::collections::HashSet;

use crate::code::Code;
use crate::decode::Named;
use crate::field::not_token;
use crate::node::quote;
use crate::raw::{RawMatch, RawValueMatch};
use crate::report::Problems;
use crate::route::{Matchers, ValueMatch};
use crate::source::Place;

use super::header::{field_name, refuse_repeated};

/// All conditions that could be read.
pub(crate) fn matchers(raw: RawMatch, problems: &mut Problems) -> Matchers {
    refuse_many(&raw, problems);
    let mut headers = Vec::new();
    let mut seen = HashSet::new();
    for (name, place, value) in conditions(raw.headers) {
        let Some(name) = field_name(&name, place, problems) else { continue };
        refuse_repeated(&mut seen, &name, place, problems);
        headers.push((name, value));
    }
    let mut cookies = Vec::new();
    for (name, place, value) in conditions(raw.cookies) {
        if let Some(why) = not_token(&name) {
            problems.add(Code::Field, place, format!("{} is not the name of a cookie: {why}", quote(&name)));
        }
        cookies.push((name, value));
    }
    let mut query = Vec::new();
    for (name, place, value) in conditions(raw.query) {
        if name.is_empty() {
            problems.add(Code::Nothing, place, "the name of a query parameter is empty");
        }
        query.push((name, value));
    }
    Matchers {
        methods: raw
            .method
            .map(|methods| methods.0.into_iter().map(|at| at.value.0).collect())
            .unwrap_or_default(),
        headers,
        query,
        cookies,
        source: raw.source.map(|nets| nets.0.into_iter().map(|at| at.value.0).collect()).unwrap_or_default(),
    }
}

/// Routes of one host and path are compared with each other, condition by condition.
fn refuse_many(raw: &RawMatch, problems: &mut Problems) {
    let named = |named: &Option<Named<RawValueMatch>>| named.as_ref().map_or(0, |named| named.0.len());
    let counts = [
        ("method", raw.method.as_ref().map_or(0, |methods| methods.0.len()), MOST_CONDITIONS),
        ("headers", named(&raw.headers), MOST_CONDITIONS),
        ("query", named(&raw.query), MOST_CONDITIONS),
        ("cookies", named(&raw.cookies), MOST_CONDITIONS),
        ("source", raw.source.as_ref().map_or(0, |networks| networks.0.len()), MOST_NETWORKS),
    ];
    for (key, count, most) in counts {
        if count > most {
            let place = raw.given.place_or_whole(key);
            problems.add(Code::Range, place, format!("`{key}` has {count} entries, more than {most}"));
        }
    }
}

/// The conditions that could be read.
fn conditions(raw: Option<Named<RawValueMatch>>) -> impl Iterator<Item = (String, Place, ValueMatch)> {
    raw.into_iter().flat_map(|named| named.0).filter_map(|entry| {
        let value = match entry.value? {
            RawValueMatch::Exact(text) => ValueMatch::Exact(text),
            RawValueMatch::Long(value) => value,
        };
        Some((entry.name.to_string(), entry.place, value))
    })
}

/// Methods, and conditions of each kind, of a route.
const MOST_CONDITIONS: usize = 64;

/// Source networks of a route.
const MOST_NETWORKS: usize = 10_000;
