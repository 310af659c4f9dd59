//! The options of the commands about a registry's file.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{DEFAULT_CONFIG, Format};

/// `fulcrum registry`
#[derive(Debug, Subcommand)]
pub(crate) enum RegistryCommand {
    /// Tell whether a file is whole, and what it holds
    Check(RegistryCheckOptions),
    /// Write everything that a file holds to standard output, as JSON
    Export(RegistryExportOptions),
    /// Make a new file of what `export` has written
    Import(RegistryImportOptions),
}

/// Which file is meant.
#[derive(Debug, Args)]
pub(crate) struct StoreOptions {
    /// The registry's file, which no daemon has open [default: the one of the configuration]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// The configuration that says where the file is
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG, conflicts_with = "file")]
    pub(crate) config: PathBuf,
}

/// `fulcrum registry check`
#[derive(Debug, Args)]
pub(crate) struct RegistryCheckOptions {
    #[command(flatten)]
    pub(crate) store: StoreOptions,

    /// A line, or JSON
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// `fulcrum registry export`
#[derive(Debug, Args)]
pub(crate) struct RegistryExportOptions {
    #[command(flatten)]
    pub(crate) store: StoreOptions,
}

/// `fulcrum registry import`
#[derive(Debug, Args)]
pub(crate) struct RegistryImportOptions {
    #[command(flatten)]
    pub(crate) store: StoreOptions,

    /// What `export` has written, if not on standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
}
