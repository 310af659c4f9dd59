//! Where the admin answers: its sockets, from being bound to being given up.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fulcrum_config::Admin as AdminConfig;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::server::{self, AdminListener, LAST_ANSWERS};
use super::socket::{AdminSocket, SocketError, SocketFile};
use super::{Admin, Settings};

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
    /// The system has no place for them in a reactor.
    #[error("admin: cannot serve its sockets: {0}")]
    Serve(io::Error),
}

/// The sockets of the admin in use.
#[derive(Debug)]
pub(crate) struct AdminServer {
    admin: Arc<Admin>,
    config: AdminConfig,
    unix: Option<Site>,
    tcp: Option<Site>,
    /// Sockets that were given up and finish their last answers.
    leaving: JoinSet<()>,
}

/// A socket that is served.
#[derive(Debug)]
struct Site {
    address: String,
    stop: watch::Sender<Duration>,
    task: JoinHandle<()>,
    /// Of a unix socket.
    _file: Option<SocketFile>,
}

/// A socket that can be served: nothing about that can fail any more.
#[derive(Debug)]
struct Opened {
    address: String,
    listener: AdminListener,
    file: Option<SocketFile>,
}

/// A change of the admin that can be put in force.
#[derive(Debug)]
pub(crate) struct AdminChange {
    config: AdminConfig,
    /// Nothing where the socket stays as it is.
    unix: Option<Option<Opened>>,
    tcp: Option<Option<Opened>>,
}

impl AdminSockets {
    /// Binds what is configured. The default socket is a convenience: where it cannot be had (we are not root, or
    /// another daemon has it) there is a warning. Any other was asked for, so it is an error.
    pub(crate) fn bind(config: &AdminConfig) -> Result<Self, AdminError> {
        Ok(AdminSockets { unix: bind_unix(config)?, tcp: bind_tcp(config)? })
    }

    /// Begins to answer. Needs a tokio runtime.
    pub(crate) fn serve(self, admin: Arc<Admin>, config: AdminConfig) -> Result<AdminServer, AdminError> {
        let unix = self.unix.map(Opened::unix).transpose()?;
        let tcp = self.tcp.map(Opened::tcp).transpose()?;
        let mut server =
            AdminServer { admin, config: config.clone(), unix: None, tcp: None, leaving: JoinSet::new() };
        server.commit(AdminChange { config, unix: Some(unix), tcp: Some(tcp) });
        Ok(server)
    }
}

impl AdminServer {
    /// Binds what is new. Nothing answers there yet. Needs a tokio runtime.
    pub(crate) fn prepare(&self, config: &AdminConfig) -> Result<AdminChange, AdminError> {
        let unix = match config.socket == self.config.socket {
            true => None,
            false => Some(bind_unix(config)?.map(Opened::unix).transpose()?),
        };
        let tcp = match config.bind == self.config.bind {
            true => None,
            false => Some(bind_tcp(config)?.map(Opened::tcp).transpose()?),
        };
        Ok(AdminChange { config: config.clone(), unix, tcp })
    }

    /// Answers where and for whom the change says. Sockets that are given up finish their answers in progress.
    pub(crate) fn commit(&mut self, change: AdminChange) {
        let AdminChange { config, unix, tcp } = change;
        while self.leaving.try_join_next().is_some() {}
        for (site, opened) in [(&mut self.unix, unix), (&mut self.tcp, tcp)] {
            let Some(opened) = opened else { continue };
            let old = std::mem::replace(site, opened.map(|opened| opened.serve(&self.admin)));
            if let Some(old) = old {
                self.leaving.spawn(old.leave(LEAVING_ANSWERS));
            }
        }
        let addresses = self.addresses();
        self.admin.settings.store(Settings { token: config.token.clone(), addresses }.into());
        self.config = config;
    }

    /// Where it answers, as `--admin` takes a unix socket, and as bound for TCP.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.unix.iter().chain(&self.tcp).map(|site| site.address.clone()).collect()
    }

    /// Removes the socket, finishes answers in progress, and returns when nothing of the admin is left.
    pub(crate) async fn end(mut self) {
        for site in self.unix.take().into_iter().chain(self.tcp.take()) {
            self.leaving.spawn(site.leave(LAST_ANSWERS));
        }
        let left = async { while self.leaving.join_next().await.is_some() {} };
        // Those that were given up before may have been granted more.
        if tokio::time::timeout(2 * LAST_ANSWERS, left).await.is_err() {
            self.leaving.shutdown().await;
        }
    }
}

impl Site {
    /// Stops accepting at once; answers in progress have `grace`.
    fn leave(self, grace: Duration) -> impl Future<Output = ()> {
        let Site { stop, task, _file: file, .. } = self;
        drop(file);
        stop.send_replace(grace);
        async move {
            // The panic hook has told about a task that panicked.
            let _ = task.await;
        }
    }
}

impl Opened {
    fn unix(socket: AdminSocket) -> Result<Self, AdminError> {
        let AdminSocket { listener, file } = socket;
        let listener = tokio::net::UnixListener::from_std(listener).map_err(AdminError::Serve)?;
        let address = format!("unix:{}", file.path().display());
        Ok(Opened { address, listener: AdminListener::Unix(listener), file: Some(file) })
    }

    fn tcp(listener: TcpListener) -> Result<Self, AdminError> {
        let address = listener.local_addr().map_err(AdminError::Serve)?.to_string();
        let listener = tokio::net::TcpListener::from_std(listener).map_err(AdminError::Serve)?;
        Ok(Opened { address, listener: AdminListener::Tcp(listener), file: None })
    }

    fn serve(self, admin: &Arc<Admin>) -> Site {
        let (stop, stopped) = watch::channel(Duration::ZERO);
        let task = tokio::spawn(server::serve(self.listener, Arc::clone(admin), stopped));
        Site { address: self.address, stop, task, _file: self.file }
    }
}

fn bind_unix(config: &AdminConfig) -> Result<Option<AdminSocket>, AdminError> {
    match config.socket.as_deref().map(|path| (path, AdminSocket::bind(path))) {
        None => Ok(None),
        Some((_, Ok(socket))) => Ok(Some(socket)),
        Some((path, Err(error))) if path == Path::new(DEFAULT_SOCKET) => {
            tracing::warn!("going on without {error}; `admin.socket` sets another path, or none");
            Ok(None)
        }
        Some((_, Err(error))) => Err(error.into()),
    }
}

fn bind_tcp(config: &AdminConfig) -> Result<Option<TcpListener>, AdminError> {
    let Some(address) = config.bind else { return Ok(None) };
    let bind = || {
        // The standard library sets SO_REUSEADDR, so a restart does not wait for old connections to expire.
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind().map(Some).map_err(|source| AdminError::Bind { address, source })
}

/// What the configuration gives when it says nothing, and what `fulcrum status` asks first.
const DEFAULT_SOCKET: &str = "/run/fulcrum/admin.sock";

/// What answers in progress on a socket that was given up get: a reload among them may wait for every worker.
const LEAVING_ANSWERS: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_default_socket_may_be_missing() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("file"), "").expect("written");
        let configured =
            AdminConfig { socket: Some(folder.path().join("file/admin.sock")), bind: None, token: None };
        assert!(AdminSockets::bind(&configured).is_err());
    }
}
