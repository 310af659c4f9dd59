//! The proxies under test: which there are, and how each is configured for the same job.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::options::Options;

/// A kind of proxy that the bench has a configuration for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The one this is all about.
    Fulcrum,
    /// nginx.
    Nginx,
    /// HAProxy.
    Haproxy,
}

/// A binary under test.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// What it is.
    pub(crate) kind: Kind,
    /// Its column.
    pub(crate) label: String,
    /// The program.
    pub(crate) binary: PathBuf,
}

/// Which requests a proxy takes. Every route leads to the same upstream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Routes {
    /// All, by one route.
    All,
    /// Those for `h0.example.com` and so on, a route for each.
    Hosts(usize),
    /// The same, with a route for each of the prefixes `/p0` and so on.
    HostsAndPaths(usize, usize),
}

/// The job of a proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// Where it forwards to.
    pub(crate) upstream: SocketAddr,
    /// What it takes.
    pub(crate) routes: Routes,
    /// Whether it logs every request to `access.log` in its folder.
    pub(crate) access_log: bool,
    /// Its folder.
    pub(crate) folder: &'a Path,
}

impl Peer {
    /// Fulcrum, and the peers of `PEERS` or else of `PATH`, as far as the options want them.
    pub(crate) fn find(options: &Options) -> io::Result<Vec<Peer>> {
        let fulcrum = PathBuf::from(env!("CARGO_BIN_EXE_fulcrum"));
        let mut peers = vec![Peer { kind: Kind::Fulcrum, label: "Fulcrum".to_owned(), binary: fulcrum }];
        match std::env::var("PEERS") {
            Ok(named) if !named.trim().is_empty() => {
                for word in named.split_whitespace() {
                    peers.push(Peer::named(word)?);
                }
            }
            _ => {
                for kind in [Kind::Nginx, Kind::Haproxy] {
                    let binary = in_path(kind.name()).ok_or_else(|| missing(kind.name()))?;
                    peers.push(Peer { kind, label: label(kind, &binary)?, binary });
                }
            }
        }
        let wanted = |peer: &Peer| {
            options.proxies.is_empty()
                || options.proxies.iter().any(|name| *name == peer.label || name == peer.kind.name())
        };
        peers.retain(wanted);
        if peers.is_empty() { Err(io::Error::other("--proxies leaves none")) } else { Ok(peers) }
    }

    /// The arguments that make the proxy do `job`, whose configuration is written into its folder.
    pub(crate) fn configure(&self, job: &Job<'_>) -> io::Result<Vec<String>> {
        let (file, template) = match self.kind {
            Kind::Fulcrum => ("fulcrum.yaml", include_str!("../peers/fulcrum.yaml")),
            Kind::Nginx => ("nginx.conf", include_str!("../peers/nginx.conf")),
            Kind::Haproxy => ("haproxy.cfg", include_str!("../peers/haproxy.cfg")),
        };
        let (access_log, routes) = match self.kind {
            Kind::Fulcrum => fulcrum(job),
            Kind::Nginx => nginx(job),
            Kind::Haproxy => haproxy(job)?,
        };
        let folder = job.folder.display().to_string();
        let config = template
            .replace("@ROUTES@", routes.trim_end())
            .replace("@ACCESS_LOG@", &access_log)
            .replace("@LISTEN@", &job.listen.to_string())
            .replace("@UPSTREAM@", &job.upstream.to_string())
            .replace("@DIR@", &folder);
        let path = job.folder.join(file);
        fs::write(&path, config)?;
        let path = path.display().to_string();
        Ok(match self.kind {
            Kind::Fulcrum => vec!["run".to_owned(), "--config".to_owned(), path],
            Kind::Nginx => nginx_arguments(&folder, path),
            Kind::Haproxy => vec!["-db".to_owned(), "-f".to_owned(), path],
        })
    }

    /// `kind=PATH` or `kind@label=PATH`.
    fn named(word: &str) -> io::Result<Peer> {
        let (name, path) =
            word.split_once('=').ok_or_else(|| io::Error::other(format!("PEERS: {word}: no `=`")))?;
        let kind_name = name.split('@').next().unwrap_or_default();
        let kind =
            [Kind::Fulcrum, Kind::Nginx, Kind::Haproxy].into_iter().find(|kind| kind.name() == kind_name);
        let kind =
            kind.ok_or_else(|| io::Error::other(format!("PEERS: {word}: unknown kind `{kind_name}`")))?;
        let binary = PathBuf::from(path);
        let label = match name.split_once('@') {
            Some((_, version)) => format!("{kind_name} {version}"),
            None => label(kind, &binary)?,
        };
        Ok(Peer { kind, label, binary })
    }
}

