//! What changes the registry: registrations, departures, orders.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use hyper::header::{HeaderMap, IF_MATCH, IF_NONE_MATCH};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::body::Body;
use super::call::Call;
use super::order::{self, Order};
use super::problem::{Code, Problem};
use super::query::Query;
use super::register_body::{Defaults, RegisterBody};
use super::{Api, answer, json};
use crate::registry::Outcome;
use crate::state::{Command, Epoch, Expected, Instance, Key, Leave, Overlay, Register, Sequence};
use crate::timestamp::Timestamp;

#[derive(Debug, Serialize)]
struct Registered {
    sequence: u64,
    epoch: u64,
    ttl_ms: u64,
    next_ms: u64,
    state: &'static str,
}

#[derive(Debug, Serialize)]
struct Leaving {
    sequence: u64,
    epoch: u64,
    state: &'static str,
    drain_until: Option<Timestamp>,
}

impl Api {
    /// An instance says that it is there.
    pub(super) async fn register(
        &self,
        key: &Key,
        call: &Call<'_>,
        body: &[u8],
    ) -> Result<Response<Body>, Problem> {
        Query::parse(call.query())?.end()?;
        check_is_segment(key)?;
        let expected = expected(&call.head.headers)?;
        let body: RegisterBody = json::read(body)?;
        let defaults = Defaults { address: call.peer.remote.ip(), ttl: call.settings.ttl };
        let wanted = body.check(defaults)?;
        self.check_addresses(&wanted.registration, call)?;
        self.take_registration(call)?;
        let command = Command::Register(Register {
            key: key.clone(),
            registration: wanted.registration,
            incarnation: wanted.incarnation,
            principal: call.caller.name.clone(),
            epoch: wanted.epoch,
            expected,
        });
        let outcome = self.apply(command, "register", None, call).await?;
        let instance = &outcome.instance;
        let mut response = answer::json(&Registered {
            sequence: instance.sequence.0,
            epoch: instance.epoch.0,
            ttl_ms: super::millis(instance.ttl()),
            next_ms: self.next_ms(instance.ttl()),
            state: instance.stage().as_str(),
        });
        if outcome.is_new {
            *response.status_mut() = StatusCode::CREATED;
        }
        Ok(answer::tagged(response, &tag(instance)))
    }

    /// An instance leaves, at once or when it has finished what it has.
    pub(super) async fn leave(&self, key: &Key, call: &Call<'_>) -> Result<Response<Body>, Problem> {
        let mut query = Query::parse(call.query())?;
        let drain = query.duration("drain", LONGEST_DRAIN)?.filter(|drain| !drain.is_zero());
        let epoch = query.number("epoch")?.map(Epoch);
        let reason = query.one("reason")?;
        query.end()?;
        order::check_reason(reason.as_deref().unwrap_or_default())?;
        let (principal, may_touch) = (call.caller.name.clone(), call.caller.may_touch());
        let leave = Leave { key: key.clone(), epoch, drain, principal, may_touch };
        let outcome = self.apply(Command::Leave(leave), "leave", reason, call).await?;
        let instance = &outcome.instance;
        if drain.is_none() {
            return Ok(answer::empty(StatusCode::NO_CONTENT));
        }
        let mut response = answer::json(&Leaving {
            sequence: instance.sequence.0,
            epoch: instance.epoch.0,
            state: instance.stage().as_str(),
            drain_until: instance.drain_until.map(Timestamp),
        });
        *response.status_mut() = StatusCode::ACCEPTED;
        Ok(answer::tagged(response, &tag(instance)))
    }

    /// An operator says what an instance shall do.
    pub(super) async fn order(
        &self,
        key: &Key,
        call: &Call<'_>,
        body: &[u8],
    ) -> Result<Response<Body>, Problem> {
        Query::parse(call.query())?.end()?;
        let order: Order = json::read(body)?;
        call.caller.check(order.need())?;
        let overlay = order.check(call.caller.name.clone(), SystemTime::now())?;
        let reason = Some(overlay.reason.clone()).filter(|reason| !reason.is_empty());
        self.overlay(key, Some(overlay), ("override", reason), call).await
    }

    /// An operator leaves an instance to itself.
    pub(super) async fn clear_order(&self, key: &Key, call: &Call<'_>) -> Result<Response<Body>, Problem> {
        let mut query = Query::parse(call.query())?;
        let reason = query.one("reason")?;
        query.end()?;
        order::check_reason(reason.as_deref().unwrap_or_default())?;
        self.overlay(key, None, ("clear_override", reason), call).await
    }

