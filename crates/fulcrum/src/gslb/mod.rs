//! The responder in this daemon: it answers DNS by what the data plane and its own checks see.
//!
//! ```text
//!   gslb.bind ─► Responder ◄─ every second: services of the data plane, checks, orders
//!                   │ verdicts ─► state_dir
//! ```

mod explain;
mod memory;
mod metrics;
mod order;
mod simulate;
mod status;

use std::fs;
use std::io::{self, Read};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fulcrum_config::Config;
use fulcrum_config::gslb::Gslb;
use fulcrum_data_plane::DataPlane;
use fulcrum_gslb::compiled::CompileError;
use fulcrum_gslb::responder::{EndpointView, Next, Outside, Responder, ServiceView, bind};
use fulcrum_gslb::server::{BindError, Sockets};
use fulcrum_gslb::verdict::Transition;
use fulcrum_gslb::zone;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use self::memory::{Keeper, MemoryFile};
pub(crate) use self::metrics::GslbMetrics;
pub(crate) use self::order::RegionError;
use self::order::region_state;

/// A responder that can be started: what can fail has been done.
#[derive(Debug)]
pub(crate) struct PreparedResponder {
    next: Next,
    sockets: Sockets,
    memory: MemoryFile,
}

/// Why there can be no responder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GslbError {
    #[error("gslb: {0}")]
    Bind(#[from] BindError),
    #[error("gslb.query_log: {0}")]
    Log(io::Error),
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Compile(Vec<CompileError>),
}

/// The responder of this daemon, as soon as it has begun, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Answering(Arc<OnceLock<Running>>);

/// A responder, and where what is held of regions is kept.
struct Running {
    responder: Arc<Responder>,
    memory: MemoryFile,
}

/// The responder, running.
pub(crate) struct Gslbd {
    responder: Arc<Responder>,
    looks: JoinHandle<()>,
    memory: MemoryFile,
}

impl Answering {
    fn responder(&self) -> Option<&Arc<Responder>> {
        self.0.get().map(|running| &running.responder)
    }

    /// Has the file of the query log opened anew.
    pub(crate) fn reopen_log(&self) {
        if let Some(responder) = self.responder() {
            responder.log_counts().reopen();
        }
    }
}

impl PreparedResponder {
    /// Reads zones and places and binds the addresses, if there is a responder.
    pub(crate) fn prepare(config: &Config) -> Result<Option<Self>, GslbError> {
        let Some(gslb) = &config.gslb else { return Ok(None) };
        let mut next = compile(gslb, None)?;
        next.open_log(None).map_err(GslbError::Log)?;
        Ok(Some(PreparedResponder {
            next,
            sockets: bind(gslb)?,
            memory: MemoryFile::within(&config.state_dir),
        }))
    }
}

/// Everything of a start that needs no socket.
pub(crate) fn check(config: &Config) -> Result<(), GslbError> {
    config.gslb.as_ref().map_or(Ok(()), |gslb| compile(gslb, None).map(drop))
}

fn compile(gslb: &Gslb, running: Option<&Responder>) -> Result<Next, GslbError> {
    Next::prepare(gslb, &zone::file::read_with_texts, running).map_err(GslbError::Compile)
}

impl Gslbd {
    /// Begins to answer; `answering` is told.
    pub(crate) fn start(
        prepared: PreparedResponder,
        data_plane: &Arc<DataPlane>,
        answering: &Answering,
    ) -> io::Result<Self> {
        let PreparedResponder { next, sockets, memory } = prepared;
        let mut key = [0; 16];
        fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
        let remembered = memory.recall();
        let generation = data_plane.generation();
        let responder =
            Responder::start(next, generation, sockets, outside(data_plane), (remembered.as_ref(), key))?;
        let responder = Arc::new(responder);
        // It begins once.
        let _ = answering.0.set(Running { responder: Arc::clone(&responder), memory: memory.clone() });
        let looks = tokio::spawn(look(Arc::clone(&responder), memory.clone()));
        Ok(Gslbd { responder, looks, memory })
    }

