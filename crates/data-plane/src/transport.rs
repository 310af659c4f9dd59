//! Connections to endpoints: a pool per worker and endpoint, and how new ones are made.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use fulcrum_model::Address;
use rustix::io::Errno;
use tokio::net::{TcpStream, UnixStream};

use crate::endpoint::Endpoint;
use crate::http::error::Reason;
use crate::http1::client::ClientConnection;
use crate::http1::wire::Wire;
use crate::metrics::Limit;
use crate::service::{EndpointView, ServiceView};
use crate::shared::Shared;
use crate::stream::Stream;
use crate::timer::Millis;
use crate::turn;
use crate::worker::{Order, Worker};

/// A connection to an endpoint, in use or in the pool.
pub(crate) struct Upstream {
    pub(crate) connection: ClientConnection,
    /// It has served a request before: the endpoint may be closing it right now.
    pub(crate) reused: bool,
    born: Millis,
    requests: u64,
    idle_since: Millis,
    /// The reactor's turn in which it became idle.
    idle_turn: u64,
    _counted: CountedUpstream,
}

/// Counts a connection to an upstream, until dropped.
struct CountedUpstream(Arc<Shared>, Arc<Endpoint>);

impl CountedUpstream {
    /// `None` when the descriptors that are left are needed to operate the process.
    fn new(shared: &Arc<Shared>, endpoint: &Arc<Endpoint>) -> Option<Self> {
        let upstreams = shared.upstreams.fetch_add(1, Ordering::Relaxed);
        let counted = CountedUpstream(Arc::clone(shared), Arc::clone(endpoint));
        (shared.connections() + upstreams < shared.max_descriptors).then_some(counted)
    }
}

impl Drop for CountedUpstream {
    fn drop(&mut self) {
        self.0.upstreams.fetch_sub(1, Ordering::Relaxed);
        self.1.disconnected();
    }
}

/// Idle connections of one worker to one endpoint; the most recently used is taken first.
#[derive(Default)]
#[expect(clippy::vec_box, reason = "a connection moves between pool and request as a pointer")]
pub(crate) struct Pool(RefCell<Vec<Box<Upstream>>>);

/// Makes a connection. Errors are of the connection: nothing of a request has been sent.
pub(crate) async fn connect(
    worker: &Rc<Worker>,
    service: &ServiceView,
    endpoint: &EndpointView,
) -> Result<Box<Upstream>, Reason> {
    make_room(worker, service, &endpoint.endpoint).await?;
    let Some(counted) = CountedUpstream::new(&worker.shared, &endpoint.endpoint) else {
        worker.cells.hit(Limit::FileDescriptors);
        return Err(Reason::NoResources);
    };
    let started = Instant::now();
    let stream = match service.service.timeouts.connect {
        Some(limit) => match tokio::time::timeout(limit, dial(&endpoint.endpoint.address)).await {
            Ok(connected) => connected,
            Err(_) => return Err(Reason::ConnectTimeout),
        },
        None => dial(&endpoint.endpoint.address).await,
    };
    let stream = stream.map_err(|error| {
        let reason = reason(&error);
        if reason == Reason::NoResources {
            worker.cells.hit(Limit::FileDescriptors);
        }
        reason
    })?;
    service.cells.connect.observe(started.elapsed());
    if endpoint.endpoint.accepted() {
        endpoint.state.reached(&endpoint.endpoint, worker.shared.now());
    }
    endpoint.cells.connections.add(1);
    let wire = Wire::new(stream, Rc::clone(&worker.buffers), Rc::clone(&worker.wheel));
    let now = worker.wheel.now();
    Ok(Box::new(Upstream {
        connection: ClientConnection::new(wire),
        reused: false,
        born: now,
        requests: 0,
        idle_since: now,
        idle_turn: 0,
        _counted: counted,
    }))
}

/// Counts one more connection to the endpoint. At the bound (`limits.max_connections`) a worker closes an idle one: there
/// is one, because a request has its place only where there is a connection for it.
async fn make_room(worker: &Worker, service: &ServiceView, endpoint: &Arc<Endpoint>) -> Result<(), Reason> {
    let most = service.service.max_connections;
    if endpoint.try_connect(most) {
        return Ok(());
    }
    worker.cells.hit(Limit::EndpointConnections);
    for _ in 0..ROOM_LOOKS {
        worker.orders.iter().for_each(|worker| {
            // A worker that has ended has no connections.
            let _ = worker.send(Order::CloseIdle(endpoint.serial, most));
        });
        tokio::time::sleep(ROOM_LOOK).await;
        if endpoint.try_connect(most) {
            return Ok(());
        }
    }
    Err(Reason::QueueTimeout)
}

