//! The command line. Options that need parsing are parsed here; what they mean is in the file of each command.

mod dns;
mod instances;
mod registry;

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use fulcrum_client::RegistryUrl;
use hyper::header::HeaderValue;

use crate::admin::EndpointPath;
use crate::client::ServerAddress;

pub(crate) use self::dns::{
    ExplainCommand, ExplainDnsOptions, OrderTarget, RegionDownOptions, RegionOrderOptions, RegionTarget,
    SimulateCommand, TermOptions,
};

pub(crate) use self::instances::{
    DeregisterOptions, InstancePath, InstancesOptions, Pair, RegisterOptions, RegistryOptions,
    ServicesOptions, WatchOptions,
};

pub(crate) use self::registry::{
    RegistryCheckOptions, RegistryCommand, RegistryExportOptions, RegistryImportOptions, StoreOptions,
};

/// Where `run` and `check` look unless told otherwise.
const DEFAULT_CONFIG: &str = "/etc/fulcrum/fulcrum.yaml";

/// An HTTP load balancer from one YAML file.
#[derive(Debug, Parser)]
#[command(name = "fulcrum", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Balance load until SIGTERM or SIGINT
    Run(RunOptions),
    /// Tell every mistake in a configuration without starting anything
    Check(CheckOptions),
    /// Print the JSON schema of the configuration
    Schema,
    /// Show what a running daemon is doing
    Status(StatusOptions),
    /// Have a running daemon read its configuration anew
    Reload(ReloadOptions),
    /// Give an endpoint no new work, or a region no new clients; what it has finishes
    Drain(DrainOptions),
    /// Clear every order that an endpoint or a region was given at run time
    Undrain(UndrainOptions),
    /// Hold a region for up, whatever is seen
    Up(RegionOrderOptions),
    /// Hold a region for down, whatever is seen
    Down(RegionOrderOptions),
    /// Give an endpoint no work at all, not even that of clients that are pinned to it
    Maintenance(MaintenanceOptions),
    /// Give an endpoint another share
    Weight(WeightOptions),
    /// Say why a running daemon does what it does
    #[command(subcommand)]
    Explain(ExplainCommand),
    /// Say what a running daemon would do, without doing it
    #[command(subcommand)]
    Simulate(SimulateCommand),
    /// List the services of a registry
    Services(ServicesOptions),
    /// List the instances of a service in a registry
    Instances(InstancesOptions),
    /// Register an instance; whoever does it sends heartbeats, too
    Register(RegisterOptions),
    /// Take an instance out of a registry, at once or when it has finished what it has
    Deregister(DeregisterOptions),
    /// Show what a registry knows, and every change as it comes
    Watch(WatchOptions),
    /// Look at a registry's file, write down what it holds, or make another one of that; without a daemon
    #[command(subcommand)]
    Registry(RegistryCommand),
    /// Start a balancer and five backends on this machine, to try things out
    Demo(DemoOptions),
    /// Answer every request with an echo of it
    DemoBackend(DemoBackendOptions),
}

/// `fulcrum run`
#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub(crate) config: PathBuf,

    /// End when this process, our parent, ends.
    #[arg(long, hide = true, value_name = "PID")]
    pub(crate) parent: Option<i32>,
}

/// `fulcrum check`
#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    /// The configuration [default: /etc/fulcrum/fulcrum.yaml]
    #[arg(value_name = "FILE")]
    positional: Option<PathBuf>,

    /// The same, spelt as for `run`
    #[arg(short, long, value_name = "FILE", conflicts_with = "positional")]
    config: Option<PathBuf>,

    /// text on standard error, or JSON on standard output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// `fulcrum status`
#[derive(Debug, Args)]
pub(crate) struct StatusOptions {
    #[command(flatten)]
    pub(crate) daemon: DaemonOptions,

    /// A table, or the daemon's own JSON
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// `fulcrum reload`
#[derive(Debug, Args)]
pub(crate) struct ReloadOptions {
    #[command(flatten)]
    pub(crate) daemon: DaemonOptions,

    /// Return only when every worker serves by the new configuration
    #[arg(long)]
    pub(crate) wait: bool,

    /// What has changed in a line, or the daemon's own JSON
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// Which endpoint is meant.
#[derive(Clone, Debug, Args)]
pub(crate) struct OrderOptions {
    /// The service and the id of the endpoint, as `fulcrum status` shows them
    #[arg(value_name = "SERVICE/ENDPOINT")]
    pub(crate) endpoint: EndpointPath,

