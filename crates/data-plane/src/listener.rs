//! Bound addresses: how sockets are made so that every worker has its own, and that no other process shares them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use fulcrum_config::{self as config, Bind, ListenerAction};
use fulcrum_model::ListenerName;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use crate::http1::head::RequestRules;
use crate::http1::scan::HeadLimits;
use crate::source::Sources;
use crate::timer::Millis;

/// What a generation says of a listener.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) state: Arc<ListenerState>,
    pub(crate) action: ListenerAction,
    pub(crate) limits: HeadLimits,
    pub(crate) rules: RequestRules,
    pub(crate) encoded_slash: config::EncodedSlash,
    pub(crate) max_body: Option<u64>,
    pub(crate) header_timeout: Millis,
    pub(crate) body_idle: Millis,
    pub(crate) keep_alive: Millis,
    /// Most connections at a time.
    pub(crate) max_connections: u32,
    /// Most of them from one source.
    pub(crate) connections_per_source: Option<NonZeroU32>,
}

/// A listener through all generations of its configuration.
#[derive(Debug)]
pub(crate) struct ListenerState {
    /// Unlike that of any other listener of the process.
    pub(crate) serial: u64,
    pub(crate) name: ListenerName,
    /// Connections open now, over all workers.
    pub(crate) connections: AtomicU32,
    /// Where they come from: those that were accepted under a limit on that.
    pub(crate) sources: Sources,
}

impl ListenerState {
    pub(crate) fn new(name: &ListenerName) -> Self {
        ListenerState {
            serial: NEXT_LISTENER.fetch_add(1, Ordering::Relaxed),
            name: name.clone(),
            connections: AtomicU32::new(0),
            sources: Sources::default(),
        }
    }
}

impl Listener {
    pub(crate) fn new(listener: &config::Listener, state: &Arc<ListenerState>) -> Self {
        let http = &listener.http;
        Listener {
            state: Arc::clone(state),
            action: listener.action,
            limits: HeadLimits {
                first_line: http.request_line as usize,
                field: http.header_field as usize,
                total: http.headers as usize,
                count: usize::from(http.header_count),
            },
            rules: RequestRules { underscores: http.underscores },
            encoded_slash: http.encoded_slash,
            max_body: http.body,
            header_timeout: crate::timer::millis(listener.timeouts.header),
            body_idle: crate::timer::millis(listener.timeouts.body_idle),
            keep_alive: crate::timer::millis(listener.timeouts.keep_alive),
            max_connections: listener.max_connections.map_or(u32::MAX, |max| max.get()),
            connections_per_source: listener.connections_per_source,
        }
    }

    pub(crate) fn name(&self) -> &ListenerName {
        &self.state.name
    }

    /// Most bytes of a head.
    pub(crate) fn head_limit(&self) -> usize {
        self.limits.first_line + self.limits.total + 8
    }
}

/// Names one bound address for as long as it is bound; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct BindId(u64);

/// What makes a bound address the same one in the next generation, whichever listener it belongs to there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BindKey {
    bind: Bind,
    /// Port 0 is another port each time: then its owner and place tell.
    owner: Option<(ListenerName, usize)>,
}

impl BindKey {
    /// The keys of a listener's addresses, in their order.
    pub(crate) fn all(listener: &config::Listener) -> impl Iterator<Item = BindKey> {
        listener.binds.iter().enumerate().map(|(place, bind)| {
            let is_any = matches!(bind, Bind::Tcp { address, .. } if address.port() == 0);
            BindKey { bind: bind.clone(), owner: is_any.then(|| (listener.name.clone(), place)) }
        })
    }
}

/// One bound address.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) id: BindId,
    pub(crate) key: BindKey,
    /// As `host:port` or `unix:/path`.
    pub(crate) address: String,
    /// One for each worker, until they have them.
    pub(crate) sockets: Vec<ListeningSocket>,
    /// Removed with the address.
    _unix_file: Option<UnixFile>,
}

/// The file of a unix socket of ours, told apart from one that another daemon has put in its place.
#[derive(Debug)]
pub(crate) struct UnixFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl UnixFile {
    fn of(path: &Path) -> Option<Self> {
        let identity = Self::identity(path)?;
        Some(UnixFile { path: path.to_owned(), identity })
    }

    fn identity(path: &Path) -> Option<(u64, u64)> {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::symlink_metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    }

