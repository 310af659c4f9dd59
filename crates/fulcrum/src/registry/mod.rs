//! The registry in this daemon: its file, its API, and the data plane that follows it.
//!
//! ```text
//!   instances ─► registry.bind ─► Api ─► Registry ─► follow ─► DataPlane
//!                                           ▲ what is known of the ways │
//!                                           └───────────────────────────┘
//!   whoever asks ─► registry.compat.dns ─► dns: the same services as names
//! ```

mod dns;
mod follow;
mod status;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use fulcrum_config::{self as config, Config};
use fulcrum_control_plane::api::{self, Api, Glob, Grant, Limits, Registrant, Token};
use fulcrum_control_plane::eviction::Policy;
use fulcrum_control_plane::metrics::Collector;
use fulcrum_control_plane::registry::{Opened, Registry, Settings};
use fulcrum_control_plane::state::Bounds;
use fulcrum_control_plane::store::OpenError;
use fulcrum_data_plane::DataPlane;
use fulcrum_gslb::server::BindError;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::dns::{Dns, PreparedDns};

pub(crate) use self::dns::DnsMetrics;
pub(crate) use self::status::Known;

/// A registry that can be started: what can fail has been done.
#[derive(Debug)]
pub(crate) struct PreparedRegistry {
    opened: Opened,
    listener: TcpListener,
    dns: Option<PreparedDns>,
    config: config::Registry,
}

/// Why a registry cannot be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryError {
    #[error("registry.store: {source}{}", way_out(.source))]
    Store {
        #[from]
        source: OpenError,
    },
    #[error("registry: cannot make {folder}: {source}")]
    Folder { folder: String, source: io::Error },
    #[error("registry: cannot listen on {address}: {source}")]
    Bind { address: SocketAddr, source: io::Error },
    #[error("registry.compat.dns: {0}")]
    Dns(#[from] BindError),
}

/// What an operator can do about it; never anything that does harm.
pub(crate) fn way_out(error: &OpenError) -> &'static str {
    match error {
        OpenError::Corrupt { .. } | OpenError::Later { .. } => {
            "\n  the file was left as it is; move it away to begin anew: instances then have to register again"
        }
        OpenError::InUse { .. } | OpenError::Io { .. } => "",
    }
}

impl PreparedRegistry {
    /// Opens the file and binds the address, if there is a registry.
    pub(crate) fn prepare(config: Option<&config::Registry>) -> Result<Option<Self>, RegistryError> {
        let Some(config) = config else { return Ok(None) };
        let bind = |source| RegistryError::Bind { address: config.bind, source };
        let listener = TcpListener::bind(config.bind).map_err(bind)?;
        listener.set_nonblocking(true).map_err(bind)?;
        if let Some(folder) = config.store.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|source| RegistryError::Folder { folder: folder.display().to_string(), source })?;
        }
        let settings =
            Settings { file: config.store.clone(), policy: policy(config), bounds: Bounds::default() };
        let dns = config.dns.as_ref().map(PreparedDns::bind).transpose()?;
        let opened = Opened::open(settings, random_seed())?;
        Ok(Some(PreparedRegistry { opened, listener, dns, config: config.clone() }))
    }
}

/// The registry, running.
pub(crate) struct RegistryServer {
    registry: Arc<Registry>,
    api: Arc<Api>,
    address: SocketAddr,
    config: config::Registry,
    /// Where the daemon listens besides.
    own: Vec<SocketAddr>,
    stop: watch::Sender<Duration>,
    server: JoinHandle<()>,
    follower: JoinHandle<()>,
    dns: Option<Dns>,
}

impl RegistryServer {
    /// Serves it, and lets the data plane follow it. `own` is where the daemon listens besides; `known` is told.
    pub(crate) fn start(
        prepared: PreparedRegistry,
        data_plane: &Arc<DataPlane>,
        own: Vec<SocketAddr>,
        known: &Known,
    ) -> io::Result<Self> {
        let PreparedRegistry { opened, listener, dns, config } = prepared;
        let evidence = Arc::clone(data_plane);
        let registry = opened.start(Box::new(move |service| follow::reaches(&evidence, service)))?;
        let registry = Arc::new(registry);
        let address = listener.local_addr()?;
        known.begun(address, Arc::clone(&registry));
        let dns = dns.map(|dns| dns.start(&registry, data_plane)).transpose()?;
        let own = own.into_iter().chain(dns.iter().flat_map(Dns::addresses).copied()).collect::<Vec<_>>();
        let settings = settings(&config, own.iter().copied().chain([address]).collect());
        let api = Arc::new(Api::new(Arc::clone(&registry), settings, Limits::default(), random_seed()));
        let (stop, stopped) = watch::channel(Duration::ZERO);
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let server = tokio::spawn(api::serve(listener, Arc::clone(&api), stopped));
        let follower = tokio::spawn(follow::follow(Arc::clone(&api), Arc::clone(data_plane)));
        if config.tokens.is_empty() {
            tracing::info!(%address, "the registry has no tokens: it serves clients of this machine only");
        }
        Ok(RegistryServer { registry, api, address, config, own, stop, server, follower, dns })
    }

