//! What a request was, for its numbers and its one record in the access log.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use fulcrum_balance::Rng;

use crate::connection::Connection;
use crate::http::Client;
use crate::http::access_log::Record;
use crate::http::error::Reason;
use crate::http::field::Known;
use crate::http::message::RequestHead;
use crate::metrics::{RouteCells, nanos};
use crate::service::{EndpointView, Service};
use crate::worker::{ListenerView, View, Worker};

/// A request from its first byte to the last of its response.
pub(crate) struct Transaction {
    view: Origin,
    pub(crate) request_id: RequestId,
    pub(crate) route: Option<usize>,
    pub(crate) service: Option<usize>,
    pub(crate) attempts: u32,
    pub(crate) status: u16,
    pub(crate) upstream_status: Option<u16>,
    pub(crate) reason: Reason,
    pub(crate) time_connect: Option<Duration>,
    pub(crate) time_first_byte: Option<Duration>,
    /// When the response head had come, or was made.
    pub(crate) answered: Option<Instant>,
    endpoint: Option<(Rc<EndpointView>, Instant)>,
    started: Instant,
    head_read: Instant,
    _in_flight: RequestInFlight,
    unfinished: Unfinished,
}

/// Counts a request that comes to no end of its own, when dropped.
struct Unfinished {
    worker: Rc<Worker>,
    is_finished: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_finished {
            let reason = if std::thread::panicking() { Reason::Internal } else { Reason::Shutdown };
            self.worker.cells.errors[reason.index()].add(1);
        }
    }
}

/// The generation that a request is served by, or what is left to be known of it.
enum Origin {
    View(Rc<View>),
    /// A stream may live for days: it must not keep a whole configuration.
    Names {
        route: Option<(Arc<str>, Arc<RouteCells>)>,
        service: Option<Arc<Service>>,
    },
}

impl Transaction {
    /// Begins with a head that was read between two moments, whole or not.
    pub(crate) fn new(connection: &Connection, started: Instant, head_read: Instant) -> Self {
        let worker = &connection.worker;
        Transaction {
            view: Origin::View(worker.view()),
            request_id: RequestId::make(&mut worker.rng.borrow_mut()),
            route: None,
            service: None,
            attempts: 0,
            status: 0,
            upstream_status: None,
            reason: Reason::Ok,
            time_connect: None,
            time_first_byte: None,
            answered: None,
            endpoint: None,
            started,
            head_read,
            _in_flight: RequestInFlight::new(&connection.listener),
            unfinished: Unfinished { worker: Rc::clone(worker), is_finished: false },
        }
    }

    /// The generation that the request is served by, until [`let_go`](Self::let_go).
    pub(crate) fn view(&self) -> &Rc<View> {
        match &self.view {
            Origin::View(view) => view,
            Origin::Names { .. } => unreachable!("nothing is decided once the response is under way"),
        }
    }

    /// Everything is decided: forgets the generation but for its names.
    pub(crate) fn let_go(&mut self, worker: &Worker) {
        let Origin::View(view) = &self.view else { return };
        let route = self.route.map(|route| {
            (Arc::clone(&view.snapshot.routes[route].name), Arc::clone(view.route_cells(worker, route)))
        });
        let service = self.service.map(|service| Arc::clone(&view.snapshot.services[service]));
        self.view = Origin::Names { route, service };
    }

    /// Keeps the request id of a trusted peer.
    pub(crate) fn keep_request_id(&mut self, client: &Client, head: &RequestHead) {
        if !client.is_trusted {
            return;
        }
        if let Some(kept) = head.fields.known(Known::XRequestId).next().filter(|id| is_plain_id(id)) {
            self.request_id = RequestId::Kept(kept.to_vec());
        }
    }

    /// Another attempt, at this endpoint; returns when it began.
    pub(crate) fn attempt(&mut self, endpoint: &Rc<EndpointView>) -> Instant {
        let now = if self.attempts == 0 { self.head_read } else { Instant::now() };
        self.settle_endpoint(now);
        self.attempts += 1;
        self.endpoint = Some((Rc::clone(endpoint), now));
        now
    }

    /// Books an attempt's time with its endpoint.
    fn settle_endpoint(&self, now: Instant) {
        if let Some((endpoint, began)) = &self.endpoint {
            endpoint.cells.duration.add(nanos(now.saturating_duration_since(*began)));
        }
    }

    /// The current attempt has failed.
    pub(crate) fn attempt_failed(&self, reason: Reason) {
        if let Some((endpoint, _)) = self.endpoint.as_ref().filter(|_| reason.is_upstream_fault()) {
            endpoint.cells.errors[reason.index()].add(1);
        }
    }

