//! A worker: one thread with its own reactor, sockets, pools, timers and numbers. Connections stay on it for life.

use std::cell::{OnceCell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::{ArcSwap, Cache};
use crossbeam_utils::CachePadded;
use fulcrum_balance::Rng;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::accept::{self, Accepted, Queue};
use crate::buffer::BufferPool;
use crate::http::access_log::Sink;
use crate::http::date::Date;
use crate::http::message::{RequestHead, ResponseHead};
use crate::listener::{Listener, ListeningSocket};
use crate::metrics::{ListenerCells, RouteCells, WorkerCells};
use crate::service::{InFlight, ServiceView};
use crate::shared::{Phase, Shared};
use crate::snapshot::Snapshot;
use crate::timer::{Millis, TICK, Wheel};
use crate::transport;

/// What a worker's tasks share.
#[expect(clippy::vec_box, reason = "heads move between their pool and requests as pointers")]
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) listeners: Vec<Rc<ListenerView>>,
    pub(crate) inboxes: Vec<mpsc::Sender<Accepted>>,
    pub(crate) wheel: Rc<Wheel>,
    pub(crate) buffers: Rc<BufferPool>,
    pub(crate) rng: RefCell<Rng>,
    pub(crate) cells: Arc<CachePadded<WorkerCells>>,
    pub(crate) date: Date,
    pub(crate) access_log: Option<RefCell<Sink>>,
    cache: RefCell<Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>>,
    view: RefCell<Rc<View>>,
    heads: RefCell<Vec<Box<RequestHead>>>,
    responses: RefCell<Vec<Box<ResponseHead>>>,
    /// Failed attempts that still count as under way.
    penalties: RefCell<Vec<(Millis, InFlight)>>,
}

/// A listener as one worker sees it.
pub(crate) struct ListenerView {
    pub(crate) listener: Arc<Listener>,
    pub(crate) cells: Arc<ListenerCells>,
}

/// A snapshot as one worker sees it.
pub(crate) struct View {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) services: Vec<ServiceView>,
    routes: Vec<OnceCell<Arc<RouteCells>>>,
}

/// What a worker thread starts with.
pub(crate) struct Start {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) sockets: Vec<(Arc<Listener>, ListeningSocket)>,
    pub(crate) inbox: mpsc::Receiver<Accepted>,
    pub(crate) inboxes: Vec<mpsc::Sender<Accepted>>,
    pub(crate) access_log: Option<Sink>,
    pub(crate) seed: u64,
}

/// Runs a worker until the process stops.
pub(crate) async fn run(start: Start) {
    let Start { index, shared, sockets, mut inbox, inboxes, access_log, seed } = start;
    let (worker, sockets) = Worker::new(index, shared, sockets, inboxes, access_log, seed);
    for (place, socket) in sockets.into_iter().enumerate() {
        // A worker that cannot accept would leave its share of the connections in the kernel's queue.
        let queue = Queue::new(socket).expect("a reactor that is new watches one more socket");
        spawn_vital(accept::run(Rc::clone(&worker), place, queue));
    }
    let receiver = Rc::clone(&worker);
    spawn_vital(async move {
        while let Some(accepted) = inbox.recv().await {
            accept::receive(&receiver, accepted);
        }
    });
    worker.tick_until_stopped().await;
}

impl Worker {
    fn new(
        index: usize,
        shared: Arc<Shared>,
        sockets: Vec<(Arc<Listener>, ListeningSocket)>,
        inboxes: Vec<mpsc::Sender<Accepted>>,
        access_log: Option<Sink>,
        seed: u64,
    ) -> (Rc<Self>, Vec<ListeningSocket>) {
        let mut rng = Rng::from_seed(seed);
        let (listeners, sockets) = sockets
            .into_iter()
            .map(|(listener, socket)| {
                let cells = shared.metrics.listener(index, listener.name.as_str());
                (Rc::new(ListenerView { listener, cells }), socket)
            })
            .unzip();
        let mut cache = Cache::new(Arc::clone(&shared.snapshot));
        let view = View::new(cache.load(), &shared, index, &mut rng);
        let worker = Worker {
            index,
            listeners,
            inboxes,
            wheel: Wheel::new(),
            buffers: Rc::default(),
            rng: RefCell::new(rng),
            cells: Arc::clone(&shared.metrics.cells[index]),
            date: Date::default(),
            access_log: access_log.map(RefCell::new),
            cache: RefCell::new(cache),
            view: RefCell::new(Rc::new(view)),
            heads: RefCell::default(),
            responses: RefCell::default(),
            penalties: RefCell::default(),
            shared,
        };
        (Rc::new(worker), sockets)
    }

    /// The snapshot in force. A request takes it once.
    pub(crate) fn view(&self) -> Rc<View> {
        let mut cache = self.cache.borrow_mut();
        let current = cache.load();
        let mut view = self.view.borrow_mut();
        if !Arc::ptr_eq(current, &view.snapshot) {
            *view = Rc::new(View::new(current, &self.shared, self.index, &mut self.rng.borrow_mut()));
        }
        Rc::clone(&view)
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
    pub(crate) fn penalize(&self, in_flight: InFlight) {
        let mut penalties = self.penalties.borrow_mut();
        if penalties.len() < MAX_PENALTIES {
            penalties.push((self.wheel.now() + PENALTY, in_flight));
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
            if let Some(log) = &self.access_log {
                log.borrow_mut().flush();
            }
            if now >= next_sweep {
                next_sweep = now + SWEEP;
                self.sweep();
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

    fn sweep(&self) {
        let view = self.view();
        for service in &view.services {
            for endpoint in &service.endpoints {
                transport::sweep(self, service, endpoint);
            }
        }
    }
}

impl View {
    fn new(snapshot: &Arc<Snapshot>, shared: &Arc<Shared>, worker: usize, rng: &mut Rng) -> Self {
        let services =
            snapshot.services.iter().map(|service| ServiceView::new(service, shared, worker, rng)).collect();
        let routes = snapshot.routes.iter().map(|_| OnceCell::new()).collect();
        View { snapshot: Arc::clone(snapshot), services, routes }
    }

    /// A route's numbers on this worker, made with its first request.
    pub(crate) fn route_cells(&self, worker: &Worker, route: usize) -> &RouteCells {
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
