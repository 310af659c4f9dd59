//! An upstream that follows a script and records every byte that reaches it.

use std::fmt;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use super::head::Head;
use super::socket::Socket;
use super::wait::eventually;
use super::wire::{Body, Failure, Framing, Wire};

/// A listening upstream; it ends with the test.
pub(crate) struct Upstream {
    address: String,
    shared: Arc<Shared>,
}

/// What is known of one connection.
#[derive(Debug, Default)]
struct Connection {
    bytes: Arc<Mutex<Vec<u8>>>,
    /// Requests that arrived whole.
    requests: Mutex<Vec<Request>>,
    /// The script has ended, and the connection with it.
    over: AtomicBool,
}

#[derive(Debug, Default)]
struct Shared {
    connections: Mutex<Vec<Arc<Connection>>>,
    stopping: AtomicBool,
    /// A script saw something that it must not see.
    panicked: AtomicBool,
}

/// A request that arrived whole.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Head,
    /// No Content-Length, but chunks.
    pub(crate) chunked: bool,
}

impl Request {
    pub(crate) fn method(&self) -> &str {
        self.head.word(0)
    }

    pub(crate) fn target(&self) -> &str {
        self.head.word(1)
    }

    /// The value of the only field of this name.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }
}

/// The upstream's side of one connection, for its script.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) wire: Wire,
    connection: Arc<Connection>,
    /// Dropped behind the wire: what it says is true then.
    _end: End,
}

/// Books the end of a conversation.
#[derive(Debug)]
struct End {
    connection: Arc<Connection>,
    shared: Arc<Shared>,
}

impl Conversation {
    /// Receives a request head, and nothing of the body.
    pub(crate) fn head(&mut self) -> Option<Head> {
        self.wire.head().ok()
    }

    /// Receives the body of a request with this head.
    pub(crate) fn body(&mut self, head: &Head) -> Body {
        self.wire.body(framing_of(head))
    }

    /// Receives and books a whole request; nothing where the connection ends before.
    pub(crate) fn request(&mut self) -> Option<Request> {
        let head = self.head()?;
        let body = self.body(&head);
        body.end.ok()?;
        let request = Request {
            chunked: head.has("transfer-encoding"),
            head,
            body: body.bytes,
            trailers: body.trailers,
        };
        self.connection.requests.lock().expect(UNPOISONED).push(request.clone());
        Some(request)
    }

    /// Sends bytes; a peer that has gone is its own business.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.wire.send(bytes.as_ref());
    }

    /// Breaks the connection.
    pub(crate) fn reset(self) {
        self.wire.socket.reset_on_close();
    }

    /// Waits until the other side ends the connection.
    pub(crate) fn until_closed(&mut self) -> Failure {
        self.wire.until_end().1
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.connection.over.store(true, Ordering::Release);
        self.shared.panicked.fetch_or(thread::panicking(), Ordering::AcqRel);
    }
}

impl Upstream {
    /// An upstream on a port of the kernel's choice; the script runs once for each connection, which it may consume.
    pub(crate) fn new(script: impl Fn(Conversation) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let accept = move || {
            listener.accept().map(|(stream, _)| {
                stream.set_nodelay(true).expect("a TCP stream");
                Socket::Tcp(stream)
            })
        };
        Self::serve(address, accept, script)
    }

    /// The same at a unix socket.
    pub(crate) fn unix(
        path: &std::path::Path,
        script: impl Fn(Conversation) + Send + Sync + 'static,
    ) -> Self {
        let listener = UnixListener::bind(path).expect("a free path");
        let accept = move || listener.accept().map(|(stream, _)| Socket::Unix(stream));
        Self::serve(format!("unix:{}", path.display()), accept, script)
    }

    /// Answers every request with these bytes as soon as it is there.
    pub(crate) fn answering(response: impl Into<Vec<u8>>) -> Self {
        let response = response.into();
        Self::new(move |mut conversation| {
            while conversation.request().is_some() {
                conversation.send(&response);
            }
        })
    }

    /// Answers every request with 200 and its own name.
    pub(crate) fn named(name: &str) -> Self {
        Self::answering(ok(name))
    }

    fn serve(
        address: String,
        accept: impl Fn() -> std::io::Result<Socket> + Send + 'static,
        script: impl Fn(Conversation) + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let script = Arc::new(script);
        let theirs = Arc::clone(&shared);
        thread::spawn(move || {
            while let Ok(socket) = accept() {
                if theirs.stopping.load(Ordering::Acquire) {
                    return;
                }
                let conversation = begin(&theirs, socket);
                let script = Arc::clone(&script);
                thread::spawn(move || script(conversation));
            }
        });
        Upstream { address, shared }
    }

    /// As a configuration takes it.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.shared.all().len()
    }

    /// How many connections the scripts still hold.
    pub(crate) fn open_connections(&self) -> usize {
        self.shared.all().iter().filter(|connection| !connection.over.load(Ordering::Acquire)).count()
    }

    /// Everything received, connection by connection.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let connections = self.shared.all();
        connections.iter().flat_map(|connection| connection.bytes.lock().expect(UNPOISONED).clone()).collect()
    }

    /// Everything received, as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// Requests that arrived whole, connection by connection.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let connections = self.shared.all();
        connections
            .iter()
            .flat_map(|connection| connection.requests.lock().expect(UNPOISONED).clone())
            .collect()
    }

    /// Waits for so many whole requests.
    #[track_caller]
    pub(crate) fn await_requests(&self, count: usize) -> Vec<Request> {
        eventually(&format!("{count} requests reach the upstream"), || {
            Some(self.requests()).filter(|requests| requests.len() >= count)
        })
    }

    /// The only request, which is there.
    #[track_caller]
    pub(crate) fn only_request(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    /// The last request of the last connection.
    #[track_caller]
    pub(crate) fn last_request(&self) -> Request {
        self.requests().pop().expect("a request")
    }
}

impl Shared {
    fn all(&self) -> MutexGuard<'_, Vec<Arc<Connection>>> {
        self.connections.lock().expect(UNPOISONED)
    }
}

fn begin(shared: &Arc<Shared>, socket: Socket) -> Conversation {
    let wire = Wire::new(socket);
    let connection = Arc::new(Connection { bytes: wire.record(), ..Connection::default() });
    shared.all().push(Arc::clone(&connection));
    let end = End { connection: Arc::clone(&connection), shared: Arc::clone(shared) };
    Conversation { wire, connection, _end: end }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        // Wakes the accepting thread, which then looks.
        let _ = Socket::connect(&self.address);
        let panicked = self.shared.panicked.load(Ordering::Acquire);
        assert!(thread::panicking() || !panicked, "the upstream's script failed: see above");
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A plain answer that keeps the connection.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn framing_of(head: &Head) -> Framing {
    let length = head.content_length();
    match head.has("transfer-encoding") {
        true => {
            assert_eq!(
                (length, head.field("transfer-encoding")),
                (None, Some("chunked")),
                "ambiguous framing"
            );
            Framing::Chunked
        }
        false => Framing::Length(length.unwrap_or(0)),
    }
}

const UNPOISONED: &str = "nobody panics with the lock";