    /// The current attempt was answered with this status.
    pub(crate) fn attempt_answered(&mut self, status: u16) {
        self.upstream_status = Some(status);
        self.status = status;
        if let Some((endpoint, _)) = &self.endpoint {
            endpoint.cells.requests.add(status);
        }
    }

    /// Books the request and writes its record.
    pub(crate) fn finish(mut self, connection: &Connection, client: &Client, head: &RequestHead) {
        let now = Instant::now();
        let worker = &connection.worker;
        let duration = now.saturating_duration_since(self.started);
        self.settle_endpoint(now);
        let cells = &connection.listener.cells;
        cells.requests.add(self.status);
        cells.duration.observe(duration);
        cells.received_bytes.add(connection.server.received);
        cells.sent_bytes.add(connection.server.sent);
        if self.reason != Reason::Ok {
            worker.cells.errors[self.reason.index()].add(1);
        }
        let route = match &self.view {
            Origin::View(view) => self.route.map(|route| view.route_cells(worker, route)),
            Origin::Names { route, .. } => route.as_ref().map(|(_, cells)| cells),
        };
        if let Some(cells) = route {
            cells.requests.add(self.status);
            cells.duration.add(nanos(duration));
        }
        worker.log(|log| log.record(&self.record(worker, connection, client, head, now)));
        self.unfinished.is_finished = true;
    }

    fn record<'a>(
        &'a self,
        worker: &Worker,
        connection: &'a Connection,
        client: &Client,
        head: &'a RequestHead,
        now: Instant,
    ) -> Record<'a> {
        let first = |known| head.fields.known(known).next();
        let (route, service) = match &self.view {
            Origin::View(view) => (
                self.route.map(|route| &*view.snapshot.routes[route].name),
                self.service.map(|service| &view.snapshot.services[service]),
            ),
            Origin::Names { route, service } => (route.as_ref().map(|(name, _)| &**name), service.as_ref()),
        };
        let time = SystemTime::now();
        debug_assert_eq!(worker.index, connection.worker.index);
        Record {
            // When it began: the order of a log is the order of its ends, its times are those of its beginnings.
            time: time.checked_sub(now.saturating_duration_since(self.started)).unwrap_or(time),
            listener: connection.listener.listener.name().as_str(),
            client: client.address,
            peer: connection.peer,
            method: head.method_text(),
            target: head.target_text(),
            host: head.authority_text(),
            protocol: head.version.name(),
            status: self.status,
            bytes_in: connection.server.received,
            bytes_out: connection.server.sent,
            duration: now.saturating_duration_since(self.started),
            route,
            service: service.map(|service| service.name().as_str()),
            endpoint: self.endpoint.as_ref().map(|(endpoint, _)| endpoint.endpoint.id.as_str()),
            attempts: self.attempts,
            upstream_status: self.upstream_status,
            time_head: Some(self.head_read.saturating_duration_since(self.started)),
            time_connect: self.time_connect,
            time_first_byte: self.time_first_byte,
            time_response: self.answered.map(|answered| now.saturating_duration_since(answered)),
            request_id: self.request_id.as_bytes(),
            user_agent: first(Known::UserAgent),
            referer: first(Known::Referer),
            reason: self.reason.token(),
        }
    }
}

/// Counts a request as under way, until dropped.
struct RequestInFlight(Rc<ListenerView>);

impl RequestInFlight {
    fn new(listener: &Rc<ListenerView>) -> Self {
        listener.cells.requests_now.add(1);
        RequestInFlight(Rc::clone(listener))
    }
}

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        self.0.cells.requests_now.subtract(1);
    }
}

/// What ties the log lines of all hops together.
pub(crate) enum RequestId {
    /// 128 random bits in hexadecimal.
    Made([u8; 32]),
    /// From a trusted peer.
    Kept(Vec<u8>),
}

impl RequestId {
    fn make(rng: &mut Rng) -> Self {
        let mut text = [0; 32];
        for half in text.chunks_exact_mut(16) {
            let mut bits = rng.next_u64();
            for digit in half {
                *digit = b"0123456789abcdef"[(bits & 15) as usize];
                bits >>= 4;
            }
        }
        RequestId::Made(text)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            RequestId::Made(text) => text,
            RequestId::Kept(text) => text,
        }
    }
}

/// What may be passed on and logged: no spaces, no quotes, not longer than ids are.
fn is_plain_id(id: &[u8]) -> bool {
    (1..=128).contains(&id.len())
        && id.iter().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'+' | b'=')
        })
}