/// Closes the connection to the endpoint that has been idle for longest, if it is at its bound.
pub(crate) fn close_idle(endpoint: &EndpointView, most: u32) {
    let mut idle = endpoint.pool.0.borrow_mut();
    if !idle.is_empty() && endpoint.endpoint.connections() >= most {
        idle.remove(0);
        endpoint.cells.idle.subtract(1);
    }
}

/// How often and how long a request looks for room for its connection: a second in all.
const ROOM_LOOKS: u32 = 200;
const ROOM_LOOK: Duration = Duration::from_millis(5);

/// What a failed connect says.
fn reason(error: &io::Error) -> Reason {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    match (error.kind(), code) {
        (_, Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::ADDRNOTAVAIL)) => {
            Reason::NoResources
        }
        (io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound, _) => Reason::ConnectRefused,
        (io::ErrorKind::TimedOut, _) => Reason::ConnectTimeout,
        _ => Reason::ConnectFailed,
    }
}

async fn dial(address: &Address) -> io::Result<Stream> {
    match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Stream::Tcp(stream))
        }
        Address::Unix(path) => Ok(Stream::Unix(UnixStream::connect(path).await?)),
    }
}

/// Takes the connection that was used last.
pub(crate) fn checkout(
    worker: &Worker,
    service: &ServiceView,
    endpoint: &EndpointView,
) -> Option<Box<Upstream>> {
    let now = worker.wheel.now();
    let mut idle = endpoint.pool.0.borrow_mut();
    while let Some(mut upstream) = idle.pop() {
        endpoint.cells.idle.subtract(1);
        if upstream.is_usable(now, &service.service.pool) {
            upstream.reused = true;
            endpoint.cells.reused.add(1);
            return Some(upstream);
        }
    }
    None
}

/// Puts a connection back after a whole exchange, if it can serve another one.
pub(crate) fn give_back(
    worker: &Worker,
    service: &ServiceView,
    endpoint: &EndpointView,
    mut upstream: Box<Upstream>,
) {
    let pool = &service.service.pool;
    upstream.requests += 1;
    if !upstream.connection.is_clean()
        || worker.is_draining()
        || endpoint.endpoint.is_removed()
        || pool.max_requests.is_some_and(|max| upstream.requests >= max.get())
    {
        return;
    }
    let mut idle = endpoint.pool.0.borrow_mut();
    if idle.len() >= pool.max_idle as usize {
        worker.cells.hit(Limit::PoolIdle);
        return;
    }
    upstream.connection.wire.rest();
    upstream.idle_since = worker.wheel.now();
    upstream.idle_turn = turn::now();
    idle.push(upstream);
    endpoint.cells.idle.add(1);
}

/// Closes connections that have been idle for too long, or that the endpoint has closed.
pub(crate) fn sweep(worker: &Worker, pool: &fulcrum_config::Pool, endpoint: &EndpointView) {
    let mut idle = endpoint.pool.0.borrow_mut();
    if idle.is_empty() {
        return;
    }
    let now = worker.wheel.now();
    let before = idle.len();
    if endpoint.endpoint.is_removed() {
        idle.clear();
    }
    idle.retain_mut(|upstream| upstream.is_usable(now, pool));
    endpoint.cells.idle.subtract((before - idle.len()) as u64);
}

/// Closes every idle connection.
pub(crate) fn close_all_idle(endpoint: &EndpointView) {
    let closed = endpoint.pool.0.take();
    endpoint.cells.idle.subtract(closed.len() as u64);
}

impl Upstream {
    /// Young enough, and silent: an idle connection that shows data or an end is of no use.
    fn is_usable(&mut self, now: Millis, pool: &fulcrum_config::Pool) -> bool {
        now.saturating_sub(self.idle_since) < crate::timer::millis(pool.idle)
            && now.saturating_sub(self.born) < crate::timer::millis(pool.max_age)
            && self.is_silent()
    }

    /// Asks the reactor, which costs no system call; the kernel where the reactor has seen something, or has not looked
    /// since the connection became idle.
    fn is_silent(&self) -> bool {
        let stream = self.connection.wire.stream();
        let is_seen = stream.poll_read_ready(&mut Context::from_waker(Waker::noop())).is_ready();
        if is_seen || self.idle_turn == turn::now() { stream.is_silent() } else { true }
    }
}