    /// Where it answers.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.responder.addresses().iter().map(ToString::to_string).collect()
    }

    /// What is counted.
    pub(crate) fn collector(&self) -> Result<GslbMetrics, prometheus::Error> {
        GslbMetrics::new(Arc::clone(&self.responder))
    }

    /// Ends: what has come is answered, and what is held of regions is kept.
    pub(crate) async fn end(self) {
        self.looks.abort();
        let _ = self.looks.await;
        let Gslbd { responder, memory, .. } = self;
        // It waits for the disk and for its threads.
        let end = move || {
            memory.keep(&responder);
            responder.end();
        };
        let _ = tokio::task::spawn_blocking(end).await;
    }
}

/// A configuration of the responder that can be put in force; nothing where there is none.
///
/// # Errors
/// What is wrong with its files, or why it takes a restart.
pub(crate) fn prepare(running: Option<&Gslbd>, wanted: &Config) -> Result<Option<Next>, String> {
    match (running, &wanted.gslb) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err("gslb: to add it restart the daemon".to_owned()),
        (Some(_), None) => Err("gslb: to remove it restart the daemon".to_owned()),
        (Some(running), Some(shall)) => {
            let is = running.responder.config();
            if (&is.bind, is.workers, &is.tcp) != (&shall.bind, shall.workers, &shall.tcp) {
                return Err("gslb: to change `bind`, `workers` or `tcp` restart the daemon".to_owned());
            }
            let prepared = || {
                let mut next = compile(shall, Some(&running.responder))?;
                next.open_log(Some(&running.responder)).map_err(GslbError::Log)?;
                Ok(next)
            };
            prepared().map(Some).map_err(|error: GslbError| error.to_string())
        }
    }
}

/// Puts it in force.
pub(crate) fn commit(running: Option<&Gslbd>, next: Option<Next>, generation: u64) {
    if let (Some(running), Some(next)) = (running, next) {
        let transitions = running.responder.commit(next, generation);
        transitions.iter().for_each(tell);
        if !transitions.is_empty() {
            running.memory.keep(&running.responder);
        }
    }
}

/// What the responder asks of the data plane.
fn outside(data_plane: &Arc<DataPlane>) -> Outside {
    let data_plane = Arc::clone(data_plane);
    Outside {
        service: Arc::new(move |name| {
            let load = data_plane.service_load(name)?;
            let endpoint = |(address, weight, is_healthy): (std::net::SocketAddr, u16, bool)| EndpointView {
                address: address.ip(),
                port: address.port(),
                weight,
                is_healthy,
            };
            Some(ServiceView {
                healthy: load.healthy,
                endpoints: load.endpoints.into_iter().map(endpoint).collect(),
                load: load.requests as f64,
                capacity: load.capacity.map(|capacity| capacity as f64),
                is_unknown: load.is_unknown,
            })
        }),
        probe: Arc::new(|address, check| {
            Box::pin(async move { fulcrum_data_plane::check_once(address, &check).await })
        }),
    }
}

/// Looks at everything every second, and keeps what is held of regions.
async fn look(responder: Arc<Responder>, memory: MemoryFile) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut looked, mut is_due) = (0, false);
    let mut keeper = Keeper::new(memory);
    loop {
        looks.tick().await;
        looked += 1;
        // Answers are built anew.
        let asked = Arc::clone(&responder);
        let have_changed = tokio::task::spawn_blocking(move || {
            let transitions = asked.tick();
            transitions.iter().for_each(tell);
            asked.free_retired();
            !transitions.is_empty()
        });
        match have_changed.await {
            Ok(have_changed) => is_due |= have_changed || looked % KEEP_EVERY == 0,
            Err(error) => tracing::error!(%error, "regions and targets were not looked at"),
        }
        if keeper.is_free() && is_due {
            keeper.keep(&responder);
            is_due = false;
        }
    }
}

fn tell(transition: &Transition) {
    let Transition { region, from, to, reason, .. } = transition;
    tracing::warn!(%region, %from, %to, %reason, "a region has changed");
}

/// How often everything is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// After so many looks what is held is kept, also if nothing has changed: it is believed for an hour.
const KEEP_EVERY: u64 = 60;
