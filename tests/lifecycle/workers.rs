//! Long connections are spread over the workers, whichever of them the kernel has given them to.

use crate::harness::{Client, Setup, Upstream, eventually};

#[test]
fn long_connections_are_spread() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).top("workers: 2").start();
    let mut clients: Vec<Client> = (0..40)
        .map(|_| {
            let mut client = fulcrum.connect();
            assert_eq!(client.get("/").status, 200);
            client
        })
        .collect();
    let status = fulcrum.status();
    let workers = status["workers"].as_array().expect("a list");
    let connections: Vec<u64> = workers.iter().filter_map(|worker| worker["connections"].as_u64()).collect();
    assert_eq!((connections.len(), connections.iter().sum::<u64>()), (2, 40), "{status}");
    assert!(connections.iter().all(|&count| count >= 10), "{connections:?}");
    let accepted: u64 = workers.iter().filter_map(|worker| worker["accepted"].as_u64()).sum();
    assert_eq!(accepted, 40);

    // Handed over or not, they all go on.
    clients.iter_mut().for_each(|client| assert_eq!(client.get("/again").status, 200));
    drop(clients);
    eventually("every place is given back", || {
        let status = fulcrum.status();
        let workers = status["workers"].as_array().expect("a list");
        workers.iter().all(|worker| worker["connections"] == 0).then_some(())
    });
}

#[test]
fn unix_connections_are_spread_too() {
    let upstream = Upstream::named("app");
    let yaml = Setup::new(&upstream).top("workers: 2").yaml();
    let fulcrum = crate::harness::Fulcrum::start(&yaml.replace("\"127.0.0.1:0\"", "\"unix:@DIR@/web.sock\""));
    let clients: Vec<Client> = (0..40)
        .map(|_| {
            let mut client = fulcrum.connect();
            assert_eq!(client.get("/").status, 200);
            client
        })
        .collect();
    let status = fulcrum.status();
    let workers = status["workers"].as_array().expect("a list");
    assert!(workers.iter().all(|worker| worker["connections"].as_u64() >= Some(10)), "{status}");
    drop(clients);
}