    /// Removes the file if it is still ours.
    fn remove(&self) {
        if Self::identity(&self.path) == Some(self.identity) {
            // Nothing depends on it: the next daemon replaces a socket that nobody answers on.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Drop for UnixFile {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A worker's own socket of a bound address, not yet known to its reactor.
#[derive(Debug)]
pub(crate) enum ListeningSocket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// Why a listener could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("listener `{listener}`: cannot listen on {address}: {source}{}", hint(source))]
pub struct BindError {
    listener: ListenerName,
    address: String,
    source: io::Error,
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => " (is another daemon running? `ss -ltnp` names the owner)",
        io::ErrorKind::PermissionDenied => " (ports below 1024 need root or CAP_NET_BIND_SERVICE)",
        io::ErrorKind::AddrNotAvailable => " (no interface of this host has this address)",
        _ => "",
    }
}

impl Bound {
    /// Lets the kernel complete connections: from here on clients may come.
    pub(crate) fn listen(&self, listener: &ListenerName) -> Result<(), BindError> {
        self.sockets.iter().try_for_each(ListeningSocket::listen).map_err(|source| BindError {
            listener: listener.clone(),
            address: self.address.clone(),
            source,
        })
    }
}

impl ListeningSocket {
    fn listen(&self) -> io::Result<()> {
        match self {
            ListeningSocket::Tcp(socket) => SockRef::from(socket).listen(BACKLOG),
            ListeningSocket::Unix(socket) => SockRef::from(socket).listen(BACKLOG),
        }
    }
}

/// Binds one address of a listener for so many workers. Nobody can connect before [`Bound::listen`].
pub(crate) fn bind(listener: &ListenerName, key: BindKey, workers: usize) -> Result<Bound, BindError> {
    let bound = match &key.bind {
        Bind::Tcp { address, dual_stack } => bind_tcp(*address, *dual_stack, workers),
        Bind::Unix(path) => bind_unix(path, workers),
    };
    let (address, sockets) = bound.map_err(|source| BindError {
        listener: listener.clone(),
        address: match &key.bind {
            Bind::Tcp { address, dual_stack: true } => format!(":{}", address.port()),
            Bind::Tcp { address, .. } => address.to_string(),
            Bind::Unix(path) => format!("unix:{}", path.display()),
        },
        source,
    })?;
    let unix_file = match &key.bind {
        Bind::Unix(path) => UnixFile::of(path),
        Bind::Tcp { .. } => None,
    };
    let id = BindId(NEXT_BIND.fetch_add(1, Ordering::Relaxed));
    Ok(Bound { id, key, address, sockets, _unix_file: unix_file })
}

static NEXT_BIND: AtomicU64 = AtomicU64::new(0);
static NEXT_LISTENER: AtomicU64 = AtomicU64::new(0);

fn bind_tcp(
    address: SocketAddr,
    dual_stack: bool,
    workers: usize,
) -> io::Result<(String, Vec<ListeningSocket>)> {
    match bind_tcp_sockets(address, dual_stack, workers) {
        // A host without IPv6 still has a `:PORT`.
        Err(error) if dual_stack && is_without_ipv6(&error) => {
            bind_tcp_sockets(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())), false, workers)
        }
        result => result,
    }
}

fn is_without_ipv6(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    matches!(code, Some(rustix::io::Errno::AFNOSUPPORT | rustix::io::Errno::ADDRNOTAVAIL))
}

fn bind_tcp_sockets(
    address: SocketAddr,
    dual_stack: bool,
    workers: usize,
) -> io::Result<(String, Vec<ListeningSocket>)> {
    // SO_REUSEPORT would let a second daemon of the same user take half of the connections. A socket without it cannot
    // be bound beside a listening one, so that this attempt finds out.
    let probe = tcp_socket(address, dual_stack)?;
    probe.bind(&address.into())?;
    drop(probe);
    let mut actual = address;
    let mut sockets = Vec::with_capacity(workers);
    for _ in 0..workers {
        let socket = tcp_socket(actual, dual_stack)?;
        socket.set_reuse_port(true)?;
        // Accepted sockets inherit these: no system call for each.
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_notsent_lowat(UNSENT)?;
        socket.bind(&actual.into())?;
        actual = socket.local_addr()?.as_socket().expect("bound to an internet address");
        sockets.push(socket);
    }
    Ok((actual.to_string(), sockets.into_iter().map(|socket| ListeningSocket::Tcp(socket.into())).collect()))
}

fn tcp_socket(address: SocketAddr, dual_stack: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!dual_stack)?;
    }
    Ok(socket)
}

/// One socket for all workers: a unix socket has one queue.
fn bind_unix(path: &Path, workers: usize) -> io::Result<(String, Vec<ListeningSocket>)> {
    let address = SockAddr::unix(path)?;
    remove_stale(path, &address)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address)?;
    let mut sockets = Vec::with_capacity(workers);
    for _ in 1..workers {
        sockets.push(ListeningSocket::Unix(socket.try_clone()?.into()));
    }
    sockets.push(ListeningSocket::Unix(socket.into()));
    Ok((format!("unix:{}", path.display()), sockets))
}

/// Removes the socket file of a daemon that is gone; one that answers is in use.
fn remove_stale(path: &Path, address: &SockAddr) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            // Not to wait for one that does not answer.
            let probe = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
            match probe.connect(address) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
                _ => Err(io::ErrorKind::AddrInUse.into()),
            }
        }
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Bytes that a socket takes beyond those on their way. With megabytes in it, a client that reads slowly but steadily
/// would seem to take nothing for minutes: a socket tells of room only when a third of its buffer is free.
const UNSENT: u32 = 128 * 1024;

/// Connections that the kernel completes before a worker accepts them; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_refused_though_reuse_port_would_share_it() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (bound, first) = bind_tcp(address, false, 2).expect("a free port");
        first.iter().for_each(|socket| socket.listen().expect("a bound socket listens"));
        assert_eq!(first.len(), 2);
        let again = bind_tcp(bound.parse().expect("an address"), false, 2);
        assert_eq!(again.map_err(|error| error.kind()).err(), Some(io::ErrorKind::AddrInUse));
    }

    #[test]
    fn a_stale_unix_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.sock");
        let live = bind_unix(&path, 1).expect("a new socket");
        live.1[0].listen().expect("a bound socket listens");
        assert_eq!(bind_unix(&path, 1).map_err(|error| error.kind()).err(), Some(io::ErrorKind::AddrInUse));
        drop(live);
        assert!(bind_unix(&path, 1).is_ok());
        let file = folder.path().join("file");
        std::fs::write(&file, "kept").expect("a file");
        assert!(bind_unix(&file, 1).is_err());
        assert!(file.exists());
    }
}
