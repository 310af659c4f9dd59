//! Where the daemon is operated: metrics, health, readiness and status over HTTP.
//!
//! ```text
//!   unix socket (mode 0600) ─┐
//!   admin.bind (TCP)        ─┴─► server ─► Admin::answer ─► metrics, status, problem
//!                                              └─► auth: over TCP all but metrics, healthz, readyz needs the token
//! ```

mod auth;
mod metrics;
mod problem;
mod server;
mod socket;
mod status;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use fulcrum_config::{Admin as AdminConfig, Secret};
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response};
use prometheus::Registry;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::auth::{Door, Verdict};
use self::problem::Problem;
use self::server::AdminListener;
use self::socket::{AdminSocket, SocketError, SocketFile};

pub(crate) use self::metrics::registry;
pub(crate) use self::status::{
    EndpointStatus, ListenerStatus, ServiceStatus, State, StatusDocument, WorkerStatus,
};

/// Everything an answer can need.
pub(crate) struct Admin {
    /// What `/metrics` shows.
    pub(crate) registry: Registry,
    /// What `/readyz` says.
    pub(crate) readiness: Arc<Readiness>,
    /// Opens `/status` over TCP.
    pub(crate) token: Option<Secret>,
    /// What `/status` shows.
    pub(crate) status: Box<dyn Fn() -> StatusDocument + Send + Sync>,
}

/// Whether the daemon takes new work.
#[derive(Debug)]
pub(crate) struct Readiness(AtomicBool);

/// What matters of a request.
#[derive(Clone, Copy, Debug)]
struct Question<'a> {
    door: Door,
    method: &'a Method,
    path: &'a str,
    authorization: Option<&'a [u8]>,
}

/// The things that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resource {
    Metrics,
    Health,
    Readiness,
    Status,
}

impl Readiness {
    /// Ready until told otherwise.
    pub(crate) fn new() -> Self {
        Readiness(AtomicBool::new(true))
    }

    /// No new work from here on.
    pub(crate) fn fail(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// The state as `/status` names it.
    pub(crate) fn state(&self) -> State {
        if self.0.load(Ordering::Relaxed) { State::Ready } else { State::Draining }
    }
}

impl Admin {
    /// Answers one question. Reads everything it needs in memory or `/proc`, and may take a while for it.
    fn answer(&self, question: &Question<'_>) -> Response<Full<Bytes>> {
        self.decide(question).unwrap_or_else(Into::into)
    }

    fn decide(&self, question: &Question<'_>) -> Result<Response<Full<Bytes>>, Problem> {
        let resource = Resource::find(question.path).ok_or(Problem::Unknown)?;
        if ![Method::GET, Method::HEAD].contains(question.method) {
            return Err(Problem::Method);
        }
        if !resource.is_public() {
            match auth::judge(question.door, self.token.as_ref(), question.authorization) {
                Verdict::Allowed => {}
                Verdict::Unauthorized => return Err(Problem::Unauthorized),
                Verdict::Closed => return Err(Problem::NoToken),
            }
        }
        self.read(resource)
    }

    fn read(&self, resource: Resource) -> Result<Response<Full<Bytes>>, Problem> {
        match (resource, self.readiness.state()) {
            (Resource::Health, _) => Ok(plain("ok\n")),
            (Resource::Readiness, State::Ready) => Ok(plain("ready\n")),
            (Resource::Readiness, State::Draining) => Err(Problem::NotReady),
            (Resource::Metrics, _) => metrics::render(&self.registry).map_err(|error| internal(&error)),
            (Resource::Status, _) => {
                let text = serde_json::to_string(&(self.status)()).map_err(|error| internal(&error))?;
                Ok(typed(text + "\n", "application/json"))
            }
        }
    }
}

impl Resource {
    fn find(path: &str) -> Option<Self> {
        match path {
            "/metrics" => Some(Resource::Metrics),
            "/healthz" => Some(Resource::Health),
            "/readyz" => Some(Resource::Readiness),
            "/status" => Some(Resource::Status),
            _ => None,
        }
    }

