//! A service as one worker sees it: shared numbers, its own turns and connections.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};
use fulcrum_balance::session::EndpointTag;
use fulcrum_balance::{Members, PickState, Rng, Share};

use crate::endpoint::{Endpoint, Gate};
use crate::http::Client;
use crate::http::message::RequestHead;
use crate::http::route::Attributes;
use crate::metrics::{EndpointCells, ServiceCells};
use crate::timer::{self, Millis};
use crate::transport::Pool;
use crate::worker::Worker;

use super::Service;
use super::membership::{Membership, Sessions};
use super::panic::Panic;
use super::state::ServiceState;
use super::streams::Streams;

/// A service of one generation on one worker.
pub(crate) struct ServiceView {
    pub(crate) service: Arc<Service>,
    pub(crate) cells: Arc<ServiceCells>,
    cache: RefCell<Cache<Arc<ArcSwap<Membership>>, Arc<Membership>>>,
    members: RefCell<Rc<MembersView>>,
    /// Requests that the retry budget has not heard of.
    requests: Cell<u64>,
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
    pub(crate) state: Arc<ServiceState>,
    pub(crate) streams: Streams,
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
            requests: Cell::new(0),
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

    /// A request has come.
    pub(crate) fn count(&self) {
        self.requests.set(self.requests.get() + 1);
    }

    /// Whether a request may be tried once more.
    pub(crate) fn may_retry(&self, worker: &Worker) -> bool {
        self.service.state.may_retry(self.requests.take(), worker.shared.now())
    }

    /// Lets the other workers spend what the requests here have paid for retries.
    pub(crate) fn deposit(&self) {
        match self.requests.take() {
            0 => {}
            requests => self.service.state.deposit(requests),
        }
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

    /// How many there are, whatever their state.
    pub(crate) fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// Chooses an endpoint that has not been tried and has a place free, and takes the place.
    pub(crate) fn pick(
        &self,
        service: &Service,
        tried: &Tried,
        key: Option<u64>,
        worker: &Worker,
    ) -> Result<usize, NoPick> {
        let candidates = Candidates {
            membership: &self.membership,
            tried,
            panic: service.state.panic(),
            now: worker.wheel.now(),
            slow_start: service.slow_start,
            is_full: Cell::new(false),
        };
        let mut rng = worker.rng.borrow_mut();
        let mut state = self.state.borrow_mut();
        // Another worker may take the last place of an endpoint between the look and the pick.
        for _ in 0..MAX_LOST_PLACES {
            let picked = self.membership.picker.pick(&mut state, &candidates, key, &mut rng);
            match picked {
                Some(place) if self.membership.endpoints[place].try_start() => {
                    return Ok(place);
                }
                Some(_) => candidates.is_full.set(true),
                None => break,
            }
        }
        Err(if candidates.is_full.get() { NoPick::Full } else { NoPick::None })
    }

    /// The place that a cookie's tag names.
    pub(crate) fn pinned(&self, tag: &EndpointTag) -> Option<usize> {
        self.membership.pins.as_ref()?.place(tag)
    }

    /// The keys of the service's cookie.
    pub(crate) fn sessions(&self) -> Option<&Arc<Sessions>> {
        self.membership.pins.as_ref().map(|pins| &pins.sessions)
    }

    /// The endpoint at this place, whoever is asked.
    pub(crate) fn at(&self, place: usize) -> &Arc<Endpoint> {
        &self.membership.endpoints[place]
    }

    /// Where an endpoint stands; `None` when it is not a member.
    pub(crate) fn place_of(&self, endpoint: &Arc<Endpoint>) -> Option<usize> {
        self.membership.endpoints.iter().position(|one| Arc::ptr_eq(one, endpoint))
    }

    /// Where the endpoints of these serials stand, those that are members.
    pub(crate) fn places_of(&self, serials: &[u64]) -> impl Iterator<Item = usize> {
        let endpoints = if serials.is_empty() { &[][..] } else { &self.membership.endpoints[..] };
        let places = endpoints.iter().enumerate();
        places.filter(|(_, endpoint)| serials.contains(&endpoint.serial)).map(|(place, _)| place)
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
            state: Arc::clone(&service.state),
            streams: Streams::default(),
            service: RefCell::new(Arc::clone(service)),
        }
    }

