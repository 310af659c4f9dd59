//! The configurations that make each kind of proxy do the same.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::inside::MASTER_SOCKET;

use super::setup::{self, Feature, Http, Routes, Setup};
use super::{Kind, Peer, nginx_arguments};

/// Where a proxy works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// The port of the upstream.
    pub(crate) upstream: u16,
    /// Its folder.
    pub(crate) folder: &'a Path,
}

/// What differs between setups: the parts that templates have names for.
struct Parts {
    routes: String,
    services: String,
    access_log: &'static str,
}

impl Peer {
    /// Whether it has everything that the setup wants.
    pub(crate) fn can(&self, setup: &Setup) -> bool {
        let foreign = [Feature::Health, Feature::Sticky, Feature::Queue];
        match (self.kind, setup) {
            (Kind::Nginx, Setup::Tcp) => self.stream.is_some(),
            // Without a subscription it checks nothing and lets nobody wait; stickiness is younger than what
            // distributions have.
            (Kind::Nginx, setup) => !foreign.iter().any(|feature| setup.has(*feature)),
            (Kind::Fulcrum | Kind::Haproxy, _) => true,
        }
    }

    /// Where the configuration is read from.
    pub(crate) fn config_file(&self, folder: &Path) -> PathBuf {
        folder.join(match self.kind {
            Kind::Fulcrum => "fulcrum.yaml",
            Kind::Nginx => "nginx.conf",
            Kind::Haproxy => "haproxy.cfg",
        })
    }

    /// The configuration for `setup`. What it refers to is written into the folder.
    pub(crate) fn configuration(&self, setup: &Setup, place: &Place<'_>) -> io::Result<String> {
        let parts = match self.kind {
            Kind::Fulcrum => fulcrum(setup, place.upstream),
            Kind::Nginx => nginx(setup, place.upstream),
            Kind::Haproxy => haproxy(setup, place)?,
        };
        Ok(self
            .template(setup)
            .replace("@ROUTES@", parts.routes.trim_end())
            .replace("@SERVICES@", parts.services.trim_end())
            .replace("@ACCESS_LOG@", parts.access_log)
            .replace("@MODULES@", self.stream.as_deref().unwrap_or_default())
            .replace("@LISTEN@", &place.listen.to_string())
            .replace("@UPSTREAM@", &setup::endpoint(1, place.upstream).to_string())
            .replace("@DIR@", &place.folder.display().to_string()))
    }

    /// The arguments to start it with.
    pub(crate) fn arguments(&self, setup: &Setup, folder: &Path) -> Vec<String> {
        let config = self.config_file(folder).display().to_string();
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self.kind {
            Kind::Fulcrum => words(&["run", "--config", &config]),
            Kind::Nginx => nginx_arguments(&folder.display().to_string(), config),
            // Only a master can be told to reload.
            Kind::Haproxy if matches!(setup, Setup::Fleet(_)) => {
                let socket = folder.join(MASTER_SOCKET).display().to_string();
                words(&["-W", "-db", "-S", &socket, "-f", &config])
            }
            Kind::Haproxy => words(&["-db", "-f", &config]),
        }
    }

    fn template(&self, setup: &Setup) -> &'static str {
        match (self.kind, setup) {
            (Kind::Fulcrum, Setup::Tcp) => include_str!("../../peers/fulcrum-tcp.yaml"),
            (Kind::Fulcrum, _) => include_str!("../../peers/fulcrum.yaml"),
            (Kind::Nginx, Setup::Tcp) => include_str!("../../peers/nginx-tcp.conf"),
            (Kind::Nginx, _) => include_str!("../../peers/nginx.conf"),
            (Kind::Haproxy, Setup::Tcp) => include_str!("../../peers/haproxy-tcp.cfg"),
            (Kind::Haproxy, _) => include_str!("../../peers/haproxy.cfg"),
        }
    }
}

