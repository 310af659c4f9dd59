//! What is known about a request when it has ended.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

/// One finished request, or one finished TCP connection. Empty `method`, `target`, `host`, `protocol` and `request_id` mean that the request never
/// got that far (or had none): they are written as absent.
#[derive(Clone, Debug)]
pub(crate) struct Record<'a> {
    /// When the first byte of the head arrived.
    pub(crate) time: SystemTime,
    /// The listener's name.
    pub(crate) listener: &'a str,
    /// The client's address as believed: the peer's, or a forwarded one from a trusted proxy.
    pub(crate) client: IpAddr,
    /// The other end of the socket; `None` for a unix socket.
    pub(crate) peer: Option<SocketAddr>,
    /// As received.
    pub(crate) method: &'a [u8],
    /// As received, before normalisation and rewriting.
    pub(crate) target: &'a [u8],
    /// The host without port, as matched.
    pub(crate) host: &'a [u8],
    /// `HTTP/1.1` or the like; `TCP` of a connection.
    pub(crate) protocol: &'static str,
    /// The status sent to the client; 0 where the protocol has none.
    pub(crate) status: u16,
    /// Body bytes received from the client.
    pub(crate) bytes_in: u64,
    /// Body bytes sent to the client.
    pub(crate) bytes_out: u64,
    /// From the first byte of the head to the last byte of the response.
    pub(crate) duration: Duration,
    /// The route's name, once one matched.
    pub(crate) route: Option<&'a str>,
    /// The service's name, once one was chosen.
    pub(crate) service: Option<&'a str>,
    /// The id of the last endpoint tried.
    pub(crate) endpoint: Option<&'a str>,
    /// How many endpoints were tried.
    pub(crate) attempts: u32,
    /// The status of the last upstream response.
    pub(crate) upstream_status: Option<u16>,
    /// From the first to the last byte of the request head, where there is one.
    pub(crate) time_head: Option<Duration>,
    /// To connect; absent on a pooled connection.
    pub(crate) time_connect: Option<Duration>,
    /// From the request sent to the response head.
    pub(crate) time_first_byte: Option<Duration>,
    /// From the response head to the end of the response.
    pub(crate) time_response: Option<Duration>,
    /// The id of `X-Request-Id`, kept or made.
    pub(crate) request_id: &'a [u8],
    /// `User-Agent`, as received.
    pub(crate) user_agent: Option<&'a [u8]>,
    /// `Referer`, as received.
    pub(crate) referer: Option<&'a [u8]>,
    /// `ok`, or the token of what went wrong.
    pub(crate) reason: &'static str,
}
