//! A backend that says itself that it is there: it registers, beats, and leaves when it is asked to end.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// The number of the registration, 0 before there is one: who was replaced must not take out who came after.
    epoch: AtomicU64,
}

/// How a registration ended.
enum Ended {
    /// The registry does not know it any more.
    Forgotten,
    /// Another process has its name.
    Replaced,
    /// There was none.
    Refused,
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
        Membership { registry, path, registration, epoch: AtomicU64::new(0) }
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
            match self.register_and_beat().await {
                Ended::Forgotten => {}
                Ended::Refused => tokio::time::sleep(AGAIN_AFTER).await,
                Ended::Replaced => {
                    return output::error_line(format_args!("{}: another process has registered", self.path));
                }
            }
        }
    }

    async fn register_and_beat(&self) -> Ended {
        let body = registration(&self.registration, self.epoch.load(Ordering::Relaxed));
        let Ok(reply) = self.ask(Method::PUT, "", body).await else { return Ended::Refused };
        match (reply.status, document(&reply)["epoch"].as_u64()) {
            (StatusCode::CONFLICT, _) => Ended::Replaced,
            (status, Some(epoch)) if status.is_success() => {
                self.epoch.store(epoch, Ordering::Relaxed);
                self.beat(epoch).await
            }
            _ => Ended::Refused,
        }
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
        let Some(target) = departure(self.epoch.load(Ordering::Relaxed)) else { return };
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

/// The body of a registration: who registers again says as whom, and is refused where another process has come since.
fn registration(body: &Value, epoch: u64) -> String {
    let mut body = body.clone();
    if epoch > 0 {
        body["epoch"] = epoch.into();
    }
    body.to_string()
}

/// The query of a departure; nothing for who was never registered, and has nothing to take out.
fn departure(epoch: u64) -> Option<String> {
    (epoch > 0).then(|| format!("?epoch={epoch}&drain={}s&reason=stopped", DRAIN.as_secs()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_registered_says_as_whom() {
        assert_eq!(departure(0), None, "it has nothing to take out");
        assert_eq!(departure(3).as_deref(), Some("?epoch=3&drain=1s&reason=stopped"));
        let body = json!({ "port": 80 });
        assert_eq!(registration(&body, 0), r#"{"port":80}"#);
        assert_eq!(registration(&body, 3), r#"{"epoch":3,"port":80}"#);
    }
}