    async fn overlay(
        &self,
        key: &Key,
        overlay: Option<Overlay>,
        (action, reason): (&'static str, Option<String>),
        call: &Call<'_>,
    ) -> Result<Response<Body>, Problem> {
        let command = Command::Order { key: key.clone(), overlay, may_order: call.caller.may_order() };
        let outcome = self.apply(command, action, reason, call).await?;
        let response = answer::json(&super::document::InstanceDocument::from(&*outcome.instance));
        Ok(answer::tagged(response, &tag(&outcome.instance)))
    }

    /// Has it done, and writes down that it was.
    async fn apply(
        &self,
        command: Command,
        action: &'static str,
        reason: Option<String>,
        call: &Call<'_>,
    ) -> Result<Outcome, Problem> {
        let goes = matches!(&command, Command::Leave(leave) if leave.drain.is_none());
        let outcome = self.registry.apply(command).await?;
        if outcome.has_changed {
            self.audit.changed(super::audit::Act {
                action: action.to_owned(),
                reason,
                outcome: "done",
                // What has gone is known as it was before: it does not tell the event of its end.
                sequence: (!goes).then_some(outcome.instance.sequence.0),
                ..call.act()
            });
        }
        Ok(outcome)
    }

    fn check_addresses(
        &self,
        registration: &fulcrum_model::Registration,
        call: &Call<'_>,
    ) -> Result<(), Problem> {
        let settings = &call.settings;
        let networks = call.caller.token.as_ref().map_or(&[][..], |token| &token.networks);
        let ports = std::iter::once(&registration.port).chain(registration.ports.values());
        for port in ports {
            let target = SocketAddr::new(registration.address, port.get());
            let checked = settings.allow_addresses.check(target, call.peer, &settings.own, networks);
            checked.map_err(|refused| {
                Problem::new(Code::Address, refused.to_string()).with("pointer", "/address")
            })?;
        }
        Ok(())
    }

    /// So that a storm of registrations leaves room for everything else.
    fn take_registration(&self, call: &Call<'_>) -> Result<(), Problem> {
        let rate = call.settings.register_rate;
        let taken = super::lock(&self.registrations).take(&call.caller.name, rate, Instant::now());
        taken.map_err(|wait| {
            let jitter = Duration::from_millis(self.below(2000));
            Problem::new(Code::Rate, "too many registrations at once").after(wait + jitter)
        })
    }
}

/// Names that clients take out of paths (RFC 3986 §5.2.4): what has one could be reached by few of them.
fn check_is_segment(key: &Key) -> Result<(), Problem> {
    if [key.service.as_str(), key.id.as_str()].iter().any(|name| [".", ".."].contains(name)) {
        return Err(Problem::new(Code::Name, "`.` and `..` are no names"));
    }
    Ok(())
}

/// What the client wants to be true (RFC 9110 §13.1).
fn expected(headers: &HeaderMap) -> Result<Expected, Problem> {
    let wrong = |text: &str| Problem::new(Code::Header, text);
    let one = |name| match headers.get_all(name).iter().collect::<Vec<_>>()[..] {
        [] => Ok(None),
        [value] => Ok(Some(value.as_bytes().trim_ascii())),
        _ => Err(wrong("a condition is there more than once")),
    };
    match (one(IF_MATCH)?, one(IF_NONE_MATCH)?) {
        (None, None) => Ok(Expected::Anything),
        (None, Some(b"*")) => Ok(Expected::Absent),
        (Some(b"*"), None) => Ok(Expected::Present),
        (Some(tag), None) => {
            let text = std::str::from_utf8(tag).unwrap_or_default();
            let number = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')?.parse().ok());
            let number = number.ok_or_else(|| wrong("expected `If-Match: \"SEQUENCE\"`"))?;
            Ok(Expected::At(Sequence(number)))
        }
        _ => Err(wrong("expected `If-Match: \"SEQUENCE\"` or `If-None-Match: *`")),
    }
}

fn tag(instance: &Instance) -> String {
    format!("\"{}\"", instance.sequence.0)
}

/// Whatever takes longer is no drain.
const LONGEST_DRAIN: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn conditions_are_of_the_sequence() {
        let check = |fields: &[(&'static str, &str)], wanted: Option<Expected>| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_str(value).expect("a value"));
            }
            assert_eq!(expected(&headers).ok(), wanted, "{fields:?}");
        };
        check(&[], Some(Expected::Anything));
        check(&[("if-match", "\"7\"")], Some(Expected::At(Sequence(7))));
        check(&[("if-match", "*")], Some(Expected::Present));
        check(&[("if-none-match", "*")], Some(Expected::Absent));
        check(&[("if-none-match", "\"7\"")], None);
        check(&[("if-match", "W/\"7\"")], None);
        check(&[("if-match", "7")], None);
        check(&[("if-match", "\"")], None);
        check(&[("if-match", "\"7\", \"8\"")], None);
        check(&[("if-match", "\"7\""), ("if-match", "\"8\"")], None);
        check(&[("if-match", "\"7\""), ("if-none-match", "*")], None);
    }
}
