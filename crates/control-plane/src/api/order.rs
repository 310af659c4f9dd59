//! What an operator orders of an instance: the body, and what may be in it.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::auth::Need;
use super::problem::Problem;
use super::register_body::weight;
use crate::state::{Overlay, OverlayState, Principal};
use crate::timestamp::Timestamp;

/// An order as it is sent, and as it is shown. What is sent has to be known: a slip would order something else.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<OrderedState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
}

/// An order in force.
#[derive(Debug, Serialize)]
pub(super) struct OrderShown<'a> {
    #[serde(flatten)]
    order: Order,
    by: &'a str,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OrderedState {
    Drain,
    Maintenance,
}

impl Order {
    /// What a caller has to be allowed: a weight leaves an instance some of the load. That it gives none back to one
    /// that is to have nothing more is seen where the order is done.
    pub(super) fn need(&self) -> Need<'static> {
        let is_weight = self.state.is_none() && self.weight.is_some_and(|weight| weight > 0);
        if is_weight { Need::Scale } else { Need::Drain }
    }

    /// Checks every value.
    pub(super) fn check(self, by: Principal, now: SystemTime) -> Result<Overlay, Problem> {
        let weight = weight(self.weight, "/weight")?;
        if self.state.is_none() && weight.is_none() {
            return Err(Problem::invalid("", "it orders nothing: give `state`, `weight` or both"));
        }
        let reason = self.reason.unwrap_or_default();
        check_reason(&reason)?;
        if self.until.is_some_and(|until| until.0 <= now) {
            return Err(Problem::invalid("/until", "it has passed already"));
        }
        let state = self.state.map(|state| match state {
            OrderedState::Drain => OverlayState::Drain,
            OrderedState::Maintenance => OverlayState::Maintenance,
        });
        Ok(Overlay { state, weight, reason, until: self.until.map(|until| until.0), by })
    }
}

/// A line of a log or a table.
pub(super) fn check_reason(reason: &str) -> Result<(), Problem> {
    if reason.chars().count() > LONGEST_REASON || reason.chars().any(char::is_control) {
        return Err(Problem::invalid("/reason", "a reason has at most 256 characters, all of which print"));
    }
    Ok(())
}

impl<'a> From<&'a Overlay> for OrderShown<'a> {
    fn from(overlay: &'a Overlay) -> Self {
        let order = Order {
            state: overlay.state.map(|state| match state {
                OverlayState::Drain => OrderedState::Drain,
                OverlayState::Maintenance => OrderedState::Maintenance,
            }),
            weight: overlay.weight.map(|weight| weight.get().into()),
            reason: Some(overlay.reason.clone()).filter(|reason| !reason.is_empty()),
            until: overlay.until.map(Timestamp),
        };
        OrderShown { order, by: &overlay.by }
    }
}

/// In characters.
const LONGEST_REASON: usize = 256;

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    #[test]
    fn orders_are_read_strictly() {
        let check = |body: &str, expected: Result<&str, Option<&str>>| {
            let order = json::read::<Order>(body.as_bytes());
            let order = order.and_then(|order| order.check("op".into(), SystemTime::UNIX_EPOCH));
            let shown = order
                .map(|order| serde_json::to_string(&OrderShown::from(&order)).expect("JSON"))
                .map_err(|problem| problem.pointer().map(str::to_owned));
            assert_eq!(shown, expected.map(str::to_owned).map_err(|at| at.map(str::to_owned)), "{body}");
        };
        check(r#"{"state":"drain"}"#, Ok(r#"{"state":"drain","by":"op"}"#));
        check(
            r#"{"weight":3,"reason":"disk","until":1800000000}"#,
            Ok(r#"{"weight":3,"reason":"disk","until":"2027-01-15T08:00:00Z","by":"op"}"#),
        );
        check(r#"{"state":"maintenance","weight":null}"#, Ok(r#"{"state":"maintenance","by":"op"}"#));
        check(r#"{"state":"up"}"#, Err(None));
        check(r#"{"state":"drain","stat":1}"#, Err(None));
        check(r#"{"state":"drain","by":"me"}"#, Err(None));
        check(r#"["drain"]"#, Err(None));
        check("{}", Err(Some("")));
        check(r#"{"reason":"only"}"#, Err(Some("")));
        check(r#"{"weight":0}"#, Err(Some("/weight")));
        check(r#"{"state":"drain","reason":"a\nb"}"#, Err(Some("/reason")));
        check(r#"{"state":"drain","until":"1970-01-01T00:00:00Z"}"#, Err(Some("/until")));
    }

    #[test]
    fn only_a_weight_is_for_those_who_scale() {
        let check = |body: &str, expected: Need<'_>| {
            let order = json::read::<Order>(body.as_bytes()).expect("an order");
            assert_eq!(order.need(), expected, "{body}");
        };
        check(r#"{"weight":1}"#, Need::Scale);
        check(r#"{"weight":70000,"reason":"later refused"}"#, Need::Scale);
        check(r#"{"weight":0}"#, Need::Drain);
        check(r#"{"weight":1,"state":"drain"}"#, Need::Drain);
        check(r#"{"state":"maintenance"}"#, Need::Drain);
        check("{}", Need::Drain);
    }
}
