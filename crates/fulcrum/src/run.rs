//! `fulcrum run`: load, prepare, start, say so, reload when asked to, drain.
//!
//! Until everything is prepared nothing is visible: a bad file or a taken port ends the process with 64 and has served
//! nobody.

use std::collections::BTreeMap;
use std::process;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use fulcrum_config::Config;
use fulcrum_data_plane::{DataPlane, Prepared};
use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, oneshot};

use crate::admin::{self, Admin, AdminSockets, ConfigStatus, Readiness, Settings, StatusDocument};
use crate::cli::RunOptions;
use crate::discovery::DiscoverySources;
use crate::exit::Exit;
use crate::gslb::{Answering, Gslbd, PreparedResponder};
use crate::names::HostNames;
use crate::registry::{self, Known, PreparedRegistry, RegistryServer};
use crate::reload::{Files, History, Owner, Reloader};
use crate::shutdown::{self, Drained};
use crate::signals::{Signal, Signals};
use crate::telemetry::Telemetry;
use crate::{order, output, parent, telemetry};

/// Balances load until a signal.
pub(crate) fn run(options: &RunOptions) -> Exit {
    if options.parent.is_some_and(|expected| !parent::end_with(expected)) {
        return Exit::Failed;
    }
    let touched = Arc::new(Notify::new());
    let mut files = Files::new(options.config.clone(), Arc::clone(&touched));
    let Some(config) = load(&mut files) else { return Exit::BadConfig };
    let telemetry = telemetry::start(config.log.level);
    let Some(planes) = prepare(&config) else { return Exit::BadConfig };
    let ready = Ready { files, touched, config, telemetry, planes };
    let ended = control_runtime().and_then(|runtime| runtime.block_on(serve(ready)));
    ended.unwrap_or_else(|error| {
        output::error_line(format_args!("error: {error}"));
        Exit::Failed
    })
}

/// Everything that can fail has been done.
struct Ready {
    files: Files,
    /// Told when the files may have changed.
    touched: Arc<Notify>,
    config: Config,
    telemetry: Telemetry,
    planes: Planes,
}

/// Every plane, with its sockets bound.
struct Planes {
    prepared: Prepared,
    sockets: AdminSockets,
    instances: Option<PreparedRegistry>,
    responder: Option<PreparedResponder>,
}

/// The configuration; mistakes and warnings go to standard error.
fn load(files: &mut Files) -> Option<Config> {
    match files.load() {
        Ok(loaded) => {
            output::error_text(&loaded.warnings.to_text());
            Some(loaded.config)
        }
        Err(report) => {
            output::error_text(&report.to_text());
            None
        }
    }
}

/// Every socket, bound. What cannot be bound goes to standard error, all of it.
fn prepare(config: &Config) -> Option<Planes> {
    fn told<T>(result: Result<T, impl std::fmt::Display>) -> Option<T> {
        result.map_err(|error| output::error_line(format_args!("error: {error}"))).ok()
    }
    // First the admin and the registry: once the data plane listens, clients may come.
    let sockets = told(AdminSockets::bind(&config.admin));
    let instances = told(PreparedRegistry::prepare(config.registry.as_ref()));
    let responder = told(PreparedResponder::prepare(config));
    let prepared = told(fulcrum_data_plane::prepare(config));
    let planes =
        Planes { prepared: prepared?, sockets: sockets?, instances: instances?, responder: responder? };
    told(planes.prepared.listen())?;
    Some(planes)
}

/// One thread does all the control work: it is little, and traffic has the others.
fn control_runtime() -> Result<Runtime, Box<dyn std::error::Error>> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(1).thread_name("fulcrum-control").enable_all().build()?)
}

