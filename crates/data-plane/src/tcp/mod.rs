//! One TCP connection: an endpoint of the listener's service is chosen once, then bytes pass both ways until both sides
//! have ended.
//!
//! ```text
//!   Connection ─► Attempts (hold, pick or wait, connect; another endpoint on failure) ─► Link ─► Tunnel
//!        └─ numbers, access record                                                        └─ place at the endpoint
//! ```

mod attempts;

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use crate::accept::{Arrival, Permit};
use crate::buffer::Size;
use crate::http::access_log::Record;
use crate::http::error::Reason;
use crate::http::upgrade::{Half, Tunnel};
use crate::http1::wire::Wire;
use crate::listener::BindId;
use crate::metrics::nanos;
use crate::service::{EndpointView, LongStay, ServiceView};
use crate::stream::Stream;
use crate::timer::Timer;
use crate::worker::{ListenerView, Worker};

use attempts::{Attempts, Link};

/// A downstream connection of a tcp listener.
pub(crate) struct Connection {
    worker: Rc<Worker>,
    listener: Rc<ListenerView>,
    bind: BindId,
    /// `None` on unix sockets.
    peer: Option<SocketAddr>,
    downstream: Wire,
    facts: Facts,
    /// It has come to an end of its own.
    is_finished: bool,
    _permit: Permit,
}

/// What is known of a connection for its numbers and its record.
struct Facts {
    started: Instant,
    attempts: u32,
    /// The last one tried.
    endpoint: Option<Rc<EndpointView>>,
    time_connect: Option<Duration>,
    time_first_byte: Option<Duration>,
    received: u64,
    sent: u64,
}

impl Connection {
    pub(crate) fn new(
        worker: &Rc<Worker>,
        listener: &Rc<ListenerView>,
        stream: Stream,
        arrival: Arrival,
    ) -> Self {
        let Arrival { peer, bind, permit } = arrival;
        listener.cells.connections.add(1);
        listener.cells.connections_now.add(1);
        Connection {
            worker: Rc::clone(worker),
            listener: Rc::clone(listener),
            bind,
            peer,
            downstream: Wire::new(stream, Rc::clone(&worker.buffers), Rc::clone(&worker.wheel)),
            facts: Facts {
                started: Instant::now(),
                attempts: 0,
                endpoint: None,
                time_connect: None,
                time_first_byte: None,
                received: 0,
                sent: 0,
            },
            is_finished: false,
            _permit: permit,
        }
    }

    /// Serves the connection to its end. Boxed, because a future holds room for its arguments twice, and so does the
    /// task around it.
    pub(crate) async fn serve(mut self: Box<Self>) {
        let timer = poll_fn(|context| Poll::Ready(self.worker.wheel.timer(context.waker().clone()))).await;
        let reason = self.run(&timer).await.err().unwrap_or(Reason::Ok);
        self.finish(reason);
    }

    async fn run(&mut self, timer: &Timer) -> Result<(), Reason> {
        let mut tried = Vec::new();
        let mut failed = None;
        loop {
            // Boxed, so that an idle connection is a small task.
            let mut link = Box::pin(self.choose(timer, &mut tried, failed.take())).await?;
            let reason = self.tunnel(&mut link, timer).await;
            match reason {
                Reason::Ok => {
                    link.is_whole = true;
                    return Ok(());
                }
                // Neither side has heard a byte of the other: the client can still be served elsewhere.
                Reason::UpstreamReset if self.facts.received + self.facts.sent == 0 => {
                    failed = Some((Rc::clone(&link.endpoint), reason));
                }
                reason => return Err(reason),
            }
        }
    }

    /// Connects to an endpoint of the service as it is now; `failed` is the one that has just broken.
    async fn choose(
        &mut self,
        timer: &Timer,
        tried: &mut Vec<u64>,
        failed: Option<(Rc<EndpointView>, Reason)>,
    ) -> Result<Link, Reason> {
        let worker = Rc::clone(&self.worker);
        let service = self.service().ok_or(Reason::NoEndpoint)?;
        if self.facts.attempts == 0 {
            service.count();
        }
        let key = service.service.source_key(self.client());
        let client = &mut self.downstream;
        let mut attempts = Attempts::new(&worker, &service, (client, timer), (&mut self.facts, tried));
        if let Some((endpoint, reason)) = failed {
            attempts.settle(&endpoint, reason)?;
        }
        attempts.run(key).await
    }

