//! `fulcrum drain`, `undrain`, `maintenance`, `weight`: orders to a running daemon, and what it does with them.
//!
//! An order replaces the endpoint's order as a whole, so that a command first looks which one there is, and keeps what
//! it does not mean.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use fulcrum_data_plane::{DataPlane, Override};
use hyper::{Method, StatusCode};

use crate::admin::{
    EndpointPath, EndpointStatus, NoEndpoint, OrderAction, OrderDocument, OrderedState, StatusDocument,
};
use crate::ask::{self, AskError};
use crate::cli::{
    DrainOptions, Format, MaintenanceOptions, OrderOptions, OrderTarget, RegionTarget, UndrainOptions,
    WeightOptions,
};
use crate::client::{ANSWER_WITHIN, Reply};
use crate::exit::Exit;
use crate::status::line_of;
use crate::{output, region_order};

/// What the admin does with an order: says so once, and has the data plane follow it.
pub(crate) fn action(data_plane: Arc<DataPlane>) -> OrderAction {
    Box::new(move |path, order| {
        let EndpointPath { service, endpoint } = path;
        let told = order.clone();
        if !data_plane.order(service, endpoint, order) {
            return Err(no_endpoint(&data_plane, path));
        }
        log(path, told);
        // It is not there when only its order was, or when a reload has just taken it away: the order holds if it comes back.
        Ok(data_plane.endpoint_status(service, endpoint).map(Into::into))
    })
}

fn log(EndpointPath { service, endpoint }: &EndpointPath, order: Option<Override>) {
    match order.map(OrderDocument::from) {
        Some(order) => {
            let document = serde_json::to_string(&order).unwrap_or_default();
            tracing::info!(%service, %endpoint, order = %document, "ordered");
        }
        None => tracing::info!(%service, %endpoint, "orders cleared"),
    }
}

fn no_endpoint(data_plane: &DataPlane, EndpointPath { service, endpoint }: &EndpointPath) -> NoEndpoint {
    let services = data_plane.status().services;
    let found = services.iter().find(|found| found.name == service.as_str());
    match found {
        Some(found) => NoEndpoint::Endpoint {
            service: service.to_string(),
            endpoint: endpoint.to_string(),
            known: found.endpoints.iter().map(|endpoint| endpoint.id.clone()).collect(),
        },
        None => NoEndpoint::Service {
            service: service.to_string(),
            known: services.into_iter().map(|service| service.name).collect(),
        },
    }
}

/// `fulcrum drain`
pub(crate) fn drain(options: &DrainOptions) -> Exit {
    let order = match of_endpoint(&options.order) {
        Ok(order) => order,
        Err(region) => return region_order::drain(region, options),
    };
    let until = options.term.end(SystemTime::now());
    let change = |before| {
        let order = state(before, OrderedState::Drain, options.reason.as_deref());
        OrderDocument { until, ..order }
    };
    let ordered = change_order(&order, change);
    let watched = ordered.and_then(|exit| match options.watch {
        true => watch(&order, options.deadline.unwrap_or(DEADLINE)),
        false => Ok(exit),
    });
    watched.unwrap_or_else(|error| error.tell())
}

/// The options for an endpoint, or the region that is meant.
fn of_endpoint(options: &UndrainOptions) -> Result<OrderOptions, &RegionTarget> {
    match &options.target {
        OrderTarget::Region(region) => Err(region),
        OrderTarget::Endpoint(endpoint) => Ok(OrderOptions {
            endpoint: endpoint.clone(),
            daemon: options.daemon.clone(),
            format: options.format,
        }),
    }
}

/// `fulcrum maintenance`
pub(crate) fn maintenance(options: &MaintenanceOptions) -> Exit {
    let change = |order| state(order, OrderedState::Maintenance, options.reason.as_deref());
    change_order(&options.order, change).unwrap_or_else(|error| error.tell())
}

/// `fulcrum weight`
pub(crate) fn weight(options: &WeightOptions) -> Exit {
    let change = |order| share(order, options.weight);
    change_order(&options.order, change).unwrap_or_else(|error| error.tell())
}

/// `fulcrum undrain`
pub(crate) fn undrain(options: &UndrainOptions) -> Exit {
    let order = match of_endpoint(options) {
        Ok(order) => order,
        Err(region) => return region_order::undrain(region, options),
    };
    let target = order.endpoint.target();
    let reply = ask::ask(&order.daemon.admin, Method::DELETE, &target, ANSWER_WITHIN);
    reply.and_then(|reply| show(&order, &reply)).unwrap_or_else(|error| error.tell())
}

/// Another state, for a reason of its own and until further notice; a weight stays.
fn state(order: OrderDocument, state: OrderedState, reason: Option<&str>) -> OrderDocument {
    OrderDocument { state: Some(state), reason: reason.map(str::to_owned), until: None, weight: order.weight }
}

