//! The upstream and the proxies in front of it, running.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use rustix::process::Signal;

use crate::generator::{connect, read_answer};
use crate::inside;
use crate::measure::{await_change, await_start, free_port};
use crate::peer::{Fleet, Kind, MOST_ENDPOINTS, Peer, Place, Setup, endpoint, missing, nginx_arguments};
use crate::process::{LOAD_CORE, PROXY_CORE, Process};
use crate::program::in_path;

/// Memory, where the machine has a file system in it: answers from files must not wait for a disk.
const MEMORY: &str = "/dev/shm";
/// Apart from the configuration, whose folder Fulcrum watches: each write there would wake it.
const LOGS: &str = "logs";
const ACCESS_LOG: &str = "logs/access.log";
/// A proxy that has not answered by then has failed.
const START_DEADLINE: Duration = Duration::from_secs(120);

/// Everything that runs beside the proxies.
pub(crate) struct Stage {
    upstream: Upstream,
    /// Answers for the endpoints of the fleet, from its first use on.
    fleet: Option<Upstream>,
    folder: TempDir,
    next: usize,
}

struct Upstream {
    port: u16,
    _server: Process,
}

/// A proxy that serves.
pub(crate) struct Proxy {
    /// What it is.
    pub(crate) peer: Peer,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The process.
    pub(crate) process: Process,
    /// From exec to the first answer.
    pub(crate) ready_after: Duration,
    upstream: u16,
    folder: PathBuf,
}

impl Stage {
    /// Starts the upstream.
    pub(crate) fn set() -> io::Result<Stage> {
        let memory = Path::new(MEMORY);
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::Builder::new().prefix("fulcrum-bench-").tempdir_in(parent)?;
        readable(folder.path())?;
        let port = free_port()?;
        let addresses = (1..=MOST_ENDPOINTS).map(|last| endpoint(last, port));
        let upstream = Upstream::start(port, addresses, &new_folder(folder.path(), "upstream")?)?;
        Ok(Stage { upstream, fleet: None, folder, next: 0 })
    }

    /// Starts a proxy in front of the upstream and waits until it serves.
    pub(crate) fn start(&mut self, peer: &Peer, setup: &Setup) -> io::Result<Proxy> {
        self.next += 1;
        let folder = new_folder(self.folder.path(), &format!("{}-{}", self.next, peer.kind.name()))?;
        new_folder(&folder, LOGS)?;
        let (listen, upstream) = (endpoint(1, free_port()?), self.upstream(setup)?);
        let config = peer.configuration(setup, &Place { listen, upstream, folder: &folder })?;
        fs::write(peer.config_file(&folder), config)?;
        let start = Instant::now();
        let mut process = Process::start(PROXY_CORE, &peer.binary, &peer.arguments(setup, &folder), &folder)?;
        await_answer(&mut process, listen, "/p0/x")
            .map_err(|error| io::Error::other(format!("{}: {error}", peer.label)))?;
        let ready_after = start.elapsed();
        Ok(Proxy { peer: peer.clone(), address: listen, process, ready_after, upstream, folder })
    }

    /// The folder of the whole bench, removed at its end.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The port of the upstream that has the endpoints of `setup`.
    fn upstream(&mut self, setup: &Setup) -> io::Result<u16> {
        let upstream = match (setup, &self.fleet) {
            (Setup::Http(_) | Setup::Tcp, _) => &self.upstream,
            (Setup::Fleet(_), Some(fleet)) => fleet,
            (Setup::Fleet(_), None) => {
                let (port, folder) = (free_port()?, new_folder(self.folder.path(), "fleet")?);
                self.fleet.insert(Upstream::start(port, Fleet::addresses(port), &folder)?)
            }
        };
        Ok(upstream.port)
    }
}

