//! Connections of the API: so many, each with its limits.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{io, iter};

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::body::Body;
use super::pace::{CHUNKED, Pace, Paced, Turn};
use super::problem::{Code, Problem};
use super::seats::Seat;
use super::turns::Turns;
use super::{Api, Peer};

/// A connection, as the answers to its requests see it.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) peer: Peer,
    pub(super) seat: Seat,
    pub(super) stop: watch::Receiver<Duration>,
    pub(super) pace: Arc<Pace>,
    watches: AtomicBool,
}

/// Serves a socket until `stop` changes: to the time that answers in progress have to finish.
pub async fn serve(listener: TcpListener, api: Arc<Api>, mut stop: watch::Receiver<Duration>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, remote)) => {
                    if let Some(visit) = Visit::begin(&api, &stream, remote, &stop) {
                        connections.spawn(converse(stream, Arc::clone(&api), visit));
                    }
                }
                Err(error) => {
                    tracing::warn!("registry: cannot accept: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let grace = *stop.borrow();
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, finished).await.is_err() {
        connections.shutdown().await;
    }
}

impl Visit {
    /// Nothing when there is no place for it.
    fn begin(
        api: &Api,
        stream: &TcpStream,
        remote: std::net::SocketAddr,
        stop: &watch::Receiver<Duration>,
    ) -> Option<Self> {
        let pace = Arc::default();
        let seat = api.seats.seat(remote.ip(), &pace, &api.counters)?;
        // A client that has gone already has no address.
        let local = stream.local_addr().ok()?;
        Some(Visit {
            peer: Peer { remote, local },
            seat,
            stop: stop.clone(),
            pace,
            watches: AtomicBool::new(false),
        })
    }

    fn begin_turn(&self, request: &Request<Incoming>) -> Turn {
        self.pace.begin(request.body().size_hint().exact().unwrap_or(CHUNKED))
    }

    /// The connection is for watching from here on.
    pub(super) fn watches(&self) {
        self.watches.store(true, Ordering::Relaxed);
    }
}

async fn converse(stream: TcpStream, api: Arc<Api>, visit: Visit) {
    // Answers are written whole, and events are wanted at once.
    let _ = stream.set_nodelay(true);
    let stream = Paced::new(stream, Arc::clone(&visit.pace));
    let stream = Turns::new(stream, Arc::clone(&visit.pace), Arc::clone(&api));
    let mut stop = visit.stop.clone();
    // The turn begins as soon as the head is read: before anything else is.
    let service = service_fn(|request| answer(&api, visit.begin_turn(&request), request, &visit));
    let mut connection = pin!(http().serve_connection(TokioIo::new(stream), service));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        _ = stop.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = visit.seat.moved() => {
            if visit.pace.is_idle() {
                return;
            }
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!("registry: connection ended: {error}");
    }
    if visit.pace.was_too_slow() {
        let counters = &api.counters;
        let is_watcher = visit.watches.load(Ordering::Relaxed);
        let counter = if is_watcher { &counters.slow_watchers } else { &counters.slow_clients };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// HTTP with our limits.
pub(super) fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(LARGEST_HEAD);
    http
}

async fn answer(
    api: &Api,
    turn: Turn,
    request: Request<Incoming>,
    visit: &Visit,
) -> Result<Response<Body>, Infallible> {
    let mut response = api.answer(request, visit).await;
    if !visit.seat.is_taken() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| body.holding(turn)))
}

/// The body of a call about one thing.
pub(super) async fn small(body: Incoming) -> Result<Bytes, Problem> {
    whole(body, LARGEST_SMALL_BODY).await
}

async fn whole(body: Incoming, most: usize) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(BODY_WITHIN, Limited::new(body, most).collect()).await;
    let read = read.map_err(|_| incomplete())?;
    read.map(|body| body.to_bytes()).map_err(|error| broken(&error, most))
}

/// What is wrong with a body that cannot be read.
pub(super) fn broken(error: &BodyError, most: usize) -> Problem {
    if error.is::<LengthLimitError>() {
        return Problem::new(Code::TooLarge, format!("a body has at most {} KiB here", most >> 10));
    }
    if is_misframed(&**error) {
        return Problem::new(Code::Malformed, "the chunks of the body cannot be read (RFC 9112 §7.1)");
    }
    incomplete()
}

/// Whether the HTTP library cannot make sense of chunks, which it says by the kind of the error at the bottom.
fn is_misframed(error: &(dyn std::error::Error + 'static)) -> bool {
    let found = iter::successors(Some(error), |error| error.source())
        .find_map(|error| error.downcast_ref::<io::Error>());
    found
        .is_some_and(|error| matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData))
}

pub(super) fn incomplete() -> Problem {
    Problem::new(Code::Incomplete, "the body did not come whole within 10 s")
}

type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// Without a request.
const IDLE: Duration = Duration::from_secs(75);

/// Also what is written ahead of the socket, next to one page.
const LARGEST_HEAD: usize = 16 << 10;

pub(super) const BODY_WITHIN: Duration = Duration::from_secs(10);

/// An instance has at most so much to say.
pub(super) const LARGEST_SMALL_BODY: usize = 64 << 10;

/// Accepting fails when descriptors run out; trying again at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
