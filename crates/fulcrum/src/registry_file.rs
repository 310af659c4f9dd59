//! `fulcrum registry check`, `export`, `import`: the file of a registry that does not run.
//!
//! A file that is looked at is never written to, whatever is wrong with it; a file that is made is a new one.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use fulcrum_control_plane::store::{self, Embedded, FoundError, Image, ImportError, OpenError};
use serde_json::json;

use crate::cli::{
    Format, RegistryCheckOptions, RegistryCommand, RegistryExportOptions, RegistryImportOptions, StoreOptions,
};
use crate::exit::Exit;
use crate::output;
use crate::registry::{random_seed, way_out};

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("{0}")]
    Config(String),
    #[error("{}: the configuration has no registry; name its file", .0.display())]
    NoRegistry(PathBuf),
    #[error("{source}{}", way_out(.source))]
    Open {
        #[from]
        source: OpenError,
    },
    #[error("{0}")]
    Found(#[from] FoundError),
    #[error("{name}: {source}")]
    Import { name: String, source: ImportError },
    #[error("{name}: {source}")]
    Io { name: String, source: io::Error },
}

/// Does what is asked of a file.
pub(crate) fn registry(command: &RegistryCommand) -> Exit {
    let done = match command {
        RegistryCommand::Check(options) => check(options),
        RegistryCommand::Export(options) => export(options),
        RegistryCommand::Import(options) => import(options),
    };
    match done {
        Ok(()) => Exit::Done,
        Err(error @ (FileError::Config(_) | FileError::NoRegistry(_))) => refuse(&error, Exit::BadConfig),
        Err(error) => refuse(&error, Exit::Failed),
    }
}

fn refuse(error: &FileError, exit: Exit) -> Exit {
    output::error_line(format_args!("error: {error}"));
    exit
}

fn check(options: &RegistryCheckOptions) -> Result<(), FileError> {
    let path = path_of(&options.store)?;
    let image = Embedded::inspect(&path)?;
    match options.format {
        Format::Text => output::line(summary(&path, &image)),
        Format::Json => output::line(json!({
            "file": path.display().to_string(),
            "services": services(&image),
            "instances": image.instances.len(),
            "orders": orders(&image),
            "departed": image.departed.len(),
            "store_epoch": image.epoch.to_string(),
            "sequence": image.sequence.0,
        })),
    }
    Ok(())
}

fn export(options: &RegistryExportOptions) -> Result<(), FileError> {
    let image = Embedded::inspect(&path_of(&options.store)?)?;
    let mut stdout = BufWriter::new(io::stdout().lock());
    let written = store::export(&image, &mut stdout).and_then(|()| stdout.flush());
    written.map_err(|source| FileError::Io { name: "standard output".to_owned(), source })
}

fn import(options: &RegistryImportOptions) -> Result<(), FileError> {
    let path = path_of(&options.store)?;
    let image = match &options.from {
        Some(from) => {
            let name = from.display().to_string();
            let file = File::open(from).map_err(|source| FileError::Io { name: name.clone(), source })?;
            read(file, name)?
        }
        None => read(io::stdin().lock(), "standard input".to_owned())?,
    };
    store::found(&path, &image)?;
    output::line(summary(&path, &image));
    Ok(())
}

fn read(from: impl Read, name: String) -> Result<Image, FileError> {
    store::import(BufReader::new(from), random_seed()).map_err(|source| FileError::Import { name, source })
}

/// The file that is named, or else the one of the configuration.
fn path_of(options: &StoreOptions) -> Result<PathBuf, FileError> {
    if let Some(file) = &options.file {
        return Ok(file.clone());
    }
    let loaded = fulcrum_config::load(&options.config, &|name| std::env::var(name).ok());
    let loaded = loaded.map_err(|report| FileError::Config(report.to_text().trim_end().to_owned()))?;
    let registry = loaded.config.registry.as_ref();
    registry
        .map(|registry| registry.store.clone())
        .ok_or_else(|| FileError::NoRegistry(options.config.clone()))
}

fn summary(path: &Path, image: &Image) -> String {
    format!(
        "{}: whole: {} services, {} instances, {} orders, {} departed; history {}, sequence {}",
        path.display(),
        services(image),
        image.instances.len(),
        orders(image),
        image.departed.len(),
        image.epoch,
        image.sequence.0,
    )
}

fn services(image: &Image) -> usize {
    image.instances.iter().map(|instance| &instance.key.service).collect::<BTreeSet<_>>().len()
}

/// Those of instances that are away are kept for their return.
fn orders(image: &Image) -> usize {
    let here = image.instances.iter().filter(|instance| instance.overlay.is_some());
    let away = image.departed.iter().filter(|(_, departure)| departure.overlay.is_some());
    here.count() + away.count()
}
