//! Queries over TCP (RFC 7766): many on one connection, each with its length in front.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fulcrum_balance::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Shared;
use crate::answer::{ANSWER_MAX, Client, Transport, answer};
use crate::counters::Drop;

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub struct TcpLimits {
    /// A connection without a whole query for so long is closed; and one that does not take its answers.
    pub idle: Duration,
    /// Connections at a time.
    pub connections: u32,
}

/// The connections of all addresses.
pub(super) struct Service {
    listeners: Vec<TcpListener>,
    shared: Shared,
    limits: TcpLimits,
    ended: watch::Receiver<bool>,
}

impl Service {
    pub(super) fn new(
        listeners: Vec<TcpListener>,
        shared: Shared,
        limits: TcpLimits,
        ended: watch::Receiver<bool>,
    ) -> Self {
        Service { listeners, shared, limits, ended }
    }

    pub(super) fn run(self, runtime: &tokio::runtime::Runtime) {
        runtime.block_on(async {
            let places = Arc::new(Semaphore::new(self.limits.connections as usize));
            let mut accepting = JoinSet::new();
            for listener in self.listeners {
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => {
                        let acceptor = Acceptor {
                            shared: self.shared.clone(),
                            limits: self.limits,
                            places: Arc::clone(&places),
                        };
                        accepting.spawn(acceptor.run(listener));
                    }
                    Err(error) => tracing::error!(%error, "no DNS queries are taken over TCP"),
                }
            }
            let mut ended = self.ended;
            let _ = ended.wait_for(|ended| *ended).await;
            // Connections go with those who accepted them.
        });
    }
}

struct Acceptor {
    shared: Shared,
    limits: TcpLimits,
    places: Arc<Semaphore>,
}

impl Acceptor {
    async fn run(self, listener: tokio::net::TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection for DNS failed");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
                self.shared.counters.dropped(self.shared.counters.tcp(), Drop::Connections, 1);
                continue;
            };
            let address = peer.ip().to_canonical();
            let connection = Connection {
                stream,
                address,
                shared: self.shared.clone(),
                idle: self.limits.idle,
                _place: place,
            };
            connections.spawn(connection.run());
        }
    }
}

struct Connection {
    stream: TcpStream,
    address: IpAddr,
    shared: Shared,
    idle: Duration,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    /// Answers one query after the other; whoever sends many at once gets the answers in the same order.
    async fn run(mut self) {
        let _ = self.stream.set_nodelay(true);
        let mut query = Vec::new();
        let mut out = vec![0; 2 + ANSWER_MAX];
        let mut rng = Rng::from_seed(
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64),
        );
        loop {
            match timeout(self.idle, self.read(&mut query)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) => return self.shared.counters.dropped(self.shared.counters.tcp(), Drop::Idle, 1),
            }
            let Some(length) = self.answer(&query, &mut rng, &mut out) else { return };
            if timeout(self.idle, self.stream.write_all(&out[..2 + length])).await.is_err() {
                return self.shared.counters.dropped(self.shared.counters.tcp(), Drop::Idle, 1);
            }
        }
    }

    async fn read(&mut self, query: &mut Vec<u8>) -> io::Result<()> {
        let length = usize::from(self.stream.read_u16().await?);
        query.resize(length, 0);
        self.stream.read_exact(query).await.map(drop)
    }

    fn answer(&self, query: &[u8], rng: &mut Rng, out: &mut [u8]) -> Option<usize> {
        let snapshot = self.shared.snapshot.load();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs() as u32);
        let transport = Transport::Tcp;
        let mut client = Client { address: self.address, transport, now, rng: &mut *rng };
        let counters = &self.shared.counters;
        let Some(answered) = answer(&snapshot, query, &mut client, &mut out[2..]) else {
            counters.dropped(counters.tcp(), Drop::Unanswerable, 1);
            return None;
        };
        out[..2].copy_from_slice(&(answered.length as u16).to_be_bytes());
        counters.answered(counters.tcp(), &snapshot, &answered, transport);
        if let Some(log) = self.shared.log.load().as_ref() {
            log.sample(rng, &snapshot, (self.address, transport), (query, &answered));
        }
        Some(answered.length)
    }
}

/// Before accepting is tried again.
const RETRY: Duration = Duration::from_millis(100);