fn fulcrum(setup: &Setup, port: u16) -> Parts {
    let (mut routes, mut services) = (String::new(), String::new());
    setup.each_route(|host, path, service| {
        let host = host.map(|host| format!("host: {host}, ")).unwrap_or_default();
        let path = path.map(|path| format!("path: {path}, ")).unwrap_or_default();
        let _ = writeln!(routes, "  - {{ {host}{path}to: {service} }}");
    });
    let mut options = String::new();
    if setup.has(Feature::Health) {
        options.push_str(", health: /");
    }
    if setup.has(Feature::Sticky) {
        options.push_str(", sticky: cookie");
    }
    if setup.has(Feature::Queue) {
        let _ = write!(options, ", limits: {{ max_requests: {} }}", setup::MAX_REQUESTS);
    }
    setup.each_service(port, |name, endpoints| {
        let endpoints: Vec<_> = endpoints.iter().map(|endpoint| format!("\"{endpoint}\"")).collect();
        let _ = writeln!(services, "  {name}: {{ endpoints: [{}]{options} }}", endpoints.join(", "));
    });
    Parts { routes, services, access_log: log(setup, "@DIR@/logs/access.log", "none") }
}

fn nginx(setup: &Setup, port: u16) -> Parts {
    let (mut routes, mut services) = (String::new(), String::new());
    let mut listen = "listen @LISTEN@ backlog=4096;"; // options of a socket may be given once only
    if matches!(setup, Setup::Fleet(_)) {
        // Otherwise the first host's would answer for unknown hosts, too.
        routes.push_str("server { listen @LISTEN@ backlog=4096 default_server; return 404; ");
        listen = "listen @LISTEN@;";
    }
    let mut current = None;
    setup.each_route(|host, path, service| {
        if current != Some(host.map(str::to_owned)) {
            let close = if routes.is_empty() { "" } else { "}\n" };
            let name = host.map(|host| format!(" server_name {host};")).unwrap_or_default();
            let _ = writeln!(routes, "{close}server {{ {listen}{name}");
            listen = "listen @LISTEN@;";
            current = Some(host.map(str::to_owned));
        }
        let _ = writeln!(routes, "  location {} {{ proxy_pass http://{service}; }}", path.unwrap_or("/"));
    });
    routes.push('}');
    setup.each_service(port, |name, endpoints| {
        let servers: String = endpoints.iter().map(|endpoint| format!(" server {endpoint};")).collect();
        let _ =
            writeln!(services, "upstream {name} {{{servers} keepalive 128; keepalive_requests 10000000; }}");
    });
    let access_log = log(setup, "@DIR@/logs/access.log combined buffer=32k flush=1s", "off");
    Parts { routes, services, access_log }
}

/// Many routes are a map, as HAProxy's manual recommends.
fn haproxy(setup: &Setup, place: &Place<'_>) -> io::Result<Parts> {
    // The old process of a reload still has its own.
    let version = if let Setup::Fleet(fleet) = setup { fleet.version } else { 0 };
    let file = format!("routes-{version}.map");
    let rule = match setup {
        Setup::Http(Http { routes: Routes::All, .. }) => "    default_backend backend".to_owned(),
        Setup::Http(Http { routes: Routes::HostsAndPaths(..), .. }) => {
            format!("    use_backend %[base,map_beg(@DIR@/{file})]")
        }
        _ => format!("    use_backend %[req.hdr(host),host_only,lower,map(@DIR@/{file})]"),
    };
    let mut map = String::new();
    setup.each_route(|host, path, service| {
        let _ = writeln!(map, "{}{} {service}", host.unwrap_or_default(), path.unwrap_or_default());
    });
    fs::write(place.folder.join(file), map)?;
    let access_log = log(setup, "    log stdout format raw local0\n    option httplog", "");
    Ok(Parts { routes: rule, services: haproxy_services(setup, place.upstream), access_log })
}

fn haproxy_services(setup: &Setup, port: u16) -> String {
    let (mut backend, mut server) = (String::new(), String::new());
    if setup.has(Feature::Health) {
        backend.push_str("    option httpchk GET /\n");
        server.push_str(" check inter 2s rise 2 fall 3");
    }
    if setup.has(Feature::Queue) {
        let _ = write!(server, " maxconn {}", setup::MAX_REQUESTS);
    }
    if setup.has(Feature::Sticky) {
        backend.push_str("    cookie place insert indirect nocache\n");
        server.push_str(" cookie @NAME@");
    }
    let mut services = String::new();
    setup.each_service(port, |name, endpoints| {
        let _ = write!(services, "backend {name}\n{backend}");
        for (index, endpoint) in endpoints.iter().enumerate() {
            let name = format!("e{index}");
            let _ = writeln!(services, "    server {name} {endpoint}{}", server.replace("@NAME@", &name));
        }
    });
    services
}

fn log(setup: &Setup, on: &'static str, off: &'static str) -> &'static str {
    if setup.has(Feature::AccessLog) { on } else { off }
}