    /// Whether this worker has nothing to remember of it.
    pub(crate) fn is_gone(&self) -> bool {
        self.endpoint.is_removed() && self.streams.is_empty()
    }

    /// Ends long connections that the endpoint has been leaving for too long.
    pub(crate) fn watch_streams(&self, now: Millis) {
        let is_leaving =
            !self.streams.is_empty() && (self.endpoint.is_removed() || self.endpoint.gate().is_withdrawn());
        let timeout = if is_leaving { timer::millis(self.state.rules().drain) } else { timer::NEVER };
        self.streams.watch(is_leaving, timeout, now);
    }
}

/// A request at an endpoint, until dropped.
pub(crate) struct InFlight(Rc<EndpointView>);

impl InFlight {
    /// Of a place that was taken.
    pub(crate) fn new(endpoint: &Rc<EndpointView>) -> Self {
        InFlight(Rc::clone(endpoint))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.state.queue.pass_on(&self.0.endpoint);
    }
}

/// Another try of a request, beside the one under way: if there is somewhere to go, and a retry to be had.
#[derive(Clone, Copy)]
pub(crate) struct Spare<'a> {
    pub(crate) service: &'a ServiceView,
    pub(crate) worker: &'a Worker,
    pub(crate) members: &'a MembersView,
    /// Those that will not do, besides the one under way.
    pub(crate) tried: &'a Tried,
    /// The one under way.
    pub(crate) place: usize,
}

impl Spare<'_> {
    /// Takes the retry, which is paid then.
    pub(crate) fn take(&self) -> bool {
        let others =
            (0..self.members.len()).filter(|&place| place != self.place && !self.tried.contains(place));
        let mut gates = others.map(|place| self.members.at(place).gate());
        gates.any(|gate| gate.is_healthy() && !gate.is_withdrawn()) && self.service.may_retry(self.worker)
    }
}

/// An endpoint that a request waits for: whether its check fails meanwhile.
pub(crate) struct Watch<'a> {
    endpoint: &'a EndpointView,
    was_down: bool,
    spare: Spare<'a>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(endpoint: &'a EndpointView, spare: Spare<'a>) -> Self {
        Watch { endpoint, was_down: endpoint.endpoint.gate().has(Gate::DOWN), spare }
    }

    /// Whether its check has begun to fail, and the request can go elsewhere: then it has to, the retry is taken.
    pub(crate) fn is_lost(&self) -> bool {
        !self.was_down && self.endpoint.endpoint.gate().has(Gate::DOWN) && self.spare.take()
    }
}

/// A failed attempt that still counts as load, until dropped.
pub(crate) struct Penalty(Arc<Endpoint>);

impl Penalty {
    pub(crate) fn new(endpoint: &EndpointView) -> Self {
        endpoint.endpoint.penalize();
        Penalty(Arc::clone(&endpoint.endpoint))
    }
}

impl Drop for Penalty {
    fn drop(&mut self) {
        self.0.forgive();
    }
}

/// Why no endpoint was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPick {
    /// Some would do, but are full.
    Full,
    /// None may be tried.
    None,
}

/// The endpoints that a request has been tried on, by their places.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    list: [u32; MAX_TRIED],
    count: usize,
}

/// How often a place may be lost to another worker before the request waits for one.
const MAX_LOST_PLACES: u32 = 8;

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

    /// What they are, wherever they stand.
    pub(crate) fn serials(&self, members: &MembersView) -> Vec<u64> {
        self.list[..self.count].iter().map(|&place| members.at(place as usize).serial).collect()
    }

    pub(crate) fn contains(&self, place: usize) -> bool {
        self.list[..self.count].iter().any(|&tried| tried as usize == place)
    }
}

struct Candidates<'a> {
    membership: &'a Membership,
    tried: &'a Tried,
    panic: Panic,
    now: Millis,
    slow_start: Duration,
    /// Some would do, but are full.
    is_full: Cell<bool>,
}

impl Members for Candidates<'_> {
    fn load(&self, index: usize) -> u32 {
        self.membership.endpoints[index].load(self.now)
    }

    fn share(&self, index: usize) -> Share {
        if self.tried.contains(index) {
            return Share::NONE;
        }
        let endpoint = &self.membership.endpoints[index];
        let share = endpoint.share(self.panic, self.now, self.slow_start);
        if share.is_some() && endpoint.is_full() {
            self.is_full.set(true);
            return Share::NONE;
        }
        share
    }
}
