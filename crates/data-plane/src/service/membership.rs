//! Which endpoints a service has: one immutable value with its picker, swapped as a whole.

use std::collections::HashMap;
use std::sync::Arc;

use fulcrum_balance::session::{EndpointTag, SessionKeys};
use fulcrum_balance::{Member, Picker, Policy};
use fulcrum_config::{EndpointState, Secret};
use fulcrum_model::{Address, EndpointId, LoadReports, ServiceName, Weight, WeightSource};

use super::standing::Standing;
use crate::endpoint::Endpoint;

/// The endpoints of a service and how one of them is picked.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    /// By the endpoint's place, and who has said so.
    pub(crate) weights: Vec<(Weight, WeightSource)>,
    pub(crate) picker: Picker,
    /// Which endpoint a client belongs to, where the service is sticky.
    pub(crate) pins: Option<Pins>,
}

/// The endpoints of a sticky service by the tags that cookies name them by.
#[derive(Debug)]
pub(crate) struct Pins {
    pub(crate) sessions: Arc<Sessions>,
    places: HashMap<EndpointTag, u32>,
}

/// The keys of a sticky service.
#[derive(Debug)]
pub(crate) struct Sessions {
    pub(crate) keys: SessionKeys,
    /// What they were made from.
    pub(crate) secrets: Vec<Secret>,
}

impl Pins {
    fn new(service: &ServiceName, sessions: &Arc<Sessions>, endpoints: &[Arc<Endpoint>]) -> Self {
        let mut places = HashMap::with_capacity(endpoints.len());
        for (place, endpoint) in (0..).zip(endpoints) {
            for tag in sessions.keys.tags(service.as_str(), endpoint.id.as_str()) {
                places.insert(tag, place);
            }
        }
        Pins { sessions: Arc::clone(sessions), places }
    }

    /// The place of the endpoint that a tag names.
    pub(crate) fn place(&self, tag: &EndpointTag) -> Option<usize> {
        self.places.get(tag).map(|&place| place as usize)
    }
}

/// What a membership is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) policy: Policy,
    pub(crate) wanted: &'a [Wanted],
    pub(crate) sessions: Option<&'a Arc<Sessions>>,
    /// The identity of the check that new endpoints must pass.
    pub(crate) check: Option<u64>,
}

/// An endpoint as it shall be.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) id: EndpointId,
    pub(crate) address: Address,
    pub(crate) weight: (Weight, WeightSource),
    pub(crate) terms: Terms,
}

/// What of an endpoint may change while it lives on.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) state: EndpointState,
    /// Requests that it may have of us at a time; [`LIMITLESS`](crate::endpoint::LIMITLESS) is any number.
    pub(crate) places: u32,
    /// What its instance says of its load, where it can say anything.
    pub(crate) reports: Option<Arc<LoadReports>>,
}

impl Membership {
    /// Of a service that has just begun.
    pub(crate) fn empty() -> Self {
        Membership {
            endpoints: Vec::new(),
            weights: Vec::new(),
            picker: Picker::new(Policy::RoundRobin, &[]),
            pins: None,
        }
    }

    /// Builds the endpoints that are wanted. Those of the same identity live on, with everything that is known of them.
    pub(crate) fn new(service: &ServiceName, plan: &Plan<'_>, before: &Membership) -> Self {
        let Plan { policy, wanted, sessions, check } = *plan;
        let known: HashMap<(&EndpointId, &Address), &Arc<Endpoint>> =
            before.endpoints.iter().map(|endpoint| ((&endpoint.id, &endpoint.address), endpoint)).collect();
        let endpoints: Vec<Arc<Endpoint>> = wanted
            .iter()
            .map(|wanted| match known.get(&(&wanted.id, &wanted.address)) {
                Some(endpoint) => Arc::clone(endpoint),
                None => {
                    let standing = Standing::new(wanted.terms.state, check);
                    Arc::new(Endpoint::new(wanted.id.clone(), wanted.address.clone(), standing))
                }
            })
            .collect();
        let members: Vec<Member<'_>> = wanted
            .iter()
            .map(|wanted| Member { id: wanted.id.as_str(), weight: wanted.weight.0.get() })
            .collect();
        Membership {
            weights: wanted.iter().map(|wanted| wanted.weight).collect(),
            picker: Picker::new(policy, &members),
            pins: sessions.map(|sessions| Pins::new(service, sessions, &endpoints)),
            endpoints,
        }
    }

    /// Whether it is what [`new`](Self::new) would make of this.
    pub(crate) fn is(&self, plan: &Plan<'_>) -> bool {
        let Plan { policy, wanted, sessions, .. } = *plan;
        let secrets = self.pins.as_ref().map(|pins| &pins.sessions.secrets);
        self.picker.policy() == policy
            && secrets == sessions.map(|sessions| &sessions.secrets)
            && self.endpoints.len() == wanted.len()
            && self.endpoints.iter().zip(&self.weights).zip(wanted).all(|((endpoint, weight), wanted)| {
                endpoint.id == wanted.id && endpoint.address == wanted.address && *weight == wanted.weight
            })
    }
}
