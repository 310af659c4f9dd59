//! Traffic of every kind of which every byte is checked: requests of six methods, tunnels, downloads, TCP.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use crate::harness::{Client, Conversation, Failure, Upstream, Wire, chunked, pattern};

/// How far the clients have come, and whether they are to go on.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) is_over: AtomicBool,
    /// By client.
    pub(super) done: [AtomicUsize; CLIENTS],
}

/// Clients that keep their connection, and those that make one for each request.
const KEEPING: usize = 3;
const RETURNING: usize = 3;
/// And one each with a tunnel, a download and a TCP connection.
const CLIENTS: usize = KEEPING + RETURNING + 3;

/// What bodies are cut from.
static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| pattern(256 << 10));
const LENGTHS: [usize; 6] = [0, 1, 500, 4096, 20_000, 100_000];
const METHODS: [&str; 6] = ["GET", "HEAD", "PUT", "DELETE", "PATCH", "POST"];

/// An upstream of the load, which counts the requests that arrive.
pub(super) fn application(received: Arc<AtomicUsize>) -> Upstream {
    Upstream::new(move |conversation| answer_all(conversation, &received))
}

/// The script of such an upstream.
pub(crate) fn answer_all(mut conversation: Conversation, received: &AtomicUsize) {
    // Pooled connections rest for longer than most tests take.
    conversation.wire.socket.set_read_timeout(Duration::from_secs(120));
    let record = conversation.wire.record();
    while let Some(head) = conversation.head() {
        match head.word(1) {
            "/health" => conversation.send(b"HTTP/1.1 204 No Content\r\n\r\n"),
            "/chat" => return echo_upgraded(conversation),
            "/download" => return send_without_end(conversation),
            target => {
                let (method, body) = (head.word(0), conversation.body(&head));
                if body.end.is_err() {
                    return;
                }
                received.fetch_add(1, Ordering::Relaxed);
                conversation.send(answer(method, target, &body.bytes));
            }
        }
        record.lock().expect("nobody panics with the record").clear();
    }
}

/// Who asked for what, and the body that came, or what the target says.
fn answer(method: &str, target: &str, body: &[u8]) -> Vec<u8> {
    let slice = slice_of(target);
    let body = if method.starts_with('P') { body } else { slice };
    let head =
        format!("HTTP/1.1 200 OK\r\nX-Asked: {method} {target}\r\nContent-Length: {}\r\n\r\n", body.len());
    let body = if method == "HEAD" { &[] } else { body };
    [head.as_bytes(), body].concat()
}

/// `/load/OFFSET/LENGTH`
fn slice_of(target: &str) -> &'static [u8] {
    let numbers: Vec<usize> = target.split('/').filter_map(|part| part.parse().ok()).collect();
    &BYTES[numbers[0]..numbers[0] + numbers[1]]
}

fn echo_upgraded(mut conversation: Conversation) {
    conversation
        .send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    echo(conversation);
}

/// Everything back, until the other side ends its direction.
pub(super) fn echo(mut conversation: Conversation) {
    conversation.wire.socket.set_read_timeout(Duration::from_secs(120));
    while let Ok(bytes) = conversation.wire.some() {
        conversation.send(bytes);
    }
}

/// The same block over and over, until nobody listens.
fn send_without_end(mut conversation: Conversation) {
    conversation.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = [format!("{:x}\r\n", BYTES.len()).as_bytes(), &BYTES, b"\r\n"].concat();
    while conversation.wire.send(&chunk).is_ok() {
        thread::sleep(Duration::from_millis(5));
    }
}

