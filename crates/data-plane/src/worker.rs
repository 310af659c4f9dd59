//! A worker: one thread with its own reactor, sockets, pools, timers and numbers. Connections stay on it for life.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::{ArcSwap, Cache};
use crossbeam_utils::CachePadded;
use fulcrum_balance::Rng;
use tokio::sync::{Notify, mpsc};
use tokio::time::MissedTickBehavior;

use crate::accept::{self, Post, Queue};
use crate::buffer::BufferPool;
use crate::endpoint::Endpoint;
use crate::http::access_log::Sink;
use crate::http::date::Date;
use crate::http::message::{RequestHead, ResponseHead};
use crate::idle::IdleList;
use crate::listener::{BindId, Listener, ListeningSocket};
use crate::metrics::{Limit, ListenerCells, RouteCells, WorkerCells};
use crate::overload::Level;
use crate::service::{EndpointView, Penalty, Service, ServiceView};
use crate::shared::{Phase, Shared};
use crate::snapshot::Snapshot;
use crate::timer::{Millis, TICK, Wheel};
use crate::transport;

/// What a worker's tasks share.
#[expect(clippy::vec_box, reason = "heads move between their pool and requests as pointers")]
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) inboxes: Vec<mpsc::Sender<Post>>,
    /// Of all workers.
    pub(crate) orders: Vec<mpsc::UnboundedSender<Order>>,
    pub(crate) wheel: Rc<Wheel>,
    pub(crate) buffers: Rc<BufferPool>,
    /// Downstream connections that wait for another request.
    pub(crate) idle: Rc<IdleList>,
    pub(crate) rng: RefCell<Rng>,
    pub(crate) cells: Arc<CachePadded<WorkerCells>>,
    pub(crate) date: Date,
    access_log: RefCell<Option<Sink>>,
    cache: RefCell<Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>>,
    view: RefCell<Rc<View>>,
    /// Where it accepts, and how to end that.
    accepting: RefCell<HashMap<BindId, Rc<Notify>>>,
    /// Endpoints that had a request on this worker: their pools outlive the generations.
    endpoints: RefCell<HashMap<u64, Rc<EndpointView>>>,
    heads: RefCell<Vec<Box<RequestHead>>>,
    responses: RefCell<Vec<Box<ResponseHead>>>,
    /// Failed attempts that still count as under way.
    penalties: RefCell<Vec<(Millis, Penalty)>>,
}

/// A listener of one generation on one worker.
pub(crate) struct ListenerView {
    pub(crate) listener: Arc<Listener>,
    pub(crate) cells: Arc<ListenerCells>,
}

/// A snapshot as one worker sees it.
pub(crate) struct View {
    pub(crate) snapshot: Arc<Snapshot>,
    listeners: Vec<Rc<ListenerView>>,
    /// Made when the first request goes there.
    services: Vec<OnceCell<Rc<ServiceView>>>,
    routes: Vec<OnceCell<Arc<RouteCells>>>,
}

/// What a worker thread starts with.
pub(crate) struct Start {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) inbox: mpsc::Receiver<Post>,
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
    pub(crate) inboxes: Vec<mpsc::Sender<Post>>,
    pub(crate) all_orders: Vec<mpsc::UnboundedSender<Order>>,
    pub(crate) seed: u64,
}

/// What the control side tells a worker.
pub(crate) enum Order {
    /// Accept connections there.
    Accept(BindId, Arc<Listener>, ListeningSocket),
    /// Accept what the kernel has completed, then no more.
    StopAccepting(BindId),
    /// Write access records there from now on.
    AccessLog(Option<Sink>),
    /// Take the snapshot that is in force now: one that has nothing to do would see it at its next tick.
    Look,
    /// Close an idle connection to the endpoint with this serial number, which may have so many: another worker needs one.
    CloseIdle(u64, u32),
}