    #[command(flatten)]
    pub(crate) daemon: DaemonOptions,

    /// How the endpoint is then in a line, or the daemon's own JSON
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// `fulcrum undrain`
#[derive(Clone, Debug, Args)]
pub(crate) struct UndrainOptions {
    /// The service and the id of the endpoint, or a region, as `fulcrum status` shows them
    #[arg(value_name = "SERVICE/ENDPOINT|region/REGION")]
    pub(crate) target: OrderTarget,

    #[command(flatten)]
    pub(crate) daemon: DaemonOptions,

    /// How it is then in a line, or the daemon's own JSON
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// `fulcrum drain`
#[derive(Debug, Args)]
pub(crate) struct DrainOptions {
    #[command(flatten)]
    pub(crate) order: UndrainOptions,

    /// Why, for whoever looks at the status; of a region it has to be said
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,

    #[command(flatten)]
    pub(crate) term: TermOptions,

    /// Return when nothing is in flight there any more, and nobody is led to the region
    #[arg(long)]
    pub(crate) watch: bool,

    /// How long to watch; it drains on after that [default: 5m; of a region, 5m after the last answer is forgotten]
    #[arg(long, value_name = "DURATION", value_parser = crate::duration::parse, requires = "watch")]
    pub(crate) deadline: Option<Duration>,
}

/// `fulcrum maintenance`
#[derive(Debug, Args)]
pub(crate) struct MaintenanceOptions {
    #[command(flatten)]
    pub(crate) order: OrderOptions,

    /// Why, for whoever looks at the status
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

/// `fulcrum weight`
#[derive(Debug, Args)]
pub(crate) struct WeightOptions {
    #[command(flatten)]
    pub(crate) order: OrderOptions,

    /// Its share relative to the others: 1 to 65535
    #[arg(value_name = "N")]
    pub(crate) weight: NonZeroU16,
}

/// Which daemon is meant.
#[derive(Clone, Debug, Args)]
pub(crate) struct DaemonOptions {
    /// unix:/path or http://host:port
    #[arg(
        long,
        env = "FULCRUM_ADMIN",
        value_name = "ADDRESS",
        default_value = "unix:/run/fulcrum/admin.sock"
    )]
    pub(crate) admin: ServerAddress,
}

/// `fulcrum demo`
#[derive(Debug, Args)]
pub(crate) struct DemoOptions {
    /// Check every printed command at the start and at the end of this time (20s, 1m), then exit
    #[arg(long = "for", value_name = "DURATION", value_parser = crate::duration::parse)]
    pub(crate) duration: Option<Duration>,
}

/// `fulcrum demo-backend`
#[derive(Debug, Args)]
pub(crate) struct DemoBackendOptions {
    /// The address to listen on; port 0 for any free one
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) bind: SocketAddr,

    /// What it calls itself in its answers
    #[arg(long, value_parser = backend_name)]
    pub(crate) name: HeaderValue,

    /// Append a line with method and target of each request to this file as soon as its head is there
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,

    /// Register under this name, and leave at SIGTERM
    #[arg(long, value_name = "SERVICE/ID", requires = "registry")]
    pub(crate) register: Option<InstancePath>,

    /// The registry to do that in
    #[arg(long, value_name = "ADDRESS", requires = "register")]
    pub(crate) registry: Option<RegistryUrl>,

    /// End when this process, our parent, ends.
    #[arg(long, hide = true, value_name = "PID")]
    pub(crate) parent: Option<i32>,
}

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl CheckOptions {
    /// The file to check.
    pub(crate) fn file(&self) -> &Path {
        self.positional.as_deref().or(self.config.as_deref()).unwrap_or(Path::new(DEFAULT_CONFIG))
    }
}

/// A name that can stand in a header field and in JSON as it is.
fn backend_name(text: &str) -> Result<HeaderValue, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if text.is_empty() || text.len() > 63 || !text.bytes().all(plain) {
        return Err("a name has 1 to 63 letters, digits, dots, dashes and underscores".to_owned());
    }
    HeaderValue::from_str(text).map_err(|error| error.to_string())
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 it would not fit, 4 nobody can tell whether it fits, 64 bad configuration, \
     69 daemon not reachable";

#[cfg(test)]
mod tests;