async fn serve(ready: Ready) -> Result<Exit, Box<dyn std::error::Error>> {
    let Ready { files, touched, config, telemetry, planes } = ready;
    let Planes { prepared, sockets, instances, responder } = planes;
    let mut signals = Signals::new()?;
    let data_plane = Arc::new(prepared.start()?);
    tokio::spawn(Arc::clone(&data_plane).watch_endpoints());
    let names = HostNames::start(&data_plane);
    let sources = DiscoverySources::start(&data_plane, names.clone());
    let readiness = Arc::new(Readiness::new());
    let registry = admin::registry(data_plane.collector())?;
    let metrics = registry.clone();
    registry.register(names.collector()?)?;
    registry.register(sources.collector()?)?;
    let history = Arc::new(History::begin(files.main(), &registry)?);
    let (reloader, requests) = Reloader::new();
    let (known, answering) = (Known::default(), Answering::default());
    let admin = Arc::new(Admin {
        registry,
        readiness: Arc::clone(&readiness),
        settings: ArcSwap::default(),
        status: status(
            Arc::clone(&data_plane),
            (names, sources.clone(), known.clone(), answering.clone()),
            Arc::clone(&readiness),
            Arc::clone(&history),
        ),
        reload: reload(reloader.clone(), Arc::clone(&data_plane)),
        order: order::action(Arc::clone(&data_plane)),
        answering: answering.clone(),
    });
    // The admin shows the sources: were it held by them, neither would ever end.
    let shown = Arc::downgrade(&admin);
    let admin = sockets.serve(admin, config.admin.clone())?;
    let addresses = admin.addresses();
    let own = registry::own_addresses(&data_plane, &addresses);
    let start = |prepared| RegistryServer::start(prepared, &data_plane, own, &known);
    let instances = instances.map(start).transpose()?;
    if let Some(instances) = &instances {
        metrics.register(Box::new(instances.collector()?))?;
        if let Some(names) = instances.dns_collector() {
            metrics.register(Box::new(names?))?;
        }
    }
    let registry_address = instances.as_ref().map(RegistryServer::address);
    sources.begin(&data_plane, move || {
        let admin = shown.upgrade().map(|admin| registry::tcp_addresses(&admin.settings.load().addresses));
        admin.into_iter().flatten().chain(registry_address).collect()
    });
    let start = |prepared| Gslbd::start(prepared, &data_plane, &answering);
    let responder = responder.map(start).transpose()?;
    if let Some(responder) = &responder {
        metrics.register(Box::new(responder.collector()?))?;
    }
    let line = ReadyLine::new(&data_plane, &addresses, instances.as_ref(), responder.as_ref());
    output::line(serde_json::to_string(&line)?);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "serving");

    let (stop, stopped) = oneshot::channel();
    let shutdown = config.shutdown.clone();
    let data = Arc::clone(&data_plane);
    let owner = Owner { files, config, data_plane: data, admin, instances, responder, telemetry, history };
    let owner = owner.start(requests, touched, stopped)?;
    let signal = ending(&mut signals, &reloader, &data_plane, &answering).await;
    tracing::info!("{signal}: ending");
    // A reload that has begun is finished; what it changed is what ends.
    let _ = stop.send(());
    // Without an owner, whose end was told, requests still have the time that they were promised at the start.
    let owner = owner.await.ok();
    let shutdown = owner.as_ref().map_or(&shutdown, |owner| &owner.config.shutdown);
    let drained = shutdown::drain(&data_plane, &readiness, shutdown, &mut signals).await;
    if let Some(Owner { admin, instances, responder, .. }) = owner {
        // Answers lead here for as long as they are remembered: it answers to the last.
        if let Some(responder) = responder {
            responder.end().await;
        }
        // After the drain: instances may beat and leave as long as somebody is served by them.
        if let Some(instances) = instances {
            instances.end().await;
        }
        admin.end().await;
    }
    if drained == Drained::Forced {
        // Not even for threads to end: that is what a second signal means.
        process::exit(Exit::Failed.code().into());
    }
    data_plane.stop();
    tracing::info!("ended");
    Ok(Exit::Done)
}

/// Waits for a signal that ends the daemon, and does what the others ask for.
async fn ending(
    signals: &mut Signals,
    reloader: &Reloader,
    data_plane: &Arc<DataPlane>,
    answering: &Answering,
) -> Signal {
    loop {
        match signals.next().await {
            ending @ (Signal::Terminate | Signal::Interrupt) => return ending,
            Signal::Hangup => reloader.signal(),
            Signal::User1 => {
                answering.reopen_log();
                let data_plane = Arc::clone(data_plane);
                // It waits for a reload that is being prepared.
                let _ = tokio::task::spawn_blocking(move || data_plane.reopen_access_log()).await;
            }
        }
    }
}

/// The line that says to whoever started us where we serve.
#[derive(Debug, Serialize)]
struct ReadyLine<'a> {
    event: &'static str,
    generation: u64,
    /// Addresses as bound, by the listener's name.
    listeners: BTreeMap<String, Vec<String>>,
    admin: &'a [String],
    /// Where instances register; none where there is no registry.
    registry: Vec<String>,
    /// Where its services are asked for as names; none where they are not.
    registry_dns: Vec<String>,
    /// Where DNS is answered; none where it is not.
    gslb: Vec<String>,
}

impl<'a> ReadyLine<'a> {
    fn new(
        data_plane: &DataPlane,
        admin: &'a [String],
        instances: Option<&RegistryServer>,
        responder: Option<&Gslbd>,
    ) -> Self {
        let listeners = data_plane.bound().into_iter().map(|bound| (bound.name.to_string(), bound.addresses));
        ReadyLine {
            event: "ready",
            generation: data_plane.status().generation,
            listeners: listeners.collect(),
            admin,
            registry: instances.iter().map(|instances| instances.address().to_string()).collect(),
            registry_dns: instances
                .iter()
                .flat_map(|instances| instances.dns_addresses())
                .map(|address| address.to_string())
                .collect(),
            gslb: responder.map(Gslbd::addresses).unwrap_or_default(),
        }
    }
}

fn status(
    data_plane: Arc<DataPlane>,
    (names, sources, registry, answering): (HostNames, DiscoverySources, Known, Answering),
    readiness: Arc<Readiness>,
    history: Arc<History>,
) -> Box<dyn Fn(&Settings) -> StatusDocument + Send + Sync> {
    let started = Instant::now();
    Box::new(move |settings| {
        let status = data_plane.status();
        StatusDocument {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: process::id(),
            state: readiness.state(),
            uptime_seconds: started.elapsed().as_secs_f64(),
            generation: status.generation,
            config: ConfigStatus { generation: status.generation, history: history.config() },
            connections: data_plane.connections(),
            requests: data_plane.requests(),
            admin: settings.addresses.clone(),
            workers: status.workers.into_iter().map(Into::into).collect(),
            listeners: status.listeners.into_iter().map(Into::into).collect(),
            services: status.services.into_iter().map(Into::into).collect(),
            host_names: names.status(),
            discovery: sources.status(),
            registry: registry.status(),
            gslb: answering.status(),
            absent_overrides: status.absent_orders.into_iter().map(Into::into).collect(),
        }
    })
}

fn reload(reloader: Reloader, data_plane: Arc<DataPlane>) -> admin::ReloadAction {
    Box::new(move |wait| reloader.reload(wait, &data_plane))
}
