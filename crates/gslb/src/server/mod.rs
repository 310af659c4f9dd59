//! Sockets and threads: queries come in, answers go out.
//!
//! Over UDP there is one thread per worker with a socket of its own for each address (SO_REUSEPORT), which the kernel spreads clients
//! over. TCP has one thread with a runtime. Both call the same [`answer`](crate::answer()).

mod places;
#[allow(unsafe_code)]
mod syscalls;
mod tcp;
mod udp;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use fulcrum_config::gslb::{DnsBind, Gslb};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::counters::Counters;
use crate::query_log::QueryLog;
use crate::rate::Rate;
use crate::snapshot::Snapshot;

pub use tcp::TcpLimits;

/// Sockets that are bound, and not yet read from.
#[derive(Debug)]
pub struct Sockets {
    /// By worker, and then by address.
    udp: Vec<Vec<std::net::UdpSocket>>,
    tcp: Vec<std::net::TcpListener>,
    addresses: Vec<SocketAddr>,
}

/// Why an address cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot answer DNS at {address}: {source}")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the system says.
    pub source: io::Error,
}

/// What a responder answers with; the snapshot is exchanged while it runs.
#[derive(Clone, Debug)]
pub struct Shared {
    /// What is answered.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// How many equal answers a network gets; exchanged with the configuration.
    pub rate: Arc<ArcSwap<Option<Rate>>>,
    /// Where a sample of the queries is noted; exchanged with the configuration.
    pub(crate) log: Arc<ArcSwap<Option<QueryLog>>>,
    /// What has happened.
    pub counters: Arc<Counters>,
}

/// A responder that runs until it is told to end.
#[derive(Debug)]
pub struct Server {
    threads: Vec<JoinHandle<()>>,
    is_ending: Arc<AtomicBool>,
    ending: tokio::sync::watch::Sender<bool>,
}

impl Sockets {
    /// Binds all addresses of a configuration, over UDP for each worker and over TCP. Nothing is answered yet.
    pub fn bind(gslb: &Gslb) -> Result<Self, BindError> {
        Self::bind_for(gslb.workers.get(), &gslb.bind)
    }

    /// The same for so many workers.
    pub fn bind_for(workers: usize, binds: &[DnsBind]) -> Result<Self, BindError> {
        let mut sockets = Sockets { udp: Vec::new(), tcp: Vec::new(), addresses: Vec::new() };
        sockets.udp.resize_with(workers, Vec::new);
        for bind in binds {
            let failed = |source| BindError { address: bind.address, source };
            sockets.add(bind).map_err(failed)?;
        }
        Ok(sockets)
    }

    fn add(&mut self, bind: &DnsBind) -> io::Result<()> {
        // A port that the system chooses is free over TCP; over UDP it may be somebody's.
        let tries = if bind.address.port() == 0 { PORT_TRIES } else { 1 };
        let (address, tcp, udp) = until_free(tries, || bound(bind, self.udp.len()))?;
        self.udp.iter_mut().zip(udp).for_each(|(worker, socket)| worker.push(socket));
        self.tcp.push(tcp);
        self.addresses.push(address);
        Ok(())
    }

    /// Where queries are taken, in the order of the configuration.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Begins to answer; with all threads or with none.
    pub fn start(self, shared: &Shared, limits: TcpLimits) -> io::Result<Server> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (ending, ended) = tokio::sync::watch::channel(false);
        let mut server = Server { threads: Vec::new(), is_ending: Arc::new(AtomicBool::new(false)), ending };
        let service = tcp::Service::new(self.tcp, shared.clone(), limits, ended);
        let started = server
            .start_workers(self.udp, shared)
            .and_then(|()| server.spawn("dns-tcp", move || service.run(&runtime)));
        match started {
            Ok(()) => Ok(server),
            Err(error) => {
                server.end();
                Err(error)
            }
        }
    }
}

impl Server {
    fn start_workers(&mut self, sockets: Vec<Vec<std::net::UdpSocket>>, shared: &Shared) -> io::Result<()> {
        let began = Instant::now();
        for (number, sockets) in sockets.into_iter().enumerate() {
            for (place, socket) in sockets.into_iter().enumerate() {
                let is_ending = Arc::clone(&self.is_ending);
                let worker = udp::Worker::new(socket, shared.clone(), number, began, is_ending);
                self.spawn(&format!("dns-{number}.{place}"), move || worker.run())?;
            }
        }
        Ok(())
    }

    /// A thread that nothing can do without: a panic in it ends the process, which would look well and answer nothing.
    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let guarded = move || {
            let _guard = AbortOnPanic;
            work();
        };
        self.threads.push(thread::Builder::new().name(name.to_owned()).spawn(guarded)?);
        Ok(())
    }

    /// Takes no more queries, answers what has come, and ends. Connections that are in the middle of a query have a second for it.
    pub fn end(mut self) {
        self.is_ending.store(true, Ordering::Relaxed);
        let _ = self.ending.send(true);
        for thread in self.threads.drain(..) {
            // A panic in it is not survived.
            let _ = thread.join();
        }
    }
}

struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!("a thread that answers DNS has died: aborting");
            std::process::abort();
        }
    }
}

/// Tries again while the address is taken.
fn until_free<T>(tries: usize, mut bind: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut left = tries;
    loop {
        left = left.saturating_sub(1);
        match bind() {
            Err(error) if left > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
            result => return result,
        }
    }
}

/// The sockets for an address: one over TCP, and one over UDP for each worker.
fn bound(
    bind: &DnsBind,
    workers: usize,
) -> io::Result<(SocketAddr, std::net::TcpListener, Vec<std::net::UdpSocket>)> {
    let tcp = tcp_socket(bind)?;
    // The port that the system chose, if it was to choose one, is that of all.
    let address = tcp.local_addr()?;
    let bind = DnsBind { address, ..*bind };
    probe(&bind)?;
    let udp = (0..workers).map(|_| udp_socket(&bind)).collect::<io::Result<_>>()?;
    Ok((address, tcp, udp))
}

fn socket(bind: &DnsBind, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let domain = Domain::for_address(bind.address);
    let socket = Socket::new(domain, kind, Some(protocol))?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(!bind.dual_stack)?;
    }
    Ok(socket)
}

fn tcp_socket(bind: &DnsBind) -> io::Result<std::net::TcpListener> {
    let socket = socket(bind, Type::STREAM, Protocol::TCP)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(bind.address))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// With SO_REUSEPORT a second daemon would take half of the queries: without it, binding fails.
fn probe(bind: &DnsBind) -> io::Result<()> {
    socket(bind, Type::DGRAM, Protocol::UDP)?.bind(&SockAddr::from(bind.address))
}

fn udp_socket(bind: &DnsBind) -> io::Result<std::net::UdpSocket> {
    use std::os::fd::AsFd;
    let socket = socket(bind, Type::DGRAM, Protocol::UDP)?;
    socket.set_reuse_port(true)?;
    socket.set_recv_buffer_size(BUFFER)?;
    socket.set_send_buffer_size(BUFFER)?;
    socket.set_read_timeout(Some(LOOK))?;
    socket.bind(&SockAddr::from(bind.address))?;
    syscalls::prepare(socket.as_fd(), bind.address.ip())?;
    Ok(socket.into())
}

/// Ports of the system's choice that are tried.
const PORT_TRIES: usize = 16;
/// Connections that wait to be taken.
const BACKLOG: i32 = 1024;
/// Queries that wait while a worker is busy; the system may give less. Bytes.
const BUFFER: usize = 4 << 20;
/// How soon a worker that nobody asks sees that it is to end.
const LOOK: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests;
