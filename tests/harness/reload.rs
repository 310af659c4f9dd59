//! Giving a running daemon another configuration, in all the ways that people do it.

use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;

use super::command::{Output, fulcrum};
use super::daemon::{Fulcrum, complete};
use super::wait::eventually;

impl Fulcrum {
    /// The configuration file.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory().join("fulcrum.yaml")
    }

    /// Writes another configuration over the file, with the same additions as at the start.
    pub(crate) fn write_config(&self, yaml: &str) {
        fs::write(self.file(), complete(yaml, self.directory())).expect("room for a file");
    }

    /// Writes another configuration beside the file and moves it over it, as careful programs do.
    pub(crate) fn move_config(&self, yaml: &str) {
        let beside = self.directory().join("next.yaml");
        fs::write(&beside, complete(yaml, self.directory())).expect("room for a file");
        fs::rename(beside, self.file()).expect("a rename in one folder");
    }

    /// `fulcrum reload` with these arguments.
    #[track_caller]
    pub(crate) fn reload_with(&self, arguments: &[&str]) -> Output {
        let admin = self.admin();
        fulcrum(["reload", "--admin", &admin].iter().chain(arguments))
    }

    /// Puts another configuration in force on every worker; its generation.
    #[track_caller]
    pub(crate) fn change(&self, yaml: &str) -> u64 {
        self.move_config(yaml);
        let output = self.reload_with(&["--wait", "--format", "json"]);
        assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
        let reply: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
        assert_eq!(reply["everywhere"], true, "{reply}");
        reply["generation"].as_u64().expect("a number")
    }

    /// Tells it by SIGHUP.
    pub(crate) fn hang_up(&self) {
        self.child.signal(Signal::HUP);
    }

    /// The number of the configuration in force.
    #[track_caller]
    pub(crate) fn generation(&self) -> u64 {
        self.status()["config"]["generation"].as_u64().expect("a number")
    }

    /// Waits until a configuration of this number or a later one is in force.
    #[track_caller]
    pub(crate) fn await_generation(&self, number: u64) {
        eventually(&format!("generation {number}"), || (self.generation() >= number).then_some(()));
    }

    /// The first address of a listener that a reload has added.
    #[track_caller]
    pub(crate) fn address_of(&self, listener: &str) -> String {
        let status = self.status();
        let listeners = status["listeners"].as_array().expect("a list");
        let found = listeners.iter().find(|found| found["name"] == listener);
        let address = found.and_then(|found| found["addresses"][0].as_str());
        address.unwrap_or_else(|| panic!("no listener {listener} in {status}")).to_owned()
    }
}
