//! The name servers under test: which there are.

use std::io;
use std::path::{Path, PathBuf};

use crate::options::Options;
use crate::program::{in_path, version};

/// A kind of name server that the bench has a configuration for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The one this is all about.
    Fulcrum,
    /// gdnsd.
    Gdnsd,
    /// Knot DNS.
    Knot,
    /// PowerDNS, the authoritative server.
    Powerdns,
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
}

impl Peer {
    /// Fulcrum, and the peers of `PEERS` or else of `PATH`, as far as the options want them. Other benches' peers in
    /// `PEERS` are passed over.
    pub(crate) fn find(options: &Options) -> io::Result<Vec<Peer>> {
        let fulcrum = PathBuf::from(env!("CARGO_BIN_EXE_fulcrum"));
        let mut peers = vec![Peer { kind: Kind::Fulcrum, label: "Fulcrum".to_owned(), binary: fulcrum }];
        let named = std::env::var("PEERS").unwrap_or_default();
        for word in named.split_whitespace() {
            peers.extend(Peer::named(word)?);
        }
        if peers.len() == 1 {
            for kind in [Kind::Gdnsd, Kind::Knot, Kind::Powerdns] {
                let binary = in_path(kind.program()).ok_or_else(|| missing(kind.program()))?;
                peers.push(Peer { kind, label: label(kind, &binary)?, binary });
            }
        }
        let wanted = |peer: &Peer| {
            options.servers.is_empty()
                || options.servers.iter().any(|name| *name == peer.label || name == peer.kind.name())
        };
        peers.retain(wanted);
        if peers.is_empty() { Err(io::Error::other("--servers leaves none")) } else { Ok(peers) }
    }

    /// `kind=PATH` or `kind@label=PATH`; `None` of a kind that is no name server.
    fn named(word: &str) -> io::Result<Option<Peer>> {
        let (name, path) =
            word.split_once('=').ok_or_else(|| io::Error::other(format!("PEERS: {word}: no `=`")))?;
        let kind_name = name.split('@').next().unwrap_or_default();
        let kinds = [Kind::Fulcrum, Kind::Gdnsd, Kind::Knot, Kind::Powerdns];
        let Some(kind) = kinds.into_iter().find(|kind| kind.name() == kind_name) else { return Ok(None) };
        let binary = PathBuf::from(path);
        let label = match name.split_once('@') {
            Some((_, version)) => format!("{kind_name} {version}"),
            None => label(kind, &binary)?,
        };
        Ok(Some(Peer { kind, label, binary }))
    }
}

impl Kind {
    /// As it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Fulcrum => "fulcrum",
            Kind::Gdnsd => "gdnsd",
            Kind::Knot => "knot",
            Kind::Powerdns => "powerdns",
        }
    }

    fn program(self) -> &'static str {
        match self {
            Kind::Fulcrum => "fulcrum",
            Kind::Gdnsd => "gdnsd",
            Kind::Knot => "knotd",
            Kind::Powerdns => "pdns_server",
        }
    }
}

/// What to do about a program that is not there.
pub(crate) fn missing(program: &str) -> io::Error {
    io::Error::other(format!(
        "{program} is not installed (Debian: apt-get install dnsperf gdnsd knot knot-module-geoip pdns-server \
         pdns-backend-bind pdns-backend-geoip)"
    ))
}

/// Kind and version, as in `knot 3.2.6`.
fn label(kind: Kind, binary: &Path) -> io::Result<String> {
    let flag = match kind {
        Kind::Gdnsd => "version",
        Kind::Knot | Kind::Fulcrum => "-V",
        Kind::Powerdns => "--version",
    };
    Ok(format!("{} {}", kind.name(), version(binary, flag)?))
}
