//! The command line of what a daemon answers over DNS.

use clap::{Args, Subcommand};

use super::{DaemonOptions, Format};

/// `fulcrum explain`
#[derive(Debug, Subcommand)]
pub(crate) enum ExplainCommand {
    /// Why a name is answered as it is
    Dns(ExplainDnsOptions),
}

/// `fulcrum explain dns`
#[derive(Debug, Args)]
pub(crate) struct ExplainDnsOptions {
    /// The name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// The client's address, or its network as a resolver tells it
    #[arg(long, value_name = "ADDRESS[/BITS]")]
    pub(crate) from: String,

    /// The type of the records
    #[arg(long = "type", value_name = "TYPE", default_value = "A")]
    pub(crate) record_type: String,

    #[command(flatten)]
    pub(crate) daemon: DaemonOptions,

    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

/// How something is written.
#[derive(Debug, Args)]
pub(crate) struct OutputOptions {
    /// A table, or the daemon's own JSON
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Short for `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl OutputOptions {
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}
