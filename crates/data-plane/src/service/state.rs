//! What of a service outlives its configuration: its endpoints and everything that is known of them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use fulcrum_balance::Policy;
use fulcrum_model::ServiceName;

use super::membership::{Membership, Wanted};

/// A service through all generations of its configuration, shared by all workers.
#[derive(Debug)]
pub(crate) struct ServiceState {
    pub(crate) name: ServiceName,
    pub(crate) membership: Arc<ArcSwap<Membership>>,
}

impl ServiceState {
    /// Without endpoints.
    pub(crate) fn new(name: &ServiceName, policy: Policy) -> Self {
        let none = Membership::new(policy, &[], None);
        ServiceState { name: name.clone(), membership: Arc::new(ArcSwap::from_pointee(none)) }
    }

    /// What its membership shall be; `None` when it is that already.
    pub(crate) fn plan(&self, policy: Policy, wanted: &[Wanted]) -> Option<Arc<Membership>> {
        let before = self.membership.load();
        let changes = !before.is(policy, wanted);
        changes.then(|| Arc::new(Membership::new(policy, wanted, Some(&before))))
    }

    /// Puts a membership in force. Endpoints that are in it no more end with their last request.
    pub(crate) fn replace(&self, membership: Arc<Membership>) {
        let before = self.membership.swap(membership);
        let now = self.membership.load();
        let kept: std::collections::HashSet<u64> =
            now.endpoints.iter().map(|endpoint| endpoint.serial).collect();
        for endpoint in before.endpoints.iter().filter(|endpoint| !kept.contains(&endpoint.serial)) {
            endpoint.remove();
        }
    }

    /// The service is configured no more.
    pub(crate) fn retire(&self) {
        self.membership.load().endpoints.iter().for_each(|endpoint| endpoint.remove());
    }
}