impl Kind {
    /// The name of its program.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Fulcrum => "fulcrum",
            Kind::Nginx => "nginx",
            Kind::Haproxy => "haproxy",
        }
    }
}

/// A program in `PATH`, or where Debian puts daemons.
pub(crate) fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// What to do about a program that is not there.
pub(crate) fn missing(program: &str) -> io::Error {
    io::Error::other(format!("{program} is not installed (Debian: apt-get install nginx-light haproxy wrk)"))
}

/// nginx without the compiled-in log path, which may not be writable.
pub(crate) fn nginx_arguments(folder: &str, config: String) -> Vec<String> {
    vec![
        "-e".to_owned(),
        format!("{folder}/error.log"),
        "-p".to_owned(),
        folder.to_owned(),
        "-c".to_owned(),
        config,
    ]
}

/// Kind and version, as in `nginx 1.22.1`.
fn label(kind: Kind, binary: &Path) -> io::Result<String> {
    let output = Command::new(binary)
        .arg("-v")
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", binary.display())))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let version = text
        .split(|character: char| !(character.is_ascii_digit() || character == '.'))
        .find(|word| word.contains('.') && word.starts_with(|first: char| first.is_ascii_digit()));
    Ok(format!("{} {}", kind.name(), version.unwrap_or("?")))
}

fn fulcrum(job: &Job<'_>) -> (String, String) {
    let mut routes = String::new();
    each_route(job.routes, |host, path| {
        let host = host.map(|host| format!("host: {host}, ")).unwrap_or_default();
        let path = path.map(|path| format!("path: {path}, ")).unwrap_or_default();
        let _ = writeln!(routes, "  - {{ {host}{path}to: backend }}");
    });
    (if job.access_log { "@DIR@/access.log" } else { "none" }.to_owned(), routes)
}

fn nginx(job: &Job<'_>) -> (String, String) {
    let pass = "proxy_pass http://backend;";
    let mut listen = "listen @LISTEN@ backlog=4096;"; // options of a socket may be given once only
    let mut servers = String::new();
    let mut current = None;
    each_route(job.routes, |host, path| {
        if current != Some(host.map(str::to_owned)) {
            let close = if current.is_some() { "}\n" } else { "" };
            let name = host.map(|host| format!(" server_name {host};")).unwrap_or_default();
            let _ = writeln!(servers, "{close}server {{ {listen}{name}");
            listen = "listen @LISTEN@;";
            current = Some(host.map(str::to_owned));
        }
        let _ = writeln!(servers, "  location {} {{ {pass} }}", path.unwrap_or("/"));
    });
    servers.push('}');
    (if job.access_log { "@DIR@/access.log combined buffer=32k flush=1s" } else { "off" }.to_owned(), servers)
}

/// Many routes are a map, as HAProxy's manual recommends.
fn haproxy(job: &Job<'_>) -> io::Result<(String, String)> {
    let rule = match job.routes {
        Routes::All => "    default_backend backend",
        Routes::Hosts(_) => "    use_backend %[req.hdr(host),host_only,lower,map(@DIR@/routes.map)]",
        Routes::HostsAndPaths(..) => "    use_backend %[base,map_beg(@DIR@/routes.map)]",
    };
    let mut map = String::new();
    each_route(job.routes, |host, path| {
        let _ = writeln!(map, "{}{} backend", host.unwrap_or_default(), path.unwrap_or_default());
    });
    fs::write(job.folder.join("routes.map"), map)?;
    let log = if job.access_log { "    log stdout format raw local0\n    option httplog" } else { "" };
    Ok((log.to_owned(), rule.to_owned()))
}

fn each_route(routes: Routes, mut route: impl FnMut(Option<&str>, Option<&str>)) {
    let host = |index: usize| format!("h{index}.example.com");
    match routes {
        Routes::All => route(None, None),
        Routes::Hosts(hosts) => (0..hosts).for_each(|index| route(Some(&host(index)), None)),
        Routes::HostsAndPaths(hosts, paths) => {
            for index in 0..hosts {
                (0..paths).for_each(|path| route(Some(&host(index)), Some(&format!("/p{path}"))));
            }
        }
    }
}
