//! A real database behind us: Redis as Debian has it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use crate::harness::{Client, Fulcrum, eventually};

use super::yaml;

/// A server that ends with its test.
struct Redis {
    child: Child,
    address: String,
    _directory: tempfile::TempDir,
}

impl Redis {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("room for a directory");
        // Free a moment ago; it takes no port of its own choice.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = port.expect("a free port").port().to_string();
        let child = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed (see the Makefile)");
        let address = format!("127.0.0.1:{port}");
        eventually("Redis listens", || std::net::TcpStream::connect(&address).ok());
        Redis { child, address, _directory: directory }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `redis-cli` prints to these commands, one a line.
#[track_caller]
fn ask(address: &str, options: &[&str], commands: &[u8]) -> String {
    let (host, port) = address.rsplit_once(':').expect("an address has a port");
    let mut child = Command::new("redis-cli")
        .args(["-h", host, "-p", port])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("redis-cli is installed with the server");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(commands).expect("it reads to the end");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn redis_works_as_without_us() {
    const KEYS: usize = 10_000;
    let redis = Redis::start();
    let fulcrum = Fulcrum::start(&yaml(&[&redis.address], ""));
    let address = &fulcrum.addresses("db")[0];
    assert_eq!(ask(address, &[], b"SET color blue\nGET color\nINCR count\n"), "OK\nblue\n1\n");

    // Pipelined: one command behind the other, without waiting for answers.
    let sets: String = (0..KEYS).fold(String::new(), |mut text, key| {
        write!(text, "SET key:{key} {key}\r\n").expect("a String takes every write");
        text
    });
    let report = ask(address, &["--pipe"], sets.as_bytes());
    assert!(report.contains(&format!("errors: 0, replies: {KEYS}")), "{report}");
    let gets = (0..KEYS).map(|key| format!("GET key:{key}\r\n")).collect::<String>();
    let answers: String = (0..KEYS).map(|key| format!("${}\r\n{key}\r\n", key.to_string().len())).collect();
    let mut client = Client::connect(address);
    client.send(gets);
    assert!(client.wire.exactly(answers.len()) == Ok(answers.into_bytes()), "answers differ");

    // The server pushes to those who listen.
    let mut listener = Client::connect(address);
    listener.send("SUBSCRIBE news\r\n");
    let subscribed = b"*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n";
    assert_eq!(listener.wire.exactly(subscribed.len()), Ok(subscribed.to_vec()));
    assert_eq!(ask(address, &[], b"PUBLISH news rain\n"), "1\n");
    let message = b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$4\r\nrain\r\n";
    assert_eq!(listener.wire.exactly(message.len()), Ok(message.to_vec()));
    drop((client, listener));
    fulcrum.await_metric("fulcrum_tcp_connections", &[("listener", "db")], 0.0);
    assert_eq!(fulcrum.metric("fulcrum_tcp_errors_total", &[]), 0.0);
}
