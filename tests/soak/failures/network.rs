//! A network of two: this host, and a namespace that packets can be lost in.

use std::net::Ipv4Addr;
use std::process::Command;

/// A namespace, joined to this one by a pair of interfaces. Dropping it removes both.
#[derive(Debug)]
pub(super) struct Network {
    name: String,
    near: Ipv4Addr,
    far: Ipv4Addr,
}

impl Network {
    /// Makes one. It takes root and `ip`.
    pub(super) fn new() -> Self {
        let number = std::process::id();
        // Addresses for measurements (RFC 2544), four for each process.
        let [_, _, high, low] = (number << 2).to_be_bytes();
        let address = |last: u8| Ipv4Addr::new(198, 18, high, low | last);
        let network = Network { name: format!("fulcrum-{number}"), near: address(1), far: address(2) };
        let (name, near, far) = (&network.name, network.near, network.far);
        let (here, there) = (format!("fn{number}"), format!("ff{number}"));
        ip(&format!("netns add {name}"));
        ip(&format!("link add {here} type veth peer name {there} netns {name}"));
        ip(&format!("address add {near}/30 dev {here}"));
        ip(&format!("-n {name} address add {far}/30 dev {there}"));
        ip(&format!("-n {name} link set {there} up"));
        ip(&format!("link set {here} up"));
        network
    }

    /// What runs a command on the far side.
    pub(super) fn prefix(&self) -> Vec<String> {
        ["ip", "netns", "exec", &self.name].map(str::to_owned).to_vec()
    }

    pub(super) fn far(&self) -> String {
        self.far.to_string()
    }

    /// From now on nothing comes back from there: no answer, no reset, no word of a router.
    pub(super) fn lose(&self) {
        ip(&format!("-n {} route add blackhole {}/32", self.name, self.near));
    }

    pub(super) fn restore(&self) {
        ip(&format!("-n {} route del blackhole {}/32", self.name, self.near));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The interfaces go with the namespace.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

#[track_caller]
fn ip(arguments: &str) {
    let output =
        Command::new("ip").args(arguments.split(' ')).output().expect("iproute2: .ci/need ip=iproute2");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments} (this takes root): {told}");
}
