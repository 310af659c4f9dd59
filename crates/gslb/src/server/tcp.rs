//! Queries over TCP (RFC 7766): many on one connection, each with its length in front.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fulcrum_balance::Rng;
use fulcrum_config::gslb::DnsTcp;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Shared;
use super::places::{Place, Places};
use crate::answer::{ANSWER_MAX, Client, Transport, answer};
use crate::counters::Drop;

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub struct TcpLimits {
    /// A connection without a whole query for so long is closed; and one that does not take its answers.
    pub idle: Duration,
    /// Connections at a time: when more come, those leave that were answered longest ago.
    pub connections: u32,
    /// Of a network at a time: when more of it come, its own leave.
    pub connections_per_source: u32,
}

impl TcpLimits {
    /// As configured.
    pub fn of(tcp: &DnsTcp) -> Self {
        TcpLimits {
            idle: tcp.idle_timeout,
            connections: tcp.max_connections.get(),
            connections_per_source: tcp.connections_per_source.get(),
        }
    }
}

/// Where answers are written, with room for the largest: one place for all connections, for they have one thread.
type Draft = Arc<Mutex<Box<[u8]>>>;

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
            let places = Arc::new(Places::new(self.limits));
            let draft: Draft = Arc::new(Mutex::new(vec![0; 2 + ANSWER_MAX].into()));
            let mut accepting = JoinSet::new();
            for listener in self.listeners {
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => {
                        let acceptor = Acceptor {
                            shared: self.shared.clone(),
                            limits: self.limits,
                            places: Arc::clone(&places),
                            draft: Arc::clone(&draft),
                            ended: self.ended.clone(),
                        };
                        accepting.spawn(acceptor.run(listener));
                    }
                    Err(error) => tracing::error!(%error, "no DNS queries are taken over TCP"),
                }
            }
            let mut ended = self.ended;
            let _ = ended.wait_for(|ended| *ended).await;
            // Those who accept wait for their connections; with the set those go that are not ready then.
            let _ = timeout(GRACE, async { while accepting.join_next().await.is_some() {} }).await;
        });
    }
}

struct Acceptor {
    shared: Shared,
    limits: TcpLimits,
    places: Arc<Places>,
    draft: Draft,
    ended: watch::Receiver<bool>,
}

impl Acceptor {
    async fn run(mut self, listener: tokio::net::TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let accepted = tokio::select! {
                // Who waits already is taken, also at the end.
                biased;
                accepted = listener.accept() => accepted,
                () = nothing_more(&mut self.ended) => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection for DNS failed");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            };
            let address = peer.ip().to_canonical();
            let (place, has_displaced) = Places::take(&self.places, address);
            if has_displaced {
                self.shared.counters.dropped(self.shared.counters.tcp(), Drop::Connections, 1);
            }
            let connection = Connection {
                address,
                shared: self.shared.clone(),
                idle: self.limits.idle,
                draft: Arc::clone(&self.draft),
                ended: self.ended.clone(),
            };
            connections.spawn(connection.run(stream, place));
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }
}

struct Connection {
    address: IpAddr,
    shared: Shared,
    idle: Duration,
    draft: Draft,
    ended: watch::Receiver<bool>,
}

impl Connection {
    /// Answers until the client leaves, or until another one needs the place.
    async fn run(self, stream: TcpStream, place: Place) {
        tokio::select! {
            () = self.serve(stream, &place) => {}
            () = place.displaced() => {}
        }
    }

