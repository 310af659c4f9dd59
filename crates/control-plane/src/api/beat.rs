//! Heartbeats, one at a time or by the thousand.

use std::borrow::Cow;
use std::time::Duration;

use fulcrum_model::{InstanceId, ServiceName, Weight};
use hyper::Response;
use serde::{Deserialize, Serialize};

use super::auth::{Caller, Need};
use super::body::Body;
use super::problem::{Code, Problem};
use super::{Api, Settings, answer, json, register_body};
use crate::lease::Load;
use crate::registry::{Beat, Heartbeat};
use crate::state::{Epoch, Key, Stage};

/// A single heartbeat; it may be empty.
#[derive(Debug, Default, Deserialize)]
struct BeatBody {
    epoch: Option<u64>,
    weight: Option<u64>,
    #[serde(default, deserialize_with = "json::object")]
    load: Option<LoadBody>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct LoadBody {
    in_flight: Option<u64>,
    cpu: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct BatchBody<'a> {
    #[serde(borrow, deserialize_with = "json::objects")]
    beats: Vec<BatchBeat<'a>>,
}

#[derive(Debug, Deserialize)]
struct BatchBeat<'a> {
    #[serde(borrow)]
    s: Cow<'a, str>,
    #[serde(borrow)]
    i: Cow<'a, str>,
    e: Option<u64>,
    w: Option<u64>,
    #[serde(default, deserialize_with = "json::object")]
    load: Option<LoadBody>,
}

#[derive(Debug, Serialize)]
struct Renewed {
    ttl_ms: u64,
    next_ms: u64,
    epoch: u64,
    state: &'static str,
}

#[derive(Debug, Serialize)]
struct BatchAnswer<'a> {
    next_ms: u64,
    results: Vec<BatchResult<'a>>,
}

/// What is to be said of one of many.
#[derive(Debug, Serialize)]
struct BatchResult<'a> {
    s: &'a str,
    i: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    re_register_after_ms: Option<u64>,
}

impl Api {
    /// Renews one lease.
    pub(super) fn beat(
        &self,
        key: &Key,
        caller: &Caller,
        settings: &Settings,
        body: &[u8],
    ) -> Result<Response<Body>, Problem> {
        let body: BeatBody =
            if body.trim_ascii().is_empty() { BeatBody::default() } else { json::read(body)? };
        let heartbeat = Heartbeat {
            service: &key.service,
            id: &key.id,
            epoch: body.epoch.map(Epoch),
            owner: caller.owner(),
            weight: register_body::weight(body.weight, "/weight")?,
            load: load(body.load, "/load")?,
        };
        match self.registry.beat(&heartbeat) {
            Beat::Renewed { epoch, stage, ttl } => {
                let (ttl_ms, next_ms) = (super::millis(ttl), self.next_ms(ttl));
                Ok(answer::json(&Renewed { ttl_ms, next_ms, epoch: epoch.0, state: stage.as_str() }))
            }
            Beat::Unknown => Err(Problem::new(Code::Unknown, "no such instance is registered")
                .with("re_register_after_ms", self.re_register_after(settings.ttl))),
            Beat::StaleEpoch { current } => {
                Err(Problem::new(Code::StaleEpoch, "the instance was registered anew")
                    .with("epoch", current.0))
            }
            Beat::NotYours => {
                Err(Problem::new(Code::NotYours, "the instance was registered by someone else"))
            }
        }
    }

