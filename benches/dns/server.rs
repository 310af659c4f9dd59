//! A name server under test, running.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::config::{self, Place, Setup, Source, ZONE_FILE};
use crate::measure::{await_change, await_start, free_port};
use crate::peer::{Kind, Peer, missing};
use crate::process::{PROXY_CORE, Process};
use crate::program::in_path;
use crate::question::{Said, ask};
use crate::zones::{self, CHOSEN, MARKER, MARKER_BESIDE, STATIC, marker, network, regional};

/// A server that answers.
pub(crate) struct Server {
    /// What it is.
    pub(crate) peer: Peer,
    /// Where it answers.
    pub(crate) address: SocketAddr,
    /// The process.
    pub(crate) process: Process,
    /// From exec to the first answer.
    pub(crate) ready_after: Duration,
    setup: Setup,
    folder: PathBuf,
}

impl Server {
    /// Starts it in a folder that is not there yet, and waits until it answers.
    pub(crate) fn start(peer: &Peer, setup: &Setup, folder: &Path) -> io::Result<Self> {
        fs::create_dir(folder)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let arguments = config::write(peer.kind, setup, Place { folder, listen: address })?;
        let start = Instant::now();
        let mut process = Process::start(PROXY_CORE, &peer.binary, &arguments, folder)?;
        let blame = |error: io::Error| io::Error::other(format!("{}: {error}", peer.label));
        await_start(&mut process, START_DEADLINE, || marked((address, MARKER), None)).map_err(blame)?;
        let ready_after = start.elapsed();
        let server = Server {
            peer: peer.clone(),
            address,
            process,
            ready_after,
            setup: *setup,
            folder: folder.to_owned(),
        };
        server.check_answers().map_err(blame)?;
        Ok(server)
    }

    /// An error that says whose it is.
    pub(crate) fn blame(&self, error: &io::Error) -> io::Error {
        io::Error::other(format!("{}: {error}", self.peer.label))
    }

    /// Whether it answers what all have to answer.
    fn check_answers(&self) -> io::Result<()> {
        let last = self.setup.names - 1;
        let mut expected = vec![
            (format!("h{last}.{STATIC}"), None, 0, Some(zones::address(last))),
            (format!("nothing.{STATIC}"), None, 3, None),
        ];
        for number in [0, 1, 6, zones::NETWORKS - 1] {
            let (network, region) = network(number);
            expected.push((format!("g3.{CHOSEN}"), Some(network), 0, Some(regional(region))));
        }
        for (name, subnet, code, address) in expected {
            let said = ask(self.address, &name, subnet)?;
            if said != (Said { code, address }) {
                return Err(io::Error::other(format!("{name} for {subnet:?}: {said:?}, not {address:?}")));
            }
        }
        let drawn = ask(self.address, &format!("w3.{CHOSEN}"), None)?;
        let is_target = (0..zones::REGIONS).any(|target| drawn.address == Some(regional(target)));
        if is_target { Ok(()) } else { Err(io::Error::other(format!("w3.{CHOSEN}: {drawn:?}"))) }
    }

    /// Puts another version of the static zone into force, and returns how long it takes from the order until it is
    /// answered.
    pub(crate) fn reload(&self, version: u32) -> io::Result<Duration> {
        let (file, text) = match self.setup.source {
            Source::File => (ZONE_FILE, zones::static_zone(self.setup.names, version)),
            Source::Inline | Source::Beside => {
                let place = Place { folder: &self.folder, listen: self.address };
                ("fulcrum.yaml", config::fulcrum(&self.setup, version, place))
            }
        };
        let new = self.folder.join("next");
        fs::write(&new, text)?;
        let mut order = self.order()?;
        fs::rename(&new, self.folder.join(file))?;
        let start = Instant::now();
        let output = order.output()?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            return Err(io::Error::other(format!("reload: {}", String::from_utf8_lossy(&said))));
        }
        let name = if self.setup.source == Source::Beside { MARKER_BESIDE } else { MARKER };
        await_change(START_DEADLINE, || marked((self.address, name), Some(version)))?;
        Ok(start.elapsed())
    }

    /// What makes it read the zone again.
    fn order(&self) -> io::Result<Command> {
        let folder = self.folder.display();
        let (program, arguments) = match self.peer.kind {
            Kind::Fulcrum => {
                let mut command = Command::new(&self.peer.binary);
                command.args(["reload", "--wait", "--admin", &format!("unix:{folder}/admin.sock")]);
                return Ok(command);
            }
            Kind::Gdnsd => ("gdnsdctl", vec![format!("-c{folder}"), "reload-zones".to_owned()]),
            Kind::Knot => (
                "knotc",
                vec![
                    "-b".to_owned(),
                    format!("-s{folder}/run/knot.sock"),
                    "zone-reload".to_owned(),
                    STATIC.to_owned(),
                ],
            ),
            Kind::Powerdns => (
                "pdns_control",
                vec![format!("--socket-dir={folder}"), "bind-reload-now".to_owned(), STATIC.to_owned()],
            ),
        };
        let mut command = Command::new(in_path(program).ok_or_else(|| missing(program))?);
        command.args(arguments);
        Ok(command)
    }
}

/// An error unless a name is answered by this version, or by any.
fn marked((address, name): (SocketAddr, &str), version: Option<u32>) -> io::Result<()> {
    let said = ask(address, name, None)?;
    let is_there = version.map_or(said.address.is_some(), |version| said.address == Some(marker(version)));
    if is_there { Ok(()) } else { Err(io::Error::other(format!("{name}: {said:?}"))) }
}

/// A server that has not answered by then has failed.
const START_DEADLINE: Duration = Duration::from_secs(60);
