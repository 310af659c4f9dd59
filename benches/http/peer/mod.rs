//! The proxies under test: which there are, and how each is configured for the same work.

mod config;
mod fleet;
mod setup;

use std::io;
use std::path::{Path, PathBuf};

use crate::options::Options;
use crate::program::{in_path, said_by, version};

pub(crate) use config::Place;
pub(crate) use fleet::{ALL_ENDPOINTS, Fleet, LEAST_HOSTS};
pub(crate) use setup::{Feature, MAX_REQUESTS, MOST_ENDPOINTS, Routes, Setup, endpoint};

/// A kind of proxy that the bench has a configuration for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The one this is all about.
    Fulcrum,
    /// nginx.
    Nginx,
    /// HAProxy.
    Haproxy,
}

/// A binary under test.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// What it is.
    pub(crate) kind: Kind,
    /// Its column.
    pub(crate) label: String,
    /// The program.
    pub(crate) binary: PathBuf,
    /// What an nginx that passes TCP needs in its configuration for that.
    stream: Option<String>,
}

impl Peer {
    /// Fulcrum, and the peers of `PEERS` or else of `PATH`, as far as the options want them.
    pub(crate) fn find(options: &Options) -> io::Result<Vec<Peer>> {
        let fulcrum = PathBuf::from(env!("CARGO_BIN_EXE_fulcrum"));
        let mut peers =
            vec![Peer { kind: Kind::Fulcrum, label: "Fulcrum".to_owned(), binary: fulcrum, stream: None }];
        match std::env::var("PEERS") {
            Ok(named) if !named.trim().is_empty() => {
                for word in named.split_whitespace() {
                    peers.push(Peer::named(word)?);
                }
            }
            _ => {
                for kind in [Kind::Nginx, Kind::Haproxy] {
                    let binary = in_path(kind.name()).ok_or_else(|| missing(kind.name()))?;
                    let label = label(kind, &binary)?;
                    peers.push(Peer { kind, label, stream: stream(kind, &binary)?, binary });
                }
            }
        }
        let wanted = |peer: &Peer| {
            options.proxies.is_empty()
                || options.proxies.iter().any(|name| *name == peer.label || name == peer.kind.name())
        };
        peers.retain(wanted);
        if peers.is_empty() { Err(io::Error::other("--proxies leaves none")) } else { Ok(peers) }
    }

    /// `kind=PATH` or `kind@label=PATH`.
    fn named(word: &str) -> io::Result<Peer> {
        let (name, path) =
            word.split_once('=').ok_or_else(|| io::Error::other(format!("PEERS: {word}: no `=`")))?;
        let kind_name = name.split('@').next().unwrap_or_default();
        let kind =
            [Kind::Fulcrum, Kind::Nginx, Kind::Haproxy].into_iter().find(|kind| kind.name() == kind_name);
        let kind =
            kind.ok_or_else(|| io::Error::other(format!("PEERS: {word}: unknown kind `{kind_name}`")))?;
        let binary = PathBuf::from(path);
        let label = match name.split_once('@') {
            Some((_, version)) => format!("{kind_name} {version}"),
            None => label(kind, &binary)?,
        };
        Ok(Peer { kind, label, stream: stream(kind, &binary)?, binary })
    }
}

impl Kind {
    /// The name of its program.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Fulcrum => "fulcrum",
            Kind::Nginx => "nginx",
            Kind::Haproxy => "haproxy",
        }
    }
}

/// What to do about a program that is not there.
pub(crate) fn missing(program: &str) -> io::Error {
    io::Error::other(format!("{program} is not installed (Debian: apt-get install nginx-light haproxy wrk)"))
}

/// nginx without the compiled-in log path, which may not be writable.
pub(crate) fn nginx_arguments(folder: &str, config: String) -> Vec<String> {
    vec![
        "-e".to_owned(),
        format!("{folder}/error.log"),
        "-p".to_owned(),
        folder.to_owned(),
        "-c".to_owned(),
        config,
    ]
}

/// Kind and version, as in `nginx 1.22.1`.
fn label(kind: Kind, binary: &Path) -> io::Result<String> {
    Ok(format!("{} {}", kind.name(), version(binary, "-v")?))
}

/// The line that loads the stream module of nginx, empty where that is built in; `None` where there is none.
fn stream(kind: Kind, binary: &Path) -> io::Result<Option<String>> {
    if kind != Kind::Nginx {
        return Ok(None);
    }
    let text = said_by(binary, "-V")?;
    if text.split_whitespace().any(|word| word == "--with-stream") {
        return Ok(Some(String::new()));
    }
    let folder = text.split_whitespace().find_map(|word| word.strip_prefix("--modules-path="));
    let module = folder.map(|folder| Path::new(folder).join("ngx_stream_module.so"));
    Ok(module.filter(|module| module.is_file()).map(|module| format!("load_module {};", module.display())))
}
