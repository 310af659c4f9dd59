//! What operators order of endpoints, through all generations.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use fulcrum_model::{EndpointId, ServiceName};

use super::Control;
use crate::service::Override;

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
        let orders = self.orders.entry(service.clone()).or_default();
        match order {
            Some(order) => orders.insert(endpoint.clone(), order),
            None => orders.remove(endpoint),
        };
        self.rebuild(configured, now);
        true
    }

    /// Ends the orders whose time has come.
    pub(crate) fn expire(&mut self, wall: SystemTime, now: Duration) {
        let Some(config) = self.config.clone() else { return };
        for service in &config.services {
            let Some(orders) = self.orders.get_mut(&service.name) else { continue };
            let before = orders.len();
            orders.retain(|endpoint, order| {
                let ends = order.has_run_out(wall);
                if ends {
                    tracing::info!(service = %service.name, %endpoint, "an order has run out");
                }
                !ends
            });
            if orders.len() < before {
                self.rebuild(service, now);
            }
        }
    }
}