    /// Answers one query after the other; whoever sends many at once gets the answers in the same order.
    async fn serve(mut self, mut stream: TcpStream, place: &Place) {
        let _ = stream.set_nodelay(true);
        let (reading, mut writing) = stream.split();
        let mut reading = BufReader::with_capacity(READ, reading);
        let (mut query, mut out) = (Vec::new(), Vec::new());
        let mut rng = Rng::from_seed(
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64),
        );
        loop {
            match timeout(self.idle, next(&mut reading, &mut query, &mut self.ended)).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false) | Err(_)) => return,
                Err(_) => return self.shared.counters.dropped(self.shared.counters.tcp(), Drop::Idle, 1),
            }
            if !self.answer(&query, &mut rng, &mut out) {
                return;
            }
            match timeout(self.idle, writing.write_all(&out)).await {
                Ok(Ok(())) => place.touch(),
                Ok(Err(_)) => return,
                Err(_) => return self.shared.counters.dropped(self.shared.counters.tcp(), Drop::Idle, 1),
            }
            // Whoever waits keeps no more room than a usual query and its answer take.
            for buffer in [&mut query, &mut out] {
                buffer.clear();
                buffer.shrink_to(READ);
            }
        }
    }

    /// Puts the answer and its length in `out`. `false`: there is none.
    fn answer(&self, query: &[u8], rng: &mut Rng, out: &mut Vec<u8>) -> bool {
        // It is written anew each time: whoever panicked with it left nothing that matters.
        let mut draft = self.draft.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = self.shared.snapshot.load();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs() as u32);
        let transport = Transport::Tcp;
        let mut client = Client { address: self.address, transport, now, rng: &mut *rng };
        let counters = &self.shared.counters;
        let Some(answered) = answer(&snapshot, query, &mut client, &mut draft[2..]) else {
            counters.dropped(counters.tcp(), Drop::Unanswerable, 1);
            return false;
        };
        draft[..2].copy_from_slice(&(answered.length as u16).to_be_bytes());
        out.clear();
        out.extend_from_slice(&draft[..2 + answered.length]);
        counters.answered(counters.tcp(), &snapshot, &answered, transport);
        if let Some(log) = self.shared.log.load().as_ref() {
            log.sample(rng, &snapshot, (self.address, transport), (query, &answered));
        }
        true
    }
}

/// The next query. `false`: the client has left, or it has sent nothing more and the server ends.
async fn next(
    reading: &mut (impl AsyncBufRead + Unpin),
    query: &mut Vec<u8>,
    ended: &mut watch::Receiver<bool>,
) -> io::Result<bool> {
    tokio::select! {
        biased;
        come = reading.fill_buf() => if come?.is_empty() {
            return Ok(false);
        },
        () = nothing_more(ended) => return Ok(false),
    }
    let length = reading.read_u16().await?;
    // The room grows with what comes: a length alone takes none.
    let read = reading.take(length.into()).read_to_end(query).await?;
    Ok(read == usize::from(length))
}

/// Waits for the end, and then for what has come and is not known yet: the runtime has to look at sockets once more.
async fn nothing_more(ended: &mut watch::Receiver<bool>) {
    let _ = ended.wait_for(|ended| *ended).await;
    tokio::time::sleep(LAST_LOOK).await;
}

/// How long something may take from a socket to whom it is for.
const LAST_LOOK: Duration = Duration::from_millis(20);
/// What is read at once: some queries.
const READ: usize = 2048;
/// How long connections may go on at the end.
const GRACE: Duration = Duration::from_secs(1);
/// Before accepting is tried again.
const RETRY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// What comes of a query of which this has come; and the room that it takes.
    fn read(come: &[u8], is_over: bool) -> (Option<bool>, Vec<u8>) {
        let mut query = Vec::new();
        let (_end, mut ended) = watch::channel(false);
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let mut reading = BufReader::with_capacity(READ, server);
        let mut context = Context::from_waker(Waker::noop());
        assert!(pin!(client.write_all(come)).poll(&mut context).is_ready());
        let client = (!is_over).then_some(client);
        let polled = pin!(next(&mut reading, &mut query, &mut ended)).poll(&mut context);
        drop(client);
        let read = match polled {
            Poll::Ready(read) => Some(read.unwrap_or(false)),
            Poll::Pending => None,
        };
        (read, query)
    }

    #[test]
    fn a_length_takes_no_room() {
        let (read_all, query) = read(&[0xff, 0xff, 1, 2, 3], false);
        assert_eq!((read_all, &*query), (None, &[1, 2, 3][..]));
        assert!(query.capacity() <= 1024, "{}", query.capacity());
    }

    #[test]
    fn a_query_is_read_to_its_end_and_no_further() {
        let long = [&[0xff, 0xff][..], &[7; 0xffff], &[0, 1, 9]].concat();
        assert_eq!(read(&long, false), (Some(true), vec![7; 0xffff]));
        assert_eq!(read(&[0, 2, 5, 6, 0, 1, 9], false), (Some(true), vec![5, 6]));
        assert_eq!(read(&[0, 0, 1], false), (Some(true), vec![]));
        assert_eq!(read(&[0, 3, 5, 6], true).0, Some(false), "it has left in the midst");
        assert_eq!(read(&[], true).0, Some(false));
    }
}