    /// Where its API is served.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its services are asked for as names.
    pub(crate) fn dns_addresses(&self) -> Vec<SocketAddr> {
        self.dns.iter().flat_map(Dns::addresses).copied().collect()
    }

    /// The numbers of who asks for names, if anybody can.
    pub(crate) fn dns_collector(&self) -> Option<Result<DnsMetrics, prometheus::Error>> {
        self.dns.as_ref().map(Dns::collector)
    }

    /// Its numbers.
    pub(crate) fn collector(&self) -> Result<Collector, prometheus::Error> {
        Collector::new(Arc::clone(&self.api))
    }

    /// Ends it: answers that are under way have so long.
    pub(crate) async fn end(self) {
        self.follower.abort();
        // It may have ended already.
        let _ = self.stop.send(GRACE);
        let _ = self.server.await;
        if let Some(dns) = self.dns {
            dns.end().await;
        }
        let registry = self.registry;
        // It waits for the last commit.
        let _ = tokio::task::spawn_blocking(move || registry.stop()).await;
    }
}

/// Why a new configuration of the registry cannot be put in force while the daemon runs.
pub(crate) fn refuse(running: Option<&RegistryServer>, wanted: &Config) -> Option<String> {
    match (running.map(|running| &running.config), &wanted.registry) {
        (None, None) => None,
        (Some(is), Some(shall)) if is.dns != shall.dns => {
            Some("registry: to change `compat` restart the daemon".to_owned())
        }
        (Some(is), Some(shall)) if is.bind == shall.bind && is.store == shall.store => None,
        (Some(_), Some(_)) => Some("registry: to change `bind` or `store` restart the daemon".to_owned()),
        (None, Some(_)) => Some("registry: to add one restart the daemon".to_owned()),
        (Some(_), None) => Some("registry: to remove it restart the daemon".to_owned()),
    }
}

/// Puts a configuration in force that was not refused.
pub(crate) fn follow(running: Option<&mut RegistryServer>, wanted: &Config, own: Vec<SocketAddr>) {
    let (Some(running), Some(config)) = (running, &wanted.registry) else { return };
    running.own = own.into_iter().chain(running.dns_addresses()).collect();
    running.config = config.clone();
    running.registry.follow(policy(config));
    let own = running.own.iter().copied().chain([running.address]).collect();
    running.api.set(settings(config, own));
}

fn policy(config: &config::Registry) -> Policy {
    Policy {
        evict_max: f64::from(config.evict_max) / 100.0,
        hold_max: config.hold_max,
        empty_protect: config.empty_protect,
    }
}

fn settings(config: &config::Registry, own: Vec<SocketAddr>) -> api::Settings {
    let allowed = &config.allow_addresses;
    let registrant = if allowed.registrant { Registrant::Allowed } else { Registrant::OnlyNetworks };
    api::Settings {
        node: 0,
        ttl: config.ttl,
        register_rate: config.register_rate.map_or(u32::MAX, std::num::NonZeroU32::get),
        tokens: config.tokens.iter().map(|token| Arc::new(self::token(token))).collect(),
        allow_addresses: api::AllowAddresses { registrant, networks: allowed.networks.clone() },
        own,
    }
}

fn token(token: &config::Token) -> Token {
    let grants = token.grants.iter().map(|grant| match grant {
        config::Grant::Register(services) => Grant::Register(Glob::new(services)),
        config::Grant::Read => Grant::Read,
        config::Grant::Drain => Grant::Drain,
        config::Grant::Scale => Grant::Scale,
        config::Grant::Admin => Grant::Admin,
    });
    Token::new(&token.name, token.secret.expose(), grants.collect(), Vec::new())
}

/// Where the daemon listens: the data plane, and the admin over TCP.
pub(crate) fn own_addresses(data_plane: &DataPlane, admin: &[String]) -> Vec<SocketAddr> {
    let bound = data_plane.bound().into_iter().flat_map(|listener| listener.addresses);
    // Unix sockets are no addresses that an instance could have.
    bound.filter_map(|address| address.parse().ok()).chain(tcp_addresses(admin)).collect()
}

/// Where the admin listens over TCP.
pub(crate) fn tcp_addresses(admin: &[String]) -> Vec<SocketAddr> {
    admin.iter().filter_map(|address| address.trim_start_matches("http://").parse().ok()).collect()
}

/// Different in every process.
pub(crate) fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// How long answers that are under way have when the daemon ends.
const GRACE: Duration = Duration::from_secs(1);