/// Runs a worker until the process stops.
pub(crate) async fn run(start: Start) {
    let Start { index, shared, mut inbox, mut orders, inboxes, all_orders, seed } = start;
    let worker = Worker::new(index, shared, (inboxes, all_orders), seed);
    let receiver = Rc::clone(&worker);
    spawn_vital(async move {
        while let Some(post) = inbox.recv().await {
            accept::receive(&receiver, post);
        }
    });
    let follower = Rc::clone(&worker);
    spawn_vital(async move {
        while let Some(order) = orders.recv().await {
            follower.follow(order);
        }
    });
    worker.tick_until_stopped().await;
}

impl Worker {
    fn new(
        index: usize,
        shared: Arc<Shared>,
        (inboxes, orders): (Vec<mpsc::Sender<Post>>, Vec<mpsc::UnboundedSender<Order>>),
        seed: u64,
    ) -> Rc<Self> {
        let mut cache = Cache::new(Arc::clone(&shared.snapshot));
        let view = View::new(cache.load(), &shared, index);
        Rc::new(Worker {
            index,
            inboxes,
            orders,
            wheel: Wheel::new(shared.started),
            buffers: Rc::default(),
            idle: Rc::default(),
            rng: RefCell::new(Rng::from_seed(seed)),
            cells: Arc::clone(&shared.metrics.cells[index]),
            date: Date::default(),
            access_log: RefCell::default(),
            cache: RefCell::new(cache),
            view: RefCell::new(Rc::new(view)),
            accepting: RefCell::default(),
            endpoints: RefCell::default(),
            heads: RefCell::default(),
            responses: RefCell::default(),
            penalties: RefCell::default(),
            shared,
        })
    }

    fn follow(self: &Rc<Self>, order: Order) {
        match order {
            Order::Accept(bind, listener, socket) => {
                // A worker that cannot accept would leave its share of the connections in the kernel's queue.
                let queue = Queue::new(socket).expect("a reactor watches one more socket");
                let stop = Rc::new(Notify::new());
                self.accepting.borrow_mut().insert(bind, Rc::clone(&stop));
                let listener = match self.view().listener(bind) {
                    Some(listener) => Rc::clone(listener),
                    // Removed again meanwhile: to be closed in a moment, behind whoever has come.
                    None => Rc::new(ListenerView::new(&listener, &self.shared, self.index)),
                };
                spawn_vital(accept::run(Rc::clone(self), (bind, listener), queue, stop));
            }
            Order::StopAccepting(bind) => {
                if let Some(stop) = self.accepting.borrow_mut().remove(&bind) {
                    stop.notify_one();
                }
            }
            Order::Look => self.tell_generation(),
            Order::CloseIdle(serial, most) => {
                if let Some(endpoint) = self.endpoints.borrow().get(&serial) {
                    transport::close_idle(endpoint, most);
                }
            }
            Order::AccessLog(sink) => {
                if let Some(mut before) = self.access_log.replace(sink) {
                    before.flush();
                }
            }
        }
    }

    /// The snapshot in force. A request takes it once.
    pub(crate) fn view(&self) -> Rc<View> {
        let mut cache = self.cache.borrow_mut();
        let current = cache.load();
        let mut view = self.view.borrow_mut();
        if !Arc::ptr_eq(current, &view.snapshot) {
            *view = Rc::new(View::new(current, &self.shared, self.index));
        }
        Rc::clone(&view)
    }

    /// The endpoint on this worker, by the settings of this generation.
    pub(crate) fn endpoint(&self, endpoint: &Arc<Endpoint>, service: &Arc<Service>) -> Rc<EndpointView> {
        let mut endpoints = self.endpoints.borrow_mut();
        let view = endpoints
            .entry(endpoint.serial)
            .or_insert_with(|| Rc::new(EndpointView::new(endpoint, service, self)));
        *view.service.borrow_mut() = Arc::clone(service);
        Rc::clone(view)
    }

