//! A backend that says itself that it is there: it registers, beats, and leaves when it is asked to end.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::cli::InstancePath;
use crate::client::{self, ExchangeError, Reply, ServerAddress};
use crate::output;
use crate::signals::{Signal, Signals};

/// An instance in a registry.
#[derive(Debug)]
pub(super) struct Membership {
    registry: ServerAddress,
    path: String,
    registration: Value,
}

/// How a registration ended.
enum Ended {
    /// The registry does not know it any more.
    Forgotten,
    /// Another process has its name.
    Replaced,
}

impl Membership {
    pub(super) fn new(instance: &InstancePath, registry: ServerAddress, address: SocketAddr) -> Self {
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let registration = json!({
            "address": address.ip(),
            "port": address.port(),
            "ttl": TTL,
            // Another one for each process: numbers of processes come again.
            "incarnation": format!("{}-{began}", std::process::id()),
        });
        let path = format!("/v1/services/{}/instances/{}", instance.service, instance.id);
        Membership { registry, path, registration }
    }

    /// Is there until SIGTERM or SIGINT; then it leaves, and returns when it has finished what it had.
    pub(super) async fn keep(&self, mut signals: Signals) {
        tokio::select! {
            () = self.stay() => {}
            () = asked_to_end(&mut signals) => self.leave().await,
        }
    }

    /// Registers, and again when it is forgotten, until somebody else does under this name.
    async fn stay(&self) {
        loop {
            let Some(epoch) = self.register().await else {
                tokio::time::sleep(AGAIN_AFTER).await;
                continue;
            };
            if let Ended::Replaced = self.beat(epoch).await {
                return output::error_line(format_args!("{}: another process has registered", self.path));
            }
        }
    }

    async fn register(&self) -> Option<u64> {
        let reply = self.ask(Method::PUT, "", self.registration.to_string()).await.ok()?;
        reply.status.is_success().then(|| document(&reply)["epoch"].as_u64())?
    }

    async fn beat(&self, epoch: u64) -> Ended {
        let mut wait = AGAIN_AFTER;
        loop {
            tokio::time::sleep(wait).await;
            // A registry that does not answer may be back before the lease ends.
            let Ok(reply) = self.ask(Method::PUT, "/lease", json!({ "epoch": epoch }).to_string()).await
            else {
                continue;
            };
            match reply.status {
                StatusCode::NOT_FOUND => return Ended::Forgotten,
                StatusCode::CONFLICT => return Ended::Replaced,
                _ => {
                    let next = document(&reply)["next_ms"].as_u64();
                    wait = next.map_or(AGAIN_AFTER, Duration::from_millis).min(LONGEST_WAIT);
                }
            }
        }
    }

    async fn leave(&self) {
        let target = format!("?drain={}s&reason=stopped", DRAIN.as_secs());
        if self.ask(Method::DELETE, &target, String::new()).await.is_ok() {
            tokio::time::sleep(DRAIN).await;
        }
    }

    async fn ask(&self, method: Method, target: &str, body: String) -> Result<Reply, ExchangeError> {
        let request = Request::builder().method(method).uri(format!("{}{target}", self.path));
        let request = request.body(Full::new(Bytes::from(body))).expect("names of instances make paths");
        client::exchange_within(ANSWER_WITHIN, &self.registry, request).await
    }
}

async fn asked_to_end(signals: &mut Signals) {
    while !matches!(signals.next().await, Signal::Terminate | Signal::Interrupt) {}
}

fn document(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_default()
}

/// The shortest that there is: whoever looks at the demo does not want to wait.
const TTL: &str = "3s";

/// Longer than any answer of a demo takes that a visitor would ask for.
const DRAIN: Duration = Duration::from_secs(1);

const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The registry sets the pace, within the lease.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

const ANSWER_WITHIN: Duration = Duration::from_secs(1);
