//! A request to a service: an endpoint is chosen, asked, and where it fails before it has answered, another one.
//!
//! ```text
//!                      ┌── never sent (no connection) ────────────┐
//!   pick ─► connect ─► send ─► head ─► ResponseBody               ├─► another endpoint, out of the retry budget
//!                      └── lost on its way, or 502, 503, 504: ────┘
//!                          only what may be done twice, once
//! ```

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::balancer::{Balancer, NoEndpoint, Picked};
use crate::cluster::Candidate;
use crate::condition::Outcome;
use crate::pool::Sender;
use crate::response::ResponseBody;

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nobody can be asked: nothing was sent.
    #[error(transparent)]
    NoEndpoint(#[from] NoEndpoint),
    /// No connection: nothing was sent.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Who was chosen last.
        address: SocketAddr,
        /// What the system says, or that it took too long.
        source: io::Error,
    },
    /// The request went out, and what became of it is not known.
    #[error("no response from {address}: {source}")]
    Lost {
        /// Who was asked last.
        address: SocketAddr,
        /// What is wrong with the connection.
        source: hyper::Error,
    },
    /// The request went out, and no response has begun in time.
    #[error("no response from {address} in time")]
    Late {
        /// Who was asked.
        address: SocketAddr,
    },
}

/// How an attempt went wrong.
struct Failure {
    error: SendError,
    /// It came on a connection that had been open for a while: the other side may have closed it before it saw anything.
    is_stale: bool,
}

impl Balancer {
    /// Sends a request, whose body is held to be sent again. Its target is sent as it is; without `Host` the endpoint's
    /// address is. An endpoint that cannot be connected to is no failure while there are others; a request that was lost, or
    /// answered with 502, 503 or 504, is sent once more elsewhere if its method is idempotent (RFC 9110 §9.2.2). There are
    /// four attempts at most, and retries only within the budget.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        key: Option<&[u8]>,
    ) -> Result<Response<ResponseBody>, SendError> {
        self.deposit();
        let mut attempts = Attempts::new(request.method());
        for _ in 0..MOST_ATTEMPTS {
            if !attempts.tried.is_empty() && !self.withdraw() {
                break;
            }
            let picked = self.pick_except(key, &attempts.tried).or_else(|none| match attempts.is_stale {
                // Nobody else is there, and on a new connection it may well answer.
                true => self.pick_except(key, &[]),
                false => Err(none),
            });
            let Ok(picked) = picked else { break };
            attempts.tried.push(picked.candidate().clone());
            if attempts.is_over(attempt(picked, &request).await) {
                break;
            }
        }
        attempts.last
    }
}

/// What has become of a request so far.
struct Attempts {
    may_repeat: bool,
    /// How often it may still be sent where it may have arrived already.
    repeats: u32,
    tried: Vec<Candidate>,
    /// The last attempt failed on a connection that had been open for a while.
    is_stale: bool,
    last: Result<Response<ResponseBody>, SendError>,
}

impl Attempts {
    fn new(method: &Method) -> Self {
        let may_repeat = is_idempotent(method);
        let last = Err(SendError::NoEndpoint(NoEndpoint));
        Attempts { may_repeat, repeats: u32::from(may_repeat), tried: Vec::new(), is_stale: false, last }
    }

    /// Takes the outcome of one more; whether it was the last.
    fn is_over(&mut self, outcome: Result<Response<ResponseBody>, Failure>) -> bool {
        self.is_stale = false;
        let (error, is_stale) = match outcome {
            Ok(response) => {
                let is_over = !is_worth_another(response.status()) || self.repeats == 0;
                self.repeats = self.repeats.saturating_sub(1);
                self.last = Ok(response);
                return is_over;
            }
            Err(Failure { error, is_stale }) => (error, is_stale),
        };
        let is_over = match &error {
            SendError::Lost { .. } if is_stale => !self.may_repeat,
            SendError::Lost { .. } => {
                let is_over = self.repeats == 0;
                self.repeats = self.repeats.saturating_sub(1);
                is_over
            }
            SendError::Connect { .. } => false,
            SendError::Late { .. } | SendError::NoEndpoint(_) => true,
        };
        self.is_stale = is_stale;
        // An answer, even a bad one, is better than none.
        if self.last.is_err() {
            self.last = Err(error);
        }
        is_over
    }
}

