//! A named group of endpoints: which of them serves the next request.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use fulcrum_balance::{Member, Members, PickState, Picker, Policy, Rng, hash_key};
use fulcrum_config::{self as config, Balance, HashKey};
use fulcrum_model::{Address, ServiceName};

use crate::endpoint::Endpoint;
use crate::http::Client;
use crate::http::message::RequestHead;
use crate::http::route::{Attributes, first_parameter};
use crate::metrics::{EndpointCells, ServiceCells};
use crate::shared::Shared;
use crate::timer::Millis;
use crate::transport::Pool;

/// A service as all workers share it.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: ServiceName,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    pub(crate) picker: Picker,
    pub(crate) key: Option<HashKey>,
    pub(crate) timeouts: Timeouts,
    pub(crate) pool: config::Pool,
}

/// Clocks that run while we wait for the upstream, in milliseconds; [`NEVER`](crate::timer::NEVER) is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connect: Option<std::time::Duration>,
    pub(crate) response_header: Millis,
    pub(crate) response_idle: Millis,
    pub(crate) stream_idle: Millis,
}

impl Service {
    pub(crate) fn new(service: &config::Service) -> Self {
        let resolved: Vec<_> = service.endpoints.iter().filter_map(resolved).collect();
        let members: Vec<Member<'_>> = resolved
            .iter()
            .map(|(endpoint, _)| Member { id: endpoint.id.as_str(), weight: endpoint.weight.get() })
            .collect();
        let (policy, key) = policy(&service.balance);
        let endpoints = resolved.iter().map(|(endpoint, address)| {
            Arc::new(Endpoint::new(endpoint.id.clone(), (*address).clone(), endpoint.weight))
        });
        Service {
            name: service.name.clone(),
            endpoints: endpoints.collect(),
            picker: Picker::new(policy, &members),
            key,
            timeouts: Timeouts {
                connect: service.timeouts.connect,
                response_header: crate::timer::millis(service.timeouts.response_header),
                response_idle: crate::timer::millis(service.timeouts.response_idle),
                stream_idle: crate::timer::millis(service.timeouts.stream_idle),
            },
            pool: service.pool.clone(),
        }
    }

    /// The name of the balancing policy, as in the configuration.
    pub(crate) fn policy_name(&self) -> &'static str {
        match self.picker.policy() {
            Policy::RoundRobin => "round_robin",
            Policy::LeastRequest => "least_request",
            Policy::Random => "random",
            Policy::Ring => "ring",
            Policy::Maglev => "maglev",
        }
    }

    /// What this request is hashed by, where the policy hashes and the request has it.
    fn request_key(&self, client: &Client, head: &RequestHead, view: &impl Attributes) -> Option<u64> {
        let mut found = None;
        let mut first = |value: &[u8]| {
            found.get_or_insert(hash_key(value));
            true
        };
        match self.key.as_ref()? {
            HashKey::Source => {
                first(client.address.to_string().as_bytes());
            }
            HashKey::Path => {
                first(&head.normal_path);
            }
            HashKey::Header(name) => {
                view.any_header(name, &mut first);
            }
            HashKey::Cookie(name) => {
                view.any_cookie(name, &mut first);
            }
            HashKey::Query(name) => {
                if let Some(value) = first_parameter(head.query_text(), name.as_bytes()) {
                    first(&value);
                }
            }
        }
        found
    }
}

/// An endpoint whose address is known without asking for it.
fn resolved(endpoint: &config::Endpoint) -> Option<(&config::Endpoint, &Address)> {
    match &endpoint.address {
        config::Target::Address(address) => Some((endpoint, address)),
        config::Target::Host(_) => None,
    }
}

fn policy(balance: &Balance) -> (Policy, Option<HashKey>) {
    match balance {
        Balance::RoundRobin => (Policy::RoundRobin, None),
        Balance::LeastRequest => (Policy::LeastRequest, None),
        Balance::Random => (Policy::Random, None),
        Balance::Ring(key) => (Policy::Ring, Some(key.clone())),
        Balance::Maglev(key) => (Policy::Maglev, Some(key.clone())),
    }
}

/// A service as one worker sees it: shared numbers, its own turn and connections.
pub(crate) struct ServiceView {
    pub(crate) service: Arc<Service>,
    pub(crate) endpoints: Vec<Rc<EndpointView>>,
    state: RefCell<PickState>,
    pub(crate) cells: Arc<ServiceCells>,
}

/// An endpoint as one worker sees it.
pub(crate) struct EndpointView {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) pool: Pool,
    cells: OnceCell<Arc<EndpointCells>>,
    source: Arc<Shared>,
    worker: usize,
    service: Arc<Service>,
}

impl EndpointView {
    /// The endpoint's numbers on this worker, made with the first request.
    pub(crate) fn cells(&self) -> &EndpointCells {
        self.cells.get_or_init(|| {
            self.source.metrics.endpoint(self.worker, self.service.name.as_str(), self.endpoint.id.as_str())
        })
    }
}

/// A request at an endpoint, until dropped.
pub(crate) struct InFlight(Rc<EndpointView>);

impl InFlight {
    pub(crate) fn new(endpoint: &Rc<EndpointView>) -> Self {
        endpoint.endpoint.started();
        InFlight(Rc::clone(endpoint))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.endpoint.finished();
    }
}

/// The endpoints that a request has been tried on.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    list: [u32; MAX_TRIED],
    count: usize,
}

/// Most endpoints that one request is tried on.
pub(crate) const MAX_TRIED: usize = 4;

impl Tried {
    pub(crate) fn add(&mut self, index: usize) {
        if self.count < MAX_TRIED {
            self.list[self.count] = u32::try_from(index).expect("fewer endpoints than 4 billion");
            self.count += 1;
        }
    }

    fn contains(&self, index: usize) -> bool {
        self.list[..self.count].iter().any(|&tried| tried as usize == index)
    }
}

impl ServiceView {
    pub(crate) fn new(service: &Arc<Service>, shared: &Arc<Shared>, worker: usize, rng: &mut Rng) -> Self {
        let endpoints = service.endpoints.iter().map(|endpoint| {
            Rc::new(EndpointView {
                endpoint: Arc::clone(endpoint),
                pool: Pool::default(),
                cells: OnceCell::new(),
                source: Arc::clone(shared),
                worker,
                service: Arc::clone(service),
            })
        });
        ServiceView {
            endpoints: endpoints.collect(),
            state: RefCell::new(PickState::new(&service.picker, rng)),
            cells: shared.metrics.service(worker, service.name.as_str()),
            service: Arc::clone(service),
        }
    }

    /// What the request is hashed by, if this service hashes.
    pub(crate) fn key(&self, client: &Client, head: &RequestHead, view: &impl Attributes) -> Option<u64> {
        self.service.request_key(client, head, view)
    }

    /// Chooses an endpoint that has not been tried; `None` when there is none.
    pub(crate) fn pick(&self, tried: &Tried, key: Option<u64>, rng: &mut Rng) -> Option<usize> {
        let candidates = Candidates { endpoints: &self.endpoints, tried };
        self.service.picker.pick(&mut self.state.borrow_mut(), &candidates, key, rng)
    }
}

struct Candidates<'a> {
    endpoints: &'a [Rc<EndpointView>],
    tried: &'a Tried,
}

impl Members for Candidates<'_> {
    fn load(&self, index: usize) -> u32 {
        self.endpoints[index].endpoint.in_flight()
    }

    fn eligible(&self, index: usize) -> bool {
        !self.tried.contains(index)
    }
}
