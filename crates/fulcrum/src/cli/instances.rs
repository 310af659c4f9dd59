//! The options of the commands that talk to a registry.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use fulcrum_model::{InstanceId, ServiceName};

use super::Format;
use crate::client::ServerAddress;

/// Which registry is meant.
#[derive(Debug, Args)]
pub(crate) struct RegistryOptions {
    /// http://host:port
    #[arg(long, env = "FULCRUM_REGISTRY", value_name = "ADDRESS", default_value = "http://127.0.0.1:8500")]
    pub(crate) registry: ServerAddress,

    /// file:/path of the token, where the registry asks for one; else FULCRUM_REGISTRY_TOKEN says what it is
    #[arg(long, value_name = "file:PATH")]
    pub(crate) token: Option<TokenFile>,

    /// For people, or the registry's own JSON
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// A file that holds a token. Never the token itself: a process list shows command lines.
#[derive(Clone, Debug)]
pub(crate) struct TokenFile(pub(crate) PathBuf);

/// An instance among those of all services, written `SERVICE/ID`.
#[derive(Clone, Debug)]
pub(crate) struct InstancePath {
    pub(crate) service: ServiceName,
    pub(crate) id: InstanceId,
}

/// `fulcrum services`
#[derive(Debug, Args)]
pub(crate) struct ServicesOptions {
    #[command(flatten)]
    pub(crate) registry: RegistryOptions,
}

/// `fulcrum instances`
#[derive(Debug, Args)]
pub(crate) struct InstancesOptions {
    #[arg(value_name = "SERVICE")]
    pub(crate) service: ServiceName,

    /// Only those with this tag; with each of several
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,

    /// Only those with this value
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) meta: Vec<Pair>,

    /// Only those in this state: up, draining, maintenance
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Option<String>,

    /// Only those whose heartbeats come (ok), or do not (suspect)
    #[arg(long, value_name = "HEALTH")]
    pub(crate) health: Option<String>,

    #[command(flatten)]
    pub(crate) registry: RegistryOptions,
}

/// `fulcrum register`
#[derive(Debug, Args)]
pub(crate) struct RegisterOptions {
    #[arg(value_name = "SERVICE/ID")]
    pub(crate) instance: InstancePath,

    /// Where it listens
    #[arg(long)]
    pub(crate) port: NonZeroU16,

    /// Its IP address, if it is not the one that we ask from
    #[arg(long, value_name = "IP")]
    pub(crate) address: Option<IpAddr>,

    /// Its share relative to the others: 1 to 65535
    #[arg(long)]
    pub(crate) weight: Option<NonZeroU16>,

    /// How long it stays without a heartbeat
    #[arg(long, value_name = "DURATION", value_parser = crate::duration::parse)]
    pub(crate) ttl: Option<Duration>,

    /// A tag; may be given again
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,

    /// Anything else; may be given again
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) meta: Vec<Pair>,

    /// Where it runs
    #[arg(long)]
    pub(crate) locality: Option<String>,

    /// Any text that is another one for each process
    #[arg(long)]
    pub(crate) incarnation: Option<String>,

    #[command(flatten)]
    pub(crate) registry: RegistryOptions,
}

/// `fulcrum deregister`
#[derive(Debug, Args)]
pub(crate) struct DeregisterOptions {
    #[arg(value_name = "SERVICE/ID")]
    pub(crate) instance: InstancePath,

    /// It gets no new work, and has so long for what it has
    #[arg(long, value_name = "DURATION", value_parser = crate::duration::parse)]
    pub(crate) drain: Option<Duration>,

    /// Only if this is its registration number
    #[arg(long)]
    pub(crate) epoch: Option<u64>,

    /// Why, for the audit
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,

    #[command(flatten)]
    pub(crate) registry: RegistryOptions,
}

/// `fulcrum watch`
#[derive(Debug, Args)]
pub(crate) struct WatchOptions {
    /// Of all services unless told otherwise
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<ServiceName>,

    #[command(flatten)]
    pub(crate) registry: RegistryOptions,
}

/// A name and a value.
#[derive(Clone, Debug)]
pub(crate) struct Pair(pub(crate) String, pub(crate) String);

impl FromStr for TokenFile {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = text.strip_prefix("file:").filter(|path| !path.is_empty());
        path.map(|path| TokenFile(path.into()))
            .ok_or("expected file:/path: a token itself would be seen in the process list")
    }
}

impl FromStr for InstancePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (service, id) = text.split_once('/').ok_or("expected SERVICE/ID, like web/a1")?;
        let service = service.parse().map_err(|error| format!("service {service:?}: {error}"))?;
        let id = id.parse().map_err(|error| format!("id {id:?}: {error}"))?;
        Ok(InstancePath { service, id })
    }
}

impl FromStr for Pair {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
        Ok(Pair(key.to_owned(), value.to_owned()))
    }
}