    /// Looks after an endpoint that was forgotten, because it was removed, and has a long connection all the same.
    pub(crate) fn remember(&self, endpoint: &Rc<EndpointView>) {
        let serial = endpoint.endpoint.serial;
        self.endpoints.borrow_mut().entry(serial).or_insert_with(|| Rc::clone(endpoint));
    }

    /// Writes an access record, where one is wanted.
    pub(crate) fn log(&self, record: impl FnOnce(&mut Sink)) {
        if let Some(sink) = self.access_log.borrow_mut().as_mut() {
            record(sink);
        }
    }

    /// Whether connections should end with their current request.
    pub(crate) fn is_draining(&self) -> bool {
        self.shared.is_draining()
    }

    /// The less busy of this worker and one random other.
    pub(crate) fn less_busy(&self) -> usize {
        let workers = &self.shared.workers;
        if workers.len() == 1 {
            return self.index;
        }
        let others = u32::try_from(workers.len() - 1).expect("a machine has fewer cores");
        let offset = 1 + self.rng.borrow_mut().below(others) as usize;
        let other = (self.index + offset) % workers.len();
        let busy = |worker: usize| workers[worker].connections.load(Ordering::Relaxed);
        if busy(other) < busy(self.index) { other } else { self.index }
    }

    /// Runs a connection's task. A panic ends that connection only, and is counted.
    pub(crate) fn spawn(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) {
        let panics = PanicCounter(Rc::clone(self));
        tokio::task::spawn_local(async move {
            let _panics = panics;
            task.await;
        });
    }

    /// An empty request head to fill; [`give_head`](Self::give_head) takes it back.
    pub(crate) fn take_head(&self) -> Box<RequestHead> {
        self.heads.borrow_mut().pop().unwrap_or_default()
    }

    pub(crate) fn give_head(&self, mut head: Box<RequestHead>) {
        let mut heads = self.heads.borrow_mut();
        if heads.len() < MAX_POOLED_HEADS && head.fields.text.capacity() <= MAX_POOLED_TEXT {
            head.clear();
            heads.push(head);
        }
    }

    /// An empty response head to fill; [`give_response`](Self::give_response) takes it back.
    pub(crate) fn take_response(&self) -> Box<ResponseHead> {
        self.responses.borrow_mut().pop().unwrap_or_default()
    }

    pub(crate) fn give_response(&self, mut head: Box<ResponseHead>) {
        let mut heads = self.responses.borrow_mut();
        if heads.len() < MAX_POOLED_HEADS && head.fields.text.capacity() <= MAX_POOLED_TEXT {
            head.clear();
            heads.push(head);
        }
    }

    /// Lets a failed attempt count as under way for a while: the endpoint that fails fastest must not look idle.
    pub(crate) fn penalize(&self, endpoint: &EndpointView) {
        let mut penalties = self.penalties.borrow_mut();
        if penalties.len() < MAX_PENALTIES {
            penalties.push((self.wheel.now() + PENALTY, Penalty::new(endpoint)));
        }
    }

