//! Sockets and threads: queries come in, answers go out.
//!
//! Over UDP there is one thread per worker with a socket of its own for each address (SO_REUSEPORT), which the kernel spreads clients
//! over. TCP has one thread with a runtime. Both call the same [`answer`](crate::answer()).

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
        let tcp = tcp_socket(bind)?;
        // The port that the system chose, if it was to choose one, is that of all.
        let address = tcp.local_addr()?;
        let bind = DnsBind { address, ..*bind };
        probe(&bind)?;
        for worker in &mut self.udp {
            worker.push(udp_socket(&bind)?);
        }
        self.tcp.push(tcp);
        self.addresses.push(address);
        Ok(())
    }

    /// Where queries are taken, in the order of the configuration.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Begins to answer.
    pub fn start(self, shared: &Shared, limits: TcpLimits) -> io::Result<Server> {
        let is_ending = Arc::new(AtomicBool::new(false));
        let (ending, ended) = tokio::sync::watch::channel(false);
        let began = Instant::now();
        let mut threads = Vec::new();
        for (number, sockets) in self.udp.into_iter().enumerate() {
            for (place, socket) in sockets.into_iter().enumerate() {
                let worker = udp::Worker::new(socket, shared.clone(), number, began, Arc::clone(&is_ending));
                let name = format!("dns-{number}.{place}");
                threads.push(thread::Builder::new().name(name).spawn(move || worker.run())?);
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let service = tcp::Service::new(self.tcp, shared.clone(), limits, ended);
        threads.push(thread::Builder::new().name("dns-tcp".to_owned()).spawn(move || service.run(&runtime))?);
        Ok(Server { threads, is_ending, ending })
    }
}

impl Server {
    /// Takes no more queries, answers what has come, and ends; connections that are in the middle of a query are given up.
    pub fn end(mut self) {
        self.is_ending.store(true, Ordering::Relaxed);
        let _ = self.ending.send(true);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread that answers DNS has panicked");
            }
        }
    }
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
    syscalls::prepare(socket.as_fd(), bind.address.is_ipv4())?;
    Ok(socket.into())
}

/// Connections that wait to be taken.
const BACKLOG: i32 = 1024;
/// Queries that wait while a worker is busy; the system may give less. Bytes.
const BUFFER: usize = 4 << 20;
/// How soon a worker that nobody asks sees that it is to end.
const LOOK: Duration = Duration::from_millis(250);
