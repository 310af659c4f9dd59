//! Requests of many clients at a time, with a death in their midst.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::stops::Load;
use crate::client::{self, ExchangeError, ServerAddress};

/// Sends all requests of the load; `kill` is called after a third of the answers.
pub(super) async fn send(
    load: &Load,
    server: &ServerAddress,
    kill: impl FnOnce(),
) -> Result<Vec<StatusCode>, ExchangeError> {
    let (answers, mut answered) = mpsc::channel(usize::from(load.at_a_time));
    let left = Arc::new(AtomicU16::new(load.requests));
    let mut clients = JoinSet::new();
    for _ in 0..load.at_a_time {
        clients.spawn(ask(server.clone(), load.target, Arc::clone(&left), answers.clone()));
    }
    drop(answers);
    let mut kill = Some(kill);
    let mut statuses = Vec::with_capacity(usize::from(load.requests));
    while let Some(answer) = answered.recv().await {
        statuses.push(answer?);
        if statuses.len() >= usize::from(load.requests / 3)
            && let Some(kill) = kill.take()
        {
            kill();
        }
    }
    Ok(statuses)
}

/// One client: request after request, as long as there are any left.
async fn ask(
    server: ServerAddress,
    target: &'static str,
    left: Arc<AtomicU16>,
    answers: mpsc::Sender<Result<StatusCode, ExchangeError>>,
) {
    let take = |left: u16| left.checked_sub(1);
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
        let request = Request::get(target).body(Full::<Bytes>::default()).expect("the load is valid");
        let answer = client::exchange(&server, request).await.map(|reply| reply.status);
        if answers.send(answer).await.is_err() {
            return;
        }
    }
}