    async fn tick_until_stopped(self: &Rc<Self>) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next_sweep = 0;
        let mut told_to_drain = false;
        loop {
            ticks.tick().await;
            self.wheel.advance();
            self.date.refresh();
            self.shared.workers[self.index].beats.fetch_add(1, Ordering::Relaxed);
            let now = self.wheel.now();
            self.penalties.borrow_mut().retain(|(until, _)| *until > now);
            self.log(Sink::flush);
            self.shared.workers[self.index].idle.store(self.idle.len() as u64, Ordering::Relaxed);
            self.tell_generation();
            if now >= next_sweep {
                next_sweep = now + SWEEP;
                self.sweep();
                self.shrink();
            }
            match self.shared.phase() {
                Phase::Running => {}
                Phase::Draining if told_to_drain => {}
                Phase::Draining => {
                    told_to_drain = true;
                    self.wheel.wake_all();
                }
                Phase::Stopped => return,
            }
        }
    }

    /// Has the control side know by which generation requests are served here.
    fn tell_generation(&self) {
        let generation = self.view().snapshot.generation;
        self.shared.workers[self.index].generation.store(generation, Ordering::Relaxed);
    }

    /// Looks through the idle upstream connections, and the long ones of endpoints that leave. What nobody asks for any
    /// more is forgotten.
    fn sweep(&self) {
        self.view().services.iter().filter_map(OnceCell::get).for_each(|service| service.deposit());
        self.endpoints.borrow_mut().retain(|_, endpoint| {
            let pool = endpoint.service.borrow().pool.clone();
            transport::sweep(self, &pool, endpoint);
            endpoint.watch_streams(self.wheel.now());
            !endpoint.is_gone()
        });
    }

    /// Frees what is only kept for speed, while memory runs out.
    fn shrink(&self) {
        if self.shared.overload.level() < Level::Shrink {
            return;
        }
        self.cells.hit(Limit::MemoryShrink);
        self.endpoints.borrow().values().for_each(|endpoint| transport::close_all_idle(endpoint));
        self.buffers.clear();
        self.heads.take();
        self.responses.take();
    }
}

impl ListenerView {
    pub(crate) fn new(listener: &Arc<Listener>, shared: &Shared, worker: usize) -> Self {
        let cells = shared.metrics.listener(worker, listener);
        ListenerView { listener: Arc::clone(listener), cells }
    }
}

impl View {
    fn new(snapshot: &Arc<Snapshot>, shared: &Shared, worker: usize) -> Self {
        let listeners =
            snapshot.listeners.iter().map(|listener| Rc::new(ListenerView::new(listener, shared, worker)));
        let mut services = Vec::new();
        services.resize_with(snapshot.services.len(), OnceCell::new);
        let mut routes = Vec::new();
        routes.resize_with(snapshot.routes.len(), OnceCell::new);
        View { listeners: listeners.collect(), services, routes, snapshot: Arc::clone(snapshot) }
    }

    /// The listener that an address belongs to; `None` when it was removed.
    pub(crate) fn listener(&self, bind: BindId) -> Option<&Rc<ListenerView>> {
        self.snapshot.binds.get(&bind).map(|&place| &self.listeners[place])
    }

    /// The service at this place of the snapshot.
    pub(crate) fn service(&self, place: usize, worker: &Worker) -> &Rc<ServiceView> {
        self.services[place].get_or_init(|| Rc::new(ServiceView::new(&self.snapshot.services[place], worker)))
    }

    /// A route's numbers on this worker, made with its first request.
    pub(crate) fn route_cells(&self, worker: &Worker, route: usize) -> &Arc<RouteCells> {
        self.routes[route]
            .get_or_init(|| worker.shared.metrics.route(worker.index, &self.snapshot.routes[route].name))
    }
}

/// Runs a task that the worker cannot do without: a panic in it ends the process.
fn spawn_vital(task: impl Future<Output = ()> + 'static) {
    struct AbortOnPanic;

    impl Drop for AbortOnPanic {
        fn drop(&mut self) {
            if std::thread::panicking() {
                tracing::error!("a task of the worker itself has died: aborting");
                std::process::abort();
            }
        }
    }

    let guard = AbortOnPanic;
    tokio::task::spawn_local(async move {
        let _guard = guard;
        task.await;
    });
}

/// Counts the task that is dropped by a panic.
struct PanicCounter(Rc<Worker>);

impl Drop for PanicCounter {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.cells.panics.add(1);
        }
    }
}

/// How long a failed attempt counts as under way, in milliseconds.
const PENALTY: Millis = 1000;
/// Failed attempts that are remembered; beyond them the endpoint looks busy enough.
const MAX_PENALTIES: usize = 10_000;
/// How often idle upstream connections are looked through, in milliseconds.
const SWEEP: Millis = 1000;
/// Heads kept for use, and how much text they may keep.
const MAX_POOLED_HEADS: usize = 256;
const MAX_POOLED_TEXT: usize = 16 * 1024;
