//! Accepting: each worker takes connections from its own sockets and hands each to the less busy of itself and one
//! other, so that a few long connections do not stay together on one core.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use fulcrum_config::Protocol;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Notify;

use crate::connection::Connection;
use crate::idle::Among;
use crate::listener::{BindId, Listener, ListenerState, ListeningSocket};
use crate::metrics::Limit;
use crate::overload::Level;
use crate::shared::{Phase, Shared};
use crate::source::SourcePermit;
use crate::stream::Stream;
use crate::tcp;
use crate::worker::{ListenerView, Worker};

/// What one worker sends another.
pub(crate) enum Post {
    Accepted(Accepted),
    /// Close the connection that has been idle for the longest time: the sender has a client and no room.
    CloseIdle(Among),
}

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
    /// Where the listener limits its sources.
    _source: Option<SourcePermit>,
}

impl Permit {
    /// `None` when its source has as many connections as it may.
    fn new(worker: &Worker, listener: &Listener, peer: Option<SocketAddr>, target: usize) -> Option<Self> {
        let source = match (listener.connections_per_source, peer) {
            (Some(most), Some(peer)) => Some(SourcePermit::new(&listener.state, peer.ip(), most)?),
            _ => None,
        };
        Some(Self::counted(&worker.shared, &listener.state, target, source))
    }

    fn counted(
        shared: &Arc<Shared>,
        listener: &Arc<ListenerState>,
        worker: usize,
        source: Option<SourcePermit>,
    ) -> Self {
        shared.connections.fetch_add(1, Ordering::Relaxed);
        shared.workers[worker].connections.fetch_add(1, Ordering::Relaxed);
        listener.connections.fetch_add(1, Ordering::Relaxed);
        Permit { shared: Arc::clone(shared), listener: Arc::clone(listener), worker, _source: source }
    }

