//! Three regions of two nodes each, an observer, and cables between them: network namespaces that go with the test.
//!
//! ```text
//!   this host ── observer ──┐
//!      eu (.11, .12) ───────┤
//!      us (.21, .22) ───────┼── hub: a bridge, 10.77.0.0/24
//!      ap (.31, .32) ───────┘
//! ```

use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The namespaces. Dropping it removes them.
#[derive(Debug)]
pub(super) struct Network {
    /// What all names begin with.
    prefix: String,
    /// The observer's address that this host reaches.
    observer: Ipv4Addr,
    /// What listens in the regions.
    nodes: Vec<Child>,
}

/// The regions, and the number that their addresses begin with.
pub(super) const REGIONS: [(&str, u8); 3] = [("eu", 1), ("us", 2), ("ap", 3)];

impl Network {
    /// Makes all of it. It takes root and `ip`.
    #[track_caller]
    pub(super) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = std::process::id() << 2 | NUMBER.fetch_add(1, Ordering::Relaxed) & 3;
        // Addresses for measurements (RFC 2544), four for each network; below them are those of tests/soak.
        let [_, _, high, low] = (number << 2).to_be_bytes();
        let address = |last: u8| Ipv4Addr::new(198, 19, high, low | last);
        let mut network = Network { prefix: format!("fd{number}"), observer: address(2), nodes: Vec::new() };
        network.add("hub");
        network.ip("hub", "link add bridge type bridge");
        network.ip("hub", "link set bridge up");
        for (region, first) in REGIONS {
            network.add(region);
            network.plug(region, &[10 * first + 1, 10 * first + 2]);
            network.listen(region);
        }
        network.add("observer");
        network.plug("observer", &[1]);
        let (here, there) = (format!("{}h", network.prefix), network.name("observer"));
        ip(&format!("link add {here} type veth peer name host netns {there}"));
        ip(&format!("address add {}/30 dev {here}", address(1)));
        ip(&format!("link set {here} up"));
        network.ip("observer", &format!("address add {}/30 dev host", network.observer));
        network.ip("observer", "link set host up");
        network
    }

    /// A daemon that becomes the observer, but for the file of its configuration.
    pub(super) fn observer(&self) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name("observer"), env!("CARGO_BIN_EXE_fulcrum"), "run", "-c"]);
        command
    }

    /// Where this host reaches the observer.
    pub(super) fn address(&self) -> Ipv4Addr {
        self.observer
    }

    /// Pulls the cable of a region, or of the observer: nothing passes it any more, and nobody is told.
    pub(super) fn cut(&self, who: &str) {
        self.ip("hub", &format!("link set {who} down"));
    }

    /// Puts it in again.
    pub(super) fn restore(&self, who: &str) {
        self.ip("hub", &format!("link set {who} up"));
    }

    fn name(&self, of: &str) -> String {
        format!("{}-{of}", self.prefix)
    }

    fn add(&self, name: &str) {
        ip(&format!("netns add {}", self.name(name)));
        self.ip(name, "link set lo up");
    }

    /// A cable to the hub, and addresses at its end.
    fn plug(&self, name: &str, last: &[u8]) {
        let there = self.name(name);
        self.ip("hub", &format!("link add {name} type veth peer name hub netns {there}"));
        self.ip("hub", &format!("link set {name} master bridge"));
        self.ip("hub", &format!("link set {name} up"));
        for last in last {
            self.ip(name, &format!("address add 10.77.0.{last}/24 dev hub"));
        }
        self.ip(name, "link set hub up");
    }

    /// The nodes of a region: whoever connects to port 80 is welcome.
    fn listen(&mut self, region: &str) {
        let program = "import socket\nserver = socket.create_server(('', 80), backlog=100)\nprint('ready', flush=True)\n\
                       while True:\n    server.accept()[0].close()";
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(region), "python3", "-c", program]);
        let mut node = command.stdout(Stdio::piped()).spawn().expect("python3: .ci/need python3");
        let mut line = String::new();
        let stdout = node.stdout.take().expect("a pipe");
        self.nodes.push(node);
        BufReader::new(stdout).read_line(&mut line).expect("text");
        assert_eq!(line, "ready\n", "something listens in {region}");
    }

    #[track_caller]
    fn ip(&self, of: &str, arguments: &str) {
        ip(&format!("-n {} {arguments}", self.name(of)));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            let _ = node.kill();
            let _ = node.wait();
        }
        // The interfaces go with the namespaces.
        for name in ["hub", "observer", "eu", "us", "ap"] {
            let _ = Command::new("ip").args(["netns", "del", &self.name(name)]).status();
        }
    }
}

#[track_caller]
fn ip(arguments: &str) {
    let output =
        Command::new("ip").args(arguments.split(' ')).output().expect("iproute2: .ci/need ip=iproute2");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments} (this takes root): {told}");
}
