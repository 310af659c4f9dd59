//! `fulcrum demo-backend`: a backend that says who it is and what it was asked, and can be told to be slow or sick.
//!
//! ```text
//!   request ─► log ─► whole body read ─► sick? 503 ─► knobs of the query ─► delay ─► echo, or as many bytes as asked for
//! ```

mod body;
mod health;
mod knobs;

use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fulcrum_client::{Instance, Registered, Registry, RegistryUrl, State};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use self::body::DemoBody;
use self::health::Health;
use self::knobs::Knobs;
use crate::cli::{DemoBackendOptions, InstancePath};
use crate::exit::Exit;
use crate::signals::{Signal, Signals};
use crate::{output, parent};

/// Serves until it is killed; one that has registered ends when it is asked to.
pub(crate) fn serve(options: DemoBackendOptions) -> Exit {
    if options.parent.is_some_and(|expected| !parent::end_with(expected)) {
        return Exit::Failed;
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let served = Backend::new(&options).and_then(|backend| {
        let runtime = builder.enable_all().build()?;
        runtime.block_on(run(&options, Arc::new(backend)))
    });
    match served {
        Ok(()) => Exit::Done,
        Err(error) => {
            output::error_line(format_args!("error: demo backend: {error}"));
            Exit::Failed
        }
    }
}

async fn run(options: &DemoBackendOptions, backend: Arc<Backend>) -> io::Result<()> {
    let listener = TcpListener::bind(options.bind).await?;
    let address = listener.local_addr()?;
    let registered = match (&options.register, &options.registry) {
        (Some(instance), Some(registry)) => Some((register(instance, registry, address)?, Signals::new()?)),
        _ => None,
    };
    output::line(format_args!(r#"{{"event":"ready","address":"{address}"}}"#));
    let again = Arc::clone(&backend);
    let accepting = accept(&listener, backend);
    let Some((registered, mut signals)) = registered else { match accepting.await {} };
    let mut status = registered.status();
    tokio::select! {
        never = accepting => match never {},
        () = asked_to_end(&mut signals) => {}
        // Whose name somebody else has now is not asked any more.
        _ = status.wait_for(|status| status.state == State::Replaced) => return Err(io::Error::other("another process has registered")),
    }
    tokio::select! {
        never = accept(&listener, again) => match never {},
        // Where no registry hears of it, its lease runs out.
        _ = registered.leave(DRAIN) => Ok(()),
    }
}

/// Registers, and stays registered until what is returned is told to leave.
fn register(instance: &InstancePath, registry: &RegistryUrl, address: SocketAddr) -> io::Result<Registered> {
    let port = NonZeroU16::new(address.port()).ok_or_else(|| io::Error::other("no port"))?;
    let instance = Instance::new(instance.service.as_str(), instance.id.as_str(), port);
    let instance = instance.map_err(io::Error::other)?.address(address.ip()).ttl(TTL);
    Registry::new([registry.to_string()]).map_err(io::Error::other)?.register(instance)
}

async fn asked_to_end(signals: &mut Signals) {
    while !matches!(signals.next().await, Signal::Terminate | Signal::Interrupt) {}
}

async fn accept(listener: &TcpListener, backend: Arc<Backend>) -> std::convert::Infallible {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(converse(stream, Arc::clone(&backend)));
            }
            // Out of descriptors, or the connection is gone already: others may fare better in a moment.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn converse(stream: TcpStream, backend: Arc<Backend>) {
    // Without it, small answers on a kept connection wait for the peer's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let backend = Arc::clone(&backend);
        async move { backend.answer(request).await }
    });
    // A connection that breaks is the client's business; a backend has nobody to tell.
    let _ =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
}

/// One backend.
#[derive(Debug)]
struct Backend {
    name: HeaderValue,
    health: Health,
    log: Option<File>,
}

