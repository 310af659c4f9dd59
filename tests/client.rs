//! The client crate against the real registry: instances that stay registered, watchers that miss nothing, gateways that
//! go on without a registry.

mod gateway;
mod lease;
mod snippets;
mod watch;

use std::env;
use std::fs;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

use fulcrum_client::{Instance, Registered, Registry, State};

use crate::harness::{Child, Fulcrum, eventually};

/// A registry and nothing else, always at the same address: clients have to find it when it is back.
fn registry_at(address: &str, more: &str) -> Fulcrum {
    Fulcrum::start(&format!(
        "state_dir: \"@DIR@/state\"\nregistry: {{ bind: \"{address}\", ttl: 3s{more} }}\n"
    ))
}

/// An address that was free a moment ago. Not 127.0.0.1: whoever connects from there again and again meets itself one day.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.3:0").expect("a free port");
    listener.local_addr().expect("bound").to_string()
}

#[track_caller]
fn registry_of(address: &str) -> Registry {
    Registry::new([format!("http://{address}")]).expect("an address")
}

fn instance(id: &str, address: &str) -> Instance {
    let address: std::net::SocketAddr = address.parse().expect("an address");
    let port = NonZeroU16::new(address.port()).expect("a port");
    Instance::new("web", id, port).expect("names").address(address.ip())
}

/// Waits until an instance stands somewhere, as it knows itself.
#[track_caller]
fn await_state(registered: &Registered, state: State) {
    let status = registered.status();
    eventually(&format!("{state:?}"), || (status.borrow().state == state).then_some(()));
}

/// A runtime for what a test asks itself.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// An example of the client crate, which talks to this registry.
#[track_caller]
fn example(name: &str, registry: &str, arguments: &[&str]) -> Child {
    let mut command = Command::new("env");
    command.arg(format!("FULCRUM_REGISTRY=http://{registry}")).arg(examples().join(name)).args(arguments);
    let stderr = tempfile::NamedTempFile::new().expect("room for a file").into_temp_path();
    Child::spawn(command, stderr.keep().expect("it is ours"))
}

/// Where the examples are, built of the sources as they are now: cargo builds them with all targets, but not with this test
/// alone.
fn examples() -> &'static Path {
    static EXAMPLES: OnceLock<PathBuf> = OnceLock::new();
    EXAMPLES.get_or_init(|| {
        let deps = env::current_exe().expect("a path");
        let profile = deps.ancestors().nth(2).expect("target/PROFILE/deps is above");
        let folder = profile.join("examples");
        let is_built = |name: &str| {
            let built = fs::metadata(folder.join(name)).and_then(|built| built.modified());
            built.is_ok_and(|built| built > newest_source())
        };
        if !["gateway", "instance"].into_iter().all(is_built) {
            build_examples(profile);
        }
        folder
    })
}

fn newest_source() -> SystemTime {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../client");
    let folders = [top.join("src"), top.join("examples")];
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder can be read"));
    let times =
        files.map(|file| file.and_then(|file| file.metadata()?.modified()).expect("a file has a time"));
    times.max().expect("there are sources")
}

fn build_examples(profile: &Path) {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--locked", "--offline", "-p", "fulcrum-client", "--examples", "--target-dir"]);
    command.arg(profile.parent().expect("target is above"));
    if profile.ends_with("release") {
        command.arg("--release");
    }
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
