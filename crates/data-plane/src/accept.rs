//! Accepting: each worker takes connections from its own sockets and hands each to the less busy of itself and one
//! other, so that a few long connections do not stay together on one core.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use fulcrum_config::Protocol;
use rustix::io::Errno;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Notify;
use tokio::task::coop::unconstrained;

use crate::connection::Connection;
use crate::listener::{BindId, Listener, ListenerState, ListeningSocket};
use crate::metrics::Limit;
use crate::shared::{Phase, Shared};
use crate::stream::Stream;
use crate::tcp;
use crate::worker::{ListenerView, Worker};

/// A connection that no reactor knows yet, on its way to the worker that will serve it.
pub(crate) struct Accepted {
    socket: Socket,
    /// `None` on unix sockets.
    peer: Option<SocketAddr>,
    bind: BindId,
    /// As the worker that accepted it knows it.
    listener: Arc<Listener>,
    permit: Permit,
}

/// A connection's place within the limits, until dropped.
pub(crate) struct Permit {
    shared: Arc<Shared>,
    listener: Arc<ListenerState>,
    /// Whom it is counted for.
    worker: usize,
}

impl Permit {
    fn new(shared: &Arc<Shared>, listener: &Arc<ListenerState>, worker: usize) -> Self {
        shared.connections.fetch_add(1, Ordering::Relaxed);
        shared.workers[worker].connections.fetch_add(1, Ordering::Relaxed);
        listener.connections.fetch_add(1, Ordering::Relaxed);
        Permit { shared: Arc::clone(shared), listener: Arc::clone(listener), worker }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.listener.connections.fetch_sub(1, Ordering::Relaxed);
        self.shared.workers[self.worker].connections.fetch_sub(1, Ordering::Relaxed);
        self.shared.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A worker's own socket of a bound address.
pub(crate) enum Queue {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Queue {
    pub(crate) fn new(socket: ListeningSocket) -> io::Result<Self> {
        match socket {
            ListeningSocket::Tcp(socket) => TcpListener::from_std(socket).map(Queue::Tcp),
            ListeningSocket::Unix(socket) => UnixListener::from_std(socket).map(Queue::Unix),
        }
    }

    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(Stream, Option<SocketAddr>)>> {
        match self {
            Queue::Tcp(listener) => listener
                .poll_accept(context)
                .map_ok(|(stream, peer)| (Stream::Tcp(stream), Some(canonical(peer)))),
            Queue::Unix(listener) => {
                listener.poll_accept(context).map_ok(|(stream, _)| (Stream::Unix(stream), None))
            }
        }
    }
}

/// An IPv4 peer of a dual-stack socket as what it is.
fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

/// Accepts on one socket until the process drains or the address is removed.
pub(crate) async fn run(worker: Rc<Worker>, bind: BindId, queue: Queue, stop: Rc<Notify>) {
    let mut phase = worker.shared.phase.subscribe();
    let drained = async move {
        // The sender lives as long as the data plane.
        let _ = phase.wait_for(|phase| *phase >= Phase::Draining).await;
    };
    let known = worker.view().listener(bind).map(Rc::clone);
    let listener = known.expect("an address is opened by its generation");
    let mut door = Door { bind, queue, listener };
    let _open = OpenDoor::new(&worker);
    tokio::select! {
        () = drained => {}
        () = stop.notified() => {}
        () = door.accept_all(&worker) => {}
    }
    door.accept_rest(&worker).await;
}

/// Counts a socket that connections may still come from.
struct OpenDoor(Rc<Worker>);

impl OpenDoor {
    fn new(worker: &Rc<Worker>) -> Self {
        worker.shared.doors.fetch_add(1, Ordering::SeqCst);
        OpenDoor(Rc::clone(worker))
    }
}

impl Drop for OpenDoor {
    fn drop(&mut self) {
        self.0.shared.doors.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One socket that a worker accepts on.
struct Door {
    bind: BindId,
    queue: Queue,
    /// As it was last seen: of a removed one the last connections are still counted somewhere.
    listener: Rc<ListenerView>,
}

impl Door {
    async fn accept_all(&mut self, worker: &Rc<Worker>) {
        loop {
            self.wait_for_room(worker).await;
            match poll_fn(|context| self.queue.poll_accept(context)).await {
                Ok((stream, peer)) => self.dispatch(worker, stream, peer),
                Err(error) if is_exhaustion(&error) => {
                    worker.cells.hit(Limit::FileDescriptors);
                    tokio::time::sleep(PAUSE).await;
                }
                // The peer gave up while it was in the queue (accept(2) lists what can be pending on a new socket).
                Err(_) => {}
            }
        }
    }

    /// Accepts what the kernel has completed: it would be reset when the socket closes.
    async fn accept_rest(&self, worker: &Rc<Worker>) {
        // Without a budget: to yield looks like an empty queue.
        unconstrained(poll_fn(|context| {
            loop {
                match self.queue.poll_accept(context) {
                    Poll::Ready(Ok((stream, peer))) => self.dispatch(worker, stream, peer),
                    Poll::Ready(Err(error)) if is_exhaustion(&error) => {
                        worker.cells.hit(Limit::FileDescriptors);
                        return Poll::Ready(());
                    }
                    Poll::Ready(Err(_)) => {}
                    Poll::Pending => return Poll::Ready(()),
                }
            }
        }))
        .await;
    }

    /// Waits at the caps on connections: the kernel's queue holds the rest.
    async fn wait_for_room(&mut self, worker: &Worker) {
        let mut counted = false;
        loop {
            if let Some(listener) = worker.view().listener(self.bind) {
                self.listener = Rc::clone(listener);
            }
            let listener = &self.listener.listener;
            let limit = if worker.shared.connections() >= worker.shared.max_connections {
                Limit::Connections
            } else if listener.state.connections.load(Ordering::Relaxed) >= listener.max_connections {
                Limit::ListenerConnections
            } else {
                return;
            };
            if !counted {
                worker.cells.hit(limit);
                counted = true;
            }
            tokio::time::sleep(ROOM_CHECK).await;
        }
    }

    fn dispatch(&self, worker: &Rc<Worker>, stream: Stream, peer: Option<SocketAddr>) {
        worker.cells.accepted.add(1);
        let state = &self.listener.listener.state;
        let target = worker.less_busy();
        let permit = Permit::new(&worker.shared, state, target);
        if target == worker.index {
            return serve(worker, &self.listener, stream, Arrival { peer, bind: self.bind, permit });
        }
        let socket = match Socket::of(stream) {
            Ok(socket) => socket,
            Err(error) => return lost(worker, &error),
        };
        let (bind, listener) = (self.bind, Arc::clone(&self.listener.listener));
        match worker.inboxes[target].try_send(Accepted { socket, peer, bind, listener, permit }) {
            Ok(()) => worker.cells.handed_over.add(1),
            Err(error) => {
                // Its inbox is full, so that it is not the less busy one after all.
                let mut accepted = error.into_inner();
                accepted.permit = Permit::new(&worker.shared, state, worker.index);
                receive(worker, accepted);
            }
        }
    }
}

fn is_exhaustion(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

/// Serves a connection that another worker has accepted.
pub(crate) fn receive(worker: &Rc<Worker>, accepted: Accepted) {
    let Accepted { socket, peer, bind, listener, permit } = accepted;
    let listener = match worker.view().listener(bind) {
        Some(listener) => Rc::clone(listener),
        // Removed meanwhile: whom we have accepted is served once.
        None => Rc::new(ListenerView::new(&listener, &worker.shared, worker.index)),
    };
    match socket.into_stream() {
        Ok(stream) => serve(worker, &listener, stream, Arrival { peer, bind, permit }),
        Err(error) => lost(worker, &error),
    }
}

/// A connection that no reactor takes: there is no memory for another one.
fn lost(worker: &Worker, error: &io::Error) {
    worker.cells.hit(Limit::FileDescriptors);
    tracing::warn!(%error, "a new connection was lost");
}

/// Where a connection comes from.
pub(crate) struct Arrival {
    /// `None` on unix sockets.
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) bind: BindId,
    pub(crate) permit: Permit,
}

fn serve(worker: &Rc<Worker>, listener: &Rc<ListenerView>, stream: Stream, arrival: Arrival) {
    let view = worker.view();
    // What is spoken here may have changed while we waited for somebody to come.
    let listener = view.listener(arrival.bind).unwrap_or(listener);
    match &listener.listener.protocol {
        Protocol::Http => worker.spawn(Connection::new(worker, listener, stream, arrival).serve()),
        Protocol::Tcp(_) => worker.spawn(tcp::Connection::new(worker, listener, stream, arrival).serve()),
    }
}

/// A connected socket that belongs to no reactor.
pub(crate) enum Socket {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Socket {
    fn of(stream: Stream) -> io::Result<Self> {
        match stream {
            Stream::Tcp(stream) => stream.into_std().map(Socket::Tcp),
            Stream::Unix(stream) => stream.into_std().map(Socket::Unix),
        }
    }

    fn into_stream(self) -> io::Result<Stream> {
        match self {
            Socket::Tcp(stream) => tokio::net::TcpStream::from_std(stream).map(Stream::Tcp),
            Socket::Unix(stream) => tokio::net::UnixStream::from_std(stream).map(Stream::Unix),
        }
    }
}

/// Without file descriptors there is nothing to do but wait for some.
const PAUSE: Duration = Duration::from_millis(100);
/// How often a full listener looks for room.
const ROOM_CHECK: Duration = Duration::from_millis(20);
