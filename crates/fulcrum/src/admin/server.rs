//! Connections of the admin: few, short, and never in the way of traffic.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::auth::Door;
use super::problem::Problem;
use super::{Admin, Question};

/// A socket that admin connections come from.
#[derive(Debug)]
pub(crate) enum AdminListener {
    /// The unix socket.
    Unix(UnixListener),
    /// `admin.bind`.
    Tcp(TcpListener),
}

/// Anything a connection can run over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl AdminListener {
    fn door(&self) -> Door {
        match self {
            AdminListener::Unix(_) => Door::Unix,
            AdminListener::Tcp(_) => Door::Tcp,
        }
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            AdminListener::Unix(listener) => Box::new(listener.accept().await?.0),
            AdminListener::Tcp(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

/// Serves one socket until `stop` changes: to the time that answers in progress have to finish.
pub(crate) async fn serve(listener: AdminListener, admin: Arc<Admin>, mut stop: watch::Receiver<Duration>) {
    let door = listener.door();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MOST_CONNECTIONS => match accepted {
                Ok(stream) => {
                    connections.spawn(converse(stream, door, Arc::clone(&admin), stop.clone()));
                }
                Err(error) => {
                    tracing::warn!("admin: cannot accept: {error}");
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

async fn converse(
    stream: Box<dyn Stream>,
    door: Door,
    admin: Arc<Admin>,
    mut stop: watch::Receiver<Duration>,
) {
    let service = service_fn(|request| answer(Arc::clone(&admin), door, request));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            .max_buf_size(LARGEST_HEAD)
            .serve_connection(TokioIo::new(stream), service)
    );
    let result = tokio::select! {
        result = connection.as_mut() => result,
        grace = last_answer(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            // A peer that does not read its answer is not waited for.
            tokio::time::timeout(grace, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = result {
        tracing::debug!("admin: connection ended: {error}");
    }
}

/// Waits until a connection has lived long enough; the time its answer in progress gets.
async fn last_answer(stop: &mut watch::Receiver<Duration>) -> Duration {
    // It ends with the sender, too.
    match tokio::time::timeout(CONNECTION_LIFE, stop.changed()).await {
        Ok(_) => *stop.borrow(),
        Err(_) => LAST_ANSWERS,
    }
}

async fn answer(
    admin: Arc<Admin>,
    door: Door,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = match head.method == Method::PUT {
        true => whole(body).await,
        false => Ok(Bytes::new()),
    };
    let body = match body {
        Ok(body) => body,
        Err(problem) => return Ok(problem.into()),
    };
    // A scrape of 100,000 series takes a while; it must not hold up signals and the other socket.
    let answered = tokio::task::spawn_blocking(move || {
        admin.answer(&Question {
            door,
            method: &head.method,
            path: head.uri.path(),
            query: head.uri.query(),
            authorization: head.headers.get(AUTHORIZATION).map(|value| value.as_bytes()),
            body: &body,
        })
    });
    // The panic hook has told about it.
    Ok(answered.await.unwrap_or_else(|_| Problem::Internal.into()))
}

/// The body of a request, if it is small and comes soon.
async fn whole(body: Incoming) -> Result<Bytes, Problem> {
    match tokio::time::timeout(BODY_WITHIN, Limited::new(body, LARGEST_BODY).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::TooLarge),
        Ok(Err(_)) | Err(_) => Err(Problem::Incomplete),
    }
}

/// Per socket, so that TCP clients cannot lock the operator out of the unix socket; more wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 64;

/// A request head has to be whole within this time, also the next one on a connection that is kept.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// What is sent to the admin is a line of JSON.
const BODY_WITHIN: Duration = Duration::from_secs(10);
const LARGEST_BODY: usize = 16 << 10;

/// Much more than a scraper sends.
const LARGEST_HEAD: usize = 16 << 10;

/// Even a scraper that keeps its connection comes again once in five minutes.
const CONNECTION_LIFE: Duration = Duration::from_secs(300);

/// What an answer in progress gets when the daemon ends, or the connection is old.
pub(crate) const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Accepting fails when descriptors run out; trying again at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