    /// Renews many leases: nothing is renewed when one of the heartbeats cannot be.
    pub(super) fn beats(
        &self,
        caller: &Caller,
        settings: &Settings,
        body: &[u8],
    ) -> Result<Response<Body>, Problem> {
        let BatchBody { beats } = json::read(body)?;
        if beats.len() > MOST_BEATS {
            return Err(
                Problem::new(Code::TooLarge, "at most 10000 heartbeats at once").with("pointer", "/beats")
            );
        }
        let checked = beats.iter().enumerate().map(|(place, beat)| Checked::new(place, beat));
        let checked: Vec<Checked> = checked.collect::<Result<_, Problem>>()?;
        let owner = caller.owner();
        let mut shortest = None;
        let results = beats.iter().zip(&checked).filter_map(|(beat, checked)| {
            let (code, epoch) = if caller.has(Need::Register(&checked.service)) {
                let outcome = self.registry.beat(&checked.heartbeat(beat, owner));
                if let Beat::Renewed { ttl, .. } = outcome {
                    shortest = Some(shortest.map_or(ttl, |shortest: Duration| shortest.min(ttl)));
                }
                code_of(outcome)?
            } else {
                ("forbidden", None)
            };
            let after = (code == "unknown").then(|| self.re_register_after(settings.ttl));
            Some(BatchResult { s: &beat.s, i: &beat.i, code, epoch, re_register_after_ms: after })
        });
        let results = results.collect();
        // The next batch is in time for every one of these.
        let next_ms = self.next_ms(shortest.unwrap_or(settings.ttl));
        Ok(answer::json(&BatchAnswer { next_ms, results }))
    }

    /// When the next heartbeat is to come: so that those of many instances do not come together.
    pub(super) fn next_ms(&self, ttl: Duration) -> u64 {
        let third = super::millis(ttl) / 3;
        let tenth = third / 10;
        third - tenth + self.below(2 * tenth + 1)
    }

    /// When who is not known may register: not all at once.
    fn re_register_after(&self, ttl: Duration) -> u64 {
        self.below(super::millis(ttl) / 2 + 1)
    }
}

/// What can be said of an instance.
struct Checked {
    service: ServiceName,
    id: InstanceId,
    weight: Option<Weight>,
    load: Load,
}

impl Checked {
    fn new(place: usize, beat: &BatchBeat<'_>) -> Result<Self, Problem> {
        let wrong = |field: &str, error: &dyn std::fmt::Display| {
            Problem::invalid(format!("/beats/{place}/{field}"), error.to_string())
        };
        Ok(Checked {
            service: beat.s.parse().map_err(|error| wrong("s", &error))?,
            id: beat.i.parse().map_err(|error| wrong("i", &error))?,
            weight: register_body::weight(beat.w, &format!("/beats/{place}/w"))?,
            load: load(beat.load, &format!("/beats/{place}/load"))?,
        })
    }

    fn heartbeat<'a>(&'a self, beat: &BatchBeat<'_>, owner: Option<&'a str>) -> Heartbeat<'a> {
        let Checked { service, id, weight, load } = self;
        Heartbeat { service, id, epoch: beat.e.map(Epoch), owner, weight: *weight, load: *load }
    }
}

/// The word for what is worth saying.
fn code_of(beat: Beat) -> Option<(&'static str, Option<u64>)> {
    match beat {
        Beat::Renewed { stage: Stage::Draining, epoch, .. } => Some(("draining", Some(epoch.0))),
        Beat::Renewed { .. } => None,
        Beat::Unknown => Some(("unknown", None)),
        Beat::StaleEpoch { current } => Some(("stale_epoch", Some(current.0))),
        Beat::NotYours => Some(("not_yours", None)),
    }
}

fn load(given: Option<LoadBody>, pointer: &str) -> Result<Load, Problem> {
    let LoadBody { in_flight, cpu } = given.unwrap_or_default();
    if cpu.is_some_and(|cpu| !(0.0..=MOST_CPU).contains(&cpu)) {
        return Err(Problem::invalid(format!("{pointer}/cpu"), "expected a share from 0 to 1024"));
    }
    let in_flight = in_flight.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    Ok(Load { in_flight, cpu: cpu.map(|cpu| cpu as f32) })
}

/// Whether it is a batch of heartbeats, or a single one.
#[cfg(test)]
pub(super) fn parses(body: &[u8]) -> Result<(), Problem> {
    if body.starts_with(b"{\"beats\"") {
        let BatchBody { beats } = json::read(body)?;
        return beats.iter().enumerate().try_for_each(|(place, beat)| Checked::new(place, beat).map(|_| ()));
    }
    let BeatBody { load: given, weight, .. } = json::read(body)?;
    register_body::weight(weight, "/weight")?;
    load(given, "/load").map(|_| ())
}

/// At once.
const MOST_BEATS: usize = 10_000;

/// Where the share is that of one processor there may be many.
const MOST_CPU: f64 = 1024.0;
