//! A process that runs short of descriptors: clients are told, endpoints are not blamed, the operator still gets in.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use crate::harness::{Client, Conversation, Fulcrum, Response, Setup, Upstream, ok};

#[test]
fn without_descriptors_clients_are_told_and_the_operator_gets_in() {
    let (release, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let upstream = Upstream::new(move |mut conversation: Conversation| {
        while let Some(request) = conversation.request() {
            if request.target() == "/slow" {
                // Until all have asked.
                let _ = gate.lock().expect("nobody panics with the gate").recv();
            }
            conversation.send(ok("app"));
        }
    });
    // Of 400 descriptors 256 are reserved; 70 % of the rest, counted in whole tens, are for clients.
    const CLIENTS: usize = 98;
    const UPSTREAMS: usize = 400 - 256 - CLIENTS;
    const REFUSED: usize = CLIENTS - UPSTREAMS;
    let fulcrum = Fulcrum::start_with_descriptors(&Setup::new(&upstream).yaml(), 400);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| fulcrum.connect()).collect();
    fulcrum.await_metric("fulcrum_http_connections", &[], CLIENTS as f64);
    for client in &mut clients {
        client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(fulcrum.ask_admin("/readyz").status, 200);
    }
    fulcrum.await_errors("no_resources", REFUSED as u32);
    fulcrum.await_metric("fulcrum_http_requests_in_flight", &[], UPSTREAMS as f64);
    assert_eq!(fulcrum.ask_admin("/readyz").status, 200);

    drop(release);
    let responses: Vec<Response> = clients.iter_mut().map(Client::response).collect();
    let (good, bad): (Vec<_>, Vec<_>) = responses.iter().partition(|response| response.status == 200);
    assert_eq!((good.len(), bad.len()), (UPSTREAMS, REFUSED));
    for response in bad {
        assert_eq!(response.status, 503);
        assert!(response.text().contains("reason: no_resources\n"), "{}", response.text());
    }
    let metrics = fulcrum.metrics();
    assert_eq!(metrics.value("fulcrum_upstream_errors_total", &[]), 0.0, "no endpoint is to blame");
    assert_eq!(metrics.value("fulcrum_upstream_retries_total", &[]), 0.0, "another one would not help");
    let hits = metrics.value("fulcrum_process_limit_hits_total", &[("reason", "file_descriptors")]);
    assert_eq!(hits, REFUSED as f64);
    assert_eq!(clients[0].get("/behind").text(), "app", "it goes on");
}