    /// Whether anyone on TCP may read it.
    fn is_public(self) -> bool {
        match self {
            Resource::Metrics | Resource::Health | Resource::Readiness => true,
            Resource::Status => false,
        }
    }
}

fn plain(text: &'static str) -> Response<Full<Bytes>> {
    typed(text, "text/plain; charset=utf-8")
}

fn typed(text: impl Into<Bytes>, content_type: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn internal(error: &dyn std::error::Error) -> Problem {
    tracing::error!("admin: {error}");
    Problem::Internal
}

/// The sockets of the admin, bound but not served yet.
#[derive(Debug)]
pub(crate) struct AdminSockets {
    unix: Option<AdminSocket>,
    tcp: Option<TcpListener>,
}

/// Why a socket of the admin cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    /// The unix socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// `admin.bind`.
    #[error("admin: cannot bind {address}: {source}")]
    Bind { address: SocketAddr, source: io::Error },
}

/// The sockets of the admin in use.
#[derive(Debug)]
pub(crate) struct AdminServer {
    stop: watch::Sender<()>,
    tasks: JoinSet<()>,
    file: Option<SocketFile>,
}

impl AdminSockets {
    /// Binds what is configured. The default socket is a convenience: where it cannot be had (we are not root, or
    /// another daemon has it) there is a warning. Any other was asked for, so it is an error.
    pub(crate) fn bind(config: &AdminConfig) -> Result<Self, AdminError> {
        let unix = match config.socket.as_deref().map(|path| (path, AdminSocket::bind(path))) {
            None => None,
            Some((_, Ok(socket))) => Some(socket),
            Some((path, Err(error))) if path == Path::new(DEFAULT_SOCKET) => {
                tracing::warn!("going on without {error}; `admin.socket` sets another path, or none");
                None
            }
            Some((_, Err(error))) => return Err(error.into()),
        };
        let tcp = match config.bind {
            Some(address) => Some(bind_tcp(address).map_err(|source| AdminError::Bind { address, source })?),
            None => None,
        };
        Ok(AdminSockets { unix, tcp })
    }

    /// Where they are, as `--admin` takes a unix socket, and as bound for TCP.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let unix = self.unix.as_ref().map(|socket| format!("unix:{}", socket.file.path().display()));
        let tcp = self
            .tcp
            .as_ref()
            .and_then(|listener| listener.local_addr().ok())
            .map(|address| address.to_string());
        unix.into_iter().chain(tcp).collect()
    }

    /// Begins to answer. Needs a tokio runtime.
    pub(crate) fn serve(self, admin: Admin) -> io::Result<AdminServer> {
        let admin = Arc::new(admin);
        let (stop, stopped) = watch::channel(());
        let mut tasks = JoinSet::new();
        let mut file = None;
        if let Some(socket) = self.unix {
            let listener = AdminListener::Unix(tokio::net::UnixListener::from_std(socket.listener)?);
            tasks.spawn(server::serve(listener, Arc::clone(&admin), stopped.clone()));
            file = Some(socket.file);
        }
        if let Some(listener) = self.tcp {
            let listener = AdminListener::Tcp(tokio::net::TcpListener::from_std(listener)?);
            tasks.spawn(server::serve(listener, admin, stopped));
        }
        Ok(AdminServer { stop, tasks, file })
    }
}

impl AdminServer {
    /// Removes the socket, finishes answers in progress, and returns when nothing of the admin is left.
    pub(crate) async fn end(mut self) {
        drop(self.file.take());
        self.stop.send_replace(());
        while self.tasks.join_next().await.is_some() {}
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    // The standard library sets SO_REUSEADDR, so a restart does not wait for old connections to expire.
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin")
            .field("readiness", &self.readiness)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

/// What the configuration gives when it says nothing, and what `fulcrum status` asks first.
const DEFAULT_SOCKET: &str = "/run/fulcrum/admin.sock";

#[cfg(test)]
mod tests;