impl Backend {
    fn new(options: &DemoBackendOptions) -> io::Result<Self> {
        let open = |path| File::options().append(true).create(true).open(path);
        let log = options.log.as_ref().map(open).transpose()?;
        Ok(Backend { name: options.name.clone(), health: Health::default(), log })
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<DemoBody>, hyper::Error> {
        let (head, body) = request.into_parts();
        self.record(&head);
        let body_bytes = count(body).await?;
        let knobs = Knobs::parse(head.uri.query().unwrap_or_default());
        if let Ok(Knobs { delay: Some(delay), .. }) = &knobs {
            tokio::time::sleep(*delay).await;
        }
        let mut response = self.decide(&head, knobs, body_bytes);
        response.headers_mut().insert("x-backend", self.name.clone());
        Ok(response)
    }

    /// Tells of a request before anything is done for it: what is in the file was here, however we end.
    fn record(&self, head: &Parts) {
        let Some(mut log) = self.log.as_ref() else { return };
        // In one piece, that lines of several requests do not mix.
        let line = format!("{} {}\n", head.method, head.uri);
        if let Err(error) = log.write_all(line.as_bytes()) {
            output::error_line(format_args!("error: demo backend: its log: {error}"));
        }
    }

    fn decide(&self, head: &Parts, knobs: Result<Knobs, String>, body_bytes: u64) -> Response<DemoBody> {
        let now = Instant::now();
        let knobs = match knobs {
            Ok(knobs) => knobs,
            Err(mistake) => return self.say(StatusCode::BAD_REQUEST, &json!({ "error": mistake })),
        };
        match (&head.method, head.uri.path()) {
            (&Method::POST, "/demo/sick") => {
                self.health.fall_ill(now, knobs.sick_for);
                let seconds = knobs.sick_for.map(|time| time.as_secs_f64());
                self.say(StatusCode::OK, &json!({ "health": "sick", "for_seconds": seconds }))
            }
            (&Method::POST, "/demo/well") => {
                self.health.recover();
                self.say(StatusCode::OK, &json!({ "health": "well" }))
            }
            _ if self.health.is_sick(now) => {
                self.say(StatusCode::SERVICE_UNAVAILABLE, &json!({ "health": "sick" }))
            }
            (_, "/healthz") => self.say(StatusCode::OK, &json!({ "health": "well" })),
            _ => self.serve(head, &knobs, body_bytes),
        }
    }

    /// What an ordinary request gets.
    fn serve(&self, head: &Parts, knobs: &Knobs, body_bytes: u64) -> Response<DemoBody> {
        let status = knobs.status.unwrap_or(StatusCode::OK);
        let mut response = match knobs.bytes {
            Some(bytes) => Response::new(DemoBody::pattern(bytes)),
            None => self.say(status, &echo(head, body_bytes)),
        };
        *response.status_mut() = status;
        if knobs.chunked { response.map(DemoBody::into_chunked) } else { response }
    }

    /// A JSON object on a line of its own, with our name in it.
    fn say(&self, status: StatusCode, details: &serde_json::Value) -> Response<DemoBody> {
        let mut document = json!({ "backend": self.name.to_str().unwrap_or_default() });
        if let (Some(document), Some(details)) = (document.as_object_mut(), details.as_object()) {
            document.extend(details.clone());
        }
        let mut response = Response::new(DemoBody::text(format!("{document}\n")));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

fn echo(head: &Parts, body_bytes: u64) -> serde_json::Value {
    json!({
        "method": head.method.as_str(),
        "target": head.uri.to_string(),
        "headers": fields(&head.headers),
        "body_bytes": body_bytes,
    })
}

/// Names in lower case; values that are not UTF-8 have replacement characters.
fn fields(headers: &HeaderMap) -> Vec<[String; 2]> {
    let pair = |(name, value): (&hyper::header::HeaderName, &HeaderValue)| {
        [name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()]
    };
    headers.iter().map(pair).collect()
}

/// Reads a body to its end, keeping none of it.
async fn count(mut body: Incoming) -> Result<u64, hyper::Error> {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, |data| data.len() as u64);
    }
    Ok(bytes)
}

/// Accepting fails when descriptors run out; trying again at once would only burn the processor.
/// The shortest that there is: whoever looks at the demo does not want to wait.
const TTL: Duration = Duration::from_secs(3);
/// Longer than any answer of a demo takes that a visitor would ask for.
const DRAIN: Duration = Duration::from_secs(1);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