impl Upstream {
    /// Serves on all these addresses, which have one port.
    fn start(port: u16, addresses: impl Iterator<Item = SocketAddr>, folder: &Path) -> io::Result<Upstream> {
        let binary = in_path("nginx").ok_or_else(|| missing("nginx"))?;
        let files = new_folder(folder, "files")?;
        for (name, size) in [("10k", 10 * 1024), ("1m", 1024 * 1024), ("16m", 16 * 1024 * 1024)] {
            fs::write(files.join(name), vec![b'x'; size])?;
        }
        let addresses: Vec<_> = addresses.collect();
        let listens = addresses.iter().fold(String::new(), |mut listens, address| {
            let _ = writeln!(listens, "        listen {address} backlog=4096;");
            listens
        });
        let config = include_str!("../peers/upstream.conf")
            .replace("@LISTENS@", &listens)
            .replace("@LISTEN@", &addresses[0].to_string())
            .replace("@SMALL@", &"x".repeat(128))
            .replace("@DIR@", &folder.display().to_string());
        let path = folder.join("upstream.conf");
        fs::write(&path, config)?;
        let arguments = nginx_arguments(&folder.display().to_string(), path.display().to_string());
        let mut server = Process::start(LOAD_CORE, &binary, &arguments, folder)?;
        await_answer(&mut server, addresses[0], "/")
            .map_err(|error| io::Error::other(format!("upstream: {error}")))?;
        Ok(Upstream { port, _server: server })
    }
}

impl Proxy {
    /// An error that says whose it is.
    pub(crate) fn blame(&self, error: &io::Error) -> io::Error {
        io::Error::other(format!("{}: {error}", self.peer.label))
    }

    /// A file of its folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes the configuration for `setup` beside the one in force.
    pub(crate) fn prepare(&self, setup: &Setup) -> io::Result<PathBuf> {
        let place = Place { listen: self.address, upstream: self.upstream, folder: &self.folder };
        let mut file = tempfile::Builder::new().prefix("next-").tempfile_in(&self.folder)?;
        file.write_all(self.peer.configuration(setup, &place)?.as_bytes())?;
        readable(file.path())?;
        Ok(file.into_temp_path().keep()?)
    }

    /// Puts a prepared configuration into force, and returns how long it takes until the proxy serves a host that is
    /// only there.
    pub(crate) fn reload(&self, prepared: &Path, marker: &str) -> io::Result<Duration> {
        if self.peer.kind == Kind::Haproxy {
            inside::await_master(self)?;
        }
        fs::rename(prepared, self.peer.config_file(&self.folder))?;
        let start = Instant::now();
        match self.peer.kind {
            Kind::Fulcrum => self.reload_fulcrum()?,
            Kind::Nginx => self.process.signal(Signal::HUP),
            Kind::Haproxy => self.process.signal(Signal::USR2),
        }
        await_change(START_DEADLINE, || ask(self.address, marker, "/"))
            .map_err(|error| io::Error::other(format!("does not reload: {error}")))?;
        Ok(start.elapsed())
    }

    /// Returns when every worker serves by the new configuration.
    fn reload_fulcrum(&self) -> io::Result<()> {
        let socket = format!("unix:{}", self.file("admin.sock").display());
        let output =
            Command::new(&self.peer.binary).args(["reload", "--wait", "--admin", &socket]).output()?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("reload: {text}")))
    }

    /// Bytes of its access log, which is a file or its standard output.
    pub(crate) fn log_size(&self) -> io::Result<u64> {
        let file = fs::metadata(self.folder.join(ACCESS_LOG)).map_or(0, |metadata| metadata.len());
        Ok(file + fs::metadata(self.folder.join("output.log"))?.len())
    }
}

/// Asks until the first good answer.
fn await_answer(process: &mut Process, address: SocketAddr, path: &str) -> io::Result<()> {
    await_start(process, START_DEADLINE, || ask(address, "h0.example.com", path))
}

fn ask(address: SocketAddr, host: &str, path: &str) -> io::Result<()> {
    let mut stream = connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")?;
    read_answer(&mut stream, &mut [0; 16 * 1024]).map(|_| ())
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
