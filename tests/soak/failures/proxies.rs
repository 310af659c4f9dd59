//! The two proxies side by side, in front of the same upstreams.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use tempfile::TempDir;

use crate::harness::{Child, Fulcrum, eventually};

/// What an operator asks for beyond endpoints and checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Nothing: the defaults.
    Nothing,
    /// Responses within this time, or another attempt.
    Within(&'static str),
    /// Another attempt after 503, which HAProxy is told in any case.
    NoUnavailable,
}

/// What both proxies are told.
#[derive(Clone, Debug)]
pub(super) struct Job<'a> {
    /// Red, green and blue.
    pub(super) main: [&'a str; 3],
    pub(super) second: &'a str,
    pub(super) wish: Wish,
}

/// HAProxy.
#[derive(Debug)]
pub(super) struct Haproxy {
    _child: Child,
    _directory: TempDir,
    pub(super) address: SocketAddr,
}

impl Job<'_> {
    fn complete(&self, template: &str) -> String {
        let [red, green, blue] = self.main;
        let filled = template.replace("@RED@", red).replace("@GREEN@", green).replace("@BLUE@", blue);
        filled.replace("@SECOND@", self.second)
    }

    pub(super) fn fulcrum(&self) -> Fulcrum {
        let keys = match self.wish {
            Wish::Nothing => String::new(),
            Wish::Within(time) => format!(
                "    timeouts: {{ response_header: {time} }}\n    retry: {{ on: [connect, reset, timeout] }}"
            ),
            Wish::NoUnavailable => "    retry: { on: [connect, reset, unavailable] }".to_owned(),
        };
        let yaml = self.complete(include_str!("fulcrum.yaml"));
        Fulcrum::start(&yaml.replace("@SERVICE@", &keys))
    }

    pub(super) fn haproxy(&self) -> Haproxy {
        let directory = tempfile::tempdir().expect("room for a directory");
        let address = free_address();
        let config = self.complete(include_str!("haproxy.cfg")).replace("@LISTEN@", &address.to_string());
        let config =
            config.replace("@TIMEOUT@", if let Wish::Within(time) = self.wish { time } else { "60s" });
        let file = directory.path().join("haproxy.cfg");
        fs::write(&file, config).expect("room for a file");
        let mut command = Command::new(program());
        command.arg("-db").arg("-f").arg(&file);
        let child = Child::spawn(command, directory.path().join("stderr"));
        eventually("HAProxy accepts connections", || TcpStream::connect(address).ok());
        Haproxy { _child: child, _directory: directory, address }
    }
}

/// The version of HAProxy, as it tells it.
pub(super) fn version() -> String {
    let output = Command::new(program()).arg("-v").output().expect("HAProxy is installed: .ci/need haproxy");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split(' ').nth(2).expect("HAProxy version N").to_owned()
}

/// Daemons live in sbin, which is not in everybody's PATH.
fn program() -> &'static str {
    if std::path::Path::new("/usr/sbin/haproxy").exists() { "/usr/sbin/haproxy" } else { "haproxy" }
}

/// Nobody's yet, at a host where no connection begins.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.61.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}
