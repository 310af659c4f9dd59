//! What happens to a request: read, route, forward or answer, record.
//!
//! ```text
//!   connection ─► handle ─► route ─► forward ─► service.pick ─► transport ─► exchange ─► upstream
//!                   │          └► respond (redirect, fixed)
//!                   └─ the only place where an error becomes a response; one record per request
//! ```

pub(crate) mod access_log;
pub(crate) mod date;
pub(crate) mod error;
pub(crate) mod exchange;
pub(crate) mod field;
pub(crate) mod forward;
pub(crate) mod forwarded;
pub(crate) mod headers;
pub(crate) mod message;
pub(crate) mod path;
pub(crate) mod respond;
pub(crate) mod route;
pub(crate) mod sticky;
pub(crate) mod transaction;
pub(crate) mod upgrade;

use std::future::poll_fn;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use fulcrum_config::{EncodedSlash, ListenerAction};

use crate::connection::{Connection, Flushed, Next};
use crate::http1::server::ReadError;
use crate::metrics::Limit;
use crate::overload::Level;
use crate::snapshot::Action;
use crate::timer::Timer;
use error::Reason;
use field::Known;
use forward::Forward;
pub(crate) use forwarded::Client;
use message::{Framing, Method, Persistence, RequestHead};
use respond::Local;
use transaction::Transaction;

/// Serves one request, whose first byte has arrived.
pub(crate) async fn handle(connection: &mut Connection, timer: &Timer) -> Next {
    let worker = Rc::clone(&connection.worker);
    let mut head = worker.take_head();
    let started = Instant::now();
    let (read, head_read) = read_head(connection, timer, &mut head, started).await;
    let read = match read {
        Err(Unread::Closed) => {
            worker.give_head(head);
            return Next::Close;
        }
        Err(Unread::Refused(reason)) => Err(reason),
        Ok(()) => Ok(()),
    };
    let mut transaction = Transaction::new(connection, started, head_read);
    let client = Client::of(connection.peer, &head, &transaction.view().snapshot);
    let acted = match read {
        Ok(()) => {
            transaction.keep_request_id(&client, &head);
            act(connection, timer, &head, &client, &mut transaction).await
        }
        Err(reason) => {
            // Where the next request would begin is anybody's guess.
            head.keep_alive = false;
            Err(reason)
        }
    };
    // Boxed, so that the usual request does not carry the room for it.
    let next = match acted {
        Ok(next) => next,
        Err(reason) => Box::pin(refuse(connection, timer, &head, &mut transaction, reason)).await,
    };
    transaction.finish(connection, &client, &head);
    worker.give_head(head);
    next
}

/// Why there is no request.
enum Unread {
    Closed,
    Refused(Reason),
}

/// Reads a head within its time, and tells when that was done.
async fn read_head(
    connection: &mut Connection,
    timer: &Timer,
    head: &mut RequestHead,
    started: Instant,
) -> (Result<(), Unread>, Instant) {
    let deadline = timer.now().saturating_add(connection.listener.listener.header_timeout);
    let mut at_once = true;
    let read = poll_fn(|context| match connection.server.poll_head(context, head) {
        Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
        Poll::Ready(Err(ReadError::Closed)) => Poll::Ready(Err(Unread::Closed)),
        Poll::Ready(Err(ReadError::Parse(error))) => Poll::Ready(Err(Unread::Refused(error.into()))),
        Poll::Pending if timer.now() >= deadline => Poll::Ready(Err(Unread::Refused(Reason::HeaderTimeout))),
        Poll::Pending => {
            at_once = false;
            timer.set(deadline);
            Poll::Pending
        }
    });
    let read = read.await;
    // The usual head comes in one read: then one look at the clock is enough.
    (read, if at_once { started } else { Instant::now() })
}

