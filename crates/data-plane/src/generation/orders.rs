//! What operators order of endpoints, through all generations.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use fulcrum_model::{EndpointId, ServiceName};

use super::Control;
use crate::service::Override;
use crate::status::AbsentOrder;

/// What is ordered, by service.
pub(super) type Orders = HashMap<ServiceName, HashMap<EndpointId, Override>>;

impl Control {
    pub(super) fn orders_of(&self, service: &ServiceName) -> &HashMap<EndpointId, Override> {
        static NONE: LazyLock<HashMap<EndpointId, Override>> = LazyLock::new(HashMap::new);
        self.orders.get(service).unwrap_or(&NONE)
    }

    /// Orders something of an endpoint, or clears what was ordered; false when there is no such endpoint.
    pub(crate) fn order(
        &mut self,
        service: &ServiceName,
        endpoint: &EndpointId,
        order: Option<Override>,
        now: Duration,
    ) -> bool {
        let Some(config) = self.config.clone() else { return false };
        let cleared =
            order.is_none() && self.orders.get_mut(service).is_some_and(|all| all.remove(endpoint).is_some());
        let Some(configured) = config.services.iter().find(|one| one.name == *service) else {
            return cleared;
        };
        let state = &self.services[service];
        if cleared {
            self.rebuild(configured, now);
            return true;
        }
        if !state.membership.load().endpoints.iter().any(|one| one.id == *endpoint) {
            return false;
        }
        let there: HashSet<EndpointId> =
            state.membership.load().endpoints.iter().map(|one| one.id.clone()).collect();
        let orders = self.orders.entry(service.clone()).or_default();
        match order {
            Some(order) => orders.insert(endpoint.clone(), order),
            None => orders.remove(endpoint),
        };
        forget_absent(service, orders, &there);
        self.rebuild(configured, now);
        true
    }

    /// What is ordered of endpoints that there are not, now: they may come back.
    pub(crate) fn absent_orders(&self) -> Vec<AbsentOrder> {
        let mut absent = Vec::new();
        for (service, orders) in &self.orders {
            let membership = self.services.get(service).map(|state| state.membership.load_full());
            let endpoints = membership.iter().flat_map(|membership| &membership.endpoints);
            let there: HashSet<&EndpointId> = endpoints.map(|endpoint| &endpoint.id).collect();
            let orders = orders.iter().filter(|(endpoint, _)| !there.contains(endpoint));
            absent.extend(orders.map(|(endpoint, order)| AbsentOrder {
                service: service.clone(),
                endpoint: endpoint.clone(),
                order: order.clone(),
            }));
        }
        absent.sort_by(|one, other| {
            (one.service.as_str(), one.endpoint.as_str())
                .cmp(&(other.service.as_str(), other.endpoint.as_str()))
        });
        absent
    }

    /// Ends the orders whose time has come, also those of endpoints that there are not.
    pub(crate) fn expire(&mut self, wall: SystemTime, now: Duration) {
        let mut changed = Vec::new();
        for (service, orders) in &mut self.orders {
            let before = orders.len();
            orders.retain(|endpoint, order| {
                let ends = order.has_run_out(wall);
                if ends {
                    tracing::info!(%service, %endpoint, "an order has run out");
                }
                !ends
            });
            if orders.len() < before {
                changed.push(service.clone());
            }
        }
        let Some(config) = self.config.clone().filter(|_| !changed.is_empty()) else { return };
        for service in config.services.iter().filter(|service| changed.contains(&service.name)) {
            self.rebuild(service, now);
        }
    }
}

/// Endpoints that went with an order may be back, but not all that ever were can be remembered.
fn forget_absent(
    service: &ServiceName,
    orders: &mut HashMap<EndpointId, Override>,
    there: &HashSet<EndpointId>,
) {
    let absent = orders.keys().filter(|endpoint| !there.contains(*endpoint));
    let excess: Vec<EndpointId> = absent.skip(MOST_ABSENT).cloned().collect();
    for endpoint in excess {
        tracing::warn!(%service, %endpoint, "the order of an endpoint that is not there is forgotten: there are too many");
        orders.remove(&endpoint);
    }
}

/// Orders of one service that are remembered for endpoints that are not there.
const MOST_ABSENT: usize = 10_000;
