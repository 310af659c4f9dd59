//! One HTTP exchange as a client: with a daemon's admin for `fulcrum status` and the like, with everything for `fulcrum demo`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue};
use hyper::{HeaderMap, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// Where a server listens: `unix:/path` or `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerAddress {
    /// A unix stream socket.
    Unix(PathBuf),
    /// Host and port; a name is looked up when connecting.
    Http(String),
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    /// Nobody listens there, or we may not connect.
    #[error("cannot connect to {address}: {source}")]
    Connect { address: ServerAddress, source: io::Error },
    /// Connected, but no whole answer within the time.
    #[error("no answer from {address} within {} s", .within.as_secs())]
    Late { address: ServerAddress, within: Duration },
    /// What came back is not HTTP, breaks off or is too large.
    #[error("broken answer from {address}: {source}")]
    Broken { address: ServerAddress, source: Box<dyn std::error::Error + Send + Sync> },
}

/// Connects, asks, reads the whole answer, closes; in ten seconds.
pub(crate) async fn exchange(
    address: &ServerAddress,
    request: Request<Full<Bytes>>,
) -> Result<Reply, ExchangeError> {
    exchange_within(ANSWER_WITHIN, address, request).await
}

/// The same in a time of one's own.
pub(crate) async fn exchange_within(
    within: Duration,
    address: &ServerAddress,
    request: Request<Full<Bytes>>,
) -> Result<Reply, ExchangeError> {
    let conversation = async { collect(address, ask(address, request).await?).await };
    let late = |_| ExchangeError::Late { address: address.clone(), within };
    tokio::time::timeout(within, conversation).await.map_err(late)?
}

/// Connects and asks; the head of an answer that comes for as long as it likes, and its body. The connection is driven by
/// the runtime, and ends with the body.
pub(crate) async fn begin(
    address: &ServerAddress,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, ExchangeError> {
    let within = ANSWER_WITHIN;
    let late = |_| ExchangeError::Late { address: address.clone(), within };
    tokio::time::timeout(within, ask(address, request)).await.map_err(late)?
}

async fn ask(
    address: &ServerAddress,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, ExchangeError> {
    let refused = |source| ExchangeError::Connect { address: address.clone(), source };
    match address {
        ServerAddress::Unix(path) => {
            speak(UnixStream::connect(path).await.map_err(refused)?, address, request).await
        }
        ServerAddress::Http(authority) => {
            speak(TcpStream::connect(authority).await.map_err(refused)?, address, request).await
        }
    }
}

async fn speak<S>(
    stream: S,
    address: &ServerAddress,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, ExchangeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken =
        |source: hyper::Error| ExchangeError::Broken { address: address.clone(), source: source.into() };
    if let Ok(host) = HeaderValue::from_str(address.host()) {
        request.headers_mut().entry(HOST).or_insert(host);
    }
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // What goes wrong there is told where the body is read.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(broken)
}

/// The whole of an answer whose head is there.
pub(crate) async fn whole(
    address: &ServerAddress,
    response: Response<Incoming>,
) -> Result<Reply, ExchangeError> {
    let within = ANSWER_WITHIN;
    let late = |_| ExchangeError::Late { address: address.clone(), within };
    tokio::time::timeout(within, collect(address, response)).await.map_err(late)?
}

async fn collect(address: &ServerAddress, response: Response<Incoming>) -> Result<Reply, ExchangeError> {
    let broken = |source| ExchangeError::Broken { address: address.clone(), source };
    let (head, body) = response.into_parts();
    let body = Limited::new(body, LARGEST_ANSWER).collect().await.map_err(broken)?;
    Ok(Reply { status: head.status, headers: head.headers, body: body.to_bytes() })
}

impl ServerAddress {
    /// What goes into the `Host` field.
    fn host(&self) -> &str {
        match self {
            ServerAddress::Unix(_) => "localhost",
            ServerAddress::Http(authority) => authority,
        }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerAddress::Unix(path) => write!(f, "unix:{}", path.display()),
            ServerAddress::Http(authority) => write!(f, "http://{authority}"),
        }
    }
}

impl FromStr for ServerAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match Path::new(path).is_absolute() {
                true => Ok(ServerAddress::Unix(path.into())),
                false => Err("expected an absolute path after `unix:`".to_owned()),
            };
        }
        let expected = || "expected unix:/path or http://host:port".to_owned();
        let uri = text.parse::<Uri>().map_err(|_| expected())?;
        let plain = uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
        match uri.authority().filter(|authority| plain && !authority.as_str().contains('@')) {
            Some(authority) => {
                let port = authority.port_u16().unwrap_or(80);
                Ok(ServerAddress::Http(format!("{}:{port}", authority.host())))
            }
            None => Err(expected()),
        }
    }
}

/// From connecting to the end of the answer; what is asked for is small or on this machine.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A full `/metrics` of 100,000 series is about 10 MiB.
const LARGEST_ANSWER: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_parse_and_print() {
        fn check(text: &str, expected: Option<&str>) {
            let parsed = text.parse::<ServerAddress>().ok().map(|address| address.to_string());
            assert_eq!(parsed.as_deref(), expected, "{text}");
        }
        check("unix:/run/a.sock", Some("unix:/run/a.sock"));
        check("unix:a.sock", None);
        check("http://127.0.0.1:9901", Some("http://127.0.0.1:9901"));
        check("http://127.0.0.1:9901/", Some("http://127.0.0.1:9901"));
        check("http://[::1]:9901", Some("http://[::1]:9901"));
        check("http://balancer", Some("http://balancer:80"));
        check("http://balancer:9901/status", None);
        check("http://user@balancer:9901", None);
        check("https://127.0.0.1:9901", None);
        check("127.0.0.1:9901", None);
        check("", None);
    }
}
