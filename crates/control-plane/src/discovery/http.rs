//! Lists of endpoints that are asked for over HTTP: now and then, and soon again while that fails.
//!
//! Each time on a connection of its own: they are seconds apart. Redirects are not followed: who may say where endpoints
//! are is the configuration's word.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fulcrum_balance::Rng;
use fulcrum_model::{Pull, Server, Source};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{
    ACCEPT, CONNECTION, CONTENT_ENCODING, ETAG, HOST, HeaderValue, IF_NONE_MATCH, USER_AGENT,
};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::list::{self, Author, Entry, MAX_BYTES};
use super::pace::{about, backoff, random_seed};
use super::progress::Told;
use super::trouble::Trouble;
use super::{Shared, Task};

/// Asks for a list, for ever.
pub(super) async fn follow(shared: Arc<Shared>, pull: Pull) {
    let mut rng = Rng::from_seed(random_seed());
    let source = Source::Http(pull.clone());
    // What a source of the same URL has told stays known, however often that was asked.
    let mut kept = Kept { list: shared.known().list(&source), ..Kept::default() };
    loop {
        let asked = timeout(pull.timeout, ask(&shared, &pull, kept.tag.as_ref())).await;
        let heard = kept.hear(asked.unwrap_or(Err(Trouble::Timeout)), shared.now());
        let is_answer = matches!(heard, Ok(_) | Err(Trouble::Empty));
        let failures = shared.heard(&source, heard);
        let wait = if is_answer { pull.interval } else { backoff(failures) };
        sleep(about(wait, &mut rng)).await;
    }
}

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    /// A list, and what it can be called by.
    List(Arc<[Entry]>, Option<HeaderValue>),
    /// The list is still the one that it was called by.
    Same,
}

/// What has to be remembered of a server from answer to answer.
#[derive(Debug, Default)]
struct Kept {
    list: Option<Arc<[Entry]>>,
    /// What the list can be called by (RFC 9110 §8.8.3).
    tag: Option<HeaderValue>,
    /// So many times in a row the list was empty after one that was not, or after none at all.
    empties: u32,
    /// Since when.
    empty_since: Option<Duration>,
}

impl Kept {
    /// Decides what an answer means.
    fn hear(&mut self, asked: Result<Answer, Trouble>, now: Duration) -> Result<Told, Trouble> {
        match asked? {
            Answer::Same => {
                (self.empties, self.empty_since) = (0, None);
                // Nobody is asked whether a list has changed that is not there.
                let list = self.list.clone().ok_or(Trouble::Status(StatusCode::NOT_MODIFIED.as_u16()))?;
                Ok(Told { list, missing: None })
            }
            Answer::List(list, tag) => {
                // Before the first word, too: the service may still have what another source has told.
                let is_known_empty = self.list.as_ref().is_some_and(|list| list.is_empty());
                if list.is_empty() && !is_known_empty {
                    self.empties = self.empties.saturating_add(1);
                    let since = *self.empty_since.get_or_insert(now);
                    if self.empties < EMPTY_TIMES || now.saturating_sub(since) < EMPTY_SPAN {
                        return Err(Trouble::Empty);
                    }
                }
                *self = Kept { list: Some(Arc::clone(&list)), tag, ..Kept::default() };
                Ok(Told { list, missing: None })
            }
        }
    }
}

async fn ask(shared: &Shared, pull: &Pull, tag: Option<&HeaderValue>) -> Result<Answer, Trouble> {
    let stream = connect(shared, pull).await?;
    let place = stream.peer_addr().map_err(|error| Trouble::Unreachable(error.kind()))?.ip().to_canonical();
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| Trouble::Broken)?;
    // What goes wrong there is told where the answer is read.
    let _driver = Task::spawn(async move {
        let _ = connection.await;
    });
    let response = sender.send_request(request(pull, tag)?).await.map_err(|_| Trouble::Broken)?;
    match response.status() {
        StatusCode::OK => {
            let own = shared.own();
            let author = if place.is_loopback() { Author::Neighbour(&own) } else { Author::Network(&own) };
            read(response, author).await
        }
        StatusCode::NOT_MODIFIED if tag.is_some() => Ok(Answer::Same),
        status => Err(Trouble::Status(status.as_u16())),
    }
}

fn request(pull: &Pull, tag: Option<&HeaderValue>) -> Result<Request<Empty<Bytes>>, Trouble> {
    let mut request = Request::get(&pull.url.target)
        .header(HOST, &pull.url.authority)
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, concat!("fulcrum/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close");
    if let Some(tag) = tag {
        request = request.header(IF_NONE_MATCH, tag);
    }
    // The target was looked at when the configuration was read.
    request.body(Empty::new()).map_err(|_| Trouble::Broken)
}

