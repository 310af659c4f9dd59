//! The API over a real registry on a real file, through a real socket. Every answer is held against `openapi.json`.

mod access;
mod calls;
mod chunked;
mod follow;
mod heads;
mod limits;
mod lists;
mod malformed;
mod openapi;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderMap};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;
use crate::eviction::{Policy, Reaches};
use crate::registry::Opened;
use crate::state::Bounds;

/// A registry and its API, for as long as a test.
struct World {
    api: Arc<Api>,
    address: SocketAddr,
    /// The default `Authorization`.
    token: Option<&'static str>,
    stop: watch::Sender<Duration>,
    serving: JoinHandle<()>,
    _folder: TempDir,
}

/// An answer that has been read.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl World {
    async fn start(settings: Settings, limits: Limits) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let registry = crate::registry::Settings {
            file: folder.path().join("registry.redb"),
            policy: Policy::default(),
            bounds: Bounds::default(),
        };
        let opened = Opened::open(registry, 1).expect("a new file");
        let registry = opened.start(Box::new(|_| Reaches::new())).expect("a thread");
        let api = Arc::new(Api::new(Arc::new(registry), settings, limits, 1));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let (stop, stopping) = watch::channel(Duration::ZERO);
        let serving = tokio::spawn(serve(listener, Arc::clone(&api), stopping));
        World { api, address, token: None, stop, serving, _folder: folder }
    }

    async fn plain() -> Self {
        World::start(Settings { register_rate: 100_000, ..Settings::default() }, Limits::default()).await
    }

    async fn connect(&self) -> http1::SendRequest<Full<Bytes>> {
        let stream = TcpStream::connect(self.address).await.expect("it listens");
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
        tokio::spawn(connection);
        sender
    }

    async fn send(
        &self,
        (method, target): (&str, &str),
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Response<Incoming> {
        let mut request = Request::builder().method(method).uri(target).header(HOST, "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Full::new(body.into())).expect("a request");
        self.connect().await.send_request(request).await.expect("an answer")
    }

    /// `METHOD TARGET`, with fields and a body.
    async fn call_with(&self, line: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
        let (method, target) = line.split_once(' ').expect("a method and a target");
        let (head, body) = self.send((method, target), headers, body).await.into_parts();
        let bytes = body.collect().await.expect("a whole body").to_bytes();
        let text = String::from_utf8(bytes.into()).expect("UTF-8");
        let reply = Reply { status: head.status.as_u16(), headers: head.headers, text };
        openapi::check_answer(method, target, &reply);
        reply
    }

    async fn call(&self, line: &str, body: &str) -> Reply {
        self.call_with(line, &[], body.to_owned()).await
    }

    /// Registers an instance of `web`.
    async fn register(&self, id: &str, fields: Value) -> Reply {
        let mut body = json!({"port": 8080});
        body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        self.call(&format!("PUT {WEB}/{id}"), &body.to_string()).await
    }

    /// Waits until an instance of `web` weighs so much, by its heartbeats.
    async fn await_weight(&self, id: &str, weight: u16) {
        let waits = async {
            loop {
                let shown = self.call(&format!("GET {WEB}/{id}"), "").await.json();
                if (&shown["weight"], &shown["weight_from"]) == (&json!(weight), &json!("heartbeat")) {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waits).await.expect("it is told soon");
    }

    fn sequence(&self) -> u64 {
        self.api.registry.services().1.0
    }

    fn refused(&self, code: &str) -> u64 {
        let found = self.api.counters.refusals().find(|(word, _)| *word == code);
        found.expect("a code").1
    }

    async fn end(self) {
        self.stop.send(Duration::from_secs(5)).expect("it serves");
        self.serving.await.expect("it ends well");
    }
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().expect("a text")).unwrap_or_default()
    }

    fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The status, and the code of the problem.
    #[track_caller]
    fn is(&self, status: u16, code: &str) {
        let found = if self.status < 400 { String::new() } else { self.code() };
        assert_eq!((self.status, found.as_str()), (status, code), "{}", self.text);
    }
}

const WEB: &str = "/v1/services/web/instances";
