//! The upstream and the proxies in front of it, running.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::generator::{connect, read_answer};
use crate::peer::{Job, Peer, Routes, in_path, missing, nginx_arguments};
use crate::process::{LOAD_CORE, PROXY_CORE, Process};

/// Memory, where the machine has a file system in it: answers from files must not wait for a disk.
const MEMORY: &str = "/dev/shm";
/// A proxy that has not answered by then has failed.
const START_DEADLINE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(1);

/// Everything that runs beside the proxies.
pub(crate) struct Stage {
    upstream: SocketAddr,
    _server: Process,
    folder: TempDir,
    next: usize,
}

/// A proxy that serves.
pub(crate) struct Proxy {
    /// Its column.
    pub(crate) label: String,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The process.
    pub(crate) process: Process,
    /// From exec to the first answer.
    pub(crate) ready_after: Duration,
    folder: PathBuf,
}

impl Stage {
    /// Starts the upstream.
    pub(crate) fn set() -> io::Result<Stage> {
        let memory = Path::new(MEMORY);
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::Builder::new().prefix("fulcrum-bench-").tempdir_in(parent)?;
        readable(folder.path())?;
        let upstream = free_port()?;
        let server = start_upstream(upstream, &new_folder(folder.path(), "upstream")?)?;
        Ok(Stage { upstream, _server: server, folder, next: 0 })
    }

    /// Starts a proxy in front of the upstream and waits until it serves.
    pub(crate) fn start(&mut self, peer: &Peer, routes: Routes, access_log: bool) -> io::Result<Proxy> {
        self.next += 1;
        let folder = new_folder(self.folder.path(), &format!("{}-{}", self.next, peer.kind.name()))?;
        let listen = free_port()?;
        let job = Job { listen, upstream: self.upstream, routes, access_log, folder: &folder };
        let arguments = peer.configure(&job)?;
        let start = Instant::now();
        let mut process = Process::start(PROXY_CORE, &peer.binary, &arguments, &folder)?;
        let path = if matches!(routes, Routes::HostsAndPaths(..)) { "/p0/x" } else { "/" };
        await_answer(&mut process, listen, path)
            .map_err(|error| io::Error::other(format!("{}: {error}", peer.label)))?;
        let ready_after = start.elapsed();
        Ok(Proxy { label: peer.label.clone(), address: listen, process, ready_after, folder })
    }

    /// The folder of the whole bench, removed at its end.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Proxy {
    /// An error that says whose it is.
    pub(crate) fn blame(&self, error: &io::Error) -> io::Error {
        io::Error::other(format!("{}: {error}", self.label))
    }

    /// Bytes of its access log, which is a file or its standard output.
    pub(crate) fn log_size(&self) -> io::Result<u64> {
        let file = fs::metadata(self.folder.join("access.log")).map_or(0, |metadata| metadata.len());
        Ok(file + fs::metadata(self.folder.join("output.log"))?.len())
    }
}

fn start_upstream(listen: SocketAddr, folder: &Path) -> io::Result<Process> {
    let binary = in_path("nginx").ok_or_else(|| missing("nginx"))?;
    let files = new_folder(folder, "files")?;
    fs::write(files.join("10k"), vec![b'x'; 10 * 1024])?;
    fs::write(files.join("1m"), vec![b'x'; 1024 * 1024])?;
    let config = include_str!("../peers/upstream.conf")
        .replace("@LISTEN@", &listen.to_string())
        .replace("@SMALL@", &"x".repeat(128))
        .replace("@DIR@", &folder.display().to_string());
    let path = folder.join("upstream.conf");
    fs::write(&path, config)?;
    let arguments = nginx_arguments(&folder.display().to_string(), path.display().to_string());
    let mut process = Process::start(LOAD_CORE, &binary, &arguments, folder)?;
    await_answer(&mut process, listen, "/")
        .map_err(|error| io::Error::other(format!("upstream: {error}")))?;
    Ok(process)
}

/// Asks until the first good answer.
fn await_answer(process: &mut Process, address: SocketAddr, path: &str) -> io::Result<()> {
    let start = Instant::now();
    loop {
        let error = match ask(address, path) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        process.check()?;
        if start.elapsed() > START_DEADLINE {
            return Err(io::Error::other(format!("serves nothing: {error}")));
        }
        thread::sleep(POLL);
    }
}

fn ask(address: SocketAddr, path: &str) -> io::Result<()> {
    use std::io::Write as _;
    let mut stream = connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: h0.example.com\r\nconnection: close\r\n\r\n")?;
    read_answer(&mut stream, &mut [0; 16 * 1024])
}

fn new_folder(parent: &Path, name: &str) -> io::Result<PathBuf> {
    let folder = parent.join(name);
    fs::create_dir(&folder)?;
    readable(&folder)?;
    Ok(folder)
}

/// Started by root, nginx serves as another user.
fn readable(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

/// A loopback port that nobody listens on at the moment.
fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
