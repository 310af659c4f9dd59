//! `fulcrum run`: load, prepare, start, say so, wait, drain.
//!
//! Until everything is prepared nothing is visible: a bad file or a taken port ends the process with 64 and has served
//! nobody.

use std::collections::BTreeMap;
use std::path::Path;
use std::process;
use std::sync::Arc;
use std::time::Instant;

use fulcrum_config::Config;
use fulcrum_data_plane::{DataPlane, Prepared};
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::admin::{self, Admin, AdminSockets, Readiness, StatusDocument};
use crate::cli::RunOptions;
use crate::exit::Exit;
use crate::shutdown::{self, Drained};
use crate::signals::Signals;
use crate::{output, parent, telemetry};

/// Balances load until a signal.
pub(crate) fn run(options: &RunOptions) -> Exit {
    if options.parent.is_some_and(|expected| !parent::end_with(expected)) {
        return Exit::Failed;
    }
    let Some(config) = load(&options.config) else { return Exit::BadConfig };
    telemetry::start(config.log.level);
    let Some((prepared, sockets)) = prepare(&config) else { return Exit::BadConfig };
    let ended = control_runtime().and_then(|runtime| runtime.block_on(serve(config, prepared, sockets)));
    ended.unwrap_or_else(|error| {
        output::error_line(format_args!("error: {error}"));
        Exit::Failed
    })
}

/// The configuration; mistakes and warnings go to standard error.
fn load(file: &Path) -> Option<Config> {
    match fulcrum_config::load(file, &|name| std::env::var(name).ok()) {
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
fn prepare(config: &Config) -> Option<(Prepared, AdminSockets)> {
    // First the admin: once the data plane listens, clients may come.
    let sockets =
        AdminSockets::bind(&config.admin).map_err(|error| output::error_line(format_args!("error: {error}")));
    let prepared = fulcrum_data_plane::prepare(config)
        .map_err(|error| output::error_line(format_args!("error: {error}")));
    Some((prepared.ok()?, sockets.ok()?))
}

/// One thread does all the control work: it is little, and traffic has the others.
fn control_runtime() -> Result<Runtime, Box<dyn std::error::Error>> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(1).thread_name("fulcrum-control").enable_all().build()?)
}

async fn serve(
    config: Config,
    prepared: Prepared,
    sockets: AdminSockets,
) -> Result<Exit, Box<dyn std::error::Error>> {
    let mut signals = Signals::new()?;
    let data_plane = Arc::new(prepared.start()?);
    let readiness = Arc::new(Readiness::new());
    let addresses = sockets.addresses();
    let admin = sockets.serve(Admin {
        registry: admin::registry(data_plane.collector())?,
        readiness: Arc::clone(&readiness),
        token: config.admin.token,
        status: status(Arc::clone(&data_plane), Arc::clone(&readiness), addresses.clone()),
    })?;
    output::line(serde_json::to_string(&ReadyLine::new(&data_plane, &addresses))?);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "serving");

    let signal = signals.next_ending().await;
    tracing::info!("{signal}: ending");
    let drained = shutdown::drain(&data_plane, &readiness, &config.shutdown, &mut signals).await;
    admin.end().await;
    if drained == Drained::Forced {
        // Not even for threads to end: that is what a second signal means.
        process::exit(Exit::Failed.code().into());
    }
    data_plane.stop();
    tracing::info!("ended");
    Ok(Exit::Done)
}

/// The line that says to whoever started us where we serve.
#[derive(Debug, Serialize)]
struct ReadyLine<'a> {
    event: &'static str,
    generation: u64,
    /// Addresses as bound, by the listener's name.
    listeners: BTreeMap<String, Vec<String>>,
    admin: &'a [String],
}

impl<'a> ReadyLine<'a> {
    fn new(data_plane: &DataPlane, admin: &'a [String]) -> Self {
        let listeners = data_plane.bound().into_iter().map(|bound| (bound.name.to_string(), bound.addresses));
        ReadyLine {
            event: "ready",
            generation: data_plane.status().generation,
            listeners: listeners.collect(),
            admin,
        }
    }
}

fn status(
    data_plane: Arc<DataPlane>,
    readiness: Arc<Readiness>,
    admin: Vec<String>,
) -> Box<dyn Fn() -> StatusDocument + Send + Sync> {
    let started = Instant::now();
    Box::new(move || {
        let status = data_plane.status();
        StatusDocument {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: process::id(),
            state: readiness.state(),
            uptime_seconds: started.elapsed().as_secs_f64(),
            generation: status.generation,
            connections: data_plane.connections(),
            requests: data_plane.requests(),
            admin: admin.clone(),
            workers: status.workers.into_iter().map(Into::into).collect(),
            listeners: status.listeners.into_iter().map(Into::into).collect(),
            services: status.services.into_iter().map(Into::into).collect(),
        }
    })
}