/// Does what the listener and the route say.
async fn act(
    connection: &mut Connection,
    timer: &Timer,
    head: &RequestHead,
    client: &Client,
    transaction: &mut Transaction,
) -> Result<Next, Reason> {
    let listener = Rc::clone(&connection.listener);
    if connection.worker.shared.overload.level() >= Level::Refuse {
        connection.worker.cells.hit(Limit::MemoryRefuse);
        return Err(Reason::Overload);
    }
    if head.method == Method::Connect {
        return Err(Reason::MethodNotSupported);
    }
    if headers::max_forwards(head) == Some(0) {
        return Box::pin(last_hop(connection, timer, head, transaction)).await;
    }
    if matches!((head.framing, listener.listener.max_body), (Framing::Length(length), Some(max)) if length > max)
    {
        return Err(Reason::BodyTooLarge);
    }
    if listener.listener.action == ListenerAction::RedirectToHttps {
        let redirect =
            fulcrum_config::Redirect { target: fulcrum_config::RedirectTarget::Https, status: 308 };
        return Box::pin(redirect_to(connection, timer, head, transaction, &redirect, None)).await;
    }
    if listener.listener.encoded_slash != EncodedSlash::Keep && path::has_encoded_slash(&head.normal_path) {
        return Box::pin(encoded_slash(connection, timer, head, transaction)).await;
    }
    let view = Rc::clone(transaction.view());
    let place = view.snapshot.router.find(&Facts { head, client }).ok_or(Reason::NoRoute)?;
    let route = &view.snapshot.routes[place];
    let edits = route.changes.as_deref().map(|changes| &changes.response);
    transaction.route = Some(place);
    match &route.action {
        Action::To(service) => {
            transaction.service = Some(*service);
            let service = Rc::clone(view.service(*service, &connection.worker));
            let changes = route.changes.as_ref().map(Arc::clone);
            drop(view);
            Forward { connection, timer, head, client, service: &service, changes, transaction }.run().await
        }
        Action::Redirect(redirect) => {
            Box::pin(redirect_to(connection, timer, head, transaction, redirect, edits)).await
        }
        Action::Respond(response) => {
            let fields: Vec<(&str, &str)> =
                response.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let local = Local { status: response.status, fields: &fields, body: &response.body, edits };
            Ok(Box::pin(answer(connection, timer, head, transaction, local)).await)
        }
    }
}

/// Answers as the one whom the request was meant for (RFC 9110 §7.6.2).
async fn last_hop(
    connection: &mut Connection,
    timer: &Timer,
    head: &RequestHead,
    transaction: &mut Transaction,
) -> Result<Next, Reason> {
    if head.method == Method::Trace {
        return Err(Reason::MethodNotSupported);
    }
    let local = Local { status: 200, fields: &[], body: "", edits: None };
    Ok(answer(connection, timer, head, transaction, local).await)
}

async fn redirect_to(
    connection: &mut Connection,
    timer: &Timer,
    head: &RequestHead,
    transaction: &mut Transaction,
    redirect: &fulcrum_config::Redirect,
    edits: Option<&fulcrum_config::HeaderEdits>,
) -> Result<Next, Reason> {
    if redirect.target == fulcrum_config::RedirectTarget::Https && head.host.is_empty() {
        return Err(Reason::InvalidHost);
    }
    let location = respond::location(redirect, head);
    let fields = [("location", location.as_str())];
    let local = Local { status: redirect.status, fields: &fields, body: "", edits };
    Ok(answer(connection, timer, head, transaction, local).await)
}

/// `http.encoded_slash`: refuse, or lead to the path with plain slashes.
async fn encoded_slash(
    connection: &mut Connection,
    timer: &Timer,
    head: &RequestHead,
    transaction: &mut Transaction,
) -> Result<Next, Reason> {
    if connection.listener.listener.encoded_slash == EncodedSlash::Reject {
        return Err(Reason::InvalidPath);
    }
    let decoded = path::decode_slashes(&head.normal_path).map_err(|_| Reason::InvalidPath)?;
    let mut location = String::from_utf8_lossy(&decoded).into_owned();
    if head.query.is_some() {
        location.push('?');
        location.push_str(&String::from_utf8_lossy(head.query_text()));
    }
    let fields = [("location", location.as_str())];
    Ok(answer(
        connection,
        timer,
        head,
        transaction,
        Local { status: 307, fields: &fields, body: "", edits: None },
    )
    .await)
}

