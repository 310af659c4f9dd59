//! Connections to endpoints: a pool per worker and endpoint, and how new ones are made.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use fulcrum_model::Address;
use tokio::net::{TcpStream, UnixStream};

use crate::http::error::Reason;
use crate::http1::client::ClientConnection;
use crate::http1::wire::Wire;
use crate::metrics::Limit;
use crate::service::{EndpointView, ServiceView};
use crate::stream::Stream;
use crate::timer::Millis;
use crate::worker::Worker;

/// A connection to an endpoint, in use or in the pool.
pub(crate) struct Upstream {
    pub(crate) connection: ClientConnection,
    /// It has served a request before: the endpoint may be closing it right now.
    pub(crate) reused: bool,
    born: Millis,
    requests: u64,
    idle_since: Millis,
}

/// Idle connections of one worker to one endpoint; the most recently used is taken first.
#[derive(Default)]
#[expect(clippy::vec_box, reason = "a connection moves between pool and request as a pointer")]
pub(crate) struct Pool(RefCell<Vec<Box<Upstream>>>);

/// Takes an idle connection, or makes one. Errors are of the connection: nothing of a request has been sent.
pub(crate) async fn connection(
    worker: &Rc<Worker>,
    service: &ServiceView,
    endpoint: &EndpointView,
) -> Result<Box<Upstream>, Reason> {
    if let Some(upstream) = checkout(worker, service, endpoint) {
        endpoint.cells.reused.add(1);
        return Ok(upstream);
    }
    fresh_connection(worker, service, endpoint).await
}

/// Makes a connection.
pub(crate) async fn fresh_connection(
    worker: &Rc<Worker>,
    service: &ServiceView,
    endpoint: &EndpointView,
) -> Result<Box<Upstream>, Reason> {
    let started = Instant::now();
    let stream = match service.service.timeouts.connect {
        Some(limit) => match tokio::time::timeout(limit, connect(&endpoint.endpoint.address)).await {
            Ok(connected) => connected,
            Err(_) => return Err(Reason::ConnectTimeout),
        },
        None => connect(&endpoint.endpoint.address).await,
    };
    let stream = stream.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Reason::ConnectRefused,
        io::ErrorKind::TimedOut => Reason::ConnectTimeout,
        _ => Reason::ConnectFailed,
    })?;
    service.cells.connect.observe(started.elapsed());
    endpoint.cells.connections.add(1);
    let wire = Wire::new(stream, Rc::clone(&worker.buffers), Rc::clone(&worker.wheel));
    let now = worker.wheel.now();
    Ok(Box::new(Upstream {
        connection: ClientConnection::new(wire),
        reused: false,
        born: now,
        requests: 0,
        idle_since: now,
    }))
}

async fn connect(address: &Address) -> io::Result<Stream> {
    match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Stream::Tcp(stream))
        }
        Address::Unix(path) => Ok(Stream::Unix(UnixStream::connect(path).await?)),
    }
}

fn checkout(worker: &Worker, service: &ServiceView, endpoint: &EndpointView) -> Option<Box<Upstream>> {
    let now = worker.wheel.now();
    let mut idle = endpoint.pool.0.borrow_mut();
    while let Some(mut upstream) = idle.pop() {
        endpoint.cells.idle.subtract(1);
        if upstream.is_usable(now, &service.service.pool) {
            upstream.reused = true;
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

impl Upstream {
    /// Young enough, and silent: an idle connection that shows data or an end is of no use.
    fn is_usable(&mut self, now: Millis, pool: &fulcrum_config::Pool) -> bool {
        now.saturating_sub(self.idle_since) < crate::timer::millis(pool.idle)
            && now.saturating_sub(self.born) < crate::timer::millis(pool.max_age)
            && self.is_silent()
    }

    /// Asks the reactor, which costs no system call unless it has seen something.
    fn is_silent(&self) -> bool {
        let stream = self.connection.wire.stream();
        match stream.poll_read_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => true,
            Poll::Ready(Err(_)) => false,
            Poll::Ready(Ok(())) => {
                let mut byte = [0];
                stream.try_read(&mut byte).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
            }
        }
    }
}
