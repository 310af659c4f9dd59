//! Endpoints: each identity once.

use std::collections::HashMap;

use fulcrum_model::{EndpointId, Weight};

use crate::code::Code;
use crate::endpoint::{Endpoint, EndpointState};
use crate::raw::RawEndpoint;
use crate::source::Place;

use super::{Context, name};

/// The endpoints of a service.
pub(crate) fn all(raw: Vec<RawEndpoint>, context: &mut Context<'_>) -> Vec<Endpoint> {
    let mut places: HashMap<EndpointId, Place> = HashMap::new();
    let mut endpoints = Vec::with_capacity(raw.len());
    for raw in raw {
        let Some((endpoint, place)) = endpoint(raw, context) else { continue };
        match places.get(&endpoint.id) {
            Some(&other) => {
                context
                    .problems
                    .add(
                        Code::DuplicateEndpoint,
                        place,
                        format!("the endpoint `{}` is given twice", endpoint.id),
                    )
                    .note(format!("first in {}", context.sources.label(other)))
                    .note("for two shares of traffic give one endpoint a `weight`");
            }
            None => {
                places.insert(endpoint.id.clone(), place);
            }
        }
        endpoints.push(endpoint);
    }
    endpoints
}

/// An endpoint, and the place of its identity.
fn endpoint(raw: RawEndpoint, context: &mut Context<'_>) -> Option<(Endpoint, Place)> {
    let (address, id, weight, state) = match raw {
        RawEndpoint::Short(address) => (address, None, None, None),
        RawEndpoint::Long(long) => (long.address?, long.id, long.weight, long.state),
    };
    let place = id.as_ref().map_or(address.place, |id| id.place);
    let address = address.value.0;
    let id = match id {
        Some(id) => name(&id.value, id.place, context)?,
        None => name(&address.to_string(), place, context)?,
    };
    let weight = weight.and_then(|weight| Weight::new(weight.0 as u16)).unwrap_or_default();
    let state = state.map_or(EndpointState::Up, |state| state.0);
    Some((Endpoint { id, address, weight, state }, place))
}