async fn read(response: Response<hyper::body::Incoming>, author: Author<'_>) -> Result<Answer, Trouble> {
    let (head, body) = response.into_parts();
    if head.headers.contains_key(CONTENT_ENCODING) {
        // Nobody has asked for that.
        return Err(Trouble::Broken);
    }
    let body = Limited::new(body, MAX_BYTES)
        .collect()
        .await
        .map_err(|error| if error.is::<LengthLimitError>() { Trouble::TooLarge } else { Trouble::Broken })?;
    let list = list::parse(&body.to_bytes(), author)?;
    Ok(Answer::List(list.into(), head.headers.get(ETAG).cloned()))
}

/// To one of the server's first addresses, in their order.
async fn connect(shared: &Shared, pull: &Pull) -> Result<TcpStream, Trouble> {
    let addresses = match &pull.url.server {
        Server::Address(address) => vec![*address],
        Server::Host(host) => {
            let answer = shared.client().lookup(&host.host).await.map_err(Trouble::Name)?;
            let mut addresses = answer.addresses;
            addresses.sort_unstable();
            addresses.dedup();
            addresses.truncate(MOST_ADDRESSES);
            addresses.into_iter().map(|address| (address, host.port.get()).into()).collect()
        }
    };
    let share = pull.timeout / (addresses.len().max(1) as u32 + 1);
    let mut last = Trouble::Timeout;
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = Trouble::Unreachable(error.kind()),
            Err(_) => last = Trouble::Timeout,
        }
    }
    Err(last)
}

/// An empty list is believed when it comes so many times in a row: a server that has lost what it knew says the same as one
/// that has nobody.
pub(super) const EMPTY_TIMES: u32 = 3;
/// And for so long: a server that is asked every second needs time to learn again what it has lost.
pub(super) const EMPTY_SPAN: Duration = Duration::from_secs(30);
/// The longest head of an answer.
const MAX_HEAD: usize = 64 << 10;
/// So many addresses of a server are tried.
const MOST_ADDRESSES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn list(count: usize) -> Answer {
        let addresses: Vec<String> = (0..count).map(|number| format!("\"10.0.0.{number}:80\"")).collect();
        let text = format!("[{}]", addresses.join(","));
        let entries = list::parse(text.as_bytes(), Author::Network(&[])).expect("a list");
        Answer::List(entries.into(), Some(HeaderValue::from_static("\"a\"")))
    }

    /// An answer, and what is used after it: so many endpoints, or why not.
    type Row = (Result<Answer, Trouble>, Result<usize, &'static str>);

    #[track_caller]
    fn check<const N: usize>(rows: [Row; N]) {
        let mut kept = Kept::default();
        for (number, (answer, expected)) in (1..).zip(rows) {
            // A quarter of a minute apart: the third is half a minute after the first.
            let heard = kept.hear(answer, Duration::from_secs(15 * number));
            let found = heard.as_ref().map(|told| told.list.len()).map_err(Trouble::as_str);
            assert_eq!(found, expected, "answer {number}");
        }
    }

    #[test]
    fn an_empty_list_is_believed_in_the_end() {
        let empty = || (Ok(list(0)), Err("empty"));
        // The first word, too.
        check([empty(), empty(), (Ok(list(0)), Ok(0)), (Ok(list(0)), Ok(0)), (Ok(list(2)), Ok(2)), empty()]);
        check([(Ok(list(2)), Ok(2)), empty(), empty(), (Ok(list(0)), Ok(0)), (Ok(list(0)), Ok(0))]);
        check([(Ok(list(2)), Ok(2)), empty(), empty(), (Ok(list(1)), Ok(1)), empty(), empty()]);
        check([(Ok(list(2)), Ok(2)), empty(), empty(), (Ok(Answer::Same), Ok(2)), empty(), empty()]);
        // A failure proves nothing: neither that there is nobody nor that there is somebody.
        let failed = || (Err(Trouble::Timeout), Err("timeout"));
        check([(Ok(list(2)), Ok(2)), empty(), failed(), empty(), failed(), (Ok(list(0)), Ok(0))]);
    }

    #[test]
    fn an_empty_list_is_not_believed_in_a_hurry() {
        let mut kept = Kept::default();
        kept.hear(Ok(list(2)), Duration::ZERO).expect("it is believed");
        for second in 1..31 {
            kept.hear(Ok(list(0)), Duration::from_secs(second)).expect_err("it is too early");
        }
        let told = kept.hear(Ok(list(0)), Duration::from_secs(31)).expect("it is believed");
        assert!(told.list.is_empty());
    }

    #[test]
    fn what_is_not_believed_is_not_asked_for_by_its_tag() {
        let mut kept = Kept::default();
        let Answer::List(two, _) = list(2) else { panic!("a list") };
        let tag = HeaderValue::from_static("\"two\"");
        kept.hear(Ok(Answer::List(two, Some(tag.clone()))), Duration::ZERO).expect("it is believed");
        kept.hear(Ok(list(0)), Duration::ZERO).expect_err("it is not believed");
        assert_eq!(kept.tag, Some(tag));
    }

    #[test]
    fn nothing_is_not_what_it_was() {
        check([(Ok(Answer::Same), Err("status"))]);
    }
}