/// Asks one endpoint, on a connection that waits for that or on a new one.
async fn attempt(picked: Picked, request: &Request<Bytes>) -> Result<Response<ResponseBody>, Failure> {
    let address = picked.endpoint().address;
    let mut request = copy(request, address);
    while let Some(sender) = picked.balancer().pools().take(address).await {
        match ask(&picked, sender, request, IsStale::Perhaps).await {
            Ok((response, sender)) => return Ok(ResponseBody::wrap(response, picked, sender)),
            Err(Asked::Never(unsent)) => request = unsent,
            Err(Asked::Failed(failure)) => return Err(failure),
        }
    }
    let sender = connect(&picked).await.map_err(|error| Failure { error, is_stale: false })?;
    match ask(&picked, sender, request, IsStale::Never).await {
        Ok((response, sender)) => Ok(ResponseBody::wrap(response, picked, sender)),
        Err(Asked::Failed(failure)) => Err(failure),
        Err(Asked::Never(_)) => {
            picked.note(Outcome::Failed);
            let source = io::Error::from(io::ErrorKind::ConnectionReset);
            Err(Failure { error: SendError::Connect { address, source }, is_stale: false })
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum IsStale {
    Perhaps,
    Never,
}

enum Asked {
    /// Nothing of it went out.
    Never(Request<Full<Bytes>>),
    Failed(Failure),
}

async fn ask(
    picked: &Picked,
    mut sender: Sender,
    request: Request<Full<Bytes>>,
    is_stale: IsStale,
) -> Result<(Response<hyper::body::Incoming>, Sender), Asked> {
    let address = picked.endpoint().address;
    let within = picked.balancer().options().response_header;
    let is_stale = is_stale == IsStale::Perhaps;
    let failed = |error| Asked::Failed(Failure { error, is_stale });
    match tokio::time::timeout(within, sender.try_send_request(request)).await {
        Ok(Ok(response)) => Ok((response, sender)),
        Ok(Err(mut error)) => match error.take_message() {
            Some(request) => Err(Asked::Never(request)),
            None => {
                match is_stale {
                    // Those that have waited with it are as dead.
                    true => picked.balancer().pools().forget(address),
                    false => picked.note(Outcome::Failed),
                }
                Err(failed(SendError::Lost { address, source: error.into_error() }))
            }
        },
        Err(_) => {
            picked.note(Outcome::Failed);
            Err(failed(SendError::Late { address }))
        }
    }
}

async fn connect(picked: &Picked) -> Result<Sender, SendError> {
    let address = picked.endpoint().address;
    let within = picked.balancer().options().connect;
    let refused = |source: io::Error| {
        let is_refused = source.kind() == io::ErrorKind::ConnectionRefused;
        picked.note(if is_refused { Outcome::Refused } else { Outcome::Failed });
        SendError::Connect { address, source }
    };
    let late = |_| Err(io::ErrorKind::TimedOut.into());
    let stream = tokio::time::timeout(within, TcpStream::connect(address)).await.unwrap_or_else(late);
    let stream = stream.map_err(refused)?;
    let _ = stream.set_nodelay(true);
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| refused(io::Error::other(error)))?;
    // It ends with its sender and the body of its last response; what goes wrong is told there.
    tokio::spawn(connection);
    Ok(sender)
}

fn copy(request: &Request<Bytes>, address: SocketAddr) -> Request<Full<Bytes>> {
    let mut copy = Request::new(Full::new(request.body().clone()));
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    let host = HeaderValue::from_str(&address.to_string()).expect("an address is visible ASCII");
    copy.headers_mut().entry(HOST).or_insert(host);
    copy
}

/// RFC 9110 §9.2.2.
fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE].contains(method)
}

/// Answers of an endpoint that cannot, where another one may.
fn is_worth_another(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502..=504)
}

/// Connections to three dead endpoints are refused at once; who meets a fourth has few that live.
const MOST_ATTEMPTS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

    /// A connection that breaks where an answer is expected.
    async fn lost() -> SendError {
        let (near, far) = tokio::io::duplex(64);
        drop(far);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake::<_, Full<Bytes>>(TokioIo::new(near))
                .await
                .expect("no i/o");
        tokio::spawn(connection);
        let source = sender.send_request(Request::new(Full::default())).await.expect_err("nobody answers");
        SendError::Lost { address: ADDRESS, source }
    }

    fn refused() -> SendError {
        SendError::Connect { address: ADDRESS, source: io::ErrorKind::ConnectionRefused.into() }
    }

    #[tokio::test]
    async fn only_what_may_be_done_twice_is_sent_twice() {
        let failure = |error, is_stale| Err(Failure { error, is_stale });
        let get = || Attempts::new(&Method::GET);
        let post = || Attempts::new(&Method::POST);
        for mut attempts in [get(), post()] {
            // Never sent: as often as there are attempts.
            (0..4).for_each(|_| assert!(!attempts.is_over(failure(refused(), false))));
            assert!(matches!(attempts.last, Err(SendError::Connect { .. })));
            assert!(attempts.is_over(failure(SendError::Late { address: ADDRESS }, false)));
        }
        assert!(post().is_over(failure(lost().await, false)));
        assert!(post().is_over(failure(lost().await, true)));
        let mut attempts = get();
        assert!(!attempts.is_over(failure(lost().await, true)) && attempts.is_stale);
        assert!(!attempts.is_over(failure(lost().await, false)), "the first that counts");
        assert!(attempts.is_over(failure(lost().await, false)));
    }

    #[test]
    fn methods_and_statuses_are_those_of_the_standard() {
        let repeatable = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"];
        for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "POST", "PATCH", "CONNECT", "LOCK"]
        {
            let parsed = method.parse().expect("a method");
            assert_eq!(is_idempotent(&parsed), repeatable.contains(&method), "{method}");
        }
        let statuses =
            (200..600).filter(|&status| is_worth_another(StatusCode::from_u16(status).expect("a status")));
        assert_eq!(statuses.collect::<Vec<_>>(), [502, 503, 504]);
    }
}
