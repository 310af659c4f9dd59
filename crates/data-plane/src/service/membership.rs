//! Which endpoints a service has: one immutable value with its picker, swapped as a whole.

use std::collections::HashMap;
use std::sync::Arc;

use fulcrum_balance::{Member, Picker, Policy};
use fulcrum_config::EndpointState;
use fulcrum_model::{Address, EndpointId, Weight};

use crate::endpoint::Endpoint;

/// The endpoints of a service and how one of them is picked.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    /// By the endpoint's place.
    pub(crate) weights: Vec<Weight>,
    pub(crate) picker: Picker,
}

/// An endpoint as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) id: EndpointId,
    pub(crate) address: Address,
    pub(crate) weight: Weight,
    pub(crate) state: EndpointState,
}

impl Membership {
    /// Builds the endpoints that are wanted. Those of the same identity live on, with everything that is known of them.
    pub(crate) fn new(policy: Policy, wanted: &[Wanted], before: Option<&Membership>) -> Self {
        let known: HashMap<(&EndpointId, &Address), &Arc<Endpoint>> = before
            .into_iter()
            .flat_map(|membership| &membership.endpoints)
            .map(|endpoint| ((&endpoint.id, &endpoint.address), endpoint))
            .collect();
        let endpoints: Vec<Arc<Endpoint>> = wanted
            .iter()
            .map(|wanted| match known.get(&(&wanted.id, &wanted.address)) {
                Some(endpoint) => Arc::clone(endpoint),
                None => Arc::new(Endpoint::new(wanted.id.clone(), wanted.address.clone())),
            })
            .collect();
        let members: Vec<Member<'_>> = wanted
            .iter()
            .map(|wanted| Member { id: wanted.id.as_str(), weight: wanted.weight.get() })
            .collect();
        Membership {
            weights: wanted.iter().map(|wanted| wanted.weight).collect(),
            picker: Picker::new(policy, &members),
            endpoints,
        }
    }

    /// Whether it is what [`new`](Self::new) would make of this.
    pub(crate) fn is(&self, policy: Policy, wanted: &[Wanted]) -> bool {
        self.picker.policy() == policy
            && self.endpoints.len() == wanted.len()
            && self.endpoints.iter().zip(&self.weights).zip(wanted).all(|((endpoint, weight), wanted)| {
                endpoint.id == wanted.id && endpoint.address == wanted.address && *weight == wanted.weight
            })
    }
}