/// Another weight; what else was ordered stays.
fn share(order: OrderDocument, weight: NonZeroU16) -> OrderDocument {
    OrderDocument { weight: Some(weight), ..order }
}

fn change_order(
    options: &OrderOptions,
    change: impl FnOnce(OrderDocument) -> OrderDocument,
) -> Result<Exit, AskError> {
    // Of an endpoint that is not there the daemon says more than we can.
    let order = look(options)?.and_then(|endpoint| endpoint.order).unwrap_or_default();
    let body = serde_json::to_vec(&change(order))?;
    let target = options.endpoint.target();
    let reply = ask::tell(&options.daemon.admin, (Method::PUT, &target), body.into(), ANSWER_WITHIN)?;
    show(options, &reply)
}

/// The endpoint as it is now; nothing where it is not there.
fn look(options: &OrderOptions) -> Result<Option<EndpointStatus>, AskError> {
    let reply = ask::ask(&options.daemon.admin, Method::GET, "/status", ANSWER_WITHIN)?;
    if reply.status != StatusCode::OK {
        return Err(AskError::refused(&reply));
    }
    let EndpointPath { service, endpoint } = &options.endpoint;
    let document = serde_json::from_slice::<StatusDocument>(&reply.body)?;
    let mut services = document.services.into_iter().filter(|found| found.name == service.as_str());
    let mut endpoints = services.next().into_iter().flat_map(|service| service.endpoints);
    Ok(endpoints.find(|found| found.id == endpoint.as_str()))
}

fn show(options: &OrderOptions, reply: &Reply) -> Result<Exit, AskError> {
    if reply.status != StatusCode::OK {
        return Err(AskError::refused(reply));
    }
    let endpoint = serde_json::from_slice::<Option<EndpointStatus>>(&reply.body)?;
    match (options.format, endpoint) {
        (Format::Json, _) => output::text(&String::from_utf8_lossy(&reply.body)),
        (Format::Text, None) => {
            output::line(format_args!("{}: absent (its order was cleared)", options.endpoint));
        }
        (Format::Text, Some(endpoint)) => output::line(format_args!(
            "{}: {}, {} in flight",
            options.endpoint,
            line_of(&endpoint),
            endpoint.in_flight
        )),
    }
    Ok(Exit::Done)
}

/// Looks until nothing is in flight, and tells each time there is less or more.
fn watch(options: &OrderOptions, deadline: Duration) -> Result<Exit, AskError> {
    let began = Instant::now();
    let mut told = None;
    loop {
        let Some(endpoint) = look(options)? else { return Ok(give_up(options, "it is gone")) };
        if !WITHDRAWN.contains(&endpoint.state.as_str()) {
            return Ok(give_up(options, "its order was cleared"));
        }
        if told.replace(endpoint.in_flight) != Some(endpoint.in_flight) {
            tell(options, &endpoint)?;
        }
        if endpoint.in_flight == 0 {
            return Ok(Exit::Done);
        }
        let Some(left) = deadline.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) else {
            return Ok(give_up(options, &format!("{} still in flight", endpoint.in_flight)));
        };
        thread::sleep(left.min(BETWEEN_LOOKS));
    }
}

fn tell(options: &OrderOptions, endpoint: &EndpointStatus) -> Result<(), AskError> {
    match options.format {
        Format::Json => output::line(serde_json::to_string(endpoint)?),
        Format::Text => output::line(format_args!("{}: {} in flight", options.endpoint, endpoint.in_flight)),
    }
    Ok(())
}

fn give_up(options: &OrderOptions, why: &str) -> Exit {
    output::error_line(format_args!("error: {}: {why}", options.endpoint));
    Exit::Failed
}

/// States in which an endpoint takes no new work.
const WITHDRAWN: [&str; 2] = ["draining", "maintenance"];

/// How long an endpoint is watched.
const DEADLINE: Duration = Duration::from_secs(300);

/// Quick for a person; nothing for a daemon.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_keeps_what_it_does_not_mean() {
        let until = "2027-01-15T08:00:00Z".parse().ok();
        let before = OrderDocument {
            state: Some(OrderedState::Maintenance),
            weight: NonZeroU16::new(7),
            reason: Some("disk".to_owned()),
            until,
        };
        let drained = OrderDocument {
            state: Some(OrderedState::Drain),
            weight: NonZeroU16::new(7),
            ..OrderDocument::default()
        };
        assert_eq!(state(before.clone(), OrderedState::Drain, None), drained);
        let five = NonZeroU16::new(5).expect("not zero");
        assert_eq!(share(before.clone(), five), OrderDocument { weight: Some(five), ..before });
    }
}