impl Load {
    /// Runs all clients until it is over; how many requests were answered. They panic with the first that was not.
    pub(super) fn run<'scope>(
        &'scope self,
        scope: &'scope thread::Scope<'scope, '_>,
        web: &'scope str,
        db: &'scope str,
    ) -> Vec<thread::ScopedJoinHandle<'scope, usize>> {
        let mut clients = self.ask(scope, web);
        clients.push(scope.spawn(move || self.chat(CLIENTS - 3, web)));
        clients.push(scope.spawn(move || self.download(CLIENTS - 2, web)));
        clients.push(scope.spawn(move || self.talk(CLIENTS - 1, db)));
        clients
    }

    /// The same with those that ask and are answered alone.
    pub(crate) fn ask<'scope>(
        &'scope self,
        scope: &'scope thread::Scope<'scope, '_>,
        web: &'scope str,
    ) -> Vec<thread::ScopedJoinHandle<'scope, usize>> {
        let keeping = (0..KEEPING).map(|number| scope.spawn(move || self.keep(number, web)));
        let returning =
            (KEEPING..KEEPING + RETURNING).map(|number| scope.spawn(move || self.return_to(number, web)));
        keeping.chain(returning).collect()
    }

    /// Whether each client has done something more than at that time.
    pub(super) fn has_moved(&self, before: &[usize]) -> bool {
        self.progress().iter().zip(before).all(|(now, before)| now > before)
    }

    pub(super) fn progress(&self) -> Vec<usize> {
        self.done.iter().map(|done| done.load(Ordering::Relaxed)).collect()
    }

    /// Calls until it is over; how often. `call` gets a number that grows.
    fn repeat(&self, client: usize, mut call: impl FnMut(usize)) -> usize {
        let mut count = 0;
        while !self.is_over.load(Ordering::Acquire) {
            call(count);
            count += 1;
            self.done[client].store(count, Ordering::Relaxed);
        }
        count
    }

    fn keep(&self, number: usize, address: &str) -> usize {
        let mut client = Client::connect(address);
        let count = self.repeat(number, |count| check_request(&mut client, number + 7 * count, "keep-alive"));
        drop(client);
        count
    }

    fn return_to(&self, number: usize, address: &str) -> usize {
        let connection = if number.is_multiple_of(2) { "close" } else { "keep-alive" };
        self.repeat(number, |count| check_request(&mut Client::connect(address), number + count, connection))
    }

    fn chat(&self, number: usize, address: &str) -> usize {
        let mut client = Client::connect(address);
        client.send("GET /chat HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
        assert_eq!(client.wire.head().expect("a head").word(1), "101");
        self.exchange(number, client);
        0
    }

    fn talk(&self, number: usize, address: &str) -> usize {
        self.exchange(number, Client::connect(address));
        0
    }

    /// Sends one WebSocket frame after the other and expects each back, then the end.
    fn exchange(&self, number: usize, mut client: Client) {
        self.repeat(number, |count| {
            let frame = [&[0x82, 8][..], &count.to_be_bytes()].concat();
            client.send(&frame);
            assert_eq!(client.wire.exactly(frame.len()), Ok(frame), "frame {count}");
            thread::sleep(Duration::from_millis(3));
        });
        client.end_sending();
        assert_eq!(client.wire.until_end(), (Vec::new(), Failure::Closed));
    }

    fn download(&self, number: usize, address: &str) -> usize {
        let mut client = Client::connect(address);
        client.send("GET /download HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(client.wire.head().expect("a head").word(1), "200");
        let mut body = Chunks { wire: client.wire, left: 0 };
        self.repeat(number, |_| assert!(body.take(BYTES.len()) == *BYTES, "a byte is not in its place"));
        0
    }
}

/// One request and its answer, every byte of both.
#[track_caller]
fn check_request(client: &mut Client, number: usize, connection: &str) {
    let method = METHODS[number % METHODS.len()];
    let length = LENGTHS[number / METHODS.len() % LENGTHS.len()];
    let target = format!("/load/{}/{length}", number * 977 % (BYTES.len() - length));
    let slice = slice_of(&target);
    let head = format!("{method} {target} HTTP/1.1\r\nHost: test\r\nConnection: {connection}\r\n");
    let rest = match method.starts_with('P') {
        false => b"\r\n".to_vec(),
        true if number.is_multiple_of(5) => {
            [b"Transfer-Encoding: chunked\r\n\r\n", &chunked(slice, &[1, 7000, 300])[..]].concat()
        }
        true => [format!("Content-Length: {length}\r\n\r\n").as_bytes(), slice].concat(),
    };
    client.send([head.as_bytes(), &rest].concat());
    let response =
        client.try_response(method).unwrap_or_else(|failure| panic!("{method} {target}: {failure:?}"));
    let found = (response.status, &response.end, response.field("x-asked"));
    assert_eq!(found, (200, &Ok(()), Some(&*format!("{method} {target}"))), "{response:?}");
    let expected = if method == "HEAD" { &[] } else { slice };
    assert!(response.body == expected, "{method} {target}: {} other bytes", response.body.len());
    assert_eq!(response.head.content_length(), Some(length as u64), "{method} {target}");
    assert_eq!(response.head.lists("connection", "close"), connection == "close", "{:?}", response.head);
}

/// The content of a chunked body, whatever its chunks are.
struct Chunks {
    wire: Wire,
    /// Of the chunk.
    left: usize,
}

impl Chunks {
    #[track_caller]
    fn take(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count);
        while bytes.len() < count {
            if self.left == 0 {
                self.left = self.size();
            }
            let part = self.left.min(count - bytes.len());
            bytes.extend(self.wire.exactly(part).expect("there is always more"));
            self.left -= part;
            if self.left == 0 {
                assert_eq!(self.wire.exactly(2), Ok(b"\r\n".to_vec()));
            }
        }
        bytes
    }

    #[track_caller]
    fn size(&mut self) -> usize {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(self.wire.exactly(1).expect("there is always more"));
        }
        let digits = std::str::from_utf8(&line[..line.len() - 2]).expect("digits");
        usize::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("{digits:?} is no chunk size"))
    }
}
