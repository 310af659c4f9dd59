//! Clients that watch, all on one thread: each some services, by server-sent events.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinSet;

use super::fleet::{SERVICES, service};

/// They watch until they are dropped.
pub(crate) struct Watchers {
    seen: Seen,
    _stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// When each registration was seen, by the number of its event.
type Seen = Arc<Mutex<Vec<(u64, Instant)>>>;

impl Watchers {
    /// Begins to watch; returns when everyone has the whole of what is registered.
    pub(crate) fn start(address: SocketAddr, count: usize) -> io::Result<Self> {
        let seen = Seen::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, begun) = mpsc::channel();
        let sink = Arc::clone(&seen);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                let mut watching = JoinSet::new();
                let places = Arc::new(Semaphore::new(BEGINNING));
                for number in 0..count {
                    let place = Arc::clone(&places).acquire_owned().await;
                    watching.spawn(watch(address, number, Arc::clone(&sink), (ready.clone(), place.ok())));
                }
                drop(ready);
                // Whoever is disconnected is missed below.
                let _ = stopped.await;
            });
        });
        for _ in 0..count {
            let begun = begun.recv_timeout(PATIENCE);
            begun.map_err(|_| io::Error::other("not everyone who watches has seen what there is"))?;
        }
        Ok(Watchers { seen, _stop: stop, thread })
    }

    /// The registrations that were seen since the last time.
    pub(crate) fn take(&self) -> Vec<(u64, Instant)> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends them.
    pub(crate) fn stop(self) {
        drop(self._stop);
        self.thread.join().expect("watchers do not panic");
    }
}

/// Watches until it is disconnected.
async fn watch(
    address: SocketAddr,
    number: usize,
    seen: Seen,
    (ready, mut place): (mpsc::Sender<()>, Option<OwnedSemaphorePermit>),
) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let services =
        (0..FOLLOWED).map(|place| format!("service={}", service((number * FOLLOWED + place) % SERVICES)));
    let query = services.collect::<Vec<_>>().join("&");
    let request = format!("GET /v1/watch?{query} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut lines = BufReader::with_capacity(4 << 10, stream);
    let (mut line, mut is_put) = (Vec::new(), false);
    loop {
        line.clear();
        // Snapshots have long lines, and come once.
        line.shrink_to(4 << 10);
        if lines.read_until(b'\n', &mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.ends_with(b"\"done\":true}\n") {
            let _ = ready.send(());
            drop(place.take());
        } else if let Some(event) = line.strip_prefix(b"event: ") {
            is_put = event.starts_with(b"put");
        } else if is_put && let Some(sequence) = sequence_of(&line) {
            seen.lock().unwrap_or_else(PoisonError::into_inner).push((sequence, Instant::now()));
        }
    }
}

/// The last part of an id.
fn sequence_of(line: &[u8]) -> Option<u64> {
    let id = std::str::from_utf8(line.strip_prefix(b"id: ")?).ok()?;
    id.trim_end().rsplit('.').next()?.parse().ok()
}

/// Who is about to watch, at a time: connections that have not asked yet have few places.
const BEGINNING: usize = 100;

/// Services of each.
const FOLLOWED: usize = 3;

/// Until everyone has seen everything.
const PATIENCE: Duration = Duration::from_secs(30);
