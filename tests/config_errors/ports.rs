//! Sockets that cannot be had: `run` refuses with 64 and leaves nothing, `check` does not mind.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use super::{File, check};
use crate::harness::{Client, Output, Setup, Upstream, fulcrum};

fn run(file: &File) -> Output {
    fulcrum(["run".as_ref(), "-c".as_ref(), file.path.as_os_str()])
}

/// A configuration with these listeners and an admin socket in its directory.
fn with_listeners(listeners: &str) -> File {
    File::new(format!(
        "version: 1\nlisteners: {{ {listeners} }}\nroutes: [{{ respond: {{ status: 200 }} }}]\n\
         admin: {{ socket: \"@DIR@/admin.sock\" }}\n"
    ))
}

#[test]
fn a_port_in_use_is_refused_by_name() {
    let owner = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = owner.local_addr().expect("bound").to_string();
    let file = with_listeners(&format!("web: {{ bind: \"{address}\" }}"));
    assert_eq!(check(&file.path).code, Some(0), "check binds nothing");
    let output = run(&file);
    assert_eq!((output.code, output.stdout.as_str()), (Some(64), ""), "{}", output.stderr);
    assert!(output.stderr.contains("`web`") && output.stderr.contains(&address), "{}", output.stderr);
    assert!(!file.directory.path().join("admin.sock").exists(), "nothing stays behind");
}

#[test]
fn every_port_in_use_is_told() {
    let owners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let [one, two] = owners.each_ref().map(|owner| owner.local_addr().expect("bound").to_string());
    let file = with_listeners(&format!("first: {{ bind: \"{one}\" }}, second: {{ bind: \"{two}\" }}"));
    let output = run(&file);
    assert_eq!(output.code, Some(64));
    for part in ["`first`", &one, "`second`", &two] {
        assert!(output.stderr.contains(part), "no {part} in\n{}", output.stderr);
    }
}

#[test]
fn an_admin_port_in_use_is_told_with_the_others() {
    let owner = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = owner.local_addr().expect("bound").to_string();
    let file = File::new(format!(
        "version: 1\nlisteners: {{ web: {{ bind: \"127.77.1.1:1\" }}, no: {{ bind: \"192.0.2.1:80\" }} }}\n\
         routes: [{{ respond: {{ status: 200 }} }}]\nadmin: {{ socket: none, bind: \"{address}\" }}\n"
    ));
    let output = run(&file);
    assert_eq!(output.code, Some(64));
    for part in ["`no`", "192.0.2.1:80", &address] {
        assert!(output.stderr.contains(part), "no {part} in\n{}", output.stderr);
    }
}

#[test]
fn a_failed_start_leaves_no_socket_files() {
    let owner = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = owner.local_addr().expect("bound");
    let file =
        with_listeners(&format!("web: {{ bind: \"unix:@DIR@/web.sock\" }}, tcp: {{ bind: \"{address}\" }}"));
    assert_eq!(run(&file).code, Some(64));
    for name in ["web.sock", "admin.sock"] {
        assert!(!file.directory.path().join(name).exists(), "{name} stays behind");
    }
}

#[test]
fn a_unix_socket_of_somebody_else_is_left_alone() {
    let file = with_listeners("web: { bind: \"unix:@DIR@/web.sock\" }");
    let path = file.directory.path().join("web.sock");
    let owner = UnixListener::bind(&path).expect("a free path");
    let output = run(&file);
    assert_eq!(output.code, Some(64), "{}", output.stderr);
    assert!(output.stderr.contains("web.sock"), "{}", output.stderr);
    assert!(path.exists());
    drop(owner);

    fs::remove_file(&path).expect("our own file");
    fs::write(&path, "precious").expect("room for a file");
    let output = run(&file);
    assert_eq!(output.code, Some(64), "{}", output.stderr);
    assert_eq!(fs::read_to_string(&path).expect("it is still there"), "precious");
}

#[test]
fn a_second_daemon_is_refused_and_the_first_goes_on() {
    let upstream = Upstream::named("first");
    let daemon = Setup::new(&upstream).top("workers: 2").start();
    let second = with_listeners(&format!("web: {{ bind: \"{}\" }}", daemon.address()));
    for _ in 0..3 {
        let output = run(&second);
        assert_eq!((output.code, output.stdout.as_str()), (Some(64), ""), "{}", output.stderr);
        assert!(output.stderr.contains(daemon.address()), "{}", output.stderr);
        // Half of the connections would be lost if the second one had taken a share of the port.
        for _ in 0..20 {
            assert_eq!(daemon.get("/").text(), "first");
        }
    }
    let wildcard = with_listeners(&format!("web: {{ bind: \":{}\" }}", port_of(daemon.address())));
    assert_eq!(run(&wildcard).code, Some(64), "the port of every address includes ours");
}

#[test]
fn a_second_daemon_does_not_take_the_admin_socket() {
    let upstream = Upstream::named("first");
    let daemon = Setup::new(&upstream).start();
    let second = File::new(format!(
        "version: 1\nlisteners: {{ web: {{ bind: \"127.0.0.1:0\" }} }}\nroutes: [{{ respond: {{ status: 200 }} }}]\n\
         admin: {{ socket: {}/admin.sock }}\n",
        daemon.directory().display()
    ));
    let output = run(&second);
    assert_eq!(output.code, Some(64), "{}", output.stderr);
    assert!(output.stderr.contains("running daemon"), "{}", output.stderr);
    assert_eq!(daemon.ask_admin("/healthz").status, 200);
}

#[test]
fn check_runs_beside_a_live_daemon() {
    let upstream = Upstream::named("first");
    let daemon = Setup::new(&upstream).start();
    let text = fs::read_to_string(daemon.directory().join("fulcrum.yaml")).expect("its own file");
    let file = File::new(text.replace("127.0.0.1:0", daemon.address()));
    let mut client = daemon.connect();
    client.get("/before");
    let output = check(&file.path);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    assert_eq!(client.get("/after").status, 200, "on the same connection");
    assert_eq!(daemon.metric("fulcrum_http_connections_total", &[]), 1.0, "check connects to nothing");
    assert_eq!(upstream.connections(), 1);
    assert_eq!(daemon.ask_admin("/healthz").status, 200);
}

#[test]
fn a_port_is_free_again_at_once() {
    let upstream = Upstream::named("app");
    let mut daemon = Setup::new(&upstream).start();
    let address = daemon.address().to_owned();
    // Connections that we end first leave the port in TIME_WAIT.
    (0..5).for_each(|_| drop(daemon.connect().ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")));
    assert_eq!(daemon.stop(), Some(0));
    let yaml = Setup::new(&upstream).yaml().replace("127.0.0.1:0", &address);
    let again = crate::harness::Fulcrum::start(&yaml);
    assert_eq!(Client::connect(&address).get("/").text(), "app");
    drop(again);
}

fn port_of(address: &str) -> &str {
    address.rsplit_once(':').expect("an address has a port").1
}