    /// Where the connection goes, by the generation in force, which is forgotten at once.
    fn service(&self) -> Option<Rc<ServiceView>> {
        let view = self.worker.view();
        let listener = view.listener(self.bind).and_then(|current| current.listener.stream_service());
        let name = listener.or_else(|| self.listener.listener.stream_service())?;
        let place = view.snapshot.stream_service(name)?;
        Some(Rc::clone(view.service(place, &self.worker)))
    }

    /// Who can open a unix socket is on this host.
    fn client(&self) -> IpAddr {
        self.peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.ip())
    }

    /// Moves bytes until both directions have ended, or something ends them.
    async fn tunnel(&mut self, link: &mut Link, timer: &Timer) -> Reason {
        let began = Instant::now();
        let endpoint = Rc::clone(&link.endpoint);
        let mut stay = LongStay::new(&endpoint, timer.now());
        let mut tunnel = Tunnel {
            downstream: &mut self.downstream,
            upstream: &mut link.upstream.connection.wire,
            timer,
            idle: link.idle,
            up: Half::default(),
            down: Half::default(),
            progress_at: timer.now(),
            asked_at: timer.now(),
        };
        let (facts, cells) = (&mut self.facts, &self.listener.cells);
        poll_fn(|context| {
            let polled = tunnel.poll(context);
            cells.received_bytes.add(tunnel.up.bytes - facts.received);
            cells.sent_bytes.add(tunnel.down.bytes - facts.sent);
            if facts.sent == 0 && tunnel.down.bytes > 0 {
                endpoint.endpoint.answered();
                facts.time_first_byte = Some(began.elapsed());
            }
            (facts.received, facts.sent) = (tunnel.up.bytes, tunnel.down.bytes);
            if polled.is_pending() && stay.poll_over(context).is_ready() {
                return Poll::Ready(Reason::DrainTimeout);
            }
            polled
        })
        .await
    }

    /// Books the connection and writes its record.
    fn finish(mut self, reason: Reason) {
        let duration = self.facts.started.elapsed();
        self.listener.cells.duration.observe(duration);
        if reason != Reason::Ok {
            self.worker.cells.tcp_errors[reason.index()].add(1);
            // A client must not take what it has for everything there is.
            self.downstream.stream().reset_on_close();
        }
        self.worker.log(|log| log.record(&self.record(reason, duration)));
        self.is_finished = true;
    }

    fn record(&self, reason: Reason, duration: Duration) -> Record<'_> {
        let endpoint = self.facts.endpoint.as_ref();
        let now = SystemTime::now();
        Record {
            time: now.checked_sub(duration).unwrap_or(now),
            listener: self.listener.listener.name().as_str(),
            client: self.client(),
            peer: self.peer,
            method: b"",
            target: b"",
            host: b"",
            protocol: "TCP",
            status: 0,
            bytes_in: self.facts.received,
            bytes_out: self.facts.sent,
            duration,
            route: None,
            service: endpoint.map(|endpoint| endpoint.state.name.as_str()),
            endpoint: endpoint.map(|endpoint| endpoint.endpoint.id.as_str()),
            attempts: self.facts.attempts,
            upstream_status: None,
            time_head: None,
            time_connect: self.facts.time_connect,
            time_first_byte: self.facts.time_first_byte,
            time_response: None,
            request_id: b"",
            user_agent: None,
            referer: None,
            reason: reason.token(),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.listener.cells.connections_now.subtract(1);
        if !self.is_finished {
            let reason = if std::thread::panicking() { Reason::Internal } else { Reason::Shutdown };
            self.worker.cells.tcp_errors[reason.index()].add(1);
            self.downstream.stream().reset_on_close();
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.endpoint.cells.duration.add(nanos(self.began.elapsed()));
        if !self.is_whole {
            self.upstream.connection.wire.stream().reset_on_close();
        }
    }
}

/// Ready when the client has broken the connection. What it says meanwhile is kept, up to a buffer; that it has nothing
/// more to say is no reason to leave it without an answer.
fn poll_broken(client: &mut Wire, context: &mut Context<'_>) -> Poll<()> {
    while client.input().len() < Size::Small.bytes() {
        match client.poll_fill(context, Size::Small.bytes()) {
            Poll::Ready(Ok(1..)) => {}
            Poll::Ready(Ok(0)) | Poll::Pending => break,
            Poll::Ready(Err(_)) => return Poll::Ready(()),
        }
    }
    Poll::Pending
}
