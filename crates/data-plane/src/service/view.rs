//! A service as one worker sees it: shared numbers, its own turns and connections.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};
use fulcrum_balance::{Members, PickState, Rng, Share};

use crate::endpoint::Endpoint;
use crate::http::Client;
use crate::http::message::RequestHead;
use crate::http::route::Attributes;
use crate::metrics::{EndpointCells, ServiceCells};
use crate::transport::Pool;
use crate::worker::Worker;

use super::Service;
use super::membership::Membership;

/// A service of one generation on one worker.
pub(crate) struct ServiceView {
    pub(crate) service: Arc<Service>,
    pub(crate) cells: Arc<ServiceCells>,
    cache: RefCell<Cache<Arc<ArcSwap<Membership>>, Arc<Membership>>>,
    members: RefCell<Rc<MembersView>>,
}

/// The endpoints of a service on one worker. A request keeps the one it began with.
pub(crate) struct MembersView {
    membership: Arc<Membership>,
    /// Made when the first request goes there.
    endpoints: Vec<OnceCell<Rc<EndpointView>>>,
    state: RefCell<PickState>,
}

/// An endpoint on one worker, through all generations.
pub(crate) struct EndpointView {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) pool: Pool,
    pub(crate) cells: Arc<EndpointCells>,
    /// How its pool is kept, by the latest generation that a request came with.
    pub(crate) service: RefCell<Arc<Service>>,
}

impl ServiceView {
    pub(crate) fn new(service: &Arc<Service>, worker: &Worker) -> Self {
        let mut cache = Cache::new(Arc::clone(&service.state.membership));
        let members = MembersView::new(cache.load(), &mut worker.rng.borrow_mut());
        ServiceView {
            cells: worker.shared.metrics.service(worker.index, service.name().as_str()),
            service: Arc::clone(service),
            cache: RefCell::new(cache),
            members: RefCell::new(Rc::new(members)),
        }
    }

    /// The endpoints now.
    pub(crate) fn members(&self, worker: &Worker) -> Rc<MembersView> {
        let mut cache = self.cache.borrow_mut();
        let current = cache.load();
        let mut members = self.members.borrow_mut();
        if !Arc::ptr_eq(current, &members.membership) {
            *members = Rc::new(MembersView::new(current, &mut worker.rng.borrow_mut()));
        }
        Rc::clone(&members)
    }

    /// What the request is hashed by, if this service hashes.
    pub(crate) fn key(&self, client: &Client, head: &RequestHead, view: &impl Attributes) -> Option<u64> {
        self.service.request_key(client, head, view)
    }
}

impl MembersView {
    fn new(membership: &Arc<Membership>, rng: &mut Rng) -> Self {
        let mut endpoints = Vec::new();
        endpoints.resize_with(membership.endpoints.len(), OnceCell::new);
        MembersView {
            state: RefCell::new(PickState::new(&membership.picker, rng)),
            membership: Arc::clone(membership),
            endpoints,
        }
    }

    /// Chooses an endpoint that has not been tried; `None` when there is none.
    pub(crate) fn pick(&self, tried: &Tried, key: Option<u64>, rng: &mut Rng) -> Option<usize> {
        let candidates = Candidates { endpoints: &self.membership.endpoints, tried };
        self.membership.picker.pick(&mut self.state.borrow_mut(), &candidates, key, rng)
    }

    /// The endpoint at this place.
    pub(crate) fn endpoint(&self, place: usize, service: &ServiceView, worker: &Worker) -> Rc<EndpointView> {
        let view = self.endpoints[place].get_or_init(|| {
            let endpoint = &self.membership.endpoints[place];
            worker.endpoint(endpoint, &service.service)
        });
        Rc::clone(view)
    }
}

impl EndpointView {
    pub(crate) fn new(endpoint: &Arc<Endpoint>, service: &Arc<Service>, worker: &Worker) -> Self {
        let metrics = &worker.shared.metrics;
        EndpointView {
            cells: metrics.endpoint(worker.index, service.name().as_str(), endpoint.id.as_str()),
            endpoint: Arc::clone(endpoint),
            pool: Pool::default(),
            service: RefCell::new(Arc::clone(service)),
        }
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

/// The endpoints that a request has been tried on, by their places.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    list: [u32; MAX_TRIED],
    count: usize,
}

/// Most endpoints that one request is tried on.
const MAX_TRIED: usize = 8;

impl Tried {
    pub(crate) fn add(&mut self, place: usize) {
        if self.count < MAX_TRIED {
            self.list[self.count] = u32::try_from(place).expect("fewer endpoints than 4 billion");
            self.count += 1;
        }
    }

    /// Whether the request may be tried on another one.
    pub(crate) fn has_room(&self) -> bool {
        self.count < MAX_TRIED
    }

    pub(crate) fn contains(&self, place: usize) -> bool {
        self.list[..self.count].iter().any(|&tried| tried as usize == place)
    }
}

struct Candidates<'a> {
    endpoints: &'a [Arc<Endpoint>],
    tried: &'a Tried,
}

impl Members for Candidates<'_> {
    fn load(&self, index: usize) -> u32 {
        self.endpoints[index].in_flight()
    }

    fn share(&self, index: usize) -> Share {
        if self.tried.contains(index) { Share::NONE } else { Share::FULL }
    }
}
