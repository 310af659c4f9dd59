//! A real Prometheus that finds its targets here.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::start;
use crate::harness::{Client, Fulcrum, Upstream, eventually};

/// A server that ends with its test.
struct Prometheus {
    child: Child,
    address: String,
    _directory: TempDir,
}

impl Prometheus {
    #[track_caller]
    fn start(registry: &str) -> Self {
        let directory = tempfile::tempdir().expect("room for a directory");
        let file = directory.path().join("prometheus.yml");
        fs::write(&file, CONFIG.replace('@', registry)).expect("room for a file");
        // Free a moment ago; it tells nobody which port it would have taken.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = port.expect("a free port").to_string();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus is installed (see the Makefile)");
        let prometheus = Prometheus { child, address, _directory: directory };
        eventually("it is ready", || {
            std::net::TcpStream::connect(&prometheus.address).ok()?;
            (prometheus.ask("/-/ready").0 == 200).then_some(())
        });
        prometheus
    }

    #[track_caller]
    fn ask(&self, target: &str) -> (u16, Vec<u8>) {
        let response = Client::connect(&self.address)
            .ask(format!("GET {target} HTTP/1.1\r\nHost: prometheus\r\nConnection: close\r\n\r\n"));
        (response.status, response.body)
    }

    /// The instances that it scrapes, and scrapes well, by name.
    #[track_caller]
    fn healthy(&self) -> Vec<(String, Value)> {
        let (_, body) = self.ask("/api/v1/targets?state=active");
        let document: Value = serde_json::from_slice(&body).expect("JSON");
        let targets = document["data"]["activeTargets"].as_array().expect("a list").clone();
        let good = targets.into_iter().filter(|target| target["health"] == "up");
        let mut named: Vec<_> = good
            .map(|target| (target["labels"]["name"].as_str().unwrap_or_default().to_owned(), target))
            .collect();
        named.sort_by(|one, other| one.0.cmp(&other.0));
        named
    }

    #[track_caller]
    fn await_targets(&self, expected: &[&str]) -> Vec<(String, Value)> {
        eventually(&format!("the targets are {expected:?}"), || {
            let healthy = self.healthy();
            healthy.iter().map(|(name, _)| name).eq(expected).then_some(healthy)
        })
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// It looks every second, and changes its targets at most every five.
const CONFIG: &str = "
global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - job_name: registry
    http_sd_configs: [{ url: \"http://@/v1/prometheus/sd?service=web\", refresh_interval: 1s }]
    relabel_configs:
      - { source_labels: [__meta_fulcrum_service], target_label: service }
      - { source_labels: [__meta_fulcrum_instance], target_label: name }
      - { source_labels: [__meta_fulcrum_meta_version], target_label: version }
";

#[test]
fn prometheus_finds_instances_and_forgets_them() {
    let upstreams = [(); 2].map(|()| Upstream::answering(crate::harness::ok("app_up 1\n")));
    let fulcrum: Fulcrum = start("");
    fulcrum.register("web/a", upstreams[0].address(), json!({ "meta": { "version": "1.4.2" } }));
    fulcrum.register("db/x", "127.77.0.1:1", json!({}));
    let prometheus = Prometheus::start(fulcrum.registry());
    let targets = prometheus.await_targets(&["a"]);
    let labels = &targets[0].1["labels"];
    assert_eq!((&labels["service"], &labels["version"]), (&"web".into(), &"1.4.2".into()), "{labels}");
    assert_eq!(labels["instance"], upstreams[0].address(), "{labels}");

    fulcrum.register("web/b", upstreams[1].address(), json!({}));
    prometheus.await_targets(&["a", "b"]);
    fulcrum.leave("web/a", "");
    prometheus.await_targets(&["b"]);
    assert!(fulcrum.metric("fulcrum_registry_requests_total", &[("code", "2xx")]) >= 5.0);
    let refused = fulcrum.metric("fulcrum_registry_refused_total", &[]);
    assert_eq!(refused, 0.0);
}