/// Answers a request that cannot be served.
async fn refuse(
    connection: &mut Connection,
    timer: &Timer,
    head: &RequestHead,
    transaction: &mut Transaction,
    reason: Reason,
) -> Next {
    transaction.reason = reason;
    transaction.status = reason.status();
    connection.server.stop_recording();
    if matches!(reason, Reason::ClientClosed | Reason::ClientStalled) {
        return Next::Close;
    }
    let request_id = String::from_utf8_lossy(transaction.request_id.as_bytes()).into_owned();
    let body = respond::error_body(reason, &request_id);
    let fields =
        [("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store"), ("retry-after", "1")];
    // Whoever is shed comes back, but not at once.
    let fields = if reason.status() == 503 { &fields[..] } else { &fields[..2] };
    let local = Local { status: reason.status(), fields, body: &body, edits: None };
    answer(connection, timer, head, transaction, local).await
}

/// Sends a response of our own and deals with what is left of the request.
async fn answer(
    connection: &mut Connection,
    timer: &Timer,
    head: &RequestHead,
    transaction: &mut Transaction,
    local: Local<'_>,
) -> Next {
    transaction.status = local.status;
    transaction.answered = Some(Instant::now());
    let is_complete = connection.server.request_is_complete();
    // A client that waits to be told to go on may send its body or not: nobody can know where the next request begins.
    let can_discard = is_complete || (connection.rest_is_small() && !head.expects_continue);
    // After a body that could not be read there is no next request either.
    let is_readable = transaction.reason.status() != 400 && transaction.reason != Reason::BodyTimeout;
    let may_stay = head.keep_alive && can_discard && is_readable && !connection.is_ending();
    let persistence = if may_stay { Persistence::KeepAlive } else { Persistence::Close };
    respond::encode(connection, head, persistence, &local);
    match connection.flush(timer).await {
        Flushed::All
            if !may_stay
                && is_complete
                && !head.keep_alive
                && is_readable
                && transaction.reason == Reason::Ok =>
        {
            Next::Close
        }
        Flushed::All if !may_stay => Next::Linger,
        Flushed::All if is_complete || connection.discard_body(timer).await => Next::KeepAlive,
        Flushed::All => Next::Close,
        Flushed::Broken => end(transaction, Reason::ClientClosed),
        Flushed::Stalled => end(transaction, Reason::ClientStalled),
    }
}

/// The client took no answer; the first reason stays.
fn end(transaction: &mut Transaction, reason: Reason) -> Next {
    if transaction.reason == Reason::Ok {
        transaction.reason = reason;
    }
    Next::Close
}

/// A request as the router sees it.
pub(crate) struct Facts<'a> {
    pub(crate) head: &'a RequestHead,
    pub(crate) client: &'a Client,
}

impl route::Attributes for Facts<'_> {
    fn host(&self) -> &str {
        &self.head.host
    }

    fn path(&self) -> &[u8] {
        &self.head.normal_path
    }

    fn query(&self) -> &[u8] {
        self.head.query_text()
    }

    fn method(&self) -> &[u8] {
        self.head.method_text()
    }

    fn source(&self) -> IpAddr {
        self.client.address
    }

    fn any_header(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.head.fields.named(name).any(test)
    }

    fn any_cookie(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.head.fields.known(Known::Cookie).flat_map(|cookies| cookies.split(|&byte| byte == b';')).any(
            |pair| {
                let pair = pair.trim_ascii();
                match memchr::memchr(b'=', pair) {
                    Some(at) if pair[..at] == *name.as_bytes() => test(&pair[at + 1..]),
                    _ => false,
                }
            },
        )
    }
}