    /// Counts it for another worker.
    fn hand_to(&mut self, worker: usize) {
        self.shared.workers[worker].connections.fetch_add(1, Ordering::Relaxed);
        self.shared.workers[self.worker].connections.fetch_sub(1, Ordering::Relaxed);
        self.worker = worker;
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

    /// Whether somebody has connected, asking the kernel: one system call.
    fn has_client(&self) -> bool {
        let socket = match self {
            Queue::Tcp(listener) => listener.as_fd(),
            Queue::Unix(listener) => listener.as_fd(),
        };
        let mut sockets = [PollFd::from_borrowed_fd(socket, PollFlags::IN)];
        // Where the kernel has no answer, accepting will tell.
        poll(&mut sockets, Some(&Timespec::default())).map_or(true, |ready| ready > 0)
    }

    /// Accepts whom the kernel has, asking it and not the reactor: that of a socket which is new knows nothing yet.
    fn accept_now(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        match self {
            Queue::Tcp(listener) => {
                let stream = std::net::TcpStream::from(accept_with(listener, flags)?);
                let peer = canonical(stream.peer_addr()?);
                Ok((Stream::Tcp(tokio::net::TcpStream::from_std(stream)?), Some(peer)))
            }
            Queue::Unix(listener) => {
                let stream = std::os::unix::net::UnixStream::from(accept_with(listener, flags)?);
                Ok((Stream::Unix(tokio::net::UnixStream::from_std(stream)?), None))
            }
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

/// Where room for a client was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// An idle connection of this worker is about to end.
    Here,
    /// Another worker was asked for one of its idle connections.
    Asked,
    /// Nobody is idle, or whoever was asked had nobody.
    None,
}

/// The search for an idle connection, on this worker first.
#[derive(Debug, Default)]
struct Search {
    /// Other workers looked at since the last pause.
    looked_at: usize,
}

impl Search {
    fn make_room(&mut self, worker: &Worker, among: Among) -> Room {
        if worker.idle.close_longest(among) {
            return Room::Here;
        }
        let workers = &worker.shared.workers;
        while self.looked_at + 1 < workers.len() {
            self.looked_at += 1;
            let other = (worker.index + self.looked_at) % workers.len();
            let may_have = workers[other].idle.load(Ordering::Relaxed) > 0;
            if may_have && worker.inboxes[other].try_send(Post::CloseIdle(among)).is_ok() {
                return Room::Asked;
            }
        }
        self.looked_at = 0;
        Room::None
    }
}

/// Accepts on one socket until the process drains or the address is removed.
pub(crate) async fn run(
    worker: Rc<Worker>,
    (bind, listener): (BindId, Rc<ListenerView>),
    queue: Queue,
    stop: Rc<Notify>,
) {
    let mut phase = worker.shared.phase.subscribe();
    let drained = async move {
        // The sender lives as long as the data plane.
        let _ = phase.wait_for(|phase| *phase >= Phase::Draining).await;
    };
    let mut door = Door { bind, queue, listener, client: None };
    let _open = OpenDoor(Rc::clone(&worker));
    tokio::select! {
        () = drained => {}
        () = stop.notified() => {}
        () = door.accept_all(&worker) => {}
    }
    door.accept_rest(&worker);
}

/// A socket that connections may still come from, counted since its worker was told of it.
struct OpenDoor(Rc<Worker>);

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
    /// Accepted, and waiting for room.
    client: Option<(Stream, Option<SocketAddr>)>,
}

impl Door {
    async fn accept_all(&mut self, worker: &Rc<Worker>) {
        loop {
            self.wait_for_room(worker).await;
            match poll_fn(|context| self.queue.poll_accept(context)).await {
                Ok(client) => {
                    // While the door waited for a client, others may have taken the room, or the limit has changed.
                    self.client = Some(client);
                    self.wait_for_room(worker).await;
                    self.dispatch_client(worker);
                }
                Err(error) if is_exhaustion(&error) => {
                    worker.cells.hit(Limit::FileDescriptors);
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) if is_of_the_peer(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "connections cannot be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Accepts what the kernel has completed: it would be reset when the socket closes.
    fn accept_rest(&mut self, worker: &Rc<Worker>) {
        self.dispatch_client(worker);
        loop {
            match self.queue.accept_now() {
                Ok((stream, peer)) => self.dispatch(worker, stream, peer),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_exhaustion(&error) => return worker.cells.hit(Limit::FileDescriptors),
                Err(error) if is_of_the_peer(&error) => {}
                Err(error) => return tracing::warn!(%error, "the last connections cannot be accepted"),
            }
        }
    }

    /// Waits at the caps on connections: the kernel's queue holds the rest. Whoever only waits for a request makes room
    /// for whoever comes.
    async fn wait_for_room(&mut self, worker: &Worker) {
        let mut counted = false;
        let mut search = Search::default();
        loop {
            self.refresh(worker);
            let Some(limit) = self.limit_reached(worker) else { return };
            if !counted {
                worker.cells.hit(limit);
                counted = true;
            }
            if self.client.is_none() && !self.queue.has_client() {
                tokio::time::sleep(ROOM_CHECK).await;
                continue;
            }
            self.warn(worker, limit, None);
            match self.among(limit).map_or(Room::None, |among| search.make_room(worker, among)) {
                // The connection's own task ends it.
                Room::Here => tokio::task::yield_now().await,
                Room::Asked => tokio::time::sleep(ANSWER).await,
                Room::None => tokio::time::sleep(ROOM_CHECK).await,
            }
        }
    }

    /// What stands against another connection.
    fn limit_reached(&self, worker: &Worker) -> Option<Limit> {
        let (shared, listener) = (&worker.shared, &self.listener.listener);
        if shared.overload.level() >= Level::Pause {
            Some(Limit::MemoryPause)
        } else if listener.state.connections.load(Ordering::Relaxed) >= listener.max_connections {
            Some(Limit::ListenerConnections)
        } else if shared.connections() >= shared.overload.max_connections() {
            Some(Limit::Connections)
        } else {
            None
        }
    }

    /// Whose end makes room under this limit.
    fn among(&self, limit: Limit) -> Option<Among> {
        match limit {
            Limit::ListenerConnections => Some(Among::Listener(self.listener.listener.state.serial)),
            Limit::Connections => Some(Among::All),
            _ => None,
        }
    }

    fn dispatch_client(&mut self, worker: &Rc<Worker>) {
        if let Some((stream, peer)) = self.client.take() {
            self.dispatch(worker, stream, peer);
        }
    }

    /// Follows the configuration.
    fn refresh(&mut self, worker: &Worker) {
        if let Some(listener) = worker.view().listener(self.bind) {
            self.listener = Rc::clone(listener);
        }
    }

    fn dispatch(&self, worker: &Rc<Worker>, stream: Stream, peer: Option<SocketAddr>) {
        worker.cells.accepted.add(1);
        let target = worker.less_busy();
        let Some(permit) = Permit::new(worker, &self.listener.listener, peer, target) else {
            return self.limit_met(worker, Limit::ConnectionsPerSource, peer);
        };
        if target == worker.index {
            return serve(worker, &self.listener, stream, Arrival { peer, bind: self.bind, permit });
        }
        let socket = match Socket::of(stream) {
            Ok(socket) => socket,
            Err(error) => return lost(worker, &error),
        };
        let (bind, listener) = (self.bind, Arc::clone(&self.listener.listener));
        match worker.inboxes[target].try_send(Post::Accepted(Accepted {
            socket,
            peer,
            bind,
            listener,
            permit,
        })) {
            Ok(()) => worker.cells.handed_over.add(1),
            Err(error) => receive(worker, error.into_inner()),
        }
    }

    fn limit_met(&self, worker: &Worker, limit: Limit, peer: Option<SocketAddr>) {
        worker.cells.hit(limit);
        self.warn(worker, limit, peer);
    }

    fn warn(&self, worker: &Worker, limit: Limit, peer: Option<SocketAddr>) {
        if worker.shared.overload.may_warn(worker.wheel.now()) {
            let listener = &self.listener.listener;
            let peer = peer.map(|peer| peer.ip()).map(tracing::field::display);
            tracing::warn!(limit = limit.name(), listener = %listener.name(), peer, "a client finds no room");
        }
    }
}

/// The peer gave up while it was in the queue: accept(2) lists what can be pending on a new socket.
fn is_of_the_peer(error: &io::Error) -> bool {
    use Errno as E;
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        code,
        Some(
            E::CONNABORTED
                | E::CONNRESET
                | E::INTR
                | E::NETDOWN
                | E::PROTO
                | E::NOPROTOOPT
                | E::HOSTDOWN
                | E::NONET
                | E::HOSTUNREACH
                | E::OPNOTSUPP
                | E::NETUNREACH
                | E::PERM
                | E::NOTCONN
                | E::TIMEDOUT
        )
    )
}

fn is_exhaustion(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

/// Does what another worker has sent.
pub(crate) fn receive(worker: &Rc<Worker>, post: Post) {
    match post {
        Post::Accepted(accepted) => receive_accepted(worker, accepted),
        Post::CloseIdle(among) => drop(worker.idle.close_longest(among)),
    }
}

/// Serves a connection that another worker has accepted.
fn receive_accepted(worker: &Rc<Worker>, accepted: Accepted) {
    let Accepted { socket, peer, bind, listener, mut permit } = accepted;
    // Whose inbox was full is not the less busy one after all, and has it back.
    permit.hand_to(worker.index);
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
        Protocol::Http => worker.spawn(Box::new(Connection::new(worker, listener, stream, arrival)).serve()),
        Protocol::Tcp(_) => {
            worker.spawn(Box::new(tcp::Connection::new(worker, listener, stream, arrival)).serve())
        }
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
/// How long another worker is given to close an idle connection.
const ANSWER: Duration = Duration::from_millis(2);
